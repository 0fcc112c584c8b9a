//! Containers that nobody claims, both ways: what an agent tells of somebody else's container, so
//! that it can be taken over.

use extend_proto::v1;

use super::record::container_id;
use super::{WireError, clipped, parse, required, shown_text};
use crate::status::{ContainerState, Difference, Found, Unclaimed};

/// A node cannot hold more services by PortSIP's fixed names.
const MAX_UNCLAIMED: usize = 32;
/// Differences beyond these tell nothing new; with them a list of unclaimed containers fits into a
/// message.
const MAX_DIFFERENCES: usize = 24;
/// A difference is a few words.
const MAX_DIFFERENCE: usize = 200;
/// So is what is in the way.
const MAX_OBSTACLE: usize = 512;

impl From<Difference> for v1::Difference {
    fn from(difference: Difference) -> Self {
        Self {
            text: difference.text,
            usual: difference.usual,
        }
    }
}

impl From<v1::Difference> for Difference {
    fn from(difference: v1::Difference) -> Self {
        Self {
            text: shown_text(clipped(difference.text, MAX_DIFFERENCE)),
            usual: difference.usual,
        }
    }
}

impl Difference {
    /// Reads a list; what is beyond its bound is left out.
    pub fn list(entries: Vec<v1::Difference>) -> Vec<Self> {
        let entries = entries.into_iter().take(MAX_DIFFERENCES);
        entries.map(Into::into).collect()
    }

    /// Cuts a list to its bounds, as the other side would. What is not usual comes first: it is
    /// what people have to know.
    pub fn bounded(mut differences: Vec<Self>) -> Vec<Self> {
        differences.sort_by_key(|difference| difference.usual);
        differences.truncate(MAX_DIFFERENCES);
        for difference in &mut differences {
            difference.text = clipped(std::mem::take(&mut difference.text), MAX_DIFFERENCE);
        }
        differences
    }
}

impl From<Found> for v1::FoundServer {
    fn from(found: Found) -> Self {
        Self {
            name: found.name.to_string(),
            parameters: Some(found.parameters.into()),
            instance: Some(found.instance.into()),
            state: found.state.to_string(),
            image: Some(found.image.into()),
            differences: found.differences.into_iter().map(Into::into).collect(),
        }
    }
}

impl TryFrom<v1::FoundServer> for Found {
    type Error = WireError;

    fn try_from(found: v1::FoundServer) -> Result<Self, WireError> {
        Ok(Self {
            name: parse("name", &found.name)?,
            parameters: required("parameters", found.parameters)?.try_into()?,
            instance: required("instance", found.instance)?.into(),
            state: ContainerState::from_docker(&found.state)?,
            image: required("image", found.image)?.into(),
            differences: Difference::list(found.differences),
        })
    }
}

impl From<Unclaimed> for v1::Unclaimed {
    fn from(unclaimed: Unclaimed) -> Self {
        let (found, obstacle) = match unclaimed.found {
            Ok(found) => (Some((*found).into()), String::new()),
            Err(obstacle) => (None, clipped(obstacle, MAX_OBSTACLE)),
        };
        Self {
            container_name: unclaimed.container_name,
            container_id: unclaimed.container_id,
            role: unclaimed.role.to_string(),
            found,
            obstacle,
        }
    }
}

impl TryFrom<v1::Unclaimed> for Unclaimed {
    type Error = WireError;

    fn try_from(unclaimed: v1::Unclaimed) -> Result<Self, WireError> {
        let obstacle = match unclaimed.obstacle.as_str() {
            "" => "its agent does not tell what it is: it is of an older release".to_owned(),
            _ => shown_text(clipped(unclaimed.obstacle, MAX_OBSTACLE)),
        };
        Ok(Self {
            container_name: shown_text(unclaimed.container_name),
            container_id: container_id("container_id", unclaimed.container_id)?,
            role: parse("role", &unclaimed.role)?,
            found: match unclaimed.found {
                Some(found) => Ok(Box::new(found.try_into()?)),
                None => Err(obstacle),
            },
        })
    }
}

impl Unclaimed {
    /// Reads a bounded list.
    ///
    /// # Errors
    /// When an entry cannot be understood, or there are more than a node can have.
    pub fn list(entries: Vec<v1::Unclaimed>) -> Result<Vec<Self>, WireError> {
        if entries.len() > MAX_UNCLAIMED {
            return Err(WireError::new("unclaimed", "there are too many"));
        }
        entries.into_iter().map(TryInto::try_into).collect()
    }
}
