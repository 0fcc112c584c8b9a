//! The way from the engine to one agent: a bounded queue that is closed rather than waited for.
//!
//! `api/agent` makes a pair for each session, gives the sender to the engine and forwards what the
//! receiver yields. The engine never waits for an agent: whoever does not take its messages loses
//! the session, and is told everything again after its next hello.

use std::fmt;
use std::sync::{Arc, OnceLock};

use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;

use crate::core::CloseReason;
use crate::core::request::ToAgent;

/// So many messages wait for an agent. Messages are whole states: an agent that has so many
/// before it has not read for a long time.
pub const SESSION_QUEUE: usize = 16;

/// Makes the two ends of a session's queue.
pub fn channel() -> (SessionSender, SessionReceiver) {
    let (queue, messages) = mpsc::channel(SESSION_QUEUE);
    let end = End {
        token: CancellationToken::new(),
        reason: Arc::new(OnceLock::new()),
    };
    (
        SessionSender {
            queue,
            end: end.clone(),
        },
        SessionReceiver { messages, end },
    )
}

/// The engine's end. Dropping it closes the session.
#[derive(Debug)]
pub struct SessionSender {
    queue: mpsc::Sender<ToAgent>,
    end: End,
}

/// The agent's queue is full, or nobody reads it any more.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum SendError {
    /// The agent does not take its messages.
    #[error("the agent takes no messages: {SESSION_QUEUE} wait for it")]
    Full,
    /// The connection is gone.
    #[error("the connection is gone")]
    Gone,
}

impl SessionSender {
    /// Queues a message; never waits.
    ///
    /// # Errors
    /// When the session has to be given up.
    pub fn send(&self, message: ToAgent) -> Result<(), SendError> {
        self.queue.try_send(message).map_err(|error| match error {
            mpsc::error::TrySendError::Full(_) => SendError::Full,
            mpsc::error::TrySendError::Closed(_) => SendError::Gone,
        })
    }

    /// Ends the session at once: what is still queued is not delivered.
    pub fn close(&self, reason: CloseReason) {
        // The first reason is the one that counts.
        let _ = self.end.reason.set(reason);
        self.end.token.cancel();
    }

    /// Whether nobody reads any more.
    pub fn is_gone(&self) -> bool {
        self.queue.is_closed()
    }
}

impl Drop for SessionSender {
    fn drop(&mut self) {
        self.end.token.cancel();
    }
}

/// The connection's end.
#[derive(Debug)]
pub struct SessionReceiver {
    messages: mpsc::Receiver<ToAgent>,
    end: End,
}

impl SessionReceiver {
    /// The next message; none when the engine has closed the session. Safe to cancel.
    pub async fn recv(&mut self) -> Option<ToAgent> {
        tokio::select! {
            biased;
            () = self.end.token.cancelled() => None,
            message = self.messages.recv() => message,
        }
    }

    /// Resolves when the engine closes the session. Whoever drives the connection must end it
    /// then: an agent that does not read keeps [`SessionReceiver::recv`] from being asked.
    pub fn closed(&self) -> impl Future<Output = ()> + Send + 'static {
        self.end.token.clone().cancelled_owned()
    }

    /// Why the engine closed the session; none while it is open.
    pub fn reason(&self) -> Option<CloseReason> {
        self.end.reason.get().copied()
    }
}

#[derive(Clone)]
struct End {
    token: CancellationToken,
    reason: Arc<OnceLock<CloseReason>>,
}

impl fmt::Debug for End {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("End").field(&self.reason.get()).finish()
    }
}
