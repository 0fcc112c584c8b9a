//! Which servers a selector means. `-s`, `-a` and `-n` narrow, and together they must agree: a
//! command pasted with another server's address has to be noticed here.

use std::collections::BTreeSet;

use extend_common::ids::NodeAddr;
use extend_common::operation::{Selector, Verb};
use extend_common::record::{Desired, RunState};
use extend_common::roles::RoleDefinition;

use super::super::fleet::Fleet;
use super::super::node::{Node, known};
use super::super::refusal::{Asked, Known, Mismatch, Misuse, Obstacle, Refusal};
use super::super::request::SelectorWords;
use super::{MAX_TARGETS, addresses};

/// A selector with the role under its own name.
pub(in crate::core) fn resolve(
    fleet: &Fleet,
    words: &SelectorWords,
    asked: &Asked,
) -> Result<Selector, Refusal> {
    let role = match words.role.as_str() {
        "" => None,
        word => match fleet.settings.roles.find(word) {
            Ok(Some(definition)) => Some(definition.role.clone()),
            Ok(None) | Err(_) => return Err(unknown_type(fleet, word, asked).into()),
        },
    };
    Ok(Selector {
        role,
        nodes: words.nodes.clone(),
        name: words.name.clone(),
    })
}

fn unknown_type(fleet: &Fleet, word: &str, asked: &Asked) -> Misuse {
    let nearest = extend_common::nearest::nearest(word, &fleet.settings.roles.words()).cloned();
    let types = fleet.settings.roles.iter();
    let known = types.map(RoleDefinition::words).collect();
    Misuse::UnknownType {
        asked: asked.clone(),
        known,
        nearest,
    }
}

/// The nodes whose servers a verb means, in the order of their addresses.
pub(in crate::core) fn select(
    fleet: &Fleet,
    verb: Verb,
    asked: &Asked,
    selector: &Selector,
) -> Result<Vec<NodeAddr>, Refusal> {
    let nodes = if !selector.nodes.is_empty() {
        by_address(fleet, verb, asked, selector)?
    } else if selector.name.is_some() {
        by_name(fleet, verb, asked, selector)?
    } else {
        by_role(fleet, verb, asked, selector)?
    };
    let count = nodes.len();
    if count > MAX_TARGETS {
        let most = MAX_TARGETS;
        return Err(Mismatch::TooManyServers {
            asked: asked.clone(),
            count,
            most,
        }
        .into());
    }
    Ok(nodes)
}

/// Every address must have a server, and it must be the one that the other options name.
fn by_address(
    fleet: &Fleet,
    verb: Verb,
    asked: &Asked,
    selector: &Selector,
) -> Result<Vec<NodeAddr>, Refusal> {
    let nodes = addresses(selector);
    for node in &nodes {
        let entry = fleet.nodes.get(node);
        let Some(server) = entry.and_then(Node::server) else {
            let enrolled = entry.is_some_and(|entry| entry.row.enrolment.is_some());
            let asked = asked.clone();
            return Err(Mismatch::NoServerAt {
                asked,
                node: *node,
                enrolled,
            }
            .into());
        };
        agree(fleet, asked, selector, server)?;
        not_going(verb, asked, server)?;
    }
    Ok(nodes)
}

fn by_name(
    fleet: &Fleet,
    verb: Verb,
    asked: &Asked,
    selector: &Selector,
) -> Result<Vec<NodeAddr>, Refusal> {
    let Some((node, server)) = named(fleet, selector) else {
        return Err(nothing_matches(fleet, asked));
    };
    agree(fleet, asked, selector, server)?;
    not_going(verb, asked, server)?;
    Ok(vec![node])
}

/// The server with the selector's name. A name may also stand on a tombstone elsewhere: the server
/// that is meant to be comes first.
fn named<'a>(fleet: &'a Fleet, selector: &Selector) -> Option<(NodeAddr, &'a Desired)> {
    let name = selector.name.as_ref()?;
    servers(fleet)
        .filter(|(_, server)| server.name == *name)
        .min_by_key(|(node, server)| (server.run_state.is_tombstone(), *node))
}

fn by_role(
    fleet: &Fleet,
    verb: Verb,
    asked: &Asked,
    selector: &Selector,
) -> Result<Vec<NodeAddr>, Refusal> {
    let of_role = |server: &Desired| {
        selector
            .role
            .as_ref()
            .is_none_or(|role| *role == server.role)
    };
    let nodes: BTreeSet<_> = servers(fleet)
        .filter(|(_, server)| of_role(server))
        // Named one by one, a server on its way out is refused; among all, it is not meant.
        .filter(|(_, server)| verb == Verb::Rm || !server.run_state.is_tombstone())
        .map(|(node, _)| node)
        .collect();
    if nodes.is_empty() {
        return Err(nothing_matches(fleet, asked));
    }
    Ok(nodes.into_iter().collect())
}

fn servers(fleet: &Fleet) -> impl Iterator<Item = (NodeAddr, &Desired)> {
    fleet
        .nodes
        .iter()
        .filter_map(|(node, entry)| entry.server().map(|server| (*node, server)))
}

fn list<'a>(servers: impl Iterator<Item = &'a Desired>) -> Vec<Known> {
    servers.map(known).collect()
}

fn nothing_matches(fleet: &Fleet, asked: &Asked) -> Refusal {
    let servers = list(servers(fleet).map(|(_, server)| server));
    let asked = asked.clone();
    if servers.is_empty() {
        return Mismatch::NoServers { asked }.into();
    }
    Mismatch::NothingMatches { asked, servers }.into()
}

/// Checks that a server is the one that role and name describe.
pub(in crate::core) fn agree(
    fleet: &Fleet,
    asked: &Asked,
    selector: &Selector,
    server: &Desired,
) -> Result<(), Refusal> {
    if let Some(role) = selector.role.as_ref().filter(|role| **role != server.role) {
        let same = servers(fleet)
            .map(|(_, server)| server)
            .filter(|other| other.role == *role);
        return Err(Mismatch::OtherRole {
            asked: asked.clone(),
            role: role.clone(),
            found: known(server),
            of_role: list(same),
        }
        .into());
    }
    if let Some(name) = selector.name.as_ref().filter(|name| **name != server.name) {
        let named = servers(fleet)
            .map(|(_, server)| server)
            .find(|other| other.name == *name);
        return Err(Mismatch::OtherName {
            asked: asked.clone(),
            name: name.clone(),
            found: known(server),
            named: named.map(known),
        }
        .into());
    }
    Ok(())
}

fn not_going(verb: Verb, asked: &Asked, server: &Desired) -> Result<(), Refusal> {
    if verb == Verb::Rm || !server.run_state.is_tombstone() {
        return Ok(());
    }
    Err(Obstacle::BeingRemoved {
        asked: asked.clone(),
        found: known(server),
        withdrawn: server.run_state == RunState::Withdrawn,
    }
    .into())
}

/// The nodes that a request to show servers means. Other than for a verb, a node without a server
/// is no mistake. What is named must be there, and be what the other options say.
pub(in crate::core) fn select_for_status(
    fleet: &Fleet,
    asked: &Asked,
    selector: &Selector,
) -> Result<BTreeSet<NodeAddr>, Refusal> {
    let nodes: BTreeSet<_> = selector.nodes.iter().copied().collect();
    for node in &nodes {
        let entry = fleet.nodes.get(node).ok_or_else(|| Mismatch::NoServerAt {
            asked: asked.clone(),
            node: *node,
            enrolled: false,
        })?;
        if let Some(server) = entry.server() {
            agree(fleet, asked, selector, server)?;
        }
    }
    if nodes.is_empty()
        && let Some(named) = named(fleet, selector)
    {
        agree(fleet, asked, selector, named.1)?;
    }
    let meant = |node: &NodeAddr| nodes.is_empty() || nodes.contains(node);
    Ok(fleet.nodes.keys().copied().filter(meant).collect())
}
