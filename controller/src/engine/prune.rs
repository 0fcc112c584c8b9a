//! What is in the archive is dropped when it has been kept for long enough: a task beside the
//! engine's that looks now and then, and has the engine drop some rows at a time.

use std::time::Duration;

use jiff::Timestamp;
use tokio::sync::{mpsc, oneshot};
use tokio_util::sync::CancellationToken;

use extend_common::clock::Clock;

use super::command::Command;
use crate::core::ArchiveKey;
use crate::core::archive::is_due;
use crate::store::{Order, Range, StoreHandle};

/// How long after the start to look first: agents come back meanwhile.
const FIRST: Duration = Duration::from_secs(60);
/// How often to look.
const INTERVAL: Duration = Duration::from_secs(3_600);
/// How long to wait when there is more to be dropped: commits go first.
const SOON: Duration = Duration::from_secs(1);
/// So many rows are dropped at once.
const STEP: usize = 200;

/// An operation first, then its targets: in between nobody finds half of one.
const PREFIXES: [&str; 3] = [
    ArchiveKey::OPERATIONS,
    ArchiveKey::TARGETS,
    ArchiveKey::EVENTS,
];

/// What the task works with. It holds the engine's queue only while it says something: the engine
/// ends when nobody else does.
pub(super) struct Pruner {
    pub(super) store: StoreHandle,
    pub(super) commands: mpsc::WeakSender<Command>,
    pub(super) keep: Duration,
    pub(super) clock: Clock,
    pub(super) shutdown: CancellationToken,
}

/// The engine has gone.
struct Gone;

impl Pruner {
    /// Looks until the engine ends.
    pub(super) async fn run(self) {
        let mut wait = FIRST;
        loop {
            tokio::select! {
                () = self.shutdown.cancelled() => return,
                () = tokio::time::sleep(wait) => {}
            }
            wait = match self.step().await {
                Ok(true) => SOON,
                Ok(false) => INTERVAL,
                Err(Gone) => return,
            };
        }
    }

    /// Drops some of what is due. Returns whether there may be more of it.
    async fn step(&self) -> Result<bool, Gone> {
        let now = self.clock.now();
        for prefix in PREFIXES {
            let due = self.due(prefix, now).await;
            if due.is_empty() {
                continue;
            }
            let rows = due.len();
            let (reply, dropped) = oneshot::channel();
            let commands = self.commands.upgrade().ok_or(Gone)?;
            let asked = commands.send(Command::Prune { keys: due, reply }).await;
            drop(commands);
            asked.map_err(|_| Gone)?;
            match dropped.await {
                Ok(Ok(())) => tracing::info!(rows, prefix, "dropped from the archive: too old"),
                Ok(Err(error)) => {
                    // It is there the next time, too.
                    tracing::warn!(%error, prefix, "not dropped from the archive");
                    return Ok(false);
                }
                Err(_) => return Err(Gone),
            }
            return Ok(true);
        }
        Ok(false)
    }

    async fn due(&self, prefix: &str, now: Timestamp) -> Vec<ArchiveKey> {
        let range = Range::under(prefix, Order::Ascending).limit(STEP);
        let page = match self.store.range(range).await {
            Ok(page) => page,
            Err(error) => {
                tracing::warn!(%error, prefix, "the archive cannot be read");
                return Vec::new();
            }
        };
        let rows = page.entries.iter();
        let due = rows.filter_map(|entry| {
            let key = entry.key.parse().ok()?;
            is_due(&key, &entry.value, self.keep, now).then_some(key)
        });
        due.collect()
    }
}
