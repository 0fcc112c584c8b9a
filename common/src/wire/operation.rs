//! Operations, selectors and plans, both ways.

use std::time::Duration;

use extend_proto::v1;

use super::{
    WireError, optional, optional_ms, optional_time, parse, parse_optional, required, shown_text,
    time,
};
use crate::checkup::{Accepted, Check};
use crate::operation::{
    Operation, PhaseEntry, PlannedTarget, Selector, Strategy, Target, TargetState, Verb,
};
use crate::status::{Difference, Phase};

/// A selector cannot name more nodes than a fleet has.
const MAX_NODES: usize = 10_000;

impl From<Selector> for v1::Selector {
    fn from(selector: Selector) -> Self {
        Self {
            role: optional(selector.role.as_ref()),
            nodes: selector.nodes.iter().map(ToString::to_string).collect(),
            name: optional(selector.name.as_ref()),
        }
    }
}

impl TryFrom<v1::Selector> for Selector {
    type Error = WireError;

    fn try_from(selector: v1::Selector) -> Result<Self, WireError> {
        if selector.nodes.len() > MAX_NODES {
            return Err(WireError::new("nodes", "there are too many"));
        }
        let nodes: Result<Vec<_>, _> = selector
            .nodes
            .iter()
            .map(|node| parse("nodes", node))
            .collect();
        Ok(Self {
            role: parse_optional("role", &selector.role)?,
            nodes: nodes?,
            name: parse_optional("name", &selector.name)?,
        })
    }
}

impl From<Target> for v1::Target {
    fn from(target: Target) -> Self {
        let entry = |entry: &PhaseEntry| v1::PhaseEntry {
            phase: entry.phase.to_wire(),
            at_ms: entry.at.as_millisecond(),
        };
        Self {
            node: target.node.to_string(),
            name: target.name.to_string(),
            role: target.role.to_string(),
            state: target.state.to_wire(),
            detail: target.detail,
            reason: target.reason,
            evidence: target.evidence.map(Into::into),
            stamp: target.stamp.map(Into::into),
            begun_ms: optional_ms(target.begun),
            ended_ms: optional_ms(target.ended),
            phases: target.phases.iter().map(entry).collect(),
            summary: target.summary,
            image_before: target.image_before,
            image_after: target.image_after,
            late: target.late,
            warning: target.warning,
            identity_before: target.identity_before,
            identity_after: target.identity_after,
            wave: target.wave,
        }
    }
}

impl TryFrom<v1::Target> for Target {
    type Error = WireError;

    fn try_from(target: v1::Target) -> Result<Self, WireError> {
        let entry = |entry: v1::PhaseEntry| {
            Ok::<_, WireError>(PhaseEntry {
                phase: Phase::from_wire(entry.phase)?,
                at: time("at_ms", entry.at_ms)?,
            })
        };
        let phases: Result<Vec<_>, _> = target.phases.into_iter().map(entry).collect();
        Ok(Self {
            node: parse("node", &target.node)?,
            name: parse("name", &target.name)?,
            role: parse("role", &target.role)?,
            state: TargetState::from_wire(target.state)?,
            detail: target.detail,
            reason: target.reason,
            evidence: target.evidence.map(Into::into),
            stamp: target.stamp.map(Into::into),
            begun: optional_time("begun_ms", target.begun_ms)?,
            ended: optional_time("ended_ms", target.ended_ms)?,
            phases: phases?,
            summary: target.summary,
            image_before: target.image_before,
            image_after: target.image_after,
            late: target.late,
            warning: target.warning,
            identity_before: target.identity_before,
            identity_after: target.identity_after,
            wave: target.wave,
        })
    }
}

/// Seconds as they travel; a part of one counts as a whole, so that it does not become none.
pub fn whole_seconds(duration: Duration) -> u32 {
    let whole = duration.as_secs() + u64::from(duration.subsec_nanos() > 0);
    u32::try_from(whole).unwrap_or(u32::MAX)
}

impl From<Strategy> for v1::Strategy {
    fn from(strategy: Strategy) -> Self {
        Self {
            max_unavailable: optional(strategy.max_unavailable.as_ref()),
            canary: strategy.canary,
            bake_seconds: whole_seconds(strategy.bake),
            max_failures: strategy.max_failures,
            serial: strategy.serial,
        }
    }
}

impl TryFrom<v1::Strategy> for Strategy {
    type Error = WireError;

    fn try_from(strategy: v1::Strategy) -> Result<Self, WireError> {
        let bake = match strategy.bake_seconds {
            0 => Self::DEFAULT_BAKE,
            seconds => Duration::from_secs(seconds.into()),
        };
        Ok(Self {
            max_unavailable: parse_optional("max_unavailable", &strategy.max_unavailable)?,
            canary: strategy.canary,
            bake,
            max_failures: strategy.max_failures,
            serial: strategy.serial,
        })
    }
}

impl From<Operation> for v1::Operation {
    fn from(operation: Operation) -> Self {
        Self {
            id: operation.id.to_string(),
            verb: operation.verb.to_wire(),
            selector: Some(operation.selector.into()),
            by: operation.by,
            from: optional(operation.from.as_ref()),
            message: operation.message,
            begun_ms: operation.begun.as_millisecond(),
            ended_ms: optional_ms(operation.ended),
            deadline_ms: operation.deadline.as_millisecond(),
            strategy: Some(operation.strategy.into()),
            drain_seconds: operation.drain.map_or(0, whole_seconds),
            retry_of: optional(operation.retry_of.as_ref()),
            note: operation.note,
            next_steps: operation.next_steps,
            accepted: operation.accepted.into_iter().map(Into::into).collect(),
            targets: operation.targets.into_iter().map(Into::into).collect(),
        }
    }
}

impl TryFrom<v1::Operation> for Operation {
    type Error = WireError;

    fn try_from(operation: v1::Operation) -> Result<Self, WireError> {
        let targets: Result<Vec<_>, _> = operation
            .targets
            .into_iter()
            .map(TryInto::try_into)
            .collect();
        Ok(Self {
            id: parse("id", &operation.id)?,
            verb: Verb::from_wire(operation.verb)?,
            selector: required("selector", operation.selector)?.try_into()?,
            by: operation.by,
            from: parse_optional("from", &operation.from)?,
            message: shown_text(operation.message),
            begun: time("begun_ms", operation.begun_ms)?,
            ended: optional_time("ended_ms", operation.ended_ms)?,
            deadline: time("deadline_ms", operation.deadline_ms)?,
            strategy: operation.strategy.unwrap_or_default().try_into()?,
            drain: Some(operation.drain_seconds)
                .filter(|seconds| *seconds > 0)
                .map(|seconds| Duration::from_secs(seconds.into())),
            retry_of: parse_optional("retry_of", &operation.retry_of)?,
            note: shown_text(operation.note),
            next_steps: operation.next_steps.into_iter().map(shown_text).collect(),
            accepted: Accepted::list(operation.accepted)?,
            targets: targets?,
        })
    }
}

impl From<PlannedTarget> for v1::PlannedTarget {
    fn from(planned: PlannedTarget) -> Self {
        Self {
            node: planned.node.to_string(),
            name: planned.name.to_string(),
            role: planned.role.to_string(),
            already_so: planned.already_so,
            summary: planned.summary,
            image_before: planned.image_before,
            image_after: planned.image_after,
            identity_before: planned.identity_before,
            identity_after: planned.identity_after,
            warning: planned.warning,
            wave: planned.wave,
            canary: planned.canary,
            host_changes: planned.host_changes,
            differences: planned.differences.into_iter().map(Into::into).collect(),
            checks: planned.checks.into_iter().map(Into::into).collect(),
        }
    }
}

impl TryFrom<v1::PlannedTarget> for PlannedTarget {
    type Error = WireError;

    fn try_from(planned: v1::PlannedTarget) -> Result<Self, WireError> {
        Ok(Self {
            node: parse("node", &planned.node)?,
            name: parse("name", &planned.name)?,
            role: parse("role", &planned.role)?,
            already_so: planned.already_so,
            summary: planned.summary,
            image_before: planned.image_before,
            image_after: planned.image_after,
            identity_before: planned.identity_before,
            identity_after: planned.identity_after,
            warning: planned.warning,
            wave: planned.wave,
            canary: planned.canary,
            host_changes: planned.host_changes,
            differences: Difference::list(planned.differences),
            checks: Check::list(planned.checks),
        })
    }
}
