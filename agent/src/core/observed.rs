//! What Docker shows of one server: the containers that bear its names.

use extend_common::ids::{NodeAddr, RoleName};
use extend_common::record::Deployment;

use super::adopt::Adopted;
use crate::docker::Container;

/// The suffix of the container that served before the present deployment.
pub const PREVIOUS: &str = ".previous";
/// The suffix of a container that failed and is kept as evidence.
pub const FAILED: &str = ".failed";

/// Which of a server's names a container bears.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Place {
    /// The official name.
    Current,
    /// The official name and [`PREVIOUS`].
    Previous,
    /// The official name and [`FAILED`].
    Failed,
}

impl Place {
    /// All of them.
    pub const ALL: [Self; 3] = [Self::Current, Self::Previous, Self::Failed];

    /// The name that goes with the place.
    pub fn name(self, official: &str) -> String {
        match self {
            Self::Current => official.to_owned(),
            Self::Previous => format!("{official}{PREVIOUS}"),
            Self::Failed => format!("{official}{FAILED}"),
        }
    }
}

/// The containers that bear a server's names, as they were at one moment.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Observed {
    /// Under the official name.
    pub current: Option<Container>,
    /// Kept aside while a deployment is tried.
    pub previous: Option<Container>,
    /// Kept as evidence.
    pub failed: Option<Container>,
    /// What the probes of a container said last, by its id; a line for each port.
    pub probed: Option<(String, Vec<String>)>,
}

impl Observed {
    /// The containers that are there, in the order of [`Place::ALL`].
    pub fn all(&self) -> impl Iterator<Item = &Container> {
        [&self.current, &self.previous, &self.failed]
            .into_iter()
            .flatten()
    }

    /// What probes and Docker's own health check said last of a container.
    pub fn health_output(&self, container: &Container) -> Vec<String> {
        let probed = self.probed.as_ref().filter(|(id, _)| *id == container.id);
        let probed = probed
            .map(|(_, lines)| lines.as_slice())
            .unwrap_or_default();
        probed
            .iter()
            .chain(&container.health_log)
            .cloned()
            .collect()
    }

    /// The container with this id.
    pub fn by_id(&self, id: &str) -> Option<&Container> {
        self.all().find(|container| container.id == id)
    }
}

/// Whose containers the agent may touch.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Owner {
    /// This node.
    pub node: NodeAddr,
    /// The role of the server at hand.
    pub role: RoleName,
    /// A container of somebody else's that was taken over.
    pub adopted: Option<Adopted>,
}

impl Owner {
    /// Whether the container carries our labels with this node's address and role, or was taken
    /// over.
    pub fn owns(&self, container: &Container) -> bool {
        self.deployment(container).is_some()
    }

    /// Whether the container is ours and was made by this deployment, or taken over as it.
    pub fn made_by(&self, container: &Container, deployment: Deployment) -> bool {
        self.deployment(container) == Some(deployment)
    }

    /// How the container was taken over, if it was: by its id, and by nothing else.
    pub fn adopted(&self, container: &Container) -> Option<&Adopted> {
        let adopted = self.adopted.as_ref();
        adopted.filter(|adopted| adopted.id == container.id)
    }

    /// Which deployment of ours a container belongs to. This is the one place where a container
    /// without our labels counts as ours.
    fn deployment(&self, container: &Container) -> Option<Deployment> {
        if let Some(adopted) = self.adopted(container) {
            return Some(adopted.deployment);
        }
        let owner = container.owner.as_ref();
        owner
            .filter(|owner| owner.node == self.node && owner.role == self.role)
            .map(|owner| owner.deployment)
    }
}
