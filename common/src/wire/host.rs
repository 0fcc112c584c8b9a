//! Figures of a node's machine, both ways.
//!
//! They decide nothing, so that odd ones are mended rather than refused: a node whose figures lie
//! must not lose its session for it.

use std::time::Duration;

use extend_proto::v1;

use super::{clipped, shown_text};
use crate::host::{AgedFigures, ClockState, Disk, HostFigures, LoadAverages, Memory};

/// The data directory's file system and that of Docker's data root; what is more is dropped.
const MAX_DISKS: usize = 2;
/// A path is cut here, in bytes.
const MAX_PATH: usize = 256;
/// No machine has more processors, and none a higher load (in hundredths) that it could tell of.
const MAX_PROCESSORS: u32 = 65_536;
const MAX_LOAD: u32 = 100 * MAX_PROCESSORS;
/// A century: what is older or has been up for longer is a mistake.
const MAX_AGE: Duration = Duration::from_secs(100 * 365 * 86_400);

impl From<AgedFigures> for v1::HostFigures {
    fn from(AgedFigures { age, figures }: AgedFigures) -> Self {
        let (total, used) = figures.memory.map_or((0, 0), |m| (m.total, m.used));
        Self {
            age_ms: u64::try_from(age.as_millis()).unwrap_or(u64::MAX),
            processor_permille: figures.processor_permille.map(u32::from),
            processors: figures.processors.unwrap_or(0),
            load: figures.load.map(|load| v1::LoadAverages {
                one_minute: load.one,
                five_minutes: load.five,
                fifteen_minutes: load.fifteen,
            }),
            memory_total_bytes: total,
            memory_used_bytes: used,
            disks: figures.disks.into_iter().map(Into::into).collect(),
            uptime_seconds: figures.uptime.map_or(0, |up| up.as_secs()),
            clock: match figures.clock {
                None => v1::ClockState::Unspecified,
                Some(ClockState::Synchronized) => v1::ClockState::Synchronized,
                Some(ClockState::Unsynchronized) => v1::ClockState::Unsynchronized,
            }
            .into(),
        }
    }
}

impl From<v1::HostFigures> for AgedFigures {
    fn from(wire: v1::HostFigures) -> Self {
        let clock = match wire.clock() {
            v1::ClockState::Unspecified => None,
            v1::ClockState::Synchronized => Some(ClockState::Synchronized),
            v1::ClockState::Unsynchronized => Some(ClockState::Unsynchronized),
        };
        let permille = wire.processor_permille.map(|permille| permille.min(1_000));
        let (total, used) = (wire.memory_total_bytes, wire.memory_used_bytes);
        let uptime = Duration::from_secs(wire.uptime_seconds);
        let disks = wire.disks.into_iter().take(MAX_DISKS).map(Disk::from);
        let figures = HostFigures {
            processor_permille: permille.and_then(|permille| permille.try_into().ok()),
            processors: Some(wire.processors.min(MAX_PROCESSORS)).filter(|count| *count > 0),
            load: wire.load.map(|load| LoadAverages {
                one: load.one_minute.min(MAX_LOAD),
                five: load.five_minutes.min(MAX_LOAD),
                fifteen: load.fifteen_minutes.min(MAX_LOAD),
            }),
            memory: (total > 0).then(|| Memory {
                total,
                used: used.min(total),
            }),
            disks: disks.filter(|disk| disk.total > 0).collect(),
            uptime: Some(uptime).filter(|up| !up.is_zero() && *up <= MAX_AGE),
            clock,
        };
        Self {
            age: Duration::from_millis(wire.age_ms).min(MAX_AGE),
            figures,
        }
    }
}

impl From<Disk> for v1::DiskFigures {
    fn from(disk: Disk) -> Self {
        Self {
            path: disk.path,
            total_bytes: disk.total,
            free_bytes: disk.free,
        }
    }
}

impl From<v1::DiskFigures> for Disk {
    fn from(wire: v1::DiskFigures) -> Self {
        Self {
            path: shown_text(clipped(wire.path, MAX_PATH)),
            total: wire.total_bytes,
            free: wire.free_bytes.min(wire.total_bytes),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_sampled_arrives() {
        let disk = |path: &str| Disk {
            path: path.to_owned(),
            total: 8_000,
            free: 5_000,
        };
        let told = AgedFigures {
            age: Duration::from_millis(2_500),
            figures: HostFigures {
                processor_permille: Some(123),
                processors: Some(2),
                load: Some(LoadAverages {
                    one: 12,
                    five: 0,
                    fifteen: 150,
                }),
                memory: Some(Memory {
                    total: 4_000,
                    used: 1_000,
                }),
                disks: vec![disk("/var/lib/portsip"), disk("/var/lib/docker")],
                uptime: Some(Duration::from_secs(86_400)),
                clock: Some(ClockState::Unsynchronized),
            },
        };
        let heard = AgedFigures::from(v1::HostFigures::from(told.clone()));
        assert_eq!(heard, told);
    }

    #[test]
    fn what_was_not_learnt_stays_unknown() {
        let told = AgedFigures::default();
        let heard = AgedFigures::from(v1::HostFigures::from(told.clone()));
        assert_eq!(heard, told);
    }

    #[test]
    fn impossible_figures_are_mended() {
        let disk = v1::DiskFigures {
            path: "\u{1b}[2J".repeat(999),
            total_bytes: 10,
            free_bytes: 11,
        };
        let heard = AgedFigures::from(v1::HostFigures {
            age_ms: u64::MAX,
            processor_permille: Some(u32::MAX),
            processors: u32::MAX,
            load: Some(v1::LoadAverages {
                one_minute: u32::MAX,
                five_minutes: 1,
                fifteen_minutes: 1,
            }),
            memory_total_bytes: 10,
            memory_used_bytes: 11,
            disks: vec![disk; 100_000],
            uptime_seconds: u64::MAX,
            clock: 99,
        });
        let figures = heard.figures;
        assert_eq!(heard.age, MAX_AGE);
        assert_eq!(figures.processor_permille, Some(1_000));
        assert_eq!(figures.processors, Some(MAX_PROCESSORS));
        assert_eq!(figures.load.unwrap().one, MAX_LOAD);
        assert_eq!(figures.memory.unwrap().used, 10);
        assert_eq!(figures.disks.len(), MAX_DISKS);
        assert_eq!(figures.disks[0].free, 10);
        assert!(!figures.disks[0].path.contains('\u{1b}'));
        assert!(figures.disks[0].path.len() < 8 * MAX_PATH);
        assert_eq!((figures.uptime, figures.clock), (None, None));
    }
}
