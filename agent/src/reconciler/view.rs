//! What the agent has to tell: published by the reconciler, read by sessions.

use extend_common::record::ServerRecord;
use extend_common::status::{ServerStatus, Unclaimed};

use crate::core::adopt::Adopted;
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
    /// The container of somebody else's that was taken over, by the ledger.
    pub adopted: Option<Adopted>,
    /// How the server is; none while there is no record, or nothing has been seen yet.
    pub status: Option<ServerStatus>,
    /// Containers with a service's name and no record.
    pub unclaimed: Vec<Unclaimed>,
    /// Whether Docker has been looked at: what is not unclaimed then is not there.
    pub looked: bool,
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
            adopted: ledger
                .server
                .as_ref()
                .and_then(|entry| entry.adopted.clone()),
            ..Self::default()
        }
    }
}
