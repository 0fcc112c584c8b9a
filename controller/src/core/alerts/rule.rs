//! The closed set of rules: what each is called, how bad it is, and how long it has to last.

use std::fmt;
use std::str::FromStr;
use std::time::Duration;

use serde::{Deserialize, Serialize};

/// How bad it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Severity {
    /// Somebody should look at it today.
    Warning,
    /// Somebody should look at it now.
    Critical,
}

impl fmt::Display for Severity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::Warning => "warning",
            Self::Critical => "critical",
        })
    }
}

macro_rules! rules {
    ($($(#[$doc:meta])* $rule:ident = $word:literal, $severity:ident, $seconds:literal, $means:literal;)*) => {
        /// Why people are told.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
        #[serde(rename_all = "kebab-case")]
        pub enum Rule {
            $(#[doc = $means] $rule,)*
        }

        impl Rule {
            /// Every rule.
            pub const ALL: &'static [Self] = &[$(Self::$rule),*];

            /// Its name in configuration and documents.
            pub fn name(self) -> &'static str {
                match self { $(Self::$rule => $word),* }
            }

            /// How bad it is unless the configuration says otherwise.
            pub fn severity(self) -> Severity {
                match self { $(Self::$rule => Severity::$severity),* }
            }

            /// For how long it has to last unless the configuration says otherwise.
            pub fn lasts(self) -> Duration {
                match self { $(Self::$rule => Duration::from_secs($seconds)),* }
            }

            /// What it means, in a line.
            pub fn means(self) -> &'static str {
                match self { $(Self::$rule => $means),* }
            }
        }
    };
}

rules! {
    ServerUnhealthy = "server-unhealthy", Critical, 60, "a server that should run does not answer, or does not run";
    ServerQuarantined = "server-quarantined", Critical, 0, "the agent has given up restarting a server";
    ServerCarryingCalls = "server-carrying-calls", Critical, 0, "an unhealthy server is left alone because it carries calls";
    RestartsHeld = "restarts-held", Critical, 0, "many servers fail at once: restarts are held, because one cause is likelier than many";
    RestartsRepeated = "restarts-repeated", Warning, 0, "the agent restarted a server three times or more within an hour";
    CrashLoop = "crash-loop", Critical, 0, "Docker has restarted a server three times or more within an hour";
    NodeOffline = "node-offline", Critical, 60, "the agent of a node is away";
    DockerUnresponsive = "docker-unresponsive", Critical, 30, "Docker on a node does not answer its agent";
    AgentTrouble = "agent-trouble", Warning, 60, "an agent cannot write its ledger";
    DiskFilling = "disk-filling", Warning, 60, "less than a tenth of a disk that services need is free";
    MemoryGrowing = "memory-growing", Warning, 0, "the memory of a service grows beyond its own baseline";
    ProbeWarning = "probe-warning", Warning, 300, "a server does not answer at a port for which no restart is begun";
    PortalOffline = "portal-offline", Critical, 120, "a server is healthy on its node and offline in the portal, or not registered there";
    WhitelistMissing = "whitelist-missing", Critical, 60, "an address that must be let in is not";
    WhitelistDenied = "whitelist-denied", Critical, 0, "an entry keeps an address out that must be let in";
    WhitelistExpiring = "whitelist-expiring", Warning, 0, "an entry that lets a server in lapses soon, and Extend cannot renew it";
    EnforcerFailing = "enforcer-failing", Warning, 120, "what lets the servers in, or the portal, cannot be looked at or changed";
    CertificateExpiring = "certificate-expiring", Warning, 300, "the certificate of a node is not being renewed";
    ClockSkew = "clock-skew", Warning, 60, "the clock of a node is wrong by five seconds or more";
    OperationFailed = "operation-failed", Warning, 0, "an operation ended with targets that failed";
}

impl Rule {
    /// It tells of what has happened and not of what is: told once, and its end is no news.
    pub fn is_momentary(self) -> bool {
        self == Self::OperationFailed
    }
}

impl fmt::Display for Rule {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.name())
    }
}

/// A word that names no rule.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{}` is no rule", .0.escape_debug())]
pub struct NoRule(pub String);

impl FromStr for Rule {
    type Err = NoRule;

    fn from_str(text: &str) -> Result<Self, NoRule> {
        let mut all = Self::ALL.iter().copied();
        all.find(|rule| rule.name() == text)
            .ok_or_else(|| NoRule(text.to_owned()))
    }
}
