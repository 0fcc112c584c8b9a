//! firewalld on the PBX's nodes, kept through the agents there.
//!
//! ```text
//! Task (look, diff, steps) ── Firewalld ── engine ── session ── agent ── root helper ── firewalld
//! door ── Ports ─────────────────┘
//! ```
//!
//! [`Firewalld`] keeps the trusted zone of one node; [`Ports`] opens the controller's own ports on
//! the node that carries it. Where firewalld is not there, does not run or may not be touched,
//! nothing is let in by it, and that is said and no fault: it keeps nobody out either, or its
//! administrator has kept it to himself.

mod entries;
mod ports;
#[cfg(test)]
mod tests;

use std::sync::Arc;
use std::time::Duration;

use extend_common::backoff::Backoff;
use extend_common::firewall::{FirewallChange, FirewallState, FirewallTold};
use extend_common::ids::NodeAddr;
use tokio::sync::watch;

pub use self::ports::{OwnPorts, Ports};

use self::entries::entries;
use super::{Enforcer, Fault, FaultKind, Pace};
use crate::core::Reach;
use crate::engine::{EngineError, EngineHandle, FirewallAnswer};
use crate::whitelist::{EnforcerKind, Entry, Kinds, LetIn, Policy, Step};

/// A look takes a second or two, and a node may have other things to do.
pub const PACE: Pace = Pace {
    interval: Duration::from_secs(15),
    between: Duration::ZERO,
    patience: Duration::from_secs(45),
    backoff: Backoff {
        first: Duration::from_secs(1),
        most: Duration::from_secs(15),
    },
};

/// The trusted zone of firewalld on one node.
#[derive(Debug)]
pub struct Firewalld {
    node: NodeAddr,
    engine: EngineHandle,
    /// What is ours and lacks a half is missing if it is wanted, and still there if it is not.
    list: watch::Receiver<Arc<LetIn>>,
    /// How firewalld was at the last look.
    state: Option<FirewallState>,
}

impl Firewalld {
    /// On this node, for the addresses of this list.
    pub fn new(node: NodeAddr, engine: EngineHandle, list: watch::Receiver<Arc<LetIn>>) -> Self {
        Self {
            node,
            engine,
            list,
            state: None,
        }
    }

    /// Says once how firewalld is there.
    fn note(&mut self, state: FirewallState) {
        if self.state.replace(state) == Some(state) {
            return;
        }
        let node = self.node;
        match state {
            FirewallState::Running => tracing::info!(%node, "firewalld runs: it is kept"),
            FirewallState::Stopped => tracing::info!(%node, "firewalld does not run"),
            FirewallState::Absent => tracing::info!(%node, "there is no firewalld"),
            FirewallState::NotAllowed => tracing::info!(
                %node,
                "firewalld is not kept there: firewall = true in /etc/extend/agent.toml has it kept"
            ),
            FirewallState::Unknown => {}
        }
    }
}

impl Enforcer for Firewalld {
    fn kind(&self) -> EnforcerKind {
        EnforcerKind::Firewalld(self.node)
    }

    fn policy(&self) -> Policy {
        let keeps = self.state == Some(FirewallState::Running);
        Policy {
            kinds: Kinds {
                private: keeps,
                public: keeps,
            },
            expiry: None,
            limit: None,
        }
    }

    async fn look(&mut self) -> Result<Vec<Entry>, Fault> {
        let told = ask(&self.engine, self.node, FirewallChange::default()).await?;
        let Some(told) = told else {
            self.state = None;
            return Ok(Vec::new());
        };
        self.note(told.state);
        Ok(entries(&told.sources, &self.list.borrow()))
    }

    async fn apply(&mut self, step: &Step) -> Result<(), Fault> {
        let mut change = FirewallChange::default();
        match step {
            Step::Add { address, .. } | Step::Renew { address, .. } => {
                change.trust.insert(*address);
            }
            Step::Remove { address, .. } => {
                change.untrust.insert(*address);
            }
        }
        match ask(&self.engine, self.node, change).await? {
            Some(told) if told.state == FirewallState::Running => done(self.node, told),
            Some(_) | None => Err(fault(
                FaultKind::Everything,
                format!(
                    "firewalld on {} does not run or may not be changed",
                    self.node
                ),
                "systemctl status firewalld there, and firewall = true in /etc/extend/agent.toml",
            )),
        }
    }
}

/// Whether all that was to be done is.
fn done(node: NodeAddr, told: FirewallTold) -> Result<(), Fault> {
    match told.undone {
        None => Ok(()),
        Some(undone) => Err(fault(
            FaultKind::ThisStep,
            format!("firewalld on {node}: {}", undone.sentence),
            &undone.hint,
        )),
    }
}

/// Asks a node; none where no agent has joined, so that nothing of ours can be there.
async fn ask(
    engine: &EngineHandle,
    node: NodeAddr,
    change: FirewallChange,
) -> Result<Option<FirewallTold>, Fault> {
    let answer = engine.firewall(node, change).await;
    let nobody = |words: &str, hint: &str| {
        let sentence = format!("asking for firewalld on {node}: {words}");
        Err(fault(FaultKind::Everything, sentence, hint))
    };
    match answer {
        Ok(FirewallAnswer::Told(told)) => match (told.state, told.undone) {
            (FirewallState::Unknown, undone) => {
                let (sentence, hint) = undone
                    .map(|undone| (undone.sentence, undone.hint))
                    .unwrap_or_default();
                nobody(&sentence, &hint)
            }
            (_, undone) => Ok(Some(FirewallTold { undone, ..told })),
        },
        Ok(FirewallAnswer::Nobody(Reach::TooOld)) => nobody(
            "its agent is too old for that",
            "upgrade the package extend-agent there",
        ),
        Ok(FirewallAnswer::Nobody(Reach::Away)) => nobody(
            "its agent is not connected",
            &format!("extend node show {node}"),
        ),
        Ok(FirewallAnswer::Nobody(Reach::NotEnrolled | Reach::Asked)) => Ok(None),
        Ok(FirewallAnswer::Silent) => Err(fault(
            FaultKind::Unclear,
            format!("asking for firewalld on {node}: its agent has not answered in time"),
            "journalctl -u extend-agent there",
        )),
        Ok(FirewallAnswer::Crowded) => nobody("too many are asked at once", "it is tried again"),
        Err(EngineError::Stopped) => nobody("the controller is going down", ""),
        Err(error) => nobody(&error.to_string(), "journalctl -u extend-controller"),
    }
}

fn fault(kind: FaultKind, sentence: String, hint: &str) -> Fault {
    Fault {
        kind,
        sentence,
        hint: hint.to_owned(),
        wait: None,
    }
}
