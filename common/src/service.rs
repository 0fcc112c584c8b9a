//! How a service does: figures that its agent has gathered and the controller shows and keeps.
//!
//! Nothing decides by them; verdicts travel with the status. What could not be learnt is `None`,
//! and never a zero in its place.

use std::time::Duration;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use crate::size;
use crate::status::SessionCount;

/// One sample.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct ServiceFigures {
    /// What each point of each probe came to last.
    pub probes: Vec<ProbeFigure>,
    /// How many sessions the server has; none where nobody knows how to count them.
    pub sessions: Option<SessionCount>,
    /// The memory of its container, in bytes.
    pub memory: Option<u64>,
    /// What lies in the role's directory of crash dumps.
    pub dumps: Option<Dumps>,
}

/// A sample and its age when it was told.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct AgedService {
    /// How long ago it was put together.
    pub age: Duration,
    /// The sample.
    pub figures: ServiceFigures,
}

/// What one point of a probe came to last.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ProbeFigure {
    /// As [`crate::roles::Point`] shows it: `tcp/8840`, `sip udp/8916`, `disk`.
    pub point: String,
    /// Whether it passed.
    pub passed: bool,
    /// Whether it has ever passed on this run: until then its failures mean nothing.
    pub armed: bool,
    /// How long the answer took.
    pub took: Option<Duration>,
}

/// Crash dumps, counted.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Dumps {
    /// How many there are.
    pub count: u64,
    /// How large they are together, in bytes.
    pub bytes: u64,
    /// The newest.
    pub newest: Option<DumpFile>,
}

/// A crash dump.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct DumpFile {
    /// Its name in the directory.
    pub name: String,
    /// Its size, in bytes.
    pub bytes: u64,
    /// When it was written last.
    pub at: Timestamp,
}

impl std::fmt::Display for DumpFile {
    /// `crash dump core.42 (12.3 MB)`
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "crash dump {} ({})", self.name, size::show(self.bytes))
    }
}
