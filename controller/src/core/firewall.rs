//! Questions about firewalld, for the agents on the PBX's nodes. Changes nothing.

use extend_common::ability;
use extend_common::firewall::FirewallChange;
use extend_common::ids::NodeAddr;
use ulid::Ulid;

use super::fleet::Fleet;
use super::request::{FirewallWanted, ToAgent};
use super::turn::Turn;

/// Whether a node could be asked.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Reach {
    /// It was.
    Asked,
    /// No agent has joined there, or it was revoked.
    NotEnrolled,
    /// Its agent is not connected.
    Away,
    /// Its agent does not know what is asked.
    TooOld,
}

impl Fleet {
    /// Passes what firewalld has to do on to the agent of a node. One whose agent goes meanwhile is
    /// lost: whoever waits for the answer does not wait for ever.
    pub fn want_firewall(
        &mut self,
        node: NodeAddr,
        id: Ulid,
        change: FirewallChange,
    ) -> Turn<Reach> {
        let entry = self.nodes.get(&node);
        let enrolment = entry.and_then(|entry| entry.row.enrolment.as_ref());
        let reach = match (entry, enrolment) {
            (Some(entry), Some(enrolment)) if enrolment.revoked.is_none() => {
                if entry.session.is_none() {
                    Reach::Away
                } else if entry.lacks(ability::FIREWALL) {
                    Reach::TooOld
                } else {
                    Reach::Asked
                }
            }
            _ => Reach::NotEnrolled,
        };
        if reach == Reach::Asked {
            let wanted = Box::new(FirewallWanted { id, change });
            self.send(node, ToAgent::FirewallWanted(wanted));
        }
        self.turn(reach)
    }
}
