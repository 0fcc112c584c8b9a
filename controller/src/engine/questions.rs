//! Questions to agents, for plans: where does a reference lead? Asked through the engine, answered
//! past it, and nobody waits for ever.
//!
//! ```text
//! submit --plan ── open ──► id ── engine ──► agent ── told(id) ──► plan
//! ```

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::sync::oneshot;
use tokio::time::timeout;
use ulid::Ulid;

use extend_common::ids::NodeAddr;

use crate::core::request::Lead;

/// An agent that is connected answers within eight seconds, whatever its registry does.
const LIMIT: Duration = Duration::from_secs(10);
/// Questions that are open at once, of all operators.
const MAX_OPEN: usize = 64;

/// Who waits for which answer. Clones are the same one.
#[derive(Debug, Clone, Default)]
pub(super) struct Questions(Arc<Mutex<HashMap<Ulid, Open>>>);

#[derive(Debug)]
struct Open {
    node: NodeAddr,
    answer: oneshot::Sender<Lead>,
}

impl Questions {
    fn state(&self) -> MutexGuard<'_, HashMap<Ulid, Open>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Opens a question to a node; none when too many are open.
    pub(super) fn open(&self, node: NodeAddr) -> Option<Question> {
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
    pub(super) fn told(&self, node: NodeAddr, id: Ulid, lead: Lead) {
        let mut state = self.state();
        if state.get(&id).is_some_and(|open| open.node == node)
            && let Some(open) = state.remove(&id)
        {
            // Whoever has asked may be gone.
            let _ = open.answer.send(lead);
        }
    }
}

/// A question that is open for as long as this lives.
#[derive(Debug)]
pub(super) struct Question {
    questions: Questions,
    id: Ulid,
    told: oneshot::Receiver<Lead>,
}

impl Question {
    pub(super) fn id(&self) -> Ulid {
        self.id
    }

    /// The answer, or that there is none.
    pub(super) async fn answer(mut self) -> Lead {
        match timeout(LIMIT, &mut self.told).await {
            Ok(Ok(lead)) => lead,
            Ok(Err(_)) | Err(_) => {
                let seconds = LIMIT.as_secs();
                Lead::Unknown(format!("its agent did not answer within {seconds}s"))
            }
        }
    }
}

impl Drop for Question {
    fn drop(&mut self) {
        self.questions.state().remove(&self.id);
    }
}
