//! How simulated processes behave, and which signals there are.

use std::time::Duration;

/// How the process of a container behaves.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Behaviour {
    /// From its start until its ports listen.
    pub start_delay: Duration,
    /// Whether its ports ever listen.
    pub listens: bool,
    /// It ends by itself so long after its start, with this exit code.
    pub exits_after: Option<(Duration, i64)>,
    /// What it does when it is asked to end.
    pub stop: StopBehaviour,
    /// It cannot be started at all; the Engine's words.
    pub fails_to_start: Option<String>,
}

impl Default for Behaviour {
    fn default() -> Self {
        Self {
            start_delay: Duration::ZERO,
            listens: true,
            exits_after: None,
            stop: StopBehaviour::After(Duration::ZERO, 0),
            fails_to_start: None,
        }
    }
}

/// What a process does when it is asked to end.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum StopBehaviour {
    /// It ends so much later, with this exit code, and serves until then.
    After(Duration, i64),
    /// Nothing: only SIGKILL ends it.
    Ignores,
}

/// The signals that Docker may be given here, by number.
const SIGNALS: [(&str, u8); 14] = [
    ("SIGHUP", 1),
    ("SIGINT", 2),
    ("SIGQUIT", 3),
    ("SIGABRT", 6),
    ("SIGKILL", 9),
    ("SIGUSR1", 10),
    ("SIGSEGV", 11),
    ("SIGUSR2", 12),
    ("SIGPIPE", 13),
    ("SIGALRM", 14),
    ("SIGTERM", 15),
    ("SIGCONT", 18),
    ("SIGSTOP", 19),
    ("SIGWINCH", 28),
];

/// The full name of a signal, from whatever Docker accepts for it.
pub(super) fn signal_name(text: &str) -> Option<&'static str> {
    let upper = text.to_ascii_uppercase();
    let is_meant = |name: &str, number: u8| {
        name == upper
            || name.strip_prefix("SIG") == Some(upper.as_str())
            || number.to_string() == upper
    };
    SIGNALS
        .into_iter()
        .find(|(name, number)| is_meant(name, *number))
        .map(|(name, _)| name)
}
