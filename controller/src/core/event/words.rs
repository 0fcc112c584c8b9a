//! The controller's own events: how an operation began and ended, and what became of itself.

use jiff::Timestamp;

use extend_common::clock::since;
use extend_common::duration;
use extend_common::event::{Event, EventKind};
use extend_common::operation::{Selector, TargetState};

use super::super::fleet::Fleet;
use super::super::operation::OperationEntry;
use super::super::request::ShimMended;
use super::super::row::TargetRow;
use super::super::turn::Turn;
use super::own;

/// So many servers that did not succeed are named with their reasons.
const NAMED: usize = 3;

impl Fleet {
    /// Notes that a controller has begun to serve this store.
    pub fn say_started(&mut self, now: Timestamp) -> Turn<()> {
        let text = format!("the controller started at epoch {}", self.epoch);
        self.note(own(EventKind::Controller, now, text));
        self.turn(())
    }

    /// Notes that PortSIP's `extend.sh` had taken the place of ours, unless that was noted before:
    /// whoever tells it tells it until it was answered.
    pub fn note_shim(&mut self, mended: &ShimMended, now: Timestamp) -> Turn<()> {
        let ShimMended {
            directory,
            seen,
            sha256,
        } = mended;
        let which = sha256.get(..12).unwrap_or(sha256);
        let text = format!(
            "PortSIP's extend.sh had taken the place of ours in {}: it is kept as \
             extend.sh.portsip (sha256 {which}…), and ours is back",
            super::cut(directory, 200)
        );
        let event = own(EventKind::Controller, *seen, text);
        if !self.events.is_known(&event) {
            self.keep(event, now);
        }
        self.turn(())
    }

    /// Notes that this memory replaces one that a failed commit has made useless. Written with
    /// the next thing that is: a store that has just failed is not asked for more.
    pub fn say_read_again(&mut self, now: Timestamp) {
        let text = format!(
            "the store failed, and the controller read it again at epoch {}",
            self.epoch
        );
        self.unsaid = Some(own(EventKind::Controller, now, text));
    }
}

/// An operation was submitted.
pub(in crate::core) fn begun(entry: &OperationEntry) -> Event {
    let row = &entry.row;
    let mut text = format!("{} begun by {}", what(entry), row.by);
    if !row.message.is_empty() {
        text = format!("{text}: {}", row.message);
    }
    for accepted in &row.options.accepted {
        text = format!(
            "{text}; accepted of the checkup: {} ({})",
            accepted.name, accepted.reason
        );
    }
    of_operation(entry, row.begun, text)
}

/// The last target of an operation has ended.
pub(in crate::core) fn ended(entry: &OperationEntry, now: Timestamp) -> Event {
    let took = duration::show(since(entry.row.begun, now));
    let targets = entry.targets();
    let [only] = targets else {
        let text = format!("{} ended after {took}: {}", what(entry), counts(targets));
        return of_operation(entry, now, text);
    };
    let target = &only.target;
    let mut text = format!("{} {} after {took}", what(entry), target.state);
    if target.state.is_failure() && !target.reason.is_empty() {
        text = format!("{text}: {}", target.reason);
    }
    Event {
        evidence: target.evidence.clone(),
        ..of_operation(entry, now, text)
    }
}

fn what(entry: &OperationEntry) -> String {
    let (verb, id) = (entry.row.verb, entry.row.id.short());
    match entry.targets() {
        [only] => format!("{verb} {id} of {}", only.target.name),
        several if entry.row.selector == Selector::default() => {
            format!("{verb} {id} of all {} servers", several.len())
        }
        several => format!(
            "{verb} {id} of {} servers ({})",
            several.len(),
            super::cut(&entry.row.selector.to_string(), 100)
        ),
    }
}

/// How many targets ended how, and why the first ones failed.
fn counts(targets: &[TargetRow]) -> String {
    let count = |state| {
        let ended = targets.iter().filter(|row| row.target.state == state);
        (ended.count(), state)
    };
    let counts = [
        TargetState::Succeeded,
        TargetState::Failed,
        TargetState::RolledBack,
        TargetState::TimedOut,
        TargetState::Cancelled,
        TargetState::Skipped,
    ]
    .map(count);
    let counts: Vec<_> = counts
        .into_iter()
        .filter(|(count, _)| *count > 0)
        .map(|(count, state)| format!("{count} {state}"))
        .collect();
    let failed = targets
        .iter()
        .map(|row| &row.target)
        .filter(|target| target.state.is_failure() && target.state != TargetState::Skipped);
    let mut text = counts.join(", ");
    for target in failed.take(NAMED) {
        let reason = super::cut(&target.reason, 80);
        text = format!("{text}; {} {}: {reason}", target.name, target.state);
    }
    text
}

fn of_operation(entry: &OperationEntry, at: Timestamp, text: String) -> Event {
    let only = match entry.targets() {
        [only] => Some(&only.target),
        _ => None,
    };
    Event {
        node: only.map(|target| target.node),
        name: only.map(|target| target.name.clone()),
        role: only.map(|target| target.role.clone()),
        operation: Some(entry.row.id),
        by: entry.row.by.clone(),
        ..own(EventKind::Operation, at, text)
    }
}
