//! Where an image's reference leads, asked for a plan: the node's registry is asked through Docker,
//! and nothing is fetched or changed.
//!
//! Called by the session with what the controller asks, which is hostile: only repositories that
//! this node allows are asked for, and each for a bounded time.

use std::time::Duration;

use extend_common::record::PullPolicy;
use extend_proto::v1;
use tokio::time::timeout;

use crate::core::image::{check_repository, identity, repository};
use crate::docker::{Docker, credentials};
use crate::execute::Settings;
use crate::execute::images::registry;
use crate::failure::Failure;

/// The controller waits for ten seconds; what failed is to be told before that.
const LIMIT: Duration = Duration::from_secs(8);
/// The longest sentence about a problem, in characters.
const MAX_PROBLEM: usize = 500;

/// Answers a controller. `wanted` is hostile.
pub async fn answer(
    docker: &dyn Docker,
    settings: &Settings,
    wanted: v1::ImageWanted,
) -> v1::ImageTold {
    let v1::ImageWanted {
        id,
        reference,
        pull,
    } = wanted;
    // What this release does not know asks the registry.
    let pull = PullPolicy::from_wire(pull).unwrap_or_default();
    let asked = timeout(LIMIT, leads_to(docker, settings, &reference, pull)).await;
    let answer =
        asked.unwrap_or_else(|_| Err(format!("its registry did not answer within {LIMIT:?}")));
    tracing::debug!(reference, ?answer, "asked where an image leads");
    let (identity, problem) = match answer {
        Ok(identity) => (identity, String::new()),
        Err(problem) => (String::new(), problem.chars().take(MAX_PROBLEM).collect()),
    };
    v1::ImageTold {
        id,
        identity,
        problem,
    }
}

/// The identity that a deployment of `reference` would find: of what is there, if the registry is
/// asked only for what is missing, and otherwise of what the registry has.
async fn leads_to(
    docker: &dyn Docker,
    settings: &Settings,
    reference: &str,
    pull: PullPolicy,
) -> Result<String, String> {
    check_repository(reference, &settings.repositories).map_err(|problem| problem.to_string())?;
    if pull == PullPolicy::Missing {
        let there = docker.image(reference).await;
        if let Some(image) = there.map_err(|error| error.to_string())? {
            return Ok(identity(reference, &image));
        }
    }
    let path = settings.credentials.clone();
    let read = tokio::task::spawn_blocking(move || credentials::read(&path)).await;
    let mut all = read
        .map_err(|error| error.to_string())?
        .map_err(|error| Failure::of(&error).sentence)?;
    let auth = all.remove(registry(reference));
    let digest = docker.leads_to(reference, auth.as_ref()).await;
    let digest = digest.map_err(|error| error.to_string())?;
    Ok(format!("{}@{digest}", repository(reference)))
}

#[cfg(test)]
mod tests;
