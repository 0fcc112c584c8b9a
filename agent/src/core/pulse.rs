//! When the service manager's watchdog is fed: at turns of the loop, and only while nothing in
//! flight has outlived its time without having been given up. Pure; `reconciler` asks at every
//! turn, and `watchdog` does the feeding.
//!
//! A Docker that does not answer is not asked about here: it is told, and is no reason to die.

use std::time::Duration;

use extend_common::clock::after;
use jiff::Timestamp;

/// Fed so often within the watchdog's time: one that is lost, or late on a busy machine, costs
/// nothing.
const CHANCES: u32 = 3;

/// The beat of a loop.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Pulse {
    every: Option<Duration>,
    fed: Option<Timestamp>,
}

/// What a turn comes to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Beat {
    /// Feed the watchdog now.
    pub feed: bool,
    /// Turn again by then.
    pub again: Option<Timestamp>,
}

impl Pulse {
    /// A loop whose watchdog bites after `limit`; none when there is no watchdog.
    pub fn of(limit: Option<Duration>) -> Self {
        let limit = limit.filter(|limit| !limit.is_zero());
        Self {
            every: limit.map(|limit| limit / CHANCES),
            fed: None,
        }
    }

    /// The loop has turned. `deadline` is that of what is in flight.
    pub fn turn(&mut self, now: Timestamp, deadline: Option<Timestamp>) -> Beat {
        let Some(every) = self.every else {
            return Beat {
                feed: false,
                again: None,
            };
        };
        let is_due = self.fed.is_none_or(|fed| after(fed, every) <= now);
        let feed = is_due && deadline.is_none_or(|deadline| now < deadline);
        if feed {
            self.fed = Some(now);
        }
        let again = self.fed.map(|fed| after(fed, every)).filter(|at| *at > now);
        Beat {
            feed,
            again: again.or(Some(after(now, every))),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(seconds: i64) -> Timestamp {
        Timestamp::from_second(1_800_000_000 + seconds).unwrap()
    }

    #[test]
    fn it_is_fed_in_good_time_and_not_at_every_turn() {
        let mut pulse = Pulse::of(Some(Duration::from_secs(30)));
        let beat = |feed, again| Beat {
            feed,
            again: Some(at(again)),
        };
        assert_eq!(pulse.turn(at(0), None), beat(true, 10));
        assert_eq!(pulse.turn(at(3), None), beat(false, 10));
        assert_eq!(pulse.turn(at(10), None), beat(true, 20));
        assert_eq!(pulse.turn(at(27), None), beat(true, 37));
    }

    #[test]
    fn what_has_outlived_its_time_starves_it() {
        let mut pulse = Pulse::of(Some(Duration::from_secs(30)));
        assert!(pulse.turn(at(0), Some(at(60))).feed);
        assert!(pulse.turn(at(59), Some(at(60))).feed);
        let late = pulse.turn(at(70), Some(at(60)));
        assert_eq!((late.feed, late.again), (false, Some(at(80))));
        assert!(!pulse.turn(at(500), Some(at(60))).feed);
        assert!(pulse.turn(at(501), None).feed, "it was given up");
    }

    #[test]
    fn without_a_watchdog_nothing_is_fed_and_nobody_woken() {
        for mut pulse in [Pulse::of(None), Pulse::of(Some(Duration::ZERO))] {
            let beat = pulse.turn(at(0), None);
            assert_eq!((beat.feed, beat.again), (false, None));
        }
    }
}
