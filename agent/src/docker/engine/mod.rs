//! The Docker Engine of this node, over its local socket.
//!
//! `main` makes one and gives it to `execute` and the reconciler as `dyn Docker`. Every call has
//! its own time-out, since a frozen daemon takes connections and never answers. Nothing is tried
//! again here, and nothing is kept but the address: a daemon that is not there yet, or that was
//! restarted, is found at the next call.

mod convert;
mod events;
mod logs;
mod memory;
mod names;
mod pull;
mod setup;
mod trouble;

use std::collections::HashMap;
use std::future::Future;
use std::path::{Path, PathBuf};
use std::sync::OnceLock;
use std::time::Duration;

use async_trait::async_trait;
use bollard::API_DEFAULT_VERSION;
use bollard::errors::Error;
use bollard::models::{ContainerInspectResponse, ImageConfig};
use bollard::query_parameters::{
    CreateContainerOptionsBuilder, InspectContainerOptions, KillContainerOptionsBuilder,
    ListContainersOptionsBuilder, RemoveContainerOptionsBuilder, RemoveImageOptionsBuilder,
    RenameContainerOptionsBuilder, StartContainerOptions,
};
use extend_common::roles::RestartPolicy;
use futures_util::stream::BoxStream;

use super::{
    Container, ContainerName, Docker, DockerError, EngineFacts, Happening, Image, Inspected,
    OutputPart, OutputQuery, PullProgress, RegistryAuth,
};
use crate::core::spec::ContainerSpec;
pub(super) use trouble::silent;
use trouble::{explain, unreachable};

/// How long the Engine may take, by kind of call.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct EngineTimeouts {
    /// Inspections, lists, logs, and the beginning of the event stream.
    pub read: Duration,
    /// Create, start, rename, remove, update: on a busy disk they take seconds.
    pub change: Duration,
    /// Signals. For SIGKILL the Engine waits for the end of the process, a few seconds at most.
    pub signal: Duration,
    /// A pull of which nothing more comes: the Engine's own words that it waits, or tries again,
    /// are no news.
    pub pull_silence: Duration,
    /// What a registry says of a reference, through the Engine.
    pub registry: Duration,
    /// Removing an image: its layers go one by one. Nobody waits for it.
    pub discard: Duration,
}

impl Default for EngineTimeouts {
    fn default() -> Self {
        Self {
            read: Duration::from_secs(5),
            change: Duration::from_secs(30),
            signal: Duration::from_secs(10),
            pull_silence: Duration::from_secs(120),
            registry: Duration::from_secs(10),
            discard: Duration::from_secs(300),
        }
    }
}

/// bollard's own limit, which covers the response's head only: out of the way of ours.
const UNLIMITED_S: u64 = 24 * 3600;

/// The local Docker Engine.
pub struct Engine {
    socket: String,
    timeouts: EngineTimeouts,
    /// Made at the first call that finds a socket: bollard refuses to make one earlier.
    client: OnceLock<bollard::Docker>,
}

impl Engine {
    /// The Engine behind a socket. Nothing is connected yet, and the socket need not be there:
    /// each call makes its own connection.
    ///
    /// # Errors
    /// When the path is no text: bollard takes no other.
    pub fn connect(socket: &Path, timeouts: EngineTimeouts) -> Result<Self, DockerError> {
        let Some(path) = socket.to_str() else {
            let words = format!("docker's socket {} is not UTF-8", socket.display());
            return Err(DockerError::Unavailable(words));
        };
        Ok(Self {
            socket: path.to_owned(),
            timeouts,
            client: OnceLock::new(),
        })
    }

    fn client(&self, doing: &str) -> Result<&bollard::Docker, DockerError> {
        if let Some(client) = self.client.get() {
            return Ok(client);
        }
        let made =
            bollard::Docker::connect_with_unix(&self.socket, UNLIMITED_S, API_DEFAULT_VERSION);
        let client = made.map_err(|error| unreachable(doing, &error))?;
        Ok(self
            .client
            .get_or_init(|| client.with_request_modifier(pull::url_safe_auth)))
    }

    /// Makes one call within `limit`; `doing` says which, in the words of an error.
    async fn call<'a, T, F>(
        &'a self,
        limit: Duration,
        doing: String,
        call: impl FnOnce(&'a bollard::Docker) -> F,
    ) -> Result<T, DockerError>
    where
        F: Future<Output = Result<T, Error>>,
    {
        let client = self.client(&doing)?;
        match tokio::time::timeout(limit, call(client)).await {
            Ok(answer) => answer.map_err(|error| explain(&doing, error)),
            Err(_) => Err(silent(limit, &doing)),
        }
    }
}

impl Engine {
    async fn look_at(&self, name: &str) -> Result<Option<ContainerInspectResponse>, DockerError> {
        names::check_container(name)?;
        let answer = self
            .call(self.timeouts.read, format!("inspecting {name}"), |client| {
                client.inspect_container(name, None::<InspectContainerOptions>)
            })
            .await;
        found(answer)
    }

    /// What an image brings by itself; none when it is gone.
    async fn image_config(&self, id: Option<&str>) -> Result<Option<ImageConfig>, DockerError> {
        let Some(id) = id else { return Ok(None) };
        names::check_image(id)?;
        let doing = format!("inspecting image {id}");
        let answer = self.call(self.timeouts.read, doing, |client| client.inspect_image(id));
        Ok(found(answer.await)?.and_then(|image| image.config))
    }

    /// The directory that a volume is bound to, if it is.
    async fn bound_to(&self, volume: &str) -> Result<Option<String>, DockerError> {
        names::check_container(volume)?;
        let doing = format!("inspecting volume {volume}");
        let answer = self.call(self.timeouts.read, doing, |client| {
            client.inspect_volume(volume)
        });
        let found = found(answer.await)?;
        Ok(found.and_then(|volume| setup::bound_to(&volume.driver, &volume.options)))
    }
}

/// `sha256:` and the digits.
fn is_digest(text: &str) -> bool {
    let digits = text.strip_prefix("sha256:");
    digits.is_some_and(|digits| {
        digits.len() == 64 && digits.chars().all(|c| matches!(c, '0'..='9' | 'a'..='f'))
    })
}

/// What is not there is no error.
fn found<T>(answer: Result<T, DockerError>) -> Result<Option<T>, DockerError> {
    match answer {
        Err(error) if error.is_missing() => Ok(None),
        other => other.map(Some),
    }
}

#[async_trait]
impl Docker for Engine {
    async fn container(&self, name: &str) -> Result<Option<Container>, DockerError> {
        let Some(found) = self.look_at(name).await? else {
            return Ok(None);
        };
        let found = convert::container(&format!("inspecting {name}"), found)?;
        // The Engine also takes ids and the beginnings of ids.
        Ok(Some(found).filter(|container| container.name == name))
    }

    async fn inspected(&self, name: &str) -> Result<Option<Inspected>, DockerError> {
        let Some(found) = self.look_at(name).await? else {
            return Ok(None);
        };
        let image = self.image_config(found.image.as_deref()).await?;
        let mut devices = HashMap::new();
        for volume in setup::volumes(&found) {
            if let Some(device) = self.bound_to(&volume).await? {
                devices.insert(volume, device);
            }
        }
        let setup = setup::setup(&found, image.as_ref(), |name| devices.get(name).cloned());
        let container = convert::container(&format!("inspecting {name}"), found)?;
        let is_it = container.name == name;
        Ok(Some(Inspected { container, setup }).filter(|_| is_it))
    }

    async fn names(&self) -> Result<Vec<ContainerName>, DockerError> {
        let options = ListContainersOptionsBuilder::default().all(true).build();
        let doing = "listing containers".to_owned();
        let listed = self
            .call(self.timeouts.read, doing, |client| {
                client.list_containers(Some(options))
            })
            .await?;
        Ok(listed
            .into_iter()
            .filter_map(convert::container_name)
            .collect())
    }

    async fn image(&self, reference: &str) -> Result<Option<Image>, DockerError> {
        names::check_image(reference)?;
        let doing = format!("inspecting image {reference}");
        let answer = self
            .call(self.timeouts.read, doing.clone(), |client| {
                client.inspect_image(reference)
            })
            .await;
        match answer {
            Err(error) if error.is_missing() => Ok(None),
            other => Ok(Some(convert::image(&doing, other?)?)),
        }
    }

    async fn about(&self) -> Result<EngineFacts, DockerError> {
        let doing = "asking for its data root".to_owned();
        let told = self.call(self.timeouts.read, doing, bollard::Docker::info);
        let told = told.await?;
        let root = told.docker_root_dir.map(PathBuf::from);
        Ok(EngineFacts {
            version: told.server_version.unwrap_or_default(),
            driver: told.driver.unwrap_or_default(),
            root: root.filter(|root| root.is_absolute()),
        })
    }

    async fn leads_to(
        &self,
        reference: &str,
        auth: Option<&RegistryAuth>,
    ) -> Result<String, DockerError> {
        names::check_image(reference)?;
        let doing = format!("asking the registry for {reference}");
        let digest = self.call(self.timeouts.registry, doing.clone(), |client| {
            pull::leads_to(client, reference, auth)
        });
        let digest = digest.await?;
        if is_digest(&digest) {
            return Ok(digest);
        }
        Err(DockerError::Refused {
            status: 500,
            message: format!("docker names no digest ({doing})"),
        })
    }

    async fn remove_image(&self, id: &str) -> Result<(), DockerError> {
        names::check_image(id)?;
        let options = RemoveImageOptionsBuilder::default().force(false).build();
        let doing = format!("removing image {id}");
        let answer = self
            .call(self.timeouts.discard, doing, |client| {
                client.remove_image(id, Some(options), None)
            })
            .await;
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
        names::check_image(reference)?;
        let client = self.client(&format!("pulling {reference}"))?;
        pull::pull(
            client,
            self.timeouts.pull_silence,
            reference,
            auth,
            progress,
        )
        .await
    }

    async fn create(&self, spec: &ContainerSpec) -> Result<String, DockerError> {
        names::check_container(&spec.name)?;
        let options = CreateContainerOptionsBuilder::default()
            .name(&spec.name)
            .build();
        let body = convert::create_body(spec);
        let doing = format!("creating {}", spec.name);
        let made = self
            .call(self.timeouts.change, doing, |client| {
                client.create_container(Some(options), body)
            })
            .await?;
        Ok(made.id)
    }

    async fn start(&self, id: &str) -> Result<(), DockerError> {
        names::check_container(id)?;
        // bollard takes 304, that it runs already, for success.
        self.call(self.timeouts.change, format!("starting {id}"), |client| {
            client.start_container(id, None::<StartContainerOptions>)
        })
        .await
    }

    async fn signal(&self, id: &str, signal: &str) -> Result<(), DockerError> {
        names::check_container(id)?;
        let options = KillContainerOptionsBuilder::default()
            .signal(signal)
            .build();
        self.call(
            self.timeouts.signal,
            format!("sending {signal} to {id}"),
            |client| client.kill_container(id, Some(options)),
        )
        .await
    }

    async fn set_policy(&self, id: &str, policy: RestartPolicy) -> Result<(), DockerError> {
        names::check_container(id)?;
        let body = convert::update_body(policy);
        self.call(
            self.timeouts.change,
            format!("changing the policy of {id}"),
            |client| client.update_container(id, body),
        )
        .await
    }

    async fn rename(&self, id: &str, name: &str) -> Result<(), DockerError> {
        names::check_container(id)?;
        names::check_container(name)?;
        let options = RenameContainerOptionsBuilder::default().name(name).build();
        let answer = self
            .call(
                self.timeouts.change,
                format!("renaming {id} to {name}"),
                |client| client.rename_container(id, options),
            )
            .await;
        answer.map_err(trouble::of_rename)
    }

    async fn remove(&self, id: &str) -> Result<(), DockerError> {
        names::check_container(id)?;
        let options = RemoveContainerOptionsBuilder::default()
            .v(false)
            .force(false)
            .build();
        let answer = self
            .call(self.timeouts.change, format!("removing {id}"), |client| {
                client.remove_container(id, Some(options))
            })
            .await;
        match answer {
            Err(error) if error.is_missing() => Ok(()),
            other => other,
        }
    }

    async fn log_tail(&self, id: &str, lines: usize) -> Result<Vec<String>, DockerError> {
        names::check_container(id)?;
        self.call(
            self.timeouts.read,
            format!("reading the output of {id}"),
            |client| logs::tail(client, id, lines),
        )
        .await
    }

    async fn memory(&self, id: &str) -> Result<Option<u64>, DockerError> {
        names::check_container(id)?;
        let doing = format!("asking for the memory of {id}");
        let told = self.call(self.timeouts.read, doing, |client| memory::told(client, id));
        Ok(told.await?.and_then(memory::used))
    }

    fn output(
        &self,
        id: &str,
        query: OutputQuery,
    ) -> BoxStream<'static, Result<OutputPart, DockerError>> {
        let client = names::check_container(id).and_then(|()| self.client("reading output"));
        match client {
            Ok(client) => logs::output(client, id, query, self.timeouts.read),
            Err(error) => Box::pin(futures_util::stream::iter([Err(error)])),
        }
    }

    fn events(&self) -> BoxStream<'static, Result<Happening, DockerError>> {
        match self.client(events::DOING) {
            Ok(client) => events::happenings(client, self.timeouts.read),
            Err(error) => Box::pin(futures_util::stream::iter([Err(error)])),
        }
    }
}

#[cfg(test)]
mod tests;
