//! The serving deployment: its container under the official name, running or stopped as the
//! record says. Also the way back after a deployment that failed.

use extend_common::clock::after;
use extend_common::record::{Instance, RunState};
use extend_common::roles::RestartPolicy;
use extend_common::status::{OutcomeKind, Phase};
use jiff::Timestamp;

use super::answers::lost_words;
use super::{Decision, View, adopt, drain, tend};
use crate::core::entry::Served;
use crate::core::health::Verdict;
use crate::core::observed::Place;
use crate::core::step::Step;
use crate::docker::Container;

pub(super) fn plan(view: &View<'_>, now: Timestamp, given_up: Option<&str>) -> Decision {
    if let Some(reason) = given_up {
        return view.fail(with_spent(view, reason), None);
    }
    if let Some(foreign) = view.foreign() {
        return view.fail(with_spent(view, &view.taken_by(foreign)), None);
    }
    // A call to Docker that was given up on may still have started what was put aside.
    if let Some(stray) = view.failed().filter(|c| c.state.is_live()) {
        return view.end(stray, view.timing.short_grace, now);
    }
    let Some(serving) = &view.entry.serving else {
        return nothing_serves(view, now);
    };
    match view.current() {
        Some(current) if view.owner.made_by(current, serving.made_by) => match view.run_state() {
            RunState::Running => running(view, serving, current, now),
            _ => stopped(view, current, now),
        },
        Some(other) => put_aside(view, other, now),
        None => bring_back(view, serving, now),
    }
}

/// The first deployment failed: its container is kept as evidence, and nothing runs.
fn nothing_serves(view: &View<'_>, now: Timestamp) -> Decision {
    match view.current() {
        Some(current) => put_aside(view, current, now),
        None => view.settle(OutcomeKind::Failed, with_spent(view, "")),
    }
}

/// A container of another deployment holds the official name.
pub(super) fn put_aside(view: &View<'_>, other: &Container, now: Timestamp) -> Decision {
    let phase = Phase::RollingBack;
    if other.state.is_live() {
        return view.end(other, view.timing.short_grace, now);
    }
    if other.policy != RestartPolicy::No {
        let step = Step::SetPolicy {
            id: other.id.clone(),
            policy: RestartPolicy::No,
        };
        return Decision::step(step, phase, format!("putting {} aside", other.name));
    }
    if let Some(failed) = view.failed() {
        if failed.state.is_live() {
            return view.end(failed, view.timing.short_grace, now);
        }
        let step = Step::Remove {
            id: failed.id.clone(),
        };
        return Decision::step(step, phase, format!("removing the old {}", failed.name));
    }
    let step = Step::Rename {
        id: other.id.clone(),
        to: Place::Failed,
    };
    Decision::step(step, phase, format!("putting {} aside", other.name))
}

/// Nothing has the official name: the serving container is aside, or gone.
fn bring_back(view: &View<'_>, serving: &Served, now: Timestamp) -> Decision {
    let phase = view.returning_phase();
    if let Some(previous) = view
        .previous()
        .filter(|c| view.owner.made_by(c, serving.made_by))
    {
        let step = Step::Rename {
            id: previous.id.clone(),
            to: Place::Current,
        };
        return Decision::step(step, phase, "putting the old container back");
    }
    if view.is_settled()
        && let Some(wait) = tend::missing(view, now)
    {
        return wait;
    }
    let words = format!("making {} again: it is gone", view.official);
    Decision::step(
        Step::Create {
            spec: Box::new(serving.spec.clone()),
        },
        phase,
        words,
    )
}

fn stopped(view: &View<'_>, current: &Container, now: Timestamp) -> Decision {
    if current.state.is_live() {
        let waits = drain::first(view, current, now);
        return waits.unwrap_or_else(|| view.end(current, view.grace(now), now));
    }
    if current.policy != RestartPolicy::No && !view.is_as_found(current) {
        let step = Step::SetPolicy {
            id: current.id.clone(),
            policy: RestartPolicy::No,
        };
        return Decision::step(step, Phase::Stopping, "it stays stopped");
    }
    finish(view, "", now)
}

fn running(view: &View<'_>, serving: &Served, current: &Container, now: Timestamp) -> Decision {
    if view.is_adopting() && view.is_as_found(current) && !view.is_settled() {
        return adopt::settle_in(view, serving, current, now);
    }
    if let Some(decision) = replace(view, current, now) {
        return decision;
    }
    let stays = current.state.is_live() && view.is_as_found(current);
    if current.policy != view.policy && !stays {
        let step = Step::SetPolicy {
            id: current.id.clone(),
            policy: view.policy,
        };
        let words = format!("starting {}", current.name);
        return Decision::step(step, view.returning_phase(), words);
    }
    if let Some(reason) = view.has_ended(current).filter(|_| !view.is_settled()) {
        return view.fail(with_spent(view, &reason), Some(current));
    }
    if !current.state.is_live() {
        if view.is_settled()
            && let Some(decision) = tend::lying(view, current, now)
        {
            return decision;
        }
        let charged = view.is_settled() && !tend::is_begun(view, current);
        let restart = charged.then_some(now);
        let step = Step::Start {
            before: current.instance(),
            restart,
        };
        return Decision::step(
            step,
            view.returning_phase(),
            format!("starting {}", current.name),
        );
    }
    if let Some(step) = view.proof(serving, current, now) {
        return Decision::step(step, Phase::Verifying, "it answers");
    }
    if view.is_settled() {
        return tend::living(view, current, now).unwrap_or_else(|| finish(view, "", now));
    }
    verify(view, serving, current, now)
}

/// A restart names the run it replaces, and is done once that run is over.
fn replace(view: &View<'_>, current: &Container, now: Timestamp) -> Option<Decision> {
    let replace: &Instance = view.desired().replace.as_ref()?;
    let meant = *replace == current.instance() && current.state.is_live() && !view.is_settled();
    meant.then(|| {
        let waits = drain::first(view, current, now);
        waits.unwrap_or_else(|| view.signal(current, view.grace(now), now, None))
    })
}

fn verify(view: &View<'_>, serving: &Served, current: &Container, now: Timestamp) -> Decision {
    let started = view.seen;
    let window_ends = after(started, view.timing.start_window);
    let steady = after(started, view.timing.steady);
    let settles = after(started, view.timing.settle);
    let phase = view.returning_phase();
    match view.verdict {
        Verdict::Healthy if now < steady => {
            Decision::wait(Some(steady), phase, "it answers: waiting whether it lasts")
        }
        Verdict::Healthy => match view.lost(now) {
            None => finish(view, "", now),
            Some(point) if now < window_ends => {
                let words = format!("it answers; not yet at {point}, where it did before");
                Decision::wait(Some(window_ends), phase, words)
            }
            Some(point) => finish(view, &lost_words(point), now),
        },
        Verdict::NotProven if !serving.proven && now >= settles => finish(
            view,
            "not proven: it runs, and no port has answered yet",
            now,
        ),
        _ if now >= window_ends && view.signs.blind.is_some() => finish(view, &view.unseen(), now),
        _ if now >= window_ends => {
            let window = extend_common::duration::show(view.timing.start_window);
            let words = format!("{} did not become healthy in {window}", current.name);
            view.fail(with_spent(view, &words), Some(current))
        }
        Verdict::NotProven if !serving.proven => {
            Decision::wait(Some(settles), phase, "waiting for it to answer")
        }
        _ => Decision::wait(Some(window_ends), phase, "waiting for it to answer"),
    }
}

/// Everything is in its place: what was kept for the way back goes, and the end is written.
pub(super) fn finish(view: &View<'_>, warning: &str, now: Timestamp) -> Decision {
    if let Some(previous) = view.previous() {
        if previous.state.is_live() {
            return view.end(previous, view.timing.short_grace, now);
        }
        let step = Step::Remove {
            id: previous.id.clone(),
        };
        return Decision::step(
            step,
            Phase::Verifying,
            format!("removing {}", previous.name),
        );
    }
    match (&view.entry.spent, &view.entry.serving) {
        (Some(spent), _) => view.settle(OutcomeKind::RolledBack, spent.reason.clone()),
        (None, Some(serving)) if found_nothing_to_change(view, serving) => {
            let words = format!(
                "{} is the newest: nothing was restarted",
                serving.image.version
            );
            view.settle(OutcomeKind::Succeeded, words)
        }
        (None, _) => view.settle(OutcomeKind::Succeeded, warning),
    }
}

/// Whether the record brought a deployment that left the container as it was.
fn found_nothing_to_change(view: &View<'_>, serving: &Served) -> bool {
    let record = &view.entry.record;
    serving.made_by != serving.deployment
        && record.desired.deployment.0 == record.id.stamp.generation
}

fn with_spent(view: &View<'_>, reason: &str) -> String {
    match &view.entry.spent {
        Some(spent) if reason.is_empty() => spent.reason.clone(),
        Some(spent) if view.entry.serving.is_none() => spent.reason.clone(),
        Some(spent) => format!("{}; putting the old one back: {reason}", spent.reason),
        None => reason.to_owned(),
    }
}

impl View<'_> {
    fn returning_phase(&self) -> Phase {
        match (&self.entry.spent, &self.entry.outcome) {
            (_, Some(_)) => Phase::Settled,
            (Some(_), None) => Phase::RollingBack,
            (None, None) => Phase::Starting,
        }
    }
}
