//! Figures of a service, both ways.
//!
//! They decide nothing, so that odd ones are mended or dropped rather than refused: a node whose
//! figures lie must not lose its session for it.

use std::time::Duration;

use extend_proto::v1;

use super::{clipped, shown_text, time};
use crate::service::{AgedService, DumpFile, Dumps, ProbeFigure, ServiceFigures};

/// More points than all probes of any role have.
const MAX_POINTS: usize = 64;
/// A word or a file's name is cut here, in bytes.
const MAX_WORD: usize = 128;
/// What took longer, or is older, is a mistake.
const MAX_TIME: Duration = Duration::from_secs(86_400);

fn whole(number: u128) -> u64 {
    u64::try_from(number).unwrap_or(u64::MAX)
}

impl From<AgedService> for v1::ServiceFigures {
    fn from(AgedService { age, figures }: AgedService) -> Self {
        Self {
            age_ms: whole(age.as_millis()),
            probes: figures.probes.into_iter().map(Into::into).collect(),
            sessions: figures.sessions.map(Into::into),
            memory_bytes: figures.memory,
            dumps: figures.dumps.map(Into::into),
        }
    }
}

impl From<v1::ServiceFigures> for AgedService {
    fn from(wire: v1::ServiceFigures) -> Self {
        let probes = wire.probes.into_iter().take(MAX_POINTS);
        Self {
            age: Duration::from_millis(wire.age_ms).min(MAX_TIME),
            figures: ServiceFigures {
                probes: probes.map(ProbeFigure::from).collect(),
                sessions: wire.sessions.map(Into::into),
                memory: wire.memory_bytes,
                dumps: wire.dumps.map(Into::into),
            },
        }
    }
}

impl From<ProbeFigure> for v1::ProbeFigure {
    fn from(probe: ProbeFigure) -> Self {
        Self {
            point: probe.point,
            passed: probe.passed,
            armed: probe.armed,
            took_us: probe.took.map(|took| whole(took.as_micros())),
        }
    }
}

impl From<v1::ProbeFigure> for ProbeFigure {
    fn from(wire: v1::ProbeFigure) -> Self {
        let took = wire.took_us.map(Duration::from_micros);
        Self {
            point: shown_text(clipped(wire.point, MAX_WORD)),
            passed: wire.passed,
            armed: wire.armed,
            took: took.map(|took| took.min(MAX_TIME)),
        }
    }
}

impl From<Dumps> for v1::Dumps {
    fn from(dumps: Dumps) -> Self {
        Self {
            count: dumps.count,
            bytes: dumps.bytes,
            newest: dumps.newest.map(Into::into),
        }
    }
}

impl From<v1::Dumps> for Dumps {
    fn from(wire: v1::Dumps) -> Self {
        Self {
            count: wire.count,
            bytes: wire.bytes,
            newest: wire.newest.and_then(dump_file),
        }
    }
}

impl From<DumpFile> for v1::DumpFile {
    fn from(file: DumpFile) -> Self {
        Self {
            name: file.name,
            bytes: file.bytes,
            at_ms: file.at.as_millisecond(),
        }
    }
}

pub(super) fn dump_file(wire: v1::DumpFile) -> Option<DumpFile> {
    Some(DumpFile {
        name: shown_text(clipped(wire.name, MAX_WORD)),
        bytes: wire.bytes,
        at: time("at_ms", wire.at_ms).ok()?,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::status::SessionCount;

    fn told() -> AgedService {
        AgedService {
            age: Duration::from_millis(1_500),
            figures: ServiceFigures {
                probes: vec![ProbeFigure {
                    point: "sip udp/8916".to_owned(),
                    passed: true,
                    armed: true,
                    took: Some(Duration::from_micros(830)),
                }],
                sessions: Some(SessionCount {
                    sessions: Some(12),
                    note: String::new(),
                }),
                memory: Some(123_456_789),
                dumps: Some(Dumps {
                    count: 2,
                    bytes: 99,
                    newest: Some(DumpFile {
                        name: "core.42".to_owned(),
                        bytes: 98,
                        at: jiff::Timestamp::from_second(1_800_000_000).unwrap(),
                    }),
                }),
            },
        }
    }

    #[test]
    fn what_was_sampled_arrives_and_what_was_not_stays_unknown() {
        for told in [told(), AgedService::default()] {
            let heard = AgedService::from(v1::ServiceFigures::from(told.clone()));
            assert_eq!(heard, told);
        }
    }

    #[test]
    fn impossible_figures_are_mended() {
        let mut wire = v1::ServiceFigures::from(told());
        wire.age_ms = u64::MAX;
        wire.probes[0].point = "\u{1b}[2J".repeat(999);
        wire.probes[0].took_us = Some(u64::MAX);
        wire.probes = vec![wire.probes[0].clone(); 100_000];
        let newest = wire.dumps.as_mut().unwrap().newest.as_mut().unwrap();
        newest.at_ms = i64::MAX;
        let heard = AgedService::from(wire);
        assert_eq!(heard.age, MAX_TIME);
        assert_eq!(heard.figures.probes.len(), MAX_POINTS);
        let probe = &heard.figures.probes[0];
        assert!(!probe.point.contains('\u{1b}') && probe.point.len() < 8 * MAX_WORD);
        assert_eq!(probe.took, Some(MAX_TIME));
        assert_eq!(heard.figures.dumps.unwrap().newest, None);
    }
}
