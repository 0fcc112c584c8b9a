//! What the agent has to tell: published by the reconciler, read by sessions.

use extend_common::record::ServerRecord;
use extend_common::status::{ServerStatus, Unclaimed};

use crate::core::entry::Ledger;

/// Everything that a hello, a status or a heartbeat is made from.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct AgentView {
    /// The store whose records the agent follows.
    pub store: Option<String>,
    /// The highest epoch it has been welcomed with.
    pub epoch: u64,
    /// The record in the ledger.
    pub record: Option<ServerRecord>,
    /// How the server is; none while there is no record, or nothing has been seen yet.
    pub status: Option<ServerStatus>,
    /// Containers with a service's name and no record.
    pub unclaimed: Vec<Unclaimed>,
    /// Empty while Docker answers.
    pub docker_trouble: String,
    /// Empty while the ledger can be written.
    pub ledger_trouble: String,
}

impl AgentView {
    pub(super) fn of(ledger: &Ledger) -> Self {
        Self {
            store: ledger.store.clone(),
            epoch: ledger.epoch,
            record: ledger.server.as_ref().map(|entry| entry.record.clone()),
            ..Self::default()
        }
    }
}
