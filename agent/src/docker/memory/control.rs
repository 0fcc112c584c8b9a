//! The test's hand: what happens to a simulated Engine from outside its API.

use std::time::Duration;

use extend_common::ids::NodeAddr;
use extend_common::roles::{ProbeDefinition, RestartPolicy};
use tokio::time::Instant;

use super::MemoryDocker;
use super::behaviour::Behaviour;
use super::container::Simulated;
use super::history::{Effect, EffectKind};
use super::images::{Pull, RegistryAnswer, full};
use super::process::{KILLED, Process};
use super::state::Daemon;
use crate::core::spec::ContainerSpec;
use crate::docker::{DockerError, DockerHealth, Image};

/// Whoever keeps other containers on the same Engine.
const SOMEBODY: &str = "somebody";

impl MemoryDocker {
    /// Puts an image on the node under a reference.
    pub fn add_image(&self, reference: &str, image: Image) {
        self.change(|state, _| state.images.add(reference, image));
    }

    /// Removes an image, as `docker image prune` does; containers made from it stay.
    pub fn prune_image(&self, id: &str) {
        self.change(|state, _| state.images.prune(id));
    }

    /// Says what the registry has under a reference; `None` for nothing, as everywhere else.
    pub fn set_registry(&self, reference: &str, answer: Option<RegistryAnswer>) {
        self.change(|state, _| match answer {
            Some(answer) => drop(state.images.registry.insert(full(reference), answer)),
            None => drop(state.images.registry.remove(&full(reference))),
        });
    }

    /// Says which signal an image wants to be stopped by; containers made from then on know.
    pub fn set_stop_signal(&self, image_id: &str, signal: &str) {
        self.change(|state, _| {
            state
                .stop_signals
                .insert(image_id.to_owned(), signal.to_owned())
        });
    }

    /// Says how the containers of an image behave, running ones included. The image need not be
    /// there yet.
    pub fn behave_image(&self, image_id: &str, behaviour: Behaviour) {
        self.change(|state, _| {
            state.version += 1;
            state.by_image.insert(image_id.to_owned(), behaviour)
        });
    }

    /// Says how much memory whatever container bears a name has, in bytes.
    pub fn set_memory(&self, name: &str, bytes: u64) {
        self.change(|state, _| state.memory.insert(name.to_owned(), bytes));
    }

    /// Says how whatever container bears a name behaves; `None` to go by the image again. It
    /// stays with the name, not with the container, when that is renamed.
    pub fn behave(&self, name: &str, behaviour: Option<Behaviour>) {
        self.change(|state, _| {
            state.version += 1;
            match behaviour {
                Some(behaviour) => state.by_name.insert(name.to_owned(), behaviour),
                None => state.by_name.remove(name),
            }
        });
    }

    /// Lets the process of a container hang or wakes it up. Whether there was a process.
    #[must_use]
    pub fn hang(&self, name: &str, hung: bool) -> bool {
        self.with_process(name, |process, now, behaviour| {
            process.set_hung(hung, now, behaviour)
        })
    }

    /// Pauses a container as `docker pause` does, or ends that. Whether there was a process.
    #[must_use]
    pub fn pause(&self, name: &str, paused: bool) -> bool {
        let was_there = self.with_process(name, |process, now, behaviour| {
            process.set_paused(paused, now, behaviour);
        });
        self.change(|state, _| state.events += u64::from(was_there));
        was_there
    }

    /// Lets the process of a container end by itself. Whether there was one.
    #[must_use]
    pub fn crash(&self, name: &str, code: i64) -> bool {
        self.with_process(name, |process, now, _| process.kill(now, code, false))
    }

    /// Lets the kernel kill the process of a container for memory. Whether there was one.
    #[must_use]
    pub fn kill_for_memory(&self, name: &str) -> bool {
        self.with_process(name, |process, now, _| process.kill(now, KILLED, true))
    }

    fn with_process(
        &self,
        name: &str,
        act: impl FnOnce(&mut Process, Instant, &Behaviour),
    ) -> bool {
        self.change(|state, now| {
            let Some(container) = state.named(name) else {
                return false;
            };
            let (id, behaviour) = (container.id.clone(), state.behaviour(container).clone());
            let process = state
                .containers
                .get_mut(&id)
                .and_then(Simulated::process_mut);
            let Some(process) = process.filter(|process| process.is_alive()) else {
                return false;
            };
            act(process, now, &behaviour);
            // Docker tells of none of this by itself; it tells of an end when there is one.
            state.version += 1;
            true
        })
    }

    /// Sets what Docker's own health check of a container says.
    #[must_use]
    pub fn set_health(&self, name: &str, health: Option<DockerHealth>) -> bool {
        self.with_container(name, |container| container.health = health)
    }

    /// Adds a line to a container's output.
    #[must_use]
    pub fn say(&self, name: &str, line: &str) -> bool {
        self.change(|state, now| {
            let at = state.moment(now);
            let id = state.named(name).map(|container| container.id.clone());
            let found = id.and_then(|id| state.containers.get_mut(&id));
            let is_there = found
                .map(|container| container.say(at, line.to_owned()))
                .is_some();
            state.version += u64::from(is_there);
            is_there
        })
    }

    fn with_container(&self, name: &str, act: impl FnOnce(&mut Simulated)) -> bool {
        self.change(|state, _| {
            let id = state.named(name).map(|container| container.id.clone());
            let found = id.and_then(|id| state.containers.get_mut(&id));
            let is_there = found.map(act).is_some();
            state.version += u64::from(is_there);
            state.events += u64::from(is_there && state.daemon.is_up());
            is_there
        })
    }

    /// Adds a running container that is not ours, as the official script would have made it.
    ///
    /// # Errors
    /// When the name is taken.
    pub fn foreign(&self, name: &str) -> Result<String, DockerError> {
        self.change(|state, now| {
            if let Some(holder) = state.named(name) {
                let message = format!("the name is taken by {}", holder.id);
                return Err(DockerError::Refused {
                    status: 409,
                    message,
                });
            }
            let id = state.next_id();
            let policy = RestartPolicy::UnlessStopped;
            let container = Simulated::new(id.clone(), name.to_owned(), policy);
            state.containers.insert(id.clone(), container);
            state.note(
                now,
                SOMEBODY,
                &id,
                EffectKind::Created {
                    image_id: String::new(),
                },
            );
            state.launch(&id, now, SOMEBODY, true)?;
            Ok(id)
        })
    }

    /// Stops the daemon by SIGSTOP, or lets it go on. Calls that came in the meantime then take
    /// effect, also those that their callers gave up on.
    pub fn freeze_daemon(&self, frozen: bool) {
        self.change(|state, now| {
            state.version += 1;
            match (&mut state.daemon, frozen) {
                (Daemon::Up { .. }, true) => {
                    state.daemon = Daemon::Frozen {
                        waiting: Vec::new(),
                    }
                }
                (Daemon::Frozen { waiting }, false) => {
                    let waiting = std::mem::take(waiting);
                    state.daemon = Daemon::Up { since: now };
                    state.settle(now);
                    for item in waiting {
                        let answer = state.perform(&item.call, &item.actor, now);
                        // The caller may have given up.
                        let _ = item.answer.send(answer);
                    }
                }
                _ => {}
            }
        });
    }

    /// Restarts the daemon, or the node: every process ends, and so long later the policies
    /// start again what they want.
    pub fn restart_daemon(&self, down: Duration) {
        self.change(|state, now| {
            state.version += 1;
            state.shut_down(now, Some(now + down));
        });
    }

    /// Stops the daemon until [`Self::start_daemon`].
    pub fn stop_daemon(&self) {
        self.change(|state, now| {
            state.version += 1;
            state.shut_down(now, None);
        });
    }

    /// Starts a daemon that is down.
    pub fn start_daemon(&self) {
        self.change(|state, now| {
            state.version += 1;
            if state.daemon.is_down() {
                state.boot(now);
            }
        });
    }

    /// Lets the next call that changes something take effect, and its answer be lost.
    pub fn lose_next_answer(&self) {
        self.change(|state, _| state.lost_answers += 1);
    }

    /// Refuses the next call that changes something, without effect.
    pub fn refuse_next(&self, status: u16, message: &str) {
        let refusal = DockerError::Refused {
            status,
            message: message.to_owned(),
        };
        self.change(|state, _| state.refusals.push_back(refusal));
    }

    /// Lets every answer come so late, effects happening at once all the same.
    pub fn set_latency(&self, latency: Duration) {
        self.change(|state, _| state.latency = latency);
    }

    /// Everything that has happened, oldest first.
    pub fn history(&self) -> Vec<Effect> {
        self.look(|state, _| state.history.iter().cloned().collect())
    }

    /// The present time of the history's clock.
    pub fn uptime(&self) -> Duration {
        self.look(|state, now| state.since_origin(now))
    }

    /// The pulls that were asked for, oldest first.
    pub fn pulls(&self) -> Vec<Pull> {
        self.look(|state, _| state.images.pulls.clone())
    }

    /// The questions where a reference leads, oldest first.
    pub fn registry_questions(&self) -> Vec<Pull> {
        self.look(|state, _| state.images.questions.clone())
    }

    /// What the container of a name was made from.
    pub fn spec(&self, name: &str) -> Option<ContainerSpec> {
        self.look(|state, _| state.named(name)?.spec.clone())
    }

    /// Whether a connection to a TCP port of a node is taken and answered: a container of a role
    /// with that port runs there, has come up and does not hang.
    pub fn listening(&self, node: NodeAddr, port: u16) -> bool {
        self.look(|state, now| {
            state.containers.values().any(|container| {
                let serves = container.serves.as_ref();
                let Some((_, role)) = serves.filter(|(on, _)| *on == node) else {
                    return false;
                };
                let has_port = state.roles.get(role).is_some_and(|role| {
                    let probed = role.probes.iter().filter_map(ProbeDefinition::tcp_ports);
                    probed
                        .chain(role.firewall.tcp.iter().copied())
                        .any(|r| r.contains(port))
                });
                let behaviour = state.behaviour(container);
                let answers = |process: &Process| {
                    process.is_awake() && now >= process.started + behaviour.start_delay
                };
                has_port && behaviour.listens && container.process().is_some_and(answers)
            })
        })
    }
}
