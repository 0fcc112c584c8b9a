//! Events as somebody reads them: some of the newest, or all after a place, and then what happens.
//!
//! A task of its own for each reader, which asks the engine for a page at a time and waits until
//! the reader has taken it. A slow reader holds up nobody but itself: when it comes too late, it
//! is told how many events it missed. A store that fails and is read again is only a pause.

use std::time::Duration;

use extend_proto::v1;
use tokio::sync::{OwnedSemaphorePermit, mpsc, watch};
use tokio_stream::wrappers::ReceiverStream;
use tokio_util::sync::CancellationToken;
use tonic::Status;

use crate::core::view::EventsBegin;
use crate::engine::{EngineError, EngineHandle};

/// So many messages wait for the reader's connection.
const AHEAD: usize = 16;
/// How long to wait before a store that failed is asked again.
const AGAIN: Duration = Duration::from_millis(250);

/// The stream of one reader.
pub(super) type Reading = ReceiverStream<Result<v1::StoredEvent, Status>>;

/// A reader that is being served.
pub(super) struct Reader {
    pub(super) engine: EngineHandle,
    pub(super) begin: EventsBegin,
    pub(super) follow: bool,
    pub(super) shutdown: CancellationToken,
    /// Its place among the readers there may be.
    pub(super) place: OwnedSemaphorePermit,
}

/// The reader has gone, or has been told that there is no more.
struct Ended;

impl Reader {
    /// Begins to read.
    pub(super) fn start(self) -> Reading {
        let (sender, receiver) = mpsc::channel(AHEAD);
        tokio::spawn(async move {
            let shutdown = self.shutdown.clone();
            tokio::select! {
                _ = self.read(&sender) => {}
                () = sender.closed() => {}
                () = shutdown.cancelled() => {
                    // That it hears so, and not of a good end, is what makes the command line
                    // come back. One that takes no messages finds its stream cut.
                    let stopping = Status::unavailable("the controller is stopping");
                    let _ = sender.try_send(Err(stopping));
                }
            }
        });
        ReceiverStream::new(receiver)
    }

    async fn read(&self, to: &mpsc::Sender<Result<v1::StoredEvent, Status>>) -> Result<(), Ended> {
        let _held = &self.place;
        let mut told = self.engine.events_told();
        let mut after = self.begin.after;
        if self.follow {
            send(to, Ok(mark(after, 0))).await?;
        }
        while self.follow || after < self.begin.last {
            told.borrow_and_update();
            match self.page(after, to).await? {
                Some(upto) if upto > after => after = upto,
                Some(_) if self.follow => wait(&mut told, to).await?,
                Some(_) => return Ok(()),
                None => tokio::time::sleep(AGAIN).await,
            }
        }
        Ok(())
    }

    /// Sends the next page. Answers up to where it goes; none when the store has failed.
    async fn page(
        &self,
        after: u64,
        to: &mpsc::Sender<Result<v1::StoredEvent, Status>>,
    ) -> Result<Option<u64>, Ended> {
        let filter = self.begin.filter.clone();
        let page = match self.engine.events_after(filter, after).await {
            Ok(page) => page,
            Err(EngineError::StoreFailed(_)) => return Ok(None),
            Err(error) => {
                send(to, Err(error.into())).await?;
                return Err(Ended);
            }
        };
        if page.passed_over > 0 {
            send(
                to,
                Ok(mark(
                    after.saturating_add(page.passed_over),
                    page.passed_over,
                )),
            )
            .await?;
        }
        let shown = page.events.last().map_or(after, |event| event.sequence);
        for event in page.events {
            send(to, Ok(event.into())).await?;
        }
        if self.follow && page.upto > shown {
            send(to, Ok(mark(page.upto, 0))).await?;
        }
        Ok(Some(page.upto))
    }
}

async fn send(
    to: &mpsc::Sender<Result<v1::StoredEvent, Status>>,
    message: Result<v1::StoredEvent, Status>,
) -> Result<(), Ended> {
    to.send(message).await.map_err(|_| Ended)
}

/// Waits until there is more; an engine that has ended has no more.
async fn wait(
    told: &mut watch::Receiver<u64>,
    to: &mpsc::Sender<Result<v1::StoredEvent, Status>>,
) -> Result<(), Ended> {
    if told.changed().await.is_err() {
        send(to, Err(EngineError::Stopped.into())).await?;
        return Err(Ended);
    }
    Ok(())
}

fn mark(sequence: u64, passed_over: u64) -> v1::StoredEvent {
    v1::StoredEvent {
        sequence,
        told_ms: 0,
        event: None,
        passed_over,
    }
}

#[cfg(test)]
#[path = "events_tests.rs"]
mod tests;
