//! Checkups of hosts: which nodes are meant, what their agents are asked, and what only the
//! controller can judge. Changes nothing.
//!
//! ```text
//! run, doctor ──► subjects (with the controller's own checks) ──► agents ──► complete ──► admission, table
//! ```

mod judge;

use extend_common::ability;
use extend_common::checkup::{Check, CheckName};
use extend_common::ids::{NodeAddr, RoleName, ServerName};
use extend_common::operation::Verb;
use ulid::Ulid;

use super::admit::{enrolled, resolve, would_check};
use super::fleet::Fleet;
use super::node::Node;
use super::refusal::{Asked, Refusal};
use super::request::{CheckupWanted, PbxDoor, Retry, SelectorWords, Submission, ToAgent};
use super::settings::Settings;
use super::turn::Turn;

/// What the guide's PBX listens on for its REST API and the portal.
const REST: u16 = 8887;
/// What its servers are believed to speak over: nobody has written it down.
const NATS: u16 = 4222;

/// A node that is to be checked, and what is known before its agent is asked.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Subject {
    /// Which node.
    pub node: NodeAddr,
    /// Its server, if it has one.
    pub name: Option<ServerName>,
    /// The role that it is checked for; none when nobody knows.
    pub role: Option<RoleName>,
    /// What the controller judges by itself.
    pub own: Vec<Check>,
    /// Why its agent cannot be asked, if it cannot.
    pub unasked: Option<String>,
}

impl Subject {
    /// Every check, once: what the agent told and what the controller knows.
    pub fn complete(self, told: Result<Vec<Check>, String>) -> Vec<Check> {
        let (told, why) = match told {
            Ok(told) => (told, "its agent does not know this check".to_owned()),
            Err(why) => (Vec::new(), why),
        };
        let find = |list: &[Check], name| list.iter().find(|check| check.name == name).cloned();
        CheckName::ALL
            .into_iter()
            .map(|name| match (find(&told, name), find(&self.own, name)) {
                (Some(told), Some(own)) => told.and(own),
                (None, Some(own)) if judge::ALONE.contains(&name) => own,
                (None, Some(own)) => own.and(Check::unknown(name, &why)),
                (Some(told), None) => told,
                (None, None) => Check::unknown(name, &why),
            })
            .collect()
    }
}

impl Fleet {
    /// The nodes that somebody wants to have checked.
    ///
    /// # Errors
    /// When there is no such role, or a node is not enrolled.
    pub fn checkups(&self, words: &SelectorWords) -> Result<Vec<Subject>, Refusal> {
        let asked = Asked::checkup(words);
        let selector = resolve(self, words, &asked)?;
        let role = selector.role.as_ref();
        if !selector.nodes.is_empty() {
            let mut nodes = selector.nodes.clone();
            nodes.sort_unstable();
            nodes.dedup();
            let subject = |node| Ok(self.subject(node, enrolled(self, &asked, node)?, role, None));
            return nodes.into_iter().map(subject).collect();
        }
        let means = |entry: &Node| match (role, entry.server()) {
            (None, _) => true,
            (Some(role), Some(server)) => server.role == *role,
            (Some(_), None) => false,
        };
        let nodes = self.nodes.iter().filter(|(_, entry)| {
            entry.row.enrolment.is_some() && entry.revoked().is_none() && means(entry)
        });
        let subjects = nodes.map(|(node, entry)| self.subject(*node, entry, role, None));
        Ok(subjects.collect())
    }

    /// The node that a `run` wants to have checked before it is admitted: none when it would deploy
    /// nothing, or is refused anyway.
    pub fn checkup_wanted(&self, submission: &Submission) -> Option<Subject> {
        if submission.verb != Verb::Run || self.known_request(submission.request).is_some() {
            return None;
        }
        let (node, role) = would_check(self, submission)?;
        let entry = self.nodes.get(&node)?;
        Some(self.subject(node, entry, Some(&role), submission.public_address))
    }

    /// The same for one that is tried again.
    pub fn checkup_of_retry(&self, retry: &Retry) -> Option<Subject> {
        self.checkup_wanted(&self.again(retry).ok()?)
    }

    /// Passes the question on to the agent of a node. One whose agent has gone meanwhile is lost:
    /// whoever waits for the answer does not wait for ever.
    pub fn want_checkup(&mut self, node: NodeAddr, id: Ulid, role: Option<RoleName>) -> Turn<()> {
        let doors = doors(&self.settings);
        self.send(
            node,
            ToAgent::CheckupWanted(CheckupWanted { id, role, doors }),
        );
        self.turn(())
    }

    /// `public` is what an operator says the node's public address is.
    fn subject(
        &self,
        node: NodeAddr,
        entry: &Node,
        role: Option<&RoleName>,
        public: Option<NodeAddr>,
    ) -> Subject {
        let server = entry.server();
        let recorded = server.and_then(|server| server.parameters.public_address);
        let pbx = &self.settings.outside.pbx_nodes;
        let clouds = pbx
            .iter()
            .filter_map(|node| self.nodes.get(node)?.cloud.as_ref());
        let role = server
            .map(|server| &server.role)
            .filter(|_| role.is_none())
            .or(role);
        let unclaimed = entry
            .unclaimed()
            .map(|unclaimed| unclaimed.container_name.as_str());
        let cloud = entry.cloud.as_ref();
        let own = vec![
            judge::clock_skew(entry.session.as_ref().and(entry.clock_ahead)),
            judge::elastic_address(cloud, public.or(recorded)),
            judge::network(cloud, &clouds.collect::<Vec<_>>()),
            judge::one_role(&judge::Tenants {
                is_pbx: pbx.contains(&node),
                server,
                role,
                unclaimed: unclaimed.collect(),
            }),
        ];
        Subject {
            node,
            name: server.map(|server| server.name.clone()),
            role: role.cloned(),
            own,
            unasked: unasked(node, entry),
        }
    }
}

fn unasked(node: NodeAddr, entry: &Node) -> Option<String> {
    if entry.session.is_none() {
        return Some(entry.away(node));
    }
    entry.lacks(ability::CHECKUP).then(|| {
        let version = &entry.agent_version;
        format!("its agent ({version}) is too old to be asked: extend node bootstrap -a {node}")
    })
}

/// Where the PBX should take connections.
fn doors(settings: &Settings) -> Vec<PbxDoor> {
    let Some(address) = &settings.pbx_address else {
        return Vec::new();
    };
    let outside = &settings.outside;
    let (host, port) = outside.pbx_api.clone().unwrap_or((address.clone(), REST));
    vec![
        PbxDoor {
            address: host,
            port,
            purpose: "REST API",
            // Somebody has configured that it listens there.
            needed: outside.portal,
        },
        PbxDoor {
            address: address.clone(),
            port: NATS,
            purpose: "NATS",
            needed: false,
        },
    ]
}
