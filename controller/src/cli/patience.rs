//! How long, and how often, a lost connection is tried again.
//!
//! Pure: the caller brings the time and does the waiting.

use std::time::Duration;

use extend_common::backoff::Backoff;
use tokio::time::Instant;

/// A controller that is restarted is back within two seconds: the first tries come quickly.
const STEPS: Backoff = Backoff {
    first: Duration::from_millis(100),
    most: Duration::from_secs(2),
};

/// The patience of one command. Each outage gets the whole of it.
#[derive(Debug, Clone)]
pub(crate) struct Patience {
    most: Duration,
    outage: Option<Outage>,
}

#[derive(Debug, Clone, Copy)]
struct Outage {
    since: Instant,
    tries: u32,
}

impl Patience {
    /// Tries for `most` after each loss.
    pub(crate) fn new(most: Duration) -> Self {
        Self { most, outage: None }
    }

    /// How long is tried at most.
    pub(crate) fn most(&self) -> Duration {
        self.most
    }

    /// It works again. Says whether it had not.
    pub(crate) fn recovered(&mut self) -> bool {
        self.outage.take().is_some()
    }

    /// The wait before the next try; none when the patience is at its end. `first` tells that
    /// this is the beginning of an outage, which people want to know of.
    pub(crate) fn next(&mut self, now: Instant, jitter: f64) -> Option<Wait> {
        let first = self.outage.is_none();
        let outage = self.outage.get_or_insert(Outage {
            since: now,
            tries: 0,
        });
        let left = self.most.checked_sub(now.duration_since(outage.since))?;
        if left.is_zero() {
            return None;
        }
        let wait = STEPS.wait(outage.tries, jitter).min(left);
        outage.tries = outage.tries.saturating_add(1);
        Some(Wait { first, wait })
    }
}

/// Wait before trying again.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Wait {
    /// Whether an outage begins.
    pub(crate) first: bool,
    /// For how long.
    pub(crate) wait: Duration,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_outage_is_given_the_whole_patience_and_no_more() {
        let start = Instant::now();
        let mut patience = Patience::new(Duration::from_secs(30));
        let mut now = start;
        let mut tries = 0;
        while let Some(Wait { first, wait }) = patience.next(now, 1.0) {
            assert_eq!(first, tries == 0);
            now += wait;
            tries += 1;
        }
        assert_eq!(now - start, Duration::from_secs(30));
        assert!((15..30).contains(&tries), "{tries}");
        assert!(patience.recovered());
        assert!(!patience.recovered());
        assert!(patience.next(now, 1.0).is_some_and(|wait| wait.first));
    }
}
