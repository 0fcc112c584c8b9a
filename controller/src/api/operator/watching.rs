//! An operation as somebody watches it: its present state, every change after it, and the end.
//!
//! Changes that come faster than the watcher reads are passed over, never queued.

use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use extend_common::operation::Operation;
use extend_proto::v1;
use tokio::sync::watch;
use tokio_stream::Stream;
use tokio_stream::wrappers::WatchStream;
use tokio_util::sync::{CancellationToken, WaitForCancellationFutureOwned};
use tonic::Status;

/// The stream of one watcher.
#[derive(Debug)]
pub struct Watching {
    changes: WatchStream<Arc<Operation>>,
    shutdown: Pin<Box<WaitForCancellationFutureOwned>>,
    ended: bool,
}

impl Watching {
    pub(super) fn new(
        changes: watch::Receiver<Arc<Operation>>,
        shutdown: &CancellationToken,
    ) -> Self {
        Self {
            changes: WatchStream::new(changes),
            shutdown: Box::pin(shutdown.clone().cancelled_owned()),
            ended: false,
        }
    }
}

impl Stream for Watching {
    type Item = Result<v1::Operation, Status>;

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        if self.ended {
            return Poll::Ready(None);
        }
        let next = match Pin::new(&mut self.changes).poll_next(cx) {
            Poll::Ready(Some(operation)) => {
                self.ended = operation.ended.is_some();
                Ok(Operation::clone(&operation).into())
            }
            Poll::Pending if self.shutdown.as_mut().poll(cx).is_pending() => return Poll::Pending,
            // The operation goes on without us. That its watcher hears so, and not of a good end,
            // is what makes the command line come back.
            Poll::Pending | Poll::Ready(None) => {
                self.ended = true;
                Err(Status::unavailable("the controller is stopping"))
            }
        };
        Poll::Ready(Some(next))
    }
}
