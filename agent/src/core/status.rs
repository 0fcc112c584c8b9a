//! What is told of the server: its health in one word and a reason, from what is known.

use std::time::Duration;

use extend_common::clock::since;
use extend_common::record::RunState;
use extend_common::status::{
    ContainerState, ContainerStatus, Health, Phase, ServerStatus, Spared, StagedImage,
};
use jiff::Timestamp;

use super::entry::{Ailment, Entry, Quarantine};
use super::health::Verdict;
use super::plan::{Decision, View, ending_words};
use super::restart::BUDGET;
use crate::docker::Container;
use crate::sessions::Tally;

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
    let should_run = view.entry.run_state() == RunState::Running;
    let current = view
        .observed
        .current
        .as_ref()
        .filter(|c| view.owner.owns(c));
    let is_settled = decision.phase == Phase::Settled || view.is_settled();
    let Some(current) = current else {
        return match (should_run, is_settled) {
            (true, true) => Condition::new(Health::Unhealthy, refused(view, "it has no container")),
            (true, false) => Condition::new(Health::Starting, decision.detail.clone()),
            (false, _) => Condition::new(Health::Stopped, ""),
        };
    };
    match current.state {
        ContainerState::Running => running(view, should_run, now),
        ContainerState::Restarting => Condition::new(
            Health::Unhealthy,
            match current.restart_count {
                0..=2 => format!("{}; Docker starts it again", ending_words(current)),
                _ => format!("{}, again and again", ending_words(current)),
            },
        ),
        ContainerState::Paused => Condition::new(Health::Unhealthy, "it was paused by hand"),
        _ if !should_run => Condition::new(Health::Stopped, ""),
        _ if !is_settled => Condition::new(Health::Starting, decision.detail.clone()),
        _ => ended(view, current),
    }
}

fn running(view: &View<'_>, should_run: bool, now: Timestamp) -> Condition {
    if !should_run {
        return Condition::new(Health::Healthy, "it is about to stop");
    }
    if let Some(quarantine) = &view.entry.quarantine {
        return quarantined(view, quarantine);
    }
    if let Some(why) = view.ailment(now) {
        return Condition::new(Health::Unhealthy, with_restraint(view, why, now));
    }
    let or_draining = |health| {
        if view.is_held() || view.signs.draining.is_some() {
            Health::Draining
        } else {
            health
        }
    };
    match view.verdict {
        Verdict::Healthy => match view.lack(now) {
            None => Condition::new(or_draining(Health::Healthy), healed(view, now)),
            Some((Health::Unhealthy, why)) => {
                let healed = healed(view, now);
                let done = if healed.is_empty() { "" } else { "; " };
                Condition::new(Health::Unhealthy, format!("{why}{done}{healed}"))
            }
            Some((health, why)) => Condition::new(or_draining(health), why),
        },
        Verdict::Starting => Condition::new(or_draining(Health::Starting), ""),
        Verdict::NotProven => Condition::new(
            or_draining(Health::Starting),
            "not proven: it runs, and no port has answered yet",
        ),
        Verdict::Unhealthy(why) => Condition::new(Health::Unhealthy, why.clone()),
    }
}

/// Why it is not restarted, where it would be. Words that stay the same for as long as that is so.
fn with_restraint(view: &View<'_>, why: String, now: Timestamp) -> String {
    if let Some(hold) = view.hold.filter(|hold| now < hold.until) {
        return format!("{why}; restarts are held: {}", hold.reason);
    }
    match view.spared().filter(|spared| now < spared.until) {
        Some(spared) => format!(
            "{why}; it carries calls, and is left alone until {} at most",
            spared.until.strftime("%H:%M:%S UTC")
        ),
        None => why,
    }
}

fn ended(view: &View<'_>, current: &Container) -> Condition {
    match &view.entry.quarantine {
        Some(quarantine) => quarantined(view, quarantine),
        None => Condition::new(Health::Unhealthy, refused(view, &ending_words(current))),
    }
}

/// What is the matter, and what is in the way of mending it.
fn refused(view: &View<'_>, words: &str) -> String {
    match view.trouble {
        Some(trouble) => format!("{words}: {}", trouble.reason),
        None => words.to_owned(),
    }
}

fn quarantined(view: &View<'_>, quarantine: &Quarantine) -> Condition {
    let words = if *view.verdict == Verdict::Healthy {
        "it answers again; after ten healthy minutes the quarantine is over".to_owned()
    } else {
        format!(
            "restarted {BUDGET} times in 10 minutes, and still: {}",
            quarantine.reason
        )
    };
    Condition::new(Health::Quarantined, words)
}

/// What was mended is told for a day.
const TELL_HEALED: Duration = Duration::from_secs(24 * 60 * 60);

/// What the agent or Docker mended, so that a healthy server does not hide it.
fn healed(view: &View<'_>, now: Timestamp) -> String {
    let entry = view.entry;
    let is_recent = |at: &Timestamp| since(*at, now) < TELL_HEALED;
    let by_agent = entry.restarts.last().copied().filter(is_recent);
    let incident = entry
        .incident
        .as_ref()
        .filter(|i| is_recent(&i.at) && i.in_a_row > 0);
    match (by_agent, incident) {
        (Some(at), Some(incident)) if at >= incident.at => {
            format!("restarted by the agent: {}", incident.reason)
        }
        (_, Some(incident)) if incident.ailment == Ailment::Ended => {
            format!("started again by Docker: {}", incident.reason)
        }
        (Some(_), _) => "restarted by the agent".to_owned(),
        (None, _) => String::new(),
    }
}

/// What is told of a server whose role this node does not know (any more).
pub fn undefined(entry: &Entry, since: Timestamp) -> ServerStatus {
    let desired = &entry.record.desired;
    ServerStatus {
        record: entry.record.id,
        name: desired.name.clone(),
        role: desired.role.clone(),
        health: Health::Unknown,
        reason: undefined_words(entry),
        since,
        phase: Phase::Settled,
        detail: String::new(),
        outcome: entry.outcome.clone(),
        current: None,
        serving: entry.serving.as_ref().map(|serving| serving.deployment),
        serving_image: entry.serving.as_ref().map(|serving| serving.image.clone()),
        data_directory: String::new(),
        data_bytes: None,
        agent_restarts: entry.restarts_total,
        proven: entry.serving.as_ref().is_some_and(|serving| serving.proven),
        staged: None,
        previous_image: entry.previous.clone(),
        sessions: None,
        failing: None,
        warnings: Vec::new(),
        spared: None,
    }
}

/// Why nothing can be done for such a server.
pub fn undefined_words(entry: &Entry) -> String {
    format!(
        "this node has no definition of the role {}: put its file back and restart the agent",
        entry.record.desired.role
    )
}

/// Puts everything that is told of the server together.
pub fn status(
    view: &View<'_>,
    decision: &Decision,
    condition: Condition,
    (since, now): (Timestamp, Timestamp),
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
        proven: entry.serving.as_ref().is_some_and(|serving| serving.proven),
        staged: entry.staged.as_ref().map(|staged| StagedImage {
            image: staged.image.clone(),
            unchanged: view.would_find_nothing_to_change(staged),
        }),
        previous_image: entry.previous.clone(),
        sessions: view.is_draining().then(|| {
            let counted = view.sessions.cloned();
            counted.unwrap_or_else(Tally::begun).count
        }),
        failing: view.signs.failing.clone(),
        warnings: view.warnings(now),
        spared: spared(view),
    }
}

fn spared(view: &View<'_>) -> Option<Spared> {
    let spared = view.spared()?;
    Some(Spared {
        since: spared.since,
        until: spared.until,
    })
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
