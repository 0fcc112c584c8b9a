//! The senders of the open sessions, by node. The core knows their numbers, the engine the ends of
//! their queues.

use std::collections::HashMap;

use extend_common::ids::NodeAddr;

use super::session::{SendError, SessionSender};
use crate::core::CloseReason;
use crate::core::request::{SessionNumber, ToAgent};

/// Every open session.
#[derive(Debug, Default)]
pub(super) struct Sessions {
    /// A node may have two for a moment: the one that a newer one replaces is closed when that is
    /// committed.
    senders: HashMap<(NodeAddr, SessionNumber), SessionSender>,
}

impl Sessions {
    pub(super) fn open(&mut self, node: NodeAddr, number: SessionNumber, sender: SessionSender) {
        self.senders.insert((node, number), sender);
    }

    /// Says something to an agent. Returns false when the session has to be given up: it is
    /// closed then.
    pub(super) fn send(&mut self, node: NodeAddr, number: SessionNumber, message: ToAgent) -> bool {
        let Some(sender) = self.senders.get(&(node, number)) else {
            return true;
        };
        match sender.send(message) {
            Ok(()) => true,
            Err(SendError::Full) => {
                tracing::warn!(%node, session = %number, "the agent takes no messages");
                self.close(node, number, CloseReason::Slow);
                false
            }
            Err(SendError::Gone) => {
                self.senders.remove(&(node, number));
                false
            }
        }
    }

    pub(super) fn close(&mut self, node: NodeAddr, number: SessionNumber, reason: CloseReason) {
        if let Some(sender) = self.senders.remove(&(node, number)) {
            tracing::info!(%node, session = %number, %reason, "session closed");
            sender.close(reason);
        }
    }

    /// Forgets a session whose connection has ended by itself.
    pub(super) fn forget(&mut self, node: NodeAddr, number: SessionNumber) {
        self.senders.remove(&(node, number));
    }

    pub(super) fn close_all(&mut self, reason: CloseReason) {
        for (_, sender) in self.senders.drain() {
            sender.close(reason);
        }
    }

    /// Sessions whose connections are gone without anybody having said so.
    pub(super) fn gone(&self) -> Vec<(NodeAddr, SessionNumber)> {
        let gone = self.senders.iter().filter(|(_, sender)| sender.is_gone());
        gone.map(|(key, _)| *key).collect()
    }
}
