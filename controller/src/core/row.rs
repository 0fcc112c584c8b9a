//! The rows of the store: what a controller that starts anew has to know.
//!
//! Serialised as JSON. A field that this version does not know is an error: dropping it would
//! damage what a newer version wrote.

use std::collections::BTreeMap;
use std::net::IpAddr;
use std::time::Duration;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use extend_common::checkup::Accepted;
use extend_common::ids::{NodeAddr, OperationId, RequestId};
use extend_common::operation::{Selector, Strategy, Target, TargetState, Verb};
use extend_common::record::{Desired, Instance, RecordId, ServerRecord, Stamp};
use extend_common::status::StagedImage;

use extend_common::wire::whole_seconds;

use super::outside::Gate;
use super::request::KeyHash;
use crate::portal::Limits;

/// So many ids of a node's records are kept: enough to recognise what an agent may come back
/// with after any absence in which operators still worked on its server.
pub(super) const CHAIN: usize = 64;

/// A node that has joined, or whose record was taken back.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct NodeRow {
    /// None only in memory, for a node that a new store does not have.
    pub(super) enrolment: Option<Enrolment>,
    /// What its server should be; none when it has none.
    pub(super) record: Option<ServerRecord>,
    /// The ids of the records committed for it, oldest first. Survives the record, so that
    /// generations go on.
    #[serde(with = "chain")]
    pub(super) chain: Vec<RecordId>,
    /// The record that the agent was last heard to hold. Never dropped from the chain. Written
    /// with the next change of the row, not by itself: it matters only when the row grows.
    pub(super) held: Option<RecordId>,
    /// The record belongs to an operation that ended without the node's word.
    pub(super) abandoned: Option<Abandoned>,
    /// How far the agent's journal is kept.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) journal: Option<Journal>,
}

/// How far a journal of an agent is kept.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Journal {
    /// Which journal: another one after the agent lost its own.
    pub(super) name: String,
    /// The sequence of the last entry that is kept.
    pub(super) kept: u64,
}

/// A node that has gone and is not back.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Away {
    /// When it went.
    pub(super) since: Timestamp,
    /// When it was last heard; none if not since the start of the controller that noticed.
    pub(super) heard: Option<Timestamp>,
    /// Why, in words.
    pub(super) reason: String,
    /// It has joined and was never here.
    pub(super) new: bool,
}

/// How a node joined.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Enrolment {
    /// The key it joined with.
    pub(super) key: KeyHash,
    /// When.
    pub(super) at: Timestamp,
    /// When its latest certificate ends.
    pub(super) leaf_not_after: Timestamp,
    /// Its certificates are no longer accepted.
    pub(super) revoked: Option<Revoked>,
}

/// Who revoked a node, and when.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Revoked {
    pub(super) at: Timestamp,
    pub(super) by: String,
}

/// The node's record was committed by an operation that ended while the node was away. When the
/// node comes back without it, `prior` is put back before anything is sent.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Abandoned {
    pub(super) operation: OperationId,
    pub(super) prior: Option<Desired>,
}

impl NodeRow {
    /// The generation of the node's next record.
    pub(super) fn next_generation(&self) -> u64 {
        self.chain
            .iter()
            .map(|id| id.stamp.generation)
            .max()
            .unwrap_or(0)
            .saturating_add(1)
    }

    /// Makes `record` the node's present one.
    pub(super) fn replace_record(&mut self, record: ServerRecord) {
        self.chain.push(record.id);
        while self.chain.len() > CHAIN {
            let oldest = self
                .chain
                .iter()
                .position(|id| Some(*id) != self.held)
                .unwrap_or(0);
            self.chain.remove(oldest);
        }
        self.record = Some(record);
        self.abandoned = None;
    }
}

/// An operation without its targets.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct OperationRow {
    pub(super) id: OperationId,
    pub(super) request: RequestId,
    pub(super) verb: Verb,
    pub(super) selector: Selector,
    pub(super) options: Options,
    pub(super) by: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) from: Option<IpAddr>,
    pub(super) message: String,
    pub(super) begun: Timestamp,
    pub(super) ended: Option<Timestamp>,
    pub(super) deadline: Timestamp,
    /// The build that an image reference has led to, by the first server that asked: the others
    /// get the same.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub(super) pins: BTreeMap<String, String>,
    /// What only a person can do after it, a sentence each; known when it has ended.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub(super) next_steps: Vec<String>,
    /// The operation that this one tries again.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) retry_of: Option<OperationId>,
}

/// The options of a verb that its records are made from.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Options {
    /// `-i`
    pub(super) image: Option<String>,
    /// `-A`
    pub(super) public_address: Option<NodeAddr>,
    /// `--force`
    pub(super) force: bool,
    /// How it goes from server to server.
    #[serde(default)]
    pub(super) strategy: Strategy,
    /// How long sessions are waited for; none when they are not.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) drain: Option<Duration>,
    /// Servers are disabled in the portal before their processes end.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub(super) disables: bool,
    /// What a server may carry, as it is registered.
    #[serde(default, skip_serializing_if = "is_unsaid")]
    pub(super) limits: Limits,
    /// `--to-previous`
    #[serde(default)]
    pub(super) to_previous: bool,
    /// `--timeout`; none is the default.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) timeout: Option<Duration>,
    /// `--accept`
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub(super) accepted: Vec<Accepted>,
}

fn is_unsaid(limits: &Limits) -> bool {
    *limits == Limits::default()
}

impl Options {
    /// How long sessions are waited for, as records say it.
    pub(super) fn limit_seconds(&self) -> u32 {
        self.drain.map_or(0, whole_seconds)
    }
}

/// One target of an operation.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct TargetRow {
    /// What operators see.
    pub(super) target: Target,
    /// What the server was to be before the target began.
    pub(super) prior: Option<Desired>,
    /// Set while the server is put back.
    pub(super) ending: Option<Ending>,
    /// The container as it was seen when the target began: whether it was touched at all is told
    /// by it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) found: Option<Instance>,
    /// Its present record has an image fetched ahead; otherwise it is what the verb is about.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub(super) staging: bool,
    /// The image that was fetched ahead.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) staged: Option<StagedImage>,
    /// It waits for the world outside its node.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) gate: Option<Gate>,
    /// Its server was seen to be registered and let in.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub(super) registered: bool,
    /// Its server was seen to take no new sessions, and to have none as far as the PBX tells.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub(super) drained: bool,
    /// What its agent has said of its success, and what is left behind there, while it waits for
    /// what comes after.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) said: Option<(String, String)>,
    /// It has begun as one of those that go first.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub(super) canary: bool,
    /// When its agent was last heard to have come forward with it: sending heartbeats is no
    /// progress. Lost at a restart, from which on time is counted anew.
    #[serde(skip)]
    pub(super) moved: Option<Timestamp>,
}

impl TargetRow {
    /// A target before its turn.
    pub(super) fn new(target: Target) -> Self {
        Self {
            target,
            prior: None,
            ending: None,
            found: None,
            staging: false,
            staged: None,
            gate: None,
            registered: false,
            drained: false,
            said: None,
            canary: false,
            moved: None,
        }
    }

    /// Whether nothing has been begun with its server that would have to be ended: its turn has
    /// not come, though an image may have been fetched for it.
    pub(super) fn is_queued(&self) -> bool {
        !self.target.state.has_ended()
            && self.target.stamp.is_none()
            && self.ending.is_none()
            && self.gate.is_none()
    }
}

/// A target that was ended while its agent worked on it: the server is being put back.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Ending {
    /// What the target will be.
    pub(super) state: TargetState,
    /// Why.
    pub(super) reason: String,
    /// The record that puts the server back.
    pub(super) reversal: Stamp,
    /// When the target ends, also without the agent's word.
    pub(super) until: Timestamp,
}

/// The unspent token of a node.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct TokenRow {
    /// SHA-256 of its secret.
    pub(super) secret: KeyHash,
    /// Until when it is good.
    pub(super) expires: Timestamp,
}

/// That, when and by whom something was done.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Mark {
    pub(super) at: Timestamp,
    pub(super) by: String,
}

/// The ids of a chain as short texts: `epoch.generation:hash`. As objects they would be most of
/// every row.
mod chain {
    use serde::{Deserialize, Deserializer, Serializer, de::Error};

    use extend_common::record::{RecordHash, RecordId, Stamp};

    pub(super) fn serialize<S: Serializer>(ids: &[RecordId], to: S) -> Result<S::Ok, S::Error> {
        to.collect_seq(ids.iter().map(|id| format!("{}:{}", id.stamp, id.hash)))
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(
        from: D,
    ) -> Result<Vec<RecordId>, D::Error> {
        let texts = Vec::<String>::deserialize(from)?;
        texts
            .iter()
            .map(|text| parse(text).ok_or_else(|| D::Error::custom("a record id")))
            .collect()
    }

    fn parse(text: &str) -> Option<RecordId> {
        let (stamp, hash) = text.split_once(':')?;
        let (epoch, generation) = stamp.split_once('.')?;
        Some(RecordId {
            stamp: Stamp {
                epoch: epoch.parse().ok()?,
                generation: generation.parse().ok()?,
            },
            hash: RecordHash::try_from(hash.to_owned()).ok()?,
        })
    }
}
