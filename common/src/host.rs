//! How a node's machine does: figures that its agent samples and the controller shows.
//!
//! Nothing decides by them; they are for people. What could not be learnt is `None`, and never a
//! zero in its place. Whole numbers, so that two samples compare.

use std::time::Duration;

/// One sample.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct HostFigures {
    /// All processors together, in tenths of a percent: 0 to 1,000. None before the second sample.
    pub processor_permille: Option<u16>,
    /// How many processors there are.
    pub processors: Option<u32>,
    /// Averages of runnable tasks.
    pub load: Option<LoadAverages>,
    /// Main memory.
    pub memory: Option<Memory>,
    /// The file systems that services depend on, each once; that of their data first.
    pub disks: Vec<Disk>,
    /// How long the machine has been up.
    pub uptime: Option<Duration>,
    /// Whether something keeps its clock right.
    pub clock: Option<ClockState>,
}

/// A sample and its age when it was told.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct AgedFigures {
    /// How long ago they were taken.
    pub age: Duration,
    /// The sample.
    pub figures: HostFigures,
}

/// Averages of runnable tasks over one, five and fifteen minutes, in hundredths.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct LoadAverages {
    /// Over one minute.
    pub one: u32,
    /// Over five minutes.
    pub five: u32,
    /// Over fifteen minutes.
    pub fifteen: u32,
}

/// Main memory, in bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Memory {
    /// All there is.
    pub total: u64,
    /// What is not available to new programs.
    pub used: u64,
}

/// A file system, in bytes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Disk {
    /// A directory on it, by which people know it.
    pub path: String,
    /// All there is.
    pub total: u64,
    /// What an unprivileged process may still write.
    pub free: u64,
}

/// Whether something keeps a clock right.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ClockState {
    /// A time service says that it does.
    Synchronized,
    /// A time service runs, and says that it does not, or not yet.
    Unsynchronized,
}
