//! In which order the targets of an operation begin.
//!
//! `run`, `start`, `stop` and `rm` begin everywhere at once. `restart` and `upgrade` take a
//! server out of service: one server of a role at a time, roles side by side, in the order of
//! their addresses, and nothing more begins after the first failure.

use extend_common::ids::NodeAddr;
use extend_common::operation::{Target, TargetState, Verb};

/// So many targets begin in one turn; the rest follow in the next ones. It keeps a transaction
/// small, and the first agents are told while the others' records are still being written.
pub const BEGINS_AT_ONCE: usize = 2_000;

/// What happens next to a target that is queued.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Advance {
    /// Its turn has come.
    Begin(NodeAddr),
    /// Its turn will not come.
    Skip(NodeAddr, String),
}

/// Whether a verb goes from server to server.
pub fn is_rolling(verb: Verb) -> bool {
    matches!(verb, Verb::Restart | Verb::Upgrade)
}

/// What happens next, given the targets in the order of their addresses.
pub fn next<'a>(verb: Verb, targets: impl Iterator<Item = &'a Target> + Clone) -> Vec<Advance> {
    let queued = targets
        .clone()
        .filter(|target| target.state == TargetState::Queued);
    if !is_rolling(verb) {
        return queued
            .take(BEGINS_AT_ONCE)
            .map(|target| Advance::Begin(target.node))
            .collect();
    }
    if let Some(failed) = targets.clone().find(|target| is_stopper(target)) {
        return queued
            .map(|target| Advance::Skip(target.node, because_of(failed)))
            .collect();
    }
    let mut busy: Vec<_> = targets
        .filter(|target| is_under_way(target))
        .map(|target| &target.role)
        .collect();
    let mut advances = Vec::new();
    for target in queued {
        if !busy.contains(&&target.role) {
            busy.push(&target.role);
            advances.push(Advance::Begin(target.node));
        }
    }
    advances
}

fn is_under_way(target: &Target) -> bool {
    !target.state.has_ended() && target.state != TargetState::Queued
}

/// A failure after which nothing more begins. A skipped target is the consequence of one.
fn is_stopper(target: &Target) -> bool {
    target.state.is_failure() && target.state != TargetState::Skipped
}

/// Names the target, not its reason: that stands beside the target itself.
fn because_of(failed: &Target) -> String {
    format!(
        "not begun, because {} at {} {}",
        failed.name,
        failed.node,
        ended(failed.state)
    )
}

fn ended(state: TargetState) -> &'static str {
    match state {
        TargetState::Cancelled => "was cancelled",
        TargetState::TimedOut => "timed out",
        _ => "failed",
    }
}
