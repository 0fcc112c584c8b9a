//! From probe results to a verdict about one run of one container. Pure.
//!
//! A point is armed by its first success on the present run: until then its failures mean
//! nothing, since nobody has seen which ports the real binaries answer on. What is measured
//! without asking the service (its disk) counts at once.
//!
//! ```text
//!   passed ──► armed, passing ── so many failures in a row, or among two more ──► failing
//!                  ▲                                                                 │
//!                  └── so many successes in a row; after flapping, a window of them ─┘
//! ```
//!
//! A failure says nothing while the agent itself has just started or the host has just woken up,
//! and when the agent was too late to judge ([`Answer::Unsure`]).

mod point;

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use extend_common::clock::after;
use extend_common::record::Instance;
use extend_common::roles::{Consequence, Point, ProbeDefinition};
use extend_common::service::ProbeFigure;
use extend_common::status::{Failing, Warning, WarningKind};
use jiff::Timestamp;

use crate::docker::DockerHealth;
use point::PointState;

/// For so long after the agent's own start, and after the host has woken up, a failure says nothing:
/// whatever stood still with the agent needs a moment as well.
pub const WARM_UP: Duration = Duration::from_secs(10);

/// For so long nobody could ask, and people are told.
const BLIND: Duration = Duration::from_secs(120);

/// What one question came to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Answer {
    /// It is as it should be.
    Passed {
        /// How long that took to find out, where it says something about the service.
        took: Option<Duration>,
        /// It answers, and takes no new sessions.
        draining: bool,
    },
    /// It is not; why, in words.
    Failed(String),
    /// Nobody can tell: the agent itself was late, or this host could not ask. Says nothing of the
    /// service.
    Unsure(String),
}

impl Answer {
    /// An answer that came after this time.
    pub fn after(took: Duration) -> Self {
        Self::Passed {
            took: Some(took),
            draining: false,
        }
    }
}

/// What is to be thought of a run.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub enum Verdict {
    /// There is nothing to judge by yet.
    #[default]
    Starting,
    /// It answers.
    Healthy,
    /// It runs, and no probe has ever passed.
    NotProven,
    /// It has stopped answering; why, in words.
    Unhealthy(String),
}

/// What is seen of a run beside the verdict.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Signs {
    /// A probe that counts fails, whether or not often enough.
    pub failing: Option<Failing>,
    /// What is the matter and no reason for a restart.
    pub warnings: Vec<Warning>,
    /// Since when it answers that it takes no new sessions.
    pub draining: Option<Timestamp>,
    /// Where it has answered on this run, of the points that count, and when it did so first.
    pub answered: BTreeMap<Point, Timestamp>,
    /// Where it has been asked and has not.
    pub silent: BTreeSet<Point>,
    /// Where nobody can tell, or has asked yet.
    pub unasked: BTreeSet<Point>,
    /// Nobody could ask it anything; why not.
    pub blind: Option<String>,
}

/// The probes' memory of one run.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Health {
    instance: Instance,
    seen: Timestamp,
    warm_until: Timestamp,
    points: BTreeMap<Point, PointState>,
    /// The service itself has been asked.
    looked: bool,
    /// What a probe follows with whose answer proves that the service works.
    proof: Consequence,
}

impl Health {
    /// Nothing is known of this run yet. Until `warm_until` no failure counts.
    pub fn of(instance: Instance, now: Timestamp, warm_until: Timestamp) -> Self {
        Self {
            instance,
            seen: now,
            warm_until,
            points: BTreeMap::new(),
            looked: false,
            proof: Consequence::Restart,
        }
    }

    /// How the run is probed. Where nothing is restarted for any answer, those prove it that people
    /// are warned for.
    pub fn expect(&mut self, probes: &[ProbeDefinition]) {
        let has_proof = probes.iter().any(is_proof);
        self.proof = match has_proof {
            true => Consequence::Restart,
            false => Consequence::Warn,
        };
    }

    /// Which run it is about.
    pub fn instance(&self) -> &Instance {
        &self.instance
    }

    /// When this process saw the run first.
    pub fn seen(&self) -> Timestamp {
        self.seen
    }

    /// The host has woken up: failures count no sooner than this.
    pub fn warm_up(&mut self, until: Timestamp) {
        self.warm_until = self.warm_until.max(until);
    }

    /// Takes the results of one round of a probe definition.
    pub fn note(
        &mut self,
        definition: &ProbeDefinition,
        results: Vec<(Point, Answer)>,
        now: Timestamp,
    ) {
        self.take(definition, results, true, now);
    }

    /// Takes the results of a round that was asked in haste: what answers has answered, and a
    /// failure does not count, for it came sooner than a failure of the next interval would.
    pub fn note_eager(
        &mut self,
        definition: &ProbeDefinition,
        results: Vec<(Point, Answer)>,
        now: Timestamp,
    ) {
        self.take(definition, results, false, now);
    }

    fn take(
        &mut self,
        definition: &ProbeDefinition,
        results: Vec<(Point, Answer)>,
        counts: bool,
        now: Timestamp,
    ) {
        let is_told = |(_, answer): &(_, Answer)| !matches!(answer, Answer::Unsure(_));
        let proves = definition.consequence == self.proof && definition.kind.asks_service();
        self.looked |= proves && results.iter().any(is_told);
        let counts = counts && now >= self.warm_until;
        for (point, answer) in results {
            let state = self
                .points
                .entry(point)
                .or_insert_with(|| PointState::of(point, definition));
            state.note(definition, answer, counts, now);
        }
    }

    /// What the probes said last, a line for each point. There are few: a definition has at most 16.
    pub fn words(&self) -> Vec<String> {
        let lines = self.points.iter();
        lines
            .map(|(point, state)| format!("{point}: {}", state.words(*point)))
            .collect()
    }

    /// The same in figures.
    pub fn figures(&self) -> Vec<ProbeFigure> {
        let points = self.points.iter();
        points.map(|(point, state)| state.figure(*point)).collect()
    }

    /// Whether the service has answered anything on this run.
    pub fn is_armed(&self) -> bool {
        let mut proof = self.points.values().filter(|s| s.consequence == self.proof);
        proof.any(PointState::has_answered)
    }

    /// What is seen beside the verdict, of everything that is asked.
    pub fn signs(&self, probes: &[ProbeDefinition], now: Timestamp) -> Signs {
        let points = probes.iter().filter(|probe| is_proof(probe));
        let points = points.flat_map(ProbeDefinition::points);
        let mut signs = Signs {
            failing: self.failing(),
            warnings: self.warnings(now),
            draining: self.draining(),
            blind: self.blind(),
            ..Signs::default()
        };
        for point in points {
            let state = self.points.get(&point);
            if let Some(first) = state.and_then(PointState::first_answer) {
                signs.answered.insert(point, first);
            } else if state.is_some_and(PointState::is_silent) {
                signs.silent.insert(point);
            } else {
                signs.unasked.insert(point);
            }
        }
        signs
    }

    /// Since when it answers that it takes no new sessions.
    fn draining(&self) -> Option<Timestamp> {
        self.answering()
            .filter_map(|(_, state)| state.draining())
            .min()
    }

    /// Why nobody could ask it anything on this run, if that is so.
    fn blind(&self) -> Option<String> {
        if self.looked {
            return None;
        }
        let mut unsure = self.answering().filter_map(|(_, state)| state.unsure());
        unsure.next().map(|(_, why)| why.to_owned())
    }

    /// The first of the failures that are going on at points that count, whether or not they are
    /// enough for a verdict. One that has become a warning is none of them.
    fn failing(&self) -> Option<Failing> {
        let counts = |(point, state): &(&Point, &PointState)| {
            !(state.is_ill() && self.is_made_up_for(**point))
        };
        let failing = self
            .answering()
            .filter(counts)
            .filter_map(|(point, state)| {
                let (since, why) = state.failing()?;
                let reason = format!("{}: {why}", point.complaint());
                Some(Failing { since, reason })
            });
        failing.min_by_key(|failing| failing.since)
    }

    /// What is the matter and no reason for a restart.
    fn warnings(&self, now: Timestamp) -> Vec<Warning> {
        let told = self.points.iter().filter(|(point, state)| {
            state.consequence == Consequence::Warn || self.is_made_up_for(**point)
        });
        told.filter_map(|(point, state)| {
            let reason = state.complaint(*point)?;
            Some(Warning {
                kind: match point {
                    Point::Disk => WarningKind::Disk,
                    Point::Memory => WarningKind::Memory,
                    _ => WarningKind::Probe,
                },
                reason,
                since: state.since,
            })
        })
        .chain(self.blind_points(now))
        .collect()
    }

    /// Where nobody has been able to ask for a while: whatever happens there is not seen.
    fn blind_points(&self, now: Timestamp) -> Option<Warning> {
        let mut unsure = self.answering().filter_map(|(point, state)| {
            let (since, why) = state.unsure()?;
            (after(since, BLIND) <= now).then_some((point, since, why))
        });
        let (point, since, why) = unsure.next()?;
        Some(Warning {
            kind: WarningKind::Probe,
            reason: format!("nobody can tell whether it answers at {point}: {why}"),
            since,
        })
    }

    /// Whether a failure at a point is no reason for a restart, since the service answers to SIP at
    /// another: callers have a way in.
    fn is_made_up_for(&self, point: Point) -> bool {
        let is_sip = |point: &Point| matches!(point, Point::Sip(..));
        let mut others = self.answering().filter(|(other, _)| **other != point);
        is_sip(&point) && others.any(|(other, state)| is_sip(other) && state.is_well())
    }

    /// The points that a restart follows from.
    fn answering(&self) -> impl Iterator<Item = (&Point, &PointState)> {
        let points = self.points.iter();
        points.filter(|(_, state)| state.consequence == Consequence::Restart)
    }

    /// The verdict, with Docker's own health check taken in.
    pub fn verdict(&self, docker: Option<DockerHealth>) -> Verdict {
        if docker == Some(DockerHealth::Unhealthy) {
            return Verdict::Unhealthy("Docker's health check fails".to_owned());
        }
        let complaint = self
            .answering()
            .filter(|(point, _)| !self.is_made_up_for(**point))
            .find_map(|(point, state)| state.complaint(*point));
        if let Some(words) = complaint {
            return Verdict::Unhealthy(words);
        }
        match (self.is_armed(), docker) {
            (_, Some(DockerHealth::Starting)) => Verdict::Starting,
            (true, _) | (_, Some(DockerHealth::Healthy)) => Verdict::Healthy,
            (false, _) if self.looked => Verdict::NotProven,
            (false, _) => Verdict::Starting,
        }
    }
}

/// Whether what a probe finds says that the service answers.
fn is_proof(probe: &ProbeDefinition) -> bool {
    probe.consequence == Consequence::Restart && probe.kind.asks_service()
}

#[cfg(test)]
mod tests;
