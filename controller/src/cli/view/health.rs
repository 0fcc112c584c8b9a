//! How a server is and was, as `extend health` shows it.

mod service;

use std::time::Duration;

use extend_common::status::Health as Word;
use extend_common::wire::shown_text;
use extend_proto::v1;
use jiff::Timestamp;
use serde::Serialize;

use self::service::Service;
use super::server::Server;
use super::{health_tone, not_understood};
use crate::cli::failure::Failure;
use crate::cli::output::Stream;
use crate::cli::output::spark::Marks;
use crate::cli::output::table::{Cell, Table};
use crate::cli::output::text::{age, local_times, moment, span};

/// Marks of a spark line: half as many as a scale has steps, so that it fits a terminal.
const STEPS_OF_MARK: usize = 2;

/// So many seconds of the present may be missing: an answer is as old as its way was long.
const LATE: i64 = 2;

/// The document of `extend health`.
#[derive(Debug, Clone, Serialize)]
pub(crate) struct Healths {
    /// In the order of their addresses.
    pub(crate) servers: Vec<Health>,
}

/// One server.
#[derive(Debug, Clone, Serialize)]
pub(crate) struct Health {
    /// How it is, as `extend status` has it.
    pub(crate) server: Server,
    /// How its service does; null while its node is away, and where its agent does not tell.
    pub(crate) service: Option<Service>,
    /// How it was, the finest steps first.
    pub(crate) history: Vec<Scale>,
    /// The last changes of its health, oldest first.
    pub(crate) changes: Vec<Change>,
}

/// The steps of one length.
#[derive(Debug, Clone, Serialize)]
pub(crate) struct Scale {
    /// How long a step is.
    pub(crate) step_seconds: u32,
    /// Oldest first. What is missing is a gap: the node or the controller was away.
    pub(crate) steps: Vec<Step>,
    /// For how many steps the scale is.
    #[serde(skip)]
    length: u32,
}

/// What was seen within one step; what nobody knows is null.
#[derive(Debug, Clone, Default, Serialize)]
pub(crate) struct Step {
    /// When it begins.
    pub(crate) at: Timestamp,
    /// So many seconds of it the health was known,
    pub(crate) known_seconds: u32,
    /// and so many of these it was healthy or draining.
    pub(crate) healthy_seconds: u32,
    /// The worst health that was seen.
    pub(crate) worst: Option<Word>,
    /// The mean use of all processors together.
    pub(crate) processor_percent: Option<f64>,
    /// The most memory in use on the host.
    pub(crate) memory_percent: Option<f64>,
    /// The least that the fullest disk had left.
    pub(crate) disk_free_percent: Option<f64>,
    /// The most sessions.
    pub(crate) sessions: Option<u32>,
    /// The most memory of its container, in MiB.
    pub(crate) service_memory_mib: Option<u32>,
    /// The slowest answer to a probe.
    pub(crate) slowest_probe_ms: Option<u32>,
}

/// Another health than before.
#[derive(Debug, Clone, Serialize)]
pub(crate) struct Change {
    /// When the controller learnt of it.
    pub(crate) at: Timestamp,
    /// How it was from then on; `unknown` while its node was away.
    pub(crate) health: Word,
    /// Why, in words.
    pub(crate) reason: String,
}

impl Health {
    /// Reads an answer that came just now, with what was over before `since` left out.
    pub(crate) fn read(
        wire: v1::HealthView,
        since: Option<Timestamp>,
        now: Timestamp,
    ) -> Result<Self, Failure> {
        let is_meant = |at: Timestamp| since.is_none_or(|since| at >= since);
        let mut history = Vec::new();
        for scale in wire.scales {
            let steps = scale.steps.into_iter().map(Step::read);
            let mut steps = steps.collect::<Result<Vec<_>, _>>()?;
            let length = jiff::SignedDuration::from_secs(scale.step_seconds.into());
            steps.retain(|step| is_meant(step.at.saturating_add(length).unwrap_or(step.at)));
            history.push(Scale {
                step_seconds: scale.step_seconds.max(1),
                steps,
                length: scale.length,
            });
        }
        let changes = wire.changes.into_iter().map(Change::read);
        let mut changes = changes.collect::<Result<Vec<_>, _>>()?;
        // The last one before is what was in force then.
        let first = changes.iter().position(|change| is_meant(change.at));
        changes.drain(..first.unwrap_or(changes.len()).saturating_sub(1));
        Ok(Self {
            server: Server::try_from(wire.server.unwrap_or_default())?,
            service: wire.service.map(|service| Service::read(service, now)),
            history,
            changes,
        })
    }

    /// For people.
    pub(crate) fn lines(&self, marks: Marks, stream: Stream, wide: bool, now: Timestamp) -> String {
        let mut parts = vec![self.heading(now, stream)];
        let probes = self.service.as_ref().and_then(Service::probes);
        parts.extend(probes.map(|table| table.render(stream)));
        let scales = if wide { self.history.len() } else { 2 };
        for scale in self.history.iter().take(scales) {
            parts.push(scale.lines(marks, now));
        }
        parts.push(format!("({})", marks.legend()));
        parts.push(self.timeline(now).map_or_else(
            || "no change of its health is known".to_owned(),
            |table| table.render(stream),
        ));
        parts.join("\n\n")
    }

    fn heading(&self, now: Timestamp, stream: Stream) -> String {
        let server = &self.server;
        let word = health_tone(server.health).paint(&server.health.to_string(), stream.colour);
        let since = server.since.filter(|_| server.health != Word::Unknown);
        let since = since.map(|at| format!(" for {}", age(at, now)));
        let mut facts = vec![
            (
                "Server",
                format!("{} ({}) at {}", server.name, server.r#type, server.address),
            ),
            ("Health", format!("{word}{}", since.unwrap_or_default())),
            ("Because", local_times(&server.explanation(), now)),
        ];
        if let Some(since) = server.node_away_since {
            let (at, gone) = (moment(since, now), age(since, now));
            facts.push((
                "Node",
                format!("{} since {at} ({gone} ago)", server.node_state),
            ));
        }
        let host = server.host.as_ref();
        facts.extend(host.map(|host| host.facts(now)).unwrap_or_default());
        if let Some(service) = &self.service {
            facts.extend(service.facts());
        }
        facts.retain(|(_, value)| !value.is_empty());
        let width = facts.iter().map(|(name, _)| name.len()).max().unwrap_or(0);
        let line = |(name, value): &(&str, String)| format!("{name:<width$}  {value}");
        facts.iter().map(line).collect::<Vec<_>>().join("\n")
    }

    fn timeline(&self, now: Timestamp) -> Option<Table> {
        if self.changes.is_empty() {
            return None;
        }
        let mut table = Table::new(vec!["TIME", "HEALTH", "FOR", "REASON"]);
        let ends = self.changes.iter().skip(1).map(|next| next.at);
        for (change, end) in self.changes.iter().zip(ends.chain([now])) {
            table.row(vec![
                moment(change.at, now).into(),
                Cell::toned(change.health.to_string(), health_tone(change.health)),
                age(change.at, end).into(),
                local_times(&change.reason, now).into(),
            ]);
        }
        Some(table)
    }
}

impl Scale {
    /// Spark lines of the whole scale, and the numbers beside them.
    fn lines(&self, marks: Marks, now: Timestamp) -> String {
        let pieces = self.pieces(now);
        let known: u64 = pieces
            .iter()
            .map(|piece| u64::from(piece.known_seconds))
            .sum();
        let healthy: u64 = pieces
            .iter()
            .map(|piece| u64::from(piece.healthy_seconds))
            .sum();
        let whole = u64::from(self.length) * u64::from(self.step_seconds);
        let mark = u64::from(self.step_seconds) * STEPS_OF_MARK as u64;
        let seconds = |seconds| span(Duration::from_secs(seconds));
        let mut lines = vec![format!(
            "The last {}, {} a mark",
            seconds(whole),
            seconds(mark)
        )];
        let mut add = |name: &str, line: String, told: String| {
            lines.push(format!("{name:<9}  {line}  {told}").trim_end().to_owned());
        };
        let share = |piece: &Step| {
            let passed = (now.as_second() - LATE - piece.at.as_second()).max(1);
            let passed = u64::try_from(passed).unwrap_or_default().min(mark);
            let known = u64::from(piece.known_seconds).min(mark);
            let healthy = u64::from(piece.healthy_seconds);
            let percent = healthy * 100 / passed.max(known).max(1);
            // One second of two hours is not none.
            (known > 0 && known * 2 >= passed).then_some(percent.max(healthy.min(1)))
        };
        let told = match known {
            0 => "nothing is known".to_owned(),
            _ => format!(
                "healthy {} of {} known",
                percent(healthy, known),
                seconds(known)
            ),
        };
        add("health", marks.line(pieces.iter().map(share), 100), told);
        #[expect(
            clippy::cast_possible_truncation,
            clippy::cast_sign_loss,
            reason = "a percentage"
        )]
        let whole_percent = |value: Option<f64>| value.map(|value| value.max(0.0) as u64);
        type Get<'a> = &'a dyn Fn(&Step) -> Option<u64>;
        let processor: Get<'_> = &|step| whole_percent(step.processor_percent);
        let memory: Get<'_> = &|step| whole_percent(step.memory_percent);
        let sessions: Get<'_> = &|step| step.sessions.map(u64::from);
        let figures = [
            ("processor", processor, Some(100), "%"),
            ("memory", memory, Some(100), "%"),
            ("sessions", sessions, None, ""),
        ];
        for (name, get, most, unit) in figures {
            let values: Vec<_> = pieces.iter().map(get).collect();
            let (Some(low), Some(high)) = (
                values.iter().flatten().min().copied(),
                values.iter().flatten().max().copied(),
            ) else {
                continue;
            };
            let line = marks.line(values, most.unwrap_or(high));
            add(name, line, format!("{low}{unit} to {high}{unit}"));
        }
        lines.join("\n")
    }

    /// The steps by twos up to now, with nothing in those of which nothing is known.
    fn pieces(&self, now: Timestamp) -> Vec<Step> {
        let length = i64::from(self.step_seconds) * STEPS_OF_MARK as i64;
        let count = self.length as usize / STEPS_OF_MARK;
        let first = (now.as_second() - 1) / length - count as i64 + 1;
        let begins = (first..).map(|place| Timestamp::from_second(place.saturating_mul(length)));
        let piece = |at: Result<Timestamp, _>| Step {
            at: at.unwrap_or_default(),
            ..Step::default()
        };
        let mut pieces: Vec<_> = begins.take(count).map(piece).collect();
        for step in &self.steps {
            let place = usize::try_from(step.at.as_second() / length - first).ok();
            if let Some(piece) = place.and_then(|place| pieces.get_mut(place)) {
                piece.merge(step);
            }
        }
        pieces
    }
}

/// One decimal, and never more than there is: 99.97 % is not all.
fn percent(part: u64, of: u64) -> String {
    let permille = part.saturating_mul(1_000) / of.max(1);
    format!("{}.{}%", permille / 10, permille % 10)
}

impl Step {
    fn read(wire: v1::HealthStep) -> Result<Self, Failure> {
        let tenth = |permille: Option<u32>| permille.map(|p| f64::from(p) / 10.0);
        let worst = match wire.worst {
            0 => None,
            word => Some(Word::from_wire(word).map_err(|error| not_understood(&error))?),
        };
        Ok(Self {
            at: super::moment("at_ms", wire.at_ms)?.unwrap_or_default(),
            known_seconds: wire.known_seconds,
            healthy_seconds: wire.healthy_seconds.min(wire.known_seconds),
            worst,
            processor_percent: tenth(wire.processor_permille),
            memory_percent: tenth(wire.memory_permille),
            disk_free_percent: tenth(wire.disk_free_permille),
            sessions: wire.sessions,
            service_memory_mib: wire.service_memory_mib,
            slowest_probe_ms: wire.slowest_probe_ms,
        })
    }

    /// Takes in another one for a mark: what is drawn of figures is the most.
    fn merge(&mut self, other: &Self) {
        self.known_seconds += other.known_seconds;
        self.healthy_seconds += other.healthy_seconds;
        let most = |a: Option<f64>, b: Option<f64>| match (a, b) {
            (Some(a), Some(b)) => Some(a.max(b)),
            (a, b) => a.or(b),
        };
        self.processor_percent = most(self.processor_percent, other.processor_percent);
        self.memory_percent = most(self.memory_percent, other.memory_percent);
        self.sessions = self.sessions.max(other.sessions);
    }
}

impl Change {
    fn read(wire: v1::HealthChange) -> Result<Self, Failure> {
        Ok(Self {
            at: super::moment("at_ms", wire.at_ms)?.unwrap_or_default(),
            health: Word::from_wire(wire.health).map_err(|error| not_understood(&error))?,
            reason: shown_text(wire.reason),
        })
    }
}

#[cfg(test)]
mod tests;
