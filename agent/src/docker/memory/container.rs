//! One simulated container, with what decides whether Docker starts it again.

use std::collections::VecDeque;
use std::time::Duration;

use extend_common::ids::{NodeAddr, RoleName};
use extend_common::roles::RestartPolicy;
use extend_common::status::ContainerState;
use jiff::Timestamp;
use tokio::time::Instant;

use super::process::Process;
use crate::core::spec::ContainerSpec;
use crate::docker::{Container, ContainerName, DockerHealth, Inspected, Ownership, Setup};

/// What Docker says of a container that was never started.
pub(super) const NEVER: &str = "0001-01-01T00:00:00Z";
/// Kept of a container's output.
const MAX_OUTPUT_LINES: usize = 1_000;
const FIRST_BACKOFF: Duration = Duration::from_millis(100);
const LAST_BACKOFF: Duration = Duration::from_secs(60);
/// A run of this length makes the next restart quick again.
const GOOD_RUN: Duration = Duration::from_secs(10);

/// A line of output.
#[derive(Debug, Clone)]
pub(super) struct Line {
    pub(super) at: Timestamp,
    pub(super) text: String,
}

/// What a container is doing, by the Engine's knowledge.
#[derive(Debug)]
pub(super) enum Status {
    Created,
    Running(Process),
    Restarting { due: Instant },
    Exited,
}

/// Docker's restart manager.
#[derive(Debug)]
pub(super) struct Restarts {
    pub(super) policy: RestartPolicy,
    pub(super) count: u64,
    /// A signal was sent through the Engine since it was started on purpose.
    pub(super) manually_stopped: bool,
    /// That signal was one that asks for the end.
    pub(super) cancelled: bool,
    pub(super) started_before: bool,
    backoff: Duration,
}

impl Restarts {
    fn new(policy: RestartPolicy) -> Self {
        Self {
            policy,
            count: 0,
            manually_stopped: false,
            cancelled: false,
            started_before: false,
            backoff: Duration::ZERO,
        }
    }

    /// A start on purpose forgets what was before.
    pub(super) fn reset(&mut self) {
        self.count = 0;
        self.manually_stopped = false;
        self.cancelled = false;
        self.backoff = Duration::ZERO;
    }

    /// After how long Docker starts a container again whose process ran for `ran`.
    pub(super) fn after_exit(&mut self, ran: Duration) -> Option<Duration> {
        if self.policy == RestartPolicy::No || self.cancelled {
            return None;
        }
        if ran >= GOOD_RUN {
            self.backoff = Duration::ZERO;
        }
        self.backoff = match self.backoff {
            Duration::ZERO => FIRST_BACKOFF,
            before => (before * 2).min(LAST_BACKOFF),
        };
        let wanted = match self.policy {
            RestartPolicy::Always => true,
            RestartPolicy::UnlessStopped => !self.manually_stopped,
            RestartPolicy::No => false,
        };
        self.count += u64::from(wanted);
        wanted.then_some(self.backoff)
    }

    /// Whether a daemon that comes up starts the container.
    pub(super) fn at_boot(&self) -> bool {
        self.started_before
            && match self.policy {
                RestartPolicy::Always => true,
                RestartPolicy::UnlessStopped => !self.manually_stopped,
                RestartPolicy::No => false,
            }
    }
}

/// A container.
#[derive(Debug)]
pub(super) struct Simulated {
    pub(super) id: String,
    pub(super) name: String,
    /// What it was made from; `None` for other people's.
    pub(super) spec: Option<ContainerSpec>,
    /// What other people made it from.
    pub(super) setup: Setup,
    /// Which role's ports it opens, and on which node.
    pub(super) serves: Option<(NodeAddr, RoleName)>,
    pub(super) owner: Option<Ownership>,
    pub(super) image_id: String,
    pub(super) stop_signal: String,
    pub(super) status: Status,
    pub(super) restarts: Restarts,
    pub(super) started_at: String,
    pub(super) exit_code: i64,
    pub(super) oom_killed: bool,
    pub(super) error: String,
    pub(super) health: Option<DockerHealth>,
    pub(super) output: VecDeque<Line>,
}

impl Simulated {
    pub(super) fn new(id: String, name: String, policy: RestartPolicy) -> Self {
        Self {
            id,
            name,
            spec: None,
            setup: Setup::default(),
            serves: None,
            owner: None,
            image_id: String::new(),
            stop_signal: String::new(),
            status: Status::Created,
            restarts: Restarts::new(policy),
            started_at: NEVER.to_owned(),
            exit_code: 0,
            oom_killed: false,
            error: String::new(),
            health: None,
            output: VecDeque::new(),
        }
    }

    pub(super) fn process(&self) -> Option<&Process> {
        match &self.status {
            Status::Running(process) => Some(process),
            _ => None,
        }
    }

    pub(super) fn process_mut(&mut self) -> Option<&mut Process> {
        match &mut self.status {
            Status::Running(process) => Some(process),
            _ => None,
        }
    }

    pub(super) fn state(&self) -> ContainerState {
        match &self.status {
            Status::Created => ContainerState::Created,
            Status::Running(process) if process.is_paused() => ContainerState::Paused,
            Status::Running(_) => ContainerState::Running,
            Status::Restarting { .. } => ContainerState::Restarting,
            Status::Exited => ContainerState::Exited,
        }
    }

    pub(super) fn say(&mut self, at: Timestamp, text: String) {
        self.output.push_back(Line { at, text });
        if self.output.len() > MAX_OUTPUT_LINES {
            self.output.pop_front();
        }
    }

    pub(super) fn inspect(&self) -> Container {
        Container {
            id: self.id.clone(),
            name: self.name.clone(),
            owner: self.owner.clone(),
            state: self.state(),
            started_at: self.started_at.clone(),
            exit_code: self.exit_code,
            oom_killed: self.oom_killed,
            error: self.error.clone(),
            policy: self.restarts.policy,
            restart_count: self.restarts.count,
            image_id: self.image_id.clone(),
            stop_signal: self.stop_signal.clone(),
            health: self.health,
            health_log: Vec::new(),
        }
    }

    pub(super) fn inspect_all(&self) -> Inspected {
        let ours = self.spec.as_ref().map(Setup::from);
        let policy = match self.restarts.policy {
            RestartPolicy::No => "no",
            RestartPolicy::UnlessStopped => "unless-stopped",
            RestartPolicy::Always => "always",
        };
        Inspected {
            container: self.inspect(),
            setup: Setup {
                policy: policy.to_owned(),
                ..ours.unwrap_or_else(|| self.setup.clone())
            },
        }
    }

    pub(super) fn listed(&self) -> ContainerName {
        ContainerName {
            id: self.id.clone(),
            name: self.name.clone(),
            owner: self.owner.clone(),
        }
    }
}
