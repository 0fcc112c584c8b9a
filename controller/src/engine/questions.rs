//! Questions to agents: where does a reference lead, for plans; what does firewalld on a node of
//! the PBX let in, for its enforcer. Asked through the engine, answered past it, and nobody waits
//! for ever.
//!
//! ```text
//! submit --plan ── open ──► id ── engine ──► agent ── told(id) ──► plan
//! enforcer      ── open ──► id ── engine ──► agent ── told(id) ──► diff
//! ```

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::sync::oneshot;
use tokio::time::timeout;
use ulid::Ulid;

use extend_common::ids::NodeAddr;

/// Questions of a kind that are open at once.
const MAX_OPEN: usize = 64;

/// Who waits for which answer. Clones are the same one.
#[derive(Debug)]
pub(super) struct Questions<T>(Arc<Mutex<HashMap<Ulid, Open<T>>>>);

#[derive(Debug)]
struct Open<T> {
    node: NodeAddr,
    answer: oneshot::Sender<T>,
}

impl<T> Clone for Questions<T> {
    fn clone(&self) -> Self {
        Self(Arc::clone(&self.0))
    }
}

impl<T> Default for Questions<T> {
    fn default() -> Self {
        Self(Arc::default())
    }
}

impl<T> Questions<T> {
    fn state(&self) -> MutexGuard<'_, HashMap<Ulid, Open<T>>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Opens a question to a node; none when too many are open.
    pub(super) fn open(&self, node: NodeAddr) -> Option<Question<T>> {
        let mut state = self.state();
        if state.len() >= MAX_OPEN {
            return None;
        }
        // Random in 80 of its bits: no node guesses the id of another's question.
        let id = Ulid::generate();
        let (answer, told) = oneshot::channel();
        state.insert(id, Open { node, answer });
        Some(Question {
            questions: self.clone(),
            id,
            told,
        })
    }

    /// Takes an answer. One that nobody waits for, or of another node, is dropped.
    pub(super) fn told(&self, node: NodeAddr, id: Ulid, answer: T) {
        let mut state = self.state();
        if state.get(&id).is_some_and(|open| open.node == node)
            && let Some(open) = state.remove(&id)
        {
            // Whoever has asked may be gone.
            let _ = open.answer.send(answer);
        }
    }
}

/// A question that is open for as long as this lives.
#[derive(Debug)]
pub(super) struct Question<T> {
    questions: Questions<T>,
    id: Ulid,
    told: oneshot::Receiver<T>,
}

impl<T> Question<T> {
    pub(super) fn id(&self) -> Ulid {
        self.id
    }

    /// The answer; none when it has not come within `limit`.
    pub(super) async fn answer(mut self, limit: Duration) -> Option<T> {
        let told = timeout(limit, &mut self.told).await;
        told.ok().and_then(Result::ok)
    }
}

impl<T> Drop for Question<T> {
    fn drop(&mut self) {
        self.questions.state().remove(&self.id);
    }
}
