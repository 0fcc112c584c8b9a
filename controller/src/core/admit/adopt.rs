//! `adopt`: the verb that takes over what somebody else made. What is there, the agent has told;
//! whether it still is when the record comes is the agent's to see.

use std::collections::BTreeMap;

use extend_common::ids::{NodeAddr, ServerName};
use extend_common::operation::{PlannedTarget, Selector};
use extend_common::record::RunState;
use extend_common::status::{Difference, Found, Unclaimed};

use super::super::fleet::Fleet;
use super::super::node::{Node, known};
use super::super::refusal::{Asked, Known, Misuse, Obstacle, Refusal};
use super::super::settings::Settings;
use super::super::words;
use super::plan::shown_image;
use super::run::{Site, enrolled, is_free};
use super::{addresses, is_reference, obstacles};

/// Plans an `adopt` of the named nodes, or of all that have something to be taken over.
pub(super) fn plan(
    fleet: &Fleet,
    asked: &Asked,
    selector: &Selector,
) -> Result<Vec<PlannedTarget>, Refusal> {
    let narrows = [
        ("-s", selector.role.is_some()),
        ("-n", selector.name.is_some()),
    ];
    if let Some((option, _)) = narrows.into_iter().find(|(_, given)| *given) {
        let asked = asked.clone();
        return Err(Misuse::OptionDoesNotApply { asked, option }.into());
    }
    let nodes = match addresses(selector) {
        named if !named.is_empty() => named,
        _ => all(fleet, asked)?,
    };
    for node in &nodes {
        enrolled(fleet, asked, *node)?;
        obstacles::revoked(fleet, asked, *node)?;
        obstacles::ahead(fleet, asked, *node)?;
    }
    obstacles::busy(fleet, &asked.action(), &nodes)?;
    let mut taken: BTreeMap<ServerName, Known> = BTreeMap::new();
    let mut targets = Vec::new();
    for node in nodes {
        let planned = planned(fleet, asked, node)?;
        let known = Known {
            name: planned.name.clone(),
            role: planned.role.clone(),
            node,
        };
        if let Some(found) = taken.insert(planned.name.clone(), known) {
            let asked = named(asked, node, &planned.name);
            return Err(Obstacle::NameTaken { asked, found }.into());
        }
        targets.push(planned);
    }
    Ok(targets)
}

/// The nodes with something to take over; without any, the ones whose servers are ours already,
/// so that the same command again finds everything so.
fn all(fleet: &Fleet, asked: &Asked) -> Result<Vec<NodeAddr>, Refusal> {
    let of = |test: fn(&Node) -> bool| -> Vec<NodeAddr> {
        // What runs on the PBX's own nodes is the PBX's.
        let own = |node: &NodeAddr| fleet.settings.is_of_the_pbx(*node);
        let nodes = fleet.nodes.iter();
        let nodes = nodes.filter(|(node, entry)| !own(node) && test(entry));
        nodes.map(|(node, _)| *node).collect()
    };
    let unclaimed = of(is_meant);
    if !unclaimed.is_empty() {
        return Ok(unclaimed);
    }
    let adopted = of(|entry| entry.is_seen() && entry.intended().is_some());
    if !adopted.is_empty() {
        return Ok(adopted);
    }
    let away = fleet.nodes.values().filter(|entry| !entry.is_seen());
    Err(Obstacle::NothingToAdopt {
        asked: asked.clone(),
        node: None,
        away: away.count(),
    }
    .into())
}

/// Whether there is something to take over, or something that looks like it: that has to be told,
/// and not passed over. Beside a server of ours only what could really be taken over counts.
fn is_meant(entry: &Node) -> bool {
    let has_strangers = entry.unclaimed().next().is_some();
    entry.is_seen() && (candidate(entry).is_some() || has_strangers && entry.intended().is_none())
}

fn planned(fleet: &Fleet, asked: &Asked, node: NodeAddr) -> Result<PlannedTarget, Refusal> {
    let entry = enrolled(fleet, asked, node)?;
    if !entry.is_seen() {
        return Err(Obstacle::NodeUnseen {
            asked: asked.with_node(node),
            node,
            why: unseen(entry, node),
        }
        .into());
    }
    let Some((unclaimed, found)) = candidate(entry) else {
        return nothing(asked, node, entry);
    };
    let site = Site {
        node,
        role: &unclaimed.role,
        name: &found.name,
    };
    is_free(fleet, &named(asked, node, &found.name), &site, entry)?;
    obstacles::definition(fleet, asked, node, &unclaimed.role)?;
    if !is_reference(&found.image.reference) {
        let why = "its image has no usable name".to_owned();
        return Err(unfit(asked, node, unclaimed, why));
    }
    let differences = differences(&fleet.settings, found);
    let image = words::image(&found.image);
    Ok(PlannedTarget {
        node,
        name: found.name.clone(),
        role: unclaimed.role.clone(),
        already_so: false,
        summary: in_words(unclaimed, found, &differences),
        image_before: image.clone(),
        image_after: image,
        wave: 0,
        differences,
        host_changes: Vec::new(),
        identity_before: String::new(),
        identity_after: String::new(),
        warning: String::new(),
        canary: false,
        checks: Vec::new(),
    })
}

/// The one container on a node that can be taken over; none when there is none, or more.
pub(in crate::core) fn candidate(entry: &Node) -> Option<(&Unclaimed, &Found)> {
    let mut fit = entry
        .unclaimed()
        .filter_map(|unclaimed| Some((unclaimed, unclaimed.found.as_ref().ok()?.as_ref())));
    fit.next().filter(|_| fit.next().is_none())
}

/// Nothing can be taken over there: it is ours, or nothing is there, or what is there will not do.
fn nothing(asked: &Asked, node: NodeAddr, entry: &Node) -> Result<PlannedTarget, Refusal> {
    let own = entry.intended().filter(|server| {
        let strangers = |unclaimed: &Unclaimed| unclaimed.role == server.role;
        !entry.unclaimed().any(strangers)
    });
    let Some(server) = own else {
        return Err(nothing_fit(asked, node, entry));
    };
    let summary = match server.adopted {
        Some(_) => "already taken over",
        None => "already Extend's own",
    };
    let image = shown_image(entry);
    Ok(PlannedTarget {
        node,
        name: server.name.clone(),
        role: server.role.clone(),
        already_so: true,
        summary: summary.to_owned(),
        image_before: image.clone(),
        image_after: image,
        wave: 0,
        differences: Vec::new(),
        host_changes: Vec::new(),
        identity_before: String::new(),
        identity_after: String::new(),
        warning: String::new(),
        canary: false,
        checks: Vec::new(),
    })
}

fn nothing_fit(asked: &Asked, node: NodeAddr, entry: &Node) -> Refusal {
    if let Some(unclaimed) = entry.unclaimed().next() {
        let why = match &unclaimed.found {
            Err(why) => why.clone(),
            Ok(_) => "the node has several, and carries one role".to_owned(),
        };
        return unfit(asked, node, unclaimed, why);
    }
    let asked = asked.with_node(node);
    match entry.server() {
        Some(server) => Obstacle::BeingRemoved {
            asked,
            found: known(server),
            withdrawn: server.run_state == RunState::Withdrawn,
        }
        .into(),
        None => Obstacle::NothingToAdopt {
            asked,
            node: Some(node),
            away: 0,
        }
        .into(),
    }
}

fn unfit(asked: &Asked, node: NodeAddr, unclaimed: &Unclaimed, why: String) -> Refusal {
    Obstacle::CannotAdopt {
        asked: asked.with_node(node),
        node,
        container: unclaimed.container_name.clone(),
        id: unclaimed.container_id.clone(),
        why,
    }
    .into()
}

fn named(asked: &Asked, node: NodeAddr, name: &ServerName) -> Asked {
    asked.with_node(node).with_name(name)
}

fn unseen(entry: &Node, node: NodeAddr) -> String {
    if !entry.is_commandable() {
        return entry.away(node);
    }
    if entry.docker_trouble.is_empty() {
        return "its agent has not looked at its containers yet: try again in a moment".to_owned();
    }
    entry.docker_trouble.clone()
}

/// What the agent has told, and what only the controller knows. The container's own PBX address
/// stays until an operator says otherwise: what the binaries are told is nothing to change on the
/// way.
fn differences(settings: &Settings, found: &Found) -> Vec<Difference> {
    let mut all = found.differences.clone();
    let own = &found.parameters.pbx_address;
    if let Some(configured) = settings.pbx_address.as_ref().filter(|other| *other != own) {
        all.insert(
            0,
            Difference {
                text: format!(
                    "PBX address {own}, controller.toml says {configured}: an upgrade keeps \
                     {own}, extend run changes it"
                ),
                usual: false,
            },
        );
    }
    all
}

fn in_words(unclaimed: &Unclaimed, found: &Found, differences: &[Difference]) -> String {
    let short: String = unclaimed.container_id.chars().take(12).collect();
    let taken = format!(
        "take over {} as it is: container {short} of {}, {}",
        unclaimed.container_name,
        words::image(&found.image),
        found.state
    );
    let odd = differences.iter().filter(|one| !one.usual).count();
    match (differences.len(), odd) {
        (0, _) => taken,
        (all, 0) => format!("{taken}; {all} differences, all as the official script makes them"),
        (all, odd) => {
            format!("{taken}; {all} differences, {odd} of them not the official script's")
        }
    }
}
