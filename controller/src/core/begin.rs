//! A target's turn has come: what its record says, and whether it can be committed already.

use jiff::Timestamp;

use extend_common::ability;
use extend_common::ids::{NodeAddr, OperationId, RoleName};
use extend_common::operation::{TargetState, Verb};
use extend_common::record::{Deployment, Desired, Drain, ImageRequest, Instance, RunState};
use extend_common::status::Phase;

use super::admit::{candidate, would_deploy};
use super::advance::{End, enter};
use super::fleet::Fleet;
use super::node::Node;
use super::operation::OperationEntry;
use super::row::TargetRow;
use super::settings::Settings;

/// Why an agent is not asked for an image that might be newer than the PBX.
pub(super) const CANNOT_COMPARE: &str = "its agent does not know how to hold an image against the version of the PBX (hint: upgrade the \
     agent, or --force for those who know)";

impl Fleet {
    /// Begins a target: commits its record.
    pub(super) fn begin(&mut self, id: OperationId, node: NodeAddr, canary: bool, now: Timestamp) {
        let Some(entry) = self.operations.get(&id) else {
            return;
        };
        let Some(site) = self.nodes.get(&node) else {
            let end = End::new(TargetState::Failed, format!("node {node} is gone"));
            return self.end_at_once(id, node, end, now);
        };
        let counts = entry
            .target(node)
            .is_some_and(|row| agent_counts(&self.settings, &row.target.role));
        if counts && entry.row.options.drain.is_some() && site.lacks(ability::DRAIN) {
            let end = End::new(
                TargetState::Failed,
                "its agent does not know how to wait for sessions",
            );
            return self.end_at_once(id, node, end, now);
        }
        let drains_outside = entry.row.verb == Verb::Drain && !counts;
        // What is not known yet is waited for at the gate.
        let newest = self.newest_image(&entry.row.options).ok().flatten();
        let newest = newest.filter(|_| entry.row.verb == Verb::Run);
        if newest.is_some() && site.lacks(ability::NEWEST) {
            let end = End::new(TargetState::Failed, CANNOT_COMPARE);
            return self.end_at_once(id, node, end, now);
        }
        if self.meets_gate(id, node, canary, now) {
            return;
        }
        let (Some(entry), Some(site)) = (self.operations.get(&id), self.nodes.get(&node)) else {
            return;
        };
        if drains_outside {
            let drained = entry.target(node).is_some_and(|row| row.drained);
            let end = match drained {
                true => End::new(TargetState::Succeeded, "disabled in the portal"),
                false => End::new(TargetState::Failed, "it does not run: nothing was disabled"),
            };
            return self.end_at_once(id, node, end, now);
        }
        let prior = site
            .intended()
            .map(|present| pinned(settled(present), site));
        let wanted = desired(entry, node, site, &self.settings);
        let wanted = wanted.map(|desired| Desired {
            image: ImageRequest {
                newest: newest.or(desired.image.newest),
                ..desired.image
            },
            ..desired
        });
        let Some(desired) = wanted else {
            let words = match entry.row.verb {
                Verb::Adopt => "its container is not there any more",
                _ => "its server is gone",
            };
            return self.end_at_once(id, node, End::new(TargetState::Failed, words), now);
        };
        let found = site.observation().and_then(|seen| seen.current.as_ref());
        let found = found.map(|container| container.instance.clone());
        let there = site.is_commandable();
        let reason = if there {
            String::new()
        } else {
            site.away(node)
        };
        let state = if there {
            TargetState::Running
        } else {
            TargetState::Waiting
        };
        if !there && entry.row.options.strategy.serial {
            // The roles after it do not wait for its node.
            self.backlog.insert(id);
        }
        self.keep_limits(node);
        let Some(record) = self.commit_record(node, desired, now) else {
            return;
        };
        self.change_target(id, node, |row| {
            row.prior = prior;
            row.found = found;
            row.canary |= canary;
            row.moved = Some(now);
            let target = &mut row.target;
            target.state = state;
            target.reason = reason;
            target.stamp = Some(record.stamp);
            target.begun.get_or_insert(now);
            target.detail.clear();
            enter(&mut target.phases, Phase::Pending, now);
        });
    }

    /// Ends a target that could not even begin; its operation goes on in the next turn.
    pub(super) fn end_at_once(
        &mut self,
        id: OperationId,
        node: NodeAddr,
        end: End,
        now: Timestamp,
    ) {
        self.end_only(id, node, end, now);
        self.backlog.insert(id);
    }

    /// The node can be seen again: what waited for that may have its turn.
    pub(super) fn begin_waiting(&mut self, node: NodeAddr, now: Timestamp) {
        let Some(id) = self.nodes.get(&node).and_then(Node::open) else {
            return;
        };
        let target = self
            .operations
            .get(&id)
            .and_then(|entry| entry.target(node));
        let waits = |row: &TargetRow| row.is_queued() && row.target.state == TargetState::Waiting;
        if target.is_some_and(waits) {
            self.advance_soon(id, now);
        }
    }
}

pub(super) fn waits_for(node: NodeAddr, site: &Node) -> String {
    if site.observation().is_some() {
        return format!("waits until node {node} has done what it was told before");
    }
    if site.is_commandable() {
        return format!("waits until node {node} has looked at its containers");
    }
    site.away(node)
}

/// A desired state as something to go back to: a restart that it once named is over, what was
/// fetched ahead is there, and the server takes sessions.
pub(super) fn settled(desired: &Desired) -> Desired {
    let image = ImageRequest {
        // What has served is not held against a PBX that may have been set back since.
        newest: None,
        ..desired.image.clone()
    };
    Desired {
        replace: None,
        staged: None,
        drain: Drain::Off,
        image,
        ..desired.clone()
    }
}

/// Whether the agents count the sessions of servers of a role.
pub(super) fn agent_counts(settings: &Settings, role: &RoleName) -> bool {
    let definition = settings.roles.get(role);
    definition.is_some_and(|definition| definition.sessions.is_some())
}

/// How long the agent of a target waits for sessions; 0 where it does not count them.
fn limit_seconds(entry: &OperationEntry, role: &RoleName, settings: &Settings) -> u32 {
    match agent_counts(settings, role) {
        true => entry.row.options.limit_seconds(),
        false => 0,
    }
}

/// What to go back to is the very build that serves, wherever its tag may lead by then.
fn pinned(mut prior: Desired, site: &Node) -> Desired {
    let seen = site
        .observation()
        .filter(|seen| seen.serving == Some(prior.deployment));
    if let Some(image) = seen.and_then(|seen| seen.serving_image.as_ref()) {
        prior.image.pin = Some(image.identity.clone());
    }
    prior
}

/// What the server is to be.
fn desired(
    entry: &OperationEntry,
    node: NodeAddr,
    site: &Node,
    settings: &Settings,
) -> Option<Desired> {
    let verb = entry.row.verb;
    let operation = Some(entry.row.id);
    let run_state = match verb {
        Verb::Run => return deployed(entry, node, site, settings),
        Verb::Adopt => return adopted(entry, node, site, settings),
        Verb::Start | Verb::Restart => RunState::Running,
        Verb::Stop => RunState::Stopped,
        Verb::Rm => RunState::Removed,
        Verb::Drain | Verb::Undrain => site.intended()?.run_state,
        Verb::Upgrade => return upgraded(entry, node, site, settings),
    };
    let present = site.server()?;
    let limit_seconds = limit_seconds(entry, &present.role, settings);
    let drain = match verb {
        Verb::Drain => Drain::Hold { limit_seconds },
        Verb::Stop | Verb::Restart | Verb::Rm => first(limit_seconds),
        _ => Drain::Off,
    };
    let replace = if verb == Verb::Restart {
        running_instance(site)
    } else {
        None
    };
    Some(Desired {
        run_state,
        replace,
        operation,
        drain,
        ..settled(present)
    })
}

/// Sessions are waited for, if so long as that is said.
fn first(limit_seconds: u32) -> Drain {
    match limit_seconds {
        0 => Drain::Off,
        limit_seconds => Drain::First { limit_seconds },
    }
}

/// A deployment of the image that was fetched ahead.
fn upgraded(
    entry: &OperationEntry,
    node: NodeAddr,
    site: &Node,
    settings: &Settings,
) -> Option<Desired> {
    let present = site.intended()?;
    let options = &entry.row.options;
    let staged = entry.target(node)?.staged.as_ref()?;
    Some(Desired {
        definition: settings.roles.get(&present.role)?.digest(),
        deployment: Deployment(site.row.next_generation()),
        image: ImageRequest {
            reference: staged.image.reference.clone(),
            pull: settings.pull,
            allow_older: options.force || options.to_previous,
            pin: Some(staged.image.identity.clone()),
            newest: None,
        },
        operation: Some(entry.row.id),
        // The new deployment makes its own container, the regular way.
        adopted: None,
        drain: first(limit_seconds(entry, &present.role, settings)),
        ..settled(present)
    })
}

/// The container that the node has told of, as it was started: its image, its parameters, and
/// whether it runs.
fn adopted(
    entry: &OperationEntry,
    node: NodeAddr,
    site: &Node,
    settings: &Settings,
) -> Option<Desired> {
    let target = &entry.target(node)?.target;
    let (unclaimed, found) = candidate(site)?;
    if found.name != target.name || unclaimed.role != target.role {
        return None;
    }
    let run_state = if found.state.is_live() {
        RunState::Running
    } else {
        RunState::Stopped
    };
    Some(Desired {
        node,
        name: target.name.clone(),
        role: target.role.clone(),
        definition: settings.roles.get(&target.role)?.digest(),
        run_state,
        deployment: Deployment(site.row.next_generation()),
        image: ImageRequest {
            reference: found.image.reference.clone(),
            pull: settings.pull,
            allow_older: false,
            pin: None,
            newest: None,
        },
        parameters: found.parameters.clone(),
        replace: None,
        secrets: Vec::new(),
        operation: Some(entry.row.id),
        adopted: Some(unclaimed.container_id.clone()),
        staged: None,
        drain: Drain::Off,
    })
}

fn deployed(
    entry: &OperationEntry,
    node: NodeAddr,
    site: &Node,
    settings: &Settings,
) -> Option<Desired> {
    let target = &entry.target(node)?.target;
    let operation = Some(entry.row.id);
    let options = &entry.row.options;
    let Some((reference, parameters)) = would_deploy(settings, site.intended(), options) else {
        // The recorded deployment is meant: it only has to run.
        let present = settled(site.intended()?);
        return Some(Desired {
            run_state: RunState::Running,
            operation,
            ..present
        });
    };
    Some(Desired {
        node,
        name: target.name.clone(),
        role: target.role.clone(),
        definition: settings.roles.get(&target.role)?.digest(),
        run_state: RunState::Running,
        deployment: Deployment(site.row.next_generation()),
        image: ImageRequest {
            reference,
            pull: settings.pull,
            allow_older: options.force,
            pin: None,
            newest: None,
        },
        parameters,
        replace: None,
        secrets: site
            .intended()
            .map(|present| present.secrets.clone())
            .unwrap_or_default(),
        operation,
        adopted: None,
        staged: None,
        drain: first(limit_seconds(entry, &target.role, settings)),
    })
}

/// The instance that runs, as it was last observed.
fn running_instance(site: &Node) -> Option<Instance> {
    let container = site.observation()?.current.as_ref()?;
    container
        .state
        .is_live()
        .then(|| container.instance.clone())
}
