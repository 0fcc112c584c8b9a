//! What operators and nodes ask of the controller, in domain words, and what they are answered.
//!
//! Made by `api/` from the wire; read by admission. Holds no rule: a value of these types may ask
//! for anything.

use std::collections::BTreeMap;
use std::fmt;
use std::net::{IpAddr, SocketAddrV4};
use std::sync::Arc;
use std::time::Duration;

use jiff::{SignedDuration, Timestamp};
use ulid::Ulid;

use extend_common::checkup::{Accepted, Check};
use extend_common::cloud::CloudFacts;
use extend_common::event::EventKind;
use extend_common::firewall::FirewallChange;
pub(crate) use extend_common::hash::sha256;
use extend_common::hash_type;
use extend_common::host::AgedFigures;
use extend_common::ids::{NodeAddr, OperationId, RequestId, RoleName, ServerName};
use extend_common::logs::LogQuery;
use extend_common::operation::{Operation, PlannedTarget, Strategy, Verb};
use extend_common::record::{PullPolicy, ServerRecord};
use extend_common::roles::Digest;
use extend_common::service::AgedService;
use extend_common::status::{ServerStatus, Unclaimed};

use super::view::{NodeView, Noted};
use crate::portal::Limits;
use crate::store::StoreId;

/// A selector as it was typed. Every part narrows; together they must agree.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct SelectorWords {
    /// The word after `-s`; empty does not narrow. Only the controller knows which words there
    /// are, so that it is not parsed before.
    pub role: String,
    /// `-a`; empty does not narrow.
    pub nodes: Vec<NodeAddr>,
    /// `-n`
    pub name: Option<ServerName>,
}

/// A verb with all its options, by a named operator.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Submission {
    /// Made by the command line: the same id returns the same operation.
    pub request: RequestId,
    /// What to do.
    pub verb: Verb,
    /// To which servers.
    pub selector: SelectorWords,
    /// `-i`, for `run` and `upgrade`.
    pub image: Option<String>,
    /// `-A`, for `run`.
    pub public_address: Option<NodeAddr>,
    /// Only say what would happen.
    pub plan_only: bool,
    /// `--timeout`; none is the default.
    pub timeout: Option<Duration>,
    /// `-m`
    pub message: String,
    /// `--force`
    pub force: bool,
    /// How to go from server to server.
    pub strategy: Strategy,
    /// What was said about sessions.
    pub drain: DrainWish,
    /// `--queue`: wait for the end of operations that hold a server.
    pub queue: bool,
    /// `--to-previous`, for `upgrade`.
    pub to_previous: bool,
    /// The operation that is tried again.
    pub retry_of: Option<OperationId>,
    /// The builds that its image references led to: what is left of it gets the same.
    pub pins: BTreeMap<String, String>,
    /// Who asks, as the socket's peer credentials name them.
    pub by: String,
    /// From where, as they say.
    pub from: Option<IpAddr>,
    /// Where references lead, as far as nodes were asked for a plan.
    pub leads: BTreeMap<String, Lead>,
    /// What the server may carry, for `run`.
    pub limits: Limits,
    /// The operator has said yes to what has to be asked.
    pub confirmed: bool,
    /// `--accept`: what of the checkup does not refuse it.
    pub accepted: Vec<Accepted>,
    /// What the checkup of its node came to; none when it was not asked for.
    pub checkup: Option<Vec<Check>>,
}

/// Where a reference leads at this moment.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Lead {
    /// To this image, as in [`extend_common::status::ResolvedImage::identity`].
    To(String),
    /// Nobody could tell, for this reason.
    Unknown(String),
}

/// What the operator said about the sessions of servers whose process is ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum DrainWish {
    /// Nothing: as is the default where new sessions can be stopped.
    #[default]
    Unsaid,
    /// `--drain`: wait as long as the role's definition says.
    ByRole,
    /// `--drain 30m`
    For(Duration),
    /// `--now`
    Not,
}

/// An operation is to be submitted again, by a named operator.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Retry {
    /// Made by the command line: the same id returns the same operation.
    pub request: RequestId,
    /// Which operation: its id, or an unambiguous ending of it.
    pub operation: String,
    /// Only targets that ended otherwise than asked for.
    pub failed_only: bool,
    /// Only say what would happen.
    pub plan_only: bool,
    /// None: as long as the first time.
    pub timeout: Option<Duration>,
    /// Empty: as the first time.
    pub message: String,
    /// Wait for the end of operations that hold a server.
    pub queue: bool,
    /// Who asks.
    pub by: String,
    /// From where, as they say.
    pub from: Option<IpAddr>,
    /// As in [`Submission`].
    pub checkup: Option<Vec<Check>>,
}

/// The answer to a submission.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Submitted {
    /// What will happen to each server, or is already so.
    pub plan: Vec<PlannedTarget>,
    /// None for a plan, and when every server is already so.
    pub operation: Option<Operation>,
}

/// PortSIP's `extend.sh` was found in the place of ours, which is back there.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ShimMended {
    /// In which directory.
    pub directory: String,
    /// When it was found.
    pub seen: Timestamp,
    /// Which one, in hexadecimal digits.
    pub sha256: String,
}

/// Which events an operator wants to see.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct EventsWanted {
    /// Of which servers and nodes.
    pub words: SelectorWords,
    /// Of which kinds; empty is all.
    pub kinds: Vec<EventKind>,
    /// So many of the newest ones,
    pub tail: usize,
    /// or all after this one, if it is not 0,
    pub after: u64,
    /// or all that happened at this time or later,
    pub since: Option<Timestamp>,
    /// and before this one.
    pub until: Option<Timestamp>,
}

hash_type!(
    /// SHA-256 of a public key (its DER `SubjectPublicKeyInfo`).
    KeyHash,
    "a hash of a key"
);

impl KeyHash {
    /// The hash of a key in DER.
    pub fn of(spki_der: &[u8]) -> Self {
        Self(sha256(spki_der))
    }
}

/// What the verified certificate of a connection says about its node.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PeerFacts {
    /// Its key.
    pub key: KeyHash,
    /// When its certificate ends.
    pub leaf_not_after: Timestamp,
}

/// The first message of a session: all that is needed to decide whether the node may be
/// commanded.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Hello {
    /// The node it says it is; must be the certificate's.
    pub node: NodeAddr,
    /// For people.
    pub agent_version: String,
    /// The store whose records the agent follows; none before the first record.
    pub store: Option<StoreId>,
    /// The highest epoch it has been welcomed with.
    pub epoch: u64,
    /// The record in its ledger, whole.
    pub record: Option<ServerRecord>,
    /// The role definitions it renders containers from.
    pub definitions: Vec<(RoleName, Digest)>,
    /// How its server is; none when it holds no record or has not looked yet.
    pub status: Option<ServerStatus>,
    /// Containers that bear a service's name and belong to no record.
    pub unclaimed: Vec<Unclaimed>,
    /// Whether the agent has looked at its containers.
    pub looked: bool,
    /// What it can do, as [`extend_common::ability`] names it.
    pub abilities: Vec<String>,
    /// What its cloud says of it, if it has said anything.
    pub cloud: Option<CloudFacts>,
}

/// A sign of life.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Heartbeat {
    /// Counts within the session.
    pub sequence: u64,
    /// Empty while Docker answers.
    pub docker_trouble: String,
    /// Empty while the agent can write its own state.
    pub ledger_trouble: String,
    /// Containers that bear a service's name and belong to no record.
    pub unclaimed: Vec<Unclaimed>,
    /// Whether the agent has looked at its containers.
    pub looked: bool,
    /// How its machine does, when there is news of it.
    pub host: Option<Box<AgedFigures>>,
    /// How far its wall clock is ahead of ours; none when it did not tell.
    pub clock_ahead: Option<SignedDuration>,
    /// What its cloud says of it, when there is news of it.
    pub cloud: Option<CloudFacts>,
    /// How its service does, when there is news of it.
    pub service: Option<Box<AgedService>>,
}

/// A session of a node, in the order the controller opened them. Reports with an older number
/// than the node's present one are dropped.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct SessionNumber(pub u64);

impl fmt::Display for SessionNumber {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// How a session came to its end.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum SessionEnd {
    /// The agent has gone, or the network between.
    Closed,
    /// The controller gave it up, for this reason.
    GivenUp(String),
    /// The controller is stopping: nothing is wrong with the node.
    Stopping,
}

/// What is said to an agent.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ToAgent {
    /// The answer to a hello, said again when the epoch is raised.
    Welcome(Welcome),
    /// What its server should be.
    Assignment {
        /// The record.
        record: Box<ServerRecord>,
        /// It was taken back from this node's own ledger: the agent may change stores.
        recovered: bool,
    },
    /// So far its journal is kept.
    EventsKept {
        /// Which journal.
        journal: String,
        /// The sequence of the last entry that is.
        sequence: u64,
    },
    /// Somebody wants to read what its server writes.
    LogsWanted(Box<LogsWanted>),
    /// Somebody wants to know where a reference leads.
    ImageWanted(ImageWanted),
    /// What firewalld there has to let in.
    FirewallWanted(Box<FirewallWanted>),
    /// Somebody wants to know whether its node is as the guide wants it.
    CheckupWanted(CheckupWanted),
    /// Many servers fail at once: it begins no restart of one that hangs.
    RestartHold {
        /// For so long, from when it hears it.
        lasts: Duration,
        /// Why, in words.
        reason: String,
    },
}

/// What an agent on a node of the PBX has to do with firewalld.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FirewallWanted {
    /// Names the enforcer that waits; good for one answer.
    pub id: Ulid,
    /// What is to be done before it is looked.
    pub change: FirewallChange,
}

/// A checkup, for an agent.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CheckupWanted {
    /// Names who waits; good for one answer.
    pub id: Ulid,
    /// The role that is to be there.
    pub role: Option<RoleName>,
    /// Where the PBX should take connections.
    pub doors: Vec<PbxDoor>,
}

/// A port of the PBX's.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PbxDoor {
    /// An address, or a name.
    pub address: String,
    /// The port.
    pub port: u16,
    /// What listens there.
    pub purpose: &'static str,
    /// It is known to.
    pub needed: bool,
}

/// A question where a reference leads, for an agent.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ImageWanted {
    /// Names the plan that waits; good for one answer.
    pub id: Ulid,
    /// As it would be deployed.
    pub reference: String,
    /// When the registry would be asked.
    pub pull: PullPolicy,
}

/// A request to read what a server writes, for its agent.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LogsWanted {
    /// Names the operator who waits; good for one answer.
    pub id: Ulid,
    /// The server, by the role of its record.
    pub role: RoleName,
    /// What is to be read.
    pub query: LogQuery,
}

/// What an agent has to know before it may take a record.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Welcome {
    /// The store of this controller.
    pub store: StoreId,
    /// Its epoch.
    pub epoch: u64,
    /// The number of the session.
    pub session: SessionNumber,
    /// How often to send a heartbeat.
    pub heartbeat_interval: Duration,
    /// The node is ahead of this store: nothing will be sent until it is recovered.
    pub ahead: bool,
    /// Where agents may dial a controller of this store.
    pub controllers: Arc<[SocketAddrV4]>,
}

/// What `recover` did.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Recovered {
    /// The nodes whose records were taken back, each with what else is to be said about it.
    pub nodes: Vec<Noted<NodeView>>,
    /// What could not be done, a sentence each.
    pub notes: Vec<String>,
}
