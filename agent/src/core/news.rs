//! What is worth telling people: compares what was told last with what is known now. Pure.
//!
//! The [`Mark`] is kept beside the events on disk, so that an agent that was killed between a
//! happening and its telling tells it after its next start.

use extend_common::event::{Event, EventKind};
use extend_common::ids::{NodeAddr, ServerName};
use extend_common::record::RunState;
use extend_common::status::{Health, Warning, WarningKind};
use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::entry::{Ailment, Entry, Incident};
use super::status::Condition;

/// What has been told so far.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Mark {
    /// Of which server; another one begins anew.
    pub server: Option<ServerName>,
    /// The health that was told last.
    pub health: Option<Health>,
    /// The count of restarts by the agent.
    pub restarts: u64,
    /// When the last incident was noted.
    pub incident: Option<Timestamp>,
    /// Whether it is in quarantine.
    pub quarantined: bool,
    /// Whether the Engine was said to be silent.
    pub docker_silent: bool,
    /// Whether the agent's own trouble was told.
    pub agent_trouble: bool,
    /// Since when it was said to be left alone for its calls.
    #[serde(default)]
    pub spared: Option<Timestamp>,
    /// What was warned of.
    #[serde(default)]
    pub warned: Vec<WarningKind>,
    /// Of which of the service's points, in words: a warning that has stood for weeks hides no other.
    #[serde(default)]
    pub points: Vec<String>,
}

/// What is known now.
#[derive(Debug, Clone, Copy)]
pub struct Known<'a> {
    /// The node.
    pub node: NodeAddr,
    /// What the agent remembers of its server, if it has one.
    pub entry: Option<&'a Entry>,
    /// How the server is; none while that cannot be said.
    pub condition: Option<&'a Condition>,
    /// What is the matter and no reason for a restart.
    pub warnings: &'a [Warning],
    /// Empty while Docker answers.
    pub docker_trouble: &'a str,
    /// Empty while the agent can write its own state.
    pub agent_trouble: &'a str,
}

/// What to tell, in order, and the mark once it is told.
pub fn news(before: &Mark, known: &Known<'_>, now: Timestamp) -> (Mark, Vec<Event>) {
    let mut teller = Teller {
        mark: before.clone(),
        events: Vec::new(),
        known,
        now,
    };
    teller.own_troubles();
    if let Some(entry) = known.entry {
        teller.same_server(entry);
        teller.incident(entry);
        teller.restart(entry);
        teller.quarantine(entry);
        teller.spared(entry);
        teller.warnings();
        teller.health();
    }
    (teller.mark, teller.events)
}

struct Teller<'a> {
    mark: Mark,
    events: Vec<Event>,
    known: &'a Known<'a>,
    now: Timestamp,
}

impl Teller<'_> {
    fn tell(&mut self, kind: EventKind, text: String) {
        let desired = self.known.entry.map(|entry| &entry.record.desired);
        let about_server = !matches!(kind, EventKind::Docker | EventKind::Agent);
        let desired = desired.filter(|_| about_server);
        self.events.push(Event {
            at: self.now,
            kind,
            node: Some(self.known.node),
            name: desired.map(|desired| desired.name.clone()),
            role: desired.map(|desired| desired.role.clone()),
            text,
            evidence: None,
            operation: None,
            by: String::new(),
        });
    }

    fn tell_with(&mut self, kind: EventKind, text: String, incident: &Incident) {
        self.tell(kind, text);
        if let Some(event) = self.events.last_mut() {
            event.evidence.clone_from(&incident.evidence);
        }
    }

    fn own_troubles(&mut self) {
        let silent = !self.known.docker_trouble.is_empty();
        if silent != self.mark.docker_silent {
            self.mark.docker_silent = silent;
            let words = if silent {
                self.known.docker_trouble
            } else {
                "docker answers again"
            };
            self.tell(EventKind::Docker, words.to_owned());
        }
        let trouble = !self.known.agent_trouble.is_empty();
        if trouble != self.mark.agent_trouble {
            self.mark.agent_trouble = trouble;
            let words = if trouble {
                self.known.agent_trouble
            } else {
                "the agent can write its own state again"
            };
            self.tell(EventKind::Agent, words.to_owned());
        }
    }

    /// Another server on this node is another story.
    fn same_server(&mut self, entry: &Entry) {
        let name = &entry.record.desired.name;
        if self.mark.server.as_ref() != Some(name) {
            self.mark = Mark {
                server: Some(name.clone()),
                restarts: entry.restarts_total,
                docker_silent: self.mark.docker_silent,
                agent_trouble: self.mark.agent_trouble,
                ..Mark::default()
            };
        }
    }

    /// An end is told by itself; what hung is told with the restart that mends it.
    fn incident(&mut self, entry: &Entry) {
        let Some(incident) = &entry.incident else {
            return;
        };
        if self.mark.incident == Some(incident.at) {
            return;
        }
        self.mark.incident = Some(incident.at);
        if incident.ailment == Ailment::Hangs || !is_worth_telling(incident.in_a_row) {
            return;
        }
        self.mark.health = Some(Health::Unhealthy);
        let text = match incident.in_a_row {
            1 => incident.reason.clone(),
            count => format!("{} (the {} in a row)", incident.reason, ordinal(count)),
        };
        self.tell_with(EventKind::Crash, text, incident);
    }

    fn restart(&mut self, entry: &Entry) {
        // A ledger that was lost counts from nought again.
        self.mark.restarts = self.mark.restarts.min(entry.restarts_total);
        if entry.restarts_total == self.mark.restarts {
            return;
        }
        self.mark.restarts = entry.restarts_total;
        self.mark.health = Some(Health::Unhealthy);
        match &entry.incident {
            Some(hung) if hung.ailment == Ailment::Hangs => {
                let text = format!("restarting it: {}", hung.reason);
                self.tell_with(EventKind::Restart, text, hung);
            }
            Some(ended) => {
                let text = format!("starting it again: {}", ended.reason);
                self.tell(EventKind::Restart, text);
            }
            None => self.tell(EventKind::Restart, "starting it again".to_owned()),
        }
    }

    fn quarantine(&mut self, entry: &Entry) {
        let is = entry.quarantine.is_some();
        if is == self.mark.quarantined {
            return;
        }
        self.mark.quarantined = is;
        let text = match &entry.quarantine {
            Some(quarantine) => {
                self.mark.health = Some(Health::Quarantined);
                format!(
                    "quarantined: restarted too often, and still: {}",
                    quarantine.reason
                )
            }
            None => "the quarantine is over".to_owned(),
        };
        self.tell(EventKind::Quarantine, text);
    }

    fn spared(&mut self, entry: &Entry) {
        let spared = entry.spared.as_ref();
        let since = spared.map(|spared| spared.since);
        if since == self.mark.spared {
            return;
        }
        self.mark.spared = since;
        let (Some(spared), Some(incident)) = (spared, &entry.incident) else {
            return;
        };
        self.mark.health = Some(Health::Unhealthy);
        let until = spared.until.strftime("%H:%M:%S UTC");
        let text = format!(
            "unhealthy, and not restarted before {until}, for it carries calls: {}",
            incident.reason
        );
        self.tell_with(EventKind::Health, text, incident);
    }

    fn warnings(&mut self) {
        if self.known.condition.is_none() {
            return;
        }
        let mut kinds: Vec<_> = self.known.warnings.iter().map(|w| w.kind).collect();
        kinds.sort_unstable();
        kinds.dedup();
        let before = std::mem::replace(&mut self.mark.warned, kinds);
        let probes = self.known.warnings.iter();
        let probes = probes.filter(|w| w.kind == WarningKind::Probe);
        let points = probes.map(|w| w.reason.clone()).collect();
        let points = std::mem::replace(&mut self.mark.points, points);
        for warning in self.known.warnings {
            let is_probe = warning.kind == WarningKind::Probe;
            let is_known = !is_probe || points.contains(&warning.reason);
            if !before.contains(&warning.kind) || !is_known {
                self.tell(EventKind::Warning, warning.reason.clone());
            }
        }
        for kind in before {
            if !self.mark.warned.contains(&kind) {
                let words = match kind {
                    WarningKind::Disk => "the data directory's disk has room again",
                    WarningKind::Memory => "its memory is as it was again",
                    WarningKind::Probe => "it answers everywhere again",
                };
                self.tell(EventKind::Warning, words.to_owned());
            }
        }
    }

    /// What passes through on the way is not told; an end has been told as a crash.
    fn health(&mut self) {
        let Some(condition) = self.known.condition else {
            return;
        };
        let before = self.mark.health;
        let health = condition.health;
        let is_told = match health {
            Health::Healthy => before != Some(Health::Healthy),
            Health::Stopped => before.is_some_and(|before| before != Health::Stopped),
            Health::Unhealthy => before == Some(Health::Healthy),
            // Whoever hung answers again, and takes no new sessions.
            Health::Draining => {
                matches!(before, Some(Health::Unhealthy | Health::Quarantined))
            }
            _ => false,
        };
        if !is_told {
            return;
        }
        self.mark.health = Some(match health {
            Health::Draining => Health::Healthy,
            other => other,
        });
        let text = match (health, before) {
            (Health::Healthy, _) if self.should_be_stopped() => {
                "started by hand: it should be stopped, and is stopped again".to_owned()
            }
            (Health::Unhealthy, _) => format!("unhealthy: {}", condition.reason),
            (Health::Healthy | Health::Draining, Some(Health::Unhealthy | Health::Quarantined)) => {
                "healthy again".to_owned()
            }
            _ => health.to_string(),
        };
        self.tell(EventKind::Health, text);
    }
}

impl Teller<'_> {
    /// Whether an operator has stopped it, and it was stopped.
    fn should_be_stopped(&self) -> bool {
        self.known
            .entry
            .is_some_and(|entry| entry.run_state() == RunState::Stopped && entry.outcome.is_some())
    }
}

/// A crash loop is told less and less often: 1, 2, 3, 5, 10, 20, 50, 100 …
fn is_worth_telling(count: u32) -> bool {
    let mut rest = count;
    while rest >= 10 && rest.is_multiple_of(10) {
        rest /= 10;
    }
    matches!(rest, 1 | 2 | 5) || count == 3
}

fn ordinal(count: u32) -> String {
    let ending = match (count % 10, count % 100) {
        (_, 11..=13) => "th",
        (1, _) => "st",
        (2, _) => "nd",
        (3, _) => "rd",
        _ => "th",
    };
    format!("{count}{ending}")
}

#[cfg(test)]
mod tests;
