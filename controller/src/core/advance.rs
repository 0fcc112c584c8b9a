//! How an operation goes on: targets begin, targets end, and with the last one the operation.

use jiff::Timestamp;

use extend_common::ids::{NodeAddr, OperationId};
use extend_common::operation::{PhaseEntry, TargetState};
use extend_common::status::{Evidence, Phase};

use super::event::words;
use super::fleet::Fleet;
use super::key::Key;
use super::rollout::{self, Advance};
use super::row::TargetRow;

/// So many ended operations are kept; with the next one the oldest goes.
pub(super) const KEPT: usize = 1_000;

/// How a target ends.
pub(super) struct End {
    pub(super) state: TargetState,
    pub(super) reason: String,
    pub(super) evidence: Option<Evidence>,
}

impl End {
    pub(super) fn new(state: TargetState, reason: impl Into<String>) -> Self {
        Self {
            state,
            reason: reason.into(),
            evidence: None,
        }
    }
}

impl Fleet {
    /// Lets begin what may begin, skips what will not, and ends the operation with its last
    /// target.
    pub(super) fn advance(&mut self, id: OperationId, now: Timestamp) {
        self.backlog.remove(&id);
        let Some(entry) = self
            .operations
            .get(&id)
            .filter(|entry| entry.row.ended.is_none())
        else {
            return;
        };
        if entry.has_queued() {
            let targets = entry.targets().iter().map(|row| &row.target);
            for advance in rollout::next(entry.row.verb, targets) {
                match advance {
                    Advance::Begin(node) => self.begin(id, node, now),
                    Advance::Skip(node, reason) => {
                        self.end_only(id, node, End::new(TargetState::Skipped, reason), now);
                    }
                }
            }
        }
        let Some(entry) = self.operations.get_mut(&id) else {
            return;
        };
        if entry.is_done() {
            entry.row.ended = Some(now);
            let told = words::ended(entry, now);
            self.ended += 1;
            self.write(Key::Operation(id));
            self.draft.changed(id);
            self.note(told);
            self.forget_old();
        } else if entry.has_queued() && !rollout::is_rolling(entry.row.verb) {
            self.backlog.insert(id);
        }
    }

    /// Ends a target and goes on with its operation.
    pub(super) fn end(&mut self, id: OperationId, node: NodeAddr, end: End, now: Timestamp) {
        self.end_only(id, node, end, now);
        self.advance(id, now);
    }

    /// Ends a target. Whoever calls this advances the operation afterwards.
    pub(super) fn end_only(&mut self, id: OperationId, node: NodeAddr, end: End, now: Timestamp) {
        let ended = self.change_target(id, node, |row| {
            let target = &mut row.target;
            if target.state.has_ended() {
                return false;
            }
            target.state = end.state;
            target.reason = end.reason;
            target.evidence = end.evidence.or(target.evidence.take());
            target.ended = Some(now);
            row.ending = None;
            true
        });
        if ended == Some(true)
            && let Some(entry) = self.nodes.get_mut(&node)
            && entry.open == Some(id)
        {
            entry.open = None;
        }
    }

    /// Changes a target, durably.
    pub(super) fn change_target<T>(
        &mut self,
        id: OperationId,
        node: NodeAddr,
        change: impl FnOnce(&mut TargetRow) -> T,
    ) -> Option<T> {
        let result = self.operations.get_mut(&id)?.change(node, change)?;
        self.write(Key::Target(id, node));
        self.draft.changed(id);
        Some(result)
    }

    /// Drops the oldest ended operations beyond the bound.
    fn forget_old(&mut self) {
        while self.ended > KEPT {
            let oldest = self
                .operations
                .iter()
                .find(|(_, entry)| entry.row.ended.is_some());
            let Some(id) = oldest.map(|(id, _)| *id) else {
                return;
            };
            let Some(entry) = self.operations.remove(&id) else {
                return;
            };
            self.ended -= 1;
            self.requests.remove(&entry.row.request);
            self.write(Key::Operation(id));
            for row in entry.targets() {
                self.draft.writes.insert(Key::Target(id, row.target.node));
            }
        }
    }
}

/// A hostile agent could name phases for ever; the first ones and the present one are kept.
const MAX_PHASES: usize = 32;

/// Notes that a target is in a phase. Returns whether that is news.
pub(super) fn enter(phases: &mut Vec<PhaseEntry>, phase: Phase, at: Timestamp) -> bool {
    if phases.last().is_some_and(|last| last.phase == phase) {
        return false;
    }
    if phases.len() >= MAX_PHASES {
        phases.pop();
    }
    phases.push(PhaseEntry { phase, at });
    true
}
