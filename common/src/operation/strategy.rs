//! How an operation goes from server to server.

use std::fmt;
use std::str::FromStr;
use std::time::Duration;

use serde::{Deserialize, Serialize};

/// So many servers of a role.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Share {
    /// This many; at least one.
    Count(u32),
    /// This part of those that should run, from 1 to 100 percent, rounded down and at least one.
    Percent(u8),
}

impl Share {
    /// How many that is, of `all`.
    pub fn of(self, all: usize) -> usize {
        let share = match self {
            Self::Count(count) => usize::try_from(count).unwrap_or(usize::MAX),
            Self::Percent(percent) => all.saturating_mul(usize::from(percent)) / 100,
        };
        share.max(1)
    }
}

impl fmt::Display for Share {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Count(count) => write!(f, "{count}"),
            Self::Percent(percent) => write!(f, "{percent}%"),
        }
    }
}

impl FromStr for Share {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let wrong = || format!("`{text}` is no share: write a number of servers, like 2, or 25%");
        let share = match text.strip_suffix('%') {
            Some(percent) => Self::Percent(percent.parse().map_err(|_| wrong())?),
            None => Self::Count(text.parse().map_err(|_| wrong())?),
        };
        match share {
            Self::Count(1..) | Self::Percent(1..=100) => Ok(share),
            Self::Count(0) | Self::Percent(_) => Err(wrong()),
        }
    }
}

/// How an operation goes from server to server.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Strategy {
    /// So many servers of a role may be out of service at once. None is the verb's default: one
    /// for `restart` and `upgrade`, all for the others.
    pub max_unavailable: Option<Share>,
    /// So many servers of each role go first; 0 is none.
    pub canary: u32,
    /// For so long they have to stay healthy before the others begin.
    pub bake: Duration,
    /// With more failures than this nothing more begins.
    pub max_failures: u32,
    /// Role after role, in the order of the role definitions, and not side by side.
    pub serial: bool,
}

impl Strategy {
    /// How long canaries have to stay healthy when nothing else is said.
    pub const DEFAULT_BAKE: Duration = Duration::from_secs(2 * 60);
}

impl Default for Strategy {
    fn default() -> Self {
        Self {
            max_unavailable: None,
            canary: 0,
            bake: Self::DEFAULT_BAKE,
            max_failures: 0,
            serial: false,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn shares_read_as_written() {
        for text in ["1", "25", "1%", "100%"] {
            assert_eq!(
                text.parse::<Share>().map(|share| share.to_string()),
                Ok(text.to_owned())
            );
        }
        for text in [
            "",
            "0",
            "0%",
            "101%",
            "-1",
            "2.5",
            "%",
            "half",
            "99999999999",
        ] {
            assert!(text.parse::<Share>().is_err(), "{text}");
        }
    }

    #[test]
    fn a_share_is_at_least_one_server_and_never_rounded_up() {
        assert_eq!(Share::Count(3).of(2), 3);
        assert_eq!(Share::Percent(25).of(10), 2);
        assert_eq!(Share::Percent(1).of(10), 1);
        assert_eq!(Share::Percent(100).of(0), 1);
    }
}
