//! A Docker Engine that exists in memory only, for tests and simulations of the agent.
//!
//! It keeps to what Docker Engine 20.10 was seen to do, words included; `tests/docker_engine.rs`
//! holds both implementations to the same contract. Time is tokio's, so that a paused clock
//! drives it, and nothing here runs by itself: every look first brings the state to the present
//! (`State::settle`), which makes a run the same each time.
//!
//! ```text
//!             create            start              process ends
//!   (nothing) ─────→ created ─────────→ running ───────────────→ exited
//!                                        ↑    │ and the policy      │
//!                                        │    ↓ wants it back       │ start
//!                                        restarting (back-off) ←────┘ (no: running)
//!
//!   daemon: up ⇄ frozen (calls wait; the ones given up on happen at the thaw all the same)
//!           up ⇄ down   (every process ends; policies start some again when it returns)
//! ```
//!
//! [`MemoryDocker`] is a handle: it outlives the agent that a test kills. Files: `control` is the
//! test's hand, `calls` the Engine's answers, `state` and `container` what happens in between.

mod behaviour;
mod calls;
mod container;
mod control;
mod events;
mod history;
mod images;
mod official;
mod output;
mod process;
mod pull;
mod state;

use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use async_trait::async_trait;
use extend_common::roles::{RestartPolicy, RoleSet};
use futures_util::stream::BoxStream;
use tokio::sync::watch;
use tokio::time::{Instant, sleep, timeout};

use super::engine::{EngineTimeouts, silent};
use super::{
    Container, ContainerName, Docker, DockerError, EngineFacts, Happening, Image, Inspected,
    OutputPart, OutputQuery, PullProgress, RegistryAuth,
};
use crate::core::spec::ContainerSpec;
use calls::{Call, Given};
use state::State;

pub use behaviour::{Behaviour, StopBehaviour};
pub use history::{Effect, EffectKind, overlap};
pub use images::{Pull, RegistryAnswer};
pub use official::Official;

/// What a simulated service has, in bytes, until a test says something else.
const SOME_MEMORY: u64 = 100 * 1024 * 1024;

struct Shared {
    state: Mutex<State>,
    /// Follows `State::version`; wakes whoever waits for a change.
    wake: watch::Sender<u64>,
    timeouts: EngineTimeouts,
}

/// A Docker Engine in memory. Clones are handles to the same one.
#[derive(Clone)]
pub struct MemoryDocker {
    shared: Arc<Shared>,
    actor: Arc<str>,
}

impl MemoryDocker {
    /// An Engine without images and containers. The roles say at which ports the containers of
    /// our servers listen.
    pub fn new(roles: RoleSet) -> Self {
        let state = State::new(roles, Instant::now());
        let shared = Shared {
            wake: watch::Sender::new(state.version),
            state: Mutex::new(state),
            timeouts: EngineTimeouts::default(),
        };
        Self {
            shared: Arc::new(shared),
            actor: "agent".into(),
        }
    }

    /// A handle whose calls the history tells apart by this name; otherwise it is `agent`.
    #[must_use]
    pub fn acting_as(&self, actor: &str) -> Self {
        Self {
            shared: self.shared.clone(),
            actor: actor.into(),
        }
    }

    /// Brings the state to the present, and changes it.
    fn change<T>(&self, change: impl FnOnce(&mut State, Instant) -> T) -> T {
        let mut state = self
            .shared
            .state
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        let now = Instant::now();
        state.settle(now);
        let result = change(&mut state, now);
        // What was changed may be due at once: a process that crashes.
        state.settle(now);
        self.announce(&state);
        result
    }

    /// Brings the state to the present, and looks at it.
    fn look<T>(&self, look: impl FnOnce(&State, Instant) -> T) -> T {
        let mut state = self
            .shared
            .state
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        let now = Instant::now();
        state.settle(now);
        self.announce(&state);
        look(&state, now)
    }

    fn announce(&self, state: &State) {
        self.shared.wake.send_if_modified(|seen| {
            let is_new = *seen != state.version;
            *seen = state.version;
            is_new
        });
    }

    /// Makes a call that changes something. Its effect happens when this is polled first.
    async fn effect(&self, limit: Duration, call: Call) -> Result<String, DockerError> {
        let doing = call.doing();
        match self.change(|state, now| state.take(call, &self.actor, now)) {
            Given::Unreachable => Err(unreachable(&doing)),
            Given::Later(answer) => match timeout(limit, answer).await {
                Ok(Ok(answer)) => answer,
                Ok(Err(_)) => Err(closed(&doing)),
                Err(_) => Err(silent(limit, &doing)),
            },
            Given::Now {
                answer,
                after,
                is_lost,
            } => {
                delay(after, limit, &doing).await?;
                if is_lost { Err(closed(&doing)) } else { answer }
            }
        }
    }

    /// Makes a call that changes nothing.
    async fn read<T>(
        &self,
        doing: String,
        look: impl FnOnce(&State) -> T,
    ) -> Result<T, DockerError> {
        let limit = self.shared.timeouts.read;
        self.until_up(limit, &doing).await?;
        let (answer, after) = self.look(|state, _| (look(state), state.latency));
        delay(after, limit, &doing).await?;
        Ok(answer)
    }

    /// Waits while the daemon is frozen.
    async fn until_up(&self, limit: Duration, doing: &str) -> Result<(), DockerError> {
        let mut wake = self.shared.wake.subscribe();
        let deadline = Instant::now() + limit;
        loop {
            wake.mark_unchanged();
            match self.look(|state, _| (state.daemon.is_up(), state.daemon.is_down())) {
                (true, _) => return Ok(()),
                (_, true) => return Err(unreachable(doing)),
                _ => {}
            }
            if tokio::time::timeout_at(deadline, wake.changed())
                .await
                .is_err()
            {
                return Err(silent(limit, doing));
            }
        }
    }
}

async fn delay(after: Duration, limit: Duration, doing: &str) -> Result<(), DockerError> {
    if after >= limit {
        sleep(limit).await;
        return Err(silent(limit, doing));
    }
    if !after.is_zero() {
        sleep(after).await;
    }
    Ok(())
}

fn unreachable(doing: &str) -> DockerError {
    DockerError::Unavailable(format!(
        "docker cannot be reached ({doing}): Connection refused"
    ))
}

fn closed(doing: &str) -> DockerError {
    DockerError::Unavailable(format!("docker closed the connection ({doing})"))
}

#[async_trait]
impl Docker for MemoryDocker {
    async fn container(&self, name: &str) -> Result<Option<Container>, DockerError> {
        self.read(format!("inspecting {name}"), |state| {
            state.named(name).map(container::Simulated::inspect)
        })
        .await
    }

    async fn inspected(&self, name: &str) -> Result<Option<Inspected>, DockerError> {
        self.read(format!("inspecting {name}"), |state| {
            state.named(name).map(container::Simulated::inspect_all)
        })
        .await
    }

    async fn names(&self) -> Result<Vec<ContainerName>, DockerError> {
        self.read("listing containers".to_owned(), |state| {
            state
                .containers
                .values()
                .map(container::Simulated::listed)
                .collect()
        })
        .await
    }

    async fn image(&self, reference: &str) -> Result<Option<Image>, DockerError> {
        self.read(format!("inspecting image {reference}"), |state| {
            state.images.find(reference).cloned()
        })
        .await
    }

    async fn about(&self) -> Result<EngineFacts, DockerError> {
        let doing = "asking for its data root".to_owned();
        let about = EngineFacts {
            version: "28.5.1".to_owned(),
            driver: "overlay2".to_owned(),
            root: Some(PathBuf::from("/var/lib/docker")),
        };
        self.read(doing, |_| about).await
    }

    async fn leads_to(
        &self,
        reference: &str,
        auth: Option<&RegistryAuth>,
    ) -> Result<String, DockerError> {
        self.ask_registry(reference, auth).await
    }

    async fn remove_image(&self, id: &str) -> Result<(), DockerError> {
        let call = Call::RemoveImage(id.to_owned());
        let answer = self.effect(self.shared.timeouts.discard, call).await;
        match answer {
            Err(error) if error.is_missing() => Ok(()),
            other => other.map(drop),
        }
    }

    async fn pull(
        &self,
        reference: &str,
        auth: Option<&RegistryAuth>,
        progress: &PullProgress,
    ) -> Result<(), DockerError> {
        self.pull_image(reference, auth, progress).await
    }

    async fn create(&self, spec: &ContainerSpec) -> Result<String, DockerError> {
        self.effect(
            self.shared.timeouts.change,
            Call::Create(Box::new(spec.clone())),
        )
        .await
    }

    async fn start(&self, id: &str) -> Result<(), DockerError> {
        let answer = self
            .effect(self.shared.timeouts.change, Call::Start(id.to_owned()))
            .await;
        match answer {
            Err(error) if error.is_already_so() => Ok(()),
            other => other.map(drop),
        }
    }

    async fn signal(&self, id: &str, signal: &str) -> Result<(), DockerError> {
        let call = Call::Signal(id.to_owned(), signal.to_owned());
        self.effect(self.shared.timeouts.signal, call)
            .await
            .map(drop)
    }

    async fn set_policy(&self, id: &str, policy: RestartPolicy) -> Result<(), DockerError> {
        let call = Call::SetPolicy(id.to_owned(), policy);
        self.effect(self.shared.timeouts.change, call)
            .await
            .map(drop)
    }

    async fn rename(&self, id: &str, name: &str) -> Result<(), DockerError> {
        let call = Call::Rename(id.to_owned(), name.to_owned());
        self.effect(self.shared.timeouts.change, call)
            .await
            .map(drop)
    }

    async fn remove(&self, id: &str) -> Result<(), DockerError> {
        let answer = self
            .effect(self.shared.timeouts.change, Call::Remove(id.to_owned()))
            .await;
        match answer {
            Err(error) if error.is_missing() => Ok(()),
            other => other.map(drop),
        }
    }

    async fn log_tail(&self, id: &str, lines: usize) -> Result<Vec<String>, DockerError> {
        let found = self.read(format!("reading the output of {id}"), |state| {
            state.resolve(id).map(|container| {
                let skip = container.output.len().saturating_sub(lines);
                let lines = container.output.iter().skip(skip);
                lines.map(|line| line.text.clone()).collect()
            })
        });
        found.await?
    }

    async fn memory(&self, id: &str) -> Result<Option<u64>, DockerError> {
        let found = self.read(format!("asking for the memory of {id}"), |state| {
            let container = state.resolve(id)?;
            let told = state.memory.get(&container.name).copied();
            Ok(container.process().map(|_| told.unwrap_or(SOME_MEMORY)))
        });
        found.await?
    }

    fn output(
        &self,
        id: &str,
        query: OutputQuery,
    ) -> BoxStream<'static, Result<OutputPart, DockerError>> {
        output::read(self.clone(), id.to_owned(), query)
    }

    fn events(&self) -> BoxStream<'static, Result<Happening, DockerError>> {
        events::happenings(self.clone())
    }
}

#[cfg(test)]
mod tests;
