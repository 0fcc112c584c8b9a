//! Whether the clocks of this node and of its controller agree, as far as a certificate tells:
//! the controller dates it by its own clock at the moment it sends it.
//!
//! Certificates are the only thing that clocks can spoil: within an hour nothing fails yet, and
//! beyond it renewals and handshakes do, hours later. So it is said at once.

use std::fmt;
use std::time::Duration;

use extend_common::clock::{after, since};
use extend_common::duration;
use extend_common::tls::issue::BACKDATED;
use jiff::Timestamp;

use super::Validity;

/// A difference that clocks which are kept by NTP never have.
const TOLERATED: Duration = Duration::from_secs(300);

/// Two clocks that do not agree.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ClocksApart {
    /// What the clock of this node says.
    pub here: Timestamp,
    /// What the controller's says.
    pub there: Timestamp,
}

impl ClocksApart {
    /// The clocks, unless they agree: by a certificate that has just been issued.
    pub fn seen(leaf: Validity, here: Timestamp) -> Option<Self> {
        let there = after(leaf.not_before, BACKDATED);
        let apart = since(here, there).max(since(there, here));
        (apart > TOLERATED).then_some(Self { here, there })
    }

    /// What to run next.
    pub const HINT: &str = "timedatectl    (here and on the primary: one of the clocks is wrong)";
}

impl fmt::Display for ClocksApart {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { here, there } = *self;
        let apart = duration::show(since(here, there).max(since(there, here)));
        let seconds = |at: Timestamp| at.round(jiff::Unit::Second).unwrap_or(at);
        write!(
            f,
            "the clocks of this node and of the controller are {apart} apart: it is {} here and {} \
             there",
            seconds(here),
            seconds(there)
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn clocks_an_hour_apart_are_told_with_both_times() {
        let issued: Timestamp = "2026-06-01T12:00:00Z".parse().unwrap();
        let leaf = Validity {
            not_before: "2026-06-01T11:00:00Z".parse().unwrap(),
            not_after: "2026-06-02T12:00:00Z".parse().unwrap(),
        };
        assert_eq!(ClocksApart::seen(leaf, issued), None);
        assert_eq!(ClocksApart::seen(leaf, after(issued, TOLERATED)), None);
        let ahead = ClocksApart::seen(leaf, after(issued, Duration::from_secs(3600))).unwrap();
        assert_eq!(
            ahead.to_string(),
            "the clocks of this node and of the controller are 1h apart: it is \
             2026-06-01T13:00:00Z here and 2026-06-01T12:00:00Z there"
        );
        let behind = ClocksApart::seen(leaf, "2026-06-01T11:00:00.4Z".parse().unwrap()).unwrap();
        assert!(
            behind.to_string().contains("2026-06-01T11:00:00Z here"),
            "{behind}"
        );
    }
}
