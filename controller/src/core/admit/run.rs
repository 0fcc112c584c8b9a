//! `run`: the one verb that makes a server, and that finds out whether it is there already.

use extend_common::ids::{NodeAddr, RoleName, ServerName};
use extend_common::operation::{PlannedTarget, Selector};
use extend_common::record::{Desired, Parameters, RunState};
use extend_common::status::Health;

use super::super::fleet::Fleet;
use super::super::node::{Node, known};
use super::super::refusal::{Asked, Misuse, Obstacle, Refusal};
use super::super::request::Submission;
use super::super::row::Options;
use super::super::settings::Settings;
use super::plan::{run_in_words, serving_identity, shown_image};
use super::{add, addresses, checkup, obstacles};

/// A server that is to be on a node.
pub(super) struct Site<'a> {
    pub(super) node: NodeAddr,
    pub(super) role: &'a RoleName,
    pub(super) name: &'a ServerName,
}

/// Plans a `run`.
pub(super) fn plan(
    fleet: &Fleet,
    submission: &Submission,
    asked: &Asked,
    selector: &Selector,
) -> Result<Vec<PlannedTarget>, Refusal> {
    let site = site(asked, selector)?;
    if fleet.settings.pbx_address.is_none() {
        return Err(Obstacle::NoPbxAddress {
            asked: asked.clone(),
        }
        .into());
    }
    let entry = enrolled(fleet, asked, site.node)?;
    obstacles::revoked(fleet, asked, site.node)?;
    obstacles::ahead(fleet, asked, site.node)?;
    obstacles::free_or_queued(fleet, submission, asked, &[site.node])?;
    is_free(fleet, asked, &site, entry)?;
    obstacles::definition(fleet, asked, site.node, site.role)?;
    nothing_in_the_way(fleet, asked, &site, entry)?;
    let options = with_told_address(fleet, site.node, options(submission));
    let replaces = would_deploy(&fleet.settings, same(entry), &options).is_some();
    if replaces && !submission.force {
        obstacles::not_the_last(fleet, asked, &[site.node])?;
    }
    let deployed = would_deploy(&fleet.settings, same(entry), &options);
    if let Some((_, parameters)) = &deployed
        && parameters.public_address.is_none()
        && fleet.settings.outside.portal
    {
        return Err(Obstacle::NoPublicAddress {
            asked: asked.clone(),
            node: site.node,
        }
        .into());
    }
    let checks = checkup::judge(submission, asked, site.node)?;
    let planned = PlannedTarget {
        node: site.node,
        name: site.name.clone(),
        role: site.role.clone(),
        already_so: is_already_so(fleet, site.node, entry, &options),
        summary: String::new(),
        image_before: shown_image(entry),
        image_after: image(&fleet.settings, same(entry), &options),
        identity_before: serving_identity(entry),
        wave: 0,
        host_changes: Vec::new(),
        differences: Vec::new(),
        identity_after: String::new(),
        warning: String::new(),
        canary: false,
        checks,
    };
    let mut planned = run_in_words(fleet, entry, &options, planned);
    let origin = address_in_words(fleet, submission, site.node, deployed.is_some());
    if !origin.is_empty() {
        add(&mut planned.warning, &origin);
    }
    Ok(vec![planned])
}

/// Whether a `run` on the node would make a container.
pub(super) fn deploys(fleet: &Fleet, submission: &Submission, node: NodeAddr) -> bool {
    let entry = fleet.nodes.get(&node);
    entry.is_some_and(|entry| {
        would_deploy(&fleet.settings, same(entry), &options(submission)).is_some()
    })
}

/// The options with the public address that the node's cloud tells, where nobody has said one. That
/// alone deploys nothing anew: what serves goes on as it is recorded.
pub(in crate::core) fn with_told_address(
    fleet: &Fleet,
    node: NodeAddr,
    options: Options,
) -> Options {
    let Some(entry) = fleet.nodes.get(&node) else {
        return options;
    };
    let recorded = same(entry).and_then(|server| server.parameters.public_address);
    let deploys = would_deploy(&fleet.settings, same(entry), &options).is_some();
    if !deploys || options.public_address.or(recorded).is_some() {
        return options;
    }
    let told = entry.cloud.as_ref().and_then(|cloud| cloud.public);
    Options {
        public_address: told,
        ..options
    }
}

/// Where the server's public address comes from, when nobody has said it.
fn address_in_words(
    fleet: &Fleet,
    submission: &Submission,
    node: NodeAddr,
    deploys: bool,
) -> String {
    let entry = fleet.nodes.get(&node);
    let told = entry.and_then(|entry| entry.cloud.as_ref()?.public);
    let recorded = entry.and_then(|entry| same(entry)?.parameters.public_address);
    match (submission.public_address.or(recorded), told) {
        (None, Some(told)) if deploys => {
            format!("its public address is {told}, as its cloud tells (-A says another one)")
        }
        (Some(known), Some(told)) if known != told => {
            format!(
                "its cloud tells {told} for its public address, and it is recorded with {known}"
            )
        }
        (None, Some(told)) => {
            format!("its cloud tells {told} for its public address: with -A {told} it is recorded")
        }
        _ => String::new(),
    }
}

fn options(submission: &Submission) -> Options {
    Options {
        image: submission.image.clone(),
        public_address: submission.public_address,
        force: submission.force,
        ..Options::default()
    }
}

fn site<'a>(asked: &Asked, selector: &'a Selector) -> Result<Site<'a>, Refusal> {
    let nodes = addresses(selector);
    let mut missing = Vec::new();
    if selector.role.is_none() {
        missing.push("-s TYPE");
    }
    if selector.name.is_none() {
        missing.push("-n NAME");
    }
    if nodes.is_empty() {
        missing.push("-a PRIVATE_IP");
    }
    match (&selector.role, &selector.name, nodes.as_slice()) {
        (Some(role), Some(name), [node]) => Ok(Site {
            node: *node,
            role,
            name,
        }),
        _ if missing.is_empty() => Err(Misuse::OneNodeOnly {
            asked: asked.clone(),
        }
        .into()),
        _ => Err(Misuse::MissingOptions {
            asked: asked.clone(),
            missing,
        }
        .into()),
    }
}

pub(in crate::core) fn enrolled<'a>(
    fleet: &'a Fleet,
    asked: &Asked,
    node: NodeAddr,
) -> Result<&'a Node, Refusal> {
    if fleet.settings.is_of_the_pbx(node) {
        let asked = asked.clone();
        return Err(Obstacle::PbxNode { asked, node }.into());
    }
    let entry = fleet.nodes.get(&node);
    if let Some(entry) = entry.filter(|entry| entry.row.enrolment.is_some()) {
        return Ok(entry);
    }
    // A node that a new store does not have is ahead; joining again is not what it needs.
    obstacles::ahead(fleet, asked, node)?;
    let token = fleet.tokens.get(&node).map(|token| token.expires);
    Err(Obstacle::NotEnrolled {
        asked: asked.clone(),
        node,
        token,
    }
    .into())
}

/// The node must not carry another server, and no other node's server the name.
pub(super) fn is_free(
    fleet: &Fleet,
    asked: &Asked,
    site: &Site<'_>,
    entry: &Node,
) -> Result<(), Refusal> {
    if let Some(server) = entry.server()
        && (server.role != *site.role || server.name != *site.name)
    {
        let (asked, found) = (asked.clone(), known(server));
        return Err(if server.run_state.is_tombstone() {
            Obstacle::BeingRemoved {
                asked,
                found,
                withdrawn: server.run_state == RunState::Withdrawn,
            }
            .into()
        } else {
            Obstacle::NodeOccupied { asked, found }.into()
        });
    }
    let holder = fleet
        .nodes
        .iter()
        .filter(|(node, _)| **node != site.node)
        .filter_map(|(_, other)| {
            other
                .intended()
                .or(other.open().and_then(|_| other.server()))
        })
        .find(|server| server.name == *site.name);
    match holder {
        Some(found) => Err(Obstacle::NameTaken {
            asked: asked.clone(),
            found: known(found),
        }
        .into()),
        None => Ok(()),
    }
}

/// An official name held by a container without our label is never touched, and a server of
/// another role that PortSIP's script has deployed there is one already: a node carries one.
fn nothing_in_the_way(
    fleet: &Fleet,
    asked: &Asked,
    site: &Site<'_>,
    entry: &Node,
) -> Result<(), Refusal> {
    let Some(definition) = fleet.settings.roles.get(site.role) else {
        return Ok(());
    };
    let name = &definition.main_container().name;
    let is_first = entry.server().is_none();
    match entry.unclaimed().find(|unclaimed| {
        unclaimed.container_name == *name || (is_first && unclaimed.found.is_ok())
    }) {
        Some(unclaimed) if entry.session.is_some() => Err(Obstacle::ContainerInTheWay {
            asked: asked.clone(),
            node: site.node,
            container: unclaimed.container_name.clone(),
            id: unclaimed.container_id.clone(),
            unfit: unclaimed.found.as_ref().err().cloned(),
        }
        .into()),
        _ => Ok(()),
    }
}

/// The server that is there and intended; `run` deploys it anew or lets it run.
fn same(entry: &Node) -> Option<&Desired> {
    entry.intended()
}

/// The image that `run` wants: the named one, the recorded one, the configured one.
fn image(settings: &Settings, same: Option<&Desired>, options: &Options) -> String {
    options
        .image
        .clone()
        .or_else(|| same.map(|desired| desired.image.reference.clone()))
        .unwrap_or_else(|| settings.default_image.clone())
}

/// What `run` would deploy, if that is another deployment than the recorded one. None: the
/// recorded one is meant, and only has to run.
pub(in crate::core) fn would_deploy(
    settings: &Settings,
    same: Option<&Desired>,
    options: &Options,
) -> Option<(String, Parameters)> {
    let image = image(settings, same, options);
    let public = options
        .public_address
        .or(same.and_then(|s| s.parameters.public_address));
    let pbx_address = settings.pbx_address.clone().unwrap_or_default();
    let parameters = Parameters {
        pbx_address,
        public_address: public,
    };
    match same {
        Some(known) if known.image.reference == image && known.parameters == parameters => None,
        _ => Some((image, parameters)),
    }
}

/// Identical to the record, and seen to run.
fn is_already_so(fleet: &Fleet, node: NodeAddr, entry: &Node, options: &Options) -> bool {
    let well = |health| matches!(health, Health::Healthy | Health::Starting);
    entry.open().is_none()
        && would_deploy(&fleet.settings, same(entry), options).is_none()
        && (!fleet.keeps_outside() || fleet.is_so_outside(node))
        && entry.is_settled_at(RunState::Running)
        && entry.observation().is_some_and(|seen| well(seen.health))
}
