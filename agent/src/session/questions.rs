//! What a controller asks beside its records, and is answered on the session: each question in a task
//! of its own, a few at a time. Who knows the answer is not known here.

use std::future::Future;

use extend_proto::v1;
use extend_proto::v1::agent_message::Kind;
use tokio::sync::mpsc;
use tokio::task::JoinSet;

/// Questions that are open at once. More are not even answered: the controller gives up waiting.
pub(crate) const MAX_OPEN: usize = 8;
/// The longest id that is sent back: a ULID has 26 characters.
pub(crate) const MAX_ID: usize = 64;

/// The questions of one session. Dropping it ends them.
pub struct Questions {
    to: mpsc::Sender<v1::AgentMessage>,
    open: JoinSet<()>,
}

impl Questions {
    /// Answers go to `to`.
    pub fn new(to: mpsc::Sender<v1::AgentMessage>) -> Self {
        Self {
            to,
            open: JoinSet::new(),
        }
    }

    /// Takes a question; never waits.
    pub fn take(&mut self, id: &str, answer: impl Future<Output = Kind> + Send + 'static) {
        while self.open.try_join_next().is_some() {}
        if self.open.len() >= MAX_OPEN || id.is_empty() || id.len() > MAX_ID {
            tracing::warn!("a question is not answered: there are too many, or it has no id");
            return;
        }
        let to = self.to.clone();
        self.open.spawn(async move {
            let kind = Some(answer.await);
            // A session that has ended has nobody to tell.
            let _ = to.send(v1::AgentMessage { kind }).await;
        });
    }
}
