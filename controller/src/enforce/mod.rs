//! What is wanted outside is made so: one task for each enforcer, beside the engine.
//!
//! ```text
//!        list changed │ sync │ every interval          back-off
//!                     ▼                                  ▲
//!   ┌──────► look ──► diff ──► adds, renewals ──┐        │ a fault
//!   │                  │       (one at a time)  ├────────┘
//!   │                  └─ none: removals ───────┤
//!   │                                           │ something was done
//!   └───────────────────────────────────────────┘
//!                      nothing to do: Round ──► engine
//! ```
//!
//! Level-triggered: every round begins with a look, so nothing depends on what an earlier one
//! believed. An answer that never came is no answer: it is looked again before anything is
//! repeated. Removals are done only after a look that has found nothing to add, and no step is
//! done for a list that has changed since.

mod absent;
mod cycle;
mod drift;
pub mod firewalld;
mod memory;
mod pbx;
mod poke;
mod portal;
#[cfg(feature = "aws")]
mod security_group;

#[cfg(test)]
mod tests;

use std::future::Future;
use std::time::Duration;

use extend_common::backoff::Backoff;

use crate::whitelist::{EnforcerKind, Entry, Policy, Step};

pub use absent::Absent;
pub use cycle::Task;
pub use memory::{InMemory, Mishap, Outside};
pub use pbx::PbxFilters;
pub use poke::{Ask, Asked, Pokes};
pub use portal::PortalTask;
#[cfg(feature = "aws")]
pub use security_group::SecurityGroup;

/// One place outside that lets addresses in.
///
/// Calls are made one after the other. Steps may be done twice: an entry that is there already,
/// and one that is gone already, are successes.
pub trait Enforcer: Send + 'static {
    /// Which one it is.
    fn kind(&self) -> EnforcerKind;

    /// What it can do; asked after each look.
    fn policy(&self) -> Policy;

    /// All entries that are there, ours and those of others.
    fn look(&mut self) -> impl Future<Output = Result<Vec<Entry>, Fault>> + Send;

    /// Does one step.
    fn apply(&mut self, step: &Step) -> impl Future<Output = Result<(), Fault>> + Send;
}

/// Why a look or a step came to nothing.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Fault {
    /// What it means for what comes next.
    pub kind: FaultKind,
    /// Operation, object and cause.
    pub sentence: String,
    /// What a person can do about it.
    pub hint: String,
    /// Nothing is tried for so long, when the other side has said so.
    pub wait: Option<Duration>,
}

/// What a fault means for what comes next.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum FaultKind {
    /// This step was refused and nothing has happened; others may go.
    ThisStep,
    /// Nothing has happened, and nothing else would now: too many requests, nobody there, no
    /// permission.
    Everything,
    /// Whether it has happened is not known.
    Unclear,
}

/// How fast an enforcer goes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Pace {
    /// The time from one round to the next when nothing happens.
    pub interval: Duration,
    /// The least time between two steps.
    pub between: Duration,
    /// A look or a step that takes longer is given up.
    pub patience: Duration,
    /// How rounds with faults are repeated; never later than the interval.
    pub backoff: Backoff,
}

impl Pace {
    /// What a person changes is put right within a minute, also when a look or a step is given up
    /// on the way.
    pub const USUAL: Self = Self {
        interval: Duration::from_secs(15),
        between: Duration::from_millis(200),
        patience: Duration::from_secs(15),
        backoff: Backoff {
            first: Duration::from_secs(1),
            most: Duration::from_secs(15),
        },
    };
}
