//! What stands in the way at the servers that are meant. One obstacle refuses the whole
//! submission: half a command is nothing an operator would have asked for.

use std::collections::{HashMap, HashSet};

use extend_common::ids::{NodeAddr, RoleName};
use extend_common::operation::Verb;
use extend_common::record::{Desired, RunState};

use super::super::fleet::Fleet;
use super::super::node::{Node, known};
use super::super::refusal::{Action, Asked, DefinitionGap, Held, Known, Obstacle, Refusal};
use super::super::request::Submission;
use super::super::rollout::is_rolling;

/// Checks every node. Nodes that are merely away are no obstacle: their targets wait.
pub(super) fn check(
    fleet: &Fleet,
    submission: &Submission,
    asked: &Asked,
    nodes: &[NodeAddr],
) -> Result<(), Refusal> {
    for node in nodes {
        revoked(fleet, asked, *node)?;
        ahead(fleet, asked, *node)?;
    }
    free_or_queued(fleet, submission, asked, nodes)?;
    for node in nodes {
        let server = fleet.nodes.get(node).and_then(|entry| entry.server());
        let Some(role) = server.map(|server| server.role.clone()) else {
            continue;
        };
        if submission.verb == Verb::Upgrade {
            definition(fleet, asked, *node, &role)?;
            if submission.to_previous {
                has_previous_image(fleet, asked, *node)?;
            }
        } else {
            known_there(fleet, asked, *node, &role)?;
        }
    }
    if is_rolling(submission.verb) && !submission.force {
        not_the_last(fleet, asked, nodes)?;
    }
    Ok(())
}

/// So many operations may wait for one server.
const MOST_WAITING: usize = 8;

/// A server has at most one operation that works on it; others are refused, or wait.
pub(super) fn free_or_queued(
    fleet: &Fleet,
    submission: &Submission,
    asked: &Asked,
    nodes: &[NodeAddr],
) -> Result<(), Refusal> {
    if !submission.queue {
        return busy(fleet, &asked.action(), nodes);
    }
    for node in nodes {
        let entry = fleet.nodes.get(node);
        let waiting = entry.map_or(0, |entry| entry.wanted_by.len());
        if waiting > MOST_WAITING
            && let Some(held) = held(fleet, *node)
        {
            return Err(Obstacle::QueueFull {
                action: asked.action(),
                found: held.server,
                most: MOST_WAITING,
            }
            .into());
        }
    }
    Ok(())
}

/// What a target on the node would have to wait for.
pub(super) fn waits_for(fleet: &Fleet, node: NodeAddr) -> Option<String> {
    let Held {
        operation,
        verb,
        by,
        ..
    } = held(fleet, node)?;
    Some(format!(
        "waits for the end of {verb} {} of {by}",
        operation.short()
    ))
}

fn has_previous_image(fleet: &Fleet, asked: &Asked, node: NodeAddr) -> Result<(), Refusal> {
    let Some(entry) = fleet.nodes.get(&node) else {
        return Ok(());
    };
    match (entry.previous_image(), entry.known()) {
        (None, Some(found)) => Err(Obstacle::NoPreviousImage {
            asked: asked.clone(),
            found,
            unheard: entry.status.is_none(),
        }
        .into()),
        _ => Ok(()),
    }
}

/// The last healthy server of a role that has others is not taken unasked. When one of the others
/// is a target too, it has its turn first, and may be healthy by then.
pub(super) fn not_the_last(
    fleet: &Fleet,
    asked: &Asked,
    nodes: &[NodeAddr],
) -> Result<(), Refusal> {
    let meant: HashSet<_> = nodes.iter().copied().collect();
    // Of each role: how many should run, and how many of these may be well when their turn comes.
    let mut roles: HashMap<&RoleName, (usize, usize)> = HashMap::new();
    for (at, node, desired) in should_run(fleet) {
        let (all, hopeful) = roles.entry(&desired.role).or_default();
        *all += 1;
        *hopeful += usize::from(node.is_well() || meant.contains(at));
    }
    for node in nodes {
        let entry = fleet.nodes.get(node);
        let Some((entry, server)) = entry.and_then(|entry| Some((entry, entry.intended()?))) else {
            continue;
        };
        let (all, hopeful) = roles.get(&server.role).copied().unwrap_or_default();
        // It is one of both itself.
        if entry.is_well() && all > 1 && hopeful <= 1 {
            return Err(last_healthy(fleet, asked, *node, server));
        }
    }
    Ok(())
}

fn should_run(fleet: &Fleet) -> impl Iterator<Item = (&NodeAddr, &Node, &Desired)> {
    fleet.nodes.iter().filter_map(|(at, node)| {
        let desired = node.intended()?;
        (desired.run_state == RunState::Running).then_some((at, node, desired))
    })
}

fn last_healthy(fleet: &Fleet, asked: &Asked, node: NodeAddr, server: &Desired) -> Refusal {
    let title = fleet.settings.roles.get(&server.role);
    let title = title.map_or_else(|| server.role.to_string(), |d| d.title.clone());
    let others = should_run(fleet)
        .filter(|(at, _, desired)| **at != node && desired.role == server.role)
        .map(|(at, other, desired)| {
            let name = &desired.name;
            match other.observation() {
                Some(seen) => format!("{name} at {at} is {}", seen.health),
                None => format!("{name}: {}", other.away(*at)),
            }
        });
    Obstacle::LastHealthy {
        asked: asked.clone(),
        found: known(server),
        title,
        others: others.collect(),
    }
    .into()
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
    let operation = fleet.nodes.get(&node)?.open()?;
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
        message: entry.row.message.clone(),
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
