//! Looks at containers that bear an official name and are nobody's of ours: what is told of them,
//! and the second look before one is taken over.
//!
//! Called by the reconciler's look and by the parent. Changes nothing in Docker. What is judged
//! from it is `core::adopt`'s.

use extend_common::hint::with_hint;
use extend_common::ids::RoleName;
use extend_common::roles::RoleDefinition;
use extend_common::status::{Found, Unclaimed};
use std::collections::BTreeSet;

use super::{Executor, StepError};
use crate::core::adopt::{Rules, Unfit, agrees, examine};
use crate::core::entry::{Entry, Served};
use crate::core::spec::render;
use crate::docker::{ContainerName, DockerError};

/// A container of the official names, judged.
struct Judged {
    name: String,
    id: String,
    role: RoleName,
    found: Result<Box<Found>, Unfit>,
}

impl Executor {
    /// The containers that bear an official name and belong to no record of this node. `claimed`
    /// is the server that the node has.
    ///
    /// # Errors
    /// When Docker does not answer.
    pub async fn unclaimed(&self, claimed: Option<&Entry>) -> Result<Vec<Unclaimed>, DockerError> {
        let mut judged = Vec::new();
        for listed in self.docker.names().await? {
            let role = self.settings.roles.by_container(&listed.name);
            let Some(role) = role.filter(|role| self.is_unclaimed(&listed, role, claimed)) else {
                continue;
            };
            judged.extend(self.judge(listed, role).await?);
        }
        Ok(told(judged))
    }

    fn is_unclaimed(
        &self,
        listed: &ContainerName,
        role: &RoleDefinition,
        claimed: Option<&Entry>,
    ) -> bool {
        let node = self.settings.facts.node;
        let is_servers = claimed.is_some_and(|entry| {
            let labelled = listed.owner.is_some() && entry.record.desired.role == role.role;
            let adopted = entry.adopted.as_ref().is_some_and(|a| a.id == listed.id);
            labelled || adopted
        });
        let other_nodes = listed
            .owner
            .as_ref()
            .is_some_and(|owner| owner.node != node);
        !is_servers && !other_nodes
    }

    /// None when it has gone meanwhile.
    async fn judge(
        &self,
        listed: ContainerName,
        role: &RoleDefinition,
    ) -> Result<Option<Judged>, DockerError> {
        let found = match self.docker.inspected(&listed.name).await {
            Ok(None) => return Ok(None),
            Ok(Some(seen)) => match self.docker.image(&seen.container.image_id).await {
                Ok(image) => {
                    let rules = Rules {
                        definition: role,
                        facts: &self.settings.facts,
                        repositories: &self.settings.repositories,
                    };
                    examine(rules, &seen, image.as_ref()).map(Box::new)
                }
                Err(DockerError::Refused { message, .. }) => Err(Unfit::Here(format!(
                    "its image cannot be inspected: {message}"
                ))),
                Err(error) => return Err(error),
            },
            // One that cannot be looked at is no reason to see nothing at all.
            Err(DockerError::Refused { message, .. }) => {
                Err(Unfit::Here(format!("it cannot be inspected: {message}")))
            }
            Err(error) => return Err(error),
        };
        Ok(Some(Judged {
            name: listed.name,
            id: listed.id,
            role: role.role.clone(),
            found,
        }))
    }

    /// Looks once more, and takes the container over if it is what the record says it is.
    pub(super) async fn adopt(&self, id: &str, entry: &Entry) -> Result<Served, StepError> {
        let (desired, stamp) = (&entry.record.desired, entry.record.id.stamp);
        let definition = self.definition(desired)?;
        if definition.digest() != desired.definition && desired.adopts_at(stamp) {
            let words = format!(
                "the definition of {} on this node differs from the controller's",
                desired.role
            );
            let hint = format!("extend node show {}", desired.node);
            return Err(StepError::Permanent(with_hint(words, hint)));
        }
        let all = self.unclaimed(None).await?;
        let it = all.into_iter().find(|unclaimed| {
            let official = &definition.main_container().name;
            unclaimed.container_id == id && unclaimed.container_name == *official
        });
        let gone = || StepError::Refused("the container is gone".to_owned());
        let found = it.ok_or_else(gone)?.found.map_err(StepError::Permanent)?;
        agrees(desired, stamp, &found).map_err(StepError::Refused)?;
        let spec = render(
            definition,
            desired,
            &self.settings.facts,
            &found.image.identity,
        );
        Ok(Served {
            deployment: desired.deployment,
            made_by: desired.deployment,
            image: found.image,
            spec,
            proven: false,
            answered: BTreeSet::new(),
            recalled_for: None,
        })
    }
}

/// One role a node: where there are two, nobody knows which is meant to be there.
fn told(judged: Vec<Judged>) -> Vec<Unclaimed> {
    let is_here = |one: &&Judged| !matches!(one.found, Err(Unfit::Elsewhere(_)));
    let here: Vec<String> = judged
        .iter()
        .filter(is_here)
        .map(|one| one.name.clone())
        .collect();
    let told = |one: Judged| {
        let others: Vec<&str> = here
            .iter()
            .filter(|name| **name != one.name)
            .map(String::as_str)
            .collect();
        let found = match one.found {
            Ok(_) if !others.is_empty() => {
                let words = format!(
                    "the node has {} too, and carries one role",
                    others.join(", ")
                );
                let hint = "on the node: docker stop and docker rename the one that is not used";
                Err(with_hint(words, hint))
            }
            other => other.map_err(Unfit::into_words),
        };
        Unclaimed {
            container_name: one.name,
            container_id: one.id,
            role: one.role,
            found,
        }
    };
    judged.into_iter().map(told).collect()
}

#[cfg(test)]
#[path = "adopt_tests.rs"]
mod tests;
