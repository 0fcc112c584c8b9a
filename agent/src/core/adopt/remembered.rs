//! What the ledger remembers of a container that was taken over, and how steps change it.

use extend_common::record::{RunState, ServerRecord};

use super::Adopted;
use crate::core::entry::{Entry, Served};
use crate::core::step::Step;

impl Entry {
    /// From now on the container is ours, as the deployment that it serves.
    pub(in crate::core) fn take_over(&mut self, id: &str, restart_count: u64, served: Served) {
        self.adopted = Some(Adopted {
            id: id.to_owned(),
            deployment: served.deployment,
            untouched: true,
            restart_count,
        });
        self.candidate = None;
        self.serving = Some(served);
    }

    /// A container whose taking over is withdrawn is somebody else's again, from this moment on:
    /// nothing that a tombstone does may reach it.
    pub(in crate::core) fn let_go(&mut self, record: &ServerRecord) {
        let desired = &record.desired;
        let is_withdrawn = desired.run_state == RunState::Withdrawn;
        let held = self.adopted.as_ref().map(|adopted| &adopted.id);
        if !is_withdrawn || held.is_none() || held != desired.adopted.as_ref() {
            return;
        }
        self.adopted = None;
        self.serving = self
            .serving
            .take()
            .filter(|serving| serving.deployment != desired.deployment);
    }

    /// Notes that something is about to be done to a container that was taken over.
    pub(in crate::core) fn touch(&mut self, step: &Step) -> bool {
        let adopted = self.adopted.as_mut();
        let Some(adopted) = adopted.filter(|a| step.changes() == Some(a.id.as_str())) else {
            return false;
        };
        if matches!(step, Step::Start { .. }) {
            // Docker counts from nought again.
            adopted.restart_count = 0;
        }
        std::mem::replace(&mut adopted.untouched, false)
    }
}
