//! Images on their way to this node, and what is said of those that will not do.
//!
//! Called by the parent. Which images a node accepts is `core::image`'s to decide.

use std::time::Duration;

use extend_common::hint::with_hint;
use extend_common::ids::NodeAddr;
use extend_common::status::ResolvedImage;

use super::{Executor, StepError, blocking};
use crate::core::image::{ImageProblem, check_repository, repository};
use crate::docker::{DockerError, PullProgress, RegistryAuth, credentials};
use crate::failure::Failure;

/// An image that is fetched again while a service is away must come in this time; then the step
/// is tried anew, and what Docker has of it already is kept.
const FETCH_AGAIN: Duration = Duration::from_secs(600);

impl Executor {
    /// Asks the registry for a reference or a digest.
    pub(super) async fn fetch(
        &self,
        reference: &str,
        progress: &PullProgress,
    ) -> Result<(), StepError> {
        let node = self.settings.facts.node;
        let auth = self.credentials(reference).await?;
        match self.docker.pull(reference, auth.as_ref(), progress).await {
            Ok(()) => Ok(()),
            Err(error) => {
                // A registry that is silent is the record's trouble; a silent Docker is not.
                self.docker.names().await?;
                let words = format!("pulling {reference} failed: {error}");
                let hint = if is_disk_full(&words) {
                    format!("on {node}: docker system df")
                } else if is_locked(&words) {
                    format!("extend node bootstrap -a {node} --registry-credentials FILE")
                } else {
                    format!("on {node}: docker pull {reference}")
                };
                Err(StepError::Refused(with_hint(words, hint)))
            }
        }
    }

    /// What the registry of a reference asks for: as the file says now, so that an administrator
    /// who has put it right need not restart the agent.
    async fn credentials(&self, reference: &str) -> Result<Option<RegistryAuth>, StepError> {
        let (path, registry) = (
            self.settings.credentials.clone(),
            registry(reference).to_owned(),
        );
        let read = blocking(move || credentials::read(&path)).await?;
        let mut all = read.map_err(|error| {
            let node = self.settings.facts.node;
            let words = Failure::of(&error);
            let causes = [&words.sentence].into_iter().chain(&words.causes);
            let sentence = causes.cloned().collect::<Vec<_>>().join(": ");
            StepError::Refused(with_hint(sentence, format!("on {node}: {}", words.hint)))
        })?;
        Ok(all.remove(&registry))
    }

    /// Brings back exactly the image of a deployment: by its digest, and when it has none, by its
    /// reference if that still means the same image.
    pub(super) async fn fetch_again(
        &self,
        image: &ResolvedImage,
        progress: &PullProgress,
    ) -> Result<(), StepError> {
        let fetching = self.fetch_exactly(image, progress);
        match tokio::time::timeout(FETCH_AGAIN, fetching).await {
            Ok(fetched) => fetched,
            Err(_) => {
                let limit = extend_common::duration::show(FETCH_AGAIN);
                let words = format!("fetching {} again took more than {limit}", image.identity);
                Err(StepError::Refused(words))
            }
        }
    }

    async fn fetch_exactly(
        &self,
        image: &ResolvedImage,
        progress: &PullProgress,
    ) -> Result<(), StepError> {
        let node = self.settings.facts.node;
        let ResolvedImage {
            reference,
            identity,
            ..
        } = image;
        check_repository(reference, &self.settings.repositories)
            .map_err(|problem| unfit(&problem, node, reference))?;
        tracing::warn!(%identity, "the image is gone from this node: fetching it again");
        if identity.contains('@') {
            return self.fetch(identity, progress).await;
        }
        self.fetch(reference, progress).await?;
        let found = self.docker.image(reference).await?;
        if found.is_some_and(|found| found.id == *identity) {
            return Ok(());
        }
        let words = format!(
            "the image {identity} is gone from this node, and {reference} is another one now"
        );
        let hint = format!("extend upgrade -a {node} -i {reference}");
        Err(StepError::Permanent(with_hint(words, hint)))
    }
}

/// An image that will not do: trying again changes nothing.
pub(super) fn unfit(problem: &ImageProblem, node: NodeAddr, reference: &str) -> StepError {
    let hint = match problem {
        ImageProblem::Repository { repository, .. } => format!(
            "on {node}: add \"{repository}\" to `repositories` in /etc/extend/agent.toml, and \
             systemctl restart extend-agent"
        ),
        ImageProblem::Older { .. } => {
            format!("extend upgrade -a {node} -i {reference} --force")
        }
        ImageProblem::TooNew { newest, .. } => {
            format!("upgrade the PBX first, or name an image of version {newest} with -i")
        }
        ImageProblem::NoBound { .. } => "extend status, and the same command again".to_owned(),
        ImageProblem::Product { .. }
        | ImageProblem::NoVersion { .. }
        | ImageProblem::TooOld { .. } => format!(
            "on {node}: docker image inspect -f '{{{{json .Config.Labels}}}}' {reference}, and \
             name another image with -i"
        ),
        ImageProblem::ForeignPin { .. } => format!("extend upgrade -a {node} -i {reference}"),
        ImageProblem::OtherBuild { .. } => {
            format!("on {node}: put the same image there with docker load, or docker pull")
        }
    };
    StepError::Permanent(with_hint(problem, hint))
}

/// Docker's word for an image that is not on the node; a container that is not is another thing.
pub(super) fn is_missing_image(error: &DockerError) -> bool {
    error.is_missing() && error.to_string().to_lowercase().contains("no such image")
}

pub(super) fn is_disk_full(words: &str) -> bool {
    words.to_lowercase().contains("no space left on device")
}

/// Whether the registry wants a password that it was not given: in Docker's words, its own, and
/// those of Docker's hub, which tells nobody what there is.
fn is_locked(words: &str) -> bool {
    let words = words.to_lowercase();
    ["no basic auth credentials", "unauthorized", "access denied"]
        .iter()
        .any(|said| words.contains(said))
}

/// The registry that a reference names; Docker's own when it names none.
pub(crate) fn registry(reference: &str) -> &str {
    match repository(reference).split_once('/') {
        Some((first, _)) if first.contains(['.', ':']) || first == "localhost" => first,
        _ => "docker.io",
    }
}
