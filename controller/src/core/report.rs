//! What an agent's status does: to its target, to a reversal, to a tombstone, to what was ended
//! without its word. A status is whole and may come again: nothing here may count on its being
//! new. It may also be a lie; then it is a lie about the agent's own server.

use jiff::Timestamp;

use extend_common::clock::before;
use extend_common::host::AgedFigures;
use extend_common::ids::{NodeAddr, OperationId};
use extend_common::operation::{TargetState, Verb};
use extend_common::record::{Desired, RecordId, RunState};
use extend_common::service::AgedService;
use extend_common::status::{Outcome, OutcomeKind, ServerStatus};

use super::advance::{End, enter};
use super::fleet::Fleet;
use super::key::Key;
use super::outside::Site;
use super::request::{Heartbeat, SessionNumber};
use super::turn::Turn;
use super::view::{HostSample, ServiceSample};
use super::words;

impl Fleet {
    /// Takes a status in. One of another than the node's present session is dropped.
    pub fn report(
        &mut self,
        session: SessionNumber,
        node: NodeAddr,
        status: ServerStatus,
        now: Timestamp,
    ) -> Turn<()> {
        if self.hear(session, node, now) {
            self.observe(node, status, now);
        }
        self.turn(())
    }

    /// Takes a sign of life in. Changes memory only.
    pub fn heartbeat(
        &mut self,
        session: SessionNumber,
        node: NodeAddr,
        heartbeat: Heartbeat,
        now: Timestamp,
    ) -> Turn<()> {
        if self.hear(session, node, now)
            && let Some(entry) = self.nodes.get_mut(&node)
        {
            let answers_again =
                !entry.docker_trouble.is_empty() && heartbeat.docker_trouble.is_empty();
            entry.docker_trouble = heartbeat.docker_trouble;
            entry.ledger_trouble = heartbeat.ledger_trouble;
            entry.unclaimed = heartbeat.unclaimed;
            entry.looked = heartbeat.looked;
            entry.clock_ahead = heartbeat.clock_ahead;
            if heartbeat.cloud.is_some() {
                entry.cloud = heartbeat.cloud;
            }
            if let Some(told) = heartbeat.host {
                let AgedFigures { age, figures } = *told;
                let at = before(now, age);
                entry.host = Some(HostSample { at, figures });
            }
            if let Some(told) = heartbeat.service {
                let AgedService { age, figures } = *told;
                let at = before(now, age);
                entry.service = Some(ServiceSample { at, figures });
            }
            if answers_again {
                self.begin_waiting(node, now);
            }
        }
        self.turn(())
    }

    /// Notes that a session is alive. False when it is not the node's present one.
    pub(super) fn hear(&mut self, session: SessionNumber, node: NodeAddr, now: Timestamp) -> bool {
        let Some(entry) = self.nodes.get_mut(&node) else {
            return false;
        };
        let Some(present) = entry
            .session
            .as_mut()
            .filter(|present| present.number == session)
        else {
            return false;
        };
        present.heard = now;
        present.suspect = false;
        entry.last_seen = Some(now);
        true
    }

    /// Takes in what is to be seen, whether reported or brought by a hello.
    pub(super) fn observe(&mut self, node: NodeAddr, status: ServerStatus, now: Timestamp) {
        let Some(entry) = self.nodes.get_mut(&node) else {
            return;
        };
        entry.status = Some(status.clone());
        entry.fresh = true;
        let times = self.count_by_docker(node, &status);
        self.note_by_docker(node, (&status, times), now);
        self.remember(node, now);
        let Some(entry) = self.nodes.get_mut(&node) else {
            return;
        };
        if !entry.is_commandable() {
            return;
        }
        entry.note_held(&status);
        self.note_failing(node, &status, now);
        let Some(entry) = self.nodes.get(&node) else {
            return;
        };
        let is_present = entry
            .row
            .record
            .as_ref()
            .is_some_and(|record| record.id == status.record);
        let open = entry.open();
        // Whoever waits for its turn there has not begun anything.
        let works = open.filter(|id| {
            let target = self.operations.get(id).and_then(|entry| entry.target(node));
            target.is_some_and(|row| !row.is_queued())
        });
        if is_present {
            match works {
                Some(id) => self.progress(id, node, &status, now),
                None => {
                    self.settle_tombstone(node, &status, now);
                    self.settle_spent(node, &status, now);
                }
            }
        }
        self.tell_late(node, &status);
        self.begin_waiting(node, now);
    }

    /// The status speaks of the node's present record, and an operation holds the server.
    fn progress(&mut self, id: OperationId, node: NodeAddr, status: &ServerStatus, now: Timestamp) {
        let Some(row) = self
            .operations
            .get(&id)
            .and_then(|entry| entry.target(node))
        else {
            return;
        };
        let stamp = status.record.stamp;
        if row.gate.is_some() {
            // What its agent has to say is known; the world outside is waited for.
        } else if row
            .ending
            .as_ref()
            .is_some_and(|ending| ending.reversal == stamp)
        {
            if let Some(outcome) = &status.outcome {
                self.put_back(id, node, status, outcome, now);
            }
        } else if row.ending.is_none() && row.target.stamp == Some(stamp) {
            match &status.outcome {
                Some(outcome) => self.conclude(id, node, status, outcome, now),
                None => self.show_progress(id, node, status, now),
            }
        }
    }

    /// The agent is at work. Phases are durable; the words beside them are not worth a write.
    fn show_progress(
        &mut self,
        id: OperationId,
        node: NodeAddr,
        status: &ServerStatus,
        now: Timestamp,
    ) {
        let Some(entry) = self.operations.get_mut(&id) else {
            return;
        };
        let news = entry.change(node, |row| {
            let target = &mut row.target;
            let woken = target.state == TargetState::Waiting;
            if woken {
                target.state = TargetState::Running;
                target.reason.clear();
            }
            let entered = enter(&mut target.phases, status.phase, now);
            let said = target.detail != status.detail;
            target.detail.clone_from(&status.detail);
            if entered || said {
                row.moved = Some(now);
            }
            (woken || entered, said)
        });
        if let Some((durable, said)) = news {
            if durable {
                self.write(Key::Target(id, node));
            }
            if durable || said {
                self.draft.changed(id);
            }
        }
    }

    fn why_declined(&self, id: OperationId, node: NodeAddr, reason: &str) -> String {
        let entry = self.operations.get(&id);
        let found = entry.and_then(|entry| Some((entry, entry.target(node)?)));
        match found {
            Some((entry, row)) => words::declined(&entry.row, &row.target, reason),
            None => reason.to_owned(),
        }
    }

    /// The target's record has come to its end.
    fn conclude(
        &mut self,
        id: OperationId,
        node: NodeAddr,
        status: &ServerStatus,
        outcome: &Outcome,
        now: Timestamp,
    ) {
        let verb = self.operations.get(&id).map(|entry| entry.row.verb);
        let state = match outcome.kind {
            OutcomeKind::Succeeded => TargetState::Succeeded,
            OutcomeKind::Failed | OutcomeKind::Declined => TargetState::Failed,
            OutcomeKind::RolledBack => TargetState::RolledBack,
        };
        let target = self
            .operations
            .get(&id)
            .and_then(|entry| entry.target(node));
        if target.is_some_and(|row| row.staging) {
            return self.conclude_stage(id, node, status, outcome, now);
        }
        let before = self.change_target(id, node, |row| {
            let target = &mut row.target;
            enter(&mut target.phases, status.phase, now);
            target.detail = words::left_behind(verb, state, status);
            if state == TargetState::Succeeded
                && let Some(image) = &status.serving_image
                && verb != Some(Verb::Rm)
            {
                target.image_after = words::image(image);
                target.identity_after.clone_from(&image.identity);
            }
            (row.prior.clone(), row.found.clone())
        });
        self.settle_tombstone(node, status, now);
        let (prior, found) = before.unwrap_or_default();
        if self.is_spent(node, prior.as_ref(), status, outcome) {
            self.reverse(id, node, prior, now);
        }
        let reason = match outcome.kind {
            OutcomeKind::Declined => self.why_declined(id, node, &outcome.reason),
            _ => words::reason(outcome, status, found.as_ref()),
        };
        if state == TargetState::Succeeded {
            self.change_target(id, node, |row| {
                row.said = Some((reason.clone(), row.target.detail.clone()));
            });
            if self.meets_gate_after(id, node, now) {
                return;
            }
        }
        let end = End {
            state,
            reason,
            evidence: outcome.evidence.clone(),
        };
        self.end(id, node, end, now);
    }

    /// Whether the record names a deployment that does not serve: it was new, and it failed.
    fn is_spent(
        &self,
        node: NodeAddr,
        prior: Option<&Desired>,
        status: &ServerStatus,
        outcome: &Outcome,
    ) -> bool {
        let record = self
            .nodes
            .get(&node)
            .and_then(|entry| entry.row.record.as_ref());
        let Some(desired) = record.map(|record| &record.desired) else {
            return false;
        };
        let was_new = !desired.run_state.is_tombstone()
            && prior.is_none_or(|prior| prior.deployment != desired.deployment);
        match outcome.kind {
            OutcomeKind::Succeeded => false,
            // Nothing was touched: what was to be before is what there is.
            OutcomeKind::Declined => true,
            OutcomeKind::RolledBack => was_new,
            OutcomeKind::Failed => was_new && status.serving != Some(desired.deployment),
        }
    }

    /// The record of a target that ended without the node's word turns out to be spent: what was
    /// before is put back on the record, too.
    fn settle_spent(&mut self, node: NodeAddr, status: &ServerStatus, now: Timestamp) {
        let Some(outcome) = &status.outcome else {
            return;
        };
        let record = self
            .nodes
            .get(&node)
            .and_then(|entry| entry.row.record.as_ref());
        let Some((id, stamp)) = record.and_then(|r| Some((r.desired.operation?, r.id.stamp)))
        else {
            return;
        };
        let row = self
            .operations
            .get(&id)
            .and_then(|entry| entry.target(node));
        // Only what the operation was for: its reversal is nothing to be reversed.
        let Some(row) = row.filter(|row| row.target.stamp == Some(stamp)) else {
            return;
        };
        let prior = row.prior.clone();
        if self.is_spent(node, prior.as_ref(), status, outcome) {
            self.reverse(id, node, prior, now);
        }
    }

    /// Commits what the server was to be before, at a new generation: the old deployment, or a
    /// tombstone where there was none.
    pub(super) fn reverse(
        &mut self,
        id: OperationId,
        node: NodeAddr,
        prior: Option<Desired>,
        now: Timestamp,
    ) -> Option<RecordId> {
        let present = self.nodes.get(&node)?.row.record.as_ref()?;
        let withdrawn = || Desired {
            run_state: RunState::Withdrawn,
            replace: None,
            ..present.desired.clone()
        };
        let desired = Desired {
            operation: Some(id),
            ..prior.unwrap_or_else(withdrawn)
        };
        self.commit_record(node, desired, now)
    }

    /// Drops a record whose tombstone the agent confirms. The chain stays, so that generations
    /// go on.
    pub(super) fn settle_tombstone(
        &mut self,
        node: NodeAddr,
        status: &ServerStatus,
        now: Timestamp,
    ) {
        let Some(entry) = self.nodes.get_mut(&node) else {
            return;
        };
        let confirmed = status.outcome.as_ref().map(|outcome| outcome.kind)
            == Some(OutcomeKind::Succeeded)
            && entry.row.record.as_ref().is_some_and(|record| {
                record.id == status.record && record.desired.run_state.is_tombstone()
            });
        if confirmed {
            let before = entry.row.record.take();
            entry.row.abandoned = None;
            self.write(Key::Node(node));
            self.forget_history(node);
            let before = before.map(|record| Site::of(&record.desired));
            self.outside_moves(node, before.as_ref(), None, now);
        }
    }

    /// The node tells about a record whose target ended without its word.
    fn tell_late(&mut self, node: NodeAddr, status: &ServerStatus) {
        let Some(outcome) = &status.outcome else {
            return;
        };
        let Some(entry) = self.nodes.get_mut(&node) else {
            return;
        };
        let stamp = status.record.stamp;
        // The whole id must be ours, not only its place in the order.
        let Some(at) = entry.untold.iter().position(|(known, _)| *known == stamp) else {
            return;
        };
        if !entry.row.chain.contains(&status.record) {
            return;
        }
        let (_, id) = entry.untold.remove(at);
        self.change_target(id, node, |row| {
            let put_back = row.target.stamp != Some(stamp);
            row.target.late = words::late(outcome, put_back);
        });
    }
}
