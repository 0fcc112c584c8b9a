//! From probe results to a verdict about one run of one container. Pure.
//!
//! A probe is armed by its first success on the present run: until then its failures mean
//! nothing, since nobody has seen which ports the real binaries answer on.

use std::collections::BTreeMap;

use extend_common::record::Instance;
use extend_common::roles::ProbeDefinition;
use jiff::Timestamp;

use crate::docker::DockerHealth;

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

/// The memory of one probe.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
struct ProbeState {
    armed: bool,
    passing: bool,
    failures: u32,
    successes: u32,
    last_failure: String,
    /// Why the last one failed, if it did.
    last: Option<String>,
}

/// The probes' memory of one run.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Health {
    instance: Instance,
    seen: Timestamp,
    probes: BTreeMap<u16, ProbeState>,
    looked: bool,
}

impl Health {
    /// Nothing is known of this run yet.
    pub fn of(instance: Instance, now: Timestamp) -> Self {
        Self {
            instance,
            seen: now,
            probes: BTreeMap::new(),
            looked: false,
        }
    }

    /// Which run it is about.
    pub fn instance(&self) -> &Instance {
        &self.instance
    }

    /// When this process saw the run first.
    pub fn seen(&self) -> Timestamp {
        self.seen
    }

    /// Takes the results of one round of a probe definition: for each port, success or why not.
    pub fn note(&mut self, definition: &ProbeDefinition, results: Vec<(u16, Result<(), String>)>) {
        self.looked = true;
        for (port, result) in results {
            let probe = self.probes.entry(port).or_default();
            probe.last = result.as_ref().err().cloned();
            match result {
                Ok(()) => {
                    probe.failures = 0;
                    probe.successes = probe.successes.saturating_add(1);
                    let enough = probe.successes >= definition.successes;
                    probe.passing |= enough || !probe.armed;
                    probe.armed = true;
                }
                Err(why) if probe.armed => {
                    probe.successes = 0;
                    probe.failures = probe.failures.saturating_add(1);
                    probe.last_failure = why;
                    if probe.failures >= definition.failures {
                        probe.passing = false;
                    }
                }
                Err(_) => {}
            }
        }
    }

    /// What the probes said last, a line for each port. There are few: a definition has at most 16.
    pub fn words(&self) -> Vec<String> {
        let line = |(port, probe): (&u16, &ProbeState)| match (&probe.last, probe.armed) {
            (None, _) => format!("tcp/{port}: it answers"),
            (Some(why), false) => format!("tcp/{port}: {why} (it has never answered)"),
            (Some(why), true) => format!("tcp/{port}: {why} ({} in a row)", probe.failures),
        };
        self.probes.iter().map(line).collect()
    }

    /// Whether any probe has passed on this run.
    pub fn is_armed(&self) -> bool {
        self.probes.values().any(|probe| probe.armed)
    }

    /// The verdict, with Docker's own health check taken in.
    pub fn verdict(&self, docker: Option<DockerHealth>) -> Verdict {
        if docker == Some(DockerHealth::Unhealthy) {
            return Verdict::Unhealthy("Docker's health check fails".to_owned());
        }
        let failing = self
            .probes
            .iter()
            .find(|(_, probe)| probe.armed && !probe.passing);
        if let Some((port, probe)) = failing {
            let words = format!(
                "no answer on tcp/{port} for {} probes: {}",
                probe.failures, probe.last_failure
            );
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

#[cfg(test)]
mod tests;
