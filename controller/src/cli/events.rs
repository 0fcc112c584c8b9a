//! `extend events`: what happened to servers and nodes, and with `-f` what happens.
//!
//! A lost connection is made again. The place that was reached goes with the question, so that
//! nothing is shown twice and nothing is left out.

use extend_common::event::EventKind;
use extend_common::exit::Exit;
use extend_proto::v1;
use tonic::{Status, Streaming};

use super::args::{Format, FormatArgs, SelectorArgs};
use super::client::{Client, bounded};
use super::context::Context;
use super::failure::{Failure, LOOK_AT_CONTROLLER, is_lost};
use super::interrupt::Interrupts;
use super::output::document;
use super::output::text::span;
use super::patience::{Patience, Wait};
use super::reconnect::{Came, Lasting, Lost, over_connections};
use super::view::event::{Event, Events, events_table, read};
use super::when::PeriodArgs;

/// The options of `events`.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    #[command(flatten)]
    selector: SelectorArgs,

    /// Go on with what happens, until Ctrl-C. A crash that repeats is told less and less often
    #[arg(short = 'f', long, conflicts_with = "until")]
    follow: bool,

    /// How many of the newest events to show first; with --since or --until all are shown
    #[arg(
        long,
        conflicts_with_all = ["since", "until"],
        value_name = "N",
        default_value_t = 50,
        value_parser = clap::value_parser!(u32).range(0..=10_000)
    )]
    tail: u32,

    #[command(flatten)]
    period: PeriodArgs,

    /// Only events of this kind: health, crash, restart, quarantine, docker-restart, docker,
    /// agent, node, operation, controller, access, portal, whitelist, breaker, alert or warning
    #[arg(long = "kind", value_name = "KIND", value_delimiter = ',', value_parser = parse_kind)]
    kinds: Vec<EventKind>,

    #[command(flatten)]
    output: FormatArgs,
}

fn parse_kind(text: &str) -> Result<EventKind, String> {
    text.parse().map_err(|_| {
        let kinds: Vec<_> = EventKind::ALL.iter().map(ToString::to_string).collect();
        format!("write one of {}", kinds.join(", "))
    })
}

/// `extend events`
pub(crate) async fn run(context: &Context, args: Args) -> Result<Exit, Failure> {
    let client = context.client().await?;
    if !args.follow {
        let mut reader = Reader::new(context, &args);
        reader.read_once(client).await?;
        return reader.show_all();
    }
    let mut interrupts = Interrupts::catch()?;
    let mut reader = Reader::new(context, &args);
    tokio::select! {
        unread = over_connections(context, client, &mut reader) => unread.map(|Unread| Exit::Done),
        () = interrupts.next() => Ok(Exit::Done),
    }
}

struct Reader<'a> {
    context: &'a Context,
    args: &'a Args,
    patience: Patience,
    /// Everything up to this one has been seen; 0 before the first answer.
    after: u64,
    /// What is shown as a whole at the end.
    events: Vec<Event>,
}

/// Done, as far as that goes: nobody reads what is printed any more.
struct Unread;

impl Lasting for Reader<'_> {
    type Done = Unread;

    fn patience(&mut self) -> &mut Patience {
        &mut self.patience
    }

    /// Follows on one connection.
    async fn use_one(&mut self, mut client: Client) -> Came<Unread> {
        let mut stream = match self.open(&mut client).await {
            Ok(stream) => stream,
            Err(status) => return self.stopped(status),
        };
        loop {
            let message = match stream.message().await {
                Ok(Some(message)) => message,
                // Nobody who follows is told a good end.
                Ok(None) => return Came::Lost(Lost::closed()),
                Err(status) => return self.stopped(status),
            };
            if self.patience.recovered() {
                self.context.output.say("connected again");
            }
            let sequence = message.sequence;
            let shown = if message.event.is_some() {
                read(message).and_then(|event| self.show(&event))
            } else {
                self.tell_passed_over(message.passed_over);
                Ok(true)
            };
            match shown {
                Ok(true) => {}
                Ok(false) => return Came::Done(Unread),
                Err(failure) => return Came::Failed(failure),
            }
            // An older copy of the store counts from an earlier place.
            self.after = sequence;
        }
    }

    async fn wait_for_another(&mut self, wait: Wait) -> Option<Unread> {
        if wait.first {
            let most = span(self.patience.most());
            self.context.output.say(&format!(
                "the connection to the controller was lost; trying again for {most}"
            ));
        }
        None
    }

    fn given_up(&self, lost: Lost) -> Failure {
        match lost {
            Lost::Connect(error) if error.is_lasting() => error.into(),
            lost => {
                let sentence = format!("cannot {}: the controller is not reached", self.what());
                let mut failure =
                    Failure::new(Exit::Unreachable, sentence).hint(LOOK_AT_CONTROLLER);
                failure.causes = lost.causes();
                failure
            }
        }
    }
}

impl<'a> Reader<'a> {
    fn new(context: &'a Context, args: &'a Args) -> Self {
        Self {
            context,
            args,
            patience: Patience::new(context.connection.patience),
            after: 0,
            events: Vec::new(),
        }
    }

    fn request(&self) -> v1::WatchEventsRequest {
        let (since_ms, until_ms) = self.args.period.to_wire(self.context.clock.now());
        v1::WatchEventsRequest {
            since_ms: if until_ms == 0 {
                since_ms
            } else {
                since_ms.max(1)
            },
            until_ms,
            selector: Some(self.args.selector.to_wire()),
            tail: self.args.tail,
            follow: self.args.follow,
            after: self.after,
            kinds: self.args.kinds.iter().map(|kind| kind.to_wire()).collect(),
        }
    }

    fn what(&self) -> String {
        format!("show the events of {}", self.args.selector.describe())
    }

    async fn open(&self, client: &mut Client) -> Result<Streaming<v1::StoredEvent>, Status> {
        bounded(client.rpc().watch_events(self.request())).await
    }

    /// Reads what there is.
    async fn read_once(&mut self, mut client: Client) -> Result<(), Failure> {
        let failed = |status: &Status| Failure::from_status(&self.what(), status);
        let mut stream = self.open(&mut client).await.map_err(|s| failed(&s))?;
        let mut events = Vec::new();
        let mut passed_over = 0_u64;
        while let Some(message) = stream.message().await.map_err(|status| failed(&status))? {
            if message.event.is_some() {
                events.push(read(message)?);
            } else {
                passed_over = passed_over.saturating_add(message.passed_over);
            }
        }
        self.tell_passed_over(passed_over);
        self.events = events;
        Ok(())
    }

    fn show_all(self) -> Result<Exit, Failure> {
        let output = &self.context.output;
        let (format, now) = (self.args.output.format, self.context.clock.now());
        let events = Events {
            events: self.events,
        };
        if let Some(text) = document::render(format, &events)? {
            output.data(&text)?;
        } else if events.events.is_empty() {
            output.say("there are no such events");
        } else if format == Format::Wide {
            let line = |event: &Event| format!("{}\n{}", event.line(now), event.evidence_lines());
            output.data(&events.events.iter().map(line).collect::<String>())?;
        } else {
            output.data(&events_table(&events.events, now).render(output.stdout()))?;
        }
        Ok(Exit::Done)
    }

    /// Whether anybody still reads.
    fn show(&self, event: &Event) -> Result<bool, Failure> {
        let now = self.context.clock.now();
        let text = match self.args.output.format {
            Format::Table => event.line(now),
            Format::Wide => format!("{}\n{}", event.line(now), event.evidence_lines()),
            Format::Json => document::json_line(event)?,
            Format::Yaml => document::yaml_document(event)?,
        };
        self.context.output.more_data(&text)
    }

    fn tell_passed_over(&self, count: u64) {
        if count > 0 {
            self.context.output.say(&format!(
                "{count} events before this are no longer kept, and were not looked at"
            ));
        }
    }

    fn stopped(&self, status: Status) -> Came<Unread> {
        if is_lost(&status) {
            return Came::Lost(Lost::Broken(status));
        }
        Came::Failed(Failure::from_status(&self.what(), &status))
    }
}
