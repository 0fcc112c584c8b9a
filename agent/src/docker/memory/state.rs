//! The state of a simulated Engine, and how it moves by itself as time passes.

use std::collections::{BTreeMap, VecDeque};
use std::time::Duration;

use extend_common::roles::RoleSet;
use jiff::Timestamp;
use tokio::sync::oneshot;
use tokio::time::Instant;

use super::behaviour::{Behaviour, StopBehaviour};
use super::calls::Call;
use super::container::{Simulated, Status};
use super::history::{Effect, EffectKind};
use super::images::Images;
use super::process::{KILLED, Process};
use crate::docker::{Death, DockerError};

/// The wall clock of a simulated Engine begins in 2026.
const EPOCH_S: i64 = 1_767_225_600;
/// Far more than any test run causes. The oldest are dropped first.
const MAX_HISTORY: usize = 1_000_000;
/// Whoever listens takes them at once.
const MAX_DEATHS: usize = 64;
/// What Docker itself did.
pub(super) const DOCKER: &str = "docker";
/// What a process did.
const PROCESS: &str = "process";

/// A call that a frozen daemon has not yet read.
pub(super) struct Waiting {
    pub(super) call: Call,
    pub(super) actor: String,
    pub(super) answer: oneshot::Sender<Result<String, DockerError>>,
}

/// How the daemon is.
pub(super) enum Daemon {
    /// It answers, since then.
    Up { since: Instant },
    /// It has been stopped by SIGSTOP: connections are taken, and nothing else happens.
    Frozen { waiting: Vec<Waiting> },
    /// It does not run.
    Down { until: Option<Instant> },
}

impl Daemon {
    pub(super) fn is_up(&self) -> bool {
        matches!(self, Self::Up { .. })
    }

    pub(super) fn is_down(&self) -> bool {
        matches!(self, Self::Down { .. })
    }
}

/// What happens next by itself.
enum Change {
    Ends(String),
    IsNoticed(String),
    Restarts(String),
    DaemonReturns,
}

pub(super) struct State {
    /// Raised by every change.
    pub(super) version: u64,
    /// The events that the daemon has told of.
    pub(super) events: u64,
    /// The ends among them, each with its number; the oldest are dropped first.
    deaths: VecDeque<(u64, Death)>,
    /// Raised when the daemon goes: its connections break.
    pub(super) run: u64,
    pub(super) daemon: Daemon,
    pub(super) containers: BTreeMap<String, Simulated>,
    pub(super) images: Images,
    pub(super) roles: RoleSet,
    pub(super) memory: BTreeMap<String, u64>,
    pub(super) by_name: BTreeMap<String, Behaviour>,
    pub(super) by_image: BTreeMap<String, Behaviour>,
    pub(super) stop_signals: BTreeMap<String, String>,
    pub(super) latency: Duration,
    pub(super) lost_answers: u32,
    pub(super) refusals: VecDeque<DockerError>,
    pub(super) history: VecDeque<Effect>,
    pub(super) made: u64,
    otherwise: Behaviour,
    origin: Instant,
    last_start: Duration,
    last_said: Duration,
}

impl State {
    pub(super) fn new(roles: RoleSet, now: Instant) -> Self {
        Self {
            version: 0,
            events: 0,
            deaths: VecDeque::new(),
            run: 0,
            daemon: Daemon::Up { since: now },
            containers: BTreeMap::new(),
            images: Images::default(),
            roles,
            memory: BTreeMap::new(),
            by_name: BTreeMap::new(),
            by_image: BTreeMap::new(),
            stop_signals: BTreeMap::new(),
            latency: Duration::ZERO,
            lost_answers: 0,
            refusals: VecDeque::new(),
            history: VecDeque::new(),
            made: 0,
            otherwise: Behaviour::default(),
            origin: now,
            last_start: Duration::ZERO,
            last_said: Duration::ZERO,
        }
    }

    pub(super) fn named(&self, name: &str) -> Option<&Simulated> {
        self.containers
            .values()
            .find(|container| container.name == name)
    }

    /// The behaviour that a container's process shows now.
    pub(super) fn behaviour(&self, container: &Simulated) -> &Behaviour {
        let by_name = self.by_name.get(&container.name);
        by_name
            .or_else(|| self.by_image.get(&container.image_id))
            .unwrap_or(&self.otherwise)
    }

    pub(super) fn since_origin(&self, now: Instant) -> Duration {
        now.duration_since(self.origin)
    }

    /// Lets everything happen that was due by `now`, in the order of time.
    pub(super) fn settle(&mut self, now: Instant) {
        while let Some((at, change)) = self.next().filter(|(at, _)| *at <= now) {
            match change {
                Change::Ends(id) => self.end(&id, at),
                Change::IsNoticed(id) => self.notice(&id, at),
                Change::Restarts(id) => {
                    // What it could not do stands in the container's error.
                    let _ = self.launch(&id, at, DOCKER, false);
                }
                Change::DaemonReturns => self.boot(at),
            }
            self.version += 1;
        }
    }

    /// When something happens next by itself, if nobody interferes.
    pub(super) fn next_at(&self) -> Option<Instant> {
        self.next().map(|(at, _)| at)
    }

    fn next(&self) -> Option<(Instant, Change)> {
        let up_since = match &self.daemon {
            Daemon::Up { since } => Some(*since),
            Daemon::Frozen { .. } => None,
            Daemon::Down { until } => return until.map(|at| (at, Change::DaemonReturns)),
        };
        let of = |container: &Simulated| {
            let id = || container.id.clone();
            match &container.status {
                Status::Running(process) if process.is_alive() => {
                    let end = process.end(self.behaviour(container))?;
                    Some((end.at, Change::Ends(id())))
                }
                Status::Running(_) => Some((up_since?, Change::IsNoticed(id()))),
                Status::Restarting { due } => Some(((*due).max(up_since?), Change::Restarts(id()))),
                Status::Created | Status::Exited => None,
            }
        };
        self.containers
            .values()
            .filter_map(of)
            .min_by_key(|(at, _)| *at)
    }

    fn end(&mut self, id: &str, at: Instant) {
        let Some(container) = self.containers.get(id) else {
            return;
        };
        let behaviour = self.behaviour(container).clone();
        let Some(process) = self.containers.get_mut(id).and_then(Simulated::process_mut) else {
            return;
        };
        process.ended = process.end(&behaviour);
        let code = process.ended.map_or(0, |end| end.code);
        self.note(at, PROCESS, id, EffectKind::Exited { code });
        if self.daemon.is_up() {
            self.notice(id, at);
        }
    }

    /// The daemon learns of the end of a process.
    fn notice(&mut self, id: &str, at: Instant) {
        let Some(container) = self.containers.get_mut(id) else {
            return;
        };
        let Some(process) = container.process() else {
            return;
        };
        let Some(end) = process.ended else { return };
        let ran = at.duration_since(process.started);
        container.exit_code = end.code;
        container.oom_killed = end.by_kernel_for_memory;
        container.status = match container.restarts.after_exit(ran) {
            Some(wait) => Status::Restarting { due: at + wait },
            None => Status::Exited,
        };
        let death = Death {
            container_id: id.to_owned(),
            exit_code: end.code,
            oom_killed: end.by_kernel_for_memory,
        };
        self.events += 1;
        self.deaths.push_back((self.events, death));
        if self.deaths.len() > MAX_DEATHS {
            self.deaths.pop_front();
        }
    }

    /// The first end that was told of after the event of this number.
    pub(super) fn death_after(&self, seen: u64) -> Option<(u64, Death)> {
        self.deaths
            .iter()
            .find(|(number, _)| *number > seen)
            .cloned()
    }

    /// Starts a container's process; on purpose, or because the policy wants it back.
    pub(super) fn launch(
        &mut self,
        id: &str,
        at: Instant,
        actor: &str,
        on_purpose: bool,
    ) -> Result<(), DockerError> {
        let trouble = self
            .containers
            .get(id)
            .and_then(|container| self.behaviour(container).fails_to_start.clone());
        let started_at = self.start_text(at);
        let said_at = self.moment(at);
        let Some(container) = self.containers.get_mut(id) else {
            return Ok(());
        };
        if on_purpose {
            container.restarts.reset();
        }
        self.events += 1;
        if let Some(message) = trouble {
            container.error.clone_from(&message);
            if on_purpose {
                container.exit_code = 127;
            }
            container.status = match container.restarts.started_before {
                true => Status::Exited,
                false => Status::Created,
            };
            self.note(at, actor, id, EffectKind::StartFailed);
            return Err(DockerError::Refused {
                status: 400,
                message,
            });
        }
        container.status = Status::Running(Process::new(at));
        container.restarts.started_before = true;
        container.started_at.clone_from(&started_at);
        container.exit_code = 0;
        container.error.clear();
        container.say(said_at, format!("{started_at} started"));
        self.note(at, actor, id, EffectKind::Started { started_at });
        Ok(())
    }

    /// No two starts have the same text.
    fn start_text(&mut self, at: Instant) -> String {
        let next = self.last_start + Duration::from_nanos(1);
        self.last_start = self.since_origin(at).max(next);
        wall(self.last_start).to_string()
    }

    /// The time of a line of output. No two lines have the same.
    pub(super) fn moment(&mut self, at: Instant) -> Timestamp {
        let next = self.last_said + Duration::from_nanos(1);
        self.last_said = self.since_origin(at).max(next);
        wall(self.last_said)
    }

    /// The daemon ends in an orderly way, and every process with it.
    pub(super) fn shut_down(&mut self, now: Instant, until: Option<Instant>) {
        self.daemon = Daemon::Down { until };
        self.run += 1;
        let ids: Vec<String> = self.containers.keys().cloned().collect();
        for id in ids {
            let Some(container) = self.containers.get(&id) else {
                continue;
            };
            let ended = match &container.status {
                Status::Created | Status::Exited => continue,
                Status::Restarting { .. } => None,
                Status::Running(process) => {
                    Some(match (process.ended, self.behaviour(container)) {
                        (Some(end), _) => (end.code, false),
                        (
                            None,
                            Behaviour {
                                stop: StopBehaviour::After(_, code),
                                ..
                            },
                        ) if process.is_awake() => (*code, true),
                        _ => (KILLED, true),
                    })
                }
            };
            let Some(container) = self.containers.get_mut(&id) else {
                continue;
            };
            container.status = Status::Exited;
            let Some((code, is_new)) = ended else {
                continue;
            };
            container.exit_code = code;
            container.oom_killed = false;
            if is_new {
                self.note(now, PROCESS, &id, EffectKind::Exited { code });
            }
        }
    }

    /// The daemon comes up, and starts what its policies want.
    pub(super) fn boot(&mut self, at: Instant) {
        self.daemon = Daemon::Up { since: at };
        let wanted = |container: &&Simulated| container.restarts.at_boot();
        let ids: Vec<String> = self
            .containers
            .values()
            .filter(wanted)
            .map(|container| container.id.clone())
            .collect();
        for id in ids {
            let _ = self.launch(&id, at, DOCKER, true);
        }
    }

    pub(super) fn note(&mut self, at: Instant, actor: &str, id: &str, kind: EffectKind) {
        let Some(container) = self.containers.get(id) else {
            return;
        };
        let effect = Effect {
            at: self.since_origin(at),
            actor: actor.to_owned(),
            container_id: id.to_owned(),
            name: container.name.clone(),
            owner: container.owner.clone(),
            serves: container.serves.clone(),
            kind,
        };
        if self.history.len() >= MAX_HISTORY {
            self.history.pop_front();
        }
        self.history.push_back(effect);
        self.version += 1;
    }
}

/// The wall clock, so long after the beginning.
fn wall(since_origin: Duration) -> Timestamp {
    let seconds = i64::try_from(since_origin.as_secs()).unwrap_or_default();
    let nanoseconds = i32::try_from(since_origin.subsec_nanos()).unwrap_or_default();
    Timestamp::new(EPOCH_S.saturating_add(seconds), nanoseconds).unwrap_or(Timestamp::MAX)
}
