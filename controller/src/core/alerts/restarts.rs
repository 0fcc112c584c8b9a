//! How often servers were restarted within the last hour: by their agents, and by Docker.
//!
//! Counted by the minute, so that no story that a node tells takes more than [`MINUTES`] places.
//! In memory only: what agents did is counted again from the kept events, and what Docker did before
//! this memory is not known.

use std::collections::BTreeMap;
use std::time::Duration;

use jiff::Timestamp;

use extend_common::clock::before;
use extend_common::ids::{NodeAddr, ServerName};

/// Restarts are counted over so long.
pub(super) const HOUR: Duration = Duration::from_secs(60 * MINUTES);
const MINUTES: u64 = 60;

/// Who restarts.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum By {
    /// The agent: what hangs, and what has ended for good.
    Agent,
    /// Docker's own restart policy.
    Docker,
}

/// The restarts of all servers.
#[derive(Debug, Default)]
pub(super) struct Restarts(BTreeMap<(NodeAddr, By), Times>);

/// Those of one server.
#[derive(Debug)]
struct Times {
    name: ServerName,
    /// By the minute: when the first was, and how many there were.
    minutes: BTreeMap<i64, (Timestamp, u64)>,
}

impl Restarts {
    /// Counts what was done to a server. What was done to another one on its node counts no longer.
    pub(super) fn add(
        &mut self,
        (node, by): (NodeAddr, By),
        name: &ServerName,
        (at, times): (Timestamp, u64),
    ) {
        let known = self.0.entry((node, by)).or_insert_with(|| Times {
            name: name.clone(),
            minutes: BTreeMap::new(),
        });
        if known.name != *name {
            known.name.clone_from(name);
            known.minutes.clear();
        }
        let minute = at.as_second().div_euclid(60);
        let (first, count) = known.minutes.entry(minute).or_insert((at, 0));
        *first = at.min(*first);
        *count = count.saturating_add(times);
    }

    /// Lets go of what is older than an hour.
    pub(super) fn forget_old(&mut self, now: Timestamp) {
        let old = before(now, HOUR).as_second().div_euclid(60);
        self.0.retain(|_, times| {
            times.minutes.retain(|minute, _| *minute > old);
            !times.minutes.is_empty()
        });
    }

    /// When the first one was, and how many there were; none at all: nothing.
    pub(super) fn of(&self, node: NodeAddr, by: By, name: &ServerName) -> Option<(Timestamp, u64)> {
        let times = self
            .0
            .get(&(node, by))
            .filter(|known| known.name == *name)?;
        let (first, _) = times.minutes.values().next()?;
        let counts = times.minutes.values().map(|(_, count)| *count);
        Some((*first, counts.fold(0, u64::saturating_add)))
    }
}
