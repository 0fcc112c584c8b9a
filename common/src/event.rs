//! Events: what happened to servers and nodes, as people are told of it. A sentence each, with
//! the evidence that was there. Nothing is decided by them.
//!
//! An agent notes what it saw in its journal and tells a controller in order, also what happened
//! while no controller was in reach. The controller adds what it saw itself.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use crate::ids::{NodeAddr, OperationId, RoleName, ServerName};
use crate::status::Evidence;

/// What kind of thing happened.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum EventKind {
    /// A server's health is another one now.
    Health,
    /// A service ended though it should run.
    Crash,
    /// The agent began to restart or to start a service by itself.
    Restart,
    /// The agent has given up restarting, or does so again.
    Quarantine,
    /// Docker's own policy started a service again.
    DockerRestart,
    /// The node's Docker Engine fell silent, or answers again.
    Docker,
    /// The agent's own state: its ledger, its journal, its disk.
    Agent,
    /// A node came, went, or fell silent.
    Node,
    /// An operation began or ended.
    Operation,
    /// The controller itself.
    Controller,
    /// Tokens, certificates, revocations.
    Access,
    /// Registrations in the PBX's portal, and what it shows.
    Portal,
    /// Entries that let servers in.
    Whitelist,
    /// Restarts of many servers are held, or no longer.
    Breaker,
    /// Alerts, and what became of telling people.
    Alert,
    /// What is the matter with a server and no restart would mend.
    Warning,
}

impl EventKind {
    /// Every kind.
    pub const ALL: [Self; 16] = [
        Self::Health,
        Self::Crash,
        Self::Restart,
        Self::Quarantine,
        Self::DockerRestart,
        Self::Docker,
        Self::Agent,
        Self::Node,
        Self::Operation,
        Self::Controller,
        Self::Access,
        Self::Portal,
        Self::Whitelist,
        Self::Breaker,
        Self::Alert,
        Self::Warning,
    ];
}

impl std::str::FromStr for EventKind {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        Self::ALL
            .into_iter()
            .find(|kind| kind.to_string() == text)
            .ok_or_else(|| format!("`{text}` is no kind of event"))
    }
}

impl std::fmt::Display for EventKind {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.pad(match self {
            Self::Health => "health",
            Self::Crash => "crash",
            Self::Restart => "restart",
            Self::Quarantine => "quarantine",
            Self::DockerRestart => "docker-restart",
            Self::Docker => "docker",
            Self::Agent => "agent",
            Self::Node => "node",
            Self::Operation => "operation",
            Self::Controller => "controller",
            Self::Access => "access",
            Self::Portal => "portal",
            Self::Whitelist => "whitelist",
            Self::Breaker => "breaker",
            Self::Alert => "alert",
            Self::Warning => "warning",
        })
    }
}

/// Something that happened.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Event {
    /// When, by the clock of whoever saw it.
    pub at: Timestamp,
    /// What kind of thing.
    pub kind: EventKind,
    /// On which node; none for what concerns the fleet.
    pub node: Option<NodeAddr>,
    /// To which server.
    pub name: Option<ServerName>,
    /// Of which role.
    pub role: Option<RoleName>,
    /// One sentence.
    pub text: String,
    /// What was seen before anything was done.
    pub evidence: Option<Evidence>,
    /// The operation that it belongs to.
    pub operation: Option<OperationId>,
    /// The operator who caused it; empty when nobody did.
    pub by: String,
}

/// An event with its place in an agent's journal.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct JournalEntry {
    /// Counts the events of one journal, from 1.
    pub sequence: u64,
    /// What happened.
    pub event: Event,
}

/// A piece of an agent's journal.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct JournalPart {
    /// Which journal: another one after the agent lost its own.
    pub journal: String,
    /// In order.
    pub entries: Vec<JournalEntry>,
}

/// An event as the controller keeps it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct StoredEvent {
    /// Counts all events of a store, from 1, in the order the controller heard of them.
    pub sequence: u64,
    /// When the controller heard of it.
    pub told: Timestamp,
    /// What happened.
    pub event: Event,
}
