//! Tombstones: whatever of this server is ours is stopped and removed; its data stays.

use extend_common::record::RunState;
use extend_common::status::{OutcomeKind, Phase};
use jiff::Timestamp;

use super::{Decision, View, drain};
use crate::core::observed::Place;
use crate::core::step::Step;

pub(super) fn plan(view: &View<'_>, now: Timestamp, given_up: Option<&str>) -> Decision {
    if let Some(reason) = given_up {
        return view.fail(format!("removing it: {reason}"), None);
    }
    let withdrawn = view.run_state() == RunState::Withdrawn;
    if let Some(current) = view.current() {
        if current.state.is_live() {
            if let Some(wait) = drain::first(view, current, now) {
                return wait;
            }
            let grace = if withdrawn {
                view.timing.short_grace
            } else {
                view.grace(now)
            };
            return view.end(current, grace, now);
        }
        // A container that was given up on its way here is evidence; it is kept once.
        let keep = withdrawn && view.entry.spent.is_some() && view.observed.failed.is_none();
        let step = if keep {
            Step::Rename {
                id: current.id.clone(),
                to: Place::Failed,
            }
        } else {
            Step::Remove {
                id: current.id.clone(),
            }
        };
        return Decision::step(step, Phase::Removing, format!("removing {}", current.name));
    }
    let failed = view.failed().filter(|_| !withdrawn);
    if let Some(container) = view.previous().or(failed) {
        if container.state.is_live() {
            return view.end(container, view.timing.short_grace, now);
        }
        let step = Step::Remove {
            id: container.id.clone(),
        };
        return Decision::step(
            step,
            Phase::Removing,
            format!("removing {}", container.name),
        );
    }
    view.settle(OutcomeKind::Succeeded, "")
}
