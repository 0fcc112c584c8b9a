//! What happened, as far as the metrics count it: values of closed sets, released like every other
//! effect, so that nothing is counted that was not committed and nothing is counted twice.
//!
//! The counts themselves are the engine's (`engine/meter`): they outlive a memory that a failed
//! commit has made useless.

use std::time::Duration;

use jiff::Timestamp;

use extend_common::clock::since;
use extend_common::event::{Event, EventKind};
use extend_common::ids::{NodeAddr, OperationId, RoleName, ServerName};
use extend_common::operation::{TargetState, Verb};
use extend_common::status::ServerStatus;

use super::fleet::Fleet;
use super::operation::OperationEntry;

/// Why a server was restarted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum RestartCause {
    /// The agent: it ran and did not answer.
    Hung,
    /// The agent: it had ended.
    Ended,
    /// The agent: the kernel had ended it for memory.
    Memory,
    /// Docker's own restart policy.
    Docker,
    /// An operator's `restart`.
    Operator,
}

impl RestartCause {
    /// Every cause.
    pub const ALL: [Self; 5] = [
        Self::Hung,
        Self::Ended,
        Self::Memory,
        Self::Docker,
        Self::Operator,
    ];

    /// In one word.
    pub fn word(self) -> &'static str {
        match self {
            Self::Hung => "hung",
            Self::Ended => "ended",
            Self::Memory => "memory",
            Self::Docker => "docker",
            Self::Operator => "operator",
        }
    }

    /// What an agent's sentence says of a restart that it began: agents of every version begin it
    /// with one of two words, and name the memory where the kernel did.
    fn told(text: &str) -> Self {
        if text.starts_with("restarting it") {
            Self::Hung
        } else if text.contains("memory") {
            Self::Memory
        } else {
            Self::Ended
        }
    }
}

/// Something that is counted. A role that no definition of this controller has is none.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Counted {
    /// Servers of a role were restarted so often.
    Restarts(Option<RoleName>, RestartCause, u64),
    /// An agent has given up restarting a server.
    Quarantined(Option<RoleName>),
    /// An operation was begun.
    Begun(Verb),
    /// An operation has ended.
    Ended {
        /// What it was.
        verb: Verb,
        /// The worst end of its targets.
        outcome: TargetState,
        /// From its submission on.
        took: Duration,
    },
}

impl Counted {
    /// An operation whose last target has ended.
    pub(super) fn ended(entry: &OperationEntry, now: Timestamp) -> Self {
        Self::Ended {
            verb: entry.row.verb,
            outcome: worst(entry.targets().iter().map(|row| row.target.state)),
            took: since(entry.row.begun, now),
        }
    }
}

/// The worst of several ends, in the order in which operators are told of them.
fn worst(states: impl Iterator<Item = TargetState> + Clone) -> TargetState {
    [
        TargetState::Failed,
        TargetState::RolledBack,
        TargetState::TimedOut,
        TargetState::Cancelled,
        TargetState::Skipped,
    ]
    .into_iter()
    .find(|worst| states.clone().any(|state| state == *worst))
    .unwrap_or(TargetState::Succeeded)
}

/// What is known of Docker's restarts of a node's server: the container that was seen last, also
/// while there is none, and how often it had been restarted then.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct ByDocker {
    name: ServerName,
    last: Option<(String, u64)>,
}

impl ByDocker {
    /// How often Docker has restarted the server since `known`: none is known of a server that was
    /// not seen before. Docker counts from nought again after a start on purpose.
    fn count(known: &mut Option<Self>, status: &ServerStatus) -> u64 {
        let current = status.current.as_ref();
        let current = current.map(|current| {
            let container = current.instance.container_id.clone();
            (container, current.docker_restarts)
        });
        let Some(known) = known.as_mut().filter(|known| known.name == status.name) else {
            *known = Some(Self {
                name: status.name.clone(),
                last: current,
            });
            return 0;
        };
        let Some((container, restarts)) = current else {
            return 0;
        };
        let before = match &known.last {
            Some((last, before)) if *last == container && *before <= restarts => *before,
            _ => 0,
        };
        known.last = Some((container, restarts));
        restarts - before
    }
}

impl Fleet {
    /// A role, if a definition of this controller has it: labels come from closed sets.
    pub(super) fn defined(&self, role: &RoleName) -> Option<RoleName> {
        self.settings.roles.get(role).map(|role| role.role.clone())
    }

    /// An event that an agent has told for the first time.
    pub(super) fn count_event(&mut self, event: &Event) {
        let role = event.role.as_ref().and_then(|role| self.defined(role));
        match event.kind {
            EventKind::Restart => {
                let cause = RestartCause::told(&event.text);
                self.draft.count(Counted::Restarts(role, cause, 1));
            }
            EventKind::Quarantine if event.text.starts_with("quarantined") => {
                self.draft.count(Counted::Quarantined(role));
            }
            _ => {}
        }
    }

    /// What Docker did by itself since a node's server was seen before. Answers how often.
    pub(super) fn count_by_docker(&mut self, node: NodeAddr, now: &ServerStatus) -> u64 {
        let entry = self.nodes.get_mut(&node);
        let times = entry.map_or(0, |entry| ByDocker::count(&mut entry.by_docker, now));
        if times > 0 {
            let role = self.defined(&now.role);
            self.draft
                .count(Counted::Restarts(role, RestartCause::Docker, times));
        }
        times
    }

    /// A target has ended.
    pub(super) fn count_target(
        &mut self,
        id: OperationId,
        node: NodeAddr,
        verb: Verb,
        state: TargetState,
    ) {
        if verb != Verb::Restart || state != TargetState::Succeeded {
            return;
        }
        let entry = self.operations.get(&id);
        let role = entry.and_then(|entry| Some(entry.target(node)?.target.role.clone()));
        let role = role.and_then(|role| self.defined(&role));
        self.draft
            .count(Counted::Restarts(role, RestartCause::Operator, 1));
    }
}

#[cfg(test)]
mod tests;
