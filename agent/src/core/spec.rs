//! What a container is made from. The agent renders it from its own role definitions; the wire
//! never carries one. It is kept in the ledger with its deployment, so that a container which
//! has to be made again is made as it was, whatever became of the definition meanwhile.

use std::collections::BTreeMap;
use std::path::PathBuf;

use extend_common::ids::{NodeAddr, ServerName};
use extend_common::record::{Desired, Parameters};
use extend_common::roles::{DirectoryDefinition, RestartPolicy, RoleDefinition};
use serde::{Deserialize, Serialize};

use crate::docker::Ownership;

/// A container to be made.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ContainerSpec {
    /// The official name.
    pub name: String,
    /// The image's identity: `repo@sha256:…` or the image id.
    pub image: String,
    /// The user inside; the image's when empty.
    pub user: String,
    /// The command; the image's entrypoint stays.
    pub command: Vec<String>,
    /// `NAME=value`.
    pub environment: Vec<String>,
    /// Docker's network mode.
    pub network: String,
    /// Capabilities added to Docker's default.
    pub capabilities: Vec<String>,
    /// Bind mounts.
    pub mounts: Vec<Mount>,
    /// The restart policy while it should run.
    pub policy: RestartPolicy,
    /// Docker's own stop time-out, in seconds: for whoever stops it by hand.
    pub stop_timeout_seconds: i64,
    /// Our labels.
    pub labels: BTreeMap<String, String>,
    /// Docker's limit for one log file: `50m`.
    pub log_max_size: String,
    /// How many log files Docker keeps.
    pub log_max_files: u32,
    /// Made on the host first, in order.
    pub directories: Vec<DirectoryDefinition>,
}

/// A bind mount.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Mount {
    /// On the host.
    pub source: String,
    /// In the container.
    pub target: String,
    /// Whether the container may not write there.
    pub read_only: bool,
}

/// What this node gives to the rendering.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NodeFacts {
    /// The node's address.
    pub node: NodeAddr,
    /// Where services keep their data: `/var/lib/portsip`.
    pub data: PathBuf,
}

/// What a server's record gives to the rendering: its name and its parameters.
pub type Given<'a> = (&'a ServerName, &'a Parameters);

impl NodeFacts {
    fn fill(&self, text: &str, (name, parameters): Given<'_>) -> String {
        let public = parameters.public_address.map(|address| address.to_string());
        text.replace("{data}", &self.data.to_string_lossy())
            .replace("{node}", &self.node.to_string())
            .replace("{name}", name.as_str())
            .replace("{pbx_address}", &parameters.pbx_address)
            .replace("{public_address}", &public.unwrap_or_default())
    }

    /// Where the server's data lies: the source of the role's first mount.
    pub fn data_directory(&self, definition: &RoleDefinition, desired: &Desired) -> String {
        let mounts = &definition.main_container().mounts;
        mounts
            .first()
            .map(|mount| self.fill(&mount.source, (&desired.name, &desired.parameters)))
            .unwrap_or_default()
    }
}

/// Renders the container of a deployment with an image that has been resolved.
pub fn render(
    definition: &RoleDefinition,
    desired: &Desired,
    facts: &NodeFacts,
    image_identity: &str,
) -> ContainerSpec {
    let owner = Ownership {
        node: facts.node,
        server: desired.name.clone(),
        role: desired.role.clone(),
        deployment: desired.deployment,
    };
    let given = (&desired.name, &desired.parameters);
    ContainerSpec {
        labels: owner.to_labels(),
        ..render_given(definition, facts, given, image_identity)
    }
}

/// The same without labels: a container that no deployment of ours is to make.
pub fn render_given(
    definition: &RoleDefinition,
    facts: &NodeFacts,
    given: Given<'_>,
    image_identity: &str,
) -> ContainerSpec {
    let container = definition.main_container();
    let fill = |text: &String| facts.fill(text, given);
    ContainerSpec {
        name: container.name.clone(),
        image: image_identity.to_owned(),
        user: container.user.clone(),
        command: container.command.iter().map(fill).collect(),
        environment: container
            .environment
            .iter()
            .map(|(name, value)| format!("{name}={}", fill(value)))
            .collect(),
        network: container.network.clone(),
        capabilities: container.capabilities.clone(),
        mounts: container
            .mounts
            .iter()
            .map(|mount| Mount {
                source: fill(&mount.source),
                target: mount.target.clone(),
                read_only: mount.read_only,
            })
            .collect(),
        policy: container.restart,
        stop_timeout_seconds: i64::try_from(definition.timing.stop_grace.as_secs())
            .unwrap_or(i64::MAX),
        labels: BTreeMap::new(),
        log_max_size: definition.logs.max_size.clone(),
        log_max_files: definition.logs.max_files,
        directories: definition
            .directories
            .iter()
            .map(|directory| DirectoryDefinition {
                path: fill(&directory.path),
                ..directory.clone()
            })
            .collect(),
    }
}
