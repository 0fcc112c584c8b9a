//! How a node's machine does, as a document and in words.

use std::time::Duration;

use extend_common::clock::before;
use extend_common::host::{AgedFigures, ClockState, Disk as DiskFigures, HostFigures};
use extend_common::size;
use extend_proto::v1;
use jiff::Timestamp;
use serde::Serialize;

use crate::cli::output::text::{age, moment, span};

/// What the node told last of its machine; what it could not learn is null.
#[derive(Debug, Clone, Serialize)]
pub(crate) struct Host {
    /// When the figures were taken, by the controller's clock.
    pub(crate) sampled_at: Timestamp,
    /// The use of all processors together.
    pub(crate) processor_percent: Option<f64>,
    /// How many processors there are.
    pub(crate) processors: Option<u32>,
    /// Averages of runnable tasks over 1, 5 and 15 minutes.
    pub(crate) load_average: Option<[f64; 3]>,
    /// Main memory.
    pub(crate) memory_total_bytes: Option<u64>,
    /// What of it is not available to new programs.
    pub(crate) memory_used_bytes: Option<u64>,
    /// The file systems of the services' data and, if it is another one, of Docker's own.
    pub(crate) disks: Vec<Disk>,
    /// When the machine was started.
    pub(crate) booted_at: Option<Timestamp>,
    /// Whether something keeps its clock right.
    pub(crate) clock_synchronized: Option<bool>,
    #[serde(skip)]
    figures: HostFigures,
}

/// A file system.
#[derive(Debug, Clone, Serialize)]
pub(crate) struct Disk {
    /// A directory on it.
    pub(crate) path: String,
    /// All there is.
    pub(crate) total_bytes: u64,
    /// What may still be written.
    pub(crate) free_bytes: u64,
}

impl Host {
    /// Reads the figures, which were told just now.
    pub(crate) fn read(wire: v1::HostFigures, now: Timestamp) -> Self {
        let AgedFigures { age, figures } = wire.into();
        let sampled_at = before(now, age);
        let hundredth = |load: u32| f64::from(load) / 100.0;
        let disk = |disk: &DiskFigures| Disk {
            path: disk.path.clone(),
            total_bytes: disk.total,
            free_bytes: disk.free,
        };
        Self {
            sampled_at,
            processor_percent: figures.processor_permille.map(|p| f64::from(p) / 10.0),
            processors: figures.processors,
            load_average: figures
                .load
                .map(|load| [load.one, load.five, load.fifteen].map(hundredth)),
            memory_total_bytes: figures.memory.map(|memory| memory.total),
            memory_used_bytes: figures.memory.map(|memory| memory.used),
            disks: figures.disks.iter().map(disk).collect(),
            booted_at: figures.uptime.map(|up| before(sampled_at, up)),
            clock_synchronized: figures.clock.map(|clock| clock == ClockState::Synchronized),
            figures,
        }
    }

    /// `12.3%`
    pub(crate) fn processor(&self) -> String {
        let percent = self.processor_percent;
        percent.map(|p| format!("{p:.1}%")).unwrap_or_default()
    }

    /// The average over one minute.
    pub(crate) fn load(&self) -> String {
        let load = self.load_average;
        load.map(|[one, ..]| format!("{one:.2}"))
            .unwrap_or_default()
    }

    /// `23% of 8.2 GB`
    pub(crate) fn memory(&self) -> String {
        let memory = self.figures.memory;
        memory
            .map(|m| format!("{}% of {}", percent(m.used, m.total), size::show(m.total)))
            .unwrap_or_default()
    }

    /// What the fullest disk has left: `12.3 GB (61%)`.
    pub(crate) fn disk_free(&self) -> String {
        let disks = self.figures.disks.iter();
        let fullest = disks.min_by_key(|disk| percent(disk.free, disk.total));
        fullest
            .map(|d| format!("{} ({}%)", size::show(d.free), percent(d.free, d.total)))
            .unwrap_or_default()
    }

    /// How long the machine had been up.
    pub(crate) fn up(&self) -> String {
        self.figures.uptime.map(span).unwrap_or_default()
    }

    /// Whether something keeps the clock right, in words.
    pub(crate) fn clock(&self) -> &'static str {
        match self.figures.clock {
            Some(ClockState::Synchronized) => "synchronized",
            Some(ClockState::Unsynchronized) => "not synchronized",
            None => "unknown",
        }
    }

    /// All figures but the clock, each with its name.
    pub(crate) fn facts(&self, now: Timestamp) -> Vec<(&'static str, String)> {
        let processor = match (self.processor(), self.processors) {
            (used, Some(count)) if !used.is_empty() => format!("{used} of {count}"),
            (used, _) => used,
        };
        let load = self.load_average;
        let load = load.map(|[one, five, fifteen]| format!("{one:.2} {five:.2} {fifteen:.2}"));
        let memory = self.figures.memory.map(|m| {
            let (used, total) = (size::show(m.used), size::show(m.total));
            format!("{used} of {total} used ({}%)", percent(m.used, m.total))
        });
        let mut facts = vec![
            ("Processor", processor),
            ("Load", load.unwrap_or_default()),
            ("Memory", memory.unwrap_or_default()),
        ];
        for disk in &self.figures.disks {
            let (free, total) = (size::show(disk.free), size::show(disk.total));
            let percent = percent(disk.free, disk.total);
            let path = &disk.path;
            facts.push((
                "Disk",
                format!("{free} of {total} free ({percent}%) at {path}"),
            ));
        }
        let booted = self.booted_at;
        let booted = booted.map(|at| format!("{} ({} ago)", moment(at, now), age(at, now)));
        facts.push(("Started", booted.unwrap_or_default()));
        facts.push(("Figures of", format!("{} ago", age(self.sampled_at, now))));
        facts.retain(|(_, value)| !value.is_empty());
        facts
    }
}

fn percent(part: u64, of: u64) -> u64 {
    let percent = u128::from(part) * 100 / u128::from(of.max(1));
    u64::try_from(percent).unwrap_or(100).min(100)
}

/// How far a clock is off, in words: `1h 1m ahead of the controller's`.
pub(crate) fn ahead(milliseconds: i64) -> String {
    let off = Duration::from_millis(milliseconds.unsigned_abs());
    if off < Duration::from_secs(1) {
        return "as the controller's".to_owned();
    }
    let side = if milliseconds < 0 {
        "behind"
    } else {
        "ahead of"
    };
    format!("{} {side} the controller's", span(off))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn percentages_of_anything_are_percentages() {
        for (part, of, expected) in [
            (0, 0, 0),
            (1, 3, 33),
            (u64::MAX, u64::MAX, 100),
            (u64::MAX, 1, 100),
        ] {
            assert_eq!(percent(part, of), expected);
        }
    }

    #[test]
    fn clocks_are_ahead_or_behind() {
        assert_eq!(ahead(-999), "as the controller's");
        assert_eq!(ahead(3_660_000), "1h 1m ahead of the controller's");
        assert_eq!(ahead(-6_400), "6s behind the controller's");
    }
}
