//! Operations that end before their work is done: by their deadline, or by an operator.
//!
//! ```text
//! queued ───────────────────────────────────────────────► ended
//! waiting or running, node away ── record abandoned ────► ended, put back at the next hello
//! running, node there ── reversal committed ── outcome ─► ended
//!                                          └─ bound ────► ended all the same
//! ```

use std::time::Duration;

use jiff::Timestamp;

use extend_common::clock::{after, since};
use extend_common::duration;
use extend_common::ids::{NodeAddr, OperationId};
use extend_common::operation::{Operation, TargetState};
use extend_common::roles::Timing;
use extend_common::status::{Outcome, OutcomeKind, Phase, ServerStatus};

use super::advance::End;
use super::fleet::Fleet;
use super::key::Key;
use super::node::Node;
use super::refusal::{Refusal, Unfound};
use super::row::{Abandoned, Ending};
use super::turn::Turn;

/// So long a target waits for its agent to say that the server is put back: a stop that was begun
/// runs to its end first (300 s), and what is put back has a minute to come up.
pub(super) const REVERSAL_BOUND: Duration = Duration::from_secs(420);

/// An agent that is there and does not come forward for so long has got stuck: longer than a stop
/// may take (300 s) and a start after it, and than the ten minutes after which an agent gives up a
/// step that does not end and does it again. Waiting for sessions has a limit of its own.
pub(super) const STUCK: Duration = Duration::from_secs(900);

/// The same for a role that gives its servers longer than others do.
fn stuck_after(timing: &Timing) -> Duration {
    STUCK.max(timing.stop_grace + timing.start_window + STUCK / 3)
}

impl Fleet {
    /// Ends an operation before its time.
    pub fn cancel(
        &mut self,
        text: &str,
        by: &str,
        now: Timestamp,
    ) -> Turn<Result<Operation, Refusal>> {
        let id = match self.find_operation(text) {
            Ok(id) => id,
            Err(refusal) => return self.turn(Err(refusal)),
        };
        let shown = self.operation(id);
        if let Some(operation) = &shown
            && let Some(ended) = operation.ended
        {
            let summary = operation.summary();
            let refusal = Unfound::OperationEnded {
                operation: id,
                summary,
                ended,
            };
            return self.turn(Err(refusal.into()));
        }
        self.end_early(
            id,
            TargetState::Cancelled,
            &format!("cancelled by {by}"),
            now,
        );
        let answer = self.show_operation(text);
        self.turn(answer)
    }

    /// Ends what has passed its time: operations, and targets that are being put back.
    pub(super) fn end_overdue(&mut self, now: Timestamp) {
        let open: Vec<_> = self
            .operations
            .iter()
            .filter(|(_, entry)| entry.row.ended.is_none())
            .map(|(id, entry)| (*id, entry.row.begun, entry.row.deadline))
            .collect();
        for (id, begun, deadline) in open {
            if deadline <= now {
                let took = duration::show(since(begun, deadline));
                let reason = format!("timed out after {took}");
                self.end_early(id, TargetState::TimedOut, &reason, now);
            }
            self.end_unconfirmed(id, now);
            self.end_stuck(id, now);
        }
    }

    /// Ends targets whose agents are there and do not come forward.
    fn end_stuck(&mut self, id: OperationId, now: Timestamp) {
        let Some(entry) = self.operations.get_mut(&id) else {
            return;
        };
        let mut stuck = Vec::new();
        for node in entry.open_nodes() {
            let there = self.nodes.get(&node).is_some_and(Node::is_commandable);
            entry.change(node, |row| {
                let waits = row.target.phase() == Phase::Draining
                    || row.ending.is_some()
                    || row.gate.is_some();
                if !there || waits || row.target.stamp.is_none() {
                    row.moved = Some(now);
                    return;
                }
                let moved = *row.moved.get_or_insert(now);
                let role = self.settings.roles.get(&row.target.role);
                let bound = role.map_or(STUCK, |role| stuck_after(&role.timing));
                if after(moved, bound) <= now {
                    stuck.push((node, row.target.phase(), row.target.detail.clone(), bound));
                }
            });
        }
        for (node, phase, detail, bound) in &stuck {
            let at = match detail.is_empty() {
                true => phase.to_string(),
                false => format!("{phase}: {detail}"),
            };
            let bound = duration::show(*bound);
            let reason = format!("it did not come forward for {bound} ({at})");
            self.end_target_early(id, *node, &End::new(TargetState::Failed, reason), now);
        }
        if !stuck.is_empty() {
            self.advance(id, now);
        }
    }

    /// The next moment at which [`Fleet::end_overdue`] has something to do.
    pub(super) fn next_end(&self) -> Option<Timestamp> {
        let open = self
            .operations
            .values()
            .filter(|entry| entry.row.ended.is_none());
        open.filter_map(|entry| {
            let targets = entry
                .targets()
                .iter()
                .filter(|row| !row.target.state.has_ended());
            // A target that is being put back is past caring about the deadline.
            targets
                .map(|row| row.ending.as_ref().map_or(entry.row.deadline, |e| e.until))
                .min()
        })
        .min()
    }

    /// Ends every open target, or begins to put it back.
    fn end_early(&mut self, id: OperationId, state: TargetState, reason: &str, now: Timestamp) {
        let Some(entry) = self.operations.get(&id) else {
            return;
        };
        let mut touched = false;
        for node in entry.open_nodes() {
            touched |= self.end_target_early(id, node, &End::new(state, reason), now);
        }
        if touched {
            self.advance(id, now);
        }
    }

    /// Returns whether something changed: a target that is being put back already is left.
    pub(super) fn end_target_early(
        &mut self,
        id: OperationId,
        node: NodeAddr,
        end: &End,
        now: Timestamp,
    ) -> bool {
        let row = self
            .operations
            .get(&id)
            .and_then(|entry| entry.target(node));
        let Some(row) = row.filter(|row| row.ending.is_none()) else {
            return false;
        };
        let (stamp, prior) = (row.target.stamp, row.prior.clone());
        let there = self.nodes.get(&node).is_some_and(Node::is_commandable);
        match stamp {
            // Its agent is done: only what lies outside was waited for.
            Some(_) if row.gate.is_some() => {
                let reason = match row.target.detail.is_empty() {
                    true => end.reason.clone(),
                    false => format!("{}; its node is done, {}", end.reason, row.target.detail),
                };
                self.end_only(id, node, End::new(end.state, reason), now);
            }
            Some(_) if there => {
                self.put_back_until(id, node, end, now);
            }
            Some(stamp) => {
                if let Some(entry) = self.nodes.get_mut(&node) {
                    entry.row.abandoned = Some(Abandoned {
                        operation: id,
                        prior,
                    });
                    entry.note_untold(stamp, id);
                    self.write(Key::Node(node));
                }
                let reason = match self.nodes.get(&node) {
                    Some(entry) => format!("{}; {}", end.reason, entry.away(node)),
                    None => end.reason.clone(),
                };
                self.end_only(id, node, End::new(end.state, reason), now);
            }
            None => self.end_only(id, node, End::new(end.state, end.reason.clone()), now),
        }
        true
    }

    /// Commits the reversal; the target goes on until its agent has put the server back.
    fn put_back_until(&mut self, id: OperationId, node: NodeAddr, end: &End, now: Timestamp) {
        let row = self
            .operations
            .get(&id)
            .and_then(|entry| entry.target(node));
        let prior = row.and_then(|row| row.prior.clone());
        let Some(reversal) = self
            .reverse(id, node, prior, now)
            .map(|record| record.stamp)
        else {
            return self.end_only(id, node, End::new(end.state, end.reason.clone()), now);
        };
        let until = after(now, REVERSAL_BOUND);
        let ending = Ending {
            state: end.state,
            reason: end.reason.clone(),
            reversal,
            until,
        };
        self.change_target(id, node, |row| {
            row.staging = false;
            row.target.state = TargetState::Running;
            row.target.detail = format!("{}, putting back", ending.reason);
            row.ending = Some(ending);
        });
    }

    /// The agent tells how putting back went.
    pub(super) fn put_back(
        &mut self,
        id: OperationId,
        node: NodeAddr,
        status: &ServerStatus,
        outcome: &Outcome,
        now: Timestamp,
    ) {
        let row = self
            .operations
            .get(&id)
            .and_then(|entry| entry.target(node));
        let Some(ending) = row.and_then(|row| row.ending.clone()) else {
            return;
        };
        let how = match outcome.kind {
            OutcomeKind::Succeeded => "the server was put back".to_owned(),
            _ => format!("putting the server back failed: {}", outcome.reason),
        };
        self.settle_tombstone(node, status, now);
        self.change_target(id, node, |row| row.target.detail.clear());
        let end = End {
            state: ending.state,
            reason: format!("{}; {how}", ending.reason),
            evidence: outcome.evidence.clone(),
        };
        self.end(id, node, end, now);
    }

    /// Ends targets whose agents did not say in time that the server is put back. The reversal
    /// is the node's record: the agent has it, or gets it with its next hello.
    fn end_unconfirmed(&mut self, id: OperationId, now: Timestamp) {
        let Some(entry) = self.operations.get(&id) else {
            return;
        };
        let overdue: Vec<_> = entry
            .targets()
            .iter()
            .filter_map(|row| {
                let ending = row.ending.as_ref().filter(|ending| ending.until <= now)?;
                Some((row.target.node, ending.clone()))
            })
            .collect();
        for (node, ending) in &overdue {
            if let Some(entry) = self.nodes.get_mut(node) {
                entry.note_untold(ending.reversal, id);
            }
            self.change_target(id, *node, |row| row.target.detail.clear());
            let bound = duration::show(REVERSAL_BOUND);
            let reason = format!(
                "{}; the node did not confirm within {bound} that the server was put back",
                ending.reason
            );
            self.end_only(id, *node, End::new(ending.state, reason), now);
        }
        if !overdue.is_empty() {
            self.advance(id, now);
        }
    }
}
