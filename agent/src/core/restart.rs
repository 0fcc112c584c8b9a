//! How often the agent may start or restart a service by itself. Restarts by Docker's own policy
//! and by operators are not counted here.

use std::time::Duration;

use extend_common::clock::{after, since};
use jiff::Timestamp;

/// So many restarts …
pub const BUDGET: usize = 5;
/// … in this time.
pub const BUDGET_WINDOW: Duration = Duration::from_secs(600);
/// A quarantined service has to be healthy for so long without a break.
pub const RELEASE_AFTER: Duration = Duration::from_secs(600);
/// The wait after the first restart; it doubles with each further one in the window.
const FIRST_WAIT: Duration = Duration::from_secs(1);

/// Whether the agent may act now.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Allowance {
    /// It may.
    Now,
    /// The last time was too recent.
    NotBefore(Timestamp),
    /// The budget is spent.
    Exhausted,
}

/// Looks at when the agent acted by itself before, oldest first.
pub fn allowance(history: &[Timestamp], now: Timestamp) -> Allowance {
    let recent: Vec<_> = history
        .iter()
        .copied()
        .filter(|at| since(*at, now) < BUDGET_WINDOW)
        .collect();
    let Some(last) = recent.last() else {
        return Allowance::Now;
    };
    if recent.len() >= BUDGET {
        return Allowance::Exhausted;
    }
    let exponent = u32::try_from(recent.len() - 1).unwrap_or(u32::MAX);
    let wait = FIRST_WAIT.saturating_mul(2_u32.saturating_pow(exponent));
    let ready = after(*last, wait.saturating_add(jitter(*last, wait)));
    if now >= ready {
        Allowance::Now
    } else {
        Allowance::NotBefore(ready)
    }
}

/// Up to half of `wait`, the same whenever it is asked for: nodes that were hit at once by one
/// cause do not come back in step. The nanoseconds of the last restart are the chance in it.
fn jitter(last: Timestamp, wait: Duration) -> Duration {
    chance(last, wait / 2)
}

/// Up to `most`, by the nanoseconds of a time.
pub fn chance(of: Timestamp, most: Duration) -> Duration {
    // The finalizer of SplitMix64: close numbers give distant ones.
    let mut bits = of.as_nanosecond().unsigned_abs() as u64;
    bits = (bits ^ (bits >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    bits = (bits ^ (bits >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    let share = (bits ^ (bits >> 31)) % 1000;
    let share = u32::try_from(share).unwrap_or(0);
    most.saturating_mul(share) / 1000
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(milliseconds: i64) -> Timestamp {
        Timestamp::from_millisecond(1_800_000_000_000 + milliseconds).unwrap()
    }

    fn wait(history: &[Timestamp]) -> Duration {
        let last = *history.last().unwrap();
        match allowance(history, last) {
            Allowance::NotBefore(ready) => since(last, ready),
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn the_first_is_at_once_and_the_waits_double_with_up_to_half_more() {
        assert_eq!(allowance(&[], at(0)), Allowance::Now);
        let history = [at(0), at(2_000), at(6_000), at(14_000)];
        for (count, seconds) in [(1, 1), (2, 2), (3, 4), (4, 8)] {
            let (least, wait) = (Duration::from_secs(seconds), wait(&history[..count]));
            assert!(least <= wait && wait < least * 3 / 2, "{count}: {wait:?}");
            let last = history[count - 1];
            assert_eq!(
                allowance(&history[..count], after(last, wait)),
                Allowance::Now
            );
        }
    }

    #[test]
    fn nodes_that_were_hit_together_do_not_wait_alike() {
        let waits: std::collections::BTreeSet<_> = (0..20).map(|ms| wait(&[at(ms)])).collect();
        assert!(waits.len() > 10, "{waits:?}");
    }

    #[test]
    fn the_budget_ends_them_until_the_oldest_is_out_of_the_window() {
        let five = [at(0), at(1_000), at(3_000), at(7_000), at(15_000)];
        assert_eq!(allowance(&five, at(100_000)), Allowance::Exhausted);
        assert_eq!(allowance(&five, at(599_999)), Allowance::Exhausted);
        assert_eq!(allowance(&five, at(600_000)), Allowance::Now);
    }
}
