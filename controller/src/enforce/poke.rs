//! Has enforcers go at once, for an operator who waits.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use tokio::sync::{mpsc, oneshot};
use tokio::time::{Instant, timeout_at};

use crate::whitelist::EnforcerKind;

/// So many operators may wait for the same enforcer; it serves all of them with one round.
const WAITING: usize = 16;

/// An enforcer is to go at once.
#[derive(Debug)]
pub struct Ask {
    /// Orphans that go, by their ids; any of these that is no orphan stays.
    pub prune: BTreeSet<String>,
    /// Who asks.
    pub by: String,
    /// Told when the round has been.
    pub done: oneshot::Sender<()>,
}

/// Where an enforcer is asked; its task holds it.
pub type Asked = mpsc::Receiver<Ask>;

/// Asks every enforcer that there is.
#[derive(Debug, Clone, Default)]
pub struct Pokes {
    enforcers: BTreeMap<EnforcerKind, mpsc::Sender<Ask>>,
}

impl Pokes {
    /// Takes an enforcer in; the other end is for its [`Task`](super::Task).
    pub fn register(&mut self, kind: EnforcerKind) -> Asked {
        let (ask, asked) = mpsc::channel(WAITING);
        self.enforcers.insert(kind, ask);
        asked
    }

    /// Which enforcers there are.
    pub fn kinds(&self) -> impl Iterator<Item = EnforcerKind> + '_ {
        self.enforcers.keys().copied()
    }

    /// Has all of them go and waits for their rounds, `within` at most. Gives back those that
    /// have not ended a round by then.
    pub async fn sync(
        &self,
        prune: &BTreeMap<EnforcerKind, BTreeSet<String>>,
        by: &str,
        within: Duration,
    ) -> BTreeSet<EnforcerKind> {
        let mut waited = Vec::new();
        let mut late: BTreeSet<EnforcerKind> = self.kinds().collect();
        for (kind, enforcer) in &self.enforcers {
            let (done, end) = oneshot::channel();
            let ask = Ask {
                prune: prune.get(kind).cloned().unwrap_or_default(),
                by: by.to_owned(),
                done,
            };
            if enforcer.try_send(ask).is_ok() {
                waited.push((*kind, end));
            }
        }
        let until = Instant::now() + within;
        for (kind, end) in waited {
            // One that has ended is known also when the time is over.
            if let Ok(Ok(())) = timeout_at(until, end).await {
                late.remove(&kind);
            }
        }
        late
    }
}
