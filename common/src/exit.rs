//! The exit codes of every command, the same everywhere.

/// What a process tells its caller.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u8)]
pub enum Exit {
    /// Done, or already so.
    Done = 0,
    /// Failed.
    Failed = 1,
    /// Wrong without asking the controller.
    Usage = 2,
    /// Some targets failed, others did not.
    SomeFailed = 3,
    /// Refused by a rule of the controller.
    Refused = 4,
    /// The controller could not be reached.
    Unreachable = 5,
    /// Stopped watching; the operation goes on.
    StoppedWatching = 6,
    /// `--plan` found changes.
    Changes = 10,
}

/// The table that every `--help` ends with.
pub const HELP: &str = "Exit codes: 0 done · 1 failed · 2 usage · 3 some targets failed · \
4 refused by a rule of the controller · 5 controller unreachable · 6 stopped watching, the \
operation goes on · 10 --plan found changes";

impl From<Exit> for std::process::ExitCode {
    fn from(exit: Exit) -> Self {
        Self::from(exit as u8)
    }
}
