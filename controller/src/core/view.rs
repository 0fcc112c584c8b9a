//! What the controller shows: servers, nodes, and who may knock at its doors.
//!
//! Plain values for `api/` to convert; made by the core from its state, of which they are no part.

use std::collections::HashSet;
use std::net::Ipv4Addr;

use jiff::{SignedDuration, Timestamp};

use extend_common::cloud::CloudFacts;
use extend_common::event::{Event, EventKind, StoredEvent};
use extend_common::host::HostFigures;
use extend_common::ids::{NodeAddr, OperationId, RoleName, ServerName};
use extend_common::operation::{Operation, Selector, Target};
use extend_common::record::{ServerRecord, Stamp};
use extend_common::service::ServiceFigures;
use extend_common::status::{NodeState, ServerStatus, Unclaimed};

use super::history::{Change, Step};

/// A server: what it should be, and what was seen of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ServerView {
    /// What it should be.
    pub record: ServerRecord,
    /// How its node is.
    pub node_state: NodeState,
    /// What the agent told last; none when it has not been heard since the controller's start.
    pub status: Option<ServerStatus>,
    /// The open operation on it, if any.
    pub operation: Option<OperationId>,
    /// Why its node is in its state; empty when there is nothing to explain.
    pub node_reason: String,
    /// Since when its node has been suspect or offline.
    pub node_away_since: Option<Timestamp>,
    /// How its node's machine does.
    pub host: Option<HostSample>,
    /// How it stands in the PBX's portal; none where nobody looks.
    pub portal: Option<PortalStanding>,
    /// For each piece of five minutes of the last two hours the share of the time that it was
    /// healthy, in percent; none for a gap. Empty where nobody asked for it.
    pub recent: Vec<Option<u8>>,
}

/// How a server stands in the PBX's portal.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PortalStanding {
    /// In a word.
    pub state: PortalState,
    /// Why, in words; empty when there is nothing to explain.
    pub reason: String,
    /// How many sessions the PBX counts; none where it does not.
    pub sessions: Option<u64>,
}

/// The same in a word.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum PortalState {
    /// It cannot be told at this moment.
    Unknown,
    /// The portal does not have it.
    NotRegistered,
    /// The PBX does not see it.
    Offline,
    /// The PBX sees it, and sends it sessions.
    Online,
    /// It is sent no sessions.
    Disabled,
}

/// What a node told last of its machine. In memory only: it decides nothing.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HostSample {
    /// When it was taken, by the controller's clock.
    pub at: Timestamp,
    /// The figures.
    pub figures: HostFigures,
}

/// How a server is and was.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HealthView {
    /// How it is.
    pub server: ServerView,
    /// How its service does, while its node is connected.
    pub service: Option<ServiceSample>,
    /// The steps of each scale of [`super::history::SCALES`], oldest first; missing ones are gaps.
    pub steps: [Vec<Step>; 3],
    /// The last changes of its health, oldest first.
    pub changes: Vec<Change>,
}

/// What a node told last of its service. In memory only: it decides nothing.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ServiceSample {
    /// When it was put together, by the controller's clock.
    pub at: Timestamp,
    /// The figures.
    pub figures: ServiceFigures,
}

/// The servers that a selector means, and the containers beside them that nobody claims.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct ServersView {
    /// In the order of their addresses.
    pub servers: Vec<ServerView>,
    /// In the order of their addresses.
    pub unclaimed: Vec<(NodeAddr, Unclaimed)>,
}

/// A node.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NodeView {
    /// Which.
    pub node: NodeAddr,
    /// How it is.
    pub state: NodeState,
    /// Why, in words; empty when there is nothing to explain.
    pub reason: String,
    /// Empty when it has not been heard since the controller's start.
    pub agent_version: String,
    /// When it joined.
    pub enrolled: Option<Timestamp>,
    /// When it was last heard, since the controller's start.
    pub last_seen: Option<Timestamp>,
    /// When its certificate ends.
    pub leaf_expires: Option<Timestamp>,
    /// When its unspent token ends.
    pub token_expires: Option<Timestamp>,
    /// Its server.
    pub server_name: Option<ServerName>,
    /// The role of its server.
    pub role: Option<RoleName>,
    /// Its present record.
    pub stamp: Option<Stamp>,
    /// Empty while Docker answers there.
    pub docker_trouble: String,
    /// Empty while the agent can write its own state.
    pub ledger_trouble: String,
    /// Since when it has been suspect or offline.
    pub away_since: Option<Timestamp>,
    /// How its machine does.
    pub host: Option<HostSample>,
    /// How far its clock is ahead of the controller's; none without a session that told.
    pub clock_ahead: Option<SignedDuration>,
    /// What its cloud says of it.
    pub cloud: Option<CloudFacts>,
}

/// Which operations somebody lists.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct OperationFilter {
    /// So many at most, the newest ones.
    pub limit: usize,
    /// Only those that have not ended.
    pub open_only: bool,
    /// Only those that were begun at this time or later,
    pub since: Option<Timestamp>,
    /// and before this one.
    pub until: Option<Timestamp>,
    /// Only those of this operator, also where sudo names it. Empty is everybody's.
    pub by: String,
}

impl OperationFilter {
    /// Whether an operation is meant, open or not.
    pub fn means(&self, operation: &Operation) -> bool {
        self.means_one(&operation.by, operation.begun)
    }

    pub(super) fn means_one(&self, by: &str, begun: Timestamp) -> bool {
        let is_theirs = || by == self.by || by == says(&self.by);
        (self.by.is_empty() || is_theirs())
            && self.since.is_none_or(|since| begun >= since)
            && self.until.is_none_or(|until| begun < until)
    }
}

/// Some operations, newest first.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct OperationList {
    /// The ones that are meant.
    pub operations: Vec<Operation>,
    /// Older ones than this were not looked at, though fewer were found than were asked for.
    pub cut: Option<Timestamp>,
}

/// How root is written down behind whom sudo names somebody.
pub fn says(name: &str) -> String {
    format!("root (says {name})")
}

/// Which events somebody reads, with the role under its own name.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct EventFilter {
    /// Of which servers and nodes.
    pub selector: Selector,
    /// Of which kinds; empty is all.
    pub kinds: Vec<EventKind>,
    /// Only what happened at this time or later,
    pub since: Option<Timestamp>,
    /// and before this one.
    pub until: Option<Timestamp>,
}

/// Whether a filter means an event.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Meant {
    /// It does.
    Yes,
    /// It does not.
    No,
    /// If this operation has a target that is meant; it has left the memory.
    ByTarget(OperationId),
}

impl EventFilter {
    /// Whether an event is meant, of whose operation nothing is known beyond its id.
    pub fn means(&self, event: &Event) -> Meant {
        let Self {
            selector, kinds, ..
        } = self;
        let is_of_kind = kinds.is_empty() || kinds.contains(&event.kind);
        let is_of_time = self.since.is_none_or(|since| event.at >= since)
            && self.until.is_none_or(|until| event.at < until);
        if !is_of_kind || !is_of_time {
            return Meant::No;
        }
        if means(
            selector,
            event.node,
            event.name.as_ref(),
            event.role.as_ref(),
        ) {
            return Meant::Yes;
        }
        // An operation on several servers is an event of each of them.
        match event.operation {
            Some(id) if event.kind == EventKind::Operation => Meant::ByTarget(id),
            _ => Meant::No,
        }
    }

    /// Whether a target is meant.
    pub fn means_target(&self, target: &Target) -> bool {
        let (name, role) = (Some(&target.name), Some(&target.role));
        means(&self.selector, Some(target.node), name, role)
    }
}

/// Whether something on this node, of this name and role, is meant.
pub(super) fn means(
    selector: &Selector,
    node: Option<NodeAddr>,
    name: Option<&ServerName>,
    role: Option<&RoleName>,
) -> bool {
    let nodes = &selector.nodes;
    (nodes.is_empty() || node.is_some_and(|node| nodes.contains(&node)))
        && (selector.name.is_none() || selector.name.as_ref() == name)
        && (selector.role.is_none() || selector.role.as_ref() == role)
}

/// Where somebody begins to read the events.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct EventsBegin {
    /// Which ones.
    pub filter: EventFilter,
    /// From the one after this on.
    pub after: u64,
    /// What is wanted may begin before the oldest one in memory, which is this one.
    pub before: Option<u64>,
    /// The newest one there is.
    pub last: u64,
}

/// Some events, oldest first.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct EventsPage {
    /// The ones that are meant.
    pub events: Vec<StoredEvent>,
    /// Those that may be, if their operations have targets that are.
    pub doubtful: Vec<(StoredEvent, OperationId)>,
    /// Everything up to this one has been looked at.
    pub upto: u64,
    /// So many before the first are no longer kept.
    pub passed_over: u64,
    /// So many up to `upto` are not in memory: the archive may have some of them.
    pub missing: u64,
}

/// Something with what else is to be said about it, a sentence each.
pub type Noted<T> = (T, Vec<String>);

/// Who may begin a handshake. Addresses only: what comes after it is checked again.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct DoorSets {
    /// The agents' face: enrolled nodes that are not revoked.
    pub agents: HashSet<Ipv4Addr>,
    /// The enrolment face: nodes with a live token, and nodes whose certificate has expired.
    pub enrolment: HashSet<Ipv4Addr>,
    /// Revoked and removed nodes: refused also while [`DoorSets::recovering`].
    pub refused: HashSet<Ipv4Addr>,
    /// The store is new beside an older authority: the agents' face admits every source that is
    /// not refused, and the certificate decides.
    pub recovering: bool,
}

impl DoorSets {
    /// Whether this source may begin a handshake on the agents' face.
    pub fn admits_agent(&self, source: Ipv4Addr) -> bool {
        self.agents.contains(&source) || (self.recovering && !self.refused.contains(&source))
    }

    /// Whether this source may begin a handshake on the enrolment face.
    pub fn admits_enrolment(&self, source: Ipv4Addr) -> bool {
        self.enrolment.contains(&source)
    }
}
