//! Watchers of operations: each sees the latest committed value, and the last one always.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::watch;
use tokio::time::Instant;

use extend_common::ids::OperationId;
use extend_common::operation::Operation;

/// A large operation is shown so often at most: each time, all of its targets are copied, and it
/// changes with every word of thousands of agents.
const PAUSE: Duration = Duration::from_millis(100);

/// The operations that somebody watches.
#[derive(Debug, Default)]
pub(super) struct Watchers {
    watched: HashMap<OperationId, Watched>,
}

#[derive(Debug)]
struct Watched {
    sender: watch::Sender<Arc<Operation>>,
    shown: Instant,
    /// It has changed since it was shown.
    stale: bool,
}

impl Watchers {
    /// Whether a changed operation is to be shown with the present batch. If it is watched and
    /// not shown now, it is among the [`Watchers::stale`] ones.
    pub(super) fn wants(&mut self, id: OperationId, at_once: bool) -> bool {
        let Some(watched) = self.watched.get_mut(&id) else {
            return false;
        };
        let wants = at_once || watched.shown.elapsed() >= PAUSE;
        watched.stale = !wants;
        if wants {
            watched.shown = Instant::now();
        }
        wants
    }

    /// Operations that have changed since they were shown.
    pub(super) fn stale(&self) -> Vec<OperationId> {
        let stale = self.watched.iter().filter(|(_, watched)| watched.stale);
        stale.map(|(id, _)| *id).collect()
    }

    pub(super) fn all(&self) -> Vec<OperationId> {
        self.watched.keys().copied().collect()
    }

    /// A receiver that begins with `present`.
    pub(super) fn subscribe(&mut self, present: Arc<Operation>) -> watch::Receiver<Arc<Operation>> {
        if present.ended.is_some() {
            // Nothing will follow: the receiver finds its sender gone.
            return watch::channel(present).1;
        }
        let id = present.id;
        let begin = || {
            let sender = watch::channel(present).0;
            Watched {
                sender,
                shown: Instant::now(),
                stale: false,
            }
        };
        self.watched
            .entry(id)
            .or_insert_with(begin)
            .sender
            .subscribe()
    }

    /// Shows a committed value to whoever watches.
    pub(super) fn publish(&mut self, operation: Arc<Operation>) {
        let id = operation.id;
        let has_ended = operation.ended.is_some();
        if let Some(watched) = self.watched.get(&id) {
            watched.sender.send_replace(operation);
            if has_ended || watched.sender.is_closed() {
                self.watched.remove(&id);
            }
        }
    }

    /// Leaves the watchers of an operation that is no longer there.
    pub(super) fn drop_operation(&mut self, id: OperationId) {
        self.watched.remove(&id);
    }

    /// Forgets operations that nobody watches any more.
    pub(super) fn sweep(&mut self) {
        self.watched
            .retain(|_, watched| !watched.sender.is_closed());
    }
}
