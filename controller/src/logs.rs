//! Who waits for which logs: brings the operator who reads and the agent that sends together.
//!
//! ```text
//! operator ── open ──► id ── engine ──► agent ── claim(id) ──► pieces ──► operator
//!               └── nobody has claimed it in time, or the operator has gone: the id is forgotten
//! ```
//!
//! Called by the two faces, apart from the engine: no log data passes through that. An id is good
//! for one call, of the node it was made for. Whatever ends, its place is free again.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll};
use std::time::Duration;

use extend_common::ids::NodeAddr;
use extend_common::logs::LogPiece;
use tokio::sync::{mpsc, oneshot};
use tokio::time::timeout;
use ulid::Ulid;

/// Logs that are read at once, of all nodes: each holds some pieces and two streams.
pub const MAX_READERS: usize = 32;
/// Of one node: as many as its agent reads. The agent's connection has room for their windows
/// beside the session's.
pub const MAX_READERS_OF_NODE: usize = 4;
/// An agent that is connected answers at once, and one that only seemed to be never does.
pub const ANSWER_LIMIT: Duration = Duration::from_secs(10);
/// Pieces between the two streams. Behind them the agent waits.
const QUEUED: usize = 4;

/// What comes from an agent.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Passed {
    /// A piece.
    Piece(LogPiece),
    /// All of it was sent. Without this the channel's end is a broken connection.
    End,
}

/// No more may read.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Full {
    /// From any node.
    #[error("{MAX_READERS} logs are being read already")]
    Everywhere,
    /// From this one.
    #[error("{MAX_READERS_OF_NODE} logs of the node are being read already")]
    Node,
}

/// Nobody has answered in time.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("there was no answer within {ANSWER_LIMIT:?}")]
pub struct Unanswered;

/// Everybody who reads or waits to. Clones are the same one.
#[derive(Debug, Clone, Default)]
pub struct Broker(Arc<Mutex<State>>);

#[derive(Debug, Default)]
struct State {
    waiting: HashMap<Ulid, Waiting>,
    /// Places taken, by node.
    taken: HashMap<NodeAddr, usize>,
}

#[derive(Debug)]
struct Waiting {
    node: NodeAddr,
    claimed: oneshot::Sender<()>,
    pieces: mpsc::Sender<Passed>,
}

impl Broker {
    fn state(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Takes a place for a reader of a node's logs.
    ///
    /// # Errors
    /// When all are taken.
    pub fn open(&self, node: NodeAddr) -> Result<Reader, Full> {
        let mut state = self.state();
        if state.taken.values().sum::<usize>() >= MAX_READERS {
            return Err(Full::Everywhere);
        }
        let taken = state.taken.entry(node).or_default();
        if *taken >= MAX_READERS_OF_NODE {
            return Err(Full::Node);
        }
        *taken += 1;
        let (sender, pieces) = mpsc::channel(QUEUED);
        let (claimed, answered) = oneshot::channel();
        // Random in 80 of its bits: nobody guesses the id of somebody else's request.
        let id = Ulid::generate();
        let waiting = Waiting {
            node,
            claimed,
            pieces: sender,
        };
        state.waiting.insert(id, waiting);
        drop(state);
        let place = Place {
            broker: self.clone(),
            node,
            id,
        };
        Ok(Reader {
            answered,
            pieces,
            place,
        })
    }

    /// The way to the reader that an id names; none for an id that was used, is not known, or is
    /// another node's.
    pub fn claim(&self, id: Ulid, node: NodeAddr) -> Option<mpsc::Sender<Passed>> {
        let mut state = self.state();
        if state.waiting.get(&id)?.node != node {
            return None;
        }
        let Waiting {
            claimed, pieces, ..
        } = state.waiting.remove(&id)?;
        // A reader that has gone is found out at the first piece.
        let _ = claimed.send(());
        Some(pieces)
    }

    /// How many read or wait.
    pub fn readers(&self) -> usize {
        self.state().taken.values().sum()
    }
}

/// The operator's end.
#[derive(Debug)]
pub struct Reader {
    answered: oneshot::Receiver<()>,
    pieces: mpsc::Receiver<Passed>,
    place: Place,
}

impl Reader {
    /// Names this reader to the agent.
    pub fn id(&self) -> Ulid {
        self.place.id
    }

    /// Waits until the agent has called.
    ///
    /// # Errors
    /// When it does not in time.
    pub async fn answered(&mut self) -> Result<(), Unanswered> {
        match timeout(ANSWER_LIMIT, &mut self.answered).await {
            Ok(Ok(())) => Ok(()),
            Ok(Err(_)) | Err(_) => {
                // An answer that comes later finds nobody.
                self.place.forget();
                Err(Unanswered)
            }
        }
    }

    /// What comes next; none without [`Passed::End`] before it is a broken connection.
    pub fn poll_next(&mut self, cx: &mut Context<'_>) -> Poll<Option<Passed>> {
        self.pieces.poll_recv(cx)
    }
}

/// A place that is taken for as long as this lives.
#[derive(Debug)]
struct Place {
    broker: Broker,
    node: NodeAddr,
    id: Ulid,
}

impl Place {
    fn forget(&self) {
        self.broker.state().waiting.remove(&self.id);
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        let mut state = self.broker.state();
        state.waiting.remove(&self.id);
        if let Some(taken) = state.taken.get_mut(&self.node) {
            *taken -= 1;
            if *taken == 0 {
                state.taken.remove(&self.node);
            }
        }
    }
}

#[cfg(test)]
mod tests;
