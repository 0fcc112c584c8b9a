//! A container that somebody else made is taken over as it is: a write to the ledger, and nothing
//! in Docker. Also where a ledger was lost that knew of one.

use extend_common::clock::after;
use extend_common::hint::with_hint;
use extend_common::record::RunState;
use extend_common::status::Phase;
use jiff::Timestamp;

use super::{Decision, View, ending_words, serve};
use crate::core::entry::Served;
use crate::core::health::Verdict;
use crate::core::observed::Place;
use crate::core::step::Step;
use crate::docker::Container;

/// None when there is nothing to take over, or nothing any more.
pub(super) fn plan(view: &View<'_>, now: Timestamp, given_up: Option<&str>) -> Option<Decision> {
    let id = view.desired().adopted.as_ref()?;
    let is_known = view.entry.adopted.as_ref().is_some_and(|a| a.id == *id);
    let is_open = match view.desired().run_state {
        RunState::Running | RunState::Stopped => view.entry.is_deploying(),
        RunState::Removed => view.entry.outcome.is_none(),
        RunState::Withdrawn => false,
    };
    if is_known || !is_open {
        return None;
    }
    let is_it = |container: &&Container| container.id == *id;
    let found = view.observed.current.as_ref().filter(is_it);
    if let Some(found) = found {
        return Some(match given_up {
            Some(reason) => view.fail(format!("it was left as it is: {reason}"), None),
            None => Decision::step(
                Step::Adopt {
                    id: id.clone(),
                    restart_count: found.restart_count,
                },
                Phase::Preparing,
                format!("taking {} over as it is", view.official),
            ),
        });
    }
    if view.is_adopting() {
        // A deployment of its own is not what was asked for, unless the agent made one when the
        // container had gone.
        return view.current().is_none().then(|| gone(view, id));
    }
    let aside = view.observed.previous.as_ref().filter(is_it)?;
    Some(bring_back(view, aside, now))
}

fn gone(view: &View<'_>, id: &str) -> Decision {
    let short = id.get(..12).unwrap_or(id);
    let official = view.official;
    let words = match view.foreign() {
        Some(other) => format!(
            "{official} is another container now ({}), and {short} was to be taken over",
            other.id.get(..12).unwrap_or(&other.id)
        ),
        None => format!("the container {short} is not there any more"),
    };
    let hint = format!("extend status -a {}", view.desired().node);
    view.fail(with_hint(words, hint), None)
}

/// An upgrade had put it aside when the ledger was lost, and is taken back.
fn bring_back(view: &View<'_>, aside: &Container, now: Timestamp) -> Decision {
    if let Some(current) = view.current() {
        return serve::put_aside(view, current, now);
    }
    if let Some(foreign) = view.foreign() {
        return view.fail(view.taken_by(foreign), None);
    }
    let step = Step::Rename {
        id: aside.id.clone(),
        to: Place::Current,
    };
    Decision::step(step, Phase::RollingBack, "putting the old container back")
}

impl View<'_> {
    /// Whether the record is the one that takes a container over, and not one that came after it.
    pub(super) fn is_adopting(&self) -> bool {
        self.desired().adopts_at(self.entry.record.id.stamp)
    }

    /// Whether a container is as somebody else left it. Its restart policy stays the one that it
    /// was found with until something else is done to it.
    pub(super) fn is_as_found(&self, container: &Container) -> bool {
        let adopted = self.owner.adopted(container);
        adopted.is_some_and(|adopted| adopted.untouched)
    }
}

/// It has been taken over and runs, or ran: how it does is told with the record's end, and nothing
/// is done about it before.
pub(super) fn settle_in(
    view: &View<'_>,
    serving: &Served,
    current: &Container,
    now: Timestamp,
) -> Decision {
    let phase = Phase::Verifying;
    if let Some(step) = view.proof(serving, current, now) {
        return Decision::step(step, phase, "it answers");
    }
    if !current.state.is_live() {
        return serve::finish(view, &ending_words(current), now);
    }
    let steady = after(view.seen, view.timing.steady);
    let settles = after(view.seen, view.timing.settle);
    let window_ends = after(view.seen, view.timing.start_window);
    match view.verdict {
        Verdict::Healthy if now < steady => {
            Decision::wait(Some(steady), phase, "it answers: waiting whether it lasts")
        }
        Verdict::Healthy => serve::finish(view, "", now),
        Verdict::NotProven if now >= settles => serve::finish(
            view,
            "not proven: it runs, and no port has answered yet",
            now,
        ),
        Verdict::NotProven => Decision::wait(Some(settles), phase, "waiting for it to answer"),
        Verdict::Unhealthy(why) if now >= window_ends => serve::finish(view, why, now),
        Verdict::Starting if now >= window_ends => {
            serve::finish(view, "it is not known yet whether it answers", now)
        }
        Verdict::Starting | Verdict::Unhealthy(_) => {
            Decision::wait(Some(window_ends), phase, "waiting for it to answer")
        }
    }
}
