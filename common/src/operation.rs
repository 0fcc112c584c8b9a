//! Operations: what an operator asked for, and what became of each server it meant.

mod strategy;

use std::fmt;
use std::net::IpAddr;
use std::str::FromStr;
use std::time::Duration;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use crate::checkup::{Accepted, Check};
use crate::ids::{NodeAddr, OperationId, RoleName, ServerName};
use crate::record::Stamp;
use crate::status::{Difference, Evidence, Phase};

pub use strategy::{Share, Strategy};

/// What an operator can ask for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Verb {
    /// Deploy a server, or deploy it anew with other parameters.
    Run,
    /// Let it run.
    Start,
    /// Let it stop.
    Stop,
    /// End the present process and start a new one.
    Restart,
    /// Replace the container by one of a newly resolved image.
    Upgrade,
    /// Remove the server; its data stays.
    Rm,
    /// Take over a container that somebody else made, as it is.
    Adopt,
    /// Let it take no new sessions, and let the present ones end.
    Drain,
    /// Let it take sessions again.
    Undrain,
}

impl Verb {
    /// Every verb.
    pub const ALL: [Self; 9] = [
        Self::Run,
        Self::Start,
        Self::Stop,
        Self::Restart,
        Self::Upgrade,
        Self::Rm,
        Self::Adopt,
        Self::Drain,
        Self::Undrain,
    ];
}

impl fmt::Display for Verb {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::Run => "run",
            Self::Start => "start",
            Self::Stop => "stop",
            Self::Restart => "restart",
            Self::Upgrade => "upgrade",
            Self::Rm => "rm",
            Self::Adopt => "adopt",
            Self::Drain => "drain",
            Self::Undrain => "undrain",
        })
    }
}

impl FromStr for Verb {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        Self::ALL
            .into_iter()
            .find(|verb| verb.to_string() == text)
            .ok_or_else(|| format!("`{text}` is no verb"))
    }
}

/// Which servers are meant. Every part narrows; together they must agree.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Selector {
    /// `-s`
    pub role: Option<RoleName>,
    /// `-a`; empty does not narrow.
    pub nodes: Vec<NodeAddr>,
    /// `-n`
    pub name: Option<ServerName>,
}

impl fmt::Display for Selector {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut parts = Vec::new();
        parts.extend(self.role.iter().map(|role| format!("-s {role}")));
        if !self.nodes.is_empty() {
            let nodes: Vec<_> = self.nodes.iter().map(NodeAddr::to_string).collect();
            parts.push(format!("-a {}", nodes.join(",")));
        }
        parts.extend(self.name.iter().map(|name| format!("-n {name}")));
        if parts.is_empty() {
            return f.write_str("all servers");
        }
        f.write_str(&parts.join(" "))
    }
}

/// The state of one server within an operation.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum TargetState {
    /// Its turn has not come.
    Queued,
    /// Its turn has come, and its node is away.
    Waiting,
    /// The agent works on it.
    Running,
    /// Done.
    Succeeded,
    /// Not done, and not as before.
    Failed,
    /// Not done; the deployment before serves again.
    RolledBack,
    /// Not begun, because another target failed.
    Skipped,
    /// Ended by an operator.
    Cancelled,
    /// Ended by the operation's deadline.
    TimedOut,
}

impl TargetState {
    /// Whether nothing more will happen to the target.
    pub fn has_ended(self) -> bool {
        !matches!(self, Self::Queued | Self::Waiting | Self::Running)
    }

    /// Whether the target ended otherwise than asked for.
    pub fn is_failure(self) -> bool {
        self.has_ended() && self != Self::Succeeded
    }
}

impl fmt::Display for TargetState {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::Queued => "queued",
            Self::Waiting => "waiting",
            Self::Running => "running",
            Self::Succeeded => "succeeded",
            Self::Failed => "failed",
            Self::RolledBack => "rolled-back",
            Self::Skipped => "skipped",
            Self::Cancelled => "cancelled",
            Self::TimedOut => "timed-out",
        })
    }
}

/// When a target entered a phase.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct PhaseEntry {
    /// Which phase.
    pub phase: Phase,
    /// When, by the controller's clock.
    pub at: Timestamp,
}

/// One server within an operation.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Target {
    /// Where.
    pub node: NodeAddr,
    /// Which server.
    pub name: ServerName,
    /// Its role.
    pub role: RoleName,
    /// Where the target is.
    pub state: TargetState,
    /// What is being done, in words.
    pub detail: String,
    /// Why it ended as it did; for a waiting target, what it waits for.
    pub reason: String,
    /// What the agent saw when it failed.
    pub evidence: Option<Evidence>,
    /// The record that carries it out.
    pub stamp: Option<Stamp>,
    /// When it began.
    pub begun: Option<Timestamp>,
    /// When it ended.
    pub ended: Option<Timestamp>,
    /// The phases it went through; the last is the present one.
    pub phases: Vec<PhaseEntry>,
    /// What the plan said would happen.
    pub summary: String,
    /// What the plan warned of: for example, that the role is away meanwhile. May be empty.
    #[serde(default)]
    pub warning: String,
    /// The image before, for people.
    pub image_before: String,
    /// The image after, for people.
    pub image_after: String,
    /// The identity of the image before, as in [`crate::status::ResolvedImage`]; empty when it is
    /// not known.
    #[serde(default)]
    pub identity_before: String,
    /// The same of the image after.
    #[serde(default)]
    pub identity_after: String,
    /// In which wave it has its turn, as in [`PlannedTarget::wave`].
    #[serde(default)]
    pub wave: u32,
    /// What the node told after the target had ended.
    pub late: String,
}

impl Target {
    /// The phase it is in.
    pub fn phase(&self) -> Phase {
        self.phases
            .last()
            .map_or(Phase::Pending, |entry| entry.phase)
    }
}

/// What an operator asked for, durably.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Operation {
    /// Which operation.
    pub id: OperationId,
    /// What was asked for.
    pub verb: Verb,
    /// Which servers were meant.
    pub selector: Selector,
    /// Who asked, as the socket's peer credentials name them.
    pub by: String,
    /// From where, as the operator's command line says; nothing proves it. None when it does not
    /// say.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub from: Option<IpAddr>,
    /// Why, in the operator's words (`-m`).
    pub message: String,
    /// When it was submitted.
    pub begun: Timestamp,
    /// When its last target ended.
    pub ended: Option<Timestamp>,
    /// When it ends at the latest.
    pub deadline: Timestamp,
    /// How it goes from server to server.
    #[serde(default)]
    pub strategy: Strategy,
    /// How long sessions are waited for; none when they are not.
    #[serde(default)]
    pub drain: Option<Duration>,
    /// The operation that this one tries again.
    #[serde(default)]
    pub retry_of: Option<OperationId>,
    /// What the operation as a whole waits for, in words; may be empty.
    #[serde(default)]
    pub note: String,
    /// What only a person can do after it, a sentence each.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub next_steps: Vec<String>,
    /// What was overridden of the checkup (`--accept`), and why.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub accepted: Vec<Accepted>,
    /// The servers.
    pub targets: Vec<Target>,
}

impl Operation {
    /// How many targets are in a state.
    pub fn count(&self, state: TargetState) -> usize {
        self.targets
            .iter()
            .filter(|target| target.state == state)
            .count()
    }

    /// In one word, for lists: the worst state that any target ended in, or how far it is.
    pub fn summary(&self) -> String {
        if self.ended.is_none() {
            let done = self.targets.iter().filter(|t| t.state.has_ended()).count();
            return format!("open {done}/{}", self.targets.len());
        }
        let worst = [
            TargetState::Failed,
            TargetState::RolledBack,
            TargetState::TimedOut,
            TargetState::Cancelled,
            TargetState::Skipped,
        ]
        .into_iter()
        .find(|state| self.count(*state) > 0)
        .unwrap_or(TargetState::Succeeded);
        worst.to_string()
    }
}

/// What one server would go through, or finds already so.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct PlannedTarget {
    /// Where.
    pub node: NodeAddr,
    /// Which server.
    pub name: ServerName,
    /// Its role.
    pub role: RoleName,
    /// Nothing to do: it was observed to be so.
    pub already_so: bool,
    /// What would happen, in words.
    pub summary: String,
    /// The image before, for people.
    pub image_before: String,
    /// The image after, for people.
    pub image_after: String,
    /// The identity of the image before; empty when it is not known.
    #[serde(default)]
    pub identity_before: String,
    /// The same of the image after. What a tag leads to only its registry knows.
    #[serde(default)]
    pub identity_after: String,
    /// What the operator should know before, for example that the role is away meanwhile. May be
    /// empty.
    #[serde(default)]
    pub warning: String,
    /// Within a role, targets of a lower wave end before this one begins; with
    /// [`Strategy::serial`], whatever their roles.
    pub wave: u32,
    /// It is one of those that go first and have to stay healthy for a while.
    #[serde(default)]
    pub canary: bool,
    /// What is made on the node's host for the role, or undone with it, a line each.
    pub host_changes: Vec<String>,
    /// Where a container that is taken over is not as the role's definition would make it.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub differences: Vec<Difference>,
    /// What the checkup of the node came to, apart from what is as it should be.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub checks: Vec<Check>,
}
