//! What would happen, in words: one line for each server, before anything is done.

use std::collections::BTreeMap;

use extend_common::duration;
use extend_common::ids::{NodeAddr, RoleName};
use extend_common::operation::{PlannedTarget, Verb};
use extend_common::record::{Desired, RunState};

use super::super::fleet::Fleet;
use super::super::node::Node;
use super::super::request::{Lead, Submission};
use super::super::rollout;
use super::super::row::Options;
use super::super::words;
use super::add;
use super::run::would_deploy;

/// Plans a verb on servers that are there.
pub(super) fn plan(
    fleet: &Fleet,
    submission: &Submission,
    nodes: &[NodeAddr],
) -> Vec<PlannedTarget> {
    let servers: Vec<_> = nodes
        .iter()
        .filter_map(|node| {
            let entry = fleet.nodes.get(node)?;
            Some((*node, entry, entry.server()?))
        })
        .collect();
    let mut scene = fleet.planned_scene(submission, &servers);
    let waves = rollout::waves(&mut scene);
    let roles = fleet.roles(servers.iter().map(|(.., server)| &server.role));
    let mut planned: Vec<_> = servers
        .iter()
        .map(|(node, entry, server)| {
            let is_newest = is_newest(submission, entry, server);
            let drained = fleet.is_drained_outside(*node)
                || submission.verb == Verb::Undrain && fleet.is_disabled(*node);
            let already_so = is_newest || is_already_so(submission.verb, entry) && !drained;
            let wave = waves.get(node);
            let mut planned = PlannedTarget {
                node: *node,
                name: server.name.clone(),
                role: server.role.clone(),
                already_so,
                summary: in_words(fleet, submission, entry, server, already_so),
                image_before: shown_image(entry),
                image_after: match is_newest {
                    true => shown_image(entry),
                    false => image_after(submission, entry, server),
                },
                identity_before: serving_identity(entry),
                identity_after: identity_after(submission, entry, server),
                warning: String::new(),
                wave: wave.map_or(0, |wave| wave.number),
                canary: wave.is_some_and(|wave| wave.canary),
                host_changes: Vec::new(),
                differences: Vec::new(),
                checks: Vec::new(),
            };
            if !already_so {
                planned.host_changes = host_changes(fleet, submission.verb, &server.role);
                planned.warning = away_in_words(&roles, submission.verb, entry, server);
                if entry.is_drained() && submission.verb == Verb::Upgrade {
                    let words =
                        "its drain ends: it takes sessions from the fetching of its image on";
                    add(&mut planned.warning, words);
                }
                if let Some(Lead::Unknown(why)) = lead(submission, server) {
                    let words = format!("where {} leads is not known: {why}", planned.image_after);
                    add(&mut planned.warning, &words);
                }
            }
            planned
        })
        .collect();
    let turns: BTreeMap<_, _> = scene
        .items
        .iter()
        .enumerate()
        .map(|(turn, item)| (item.node, turn))
        .collect();
    planned.sort_by_key(|planned| turns.get(&planned.node).copied());
    planned
}

/// That nothing takes over while the server is out of service, and comes back by itself after it.
fn away_in_words(
    roles: &BTreeMap<&RoleName, rollout::Role>,
    verb: Verb,
    entry: &Node,
    server: &Desired,
) -> String {
    let ends = matches!(verb, Verb::Restart | Verb::Upgrade | Verb::Run);
    if !ends || server.run_state != RunState::Running {
        return String::new();
    }
    match roles.get(&server.role) {
        Some(role) if role.is_away_without(entry.is_well()) => {
            format!("no other {} takes over meanwhile", role.title)
        }
        _ => String::new(),
    }
}

/// The build that serves, as its node told last.
pub(super) fn serving_identity(entry: &Node) -> String {
    let image = entry.status.as_ref().and_then(|s| s.serving_image.as_ref());
    image
        .map(|image| image.identity.clone())
        .unwrap_or_default()
}

/// The build after, as far as anybody can tell before it was asked for.
fn identity_after(submission: &Submission, entry: &Node, server: &Desired) -> String {
    match submission.verb {
        Verb::Rm => String::new(),
        Verb::Upgrade if submission.to_previous => {
            let previous = entry.previous_image();
            previous
                .map(|image| image.identity.clone())
                .unwrap_or_default()
        }
        Verb::Upgrade => match lead(submission, server) {
            Some(Lead::To(identity)) => identity.clone(),
            Some(Lead::Unknown(_)) | None => String::new(),
        },
        Verb::Run
        | Verb::Start
        | Verb::Stop
        | Verb::Restart
        | Verb::Adopt
        | Verb::Drain
        | Verb::Undrain => serving_identity(entry),
    }
}

/// Where the image of a server's upgrade leads, if anybody was asked.
fn lead<'a>(submission: &'a Submission, server: &Desired) -> Option<&'a Lead> {
    let reference = submission.image.as_ref();
    let asks = submission.verb == Verb::Upgrade && !submission.to_previous;
    let reference = reference.unwrap_or(&server.image.reference);
    submission.leads.get(reference).filter(|_| asks)
}

/// Whether an upgrade would find that what serves is what the registry has: its agent then restarts
/// nothing.
fn is_newest(submission: &Submission, entry: &Node, server: &Desired) -> bool {
    let Some(Lead::To(identity)) = lead(submission, server) else {
        return false;
    };
    let asked = submission.image.as_ref();
    entry.open().is_none()
        && *identity == serving_identity(entry)
        && asked.is_none_or(|asked| *asked == server.image.reference)
        && server.run_state == RunState::Running
        && entry.is_settled_at(RunState::Running)
        && !is_theirs(entry, server)
}

/// Whether the server was *observed* to be as the verb wants it.
fn is_already_so(verb: Verb, entry: &Node) -> bool {
    // What holds it may leave it otherwise.
    if entry.open().is_some() {
        return false;
    }
    match verb {
        Verb::Start => entry.is_settled_at(RunState::Running),
        Verb::Stop => entry.is_settled_at(RunState::Stopped),
        Verb::Undrain => {
            let present = entry.intended().map(|present| present.run_state);
            present.is_some_and(|present| entry.is_settled_at(present)) && !entry.is_drained()
        }
        Verb::Run | Verb::Restart | Verb::Upgrade | Verb::Rm | Verb::Adopt | Verb::Drain => false,
    }
}

fn image_after(submission: &Submission, entry: &Node, server: &Desired) -> String {
    match submission.verb {
        Verb::Rm => String::new(),
        Verb::Upgrade if submission.to_previous => {
            let previous = entry.previous_image();
            previous.map(words::image).unwrap_or_default()
        }
        Verb::Upgrade => submission
            .image
            .clone()
            .unwrap_or_else(|| server.image.reference.clone()),
        Verb::Run
        | Verb::Start
        | Verb::Stop
        | Verb::Restart
        | Verb::Adopt
        | Verb::Drain
        | Verb::Undrain => shown_image(entry),
    }
}

/// What becomes of the host: a deployment makes it ready for the role, and the removal undoes that.
fn host_changes(fleet: &Fleet, verb: Verb, role: &RoleName) -> Vec<String> {
    let Some(definition) = fleet.settings.roles.get(role) else {
        return Vec::new();
    };
    match verb {
        Verb::Run | Verb::Upgrade => definition.host_changes(),
        Verb::Rm => definition.host_reversals(),
        Verb::Start | Verb::Stop | Verb::Restart | Verb::Adopt | Verb::Drain | Verb::Undrain => {
            Vec::new()
        }
    }
}

/// The image a server runs, for people: the reference, and the version if it is known.
pub(super) fn shown_image(entry: &Node) -> String {
    let seen = entry
        .status
        .as_ref()
        .and_then(|status| status.serving_image.as_ref());
    match (seen, entry.intended()) {
        (Some(image), _) if !image.version.is_empty() => {
            format!("{} ({})", image.reference, image.version)
        }
        (Some(image), _) => image.reference.clone(),
        (None, Some(desired)) => desired.image.reference.clone(),
        (None, None) => String::new(),
    }
}

fn in_words(
    fleet: &Fleet,
    submission: &Submission,
    entry: &Node,
    server: &Desired,
    already_so: bool,
) -> String {
    if already_so {
        let state = match submission.verb {
            Verb::Stop => "already stopped",
            Verb::Undrain => "it takes sessions already",
            Verb::Upgrade => "the build that its reference leads to serves already",
            _ => "already running",
        };
        return state.to_owned();
    }
    let live = entry
        .observation()
        .and_then(|seen| seen.current.as_ref())
        .map(|container| container.state.is_live());
    let stopped = live == Some(false) || live.is_none() && server.run_state == RunState::Stopped;
    let grace = grace(fleet, &server.role);
    let words = match submission.verb {
        // `adopt` has words of its own.
        Verb::Start | Verb::Run | Verb::Adopt => "start it".to_owned(),
        Verb::Stop if stopped => "keep it stopped".to_owned(),
        Verb::Stop => format!("stop it, with up to {grace} to end"),
        Verb::Restart if stopped => "start it, since it does not run".to_owned(),
        Verb::Restart => format!("stop it, with up to {grace} to end, and start it again"),
        Verb::Upgrade => upgrade_in_words(submission, entry, server, &grace),
        Verb::Rm if fleet.settings.outside.portal => {
            "stop it and remove its containers, take it out of the portal and let its addresses in \
             no longer; its data stays"
                .to_owned()
        }
        Verb::Rm => "stop it and remove its containers; its data stays".to_owned(),
        Verb::Drain => "wait until it has no sessions; it goes on running".to_owned(),
        Verb::Undrain => "let it take sessions again".to_owned(),
    };
    when(entry, server.node, words)
}

/// Where a tag leads only the registry knows: a plan asks it through a node, if one can be asked.
fn upgrade_in_words(
    submission: &Submission,
    entry: &Node,
    server: &Desired,
    grace: &str,
) -> String {
    if submission.to_previous {
        let previous = entry.previous_image().map(words::image).unwrap_or_default();
        return format!(
            "go back to {previous}, which is on the node: replace the container, with up to {grace} \
             to end"
        );
    }
    let image = submission.image.as_ref().unwrap_or(&server.image.reference);
    if server.run_state == RunState::Stopped {
        return format!("fetch {image} and make its container anew; it stays stopped");
    }
    let seen = entry.observation().and_then(|seen| {
        let image = seen.serving_image.as_ref()?;
        Some(image.version.as_str()).filter(|version| !version.is_empty())
    });
    if is_theirs(entry, server) {
        return format!(
            "fetch {image}, then replace the container that was taken over by one of Extend's \
             own, with up to {grace} to end"
        );
    }
    let is_known = matches!(lead(submission, server), Some(Lead::To(_)));
    if is_known || *image != server.image.reference {
        return format!("fetch {image}, then replace the container, with up to {grace} to end");
    }
    let serving = seen.unwrap_or("the image that serves");
    format!(
        "ask the registry for {image}: when {serving} is still the newest nothing is restarted; \
         otherwise replace the container, with up to {grace} to end"
    )
}

/// Whether what serves is still the container that was taken over.
fn is_theirs(entry: &Node, server: &Desired) -> bool {
    let seen = entry.observation().and_then(|seen| seen.current.as_ref());
    let id = seen.map(|container| &container.instance.container_id);
    server.adopted.is_some() && (id.is_none() || id == server.adopted.as_ref())
}

/// Finishes the plan of a `run`.
pub(super) fn run_in_words(
    fleet: &Fleet,
    entry: &Node,
    options: &Options,
    mut planned: PlannedTarget,
) -> PlannedTarget {
    let deploys = would_deploy(&fleet.settings, entry.intended(), options);
    let container = fleet
        .settings
        .roles
        .get(&planned.role)
        .map_or("its container", |definition| {
            definition.main_container().name.as_str()
        });
    if deploys.is_none() {
        planned.image_after.clone_from(&planned.image_before);
        planned.identity_after.clone_from(&planned.identity_before);
    } else if !planned.already_so {
        planned.host_changes = host_changes(fleet, Verb::Run, &planned.role);
        if let Some(server) = entry.intended() {
            let roles = fleet.roles(std::iter::once(&server.role));
            planned.warning = away_in_words(&roles, Verb::Run, entry, server);
        }
    }
    planned.summary = match (entry.intended(), deploys) {
        _ if planned.already_so => "already running".to_owned(),
        (None, Some((image, _))) => format!("fetch {image}, make {container} and start it"),
        (Some(server), Some((image, _))) => {
            let grace = grace(fleet, &server.role);
            format!("fetch {image}, then replace {container}, with up to {grace} to end")
        }
        (Some(_), None) if entry.is_settled_at(RunState::Running) => {
            "it runs as it is recorded".to_owned()
        }
        (_, None) => "start it: it is recorded like this, and was not seen to run".to_owned(),
    };
    if !planned.already_so {
        let words = outside_in_words(fleet, planned.node, &planned.role);
        planned.summary = format!("{words}{}", planned.summary);
    }
    planned.summary = when(entry, planned.node, std::mem::take(&mut planned.summary));
    planned
}

/// What is done outside the node before a `run`.
fn outside_in_words(fleet: &Fleet, node: NodeAddr, role: &RoleName) -> String {
    let outside = &fleet.settings.outside;
    let definition = fleet.settings.roles.get(role);
    let menu = definition.filter(|d| outside.portal && d.resource.is_some());
    match (menu, fleet.is_so_outside(node)) {
        (_, true) => String::new(),
        (Some(menu), _) => format!(
            "register it in the portal ({}) and let its addresses in; then: ",
            menu.portal
        ),
        (None, _) if fleet.keeps_outside() => "let its addresses in; then: ".to_owned(),
        (None, _) => String::new(),
    }
}

fn grace(fleet: &Fleet, role: &RoleName) -> String {
    let definition = fleet.settings.roles.get(role);
    definition.map_or("its grace".to_owned(), |d| {
        duration::show(d.timing.stop_grace)
    })
}

/// Says when it will happen if not now.
fn when(entry: &Node, node: NodeAddr, words: String) -> String {
    if entry.is_commandable() {
        return words;
    }
    format!("{words}; waits: {}", entry.away(node))
}
