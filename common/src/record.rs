//! Desired state: what a server should be, in which order such records came, and which one
//! exactly is meant.

use std::fmt;

use serde::{Deserialize, Serialize};

use crate::hash::sha256;
use crate::hash_type;
use crate::ids::{NodeAddr, OperationId, RoleName, ServerName};
use crate::roles::Digest;

/// Orders the records of one node: by epoch first, then by generation.
#[derive(
    Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default, Serialize, Deserialize,
)]
pub struct Stamp {
    /// Raised and committed at every start of a controller.
    pub epoch: u64,
    /// Counts the records of one node, from 1.
    pub generation: u64,
}

impl fmt::Display for Stamp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{}", self.epoch, self.generation)
    }
}

hash_type!(
    /// SHA-256 of a record as its controller wrote it. Opaque to agents, which give it back unread.
    RecordHash,
    "a record hash"
);

/// Names one record exactly.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct RecordId {
    /// Its place in the order.
    pub stamp: Stamp,
    /// Its content.
    pub hash: RecordHash,
}

/// Whether a server should run.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum RunState {
    /// It should run.
    Running,
    /// It should be there and not run.
    Stopped,
    /// A tombstone: the operator removed it.
    Removed,
    /// A tombstone: its first deployment failed or was cancelled. A failed container stays on
    /// the node as evidence, until the next deployment there.
    Withdrawn,
}

impl RunState {
    /// Whether the record only waits for the agent's word that nothing is left.
    pub fn is_tombstone(self) -> bool {
        matches!(self, Self::Removed | Self::Withdrawn)
    }
}

/// When to ask the registry.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum PullPolicy {
    /// At every deployment: PortSIP re-releases the same tag.
    #[default]
    Always,
    /// Only when the node has no such image.
    Missing,
}

/// Which image a deployment wants.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ImageRequest {
    /// As the operator wrote it, for example `portsip/pbx:22`.
    pub reference: String,
    /// When to ask the registry.
    pub pull: PullPolicy,
    /// Accept an image whose `version` label is older than the serving one (`--force`).
    pub allow_older: bool,
    /// The identity that the image must turn out to have, as in
    /// [`ResolvedImage::identity`](crate::status::ResolvedImage::identity): a rollout gives every
    /// server the build that its first one resolved. None takes what the reference leads to.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub pin: Option<String>,
    /// The PBX's version: an image whose `version` label is newer than that is refused. None where
    /// nobody knows it, and where somebody knows better (`--force`). Meant for agents that name
    /// [`NEWEST`](crate::ability::NEWEST): an older one leaves it out unread.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub newest: Option<String>,
}

/// What becomes of a server's sessions before its process is ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Drain {
    /// They have the grace of the stop.
    #[default]
    Off,
    /// The process is ended only when none is left. When some are after so many seconds, the record
    /// ends as [`Declined`](crate::status::OutcomeKind::Declined), and nothing was touched.
    First {
        /// Counted from when the agent would have ended the process.
        limit_seconds: u32,
    },
    /// The server takes no new ones and goes on running: the record has come to its end when none
    /// is left, and ends as `Declined` when some are after so many seconds.
    Hold {
        /// Counted from when the agent took the record.
        limit_seconds: u32,
    },
}

impl Drain {
    /// Whether nothing is to be waited for.
    pub fn is_off(&self) -> bool {
        *self == Self::Off
    }
}

/// The number of a deployment: the generation of the record that introduced its image and
/// parameters. Records that only start, stop or restart carry the number they leave in place.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Deployment(pub u64);

impl fmt::Display for Deployment {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// What the agent fills into the role definition. Never a container specification.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Parameters {
    /// The PBX address given to the binaries.
    pub pbx_address: String,
    /// The node's Elastic address, if one was named.
    pub public_address: Option<NodeAddr>,
}

/// One run of one container.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Instance {
    /// Docker's full container id.
    pub container_id: String,
    /// When it was started, in Docker's own words (RFC 3339), compared as text.
    pub started_at: String,
}

/// A named secret and the version of it that a record means. Values travel apart.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct SecretVersion {
    /// Which secret.
    pub name: String,
    /// Which value of it.
    pub version: u64,
}

/// What a server should be.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Desired {
    /// Where.
    pub node: NodeAddr,
    /// Its portal name.
    pub name: ServerName,
    /// Which role.
    pub role: RoleName,
    /// The role definition that the controller knows under this name.
    pub definition: Digest,
    /// Whether it should run.
    pub run_state: RunState,
    /// Which deployment.
    pub deployment: Deployment,
    /// The image of the deployment.
    pub image: ImageRequest,
    /// The parameters of the deployment.
    pub parameters: Parameters,
    /// A restart: the instance that has to end. Acted upon only while it runs.
    pub replace: Option<Instance>,
    /// The secrets the deployment uses.
    pub secrets: Vec<SecretVersion>,
    /// The operation that caused the record.
    pub operation: Option<OperationId>,
    /// Docker's id of a container that somebody else made and that the deployment takes over as
    /// it is. None when the deployment makes its own.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub adopted: Option<String>,
    /// An image to be fetched and checked ahead, while what serves goes on serving. The record has
    /// come to its end when the image is there; everything else in it is as it was before.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub staged: Option<ImageRequest>,
    /// What becomes of the sessions.
    #[serde(default, skip_serializing_if = "Drain::is_off")]
    pub drain: Drain,
}

impl Desired {
    /// Whether the record with this place in the order is the one that takes a container over,
    /// and not one that came after it.
    pub fn adopts_at(&self, stamp: Stamp) -> bool {
        self.adopted.is_some() && self.deployment.0 == stamp.generation
    }
}

/// A desired state with its place in the order: the unit that is stored, sent and kept in
/// ledgers.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ServerRecord {
    /// Which record.
    pub id: RecordId,
    /// What it says.
    pub desired: Desired,
}

impl ServerRecord {
    /// Gives `desired` its place in the order and its hash.
    pub fn seal(stamp: Stamp, desired: Desired) -> Self {
        // Serialising a plain struct to memory cannot fail; an empty text would still hash to
        // something that no other record of this stamp has.
        let text = serde_json::to_vec(&(stamp, &desired)).unwrap_or_default();
        Self {
            id: RecordId {
                stamp,
                hash: RecordHash(sha256(&text)),
            },
            desired,
        }
    }
}
