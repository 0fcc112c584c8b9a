//! How somebody else set a container up, as far as a role's definition has a word on it.
//!
//! Read only where a container is to be taken over; what is decided from it is `core::adopt`'s.

use super::Container;
use crate::core::spec::ContainerSpec;

/// A container with what it was made from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Inspected {
    /// The container.
    pub container: Container,
    /// What it was made from.
    pub setup: Setup,
}

/// What a container was made from. What its image brings by itself is left out.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Setup {
    /// The image, as it was named.
    pub image: String,
    /// The user inside; the image's when empty.
    pub user: String,
    /// In place of the image's.
    pub entrypoint: Option<Vec<String>>,
    /// The command.
    pub command: Vec<String>,
    /// `NAME=value`.
    pub environment: Vec<String>,
    /// Docker's network mode.
    pub network: String,
    /// Capabilities added to Docker's default.
    pub capabilities: Vec<String>,
    /// Directories, files and volumes.
    pub mounts: Vec<SetupMount>,
    /// The restart policy, in Docker's word.
    pub policy: String,
    /// Docker's own stop time-out; 10 seconds when none was set.
    pub stop_timeout_seconds: Option<i64>,
    /// Where its output goes.
    pub log: LogSetup,
    /// The names of its labels.
    pub labels: Vec<String>,
    /// What no role has a word on, each in a few words: `privileged`.
    pub extras: Vec<String>,
}

/// Something mounted.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SetupMount {
    /// Of which kind.
    pub kind: MountKind,
    /// On the host: for a volume, where its data lies.
    pub source: String,
    /// In the container.
    pub target: String,
    /// Whether the container may not write there.
    pub read_only: bool,
}

/// Of which kind a mount is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum MountKind {
    /// A directory or file of the host.
    Bind,
    /// A volume of this name.
    Volume(String),
    /// Something else, in Docker's word.
    Other(String),
}

/// Where a container's output goes.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct LogSetup {
    /// Docker's word for the driver.
    pub driver: String,
    /// The limit for one file, if there is one.
    pub max_size: Option<String>,
    /// How many files, if that was said.
    pub max_files: Option<String>,
}

impl From<&ContainerSpec> for Setup {
    /// What a container that is made from `spec` shows.
    fn from(spec: &ContainerSpec) -> Self {
        use extend_common::roles::RestartPolicy;
        let mount = |mount: &crate::core::spec::Mount| SetupMount {
            kind: MountKind::Bind,
            source: mount.source.clone(),
            target: mount.target.clone(),
            read_only: mount.read_only,
        };
        let policy = match spec.policy {
            RestartPolicy::No => "no",
            RestartPolicy::UnlessStopped => "unless-stopped",
            RestartPolicy::Always => "always",
        };
        Self {
            image: spec.image.clone(),
            user: spec.user.clone(),
            entrypoint: None,
            command: spec.command.clone(),
            environment: spec.environment.clone(),
            network: spec.network.clone(),
            capabilities: spec.capabilities.clone(),
            mounts: spec.mounts.iter().map(mount).collect(),
            policy: policy.to_owned(),
            stop_timeout_seconds: Some(spec.stop_timeout_seconds),
            log: LogSetup {
                driver: "json-file".to_owned(),
                max_size: Some(spec.log_max_size.clone()),
                max_files: Some(spec.log_max_files.to_string()),
            },
            labels: spec.labels.keys().cloned().collect(),
            extras: Vec::new(),
        }
    }
}
