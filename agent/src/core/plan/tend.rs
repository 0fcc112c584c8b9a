//! What the agent does by itself for a server that should run, once its record has come to its
//! end: notes how a run failed, restarts what hangs, starts what lies still, within its budget.
//!
//! ```text
//!   ended or hangs ── witness: evidence to the ledger ── allowed? ── stop and start, or start
//!                                                      ├ too soon ── wait
//!                                                      └ budget spent ── quarantine
//!   quarantine ── ten healthy minutes, or an operator's record ── over
//! ```
//!
//! Never while a record is being carried out: then the operation decides.

use std::time::Duration;

use extend_common::clock::{after, since};
use extend_common::record::RunState;
use extend_common::roles::RestartPolicy;
use extend_common::status::{ContainerState, OutcomeKind, Phase};
use jiff::Timestamp;

use super::{Decision, View, ending_words};
use crate::core::entry::Ailment;
use crate::core::health::Verdict;
use crate::core::restart::{self, Allowance, BUDGET, BUDGET_WINDOW, RELEASE_AFTER};
use crate::core::step::Step;
use crate::docker::{Container, Death};

/// A container that runs: none when there is nothing to do about it.
pub(super) fn living(view: &View<'_>, current: &Container, now: Timestamp) -> Option<Decision> {
    if let Some(step) = unwitnessed_restart(view, current) {
        return Some(Decision::step(step, Phase::Settled, ""));
    }
    if view.is_spared_in_vain(current, now) {
        let step = Step::Unspare;
        return Some(Decision::step(step, Phase::Settled, ""));
    }
    match (view.ailment(now), &view.entry.quarantine) {
        (Some(_), Some(_)) => Some(settled(None, "")),
        (Some(why), None) => Some(heal(view, current, &why, now)),
        (None, Some(_)) => Some(release(view, current, now)),
        (None, None) => view.silent_until().map(|at| settled(Some(at), "")),
    }
}

/// A container that does not run: none when it is to be started now.
pub(super) fn lying(view: &View<'_>, current: &Container, now: Timestamp) -> Option<Decision> {
    if is_begun(view, current) {
        return None;
    }
    if view.entry.quarantine.is_none() && !is_witnessed(view, current, Ailment::Ended) {
        let step = witness(view, current, Ailment::Ended, lying_words(current));
        return Some(Decision::step(step, Phase::Settled, ""));
    }
    may_act(view, &lying_words(current), now)
}

/// Why it lies still. Docker starts again what ends by itself, and leaves what it was told to
/// stop.
fn lying_words(current: &Container) -> String {
    if current.state == ContainerState::Created && current.error.is_empty() {
        return format!("{} was gone and has been made again", current.name);
    }
    let ended = current.state == ContainerState::Exited;
    let by_hand = ended && current.policy != RestartPolicy::No && current.error.is_empty();
    if !by_hand || current.oom_killed {
        return ending_words(current);
    }
    format!(
        "{} was stopped by hand (exit code {})",
        current.name, current.exit_code
    )
}

/// Whether its start belongs to a restart that was begun: the agent ended it to start it again,
/// or a start was begun that has had no effect.
pub(super) fn is_begun(view: &View<'_>, current: &Container) -> bool {
    let entry = view.entry;
    let attempt = entry.attempt.as_ref();
    let attempt = attempt.filter(|attempt| attempt.stamp == entry.record.id.stamp);
    let run = Some(current.instance());
    run.as_ref() == entry.healing.as_ref() || run.as_ref() == attempt.map(|a| &a.before)
}

/// Nothing bears the official name: none when it is to be made again now.
pub(super) fn missing(view: &View<'_>, now: Timestamp) -> Option<Decision> {
    if view.run_state() != RunState::Running {
        return Some(settled(None, ""));
    }
    may_act(view, "its container was removed", now)
}

/// Whether the agent looks after a server whose record failed: only when what the record wants
/// is what there is. Everything else waits for the operator's next word.
pub(super) fn is_for(view: &View<'_>) -> bool {
    let entry = view.entry;
    let serves = entry
        .serving
        .as_ref()
        .is_some_and(|serving| serving.deployment == view.desired().deployment);
    serves && entry.spent.is_none() && view.run_state() == RunState::Running
}

/// It hangs: it is asked to end, and started when it has.
fn heal(view: &View<'_>, current: &Container, why: &str, now: Timestamp) -> Decision {
    if !is_witnessed(view, current, Ailment::Hangs) {
        let step = witness(view, current, Ailment::Hangs, why.to_owned());
        return Decision::step(step, Phase::Settled, "");
    }
    // Restarts that come so seldom would go on for ever: one that does not open its ports any
    // more is better left to people than cut off again and again.
    let in_a_row = view.entry.incident.as_ref().map_or(0, |i| i.in_a_row);
    let is_futile = usize::try_from(in_a_row).is_ok_and(|count| count > BUDGET);
    if *view.verdict == Verdict::NotProven && is_futile && view.entry.quarantine.is_none() {
        let reason = why.to_owned();
        let step = Step::Quarantine { reason };
        return Decision::step(step, Phase::Settled, "restarts do not help");
    }
    if view.is_being_drained() {
        return settled(None, "its sessions are waited for");
    }
    may_act(view, why, now)
        .or_else(|| super::spare::restraint(view, current, now))
        .unwrap_or_else(|| view.signal(current, view.timing.short_grace, now, Some(now)))
}

/// None when the agent may act at once.
fn may_act(view: &View<'_>, why: &str, now: Timestamp) -> Option<Decision> {
    if view.entry.quarantine.is_some() {
        return Some(settled(None, ""));
    }
    match restart::allowance(&view.entry.restarts, now) {
        Allowance::Now => None,
        Allowance::NotBefore(at) => Some(settled(Some(at), "waiting before it is started again")),
        Allowance::Exhausted => {
            let reason = why.to_owned();
            Some(Decision::step(
                Step::Quarantine { reason },
                Phase::Settled,
                "restarted too often",
            ))
        }
    }
}

/// It answers, or never has and runs all the same: after ten minutes of it the quarantine is over.
fn release(view: &View<'_>, current: &Container, now: Timestamp) -> Decision {
    let is_well = match view.verdict {
        Verdict::Healthy => true,
        Verdict::Starting | Verdict::NotProven => !view.is_proven() && current.is_up(),
        Verdict::Unhealthy(_) => false,
    };
    if !is_well {
        return settled(view.silent_until(), "");
    }
    let over = after(view.verdict_since, RELEASE_AFTER);
    if now < over {
        return settled(Some(over), "");
    }
    Decision::step(Step::Release, Phase::Settled, "healthy for ten minutes")
}

/// Docker's policy has started it again, and how it ended is not written yet.
fn unwitnessed_restart(view: &View<'_>, current: &Container) -> Option<Step> {
    let known = view.entry.incident.as_ref().is_some_and(|incident| {
        incident.instance.container_id == current.id
            && incident.restart_count == current.restart_count
    });
    let adopted = view.owner.adopted(current);
    let before_us = adopted.is_some_and(|a| current.restart_count <= a.restart_count);
    if current.restart_count == 0 || known || before_us {
        return None;
    }
    let death = view.death.filter(|death| death.container_id == current.id);
    let reason = match death {
        Some(death) => ending_words(&as_it_died(current, death)),
        None if !current.is_up() => ending_words(current),
        None => format!("{} ended; how was not seen", current.name),
    };
    let mut step = witness(view, current, Ailment::Ended, reason);
    if let Step::Witness { death: held, .. } = &mut step {
        *held = death.cloned();
    }
    Some(step)
}

fn as_it_died(current: &Container, death: &Death) -> Container {
    Container {
        exit_code: death.exit_code,
        oom_killed: death.oom_killed,
        error: String::new(),
        ..current.clone()
    }
}

/// Whether this failure of this run is in the ledger.
fn is_witnessed(view: &View<'_>, current: &Container, ailment: Ailment) -> bool {
    let incident = view.entry.incident.as_ref();
    incident.is_some_and(|incident| {
        // One that has recovered and hangs again is looked at again.
        let of_this_bout = ailment == Ailment::Ended || incident.at >= view.verdict_since;
        incident.instance == current.instance() && incident.ailment == ailment && of_this_bout
    })
}

fn witness(view: &View<'_>, current: &Container, ailment: Ailment, reason: String) -> Step {
    let death = view.death.filter(|death| death.container_id == current.id);
    Step::Witness {
        ailment,
        instance: current.instance(),
        restart_count: current.restart_count,
        reason,
        death: death.filter(|_| ailment == Ailment::Ended).cloned(),
    }
}

fn settled(until: Option<Timestamp>, words: &str) -> Decision {
    Decision::wait(until, Phase::Settled, words)
}

impl View<'_> {
    /// Why a run that should answer is taken to hang, if it is. What Docker is about to start
    /// again has ended, and does not hang.
    pub(crate) fn ailment(&self, now: Timestamp) -> Option<String> {
        self.current().filter(|current| current.is_up())?;
        if let Verdict::Unhealthy(why) = self.verdict {
            return Some(why.clone());
        }
        let silent = self.silent_until().is_some_and(|at| at <= now);
        silent.then(|| {
            let window = extend_common::duration::show(self.patience());
            format!("no port has answered for {window} since it was started")
        })
    }

    /// A service that has answered before must do so again: until when it may be silent. None
    /// when it answers, or never has.
    fn silent_until(&self) -> Option<Timestamp> {
        let silent = *self.verdict == Verdict::NotProven && self.is_proven();
        silent.then(|| after(self.seen, self.patience()))
    }

    /// Whether the container that serves has ever answered.
    fn is_proven(&self) -> bool {
        self.entry.serving.as_ref().is_some_and(|s| s.proven)
    }

    /// How long a started service may be silent: the start window, doubled with each restart that
    /// has not helped. One that starts slowly for once is not kept from starting at all.
    fn patience(&self) -> Duration {
        let recent = |at: &&Timestamp| since(**at, self.seen) < BUDGET_WINDOW;
        let restarts = self.entry.restarts.iter().filter(recent).count();
        let factor = 1_u32 << restarts.min(BUDGET);
        self.timing.start_window.saturating_mul(factor)
    }

    /// Whether the record has come to its end and the agent is on its own.
    pub(super) fn is_tended(&self) -> bool {
        // That an image could not be fetched ahead says nothing of what serves.
        let is_ahead = self.desired().staged.is_some();
        let failed = |kind| kind == OutcomeKind::Failed && !is_ahead;
        match &self.entry.outcome {
            Some(outcome) if failed(outcome.kind) => is_for(self),
            Some(_) => true,
            None => self.is_settled(),
        }
    }
}
