//! What an agent hears on its session: the engine's messages, and how the session ended.
//!
//! Polled by the server for as long as the session lasts. Dropping it is how the reading side learns
//! that the agent has gone. A verdict overtakes what is still queued: a session that was replaced or
//! revoked says nothing more.

use std::pin::{Pin, pin};
use std::task::{Context, Poll};

use extend_proto::v1;
use tokio::sync::oneshot;
use tokio_stream::Stream;
use tonic::Status;

use crate::api::show;
use crate::core::CloseReason;
use crate::engine::SessionReceiver;

/// How a session ends.
#[derive(Debug)]
pub(super) enum Verdict {
    /// For a reason that the agent is told.
    Told(Status),
    /// By the engine, which has left its reason with the queue.
    Closed,
}

/// The stream of one session.
#[derive(Debug)]
pub struct Outgoing {
    messages: SessionReceiver,
    /// The reading side's verdict. It is dropped without one when the agent has said goodbye.
    verdict: oneshot::Receiver<Verdict>,
    ended: bool,
}

impl Outgoing {
    pub(super) fn new(messages: SessionReceiver, verdict: oneshot::Receiver<Verdict>) -> Self {
        Self {
            messages,
            verdict,
            ended: false,
        }
    }
}

impl Stream for Outgoing {
    type Item = Result<v1::ControllerMessage, Status>;

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        if self.ended {
            return Poll::Ready(None);
        }
        if let Poll::Ready(verdict) = Pin::new(&mut self.verdict).poll(cx) {
            self.ended = true;
            return Poll::Ready(match verdict {
                Ok(Verdict::Told(status)) => Some(Err(status)),
                Ok(Verdict::Closed) => Some(Err(closed(self.messages.reason()))),
                Err(_) => None,
            });
        }
        // Made anew at every poll: it may be dropped at any point. The queue wakes this task for a
        // message; of its end the reading side is told, and passes it on as the verdict.
        match pin!(self.messages.recv()).poll(cx) {
            Poll::Ready(Some(message)) => Poll::Ready(Some(Ok(show::to_agent(message)))),
            Poll::Ready(None) | Poll::Pending => Poll::Pending,
        }
    }
}

/// Why the engine closed the session; none if it has died with it.
fn closed(reason: Option<CloseReason>) -> Status {
    let Some(reason) = reason else {
        return Status::unavailable("the controller is starting anew");
    };
    let text = format!("the session was closed: {reason}");
    match reason {
        CloseReason::Revoked
        | CloseReason::Removed
        | CloseReason::EnrolledAgain
        | CloseReason::NotInStore => Status::permission_denied(text),
        CloseReason::Replaced | CloseReason::Silent | CloseReason::Slow => Status::aborted(text),
        CloseReason::StoreFailed | CloseReason::ShuttingDown => Status::unavailable(text),
    }
}
