//! Records, both ways.

use extend_proto::v1;

use super::{WireError, clipped, fixed, optional, parse, parse_optional, required, shown_text};
use crate::record::{
    Deployment, Desired, Drain, ImageRequest, Instance, Parameters, PullPolicy, RecordHash,
    RecordId, RunState, SecretVersion, ServerRecord, Stamp,
};
use crate::roles::Digest;

/// Image references are this long at most (Docker's own bound is 255 for the name).
const MAX_REFERENCE: usize = 512;
/// Versions are this long at most, in labels too.
const MAX_VERSION: usize = 64;
/// A record names no more secrets than any role has.
const MAX_SECRETS: usize = 16;
/// Docker's ids have 64 characters.
const MAX_CONTAINER_ID: usize = 128;

impl From<Stamp> for v1::Stamp {
    fn from(stamp: Stamp) -> Self {
        Self {
            epoch: stamp.epoch,
            generation: stamp.generation,
        }
    }
}

impl From<v1::Stamp> for Stamp {
    fn from(stamp: v1::Stamp) -> Self {
        Self {
            epoch: stamp.epoch,
            generation: stamp.generation,
        }
    }
}

impl From<RecordId> for v1::RecordId {
    fn from(id: RecordId) -> Self {
        Self {
            stamp: Some(id.stamp.into()),
            hash: id.hash.0.to_vec(),
        }
    }
}

impl TryFrom<v1::RecordId> for RecordId {
    type Error = WireError;

    fn try_from(id: v1::RecordId) -> Result<Self, WireError> {
        Ok(Self {
            stamp: required("stamp", id.stamp)?.into(),
            hash: RecordHash(fixed("hash", &id.hash)?),
        })
    }
}

impl From<Instance> for v1::Instance {
    fn from(instance: Instance) -> Self {
        Self {
            container_id: instance.container_id,
            started_at: instance.started_at,
        }
    }
}

impl From<v1::Instance> for Instance {
    fn from(instance: v1::Instance) -> Self {
        Self {
            container_id: shown_text(clipped(instance.container_id, 128)),
            started_at: shown_text(clipped(instance.started_at, 64)),
        }
    }
}

impl From<ImageRequest> for v1::ImageRequest {
    fn from(image: ImageRequest) -> Self {
        Self {
            reference: image.reference,
            pull: image.pull.to_wire(),
            allow_older: image.allow_older,
            pin: image.pin.unwrap_or_default(),
            newest: image.newest.unwrap_or_default(),
        }
    }
}

impl TryFrom<v1::ImageRequest> for ImageRequest {
    type Error = WireError;

    fn try_from(image: v1::ImageRequest) -> Result<Self, WireError> {
        if image.reference.is_empty() || image.reference.len() > MAX_REFERENCE {
            return Err(WireError::new("reference", "it is empty or too long"));
        }
        if image.pin.len() > MAX_REFERENCE {
            return Err(WireError::new("pin", "it is too long"));
        }
        if image.newest.len() > MAX_VERSION {
            return Err(WireError::new("newest", "it is too long"));
        }
        Ok(Self {
            pull: PullPolicy::from_wire(image.pull)?,
            reference: image.reference,
            allow_older: image.allow_older,
            pin: Some(image.pin).filter(|pin| !pin.is_empty()),
            newest: Some(image.newest).filter(|newest| !newest.is_empty()),
        })
    }
}

impl From<Drain> for Option<v1::Drain> {
    fn from(drain: Drain) -> Self {
        let (mode, limit_seconds) = match drain {
            Drain::Off => return None,
            Drain::First { limit_seconds } => (v1::DrainMode::First, limit_seconds),
            Drain::Hold { limit_seconds } => (v1::DrainMode::Hold, limit_seconds),
        };
        Some(v1::Drain {
            mode: mode.into(),
            limit_seconds,
        })
    }
}

impl TryFrom<Option<v1::Drain>> for Drain {
    type Error = WireError;

    fn try_from(drain: Option<v1::Drain>) -> Result<Self, WireError> {
        let Some(drain) = drain else {
            return Ok(Self::Off);
        };
        let limit_seconds = drain.limit_seconds;
        match v1::DrainMode::try_from(drain.mode) {
            Ok(v1::DrainMode::First) => Ok(Self::First { limit_seconds }),
            Ok(v1::DrainMode::Hold) => Ok(Self::Hold { limit_seconds }),
            // Not knowing how to wait must not become not waiting.
            Ok(v1::DrainMode::Unspecified) | Err(_) => {
                let number = drain.mode;
                Err(WireError::new("drain", format!("{number} is unknown here")))
            }
        }
    }
}

impl From<Parameters> for v1::Parameters {
    fn from(parameters: Parameters) -> Self {
        Self {
            pbx_address: parameters.pbx_address,
            public_address: optional(parameters.public_address.as_ref()),
        }
    }
}

impl TryFrom<v1::Parameters> for Parameters {
    type Error = WireError;

    fn try_from(parameters: v1::Parameters) -> Result<Self, WireError> {
        Ok(Self {
            pbx_address: clipped(parameters.pbx_address, 255),
            public_address: parse_optional("public_address", &parameters.public_address)?,
        })
    }
}

/// Docker's id of a container: nothing that could be taken for a name, a path or an option.
pub(super) fn container_id(field: &'static str, id: String) -> Result<String, WireError> {
    let is_id = !id.is_empty()
        && id.len() <= MAX_CONTAINER_ID
        && id.chars().all(|c| c.is_ascii_alphanumeric());
    match is_id {
        true => Ok(id),
        false => Err(WireError::new(field, "it is no container's id")),
    }
}

impl From<ServerRecord> for v1::ServerRecord {
    fn from(record: ServerRecord) -> Self {
        let desired = record.desired;
        let secret = |s: SecretVersion| v1::SecretVersion {
            name: s.name,
            version: s.version,
        };
        Self {
            id: Some(record.id.into()),
            node: desired.node.to_string(),
            name: desired.name.to_string(),
            role: desired.role.to_string(),
            definition_digest: desired.definition.to_string(),
            run_state: desired.run_state.to_wire(),
            deployment: desired.deployment.0,
            image: Some(desired.image.into()),
            parameters: Some(desired.parameters.into()),
            replace: desired.replace.map(Into::into),
            secrets: desired.secrets.into_iter().map(secret).collect(),
            operation: optional(desired.operation.as_ref()),
            adopted: desired.adopted.unwrap_or_default(),
            staged: desired.staged.map(Into::into),
            drain: desired.drain.into(),
        }
    }
}

impl TryFrom<v1::ServerRecord> for ServerRecord {
    type Error = WireError;

    fn try_from(record: v1::ServerRecord) -> Result<Self, WireError> {
        if record.secrets.len() > MAX_SECRETS {
            return Err(WireError::new("secrets", "there are too many"));
        }
        let secret = |s: v1::SecretVersion| SecretVersion {
            name: clipped(s.name, 64),
            version: s.version,
        };
        Ok(Self {
            id: required("id", record.id)?.try_into()?,
            desired: Desired {
                node: parse("node", &record.node)?,
                name: parse("name", &record.name)?,
                role: parse("role", &record.role)?,
                definition: Digest::try_from(record.definition_digest)
                    .map_err(|error| WireError::new("definition_digest", error))?,
                run_state: RunState::from_wire(record.run_state)?,
                deployment: Deployment(record.deployment),
                image: required("image", record.image)?.try_into()?,
                parameters: required("parameters", record.parameters)?.try_into()?,
                replace: record.replace.map(Into::into),
                secrets: record.secrets.into_iter().map(secret).collect(),
                operation: parse_optional("operation", &record.operation)?,
                adopted: Some(record.adopted)
                    .filter(|id| !id.is_empty())
                    .map(|id| container_id("adopted", id))
                    .transpose()?,
                staged: record.staged.map(TryInto::try_into).transpose()?,
                drain: record.drain.try_into()?,
            },
        })
    }
}
