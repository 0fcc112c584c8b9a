//! One role definition: its file's shape, the rules it must keep, and its digest.

use std::collections::{BTreeMap, BTreeSet};
use std::ops::RangeInclusive;
use std::path::Path;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::{HostDefinition, PortRange, ProbeDefinition};
use crate::config_file::{ConfigError, ConfigFile};
use crate::duration;
use crate::hash::sha256;
use crate::hash_type;
use crate::ids::RoleName;

hash_type!(
    /// SHA-256 of a definition's content, whatever its comments and layout.
    Digest,
    "a digest"
);

/// A server role.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RoleDefinition {
    /// The word after `-s`.
    pub role: RoleName,
    /// Other words for it.
    #[serde(default)]
    pub aliases: Vec<RoleName>,
    /// In which order roles have their turn when one follows the other: lower numbers first, and
    /// roles of the same number by their names.
    ///
    /// No part of the digest, as probes and what follows about sessions are not: the container is
    /// the same.
    #[serde(default = "last", skip_serializing)]
    pub order: u32,
    /// In sentences: `media server`.
    pub title: String,
    /// The portal's menu item.
    pub portal: String,
    /// What the PBX's REST API calls it; missing for a role that the portal does not know.
    #[serde(default, skip_serializing)]
    pub resource: Option<Resource>,
    /// Which images will do.
    pub image: ImageRules,
    /// The containers, in the order they start.
    pub containers: Vec<ContainerDefinition>,
    /// Directories made before the first start, in order.
    #[serde(default)]
    pub directories: Vec<DirectoryDefinition>,
    /// How it is told whether the server answers.
    #[serde(default, skip_serializing)]
    pub probes: Vec<ProbeDefinition>,
    /// How its sessions are counted; missing where nobody knows.
    #[serde(default, skip_serializing)]
    pub sessions: Option<SessionsDefinition>,
    /// How long things may take.
    pub timing: Timing,
    /// How much log Docker keeps.
    pub logs: LogLimits,
    /// The ports that a firewall has to let through.
    pub firewall: FirewallDefinition,
    /// What is set on the host, and put back when the server is removed.
    #[serde(default)]
    pub host: HostDefinition,
    /// What the host has to offer.
    pub preflight: PreflightLimits,
}

/// A kind of server that the PBX's REST API knows.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Resource {
    /// Registered with both addresses of its node.
    MediaServers,
    /// Meeting servers. Registered with one address: the Elastic IP, where there is one.
    ConferenceServers,
    /// Queue servers; as for meeting servers.
    CallQueueServers,
    /// IVR servers; as for meeting servers.
    IvrServers,
}

impl Resource {
    /// Every one.
    pub const ALL: [Self; 4] = [
        Self::MediaServers,
        Self::ConferenceServers,
        Self::CallQueueServers,
        Self::IvrServers,
    ];

    /// As paths of the API spell it.
    pub fn path(self) -> &'static str {
        match self {
            Self::MediaServers => "media_servers",
            Self::ConferenceServers => "conference_servers",
            Self::CallQueueServers => "call_queue_servers",
            Self::IvrServers => "ivr_servers",
        }
    }

    /// Whether the PBX tells how many sessions such a server has.
    pub fn counts_sessions(self) -> bool {
        match self {
            Self::MediaServers | Self::ConferenceServers => true,
            Self::CallQueueServers | Self::IvrServers => false,
        }
    }

    /// Whether somebody has to disable such a server when it fails: calls of media servers are
    /// reassigned by the PBX itself.
    pub fn is_disabled_by_hand(self) -> bool {
        self != Self::MediaServers
    }
}

/// A role of an administrator's comes after the built-in ones, unless its file says otherwise.
fn last() -> u32 {
    100
}

/// How the sessions of a role are counted.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SessionsDefinition {
    /// The UDP ports that media flows through. The range may overlap the system's ephemeral ports:
    /// only sockets of `uid` count.
    pub udp: PortRange,
    /// The user that the service runs as, by its number on the host.
    pub uid: u32,
    /// How many of these sockets one session has.
    pub sockets: u32,
    /// How long present sessions are waited for when nothing else is said.
    #[serde(with = "duration::text")]
    pub drain: Duration,
    /// How long a server that does not answer is left alone while it carries calls.
    #[serde(default = "spare", with = "duration::text")]
    pub spare: Duration,
}

/// Long enough for nearly every call to end by itself.
fn spare() -> Duration {
    Duration::from_secs(30 * 60)
}

/// Which images a role accepts.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ImageRules {
    /// The image label `product` must say this.
    pub product: String,
    /// The first number of the image label `version` must be at least this.
    pub minimum_major: u64,
}

/// One container of a role.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ContainerDefinition {
    /// Fixed by PortSIP.
    pub name: String,
    /// The user inside; the image's when empty.
    #[serde(default)]
    pub user: String,
    /// Docker's network mode.
    pub network: String,
    /// Capabilities added to Docker's default.
    #[serde(default)]
    pub capabilities: Vec<String>,
    /// The command, with placeholders; the image's entrypoint stays.
    #[serde(default)]
    pub command: Vec<String>,
    /// The environment, with placeholders.
    #[serde(default)]
    pub environment: BTreeMap<String, String>,
    /// Docker's restart policy while the container should run.
    pub restart: RestartPolicy,
    /// Directories and files of the host.
    #[serde(default)]
    pub mounts: Vec<MountDefinition>,
}

/// Docker's restart policies, as far as roles use them.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum RestartPolicy {
    /// Never.
    No,
    /// Unless it was stopped on purpose.
    UnlessStopped,
    /// Always.
    Always,
}

/// A bind mount.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct MountDefinition {
    /// On the host, with placeholders.
    pub source: String,
    /// In the container.
    pub target: String,
    /// Whether the container may not write there.
    #[serde(default)]
    pub read_only: bool,
}

/// A directory of the host.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct DirectoryDefinition {
    /// With placeholders.
    pub path: String,
    /// Its permission bits.
    pub mode: u32,
    /// Its owner; left alone when missing.
    pub uid: Option<u32>,
    /// Its group; left alone when missing.
    pub gid: Option<u32>,
}

/// How long things may take.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Timing {
    /// From the stop signal to SIGKILL, for an operator's verb on a service that was healthy.
    #[serde(with = "duration::text")]
    pub stop_grace: Duration,
    /// The same for one that was not: a health restart, a new container that never answered.
    #[serde(with = "duration::text")]
    pub short_grace: Duration,
    /// How long a started container may take to become healthy.
    #[serde(with = "duration::text")]
    pub start_window: Duration,
    /// How long a started container must have run before its answers count: one that answers and
    /// then dies has not come up.
    #[serde(with = "duration::text")]
    pub steady: Duration,
    /// How long a container that no probe has ever proven must run to count as started.
    #[serde(with = "duration::text")]
    pub settle: Duration,
}

/// How much log Docker keeps.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct LogLimits {
    /// Of one file, in Docker's notation: `50m`.
    pub max_size: String,
    /// How many files.
    pub max_files: u32,
}

/// The ports that a firewall has to let through.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct FirewallDefinition {
    /// UDP.
    #[serde(default)]
    pub udp: Vec<PortRange>,
    /// TCP.
    #[serde(default)]
    pub tcp: Vec<PortRange>,
}

/// What the host has to offer.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PreflightLimits {
    /// The smallest disk, in GB.
    pub disk_minimum_gb: u64,
    /// The recommended disk, in GB.
    pub disk_recommended_gb: u64,
}

/// What may stand in braces in a definition.
const PLACEHOLDERS: [&str; 5] = ["data", "node", "name", "pbx_address", "public_address"];
/// What may stand in the path of a directory: it is made by a helper that knows no server.
const DATA: [&str; 1] = ["data"];

impl RoleDefinition {
    /// Reads a definition that stands in the file at `path`.
    ///
    /// # Errors
    /// When the text is no definition, or one that breaks a rule.
    pub fn parse(path: &Path, text: &str) -> Result<Self, ConfigError> {
        let file = ConfigFile {
            what: "the role definition",
            path,
        };
        let definition: Self = file.parse(text)?;
        match definition.broken_rule() {
            Some(Broken { near, rule }) => Err(file.broken_at_words(text, &near, rule, RULES)),
            None => Ok(definition),
        }
    }

    /// The container that the server's life is told by.
    pub fn main_container(&self) -> &ContainerDefinition {
        // `parse` admits exactly one.
        &self.containers[0]
    }

    /// The role by all its names, for people: `vr-server-only (or ivr-server-only)`.
    pub fn words(&self) -> String {
        let others: Vec<&str> = self.aliases.iter().map(RoleName::as_str).collect();
        if others.is_empty() {
            return self.role.to_string();
        }
        format!("{} (or {})", self.role, others.join(" or "))
    }

    /// Its digest: of everything that a container or its host is made from.
    pub fn digest(&self) -> Digest {
        // Plain data to memory cannot fail.
        let text = serde_json::to_vec(self).unwrap_or_default();
        Digest(sha256(&text))
    }

    fn broken_rule(&self) -> Option<Broken> {
        let [container] = self.containers.as_slice() else {
            return broken("containers", "it must have exactly one container");
        };
        let docker_name = |c: char| c.is_ascii_alphanumeric() || "._-".contains(c);
        if container.name.is_empty() || !container.name.chars().all(docker_name) {
            let rule = format!("`{}` is no container name", container.name);
            return broken(&format!("\"{}\"", container.name), rule);
        }
        let texts = container
            .command
            .iter()
            .chain(container.environment.values())
            .chain(container.mounts.iter().map(|mount| &mount.source));
        let texts = texts.map(|text| (text, PLACEHOLDERS.as_slice(), "no placeholder"));
        // The data directory is the first mount's, and is measured by the same helper.
        let paths = self.directories.iter().map(|directory| &directory.path);
        let paths = paths.chain(container.mounts.first().map(|mount| &mount.source));
        let paths = paths.map(|text| (text, DATA.as_slice(), "no placeholder for a directory"));
        for (text, allowed, is_not) in texts.chain(paths) {
            if let Some(unknown) = unknown_placeholder(text, allowed) {
                let rule = format!("`{{{unknown}}}` is {is_not} (in `{text}`)");
                return broken(&format!("{{{unknown}}}"), rule);
            }
        }
        if let Some((parameter, rule)) = self.host.broken_rule() {
            return broken(parameter, rule);
        }
        for path in self.directories.iter().map(|d| &d.path) {
            if path.contains("..") {
                return broken(path, format!("`{path}` must not step out of its directory"));
            }
        }
        if let Some(sessions) = &self.sessions {
            if sessions.sockets == 0 {
                return broken("sockets", "a session has at least one socket");
            }
            if !DRAINS.contains(&sessions.drain) {
                return broken("drain", "sessions are waited for from 1s to 24h");
            }
            if sessions.spare > *DRAINS.end() {
                return broken("spare", "a server is left alone for 24h at most");
            }
        }
        for probe in &self.probes {
            if let Some((near, rule)) = probe.broken_rule() {
                return broken(&near, rule);
            }
        }
        self.asked_twice()
    }

    /// A question that two probes ask. What is known of it would be of either.
    fn asked_twice(&self) -> Option<Broken> {
        let mut asked = BTreeSet::new();
        let mut points = self.probes.iter().flat_map(ProbeDefinition::points);
        let twice = points.find(|point| !asked.insert(*point))?;
        broken("kind", format!("{twice} is asked by two probes"))
    }
}

/// What `drain` may be.
const DRAINS: RangeInclusive<Duration> = Duration::from_secs(1)..=Duration::from_secs(24 * 60 * 60);

/// A rule that the types cannot express, and the words in the file to look for.
struct Broken {
    near: String,
    rule: String,
}

fn broken(near: &str, rule: impl Into<String>) -> Option<Broken> {
    Some(Broken {
        near: near.to_owned(),
        rule: rule.into(),
    })
}

/// What helps against a broken rule.
const RULES: &str = "write it as the built-in definitions do";

fn unknown_placeholder<'a>(text: &'a str, known: &[&str]) -> Option<&'a str> {
    text.split('{')
        .skip(1)
        .map(|rest| rest.split_once('}').map_or(rest, |(word, _)| word))
        .find(|word| !known.contains(word))
}
