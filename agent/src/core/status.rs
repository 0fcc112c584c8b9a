//! What is told of the server: its health in one word and a reason, from what is known.

use extend_common::record::RunState;
use extend_common::status::{
    ContainerState, ContainerStatus, Health, OutcomeKind, Phase, ServerStatus,
};
use jiff::Timestamp;

use super::health::Verdict;
use super::plan::{Decision, View, ending_words};
use super::restart::{self, Allowance};
use crate::docker::Container;

/// Health and the reason for it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Condition {
    /// In one word.
    pub health: Health,
    /// Why.
    pub reason: String,
}

impl Condition {
    fn new(health: Health, reason: impl Into<String>) -> Self {
        Self {
            health,
            reason: reason.into(),
        }
    }

    /// Nothing can be seen: Docker does not answer.
    pub fn unknown(reason: impl Into<String>) -> Self {
        Self::new(Health::Unknown, reason)
    }
}

/// Tells how the server is.
pub fn condition(view: &View<'_>, decision: &Decision, now: Timestamp) -> Condition {
    let should_run = view.entry.record.desired.run_state == RunState::Running;
    let current = view
        .observed
        .current
        .as_ref()
        .filter(|c| view.owner.owns(c));
    let Some(current) = current else {
        return match (should_run, decision.phase) {
            (true, Phase::Settled) => Condition::new(Health::Unhealthy, "it has no container"),
            (true, _) => Condition::new(Health::Starting, decision.detail.clone()),
            (false, _) => Condition::new(Health::Stopped, ""),
        };
    };
    match current.state {
        ContainerState::Running => running(view, should_run),
        ContainerState::Restarting => Condition::new(
            Health::Unhealthy,
            format!("{}, again and again", ending_words(current)),
        ),
        ContainerState::Paused => Condition::new(Health::Unhealthy, "it was paused by hand"),
        _ if !should_run => Condition::new(Health::Stopped, ""),
        _ if decision.phase != Phase::Settled => {
            Condition::new(Health::Starting, decision.detail.clone())
        }
        _ => ended(view, current, now),
    }
}

fn running(view: &View<'_>, should_run: bool) -> Condition {
    if !should_run {
        return Condition::new(Health::Healthy, "it is about to stop");
    }
    match view.verdict {
        Verdict::Healthy => Condition::new(Health::Healthy, ""),
        Verdict::Starting => Condition::new(Health::Starting, ""),
        Verdict::NotProven => Condition::new(
            Health::Starting,
            "not proven: it runs, and no port has answered yet",
        ),
        Verdict::Unhealthy(why) => Condition::new(Health::Unhealthy, why.clone()),
    }
}

fn ended(view: &View<'_>, current: &Container, now: Timestamp) -> Condition {
    let exhausted = matches!(
        restart::allowance(&view.entry.restarts, now),
        Allowance::Exhausted(_)
    );
    let failed = view
        .entry
        .outcome
        .as_ref()
        .is_some_and(|o| o.kind == OutcomeKind::Failed);
    let health = if exhausted && !failed {
        Health::Quarantined
    } else {
        Health::Unhealthy
    };
    Condition::new(health, ending_words(current))
}

/// Puts everything that is told of the server together.
pub fn status(
    view: &View<'_>,
    decision: &Decision,
    condition: Condition,
    since: Timestamp,
    data_directory: String,
) -> ServerStatus {
    let entry = view.entry;
    let current = view
        .observed
        .current
        .as_ref()
        .filter(|c| view.owner.owns(c));
    ServerStatus {
        record: entry.record.id,
        name: entry.record.desired.name.clone(),
        role: entry.record.desired.role.clone(),
        health: condition.health,
        reason: condition.reason,
        since,
        phase: if entry.outcome.is_some() {
            Phase::Settled
        } else {
            decision.phase
        },
        detail: decision.detail.clone(),
        outcome: entry.outcome.clone(),
        current: current.map(container_status),
        serving: entry.serving.as_ref().map(|serving| serving.deployment),
        serving_image: entry.serving.as_ref().map(|serving| serving.image.clone()),
        data_directory,
        data_bytes: entry.data_bytes,
        agent_restarts: entry.restarts_total,
    }
}

fn container_status(container: &Container) -> ContainerStatus {
    ContainerStatus {
        name: container.name.clone(),
        instance: container.instance(),
        state: container.state,
        docker_restarts: container.restart_count,
        exit_code: (!container.state.is_live() && container.state != ContainerState::Created)
            .then_some(container.exit_code),
    }
}
