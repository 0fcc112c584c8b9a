//! Watchers of operations: each sees the latest committed value, and the last one always.

use std::collections::HashMap;
use std::sync::Arc;

use tokio::sync::watch;

use extend_common::ids::OperationId;
use extend_common::operation::Operation;

/// The operations that somebody watches.
#[derive(Debug, Default)]
pub(super) struct Watchers {
    senders: HashMap<OperationId, watch::Sender<Arc<Operation>>>,
}

impl Watchers {
    pub(super) fn is_watched(&self, id: OperationId) -> bool {
        self.senders.contains_key(&id)
    }

    pub(super) fn watched(&self) -> Vec<OperationId> {
        self.senders.keys().copied().collect()
    }

    /// A receiver that begins with `present`.
    pub(super) fn subscribe(&mut self, present: Arc<Operation>) -> watch::Receiver<Arc<Operation>> {
        if present.ended.is_some() {
            // Nothing will follow: the receiver finds its sender gone.
            return watch::channel(present).1;
        }
        self.senders
            .entry(present.id)
            .or_insert_with(|| watch::channel(present).0)
            .subscribe()
    }

    /// Shows a committed value to whoever watches.
    pub(super) fn publish(&mut self, operation: Arc<Operation>) {
        let id = operation.id;
        let has_ended = operation.ended.is_some();
        if let Some(sender) = self.senders.get(&id) {
            sender.send_replace(operation);
            if has_ended || sender.is_closed() {
                self.senders.remove(&id);
            }
        }
    }

    /// Leaves the watchers of an operation that is no longer there.
    pub(super) fn drop_operation(&mut self, id: OperationId) {
        self.senders.remove(&id);
    }

    /// Forgets operations that nobody watches any more.
    pub(super) fn sweep(&mut self) {
        self.senders.retain(|_, sender| !sender.is_closed());
    }
}
