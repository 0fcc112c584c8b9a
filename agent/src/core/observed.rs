//! What Docker shows of one server: the containers that bear its names.

use extend_common::ids::{NodeAddr, RoleName};
use extend_common::record::Deployment;

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
}

impl Observed {
    /// The containers that are there, in the order of [`Place::ALL`].
    pub fn all(&self) -> impl Iterator<Item = &Container> {
        [&self.current, &self.previous, &self.failed]
            .into_iter()
            .flatten()
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
}

impl Owner {
    /// Whether the container carries our labels with this node's address and role.
    pub fn owns(&self, container: &Container) -> bool {
        container
            .owner
            .as_ref()
            .is_some_and(|owner| owner.node == self.node && owner.role == self.role)
    }

    /// Whether the container is ours and was made by this deployment.
    pub fn made_by(&self, container: &Container, deployment: Deployment) -> bool {
        self.owns(container)
            && container
                .owner
                .as_ref()
                .is_some_and(|owner| owner.deployment == deployment)
    }
}
