//! Keeps probes apart that would otherwise be asked at the same moments: those of one node, and
//! those of nodes that were started together. Pure.

use std::hash::{DefaultHasher, Hash as _, Hasher as _};
use std::time::Duration;

use extend_common::ids::NodeAddr;

/// An interval is shortened by up to this part of it. Never lengthened: so many failures are seen
/// within so many intervals.
const PART: u32 = 10;
/// How finely.
const STEPS: u64 = 1_000;

/// The jitter of one probe on one node, the same each time it is made.
#[derive(Debug, Clone)]
pub(super) struct Jitter {
    seed: (NodeAddr, usize),
    round: u64,
}

impl Jitter {
    /// Of the probe with this number in its role's definition.
    pub(super) fn of(node: NodeAddr, number: usize) -> Self {
        Self {
            seed: (node, number),
            round: 0,
        }
    }

    /// The next interval.
    pub(super) fn shorten(&mut self, interval: Duration) -> Duration {
        self.round = self.round.wrapping_add(1);
        // Not for secrets: everybody may know when a probe is asked.
        let mut hasher = DefaultHasher::new();
        (self.seed, self.round).hash(&mut hasher);
        let step = u32::try_from(hasher.finish() % STEPS).unwrap_or(0);
        let steps = PART * u32::try_from(STEPS).unwrap_or(u32::MAX);
        interval - interval * step / steps
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    const INTERVAL: Duration = Duration::from_secs(5);

    fn first(node: &str, number: usize) -> Vec<Duration> {
        let mut jitter = Jitter::of(node.parse().unwrap(), number);
        (0..100).map(|_| jitter.shorten(INTERVAL)).collect()
    }

    #[test]
    fn an_interval_is_shortened_by_a_tenth_at_most_and_is_never_longer() {
        let all = first("172.31.16.138", 0);
        let shortest = INTERVAL - INTERVAL / PART;
        assert!(
            all.iter().all(|i| (shortest..=INTERVAL).contains(i)),
            "{all:?}"
        );
        let spread = *all.iter().max().unwrap() - *all.iter().min().unwrap();
        assert!(spread > INTERVAL / PART * 8 / 10, "{spread:?}");
        assert_eq!(all, first("172.31.16.138", 0), "the same each time");
    }

    #[test]
    fn nodes_and_probes_differ() {
        let others = [
            first("172.31.16.138", 0),
            first("172.31.16.138", 1),
            first("172.31.16.139", 0),
        ];
        assert_eq!(others.iter().collect::<BTreeSet<_>>().len(), others.len());
    }
}
