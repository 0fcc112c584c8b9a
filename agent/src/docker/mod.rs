//! What the agent needs of a Docker Engine, and nothing more: no exec, no attach, no builds,
//! and of volumes only where their data lies. Two implementations ship: [`engine::Engine`] over the local socket and
//! [`memory::MemoryDocker`] for tests and simulations.
//!
//! Only `execute`, `reconciler` and `logs` call this. Every call is bounded in time by its
//! implementation and can be repeated: the caller looks again before it decides anything.

pub mod credentials;
pub mod engine;
pub mod memory;
mod setup;

use std::collections::BTreeMap;
use std::fmt;
use std::path::PathBuf;

use async_trait::async_trait;
use extend_common::ids::{NodeAddr, RoleName, ServerName};
use extend_common::record::{Deployment, Instance};
use extend_common::roles::RestartPolicy;
use extend_common::status::ContainerState;
use futures_util::stream::BoxStream;
use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use crate::core::spec::ContainerSpec;
pub use setup::{Inspected, LogSetup, MountKind, Setup, SetupMount};

/// The node that a container belongs to. Containers without it, or with another address, are
/// never touched.
pub const LABEL_NODE: &str = "io.extend.node";
/// The server's portal name.
pub const LABEL_SERVER: &str = "io.extend.server";
/// The server's role.
pub const LABEL_ROLE: &str = "io.extend.role";
/// The number of the deployment that made the container.
pub const LABEL_DEPLOYMENT: &str = "io.extend.deployment";

/// Why a call to Docker did not do what it should.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum DockerError {
    /// The Engine does not answer, or not in time. What became of the call is not known.
    #[error("{0}")]
    Unavailable(String),
    /// The Engine answered, and refused.
    #[error("{message}")]
    Refused {
        /// The HTTP status.
        status: u16,
        /// The Engine's own words.
        message: String,
    },
}

impl DockerError {
    /// Whether the object that the call was about does not exist.
    pub fn is_missing(&self) -> bool {
        matches!(self, Self::Refused { status: 404, .. })
    }

    /// Whether the Engine says that nothing had to be done (HTTP 304) or that the object is
    /// already in that state.
    pub fn is_already_so(&self) -> bool {
        matches!(self, Self::Refused { status: 304, .. })
    }
}

/// What our labels on a container say.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Ownership {
    /// Whose it is.
    pub node: NodeAddr,
    /// Which server.
    pub server: ServerName,
    /// Which role.
    pub role: RoleName,
    /// Which deployment made it.
    pub deployment: Deployment,
}

impl Ownership {
    /// Reads our labels; `None` when any is missing or damaged, since a container whose owner is
    /// in doubt is not ours.
    pub fn from_labels(labels: &BTreeMap<String, String>) -> Option<Self> {
        let get = |name: &str| labels.get(name);
        Some(Self {
            node: get(LABEL_NODE)?.parse().ok()?,
            server: get(LABEL_SERVER)?.parse().ok()?,
            role: get(LABEL_ROLE)?.parse().ok()?,
            deployment: Deployment(get(LABEL_DEPLOYMENT)?.parse().ok()?),
        })
    }

    /// The labels that say this.
    pub fn to_labels(&self) -> BTreeMap<String, String> {
        BTreeMap::from([
            (LABEL_NODE.to_owned(), self.node.to_string()),
            (LABEL_SERVER.to_owned(), self.server.to_string()),
            (LABEL_ROLE.to_owned(), self.role.to_string()),
            (LABEL_DEPLOYMENT.to_owned(), self.deployment.to_string()),
        ])
    }
}

/// Docker's own health check, if the image has one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum DockerHealth {
    /// No verdict yet.
    Starting,
    /// It passes.
    Healthy,
    /// It fails.
    Unhealthy,
}

/// A container as an inspection shows it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Container {
    /// Docker's full id.
    pub id: String,
    /// Its name, without the slash.
    pub name: String,
    /// What our labels say; `None` for everybody else's containers.
    pub owner: Option<Ownership>,
    /// Docker's word.
    pub state: ContainerState,
    /// When it was last started, in Docker's words; Docker's zero time when it never was.
    pub started_at: String,
    /// The exit code of its last run.
    pub exit_code: i64,
    /// Whether the kernel killed its last run for memory.
    pub oom_killed: bool,
    /// Docker's words when it could not be started.
    pub error: String,
    /// Its restart policy.
    pub policy: RestartPolicy,
    /// Restarts by that policy since it was last started on purpose.
    pub restart_count: u64,
    /// The id of its image.
    pub image_id: String,
    /// The signal that asks it to end, by the image's word; empty means SIGTERM.
    pub stop_signal: String,
    /// Docker's health check.
    pub health: Option<DockerHealth>,
    /// What that said last, oldest first; a line each.
    pub health_log: Vec<String>,
}

impl Container {
    /// Whether its process runs; one that Docker is about to start again does not.
    pub fn is_up(&self) -> bool {
        self.state.is_live() && self.state != ContainerState::Restarting
    }

    /// Which run of it this is.
    pub fn instance(&self) -> Instance {
        Instance {
            container_id: self.id.clone(),
            started_at: self.started_at.clone(),
        }
    }
}

/// How a container's process ended, as the Engine told when it happened.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Death {
    /// Docker's full id.
    pub container_id: String,
    /// The exit code.
    pub exit_code: i64,
    /// Whether the kernel killed it for memory.
    pub oom_killed: bool,
}

/// Something that the Engine told of: a hint to look again.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Happening {
    /// A container may look different now.
    Changed,
    /// The kernel killed a process of this container for memory; its end follows.
    OutOfMemory(String),
    /// A container's process ended.
    Died(Death),
}

/// An image as an inspection shows it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Image {
    /// Docker's id: `sha256:…`.
    pub id: String,
    /// `repo@sha256:…` for each repository it was pulled from; empty for local imports.
    pub repo_digests: Vec<String>,
    /// Its labels.
    pub labels: BTreeMap<String, String>,
    /// How much disk it takes, layers that it shares with others included; 0 when that is not
    /// known.
    pub size: u64,
}

/// An Engine, by its own words.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct EngineFacts {
    /// `28.5.1`
    pub version: String,
    /// Its storage driver: `overlay2`.
    pub driver: String,
    /// Where it keeps images and containers.
    pub root: Option<PathBuf>,
}

/// Credentials for a registry, as Docker's `config.json` has them.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct RegistryAuth {
    /// User name.
    pub username: String,
    /// Password or token.
    pub password: String,
    /// The registry.
    pub server: String,
}

impl fmt::Debug for RegistryAuth {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RegistryAuth")
            .field("server", &self.server)
            .finish_non_exhaustive()
    }
}

/// Which part of a container's output is wanted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct OutputQuery {
    /// So many lines of what is there.
    pub tail: u32,
    /// Only what was written after this.
    pub since: Option<Timestamp>,
    /// And everything until the process ends.
    pub follow: bool,
}

/// A line of output with its newline, or a part of a long one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OutputPart {
    /// When it was written, by Docker's clock. The parts of a line share one time.
    pub at: Option<Timestamp>,
    /// As it was written.
    pub bytes: Vec<u8>,
}

/// Takes the words of a pull's progress.
pub type PullProgress = tokio::sync::watch::Sender<String>;

/// A local Docker Engine.
#[async_trait]
pub trait Docker: Send + Sync + 'static {
    /// The container of exactly this name.
    async fn container(&self, name: &str) -> Result<Option<Container>, DockerError>;

    /// The container of exactly this name, with what it was made from.
    async fn inspected(&self, name: &str) -> Result<Option<Inspected>, DockerError>;

    /// Every container, whoever made it, whether it runs or not; without the details that only
    /// an inspection shows.
    async fn names(&self) -> Result<Vec<ContainerName>, DockerError>;

    /// The image that a reference, digest or id means on this node.
    async fn image(&self, reference: &str) -> Result<Option<Image>, DockerError>;

    /// What the Engine says of itself.
    async fn about(&self) -> Result<EngineFacts, DockerError>;

    /// Where the Engine keeps images and containers; none while it does not say.
    async fn data_root(&self) -> Option<PathBuf> {
        self.about().await.ok()?.root
    }

    /// Fetches an image. Fails when nothing more of it has come for too long, not when the image
    /// is large.
    async fn pull(
        &self,
        reference: &str,
        auth: Option<&RegistryAuth>,
        progress: &PullProgress,
    ) -> Result<(), DockerError>;

    /// The digest that a reference leads to in its registry at this moment; nothing is fetched.
    async fn leads_to(
        &self,
        reference: &str,
        auth: Option<&RegistryAuth>,
    ) -> Result<String, DockerError>;

    /// Removes an image by its id, with its names. Never forced: refused with 409 when a
    /// container uses it, or another repository has it. Removing one that is gone is no error.
    async fn remove_image(&self, id: &str) -> Result<(), DockerError>;

    /// Makes a container and gives its id. Refused with 409 when the name is taken.
    async fn create(&self, spec: &ContainerSpec) -> Result<String, DockerError>;

    /// Starts a container. Starting one that runs is no error.
    async fn start(&self, id: &str) -> Result<(), DockerError>;

    /// Sends a signal to its first process. Docker then does not restart it by its policy.
    async fn signal(&self, id: &str, signal: &str) -> Result<(), DockerError>;

    /// Changes its restart policy.
    async fn set_policy(&self, id: &str, policy: RestartPolicy) -> Result<(), DockerError>;

    /// Gives it another name. Refused with 409 when that name is taken.
    async fn rename(&self, id: &str, name: &str) -> Result<(), DockerError>;

    /// Removes a container that does not run. Its volumes stay. Removing one that is gone is no
    /// error.
    async fn remove(&self, id: &str) -> Result<(), DockerError>;

    /// The last lines of its output, oldest first.
    async fn log_tail(&self, id: &str, lines: usize) -> Result<Vec<String>, DockerError>;

    /// How much memory its processes have, in bytes, without what the kernel only keeps of files
    /// and would give back; none when it does not run.
    async fn memory(&self, id: &str) -> Result<Option<u64>, DockerError>;

    /// Its output, stdout and stderr in the order that Docker has them, oldest first. Followed, it
    /// ends with the process, and silence is no end; otherwise with what is there. Breaks off
    /// with one error. Dropping it is how a reader stops, also when the Engine hangs.
    fn output(
        &self,
        id: &str,
        query: OutputQuery,
    ) -> BoxStream<'static, Result<OutputPart, DockerError>>;

    /// An item whenever something may have happened to a container. An end is told as it was;
    /// everything else is a hint to look again. Breaks off with an error when the Engine goes.
    fn events(&self) -> BoxStream<'static, Result<Happening, DockerError>>;
}

/// A container in a list.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ContainerName {
    /// Docker's full id.
    pub id: String,
    /// Its name, without the slash.
    pub name: String,
    /// What our labels say.
    pub owner: Option<Ownership>,
}
