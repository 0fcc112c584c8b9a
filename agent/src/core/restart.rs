//! How often the agent may start or restart a service by itself. Restarts by Docker's own policy
//! and by operators are not counted here.

use std::time::Duration;

use extend_common::clock::{after, since};
use jiff::Timestamp;

/// So many restarts …
pub const BUDGET: usize = 5;
/// … in this time.
pub const BUDGET_WINDOW: Duration = Duration::from_secs(600);
/// The wait after the first restart; it doubles with each further one in the window.
const FIRST_WAIT: Duration = Duration::from_secs(1);

/// Whether the agent may act now.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Allowance {
    /// It may.
    Now,
    /// The last time was too recent.
    NotBefore(Timestamp),
    /// The budget is spent until then.
    Exhausted(Timestamp),
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
        let oldest = recent.len() - BUDGET;
        let frees = recent
            .get(oldest)
            .map_or(now, |at| after(*at, BUDGET_WINDOW));
        return Allowance::Exhausted(frees);
    }
    let exponent = u32::try_from(recent.len() - 1).unwrap_or(u32::MAX);
    let ready = after(
        *last,
        FIRST_WAIT.saturating_mul(2_u32.saturating_pow(exponent)),
    );
    if now >= ready {
        Allowance::Now
    } else {
        Allowance::NotBefore(ready)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(seconds: i64) -> Timestamp {
        Timestamp::from_second(1_800_000_000 + seconds).unwrap()
    }

    #[test]
    fn waits_double_and_the_budget_ends_them() {
        assert_eq!(allowance(&[], at(0)), Allowance::Now);
        assert_eq!(allowance(&[at(0)], at(0)), Allowance::NotBefore(at(1)));
        assert_eq!(allowance(&[at(0)], at(1)), Allowance::Now);
        assert_eq!(
            allowance(&[at(0), at(1)], at(2)),
            Allowance::NotBefore(at(3))
        );
        let five = [at(0), at(1), at(3), at(7), at(15)];
        assert_eq!(allowance(&five, at(100)), Allowance::Exhausted(at(600)));
        assert_eq!(allowance(&five, at(601)), Allowance::Now);
    }
}
