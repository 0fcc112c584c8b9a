//! How a service does at this moment: its probes, its sessions and its memory.

use extend_common::clock::before;
use extend_common::service::{AgedService, ServiceFigures};
use extend_common::size;
use extend_proto::v1;
use jiff::Timestamp;
use serde::Serialize;

use crate::cli::output::Tone;
use crate::cli::output::table::{Cell, Table};

/// How a service does.
#[derive(Debug, Clone, Serialize)]
pub(crate) struct Service {
    /// When the figures were put together, by the controller's clock.
    pub(crate) sampled_at: Timestamp,
    /// What each point of each probe came to last.
    pub(crate) probes: Vec<Probe>,
    /// How many sessions it has; null where nobody can tell.
    pub(crate) sessions: Option<u64>,
    /// The memory of its container.
    pub(crate) memory_bytes: Option<u64>,
    /// How many crash dumps lie in its directory, and how large they are together.
    pub(crate) dumps: Option<u64>,
    pub(crate) dumps_bytes: Option<u64>,
}

/// A probe's point.
#[derive(Debug, Clone, Serialize)]
pub(crate) struct Probe {
    /// What is asked: `tcp/8840`.
    pub(crate) point: String,
    /// Whether it answered.
    pub(crate) passed: bool,
    /// Whether it has ever answered on this run: until then silence means nothing.
    pub(crate) armed: bool,
    /// How long the answer took.
    pub(crate) took_ms: Option<f64>,
}

impl Service {
    pub(super) fn read(wire: v1::ServiceFigures, now: Timestamp) -> Self {
        let AgedService { age, figures } = wire.into();
        let ServiceFigures {
            probes,
            sessions,
            memory,
            dumps,
        } = figures;
        let probes = probes.into_iter().map(|probe| Probe {
            point: probe.point,
            passed: probe.passed,
            armed: probe.armed,
            took_ms: probe.took.map(|took| took.as_secs_f64() * 1_000.0),
        });
        Self {
            sampled_at: before(now, age),
            probes: probes.collect(),
            sessions: sessions.and_then(|count| count.sessions),
            memory_bytes: memory,
            dumps: dumps.as_ref().map(|dumps| dumps.count),
            dumps_bytes: dumps.map(|dumps| dumps.bytes),
        }
    }

    pub(super) fn facts(&self) -> Vec<(&'static str, String)> {
        let number = |value: Option<u64>| value.map(|value| value.to_string());
        let dumps = self.dumps.filter(|count| *count > 0);
        let dumps = dumps.map(|count| {
            let bytes = size::show(self.dumps_bytes.unwrap_or_default());
            format!("{count}, {bytes} together")
        });
        vec![
            ("Sessions", number(self.sessions).unwrap_or_default()),
            (
                "Its memory",
                self.memory_bytes.map(size::show).unwrap_or_default(),
            ),
            ("Crash dumps", dumps.unwrap_or_default()),
        ]
    }

    /// What each point came to last; none where there is no probe.
    pub(super) fn probes(&self) -> Option<Table> {
        if self.probes.is_empty() {
            return None;
        }
        let mut table = Table::new(vec!["PROBE", "LAST", "TOOK"]);
        for probe in &self.probes {
            let (word, tone) = probe.word();
            let took = probe.took_ms.map(|took| format!("{took:.1} ms"));
            table.row(vec![
                Cell::from(probe.point.clone()),
                Cell::toned(word, tone),
                took.unwrap_or_default().into(),
            ]);
        }
        Some(table)
    }
}

impl Probe {
    /// What it came to, in the words of what is looked at: not all of it can answer.
    fn word(&self) -> (&'static str, Tone) {
        let kind = self.point.split('/').next().unwrap_or_default();
        let [good, bad, never] = match kind {
            "udp" => ["bound", "not bound", "never bound"],
            "disk" => ["has room", "fills up", "not looked at"],
            "memory" => ["steady", "grows", "no baseline yet"],
            "portal" => ["registered", "not registered", "never registered"],
            _ => ["answers", "no answer", "never answered"],
        };
        match (self.passed, self.armed) {
            (true, _) => (good, Tone::Good),
            (false, true) => (bad, Tone::Bad),
            (false, false) => (never, Tone::Faint),
        }
    }
}
