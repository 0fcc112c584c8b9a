//! What one input leads to: an answer, rows to commit, and effects that wait for the commit.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

use extend_common::ids::{NodeAddr, OperationId};

use super::archive::ArchiveKey;
use super::counted::Counted;
use super::key::Key;
use super::request::{SessionNumber, ToAgent};

/// The result of one input. A comparable value: tests compare turns.
#[derive(Debug, Clone, PartialEq, Eq)]
#[must_use = "the writes of a turn have to be committed and its effects released"]
pub struct Turn<T> {
    /// For whoever asked; to be given after the commit.
    pub answer: T,
    /// The rows whose values have changed. Their present value is the fleet's to tell
    /// ([`super::Fleet::value`]), so that a row changed by several turns of a batch is written
    /// once.
    pub writes: BTreeSet<Key>,
    /// Rows of the archive, whole: what they tell of has left the memory, or is about to.
    pub archived: BTreeMap<ArchiveKey, Vec<u8>>,
    /// What happens after the commit, in this order.
    pub effects: Vec<Effect>,
}

impl<T> Turn<T> {
    /// Whether nothing is to be committed and nothing released.
    pub fn is_quiet(&self) -> bool {
        self.writes.is_empty() && self.archived.is_empty() && self.effects.is_empty()
    }
}

impl Turn<()> {
    /// A turn that changes nothing and has an operation shown again.
    pub fn showing(id: OperationId) -> Self {
        Self {
            answer: (),
            writes: BTreeSet::new(),
            archived: BTreeMap::new(),
            effects: vec![Effect::Changed(id)],
        }
    }
}

/// What happens in the world once the writes are committed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Effect {
    /// Says something to an agent, if that session is still its present one.
    Send {
        /// To which node.
        node: NodeAddr,
        /// In which session.
        session: SessionNumber,
        /// What.
        message: ToAgent,
    },
    /// Ends a session.
    Close {
        /// Of which node.
        node: NodeAddr,
        /// Which session.
        session: SessionNumber,
        /// Why.
        reason: CloseReason,
    },
    /// An operation looks different now: its watchers are shown.
    Changed(OperationId),
    /// Other sources may knock now.
    Door,
    /// There are events that nobody has been shown.
    Events,
    /// What is wanted outside the nodes may be another thing now.
    Outside,
    /// Something that is counted for the metrics has happened.
    Counted(Counted),
}

impl Effect {
    /// The operation that looks different now, if that is the effect.
    pub fn changed(&self) -> Option<OperationId> {
        match self {
            Self::Changed(id) => Some(*id),
            Self::Send { .. }
            | Self::Close { .. }
            | Self::Door
            | Self::Events
            | Self::Outside
            | Self::Counted(_) => None,
        }
    }
}

/// Why the engine ends a session.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum CloseReason {
    /// The node has opened a newer one.
    Replaced,
    /// The node was revoked.
    Revoked,
    /// The node was removed.
    Removed,
    /// The node joined again, with another key.
    EnrolledAgain,
    /// Nothing was heard for too long.
    Silent,
    /// The agent did not take its messages.
    Slow,
    /// The controller lost its memory to a failed commit; a new session tells it everything.
    StoreFailed,
    /// The store no longer admits nodes it does not have.
    NotInStore,
    /// The controller is going down.
    ShuttingDown,
}

impl fmt::Display for CloseReason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::Replaced => "the node has opened a newer session",
            Self::Revoked => "the node was revoked",
            Self::Removed => "the node was removed",
            Self::EnrolledAgain => "the node joined again with another key",
            Self::Silent => "nothing was heard of the agent for too long",
            Self::Slow => "the agent did not take its messages",
            Self::StoreFailed => "the controller's store failed",
            Self::NotInStore => "the node is not in the controller's store",
            Self::ShuttingDown => "the controller is shutting down",
        })
    }
}

/// What a turn has gathered so far.
#[derive(Debug, Default)]
pub(super) struct Draft {
    pub(super) writes: BTreeSet<Key>,
    pub(super) archived: BTreeMap<ArchiveKey, Vec<u8>>,
    pub(super) effects: Vec<Effect>,
}

impl Draft {
    /// Notes a change of an operation, once however often it changes in a turn.
    pub(super) fn changed(&mut self, id: OperationId) {
        let effect = Effect::Changed(id);
        // The last ones are the likely ones; a repeated effect would do no harm.
        if !self
            .effects
            .iter()
            .rev()
            .take(4)
            .any(|known| *known == effect)
        {
            self.effects.push(effect);
        }
    }

    pub(super) fn events(&mut self) {
        self.once(Effect::Events);
    }

    pub(super) fn outside(&mut self) {
        self.once(Effect::Outside);
    }

    pub(super) fn door(&mut self) {
        self.once(Effect::Door);
    }

    pub(super) fn count(&mut self, counted: Counted) {
        self.effects.push(Effect::Counted(counted));
    }

    fn once(&mut self, effect: Effect) {
        if !self.effects.contains(&effect) {
            self.effects.push(effect);
        }
    }
}
