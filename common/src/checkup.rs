//! Whether a host is as the guide wants it: the checks, by name, and what came of each.
//!
//! The agent judges what its node shows, the controller what only it can know. Operators override
//! a check by its name, so that names are a promise: they are never given another meaning.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

use crate::nearest::nearest;

/// A rule for hosts, by its name.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum CheckName {
    /// Ubuntu 24.04 LTS, as the PBX.
    OsRelease,
    /// All updates are installed.
    Updates,
    /// Something keeps the clock right.
    Clock,
    /// The clock agrees with the controller's.
    ClockSkew,
    /// The node's address stays its own.
    StaticAddress,
    /// The node has an Elastic IP, and it is the one that is meant.
    ElasticAddress,
    /// The PBX's own network: VPC, subnet, security group.
    Network,
    /// Nothing slows the machine down or puts it to sleep.
    PowerSaving,
    /// The disk is as large as the role needs.
    DiskSize,
    /// No PostgreSQL on the host.
    Postgresql,
    /// No TeamViewer, VPN or the like.
    RemoteAccess,
    /// Neither a DNS nor a DHCP server.
    DnsDhcp,
    /// Nobody has the role's ports.
    Ports,
    /// A Docker Engine that will do, with room.
    Docker,
    /// The PBX takes connections from there.
    PbxReachable,
    /// One role a host.
    OneRole,
}

impl CheckName {
    /// Every check, in the order in which they are shown.
    pub const ALL: [Self; 16] = [
        Self::OsRelease,
        Self::Updates,
        Self::Clock,
        Self::ClockSkew,
        Self::StaticAddress,
        Self::ElasticAddress,
        Self::Network,
        Self::PowerSaving,
        Self::DiskSize,
        Self::Postgresql,
        Self::RemoteAccess,
        Self::DnsDhcp,
        Self::Ports,
        Self::Docker,
        Self::PbxReachable,
        Self::OneRole,
    ];

    /// As operators write it.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::OsRelease => "os-release",
            Self::Updates => "updates",
            Self::Clock => "clock",
            Self::ClockSkew => "clock-skew",
            Self::StaticAddress => "static-address",
            Self::ElasticAddress => "elastic-address",
            Self::Network => "network",
            Self::PowerSaving => "power-saving",
            Self::DiskSize => "disk-size",
            Self::Postgresql => "postgresql",
            Self::RemoteAccess => "remote-access",
            Self::DnsDhcp => "dns-dhcp",
            Self::Ports => "ports",
            Self::Docker => "docker",
            Self::PbxReachable => "pbx-reachable",
            Self::OneRole => "one-role",
        }
    }
}

impl fmt::Display for CheckName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

/// There is no such check.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("there is no check `{word}`{}", meant.map(|name| format!("; did you mean `{name}`?")).unwrap_or_default())]
pub struct NoSuchCheck {
    /// What was written.
    pub word: String,
    /// What was probably meant.
    pub meant: Option<CheckName>,
}

impl FromStr for CheckName {
    type Err = NoSuchCheck;

    fn from_str(word: &str) -> Result<Self, NoSuchCheck> {
        let exactly = |word: &str| Self::ALL.into_iter().find(|name| name.as_str() == word);
        exactly(word).ok_or_else(|| {
            let known = Self::ALL.map(|name| name.as_str().to_owned());
            let word: String = word.chars().take(80).collect();
            NoSuchCheck {
                meant: nearest(&word, &known).and_then(|near| exactly(near)),
                word,
            }
        })
    }
}

/// What came of a check.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Verdict {
    /// As the guide wants it.
    Ok,
    /// Nobody could tell. Never taken for `Ok`.
    Unknown,
    /// Not as recommended.
    Warn,
    /// Against a rule: `run` is refused unless it is accepted by name.
    Fail,
}

impl Verdict {
    /// The word for it.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Ok => "ok",
            Self::Unknown => "unknown",
            Self::Warn => "warn",
            Self::Fail => "fail",
        }
    }
}

impl fmt::Display for Verdict {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

/// One check and what came of it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Check {
    /// Which.
    pub name: CheckName,
    /// What came of it.
    pub verdict: Verdict,
    /// What was found, or why nobody can tell.
    pub found: String,
    /// What to do about it; empty where there is nothing to do.
    pub fix: String,
}

impl Check {
    /// As the guide wants it.
    pub fn ok(name: CheckName, found: impl Into<String>) -> Self {
        Self::new(name, Verdict::Ok, found, "")
    }

    /// Nobody could tell, for this reason.
    pub fn unknown(name: CheckName, why: impl Into<String>) -> Self {
        Self::new(name, Verdict::Unknown, why, "")
    }

    /// Not as recommended.
    pub fn warn(name: CheckName, found: impl Into<String>, fix: impl Into<String>) -> Self {
        Self::new(name, Verdict::Warn, found, fix)
    }

    /// Against a rule.
    pub fn fail(name: CheckName, found: impl Into<String>, fix: impl Into<String>) -> Self {
        Self::new(name, Verdict::Fail, found, fix)
    }

    fn new(
        name: CheckName,
        verdict: Verdict,
        found: impl Into<String>,
        fix: impl Into<String>,
    ) -> Self {
        let (found, fix) = (found.into(), fix.into());
        Self {
            name,
            verdict,
            found,
            fix,
        }
    }

    /// The same with something to do about it.
    #[must_use]
    pub fn with_fix(self, fix: impl Into<String>) -> Self {
        Self {
            fix: fix.into(),
            ..self
        }
    }

    /// The graver of two verdicts on the same rule, with what both found.
    #[must_use]
    pub fn and(self, other: Self) -> Self {
        if other.verdict == Verdict::Ok {
            return self;
        }
        if self.verdict == Verdict::Ok {
            return other;
        }
        let (mut grave, light) = match other.verdict > self.verdict {
            true => (other, self),
            false => (self, other),
        };
        grave.found = format!("{}; {}", grave.found, light.found);
        if grave.fix.is_empty() {
            grave.fix = light.fix;
        }
        grave
    }
}

impl fmt::Display for Check {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.name, self.found)?;
        match self.fix.is_empty() {
            true => Ok(()),
            false => write!(f, " (fix: {})", self.fix),
        }
    }
}

/// A check that an operator overrides, and why.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Accepted {
    /// Which.
    pub name: CheckName,
    /// In the operator's words.
    pub reason: String,
}

/// The longest reason, in characters.
pub const MAX_REASON: usize = 200;

impl fmt::Display for Accepted {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.name, self.reason)
    }
}

/// Why `--accept` is not understood.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum NotAccepted {
    /// It does not name a check.
    #[error(transparent)]
    Name(#[from] NoSuchCheck),
    /// It gives no reason.
    #[error("`{0}` gives no reason: write {0}=REASON")]
    NoReason(String),
    /// Nobody reads so much.
    #[error("the reason for `{0}` is longer than {MAX_REASON} characters")]
    TooLong(CheckName),
}

impl FromStr for Accepted {
    type Err = NotAccepted;

    /// Reads `NAME=REASON`.
    fn from_str(text: &str) -> Result<Self, NotAccepted> {
        let (word, reason) = text.split_once('=').unwrap_or((text, ""));
        let name: CheckName = word.trim().parse()?;
        let reason = reason.trim();
        if reason.is_empty() {
            return Err(NotAccepted::NoReason(name.to_string()));
        }
        if reason.chars().count() > MAX_REASON {
            return Err(NotAccepted::TooLong(name));
        }
        let reason = reason.to_owned();
        Ok(Self { name, reason })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_read_as_they_are_written_and_the_nearest_is_told() {
        for name in CheckName::ALL {
            assert_eq!(name.as_str().parse(), Ok(name));
            let written = serde_json::to_string(&name).unwrap();
            assert_eq!(written, format!("\"{name}\""));
        }
        let wrong = "disksize".parse::<CheckName>().unwrap_err();
        assert_eq!(wrong.meant, Some(CheckName::DiskSize));
        let words = "there is no check `disksize`; did you mean `disk-size`?";
        assert_eq!(wrong.to_string(), words);
        let wrong = "weather".parse::<CheckName>().unwrap_err();
        assert_eq!(wrong.to_string(), "there is no check `weather`");
    }

    #[test]
    fn what_is_accepted_has_a_reason() {
        let accepted: Accepted = "disk-size= a test node ".parse().unwrap();
        assert_eq!(accepted.to_string(), "disk-size: a test node");
        for (text, words) in [
            (
                "disk-size",
                "`disk-size` gives no reason: write disk-size=REASON",
            ),
            (
                "disk-size= ",
                "`disk-size` gives no reason: write disk-size=REASON",
            ),
            (
                "disk=x",
                "there is no check `disk`; did you mean `disk-size`?",
            ),
        ] {
            let error = text.parse::<Accepted>().unwrap_err();
            assert_eq!(error.to_string(), words);
        }
        let long = format!("clock={}", "x".repeat(MAX_REASON + 1));
        assert_eq!(
            long.parse::<Accepted>(),
            Err(NotAccepted::TooLong(CheckName::Clock))
        );
    }

    #[test]
    fn of_two_verdicts_the_graver_counts() {
        let name = CheckName::OneRole;
        let (ok, unknown) = (Check::ok(name, "a"), Check::unknown(name, "b"));
        let (warn, fail) = (Check::warn(name, "c", "do c"), Check::fail(name, "d", ""));
        assert_eq!(ok.clone().and(unknown.clone()), unknown);
        assert_eq!(unknown.clone().and(ok.clone()), unknown);
        assert_eq!(ok.clone().and(Check::ok(name, "x")), ok);
        let both = warn.clone().and(fail.clone());
        assert_eq!(both, Check::fail(name, "d; c", "do c"));
        assert_eq!(fail.and(warn), both);
    }
}
