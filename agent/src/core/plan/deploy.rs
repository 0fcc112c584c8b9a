//! A new deployment: everything that can fail without hurting the service comes first, the old
//! container stays until the new one has shown that it works, and a failure ends in `Spend`,
//! after which `serve` puts the old one back.

use extend_common::clock::after;
use extend_common::record::RunState;
use extend_common::roles::RestartPolicy;
use extend_common::status::{ContainerState, Phase};
use jiff::Timestamp;

use super::{Decision, View, drain, ending_words};
use crate::core::entry::Served;
use crate::core::health::Verdict;
use crate::core::observed::Place;
use crate::core::step::Step;
use crate::docker::Container;

pub(super) fn plan(view: &View<'_>, now: Timestamp, given_up: Option<&str>) -> Decision {
    let candidate = view.entry.candidate.as_ref();
    let of_candidate = |c: &&Container| candidate.is_some_and(|k| view.owner.made_by(c, k.made_by));
    let trial = view.current().filter(of_candidate);
    if let Some(reason) = given_up {
        return spend(reason, trial);
    }
    if let Some(foreign) = view.foreign() {
        return spend(&view.taken_by(foreign), None);
    }
    let Some(candidate) = candidate else {
        if let Some(recall) = view.recall() {
            return recall;
        }
        let step = Step::Resolve {
            first: view.entry.serving.is_none(),
        };
        let words = format!("fetching and checking {}", view.desired().image.reference);
        return Decision::step(step, Phase::Pulling, words);
    };
    if let Some(trial) = trial {
        return verify(view, trial, now);
    }
    if view.would_find_nothing_to_change(candidate) {
        let step = Step::Promote {
            unchanged: true,
            proven: view.entry.serving.as_ref().is_some_and(|s| s.proven),
            answered: view.answered_before().clone(),
        };
        return Decision::step(step, Phase::Verifying, "the image is the one that serves");
    }
    if let Some(decision) = make_room(view, now) {
        return decision;
    }
    let spec = Box::new(candidate.spec.clone());
    let words = format!("making {} from {}", view.official, candidate.image.version);
    Decision::step(Step::Create { spec }, Phase::Creating, words)
}

impl View<'_> {
    /// Whether image and container would be the same, and the service runs: a deployment would
    /// have nothing to do.
    pub(crate) fn would_find_nothing_to_change(&self, candidate: &Served) -> bool {
        let Some(serving) = &self.entry.serving else {
            return false;
        };
        let current = self.current();
        let Some(current) = current.filter(|c| self.owner.made_by(c, serving.made_by)) else {
            return false;
        };
        // One that was taken over is made anew the regular way, whatever its image.
        if self.owner.adopted(current).is_some() {
            return false;
        }
        let runs = current.state == ContainerState::Running
            && self.run_state() == RunState::Running
            && !matches!(self.verdict, Verdict::Unhealthy(_));
        let is_known = serving
            .recalled_for
            .is_none_or(|stamp| stamp == self.entry.record.id.stamp);
        let mut spec = candidate.spec.clone();
        spec.labels.clone_from(&serving.spec.labels);
        runs && is_known && spec == serving.spec
    }
}

/// Clears the official name: the serving container goes aside, leftovers go.
fn make_room(view: &View<'_>, now: Timestamp) -> Option<Decision> {
    let serving = view.entry.serving.as_ref();
    let serves = |c: &Container| serving.is_some_and(|s| view.owner.made_by(c, s.made_by));
    let remove = |c: &Container, now| {
        if c.state.is_live() {
            return view.end(c, view.timing.short_grace, now);
        }
        let step = Step::Remove { id: c.id.clone() };
        Decision::step(
            step,
            Phase::Preparing,
            format!("removing the old {}", c.name),
        )
    };
    if let Some(current) = view.current().filter(|c| serves(c) && c.state.is_live())
        && let Some(wait) = drain::first(view, current, now)
    {
        return Some(wait);
    }
    if let Some(failed) = view.failed() {
        return Some(remove(failed, now));
    }
    if let Some(previous) = view.previous().filter(|c| !serves(c)) {
        return Some(remove(previous, now));
    }
    let current = view.current()?;
    if !serves(current) {
        return Some(remove(current, now));
    }
    if current.state.is_live() {
        return Some(view.end(current, view.grace(now), now));
    }
    if current.policy != RestartPolicy::No {
        let step = Step::SetPolicy {
            id: current.id.clone(),
            policy: RestartPolicy::No,
        };
        return Some(Decision::step(
            step,
            Phase::Stopping,
            "putting the old container aside",
        ));
    }
    let step = Step::Rename {
        id: current.id.clone(),
        to: Place::Previous,
    };
    Some(Decision::step(
        step,
        Phase::Creating,
        "putting the old container aside",
    ))
}

/// The new container is there: it is started, watched, and taken or given up.
fn verify(view: &View<'_>, trial: &Container, now: Timestamp) -> Decision {
    let promote = |proven, words: &str| {
        let answered = match proven {
            true => view.prompt(trial),
            // It is to answer there once it runs.
            false => view.answered_before().clone(),
        };
        Decision::step(
            Step::Promote {
                unchanged: false,
                proven,
                answered,
            },
            Phase::Verifying,
            words,
        )
    };
    if view.desired().run_state == RunState::Stopped {
        if trial.policy != RestartPolicy::No {
            let step = Step::SetPolicy {
                id: trial.id.clone(),
                policy: RestartPolicy::No,
            };
            return Decision::step(step, Phase::Creating, "it stays stopped");
        }
        return promote(false, "it stays stopped");
    }
    if let Some(reason) = view.has_ended(trial) {
        return spend(&reason, Some(trial));
    }
    if !trial.state.is_live() {
        let step = Step::Start {
            before: trial.instance(),
            restart: None,
        };
        return Decision::step(step, Phase::Starting, format!("starting {}", trial.name));
    }
    let started = view.seen;
    let window_ends = after(started, view.timing.start_window);
    let steady = after(started, view.timing.steady);
    let settles = after(started, view.timing.settle);
    let old_was_proven = view
        .entry
        .serving
        .as_ref()
        .is_some_and(|serving| serving.proven);
    match view.verdict {
        Verdict::Healthy if now < steady => Decision::wait(
            Some(steady),
            Phase::Verifying,
            "it answers: waiting whether it lasts",
        ),
        // Back to the image before: it is not to do what came after it.
        Verdict::Healthy => match view.lost(now).filter(|_| !goes_back(view)) {
            None => promote(true, "healthy"),
            Some(point) if now < window_ends => Decision::wait(
                Some(window_ends),
                Phase::Verifying,
                format!("it answers; not yet at {point}, where the version before did"),
            ),
            Some(point) => {
                let complaint = point.complaint();
                let reason = format!("{complaint}, where the version before answered");
                spend(&reason, Some(trial))
            }
        },
        Verdict::NotProven if !old_was_proven && now >= settles => {
            promote(false, "it runs, and no port has answered yet")
        }
        _ if now >= window_ends && view.signs.blind.is_some() => promote(false, &view.unseen()),
        _ if now >= window_ends => {
            let window = extend_common::duration::show(view.timing.start_window);
            spend(
                &format!("{} did not become healthy in {window}", trial.name),
                Some(trial),
            )
        }
        Verdict::NotProven if !old_was_proven => {
            Decision::wait(Some(settles), Phase::Verifying, "waiting for it to answer")
        }
        _ => Decision::wait(
            Some(window_ends),
            Phase::Verifying,
            "waiting for it to answer",
        ),
    }
}

/// Whether what is on trial is the image that served before the one that serves.
fn goes_back(view: &View<'_>) -> bool {
    let entry = view.entry;
    let on_trial = entry.candidate.as_ref().map(|c| &c.image.identity);
    let before = entry.previous.as_ref().map(|image| &image.identity);
    on_trial.is_some() && on_trial == before
}

fn spend(reason: &str, container: Option<&Container>) -> Decision {
    let seen = container.filter(|c| c.state.is_live() || ending_words(c) != reason);
    let reason = match seen {
        Some(c) if !c.state.is_live() => format!("{reason} ({})", ending_words(c)),
        _ => reason.to_owned(),
    };
    let step = Step::Spend {
        reason: reason.clone(),
        container: container.map(|c| c.id.clone()),
    };
    Decision::step(step, Phase::RollingBack, reason)
}
