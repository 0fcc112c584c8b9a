//! Where a record is on its course, and its end: what is open, what is looked after meanwhile, and
//! what remains of a record that was declined.

use extend_common::record::{Drain, RunState};
use extend_common::status::{Outcome, OutcomeKind};
use jiff::Timestamp;

use super::entry::Entry;
use super::step::Seen;

impl Entry {
    /// Whether the record was not begun, because sessions were left: what served before does so
    /// still, and the record asks for nothing any more.
    pub fn is_declined(&self) -> bool {
        let declined = |outcome: &Outcome| outcome.kind == OutcomeKind::Declined;
        self.outcome.as_ref().is_some_and(declined)
    }

    /// Whether the server should run: by the record's word, or as before when that was declined.
    /// Only what runs has sessions.
    pub fn run_state(&self) -> RunState {
        match self.is_declined() {
            true => RunState::Running,
            false => self.record.desired.run_state,
        }
    }

    /// Whether an image is to be fetched ahead for the record, and the record has not come to its
    /// end. What serves is looked after as if it had.
    pub fn is_staging(&self) -> bool {
        let desired = &self.record.desired;
        let stays = !desired.run_state.is_tombstone();
        self.outcome.is_none() && stays && desired.staged.is_some()
    }

    /// Whether the record waits for sessions to end while the server goes on running.
    pub fn is_holding(&self) -> bool {
        let desired = &self.record.desired;
        let holds = matches!(desired.drain, Drain::Hold { .. });
        let stays = !desired.run_state.is_tombstone() && !self.is_deploying();
        self.outcome.is_none() && holds && stays
    }

    /// Whether the record is open and asks for nothing that the server itself would notice: what
    /// serves is looked after as if it had come to its end.
    pub fn is_beside_the_server(&self) -> bool {
        self.is_staging() || self.is_holding()
    }

    /// The record has come to its end.
    pub(super) fn settle(&mut self, kind: OutcomeKind, reason: &str, seen: Seen, now: Timestamp) {
        let spent = self.spent.as_ref().filter(|_| !self.is_staging());
        let evidence = seen
            .evidence
            .or_else(|| spent.and_then(|s| s.evidence.clone()));
        let evidence = evidence.filter(|_| kind != OutcomeKind::Succeeded);
        let warning = seen.warning.filter(|_| reason.is_empty());
        self.outcome = Some(Outcome {
            kind,
            reason: warning.unwrap_or_else(|| reason.to_owned()),
            evidence,
            at: now,
        });
        if kind == OutcomeKind::Declined {
            self.candidate = None;
        }
        let is_done = kind == OutcomeKind::Succeeded;
        if self.record.desired.run_state.is_tombstone() && is_done {
            self.serving = None;
            self.candidate = None;
            self.spent = None;
            self.adopted = None;
            self.previous = None;
            self.data_bytes = seen.data_bytes;
        }
    }
}
