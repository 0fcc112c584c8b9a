//! What the agent remembers of its server: the content of the ledger, and how steps change it.
//!
//! Everything here is pure. `ledger` writes it to disk; `reconciler` is its only writer.

use std::collections::BTreeSet;
use std::time::Duration;

use extend_common::clock::{after, since};
use extend_common::record::{Deployment, Drain, Instance, ServerRecord, Stamp};
use extend_common::roles::Point;
use extend_common::status::{Evidence, Outcome, ResolvedImage};
use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::adopt::Adopted;
use super::kept::Brought;
use super::restart::BUDGET_WINDOW;
use super::spec::ContainerSpec;
use super::step::{Done, Step};

/// The version of the ledger's format that this agent writes.
pub const LEDGER_VERSION: u32 = 1;

/// Everything the agent remembers.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Ledger {
    /// The format.
    pub version: u32,
    /// The controller's store that the record came from.
    pub store: Option<String>,
    /// The highest epoch that a controller has welcomed this agent with.
    pub epoch: u64,
    /// The server.
    pub server: Option<Entry>,
}

impl Default for Ledger {
    fn default() -> Self {
        Self {
            version: LEDGER_VERSION,
            store: None,
            epoch: 0,
            server: None,
        }
    }
}

/// A deployment that has its image and its container specification.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Served {
    /// Its number.
    pub deployment: Deployment,
    /// The number on the container's label: an earlier one when the deployment found nothing to
    /// change and left the container as it was.
    pub made_by: Deployment,
    /// Its image.
    pub image: ResolvedImage,
    /// What its container is made from.
    pub spec: ContainerSpec,
    /// Whether its container has ever been seen healthy.
    pub proven: bool,
    /// Where it has ever answered: what comes after it is to answer there, too.
    #[serde(default, skip_serializing_if = "BTreeSet::is_empty")]
    pub answered: BTreeSet<Point>,
    /// Set when the ledger was lost and the deployment was told by its container: the record it
    /// was rendered from. Only for that record is the specification known to be the container's.
    pub recalled_for: Option<Stamp>,
}

/// A deployment that failed: it is not tried again.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Spent {
    /// Its number.
    pub deployment: Deployment,
    /// Why, in words.
    pub reason: String,
    /// What was seen.
    pub evidence: Option<Evidence>,
}

/// A start that was begun for a record.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Attempt {
    /// For which record.
    pub stamp: Stamp,
    /// The container as it was before: as long as it shows this start time, it has not been
    /// started.
    pub before: Instance,
}

/// A stop that was begun: the signal is sent after this is on disk.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Stopping {
    /// What has to end.
    pub instance: Instance,
    /// When it is killed.
    pub deadline: Timestamp,
    /// Whether the stop signal is known to have been sent. Until then it is sent again: a signal
    /// too many is harmless, and none at all would let the service run into SIGKILL unasked.
    pub signalled: bool,
}

/// Sessions are waited for: written before waiting begins.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Draining {
    /// Until when.
    pub until: Timestamp,
}

/// A run that would be restarted, had it no calls.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Spared {
    /// Which.
    pub instance: Instance,
    /// Since when.
    pub since: Timestamp,
    /// Then it is restarted, whatever it carries.
    pub until: Timestamp,
}

/// What was wrong with a run.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Ailment {
    /// It ended though it should run.
    Ended,
    /// It runs and does not answer.
    Hangs,
}

/// What was seen of a run that failed, before anything was done about it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Incident {
    /// When it was noted.
    pub at: Timestamp,
    /// What was wrong.
    pub ailment: Ailment,
    /// The run; the one after it when Docker had started it again by then.
    pub instance: Instance,
    /// Docker's count of restarts by its own policy at that time.
    pub restart_count: u64,
    /// How many of the kind there were, this one included, none of them longer after the one
    /// before than [`super::restart::BUDGET_WINDOW`].
    pub in_a_row: u32,
    /// In words.
    pub reason: String,
    /// Exit code and output.
    pub evidence: Option<Evidence>,
}

/// The agent begins no restarts any more. The container stays under Docker's own policy, and so
/// comes back by itself when the cause goes.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Quarantine {
    /// Since when.
    pub since: Timestamp,
    /// What was wrong the last time.
    pub reason: String,
}

/// The agent's server.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Entry {
    /// What it should be.
    pub record: ServerRecord,
    /// The deployment that serves.
    pub serving: Option<Served>,
    /// The record's deployment, while it is tried.
    pub candidate: Option<Served>,
    /// The record's deployment, once it has failed.
    pub spent: Option<Spent>,
    /// The start that was begun last.
    pub attempt: Option<Attempt>,
    /// The stop in flight.
    pub stopping: Option<Stopping>,
    /// The record's end.
    pub outcome: Option<Outcome>,
    /// How much data the role has, in bytes; measured when a tombstone comes to its end.
    pub data_bytes: Option<u64>,
    /// When the agent began a restart by itself, oldest first.
    pub restarts: Vec<Timestamp>,
    /// All restarts that the agent ever began by itself.
    pub restarts_total: u64,
    /// The run that the agent ended last to restart it: the start after it is part of that
    /// restart.
    pub healing: Option<Instance>,
    /// What was seen of the run that failed last.
    pub incident: Option<Incident>,
    /// Set while the agent begins no restarts.
    pub quarantine: Option<Quarantine>,
    /// The container that was taken over, until it is removed. It outlives the deployment that it
    /// was taken over as: an upgrade keeps it aside for the way back.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub adopted: Option<Adopted>,
    /// The image that the record wanted ahead, as the deployment that it would be.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub staged: Option<Served>,
    /// The image of the deployment before the serving one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub previous: Option<ResolvedImage>,
    /// The images that the agent has fetched and not removed, oldest first.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub brought: Vec<Brought>,
    /// Set from when the record began to wait for sessions.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub draining: Option<Draining>,
    /// Set while a restart waits for the calls of the run that it would end.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub spared: Option<Spared>,
}

/// More restarts than the budget are never looked at.
const RESTARTS_KEPT: usize = 16;

impl Entry {
    /// A server that has just been heard of.
    pub fn new(record: ServerRecord) -> Self {
        Self {
            record,
            serving: None,
            candidate: None,
            spent: None,
            attempt: None,
            stopping: None,
            outcome: None,
            data_bytes: None,
            restarts: Vec::new(),
            restarts_total: 0,
            healing: None,
            incident: None,
            quarantine: None,
            adopted: None,
            staged: None,
            previous: None,
            brought: Vec::new(),
            draining: None,
            spared: None,
        }
    }

    /// Takes a newer record. What serves, and a stop in flight, are facts that outlive it.
    pub fn take(&mut self, record: ServerRecord) {
        if self.run_state().is_tombstone() && self.outcome.is_some() {
            // What was removed is another story.
            self.restarts_total = 0;
            self.incident = None;
        }
        self.let_go(&record);
        let deployment = record.desired.deployment;
        self.candidate = self.candidate.take().filter(|c| c.deployment == deployment);
        self.spent = self.spent.take().filter(|s| s.deployment == deployment);
        self.record = record;
        self.attempt = None;
        self.outcome = None;
        self.staged = None;
        self.draining = None;
        self.spared = None;
        self.data_bytes = None;
        // An operator's word gives the budget back.
        self.healing = None;
        self.quarantine = None;
        self.restarts.clear();
        if let Some(incident) = &mut self.incident {
            incident.in_a_row = 0;
        }
    }

    /// Heeds the clock at the agent's start: it may have been set back since the times here were
    /// written, and what lies in the future would then hold the agent up for as long.
    pub fn heed_clock(&mut self, now: Timestamp, stop_grace: Duration) {
        self.restarts.retain(|at| *at <= now);
        if let Some(stopping) = &mut self.stopping {
            stopping.deadline = stopping.deadline.min(after(now, stop_grace));
        }
        if let Some(incident) = &mut self.incident {
            incident.at = incident.at.min(now);
        }
        if let Some(spared) = &mut self.spared {
            let lasts = since(spared.since, spared.until);
            spared.since = spared.since.min(now);
            spared.until = spared.until.min(after(now, lasts));
        }
        let limit = match self.record.desired.drain {
            Drain::Off => 0,
            Drain::First { limit_seconds } | Drain::Hold { limit_seconds } => limit_seconds,
        };
        if let Some(draining) = &mut self.draining {
            let latest = after(now, Duration::from_secs(limit.into()));
            draining.until = draining.until.min(latest);
        }
    }

    /// Whether the record's own deployment is still to be brought about.
    pub fn is_deploying(&self) -> bool {
        let wanted = self.record.desired.deployment;
        let spent = self
            .spent
            .as_ref()
            .is_some_and(|spent| spent.deployment == wanted);
        let serves = self
            .serving
            .as_ref()
            .is_some_and(|served| served.deployment == wanted);
        !spent && !serves && !self.is_declined()
    }

    /// What has to be on disk before the step's effect, if anything.
    pub fn intend(&mut self, step: &Step) -> bool {
        let touches = self.touch(step);
        touches | self.intend_step(step)
    }

    fn intend_step(&mut self, step: &Step) -> bool {
        match step {
            Step::Stop {
                instance,
                deadline,
                restart,
                ..
            } => {
                self.stopping = Some(Stopping {
                    instance: instance.clone(),
                    deadline: *deadline,
                    signalled: false,
                });
                if let Some(at) = restart {
                    self.healing = Some(instance.clone());
                    self.note_restart(*at);
                }
                true
            }
            Step::Drain { until } => {
                self.draining = Some(Draining { until: *until });
                true
            }
            Step::Kill { again, .. } => {
                if let Some(stopping) = &mut self.stopping {
                    stopping.deadline = *again;
                }
                true
            }
            Step::Start {
                before, restart, ..
            } => {
                self.attempt = Some(Attempt {
                    stamp: self.record.id.stamp,
                    before: before.clone(),
                });
                if let Some(incident) = &mut self.incident {
                    // Docker counts from nought again.
                    incident.restart_count = 0;
                }
                if let Some(at) = restart {
                    self.note_restart(*at);
                }
                true
            }
            _ => false,
        }
    }

    fn note_restart(&mut self, at: Timestamp) {
        self.restarts_total = self.restarts_total.saturating_add(1);
        self.restarts.push(at);
        let excess = self.restarts.len().saturating_sub(RESTARTS_KEPT);
        self.restarts.drain(..excess);
    }

    /// What the step's end changes; `true` when it has to be written.
    pub fn note(&mut self, step: &Step, done: Done, now: Timestamp) -> bool {
        match (step, done) {
            (Step::EndStop, _) => self.stopping = None,
            (Step::Stop { .. }, _) => match &mut self.stopping {
                Some(stopping) => stopping.signalled = true,
                None => return false,
            },
            (Step::Resolve { .. } | Step::Stage { .. }, Done::Obtained { served, fetched }) => {
                self.note_obtained(step, *served, fetched);
            }
            (Step::RemoveImage { identity }, done) => {
                self.note_removed(identity, done != Done::Kept);
            }
            (Step::Recall, Done::Resolved(served)) => self.serving = Some(*served),
            (Step::Adopt { id, restart_count }, Done::Resolved(served)) => {
                self.take_over(id, *restart_count, *served);
            }
            (Step::Remove { id }, _) if self.adopted.as_ref().is_some_and(|a| a.id == *id) => {
                self.adopted = None;
            }
            (
                Step::Promote {
                    unchanged,
                    proven,
                    answered,
                },
                _,
            ) => self.promote(*unchanged, *proven, answered),
            (Step::MarkProven { answered }, _) => {
                if let Some(serving) = &mut self.serving {
                    serving.proven = true;
                    serving.answered.extend(answered);
                }
            }
            (Step::Spend { reason, .. }, Done::Seen(evidence)) => {
                self.candidate = None;
                self.spent = Some(Spent {
                    deployment: self.record.desired.deployment,
                    reason: reason.clone(),
                    evidence: evidence.evidence,
                });
            }
            (
                Step::Witness {
                    ailment,
                    instance,
                    restart_count,
                    reason,
                    ..
                },
                Done::Seen(seen),
            ) => {
                let in_a_row = self.in_a_row(*ailment, now);
                self.incident = Some(Incident {
                    at: now,
                    ailment: *ailment,
                    instance: instance.clone(),
                    restart_count: *restart_count,
                    in_a_row,
                    reason: reason.clone(),
                    evidence: seen.evidence,
                });
            }
            (Step::Spare { instance, until }, _) => {
                self.spared = Some(Spared {
                    instance: instance.clone(),
                    since: now,
                    until: *until,
                });
            }
            (Step::Unspare, _) => self.spared = None,
            (Step::Quarantine { reason }, _) => {
                self.quarantine = Some(Quarantine {
                    since: now,
                    reason: reason.clone(),
                });
            }
            (Step::Release, _) => {
                self.quarantine = None;
                self.restarts.clear();
            }
            (Step::Settle { kind, reason, .. }, Done::Seen(seen)) => {
                self.settle(*kind, reason, seen, now);
            }
            _ => return false,
        }
        true
    }

    /// The place of the next incident in its row.
    fn in_a_row(&self, ailment: Ailment, now: Timestamp) -> u32 {
        let row = self
            .incident
            .as_ref()
            .filter(|last| last.ailment == ailment && since(last.at, now) < BUDGET_WINDOW);
        row.map_or(1, |last| last.in_a_row.saturating_add(1))
    }

    fn promote(&mut self, unchanged: bool, proven: bool, answered: &BTreeSet<Point>) {
        let Some(mut candidate) = self.candidate.take() else {
            return;
        };
        candidate.proven = proven;
        candidate.answered.clone_from(answered);
        if let Some(serving) = self.serving.as_ref().filter(|_| unchanged) {
            candidate.made_by = serving.made_by;
            candidate.proven = proven || serving.proven;
        }
        let before = self.serving.replace(candidate);
        if !unchanged {
            self.note_succeeded(before.map(|served| served.image));
        }
    }
}
