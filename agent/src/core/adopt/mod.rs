//! Taking over a container that somebody else made: what it serves is read back from its command,
//! and whether it may be taken over at all is judged here. Pure.
//!
//! `execute` calls this with what Docker shows, once for what is told of unclaimed containers and
//! once more when a record has one taken over: what a controller says of a container is never
//! believed.

mod differences;
mod read_back;
mod remembered;

use extend_common::hint::with_hint;
use extend_common::ids::NodeAddr;
use extend_common::record::{Deployment, Desired, Stamp};
use extend_common::roles::RoleDefinition;
use extend_common::status::{ContainerState, Difference, Found, ResolvedImage};
use serde::{Deserialize, Serialize};

use super::image::{ImageProblem, check_labels, check_repository};
use super::spec::{ContainerSpec, NodeFacts, render_given};
use crate::docker::{Image, Inspected};
use read_back::Given;

/// A container that was taken over: ours by its id alone, since labels cannot be added.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Adopted {
    /// Docker's full id.
    pub id: String,
    /// The deployment that it was taken over as.
    pub deployment: Deployment,
    /// The agent has done nothing to it yet: its restart policy is the one it was found with.
    pub untouched: bool,
    /// Docker's count of restarts by its own policy when it was taken over.
    pub restart_count: u64,
}

/// Why a container under an official name is not taken over.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Unfit {
    /// It was started for another address: on this Engine it is none of this node's business.
    Elsewhere(String),
    /// Everything else, in words.
    Here(String),
}

impl Unfit {
    /// In words.
    pub fn into_words(self) -> String {
        match self {
            Self::Elsewhere(words) | Self::Here(words) => words,
        }
    }
}

/// What this node knows and allows, where a container is judged.
#[derive(Debug, Clone, Copy)]
pub struct Rules<'a> {
    /// The role whose name the container bears.
    pub definition: &'a RoleDefinition,
    /// Address and data directory.
    pub facts: &'a NodeFacts,
    /// The repositories that images may come from.
    pub repositories: &'a [String],
}

/// Judges a container under a role's official name.
///
/// # Errors
/// When it cannot be taken over.
pub fn examine(rules: Rules<'_>, seen: &Inspected, image: Option<&Image>) -> Result<Found, Unfit> {
    let Rules {
        definition, facts, ..
    } = rules;
    let (container, setup) = (&seen.container, &seen.setup);
    if container.owner.is_some() {
        let words = "it bears the labels of a server that this node does not have any more";
        return Err(Unfit::Here(words.to_owned()));
    }
    if matches!(
        container.state,
        ContainerState::Removing | ContainerState::Dead
    ) {
        return Err(Unfit::Here(format!("it is {}", container.state)));
    }
    let template = &definition.main_container().command;
    let given = read_back::read_back(template, &setup.command).map_err(Unfit::Here)?;
    is_for(facts.node, &given)?;
    check_repository(&setup.image, rules.repositories).map_err(|problem| {
        let hint = format!(
            "on {}: allow it under `repositories` in /etc/extend/agent.toml, and systemctl \
             restart extend-agent",
            facts.node
        );
        Unfit::Here(with_hint(problem, hint))
    })?;
    let (image, flaw) = resolved(rules, seen, image)?;
    let wanted = wanted(rules, &given, &image.identity);
    let mut differences = differences::differences(&wanted, setup);
    differences.extend(flaw.map(|text| Difference { text, usual: false }));
    Ok(Found {
        name: given.name,
        parameters: given.parameters,
        instance: container.instance(),
        state: container.state,
        image,
        differences: Difference::bounded(differences),
    })
}

/// A container that was started for another address must not serve here.
fn is_for(node: NodeAddr, given: &Given) -> Result<(), Unfit> {
    if given.node == node.to_string() {
        return Ok(());
    }
    Err(Unfit::Elsewhere(with_hint(
        format!(
            "it was started for the address {}, and this node is {node}",
            given.node
        ),
        format!("on {node}: ip address, and start it anew with this node's own address"),
    )))
}

/// Its image, and what is to be said of it. What runs is a fact, whatever version it is; only
/// another product is none of the role's.
fn resolved(
    rules: Rules<'_>,
    seen: &Inspected,
    image: Option<&Image>,
) -> Result<(ResolvedImage, Option<String>), Unfit> {
    let reference = &seen.setup.image;
    let unknown = || ResolvedImage {
        reference: reference.clone(),
        identity: seen.container.image_id.clone(),
        version: String::new(),
    };
    let Some(image) = image else {
        let words = "its image is not on the node any more".to_owned();
        return Ok((unknown(), Some(words)));
    };
    match check_labels(reference, image, &rules.definition.image, None) {
        Ok(resolved) => Ok((resolved, None)),
        Err(problem @ ImageProblem::Product { .. }) => Err(Unfit::Here(problem.to_string())),
        Err(problem) => Ok((unknown(), Some(problem.to_string()))),
    }
}

/// What the role's definition would make in its place.
fn wanted(rules: Rules<'_>, given: &Given, identity: &str) -> ContainerSpec {
    render_given(
        rules.definition,
        rules.facts,
        (&given.name, &given.parameters),
        identity,
    )
}

/// Whether what was found is still what the record speaks of.
///
/// # Errors
/// In words, when it is not.
pub fn agrees(desired: &Desired, stamp: Stamp, found: &Found) -> Result<(), String> {
    let told = |what: &str, now: &str, then: &str| {
        Err(format!(
            "its {what} is {now}, and {then} was to be taken over"
        ))
    };
    if found.name != desired.name {
        return told("name", found.name.as_str(), desired.name.as_str());
    }
    if found.parameters != desired.parameters {
        let (now, then) = (&found.parameters, &desired.parameters);
        return told("PBX address", &now.pbx_address, &then.pbx_address);
    }
    if found.image.reference != desired.image.reference {
        return told("image", &found.image.reference, &desired.image.reference);
    }
    let (runs, shall_run) = (
        found.state.is_live(),
        desired.run_state == extend_common::record::RunState::Running,
    );
    // Once it has been taken over, a record may want it otherwise.
    if desired.adopts_at(stamp) && runs != shall_run {
        let words = if runs { "started" } else { "stopped" };
        return Err(format!("it has been {words} meanwhile"));
    }
    Ok(())
}

#[cfg(test)]
mod tests;
