//! The simulated Engine's answers to the calls that change something, in Docker's words.

use std::time::Duration;

use extend_common::roles::RestartPolicy;
use extend_common::status::ContainerState;
use tokio::sync::oneshot;
use tokio::time::Instant;

use super::behaviour::signal_name;
use super::container::{Simulated, Status};
use super::history::EffectKind;
use super::process::KILLED;
use super::state::{Daemon, State, Waiting};
use crate::core::spec::ContainerSpec;
use crate::docker::{DockerError, Ownership};

/// The kernel queues so many connections to a daemon that does not take them.
const BACKLOG: usize = 128;

/// A call that changes something.
#[derive(Debug, Clone)]
pub(super) enum Call {
    Create(Box<ContainerSpec>),
    Start(String),
    Signal(String, String),
    SetPolicy(String, RestartPolicy),
    Rename(String, String),
    Remove(String),
    RemoveImage(String),
}

impl Call {
    /// In the words of an error.
    pub(super) fn doing(&self) -> String {
        match self {
            Self::Create(spec) => format!("creating {}", spec.name),
            Self::Start(id) => format!("starting {id}"),
            Self::Signal(id, signal) => format!("sending {signal} to {id}"),
            Self::SetPolicy(id, _) => format!("changing the policy of {id}"),
            Self::Rename(id, name) => format!("renaming {id} to {name}"),
            Self::Remove(id) => format!("removing {id}"),
            Self::RemoveImage(id) => format!("removing image {id}"),
        }
    }
}

type Answer = Result<String, DockerError>;

/// What a caller gets.
pub(super) enum Given {
    /// The effect has happened.
    Now {
        answer: Answer,
        after: Duration,
        is_lost: bool,
    },
    /// It happens when the daemon thaws, whether the caller still waits or not.
    Later(oneshot::Receiver<Answer>),
    /// Nobody takes the connection.
    Unreachable,
}

fn refuse<T>(status: u16, message: String) -> Result<T, DockerError> {
    Err(DockerError::Refused { status, message })
}

/// Docker's rule for names.
fn is_name(name: &str) -> bool {
    name.len() >= 2
        && name.starts_with(|c: char| c.is_ascii_alphanumeric())
        && name
            .chars()
            .all(|c| c.is_ascii_alphanumeric() || "_.-".contains(c))
}

impl State {
    /// Takes a call as the daemon does in its present state.
    pub(super) fn take(&mut self, call: Call, actor: &str, now: Instant) -> Given {
        match &mut self.daemon {
            Daemon::Down { .. } => return Given::Unreachable,
            Daemon::Frozen { waiting } if waiting.len() >= BACKLOG => return Given::Unreachable,
            Daemon::Frozen { waiting } => {
                let (answer, receiver) = oneshot::channel();
                waiting.push(Waiting {
                    call,
                    actor: actor.to_owned(),
                    answer,
                });
                return Given::Later(receiver);
            }
            Daemon::Up { .. } => {}
        }
        let after = self.latency;
        if let Some(refusal) = self.refusals.pop_front() {
            return Given::Now {
                answer: Err(refusal),
                after,
                is_lost: false,
            };
        }
        let answer = self.perform(&call, actor, now);
        let is_lost = self.lost_answers > 0;
        self.lost_answers = self.lost_answers.saturating_sub(1);
        Given::Now {
            answer,
            after,
            is_lost,
        }
    }

    /// Does what a call asks for.
    pub(super) fn perform(&mut self, call: &Call, actor: &str, now: Instant) -> Answer {
        self.version += 1;
        match call {
            Call::Create(spec) => self.create(spec, actor, now),
            Call::Start(id) => self.start(id, actor, now),
            Call::Signal(id, signal) => self.signal(id, signal, actor, now),
            Call::SetPolicy(id, policy) => self.set_policy(id, *policy, actor, now),
            Call::Rename(id, name) => self.rename(id, name, actor, now),
            Call::Remove(id) => self.remove(id, actor, now),
            Call::RemoveImage(id) => self.remove_image(id),
        }
    }

    /// The container that an id, a name or the beginning of an id means.
    pub(super) fn resolve(&self, asked: &str) -> Result<&Simulated, DockerError> {
        if let Some(container) = self.containers.get(asked).or_else(|| self.named(asked)) {
            return Ok(container);
        }
        let mut begins = self.containers.values().filter(|c| c.id.starts_with(asked));
        match (begins.next(), begins.next()) {
            (Some(container), None) if !asked.is_empty() => Ok(container),
            _ => refuse(404, format!("No such container: {asked}")),
        }
    }

    fn resolve_mut(&mut self, asked: &str) -> Result<&mut Simulated, DockerError> {
        let id = self.resolve(asked)?.id.clone();
        let missing = || DockerError::Refused {
            status: 404,
            message: format!("No such container: {asked}"),
        };
        self.containers.get_mut(&id).ok_or_else(missing)
    }

    fn free_name(&self, name: &str) -> Result<(), DockerError> {
        if !is_name(name) {
            let words = "only [a-zA-Z0-9][a-zA-Z0-9_.-] are allowed";
            return refuse(400, format!("Invalid container name ({name}), {words}"));
        }
        match self.named(name) {
            None => Ok(()),
            Some(holder) => refuse(
                409,
                format!(
                    "Conflict. The container name \"/{name}\" is already in use by container \
                     \"{}\". You have to remove (or rename) that container to be able to reuse \
                     that name.",
                    holder.id
                ),
            ),
        }
    }

    /// Reserves an id as long as Docker's.
    pub(super) fn next_id(&mut self) -> String {
        self.made += 1;
        format!("{:08x}{}", self.made, "5eed".repeat(14))
    }

    fn create(&mut self, spec: &ContainerSpec, actor: &str, now: Instant) -> Answer {
        let Some(image) = self.images.find(&spec.image) else {
            return refuse(404, format!("No such image: {}", spec.image));
        };
        let image_id = image.id.clone();
        self.free_name(&spec.name)?;
        let id = self.next_id();
        let mut container = Simulated::new(id.clone(), spec.name.clone(), spec.policy);
        container.owner = Ownership::from_labels(&spec.labels);
        let owner = container.owner.as_ref();
        container.serves = owner.map(|owner| (owner.node, owner.role.clone()));
        container.stop_signal = self
            .stop_signals
            .get(&image_id)
            .cloned()
            .unwrap_or_default();
        container.image_id.clone_from(&image_id);
        container.spec = Some(spec.clone());
        self.containers.insert(id.clone(), container);
        self.events += 1;
        self.note(now, actor, &id, EffectKind::Created { image_id });
        Ok(id)
    }

    fn start(&mut self, asked: &str, actor: &str, now: Instant) -> Answer {
        let container = self.resolve(asked)?;
        let id = container.id.clone();
        match container.state() {
            ContainerState::Paused => refuse(
                409,
                "cannot start a paused container, try unpause instead".to_owned(),
            ),
            // Between two restarts, Docker counts it as running.
            state if state.is_live() => refuse(304, String::new()),
            _ => self.launch(&id, now, actor, true).map(|()| String::new()),
        }
    }

    fn signal(&mut self, asked: &str, signal: &str, actor: &str, now: Instant) -> Answer {
        let Some(signal) = signal_name(signal) else {
            return refuse(400, format!("Invalid signal: {signal}"));
        };
        let prefix = format!("Cannot kill container: {asked}");
        let Ok(container) = self.resolve(asked) else {
            return refuse(404, format!("{prefix}: No such container: {asked}"));
        };
        let behaviour = self.behaviour(container).clone();
        let container = self.resolve_mut(asked)?;
        let id = container.id.clone();
        if !container.state().is_live() {
            return refuse(409, format!("{prefix}: Container {id} is not running"));
        }
        container.restarts.manually_stopped = true;
        let stop_signal = signal_name(&container.stop_signal).unwrap_or("SIGTERM");
        let is_end =
            signal == "SIGKILL" || container.stop_signal.is_empty() || signal == stop_signal;
        container.restarts.cancelled |= is_end;
        match &mut container.status {
            Status::Running(process) => {
                match signal {
                    "SIGKILL" => process.kill(now, KILLED, false),
                    "SIGSTOP" => process.set_hung(true, now, &behaviour),
                    "SIGCONT" => process.set_hung(false, now, &behaviour),
                    "SIGTERM" | "SIGINT" | "SIGQUIT" => process.ask(now, &behaviour),
                    _ if signal == stop_signal => process.ask(now, &behaviour),
                    _ => {}
                }
                if is_end && process.is_paused() {
                    process.set_paused(false, now, &behaviour);
                }
                self.events += 1;
            }
            // There is no process to signal, and Docker tells of no event.
            status if is_end => *status = Status::Exited,
            _ => {}
        }
        self.note(
            now,
            actor,
            &id,
            EffectKind::Signalled {
                signal: signal.to_owned(),
            },
        );
        Ok(String::new())
    }

    fn set_policy(
        &mut self,
        asked: &str,
        policy: RestartPolicy,
        actor: &str,
        now: Instant,
    ) -> Answer {
        let container = self.resolve_mut(asked)?;
        // A restart that is due already is not called off by this.
        container.restarts.policy = policy;
        let id = container.id.clone();
        self.events += 1;
        self.note(now, actor, &id, EffectKind::PolicySet { policy });
        Ok(String::new())
    }

    fn rename(&mut self, asked: &str, name: &str, actor: &str, now: Instant) -> Answer {
        let container = self.resolve(asked)?;
        if container.name == name {
            let words = "Renaming a container with the same name as its current name";
            return refuse(400, words.to_owned());
        }
        if let Err(DockerError::Refused { status, message }) = self.free_name(name) {
            return refuse(status, format!("Error when allocating new name: {message}"));
        }
        if container.state() == ContainerState::Restarting {
            // Its network sandbox is gone until it runs again.
            return refuse(409, format!("sandbox of {} not found", container.id));
        }
        let container = self.resolve_mut(asked)?;
        let from = std::mem::replace(&mut container.name, name.to_owned());
        let id = container.id.clone();
        self.events += 1;
        self.note(now, actor, &id, EffectKind::Renamed { from });
        Ok(String::new())
    }

    /// As without force: neither under a container nor with another repository's name.
    fn remove_image(&mut self, asked: &str) -> Answer {
        let Some(image) = self.images.find(asked) else {
            return refuse(404, format!("No such image: {asked}"));
        };
        let id = image.id.clone();
        if let Some(user) = self.containers.values().find(|c| c.image_id == id) {
            let using = match user.state().is_live() {
                true => "running",
                false => "stopped",
            };
            return refuse(
                409,
                format!(
                    "conflict: unable to delete {id} (must be forced) - image is being used by \
                     {using} container {}",
                    user.id
                ),
            );
        }
        if self.images.repositories(&id) > 1 {
            return refuse(
                409,
                format!(
                    "conflict: unable to delete {id} (must be forced) - image is referenced in \
                     multiple repositories"
                ),
            );
        }
        self.images.prune(&id);
        Ok(String::new())
    }

    fn remove(&mut self, asked: &str, actor: &str, now: Instant) -> Answer {
        let container = self.resolve(asked)?;
        let (id, state) = (container.id.clone(), container.state());
        if state.is_live() {
            let first = match state {
                ContainerState::Paused => "Unpause and then stop",
                _ => "Stop",
            };
            return refuse(
                409,
                format!(
                    "You cannot remove a {state} container {id}. {first} the container before \
                     attempting removal or force remove"
                ),
            );
        }
        self.note(now, actor, &id, EffectKind::Removed);
        self.containers.remove(&id);
        self.events += 1;
        Ok(String::new())
    }
}
