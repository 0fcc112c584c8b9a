//! How often somebody may do something.
//!
//! Owns two small things: the pace of one, and a bounded table of paces by key. Used by the faces
//! for messages, sessions and attempts to join. It never asks for the time and never waits: the
//! caller says when it is and acts on the answer.

use std::collections::HashMap;
use std::hash::Hash;
use std::time::Duration;

use tokio::time::Instant;

/// One every so often, and so many at once after a rest.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Rate {
    /// The lasting distance between two.
    pub(crate) every: Duration,
    /// How many may come at once. Not 0.
    pub(crate) burst: u32,
}

/// The pace of one sender: when its present debt is paid.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Pace {
    paid: Option<Instant>,
}

impl Pace {
    /// Whether one more may come now. What was refused costs nothing.
    pub(crate) fn allows(&mut self, rate: Rate, now: Instant) -> bool {
        let paid = self.paid.unwrap_or(now).max(now);
        if paid.duration_since(now) > rate.every * rate.burst.saturating_sub(1) {
            return false;
        }
        self.paid = Some(paid + rate.every);
        true
    }

    /// Whether it is as good as new.
    fn is_rested(self, now: Instant) -> bool {
        self.paid.is_none_or(|paid| paid <= now)
    }
}

/// The paces of many, by key, in a table that a stranger cannot make grow.
#[derive(Debug)]
pub(crate) struct Paces<K> {
    rate: Rate,
    most: usize,
    table: HashMap<K, Pace>,
}

impl<K: Eq + Hash> Paces<K> {
    /// A table of at most `most` keys that are not rested.
    pub(crate) fn new(rate: Rate, most: usize) -> Self {
        Self {
            rate,
            most,
            table: HashMap::new(),
        }
    }

    /// Whether `key` may do it once more now. When the table is full of the restless, a new key is
    /// refused: forgetting one of them would let it in again too early.
    pub(crate) fn allows(&mut self, key: K, now: Instant) -> bool {
        if self.table.len() >= self.most && !self.table.contains_key(&key) {
            self.table.retain(|_, pace| !pace.is_rested(now));
            if self.table.len() >= self.most {
                return false;
            }
        }
        self.table.entry(key).or_default().allows(self.rate, now)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: Duration = Duration::from_secs(1);

    #[test]
    fn one_a_second_means_one_a_second() {
        let rate = Rate {
            every: SECOND,
            burst: 1,
        };
        let (start, mut pace) = (Instant::now(), Pace::default());
        let tries = 100_u32;
        let granted = (0..tries)
            .filter(|n| pace.allows(rate, start + SECOND / 10 * *n))
            .count();
        assert_eq!(granted, 10, "in ten seconds, whatever is tried");
    }

    #[test]
    fn a_burst_is_earned_by_rest() {
        let rate = Rate {
            every: SECOND / 50,
            burst: 20,
        };
        let (start, mut pace) = (Instant::now(), Pace::default());
        assert_eq!((0..100).filter(|_| pace.allows(rate, start)).count(), 20);
        assert_eq!(
            (0..100)
                .filter(|_| pace.allows(rate, start + SECOND / 10))
                .count(),
            5
        );
        assert_eq!(
            (0..100)
                .filter(|_| pace.allows(rate, start + SECOND * 9))
                .count(),
            20
        );
    }

    #[test]
    fn a_full_table_refuses_the_new_and_forgets_the_rested() {
        let mut paces = Paces::new(
            Rate {
                every: SECOND,
                burst: 1,
            },
            3,
        );
        let start = Instant::now();
        assert!((0..3).all(|key| paces.allows(key, start)));
        assert!(!paces.allows(3, start), "full");
        assert!(!paces.allows(0, start), "nobody was forgotten too early");
        assert!(paces.allows(3, start + SECOND));
        assert!(paces.table.len() <= 3);
    }
}
