//! Watching an operation: to its end, or until somebody stops watching. The operation does not
//! mind either way.
//!
//! Called by the verbs and by `extend op watch`. A lost connection is made again; every message
//! is the whole operation, so that nothing is missed in between.

use std::time::Duration;

use extend_common::exit::Exit;
use extend_common::operation::Operation;
use extend_proto::v1;
use tonic::Status;

use super::args::{Format, WatchArgs};
use super::client::{Client, bounded};
use super::context::Context;
use super::failure::{Failure, is_lost};
use super::interrupt::Interrupts;
use super::output::progress::Progress;
use super::output::text::{short, span};
use super::output::{document, summary};
use super::patience::{Patience, Wait};
use super::reconnect::{Came, Lasting, Lost, over_connections};
use super::view;

/// How often running times are redrawn.
const TICK: Duration = Duration::from_secs(1);

/// What is watched, and for how long.
#[derive(Debug)]
pub(crate) struct Watching {
    /// The id, or the ending of it that the operator typed.
    pub(crate) id: String,
    /// The operation as it was when it was last seen.
    pub(crate) seen: Option<Operation>,
    /// When to stop watching.
    pub(crate) args: WatchArgs,
    /// In which form the ended operation is printed.
    pub(crate) format: Format,
}

/// Watches until the operation has ended, and says how it did.
pub(crate) async fn watch(
    context: &Context,
    client: Client,
    watching: Watching,
    interrupts: &mut Interrupts,
) -> Result<Exit, Failure> {
    let format = watching.format;
    let limit = watching.args.watch_timeout;
    let mut watcher = Watcher {
        context,
        progress: Progress::new(context.output),
        patience: Patience::new(context.connection.patience),
        id: watching.id,
        seen: watching.seen,
    };
    let ended = tokio::select! {
        ended = watcher.until_ended(client) => Some(ended),
        () = interrupts.next() => None,
        () = sleep(limit) => None,
    };
    let now = context.clock.now();
    watcher.progress.finish(watcher.seen.as_ref(), now);
    match ended {
        Some(Ok(operation)) => tell_end(context, &operation, format),
        Some(Err(failure)) => Err(failure),
        None => Ok(watcher.left()),
    }
}

/// Says how an operation ended; the exit code follows from its targets.
pub(crate) fn tell_end(
    context: &Context,
    operation: &Operation,
    format: Format,
) -> Result<Exit, Failure> {
    let (now, colour) = (context.clock.now(), context.output.stderr().colour);
    context.output.say(&summary::render(operation, now, colour));
    let exit = exit_of(operation);
    if exit != Exit::Done {
        let id = operation.id.short();
        context.output.hint(&format!("extend op show {id}"));
        context
            .output
            .hint(&format!("extend op retry {id} --failed-only"));
    }
    let document = view::operation::Document::from(operation);
    if let Some(text) = document::render(format, &document)? {
        context.output.data(&text)?;
    }
    Ok(exit)
}

/// The exit code of an ended operation.
fn exit_of(operation: &Operation) -> Exit {
    let failures = operation
        .targets
        .iter()
        .filter(|target| target.state.is_failure())
        .count();
    match failures {
        0 => Exit::Done,
        all if all == operation.targets.len() => Exit::Failed,
        _ => Exit::SomeFailed,
    }
}

/// For ever, where there is no limit.
async fn sleep(limit: Option<Duration>) {
    match limit {
        Some(limit) => tokio::time::sleep(limit).await,
        None => std::future::pending().await,
    }
}

struct Watcher<'a> {
    context: &'a Context,
    progress: Progress,
    patience: Patience,
    id: String,
    seen: Option<Operation>,
}

impl Lasting for Watcher<'_> {
    type Done = Operation;

    fn patience(&mut self) -> &mut Patience {
        &mut self.patience
    }

    /// Follows the operation on one connection.
    async fn use_one(&mut self, mut client: Client) -> Came<Operation> {
        let request = v1::OperationRequest {
            id: self.id.clone(),
        };
        let mut stream = match bounded(client.rpc().watch_operation(request)).await {
            Ok(stream) => stream,
            Err(status) => return self.stopped(status),
        };
        let mut tick = tokio::time::interval(TICK);
        loop {
            // Neither branch loses anything when the other is taken: the stream keeps what it has
            // read, and a missed tick is none.
            let message = tokio::select! {
                message = stream.message() => message,
                _ = tick.tick() => {
                    if let Some(operation) = &self.seen {
                        self.progress.tick(operation, self.context.clock.now());
                    }
                    continue;
                }
            };
            let operation = match message {
                Ok(Some(message)) => match view::operation::read(message) {
                    Ok(operation) => operation,
                    Err(failure) => return Came::Failed(failure),
                },
                // Without the end of the operation the end of the stream means nothing.
                Ok(None) => return Came::Lost(Lost::closed()),
                Err(status) => return self.stopped(status),
            };
            if self.patience.recovered() {
                self.progress.note("connected again");
            }
            self.show(&operation);
            if operation.ended.is_some() {
                return Came::Done(operation);
            }
        }
    }

    async fn wait_for_another(&mut self, wait: Wait) -> Option<Operation> {
        if wait.first {
            let most = span(self.patience.most());
            self.progress.note(&format!(
                "the connection to the controller was lost; trying again for {most}"
            ));
        }
        None
    }

    fn given_up(&self, lost: Lost) -> Failure {
        // Before the first answer nobody knows that there is such an operation.
        let exit = if self.seen.is_some() {
            Exit::StoppedWatching
        } else {
            Exit::Unreachable
        };
        let goes_on = if self.seen.is_some() {
            "; the operation goes on"
        } else {
            ""
        };
        let mut failure = Failure::new(
            exit,
            format!(
                "cannot watch {}: the controller is not reached{goes_on}",
                self.what()
            ),
        )
        .hint(format!("extend op watch {}", short(&self.id)));
        failure.causes = lost.causes();
        failure
    }
}

impl Watcher<'_> {
    async fn until_ended(&mut self, client: Client) -> Result<Operation, Failure> {
        if let Some(operation) = self.seen.clone() {
            self.show(&operation);
        }
        over_connections(self.context, client, self).await
    }

    fn show(&mut self, operation: &Operation) {
        self.progress.update(operation, self.context.clock.now());
        // An ending that the operator typed may come to fit another operation too.
        self.id = operation.id.to_string();
        self.seen = Some(operation.clone());
    }

    fn stopped(&self, status: Status) -> Came<Operation> {
        if is_lost(&status) {
            return Came::Lost(Lost::Broken(status));
        }
        Came::Failed(Failure::from_status(
            &format!("watch {}", self.what()),
            &status,
        ))
    }

    /// Somebody stopped watching.
    fn left(&self) -> Exit {
        let output = &self.context.output;
        // Before the first answer nobody knows that there is such an operation.
        let goes_on = if self.seen.is_some() {
            "; the operation goes on"
        } else {
            ""
        };
        output.say(&format!("stopped watching {}{goes_on}", self.what()));
        output.hint(&format!("extend op watch {}", short(&self.id)));
        Exit::StoppedWatching
    }

    fn what(&self) -> String {
        match &self.seen {
            Some(operation) => format!("{} {}", operation.verb, operation.id.short()),
            None => format!("operation {}", short(&self.id)),
        }
    }
}
