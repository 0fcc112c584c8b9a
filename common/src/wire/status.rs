//! Statuses, both ways.

use extend_proto::v1;

use super::service::dump_file;
use super::{WireError, clipped, parse, required, shown_text, time};
use crate::record::Deployment;
use crate::status::{
    ContainerState, ContainerStatus, Evidence, Failing, Health, Outcome, OutcomeKind, Phase,
    ResolvedImage, ServerStatus, SessionCount, Spared, StagedImage, Warning, WarningKind,
};

/// Evidence holds so many lines of a container's output.
pub const MAX_LOG_LINES: usize = 20;
/// Evidence names so many crash dumps.
pub const MAX_DUMPS: usize = 5;
/// A line of evidence is cut here, in bytes.
const MAX_LOG_LINE: usize = 1024;

/// Cuts evidence to its bounds; the agent does so before it sends, the controller when it hears.
pub fn bounded_log_tail(lines: Vec<String>) -> Vec<String> {
    let skip = lines.len().saturating_sub(MAX_LOG_LINES);
    lines
        .into_iter()
        .skip(skip)
        .map(|line| shown_text(clipped(line, MAX_LOG_LINE)))
        .collect()
}

impl From<Evidence> for v1::Evidence {
    fn from(evidence: Evidence) -> Self {
        Self {
            container_id: evidence.container_id,
            exit_code: evidence.exit_code,
            oom_killed: evidence.oom_killed,
            log_tail: evidence.log_tail,
            health_output: evidence.health_output,
            dumps: evidence.dumps.into_iter().map(Into::into).collect(),
        }
    }
}

impl From<v1::Evidence> for Evidence {
    fn from(evidence: v1::Evidence) -> Self {
        Self {
            container_id: shown_text(clipped(evidence.container_id, 128)),
            exit_code: evidence.exit_code,
            oom_killed: evidence.oom_killed,
            log_tail: bounded_log_tail(evidence.log_tail),
            health_output: bounded_log_tail(evidence.health_output),
            dumps: evidence
                .dumps
                .into_iter()
                .take(MAX_DUMPS)
                .filter_map(dump_file)
                .collect(),
        }
    }
}

impl From<Outcome> for v1::Outcome {
    fn from(outcome: Outcome) -> Self {
        Self {
            kind: outcome.kind.to_wire(),
            reason: outcome.reason,
            evidence: outcome.evidence.map(Into::into),
            at_ms: outcome.at.as_millisecond(),
        }
    }
}

impl TryFrom<v1::Outcome> for Outcome {
    type Error = WireError;

    fn try_from(outcome: v1::Outcome) -> Result<Self, WireError> {
        Ok(Self {
            kind: OutcomeKind::from_wire(outcome.kind)?,
            reason: shown_text(outcome.reason),
            evidence: outcome.evidence.map(Into::into),
            at: time("at_ms", outcome.at_ms)?,
        })
    }
}

impl From<ResolvedImage> for v1::ResolvedImage {
    fn from(image: ResolvedImage) -> Self {
        Self {
            reference: image.reference,
            identity: image.identity,
            version: image.version,
        }
    }
}

impl From<v1::ResolvedImage> for ResolvedImage {
    fn from(image: v1::ResolvedImage) -> Self {
        Self {
            reference: shown_text(image.reference),
            identity: shown_text(image.identity),
            version: shown_text(image.version),
        }
    }
}

impl From<StagedImage> for v1::StagedImage {
    fn from(staged: StagedImage) -> Self {
        Self {
            image: Some(staged.image.into()),
            unchanged: staged.unchanged,
        }
    }
}

impl TryFrom<v1::StagedImage> for StagedImage {
    type Error = WireError;

    fn try_from(staged: v1::StagedImage) -> Result<Self, WireError> {
        Ok(Self {
            image: required("image", staged.image)?.into(),
            unchanged: staged.unchanged,
        })
    }
}

impl From<SessionCount> for v1::SessionCount {
    fn from(count: SessionCount) -> Self {
        Self {
            sessions: count.sessions,
            note: count.note,
        }
    }
}

impl From<v1::SessionCount> for SessionCount {
    fn from(count: v1::SessionCount) -> Self {
        Self {
            sessions: count.sessions,
            note: shown_text(count.note),
        }
    }
}

impl From<ContainerStatus> for v1::ContainerStatus {
    fn from(container: ContainerStatus) -> Self {
        Self {
            name: container.name,
            instance: Some(container.instance.into()),
            state: container.state.to_string(),
            docker_restarts: container.docker_restarts,
            exit_code: container.exit_code,
        }
    }
}

impl TryFrom<v1::ContainerStatus> for ContainerStatus {
    type Error = WireError;

    fn try_from(container: v1::ContainerStatus) -> Result<Self, WireError> {
        Ok(Self {
            name: shown_text(container.name),
            instance: required("instance", container.instance)?.into(),
            state: ContainerState::from_docker(&container.state)?,
            docker_restarts: container.docker_restarts,
            exit_code: container.exit_code,
        })
    }
}

impl From<ServerStatus> for v1::ServerStatus {
    fn from(status: ServerStatus) -> Self {
        Self {
            record: Some(status.record.into()),
            name: status.name.to_string(),
            role: status.role.to_string(),
            health: status.health.to_wire(),
            reason: status.reason,
            since_ms: status.since.as_millisecond(),
            phase: status.phase.to_wire(),
            detail: status.detail,
            outcome: status.outcome.map(Into::into),
            current: status.current.map(Into::into),
            serving: status.serving.map_or(0, |deployment| deployment.0),
            serving_image: status.serving_image.map(Into::into),
            data_directory: status.data_directory,
            data_bytes: status.data_bytes,
            agent_restarts: status.agent_restarts,
            proven: status.proven,
            staged: status.staged.map(Into::into),
            previous_image: status.previous_image.map(Into::into),
            sessions: status.sessions.map(Into::into),
            failing: status.failing.map(Into::into),
            warnings: status.warnings.into_iter().map(Into::into).collect(),
            spared: status.spared.map(Into::into),
        }
    }
}

impl TryFrom<v1::ServerStatus> for ServerStatus {
    type Error = WireError;

    fn try_from(status: v1::ServerStatus) -> Result<Self, WireError> {
        Ok(Self {
            record: required("record", status.record)?.try_into()?,
            name: parse("name", &status.name)?,
            role: parse("role", &status.role)?,
            health: Health::from_wire(status.health)?,
            reason: shown_text(status.reason),
            since: time("since_ms", status.since_ms)?,
            phase: Phase::from_wire(status.phase)?,
            detail: shown_text(status.detail),
            outcome: status.outcome.map(TryInto::try_into).transpose()?,
            current: status.current.map(TryInto::try_into).transpose()?,
            serving: Some(status.serving).filter(|n| *n > 0).map(Deployment),
            serving_image: status.serving_image.map(Into::into),
            data_directory: shown_text(status.data_directory),
            data_bytes: status.data_bytes,
            agent_restarts: status.agent_restarts,
            proven: status.proven,
            staged: status.staged.map(TryInto::try_into).transpose()?,
            previous_image: status.previous_image.map(Into::into),
            sessions: status.sessions.map(Into::into),
            failing: status.failing.map(TryInto::try_into).transpose()?,
            warnings: warnings(status.warnings),
            spared: status.spared.map(TryInto::try_into).transpose()?,
        })
    }
}

/// One of each kind is all there is to say, with a few ports.
const MAX_WARNINGS: usize = 16;

/// A kind that a newer agent knows is passed over: a warning is help, not a condition.
fn warnings(wire: Vec<v1::Warning>) -> Vec<Warning> {
    let known = wire.into_iter().take(MAX_WARNINGS);
    known
        .filter_map(|warning| warning.try_into().ok())
        .collect()
}

impl From<Failing> for v1::Failing {
    fn from(failing: Failing) -> Self {
        Self {
            since_ms: failing.since.as_millisecond(),
            reason: failing.reason,
        }
    }
}

impl TryFrom<v1::Failing> for Failing {
    type Error = WireError;

    fn try_from(failing: v1::Failing) -> Result<Self, WireError> {
        Ok(Self {
            since: time("since_ms", failing.since_ms)?,
            reason: shown_text(failing.reason),
        })
    }
}

impl From<Warning> for v1::Warning {
    fn from(warning: Warning) -> Self {
        Self {
            kind: warning.kind.to_wire(),
            reason: warning.reason,
            since_ms: warning.since.as_millisecond(),
        }
    }
}

impl TryFrom<v1::Warning> for Warning {
    type Error = WireError;

    fn try_from(warning: v1::Warning) -> Result<Self, WireError> {
        Ok(Self {
            kind: WarningKind::from_wire(warning.kind)?,
            reason: shown_text(warning.reason),
            since: time("since_ms", warning.since_ms)?,
        })
    }
}

impl From<Spared> for v1::Spared {
    fn from(spared: Spared) -> Self {
        Self {
            since_ms: spared.since.as_millisecond(),
            until_ms: spared.until.as_millisecond(),
        }
    }
}

impl TryFrom<v1::Spared> for Spared {
    type Error = WireError;

    fn try_from(spared: v1::Spared) -> Result<Self, WireError> {
        Ok(Self {
            since: time("since_ms", spared.since_ms)?,
            until: time("until_ms", spared.until_ms)?,
        })
    }
}
