//! Takes in what a session says: the welcome's epoch, and records, one at a time to the ledger.

use extend_common::clock::after;
use extend_common::record::ServerRecord;

use tracing::field::display;

use super::{Command, Reconciler, Running};
use crate::core::accept::Ignored;
use crate::core::entry::Ledger;
use crate::core::plan::Hold;

impl Reconciler {
    pub(super) fn take_in(&mut self, command: Command) {
        match command {
            Command::Welcomed(facts) => self.welcomed = Some(facts),
            Command::Hold { lasts, reason } => {
                let until = after(self.parts.clock.now(), lasts);
                tracing::warn!(%until, reason, "restarts are held");
                self.hold = Some(Hold { until, reason });
            }
            Command::Assign {
                session,
                record,
                recovered,
            } => {
                if record.desired.node != self.parts.settings.facts.node {
                    tracing::warn!(reason = %Ignored::OtherNode, "assignment ignored");
                    return;
                }
                let newer = |held: &ServerRecord| record.id.stamp > held.id.stamp;
                if self.pending.as_ref().is_none_or(|(_, held, _)| newer(held)) {
                    self.pending = Some((session, record, recovered));
                }
            }
        }
    }

    /// A newer record ends a step that may take minutes; every other step runs to its end.
    pub(super) fn drop_what_is_overtaken(&mut self) {
        let Some((_, record, _)) = &self.pending else {
            return;
        };
        let held = self
            .parts
            .ledger
            .server
            .as_ref()
            .map(|entry| entry.record.id.stamp);
        let newer = held.is_none_or(|held| record.id.stamp > held);
        if newer && self.job.as_ref().is_some_and(Running::is_long) {
            self.job = None;
            self.look_at = self.parts.clock.now();
        }
    }

    /// The ledger with what the controller has said, if that changes it.
    pub(super) fn next_ledger(&mut self) -> Option<Ledger> {
        if let Some((session, record, recovered)) = self.pending.take() {
            let stamp = record.id.stamp;
            match self
                .parts
                .ledger
                .accept(&session, *record.clone(), recovered)
            {
                Ok(next) => {
                    let server = record.desired.name.as_str();
                    let operation = record.desired.operation.as_ref().map(display);
                    tracing::info!(server, operation, %stamp, "taking a record");
                    self.pending = Some((session, record, recovered));
                    return Some(next);
                }
                Err(Ignored::Known) => {}
                Err(reason) => tracing::warn!(%stamp, %reason, "assignment ignored"),
            }
        }
        let facts = self.welcomed.as_ref()?;
        let ours = self
            .parts
            .ledger
            .store
            .as_ref()
            .is_some_and(|store| *store == facts.store);
        if ours && facts.epoch > self.parts.ledger.epoch {
            return Some(Ledger {
                epoch: facts.epoch,
                ..self.parts.ledger.clone()
            });
        }
        self.welcomed = None;
        None
    }
}
