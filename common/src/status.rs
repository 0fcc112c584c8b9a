//! Observed state: what agents see and report.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use crate::ids::{RoleName, ServerName};
use crate::record::{Deployment, Instance, Parameters, RecordId};
use crate::service::DumpFile;

/// How a server is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Health {
    /// It runs, and there has been no verdict yet.
    Starting,
    /// It runs and answers.
    Healthy,
    /// It does not answer, or does not run though it should.
    Unhealthy,
    /// It takes no new sessions.
    Draining,
    /// It does not run, as it should not.
    Stopped,
    /// The agent has given up restarting it.
    Quarantined,
    /// A container bears its name without a record.
    Unclaimed,
    /// Nobody can tell: the node or its Docker Engine is silent.
    Unknown,
}

/// Where a record is on its way to its end.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Phase {
    /// The agent has not begun.
    Pending,
    /// Checks and directories.
    Preparing,
    /// The image is fetched and checked while the old container serves.
    Pulling,
    /// The image is there; the target waits for its turn. The controller's word, no agent's.
    Ready,
    /// Present sessions come to their end.
    Draining,
    /// A container has been asked to end.
    Stopping,
    /// A container is made.
    Creating,
    /// A container is started.
    Starting,
    /// It runs; its health is awaited.
    Verifying,
    /// The deployment before is put back.
    RollingBack,
    /// Containers are removed.
    Removing,
    /// Nothing is left to do.
    Settled,
    /// The portal and whoever lets servers in are told of it. The controller's word, as the next
    /// two are.
    Registering,
    /// It runs; the portal is to show it online.
    Connecting,
    /// What was told of it is taken back.
    Unregistering,
}

/// The end that one record came to on its node.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum OutcomeKind {
    /// The server is as the record says.
    Succeeded,
    /// It is not.
    Failed,
    /// The record's deployment failed and is spent; the one before it serves again.
    RolledBack,
    /// It was not begun, because sessions were left: the server is as it was before.
    Declined,
}

/// What was seen before anything was done about a failure.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Evidence {
    /// The container that failed.
    pub container_id: String,
    /// Its exit code, if it ended.
    pub exit_code: Option<i64>,
    /// Whether the kernel killed it for memory.
    pub oom_killed: bool,
    /// The last lines of its output, oldest first.
    pub log_tail: Vec<String>,
    /// What the probes, and Docker's own health check, said last; a line each.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub health_output: Vec<String>,
    /// Crash dumps that this run has left, the newest first.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub dumps: Vec<DumpFile>,
}

/// How a record ended, and why.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Outcome {
    /// The end.
    pub kind: OutcomeKind,
    /// Why it failed, or a warning that goes with success; may be empty.
    pub reason: String,
    /// What was seen.
    pub evidence: Option<Evidence>,
    /// When, by the node's clock.
    pub at: Timestamp,
}

/// An image as a node resolved it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ResolvedImage {
    /// As the record names it.
    pub reference: String,
    /// `repo@sha256:…` when it was pulled, otherwise the image id.
    pub identity: String,
    /// The image label `version`.
    pub version: String,
}

/// An image that was fetched and checked ahead.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct StagedImage {
    /// Which.
    pub image: ResolvedImage,
    /// A deployment of it would find nothing to change: nothing would be restarted.
    pub unchanged: bool,
}

/// How many sessions a server has, as its node can tell.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct SessionCount {
    /// None when nobody can tell, which is never the same as none at all.
    pub sessions: Option<u64>,
    /// Why nobody can tell, or what else is to be known; may be empty.
    pub note: String,
}

/// Docker's word for the state of a container.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum ContainerState {
    /// Made, never started.
    Created,
    /// Runs.
    Running,
    /// Frozen by Docker.
    Paused,
    /// Ended, and Docker is about to start it again.
    Restarting,
    /// Being removed.
    Removing,
    /// Ended.
    Exited,
    /// Docker could not remove it.
    Dead,
}

impl ContainerState {
    /// Whether there is a process, or is about to be one without anybody's doing.
    pub fn is_live(self) -> bool {
        matches!(self, Self::Running | Self::Paused | Self::Restarting)
    }
}

/// A container that belongs to a server.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ContainerStatus {
    /// Its name.
    pub name: String,
    /// Which run of it.
    pub instance: Instance,
    /// Docker's word.
    pub state: ContainerState,
    /// Restarts by Docker's own policy since it was last started on purpose.
    pub docker_restarts: u64,
    /// Its last exit code, if it has ended.
    pub exit_code: Option<i64>,
}

/// What an agent sees of its server, whole: a newer status replaces an older one.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ServerStatus {
    /// The record that the agent holds.
    pub record: RecordId,
    /// The server's portal name.
    pub name: ServerName,
    /// Its role.
    pub role: RoleName,
    /// How it is.
    pub health: Health,
    /// Why, in words.
    pub reason: String,
    /// Since when, by the node's clock.
    pub since: Timestamp,
    /// Where the record is.
    pub phase: Phase,
    /// What the present step is about, in words.
    pub detail: String,
    /// Set once the record has come to its end.
    pub outcome: Option<Outcome>,
    /// The container that bears the official name, if it is ours.
    pub current: Option<ContainerStatus>,
    /// The deployment that serves.
    pub serving: Option<Deployment>,
    /// Its image.
    pub serving_image: Option<ResolvedImage>,
    /// Where the role's data lies on the node.
    pub data_directory: String,
    /// How much that is, in bytes; measured for tombstones only.
    pub data_bytes: Option<u64>,
    /// Restarts that the agent began by itself.
    pub agent_restarts: u64,
    /// Whether the serving container has ever been seen healthy. One that has not is running and
    /// starting for as long as none of its ports has answered.
    #[serde(default)]
    pub proven: bool,
    /// The image that the record wanted ahead, once it is there.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub staged: Option<StagedImage>,
    /// The image of the deployment before the one that serves, as long as the node keeps it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub previous_image: Option<ResolvedImage>,
    /// Counted only while somebody waits for sessions to end.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub sessions: Option<SessionCount>,
    /// A probe fails: told from the first failure on, before there is a verdict.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub failing: Option<Failing>,
    /// What is the matter and no restart would mend. The health is what it is without it.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub warnings: Vec<Warning>,
    /// Set while it is unhealthy and not restarted, because it carries calls.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub spared: Option<Spared>,
}

/// A probe that fails, whether or not often enough for a verdict.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Failing {
    /// Since the first of the failures, by the node's clock.
    pub since: Timestamp,
    /// What was asked, and what came of it.
    pub reason: String,
}

/// What a warning is about.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum WarningKind {
    /// The data directory's disk fills up.
    Disk,
    /// The service's memory grows.
    Memory,
    /// A port does not answer that no restart is begun for.
    Probe,
}

/// Something that is the matter with a server, and that a restart would not mend, or not at a
/// price that anybody would pay unasked.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Warning {
    /// What it is about.
    pub kind: WarningKind,
    /// In words.
    pub reason: String,
    /// Since when, by the node's clock.
    pub since: Timestamp,
}

/// A server that would be restarted, had it no calls.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Spared {
    /// Since when, by the node's clock.
    pub since: Timestamp,
    /// Then it is restarted, whatever it carries.
    pub until: Timestamp,
}

/// A container that bears the name of a service but belongs to no record of its node. It is left
/// as it is, until an operator has it taken over.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Unclaimed {
    /// Its name.
    pub container_name: String,
    /// Docker's id.
    pub container_id: String,
    /// The role whose name it bears.
    pub role: RoleName,
    /// What it serves, or why it cannot be taken over.
    pub found: Result<Box<Found>, String>,
}

/// What somebody else's container under an official name serves, as its command tells.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Found {
    /// The portal name that it was started with.
    pub name: ServerName,
    /// The parameters that it was started with.
    pub parameters: Parameters,
    /// Which run of it.
    pub instance: Instance,
    /// Docker's word.
    pub state: ContainerState,
    /// Its image; by the reference that it was made from.
    pub image: ResolvedImage,
    /// Where it is not as the role's definition would make it.
    pub differences: Vec<Difference>,
}

/// Where somebody else's container is not as the role's definition would make it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Difference {
    /// In a few words: `stop timeout 10 s, wanted 300 s`.
    pub text: String,
    /// The official script makes every container so.
    pub usual: bool,
}

/// How a node is, as the controller sees it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum NodeState {
    /// A token was made; the node has not joined yet.
    Pending,
    /// Its agent is connected and speaks.
    Online,
    /// Its agent is connected and has been silent for a while.
    Suspect,
    /// Its agent is away.
    Offline,
    /// Its agent follows records that this controller does not have: nothing is sent to it.
    Ahead,
    /// Its certificate is no longer accepted.
    Revoked,
}

macro_rules! words {
    ($($type:ident { $($variant:ident => $word:literal),* $(,)? })*) => {$(
        impl std::fmt::Display for $type {
            fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.pad(match self { $(Self::$variant => $word),* })
            }
        }
    )*};
}

words! {
    Health {
        Starting => "starting", Healthy => "healthy", Unhealthy => "unhealthy",
        Draining => "draining", Stopped => "stopped", Quarantined => "quarantined",
        Unclaimed => "unclaimed", Unknown => "unknown",
    }
    Phase {
        Pending => "pending", Preparing => "preparing", Pulling => "pulling",
        Ready => "ready", Draining => "draining", Stopping => "stopping", Creating => "creating",
        Starting => "starting", Verifying => "verifying", RollingBack => "rolling back",
        Removing => "removing", Settled => "settled", Registering => "registering",
        Connecting => "connecting", Unregistering => "unregistering",
    }
    WarningKind { Disk => "disk", Memory => "memory", Probe => "probe" }
    ContainerState {
        Created => "created", Running => "running", Paused => "paused",
        Restarting => "restarting", Removing => "removing", Exited => "exited", Dead => "dead",
    }
    NodeState {
        Pending => "pending", Online => "online", Suspect => "suspect", Offline => "offline",
        Ahead => "ahead", Revoked => "revoked",
    }
}
