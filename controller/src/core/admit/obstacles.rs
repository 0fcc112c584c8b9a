//! What stands in the way at the servers that are meant. One obstacle refuses the whole
//! submission: half a command is nothing an operator would have asked for.

use extend_common::ids::{NodeAddr, RoleName};
use extend_common::operation::Verb;

use super::super::fleet::Fleet;
use super::super::refusal::{Action, Asked, DefinitionGap, Held, Known, Obstacle, Refusal};

/// Checks every node. Nodes that are merely away are no obstacle: their targets wait.
pub(super) fn check(
    fleet: &Fleet,
    verb: Verb,
    asked: &Asked,
    nodes: &[NodeAddr],
) -> Result<(), Refusal> {
    for node in nodes {
        revoked(fleet, asked, *node)?;
        ahead(fleet, asked, *node)?;
    }
    busy(fleet, &asked.action(), nodes)?;
    for node in nodes {
        let server = fleet.nodes.get(node).and_then(|entry| entry.server());
        let Some(role) = server.map(|server| server.role.clone()) else {
            continue;
        };
        if verb == Verb::Upgrade {
            definition(fleet, asked, *node, &role)?;
        } else {
            known_there(fleet, asked, *node, &role)?;
        }
    }
    Ok(())
}

/// A node that does not know the role any more cannot tell which container is meant: no verb can
/// be carried out there. With another definition it can, as long as nothing is deployed.
fn known_there(
    fleet: &Fleet,
    asked: &Asked,
    node: NodeAddr,
    role: &RoleName,
) -> Result<(), Refusal> {
    let entry = fleet.nodes.get(&node);
    if entry.and_then(|entry| entry.definition(role)) != Some(None) {
        return Ok(());
    }
    Err(Obstacle::DefinitionDiffers {
        asked: asked.clone(),
        node,
        role: role.clone(),
        gap: DefinitionGap::NotThere,
    }
    .into())
}

pub(in crate::core) fn revoked(
    fleet: &Fleet,
    asked: &Asked,
    node: NodeAddr,
) -> Result<(), Refusal> {
    match fleet.nodes.get(&node).and_then(|entry| entry.revoked()) {
        Some(revoked) => Err(Obstacle::Revoked {
            asked: asked.clone(),
            node,
            since: revoked.at,
        }
        .into()),
        None => Ok(()),
    }
}

pub(super) fn ahead(fleet: &Fleet, asked: &Asked, node: NodeAddr) -> Result<(), Refusal> {
    match fleet.nodes.get(&node).and_then(|entry| entry.ahead()) {
        Some(why) => {
            let action = asked.action();
            Err(Obstacle::NodeAhead {
                action,
                node,
                why: why.to_owned(),
            }
            .into())
        }
        None => Ok(()),
    }
}

/// A server has at most one open operation.
pub(in crate::core) fn busy(
    fleet: &Fleet,
    action: &Action,
    nodes: &[NodeAddr],
) -> Result<(), Refusal> {
    let held: Vec<_> = nodes.iter().filter_map(|node| held(fleet, *node)).collect();
    if held.is_empty() {
        return Ok(());
    }
    Err(Obstacle::Busy {
        action: action.clone(),
        held,
    }
    .into())
}

fn held(fleet: &Fleet, node: NodeAddr) -> Option<Held> {
    let operation = fleet.nodes.get(&node)?.open?;
    let entry = fleet.operations.get(&operation)?;
    let target = &entry.target(node)?.target;
    Some(Held {
        server: Known {
            name: target.name.clone(),
            role: target.role.clone(),
            node,
        },
        operation,
        verb: entry.row.verb,
        by: entry.row.by.clone(),
        since: entry.row.begun,
    })
}

/// A node that renders another container than the controller expects deploys nothing. Of a node
/// that is away nobody knows; its agent checks again.
pub(super) fn definition(
    fleet: &Fleet,
    asked: &Asked,
    node: NodeAddr,
    role: &RoleName,
) -> Result<(), Refusal> {
    let theirs = fleet
        .nodes
        .get(&node)
        .and_then(|entry| entry.definition(role));
    let ours = fleet
        .settings
        .roles
        .get(role)
        .map(extend_common::roles::RoleDefinition::digest);
    let gap = match (theirs, ours) {
        (_, None) => DefinitionGap::NotHere,
        (Some(None), Some(_)) => DefinitionGap::NotThere,
        (Some(Some(theirs)), Some(ours)) if theirs != ours => DefinitionGap::Content,
        _ => return Ok(()),
    };
    let (asked, role) = (asked.clone(), role.clone());
    Err(Obstacle::DefinitionDiffers {
        asked,
        node,
        role,
        gap,
    }
    .into())
}
