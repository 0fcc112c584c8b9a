//! Enums, both ways. An unspecified or unknown number is an error, never a default.

use extend_proto::v1;

use super::WireError;
use crate::checkup::Verdict;
use crate::event::EventKind;
use crate::logs::{LogFaultKind, LogNote};
use crate::operation::{TargetState, Verb};
use crate::record::{PullPolicy, RunState};
use crate::status::{ContainerState, Health, NodeState, OutcomeKind, Phase, WarningKind};

macro_rules! wire_enum {
    ($name:ident, $field:literal, [$($variant:ident),* $(,)?]) => {
        impl From<$name> for v1::$name {
            fn from(value: $name) -> Self {
                match value { $($name::$variant => Self::$variant),* }
            }
        }

        impl TryFrom<v1::$name> for $name {
            type Error = WireError;
            fn try_from(value: v1::$name) -> Result<Self, WireError> {
                match value {
                    $(v1::$name::$variant => Ok(Self::$variant),)*
                    v1::$name::Unspecified => Err(WireError::new($field, "it is missing")),
                }
            }
        }

        impl $name {
            /// Its number on the wire.
            pub fn to_wire(self) -> i32 {
                v1::$name::from(self).into()
            }

            /// Reads a number from the wire.
            ///
            /// # Errors
            /// When the number is unknown here: the other side may be newer.
            pub fn from_wire(number: i32) -> Result<Self, WireError> {
                v1::$name::try_from(number)
                    .map_err(|_| WireError::new($field, format!("{number} is unknown here")))?
                    .try_into()
            }
        }
    };
}

impl Verdict {
    /// Its number on the wire.
    pub fn to_wire(self) -> i32 {
        match self {
            Self::Ok => v1::CheckVerdict::Ok,
            Self::Unknown => v1::CheckVerdict::Unknown,
            Self::Warn => v1::CheckVerdict::Warn,
            Self::Fail => v1::CheckVerdict::Fail,
        }
        .into()
    }

    /// Reads a number from the wire.
    ///
    /// # Errors
    /// When the number is unknown here: the other side may be newer.
    pub fn from_wire(number: i32) -> Result<Self, WireError> {
        match v1::CheckVerdict::try_from(number) {
            Ok(v1::CheckVerdict::Ok) => Ok(Self::Ok),
            Ok(v1::CheckVerdict::Unknown) => Ok(Self::Unknown),
            Ok(v1::CheckVerdict::Warn) => Ok(Self::Warn),
            Ok(v1::CheckVerdict::Fail) => Ok(Self::Fail),
            Ok(v1::CheckVerdict::Unspecified) => Err(WireError::new("verdict", "it is missing")),
            Err(_) => Err(WireError::new(
                "verdict",
                format!("{number} is unknown here"),
            )),
        }
    }
}

wire_enum!(
    RunState,
    "run_state",
    [Running, Stopped, Removed, Withdrawn]
);
wire_enum!(
    EventKind,
    "kind",
    [
        Health,
        Crash,
        Restart,
        Quarantine,
        DockerRestart,
        Docker,
        Agent,
        Node,
        Operation,
        Controller,
        Access,
        Portal,
        Whitelist,
        Breaker,
        Alert,
        Warning
    ]
);
wire_enum!(
    LogNote,
    "note",
    [
        Ended,
        RunsAgain,
        Replaced,
        DockerSilent,
        FileAwaited,
        FileReplaced,
        FileTruncated,
        Gap
    ]
);
wire_enum!(
    LogFaultKind,
    "kind",
    [
        NoServer,
        NoContainer,
        NoFile,
        NotAFile,
        NoDirectory,
        Docker,
        Unreadable,
        Busy,
        NotUnderstood
    ]
);
wire_enum!(PullPolicy, "pull", [Always, Missing]);
wire_enum!(
    Health,
    "health",
    [
        Starting,
        Healthy,
        Unhealthy,
        Draining,
        Stopped,
        Quarantined,
        Unclaimed,
        Unknown
    ]
);
wire_enum!(
    Phase,
    "phase",
    [
        Pending,
        Preparing,
        Pulling,
        Ready,
        Registering,
        Connecting,
        Unregistering,
        Draining,
        Stopping,
        Creating,
        Starting,
        Verifying,
        RollingBack,
        Removing,
        Settled
    ]
);
wire_enum!(WarningKind, "warning", [Disk, Memory, Probe]);
wire_enum!(
    OutcomeKind,
    "outcome",
    [Succeeded, Failed, RolledBack, Declined]
);
wire_enum!(
    Verb,
    "verb",
    [
        Run, Start, Stop, Restart, Upgrade, Rm, Adopt, Drain, Undrain
    ]
);
wire_enum!(
    TargetState,
    "state",
    [
        Queued, Waiting, Running, Succeeded, Failed, RolledBack, Skipped, Cancelled, TimedOut
    ]
);
wire_enum!(
    NodeState,
    "state",
    [Pending, Online, Suspect, Offline, Ahead, Revoked]
);

impl ContainerState {
    /// Docker's word, as it stands in an inspection.
    ///
    /// # Errors
    /// When Docker has learnt a new word.
    pub fn from_docker(word: &str) -> Result<Self, WireError> {
        [
            Self::Created,
            Self::Running,
            Self::Paused,
            Self::Restarting,
            Self::Removing,
            Self::Exited,
            Self::Dead,
        ]
        .into_iter()
        .find(|state| state.to_string() == word)
        .ok_or_else(|| {
            WireError::new(
                "state",
                format!("`{}` is unknown here", word.escape_debug()),
            )
        })
    }
}
