//! Does one step. One exhaustive `match`; what to do and in which order was decided by
//! `core::plan`, and the ledger is the reconciler's.

mod adopt;
mod hosting;
pub(crate) mod images;
mod obtain;
mod ports;
mod retire;

use std::collections::BTreeMap;
use std::collections::BTreeSet;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use extend_common::hint::with_hint;
use extend_common::record::{Desired, ImageRequest, RunState};
use extend_common::roles::{RoleDefinition, RoleSet};
use extend_common::service::DumpFile;
use extend_common::status::{ContainerState, Evidence, OutcomeKind, ResolvedImage};
use extend_common::wire::{MAX_LOG_LINES, bounded_log_tail};

use crate::core::entry::{Entry, Served};
use crate::core::image::check_labels;
use crate::core::observed::{Observed, Place};
use crate::core::spec::{ContainerSpec, NodeFacts, render};
use crate::core::step::{Done, Seen, Step};
use crate::docker::{Container, Docker, DockerError, Image, PullProgress};
use crate::dumps;
use crate::host::Host;
use images::{is_disk_full, is_missing_image};

/// So long a look at crash dumps may take; it is a directory's list.
const DUMPS_TIME: Duration = Duration::from_secs(5);

/// Why a step was not done.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum StepError {
    /// Docker does not answer: wait, look again, and decide anew.
    #[error("{0}")]
    Unavailable(String),
    /// It was refused; another try may help.
    #[error("{0}")]
    Refused(String),
    /// Trying again changes nothing.
    #[error("{0}")]
    Permanent(String),
}

impl From<DockerError> for StepError {
    fn from(error: DockerError) -> Self {
        match error {
            DockerError::Unavailable(words) => Self::Unavailable(words),
            DockerError::Refused { message, .. } => Self::Refused(message),
        }
    }
}

/// What this node allows and knows; from `agent.toml` and the files beside it.
#[derive(Debug, Clone)]
pub struct Settings {
    /// Address and data directory.
    pub facts: NodeFacts,
    /// The roles that this node knows.
    pub roles: Arc<RoleSet>,
    /// The repositories that images may come from.
    pub repositories: Vec<String>,
    /// The file with the registries' credentials, read anew for each pull.
    pub credentials: PathBuf,
}

/// Does steps.
#[derive(Clone)]
pub struct Executor {
    docker: Arc<dyn Docker>,
    host: Arc<dyn Host>,
    settings: Arc<Settings>,
}

impl Executor {
    /// An executor on one node.
    pub fn new(docker: Arc<dyn Docker>, host: Arc<dyn Host>, settings: Arc<Settings>) -> Self {
        Self {
            docker,
            host,
            settings,
        }
    }

    /// Does one step for the server that `entry` remembers.
    ///
    /// # Errors
    /// When it was not done, or when that is not known.
    pub async fn execute(
        &self,
        step: &Step,
        entry: &Entry,
        observed: &Observed,
        progress: &PullProgress,
    ) -> Result<Done, StepError> {
        let desired = &entry.record.desired;
        match step {
            Step::EndStop
            | Step::Drain { .. }
            | Step::Promote { .. }
            | Step::MarkProven { .. }
            | Step::Spare { .. }
            | Step::Unspare
            | Step::Quarantine { .. }
            | Step::Release => {}
            Step::Resolve { first } => return self.resolve(entry, *first, progress).await,
            Step::Stage { request } => return self.stage(request, entry, progress).await,
            Step::Recall => {
                let mut served = self.recall(desired, observed).await?;
                served.recalled_for = Some(entry.record.id.stamp);
                return Ok(Done::Resolved(Box::new(served)));
            }
            Step::Adopt { id, .. } => {
                let served = self.adopt(id, entry).await?;
                return Ok(Done::Resolved(Box::new(served)));
            }
            Step::SetPolicy { id, policy } => self.docker.set_policy(id, *policy).await?,
            Step::Stop {
                instance, signal, ..
            } => {
                self.signal(&instance.container_id, signal).await?;
            }
            Step::Kill { id, .. } => self.signal(id, "SIGKILL").await?,
            Step::Rename { id, to } => {
                let official = &self.definition(desired)?.main_container().name;
                self.docker.rename(id, &to.name(official)).await?;
            }
            Step::Create { spec } => self.create(spec, entry, progress).await?,
            Step::Start { before, .. } => self.docker.start(&before.container_id).await?,
            Step::Remove { id } => self.docker.remove(id).await?,
            Step::RemoveImage { identity } => return self.retire(identity, entry).await,
            Step::Witness {
                instance, death, ..
            } => {
                let id = Some(instance.container_id.as_str());
                let mut seen = self.look_at(id, observed, entry).await;
                if let (Some(evidence), Some(death)) = (&mut seen.evidence, death) {
                    evidence.exit_code = Some(death.exit_code);
                    evidence.oom_killed |= death.oom_killed;
                }
                return Ok(Done::Seen(seen));
            }
            Step::Spend { container, .. } => {
                return Ok(Done::Seen(
                    self.look_at(container.as_deref(), observed, entry).await,
                ));
            }
            Step::Settle {
                container, kind, ..
            } => {
                let mut seen = self.look_at(container.as_deref(), observed, entry).await;
                if desired.run_state.is_tombstone() && *kind != OutcomeKind::Declined {
                    seen.data_bytes = self.data_size(desired).await;
                    // What was not taken over after all has left the host as it was.
                    let is_left =
                        desired.run_state == RunState::Withdrawn && desired.adopted.is_some();
                    if *kind == OutcomeKind::Succeeded && !is_left {
                        seen.warning = self.leave_host(desired).await;
                    }
                }
                return Ok(Done::Seen(seen));
            }
        }
        Ok(Done::Effect)
    }

    fn definition(&self, desired: &Desired) -> Result<&RoleDefinition, StepError> {
        self.settings.roles.get(&desired.role).ok_or_else(|| {
            let words = format!("this node has no definition of {}", desired.role);
            let hint = format!("extend node show {}", desired.node);
            StepError::Permanent(with_hint(words, hint))
        })
    }

    /// A container that ended between the look and the signal is what was wanted.
    async fn signal(&self, id: &str, signal: &str) -> Result<(), StepError> {
        match self.docker.signal(id, signal).await {
            Err(DockerError::Refused {
                status: 404 | 409, ..
            }) => Ok(()),
            other => other.map_err(StepError::from),
        }
    }

    /// The role's definition, if the controller means the same one.
    fn agreed_definition(&self, desired: &Desired) -> Result<&RoleDefinition, StepError> {
        let definition = self.definition(desired)?;
        if definition.digest() == desired.definition {
            return Ok(definition);
        }
        let words = format!(
            "the definition of {} on this node differs from the controller's",
            desired.role
        );
        let hint = format!("extend node show {}", desired.node);
        Err(StepError::Permanent(with_hint(words, hint)))
    }

    async fn resolve(
        &self,
        entry: &Entry,
        first: bool,
        progress: &PullProgress,
    ) -> Result<Done, StepError> {
        let desired = &entry.record.desired;
        let definition = self.agreed_definition(desired)?;
        if first {
            self.check_ports(definition).await?;
        }
        let obtained = self
            .obtain(&desired.image, entry, definition, progress)
            .await?;
        // What the host may refuse is tried while the old container still serves.
        self.prepare_host(definition).await?;
        let served = self.served(desired, definition, obtained.image);
        Ok(Done::Obtained {
            served: Box::new(served),
            fetched: obtained.fetched,
        })
    }

    /// An image for the deployment to come. Nothing is done to the host. The record is still the one
    /// of the deployment that serves, and may name the definition that it was made by: whether the
    /// controller means this node's is the deployment's question.
    async fn stage(
        &self,
        request: &ImageRequest,
        entry: &Entry,
        progress: &PullProgress,
    ) -> Result<Done, StepError> {
        let desired = &entry.record.desired;
        let definition = self.definition(desired)?;
        let obtained = self.obtain(request, entry, definition, progress).await?;
        let served = self.served(desired, definition, obtained.image);
        Ok(Done::Obtained {
            served: Box::new(served),
            fetched: obtained.fetched,
        })
    }

    fn served(&self, desired: &Desired, role: &RoleDefinition, image: ResolvedImage) -> Served {
        Served {
            deployment: desired.deployment,
            made_by: desired.deployment,
            spec: render(role, desired, &self.settings.facts, &image.identity),
            image,
            proven: false,
            answered: BTreeSet::new(),
            recalled_for: None,
        }
    }

    /// The serving deployment, as the container itself tells it.
    async fn recall(&self, desired: &Desired, observed: &Observed) -> Result<Served, StepError> {
        let definition = self.definition(desired)?;
        let gone = || StepError::Refused("the container is gone".to_owned());
        let current = observed.current.as_ref().ok_or_else(gone)?;
        let made_by = current.owner.as_ref().ok_or_else(gone)?.deployment;
        let image = self.docker.image(&current.image_id).await?;
        let image = image.unwrap_or_else(|| Image {
            id: current.image_id.clone(),
            repo_digests: Vec::new(),
            labels: BTreeMap::new(),
            size: 0,
        });
        let reference = &desired.image.reference;
        let resolved = check_labels(reference, &image, &definition.image, None).unwrap_or_else(
            // What runs is a fact, whatever its labels say.
            |_| ResolvedImage {
                reference: reference.clone(),
                identity: image.id.clone(),
                version: String::new(),
            },
        );
        let mut served = self.served(desired, definition, resolved);
        served
            .spec
            .labels
            .clone_from(&current.owner.as_ref().ok_or_else(gone)?.to_labels());
        Ok(Served {
            deployment: made_by,
            made_by,
            ..served
        })
    }

    async fn create(
        &self,
        spec: &ContainerSpec,
        entry: &Entry,
        progress: &PullProgress,
    ) -> Result<(), StepError> {
        let desired = &entry.record.desired;
        self.make_directories(self.definition(desired)?).await?;
        let refused = match self.docker.create(spec).await {
            Ok(_) => return Ok(()),
            Err(refused) if is_missing_image(&refused) => refused,
            Err(DockerError::Refused { message, .. }) if is_disk_full(&message) => {
                let hint = format!("on {}: docker system df", desired.node);
                return Err(StepError::Refused(with_hint(message, hint)));
            }
            Err(error) => return Err(error.into()),
        };
        // Somebody pruned it when no container used it any more.
        let of_entry = [&entry.serving, &entry.candidate].into_iter().flatten();
        let Some(image) = of_entry
            .map(|served| &served.image)
            .find(|i| i.identity == spec.image)
        else {
            return Err(refused.into());
        };
        self.fetch_again(image, progress).await?;
        self.docker.create(spec).await?;
        Ok(())
    }

    /// Evidence is worth having and never worth failing for.
    async fn look_at(&self, container: Option<&str>, observed: &Observed, entry: &Entry) -> Seen {
        let Some(container) = container.and_then(|id| observed.by_id(id)) else {
            return Seen::default();
        };
        let log_tail = match self.docker.log_tail(&container.id, MAX_LOG_LINES).await {
            Ok(lines) => bounded_log_tail(lines),
            Err(error) => vec![format!("(its output could not be read: {error})")],
        };
        Seen {
            evidence: Some(Evidence {
                health_output: bounded_log_tail(observed.health_output(container)),
                dumps: self.dumps_of(container, entry).await,
                ..evidence(container, log_tail)
            }),
            ..Seen::default()
        }
    }

    /// The crash dumps that a run has left so far.
    async fn dumps_of(&self, container: &Container, entry: &Entry) -> Vec<DumpFile> {
        let settings = Arc::clone(&self.settings);
        let role = entry.record.desired.role.clone();
        let found = blocking(move || {
            let definition = settings.roles.get(&role)?;
            dumps::look(definition, &settings.facts.data)
        });
        // A disk that hangs holds up nobody who mends.
        let found = tokio::time::timeout(DUMPS_TIME, found).await;
        let found = found.ok().and_then(Result::ok).flatten();
        dumps::since(found.unwrap_or_default(), &container.started_at)
    }

    /// Looks at the containers that bear a server's names.
    ///
    /// # Errors
    /// When Docker does not answer.
    pub async fn observe(&self, official: &str) -> Result<Observed, DockerError> {
        let mut found = Vec::new();
        for place in Place::ALL {
            found.push(self.docker.container(&place.name(official)).await?);
        }
        let mut found = found.into_iter();
        let mut next = || found.next().flatten();
        Ok(Observed {
            current: next(),
            previous: next(),
            failed: next(),
            probed: None,
        })
    }
}

fn evidence(container: &Container, log_tail: Vec<String>) -> Evidence {
    // One that Docker is about to start again has ended too.
    let ended = !container.state.is_live() || container.state == ContainerState::Restarting;
    Evidence {
        container_id: container.id.clone(),
        exit_code: ended.then_some(container.exit_code),
        oom_killed: container.oom_killed,
        log_tail,
        health_output: Vec::new(),
        dumps: Vec::new(),
    }
}

async fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> T + Send + 'static,
) -> Result<T, StepError> {
    tokio::task::spawn_blocking(work)
        .await
        .map_err(|error| StepError::Refused(format!("a blocking task failed: {error}")))
}
