//! What the engine counts for the metrics while the process lives.
//!
//! Written by the engine's task when a commit has returned, read by whoever makes the metrics. It
//! is no part of the memory that a failed commit takes away, so that nothing in it ever goes down.

use std::collections::BTreeMap;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use prometheus_client::metrics::histogram::Histogram;

use extend_common::ids::RoleName;
use extend_common::operation::{TargetState, Verb};

use crate::core::counted::{Counted, RestartCause};

/// From a commit on a good disk to one that everybody waits for.
const COMMITS: [f64; 11] = [
    0.000_5, 0.001, 0.002, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 1.0, 5.0,
];
/// From a restart in seconds to an upgrade of a fleet that drains.
const OPERATIONS: [f64; 10] = [
    1.0, 5.0, 15.0, 30.0, 60.0, 120.0, 300.0, 900.0, 1_800.0, 7_200.0,
];
/// Inputs of one turn, and rows of one commit.
const SIZES: [f64; 7] = [1.0, 4.0, 16.0, 64.0, 256.0, 1_024.0, 10_240.0];

/// The counters of an engine.
#[derive(Debug)]
pub struct Meter {
    counts: Mutex<Counts>,
    /// Seconds from handing a batch to the store to its answer.
    pub(crate) commits: Histogram,
    /// Rows of a commit.
    pub(crate) rows: Histogram,
    /// Inputs that were taken at once.
    pub(crate) turns: Histogram,
}

/// What is counted by closed sets.
#[derive(Debug, Clone, Default)]
pub struct Counts {
    /// Restarts of servers.
    pub restarts: BTreeMap<(Option<RoleName>, RestartCause), u64>,
    /// Servers that were given up.
    pub quarantines: BTreeMap<Option<RoleName>, u64>,
    /// Operations that were begun.
    pub begun: BTreeMap<Verb, u64>,
    /// Operations that have ended.
    pub ended: BTreeMap<(Verb, TargetState), u64>,
    /// Seconds from submission to end.
    pub took: BTreeMap<Verb, Histogram>,
    /// Commits that failed.
    pub failed: u64,
}

impl Default for Meter {
    fn default() -> Self {
        Self {
            counts: Mutex::default(),
            commits: Histogram::new(COMMITS),
            rows: Histogram::new(SIZES),
            turns: Histogram::new(SIZES),
        }
    }
}

impl Meter {
    /// The counts at this moment.
    pub fn counts(&self) -> Counts {
        self.lock().clone()
    }

    fn lock(&self) -> MutexGuard<'_, Counts> {
        self.counts.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Counts what a commit has made true.
    pub(super) fn count(&self, counted: Counted) {
        let mut counts = self.lock();
        match counted {
            Counted::Restarts(role, cause, times) => {
                let count = counts.restarts.entry((role, cause)).or_default();
                *count = count.saturating_add(times);
            }
            Counted::Quarantined(role) => *counts.quarantines.entry(role).or_default() += 1,
            Counted::Begun(verb) => *counts.begun.entry(verb).or_default() += 1,
            Counted::Ended {
                verb,
                outcome,
                took,
            } => {
                *counts.ended.entry((verb, outcome)).or_default() += 1;
                let histogram = counts.took.entry(verb);
                histogram
                    .or_insert_with(|| Histogram::new(OPERATIONS))
                    .observe(took.as_secs_f64());
            }
        }
    }

    /// A batch was committed, or was not.
    pub(super) fn committed(&self, took: Duration, is_ok: bool) {
        self.commits.observe(took.as_secs_f64());
        if !is_ok {
            self.lock().failed += 1;
        }
    }

    /// So many rows are on their way to the disk.
    pub(super) fn departed(&self, rows: usize) {
        self.rows.observe(approximate(rows));
    }

    /// So many inputs were taken at once.
    pub(super) fn took(&self, inputs: usize) {
        self.turns.observe(approximate(inputs));
    }
}

fn approximate(count: usize) -> f64 {
    f64::from(u32::try_from(count).unwrap_or(u32::MAX))
}
