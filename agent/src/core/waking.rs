//! Whether the host was asleep: its wall clock has gone on and the agent's own has not. Pure.
//!
//! A clock that was set looks the same, and costs a few seconds of patience.

use std::time::Duration;

use jiff::{SignedDuration, Timestamp};

/// What a time service corrects between two looks is less.
const LEAP: Duration = Duration::from_secs(5);

/// How the two clocks stood at the last look.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Waking(Option<SignedDuration>);

impl Waking {
    /// Looks at the clocks: `now` is the agent's, which stands still while the host is asleep. Whether
    /// the wall clock has leapt since the last look.
    pub fn look(&mut self, now: Timestamp, wall: Timestamp) -> bool {
        let ahead = wall.duration_since(now);
        let before = self.0.replace(ahead);
        before.is_some_and(|before| (ahead - before).unsigned_abs() >= LEAP)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(seconds: i64) -> Timestamp {
        Timestamp::from_second(1_800_000_000 + seconds).unwrap()
    }

    #[test]
    fn a_leap_of_the_wall_clock_is_seen_once() {
        let mut waking = Waking::default();
        assert!(!waking.look(at(0), at(1_000)), "nothing to compare with");
        assert!(
            !waking.look(at(60), at(1_062)),
            "two seconds were corrected"
        );
        assert!(waking.look(at(61), at(4_663)), "an hour of sleep");
        assert!(!waking.look(at(62), at(4_664)));
        assert!(waking.look(at(63), at(63)), "it was set back");
    }
}
