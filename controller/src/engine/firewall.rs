//! firewalld on the PBX's nodes, asked through their agents' sessions.

use std::time::Duration;

use extend_common::firewall::{FirewallChange, FirewallTold};
use extend_common::ids::NodeAddr;
use ulid::Ulid;

use super::command::{AgentQuestion, Question};
use super::{EngineError, EngineHandle};
use crate::core::Reach;

/// firewall-cmd is a Python program that is started a few times for each question.
const LIMIT: Duration = Duration::from_secs(40);

/// What became of a question about firewalld.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum FirewallAnswer {
    /// The agent has answered.
    Told(FirewallTold),
    /// There is nobody to ask.
    Nobody(Reach),
    /// The agent was asked and has not answered in time: what was to be done may have been.
    Silent,
    /// Too many ask at once; nobody was asked.
    Crowded,
}

impl EngineHandle {
    /// Has the agent of a node do something with firewalld, and tell what is there then.
    ///
    /// # Errors
    /// When the engine has stopped.
    pub async fn firewall(
        &self,
        node: NodeAddr,
        change: FirewallChange,
    ) -> Result<FirewallAnswer, EngineError> {
        let Some(question) = self.firewalls.open(node) else {
            return Ok(FirewallAnswer::Crowded);
        };
        let reach = self
            .ask(|reply| {
                Question::ToAgent(AgentQuestion::Firewall {
                    node,
                    id: question.id(),
                    change: Box::new(change),
                    reply,
                })
            })
            .await?;
        if reach != Reach::Asked {
            return Ok(FirewallAnswer::Nobody(reach));
        }
        let told = question.answer(LIMIT).await;
        Ok(told.map_or(FirewallAnswer::Silent, FirewallAnswer::Told))
    }

    /// Hands over what an agent tells of firewalld. Nothing is waited for.
    pub fn firewall_told(&self, node: NodeAddr, id: Ulid, told: FirewallTold) {
        self.firewalls.told(node, id, told);
    }
}
