//! `extend logs`: what a server writes, read on its node: the output of its container, or the files
//! in its log directory.
//!
//! Followed, it goes on across whatever happens to the server and to the connection; what happened
//! is said on stderr.

use std::time::Duration;

use extend_common::exit::Exit;
use extend_common::logs::{
    LogNote, LogPath, LogPiece, LogPosition, LogQuery, LogSource, MAX_FILES, MAX_TAIL,
};
use extend_proto::v1;
use tokio::time::timeout;
use tonic::{Code, Status, Streaming};

use super::args::{Format, FormatArgs, ServerArg};
use super::client::{Client, bounded};
use super::context::Context;
use super::failure::{Failure, is_lost};
use super::interrupt::Interrupts;
use super::output::document;
use super::output::pager::{Closed, Pager};
use super::output::text::span;
use super::output::visible::Visible;
use super::patience::{Patience, Wait};
use super::reconnect::{Came, Lasting, Lost, over_connections};
use super::view::logs::{File, Files, files_table};
use super::view::not_understood;

/// A list comes at once; a node that is silent for so long has none to give.
const SILENCE: Duration = Duration::from_secs(20);

/// The options of `logs`.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    #[command(flatten)]
    server: ServerArg,

    /// Go on with what is written from now on, across restarts, upgrades and rotation of files
    #[arg(short = 'f', long)]
    follow: bool,

    /// How many of the last lines to show; `all` is as many as there are, up to 100000
    #[arg(long, value_name = "N", default_value = "100", value_parser = parse_tail)]
    tail: u32,

    /// Show this file of the server's log directory, instead of the container's output
    #[arg(long, value_name = "FILE", value_parser = parse_path)]
    file: Option<LogPath>,

    /// List the files of the server's log directory
    #[arg(long, conflicts_with_all = ["file", "follow", "tail", "raw"])]
    list: bool,

    /// Show the output of the container that failed and was kept aside
    #[arg(long, conflicts_with_all = ["file", "list", "follow"])]
    previous: bool,

    /// On a terminal, do not make control characters visible; where the output is no terminal
    /// every byte is passed through as it is
    #[arg(long)]
    raw: bool,

    #[command(flatten)]
    output: FormatArgs,
}

impl Args {
    fn source(&self) -> LogSource {
        match &self.file {
            Some(path) => LogSource::File(path.clone()),
            None if self.list => LogSource::List,
            None if self.previous => LogSource::FailedOutput,
            None => LogSource::Output,
        }
    }

    fn request(&self, query: LogQuery) -> v1::ReadLogsRequest {
        v1::ReadLogsRequest {
            selector: Some(self.server.selector()),
            query: Some(query.into()),
        }
    }

    fn what(&self) -> String {
        format!("show the logs of {}", self.server.words())
    }
}

fn parse_tail(text: &str) -> Result<u32, String> {
    if text == "all" {
        return Ok(MAX_TAIL);
    }
    let lines = text.parse::<u32>().ok().filter(|lines| *lines <= MAX_TAIL);
    lines.ok_or_else(|| format!("write a number up to {MAX_TAIL}, or `all`"))
}

fn parse_path(text: &str) -> Result<LogPath, String> {
    text.parse::<LogPath>().map_err(|error| error.to_string())
}

/// `extend logs`
pub(crate) async fn run(context: &Context, args: Args) -> Result<Exit, Failure> {
    if args.list {
        return list(context, &args).await;
    }
    if args.output.format != Format::Table {
        return Err(Failure::usage(
            "cannot show logs as a document: they are shown as they were written",
        )
        .hint("extend logs NAME --list -o json"));
    }
    let client = context.client().await?;
    let visible = (context.output.writes_to_terminal() && !args.raw).then(Visible::default);
    let mut reader = Reader {
        patience: Patience::new(context.connection.patience),
        pager: Pager::start(context.output, visible)?,
        args: &args,
        after: None,
        opened: false,
        shown: false,
        lost: false,
    };
    let ended = if args.follow {
        let mut interrupts = Interrupts::catch()?;
        tokio::select! {
            ended = over_connections(context, client, &mut reader) => ended,
            // Whoever stops reading does not wait for what is still to be written.
            () = interrupts.next() => return Ok(Exit::Done),
        }
    } else {
        reader.once(client).await
    };
    // What came before a failure is shown before it is said.
    let written = reader.pager.finish().await;
    ended.and(written).map(|()| Exit::Done)
}

async fn list(context: &Context, args: &Args) -> Result<Exit, Failure> {
    let mut client = context.client().await?;
    let query = LogQuery {
        source: LogSource::List,
        tail: 0,
        follow: false,
        after: None,
    };
    let what = format!("list the log files of {}", args.server.words());
    let failed = |status: &Status| Failure::from_status(&what, status);
    let answer = bounded(client.rpc().read_logs(args.request(query))).await;
    let mut stream = answer.map_err(|status| failed(&status))?;
    let mut files = Files::default();
    loop {
        let next = timeout(SILENCE, stream.message()).await;
        let next = next.unwrap_or_else(|_| Err(Status::aborted("its node does not answer")));
        let Some(piece) = next.map_err(|status| failed(&status))? else {
            break;
        };
        let piece = LogPiece::try_from(piece).map_err(|error| not_understood(&error))?;
        if let LogPiece::Files { files: more, cut } = piece {
            files.files.extend(more.into_iter().map(File::from));
            files.cut |= cut;
        }
    }
    match document::render(args.output.format, &files)? {
        Some(text) => context.output.data(&text)?,
        None if files.files.is_empty() => {
            context
                .output
                .say(&format!("{} has no log files", args.server.words()));
        }
        None => {
            let table =
                files_table(&files.files, context.clock.now()).render(context.output.stdout());
            context.output.data(&table)?;
        }
    }
    if files.cut {
        context.output.say(&format!(
            "there are more: {MAX_FILES} files are listed at most, and none from deep below"
        ));
    }
    Ok(Exit::Done)
}

/// Reads, and comes back when the connection was lost.
struct Reader<'a> {
    args: &'a Args,
    pager: Pager,
    patience: Patience,
    /// How far was read.
    after: Option<LogPosition>,
    /// Whether the server has been read at all: before that, nobody knows that it can be.
    opened: bool,
    /// Whether anything was shown.
    shown: bool,
    /// Whether the connection is being made again.
    lost: bool,
}

/// All that was to be shown, or all that anybody wanted to see.
struct Shown;

impl From<Closed> for Came<Shown> {
    /// A reader who has had enough.
    fn from(_: Closed) -> Self {
        Self::Done(Shown)
    }
}

impl Lasting for Reader<'_> {
    type Done = Shown;

    fn patience(&mut self) -> &mut Patience {
        &mut self.patience
    }

    /// Reads on one connection.
    async fn use_one(&mut self, mut client: Client) -> Came<Shown> {
        let request = self.args.request(self.query());
        let stream = match bounded(client.rpc().read_logs(request)).await {
            Ok(stream) => stream,
            Err(status) => return self.stopped(status),
        };
        self.lost = false;
        self.opened = true;
        if self.patience.recovered() {
            let words = "connected again; going on where it stopped".to_owned();
            if let Err(closed) = self.pager.say(words).await {
                return closed.into();
            }
        }
        match self.pass(stream).await {
            Ok(()) if self.args.follow => self.stopped(Status::aborted("the node sent no more")),
            Ok(()) => Came::Done(Shown),
            Err(came) => came,
        }
    }

    async fn wait_for_another(&mut self, wait: Wait) -> Option<Shown> {
        self.lost = true;
        if !wait.first {
            return None;
        }
        let most = span(self.patience.most());
        let words = format!("the connection was lost; trying again for {most}");
        self.pager.say(words).await.err().map(|Closed| Shown)
    }

    fn given_up(&self, lost: Lost) -> Failure {
        match lost {
            Lost::Connect(error) => error.into(),
            Lost::Broken(status) => Failure::from_status(&self.args.what(), &status),
        }
    }
}

impl Reader<'_> {
    async fn once(&mut self, client: Client) -> Result<Shown, Failure> {
        match self.use_one(client).await {
            Came::Done(shown) => Ok(shown),
            Came::Failed(failure) => Err(failure),
            Came::Lost(lost) => Err(self.given_up(lost)),
        }
    }

    fn query(&self) -> LogQuery {
        // Where nobody knows how far was read, nothing is shown twice.
        let tail = if self.shown { 0 } else { self.args.tail };
        LogQuery {
            source: self.args.source(),
            tail,
            follow: self.args.follow,
            after: self.after,
        }
    }

    async fn pass(&mut self, mut stream: Streaming<v1::LogPiece>) -> Result<(), Came<Shown>> {
        loop {
            let message = match stream.message().await {
                Ok(Some(message)) => message,
                Ok(None) => return Ok(()),
                Err(status) => return Err(self.stopped(status)),
            };
            let piece = LogPiece::try_from(message)
                .map_err(|error| Came::Failed(not_understood(&error)))?;
            match piece {
                LogPiece::Data { bytes, position } => {
                    self.shown = true;
                    self.pager.data(bytes).await?;
                    self.after = position.or(self.after);
                }
                LogPiece::Note(note) => self.pager.say(self.words(note)).await?,
                // Not asked for; a fault comes as a status.
                LogPiece::Files { .. } | LogPiece::Fault(_) => {}
            }
        }
    }

    /// Whether to come back: only a follower does, whom the connection to the controller or the
    /// controller's to the node has failed; and while it does, whatever it is told may pass.
    fn stopped(&self, status: Status) -> Came<Shown> {
        let is_broken = is_lost(&status) || status.code() == Code::Aborted;
        if self.args.follow && ((self.opened && is_broken) || self.lost) {
            return Came::Lost(Lost::Broken(status));
        }
        Came::Failed(Failure::from_status(&self.args.what(), &status))
    }

    fn words(&self, note: LogNote) -> String {
        let server = self.args.server.words();
        let file = self.args.file.as_ref().map(ToString::to_string);
        let file = file.unwrap_or_default();
        match note {
            LogNote::Ended => format!("{server}: its process has ended; waiting for the next one"),
            LogNote::RunsAgain => format!("{server} runs again; going on with its output"),
            LogNote::Replaced => {
                format!("{server} has a new container; going on with its output")
            }
            LogNote::DockerSilent => {
                format!("{server}: Docker on its node does not answer; trying again")
            }
            LogNote::FileAwaited => {
                format!("{server}: there is no file {file} at present; waiting for it")
            }
            LogNote::FileReplaced => format!("{server}: {file} is a new file; going on with it"),
            LogNote::FileTruncated => {
                format!("{server}: {file} was cut; going on from its beginning")
            }
            LogNote::Gap => {
                format!("{server}: {file} is a new file; the rest of the old one is not shown")
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_tail_has_a_bound() {
        assert_eq!(parse_tail("all"), Ok(MAX_TAIL));
        assert_eq!(parse_tail("0"), Ok(0));
        assert_eq!(parse_tail("100000"), Ok(100_000));
        for wrong in ["100001", "-1", "", "ALL", "1e3", "99999999999"] {
            assert!(parse_tail(wrong).is_err(), "{wrong}");
        }
    }
}
