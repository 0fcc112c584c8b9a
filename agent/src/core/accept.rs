//! Whether an assignment becomes the agent's record.

use extend_common::record::{ServerRecord, Stamp};

use super::entry::{Entry, Ledger};

/// What the present session says about its controller.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SessionFacts {
    /// Its store.
    pub store: String,
    /// Its epoch.
    pub epoch: u64,
}

/// Why an assignment is left alone.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Ignored {
    /// It is the record that the agent has.
    #[error("the record is known")]
    Known,
    /// It comes after a newer one.
    #[error("record {0} comes after {1}")]
    Stale(Stamp, Stamp),
    /// The controller was replaced by one with a higher epoch.
    #[error("the controller's epoch {0} is older than {1}")]
    OldEpoch(u64, u64),
    /// It comes from another store, and was not taken back from this ledger.
    #[error("the record comes from the store {0}, this agent follows {1}")]
    OtherStore(String, String),
    /// It is for another node.
    #[error("the record is for another node")]
    OtherNode,
    /// It has the same place in the order and another content.
    #[error("record {0} has another content than the one that is held")]
    Forked(Stamp),
}

impl Ledger {
    /// The ledger with the record taken, or why it is left alone.
    ///
    /// # Errors
    /// When the record must not be acted upon.
    pub fn accept(
        &self,
        session: &SessionFacts,
        record: ServerRecord,
        recovered: bool,
    ) -> Result<Self, Ignored> {
        if session.epoch < self.epoch && !recovered {
            return Err(Ignored::OldEpoch(session.epoch, self.epoch));
        }
        if let Some(own) = self
            .store
            .as_ref()
            .filter(|own| **own != session.store && !recovered)
        {
            return Err(Ignored::OtherStore(session.store.clone(), own.clone()));
        }
        let mut next = self.clone();
        next.store = Some(session.store.clone());
        next.epoch = next.epoch.max(session.epoch);
        match &mut next.server {
            Some(entry) => {
                let (held, new) = (entry.record.id, record.id);
                if new == held {
                    return Err(Ignored::Known);
                }
                if new.stamp == held.stamp {
                    return Err(Ignored::Forked(new.stamp));
                }
                if new.stamp < held.stamp {
                    return Err(Ignored::Stale(new.stamp, held.stamp));
                }
                entry.take(record);
            }
            server => *server = Some(Entry::new(record)),
        }
        Ok(next)
    }
}
