//! What the controller shows: servers, nodes, and who may knock at its doors.
//!
//! Plain values for `api/` to convert; made by the core from its state, of which they are no part.

use std::collections::HashSet;
use std::net::Ipv4Addr;

use jiff::{SignedDuration, Timestamp};

use extend_common::event::{EventKind, StoredEvent};
use extend_common::host::HostFigures;
use extend_common::ids::{NodeAddr, OperationId, RoleName, ServerName};
use extend_common::operation::Selector;
use extend_common::record::{ServerRecord, Stamp};
use extend_common::status::{NodeState, ServerStatus, Unclaimed};

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
}

/// What a node told last of its machine. In memory only: it decides nothing.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HostSample {
    /// When it was taken, by the controller's clock.
    pub at: Timestamp,
    /// The figures.
    pub figures: HostFigures,
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
}

/// Which events somebody reads, with the role under its own name.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct EventFilter {
    /// Of which servers and nodes.
    pub selector: Selector,
    /// Of which kinds; empty is all.
    pub kinds: Vec<EventKind>,
}

/// Where somebody begins to read the events.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct EventsBegin {
    /// Which ones.
    pub filter: EventFilter,
    /// From the one after this on.
    pub after: u64,
    /// The newest one there is.
    pub last: u64,
}

/// Some events, oldest first.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct EventsPage {
    /// The ones that are meant.
    pub events: Vec<StoredEvent>,
    /// Everything up to this one has been looked at.
    pub upto: u64,
    /// So many before the first are no longer kept.
    pub passed_over: u64,
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
