//! Where an image's reference leads, asked for a plan: the node's registry is asked through Docker,
//! and nothing is fetched or changed.
//!
//! Called by the session with what the controller asks, which is hostile: only repositories that
//! this node allows are asked for, a few at a time, and each for a bounded time.

use std::sync::Arc;
use std::time::Duration;

use extend_common::record::PullPolicy;
use extend_proto::v1;
use extend_proto::v1::agent_message::Kind;
use tokio::sync::mpsc;
use tokio::task::JoinSet;
use tokio::time::timeout;

use crate::core::image::{check_repository, identity, repository};
use crate::docker::{Docker, credentials};
use crate::execute::Settings;
use crate::execute::images::registry;
use crate::failure::Failure;

/// Questions that are open at once. More are not even answered: the controller gives up waiting.
const MAX_OPEN: usize = 8;
/// The controller waits for ten seconds; what failed is to be told before that.
const LIMIT: Duration = Duration::from_secs(8);
/// The longest id that is sent back: a ULID has 26 characters.
const MAX_ID: usize = 64;
/// The longest sentence about a problem, in characters.
const MAX_PROBLEM: usize = 500;

/// The questions of one session. Dropping it ends them.
pub struct Questions {
    docker: Arc<dyn Docker>,
    settings: Arc<Settings>,
    to: mpsc::Sender<v1::AgentMessage>,
    open: JoinSet<()>,
}

impl Questions {
    /// Answers go to `to`.
    pub fn new(
        docker: Arc<dyn Docker>,
        settings: Arc<Settings>,
        to: mpsc::Sender<v1::AgentMessage>,
    ) -> Self {
        Self {
            docker,
            settings,
            to,
            open: JoinSet::new(),
        }
    }

    /// Takes a question; never waits.
    pub fn take(&mut self, wanted: v1::ImageWanted) {
        while self.open.try_join_next().is_some() {}
        if self.open.len() >= MAX_OPEN || wanted.id.is_empty() || wanted.id.len() > MAX_ID {
            tracing::warn!(
                "a question about an image is not answered: there are too many, or it has no id"
            );
            return;
        }
        let (docker, settings) = (Arc::clone(&self.docker), Arc::clone(&self.settings));
        let to = self.to.clone();
        self.open.spawn(async move {
            let v1::ImageWanted {
                id,
                reference,
                pull,
            } = wanted;
            // What this release does not know asks the registry.
            let pull = PullPolicy::from_wire(pull).unwrap_or_default();
            let asked = timeout(
                LIMIT,
                leads_to(docker.as_ref(), &settings, &reference, pull),
            );
            let answer = asked
                .await
                .unwrap_or_else(|_| Err(format!("its registry did not answer within {LIMIT:?}")));
            tracing::debug!(reference, ?answer, "asked where an image leads");
            let (identity, problem) = match answer {
                Ok(identity) => (identity, String::new()),
                Err(problem) => (String::new(), problem.chars().take(MAX_PROBLEM).collect()),
            };
            let kind = Some(Kind::ImageTold(v1::ImageTold {
                id,
                identity,
                problem,
            }));
            // A session that has ended has nobody to tell.
            let _ = to.send(v1::AgentMessage { kind }).await;
        });
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
