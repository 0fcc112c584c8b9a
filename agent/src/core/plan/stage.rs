//! An image that is fetched ahead, for a deployment to come: the record has come to its end when the
//! image is there and checked.
//!
//! Nothing of what serves is touched for it, and what serves is looked after meanwhile as if the
//! record had come to its end already. The step goes on beside others, so that a service that
//! hangs is healed however long a pull takes, and a service that crashes again and again does not
//! keep the image from coming that would mend it.

use extend_common::status::{OutcomeKind, Phase};
use jiff::Timestamp;

use super::{Decision, MAX_TRIES, Next, View, serve};
use crate::core::step::{Step, StepKind};

/// None when nothing is to be fetched ahead, or nothing any more.
pub(super) fn plan(view: &View<'_>, now: Timestamp) -> Option<Decision> {
    let request = view.desired().staged.as_ref()?;
    if !view.entry.is_staging() {
        return None;
    }
    if view.entry.staged.is_some() {
        return Some(end(OutcomeKind::Succeeded, ""));
    }
    if let Some(reason) = view.gave_up_beside(StepKind::Stage) {
        return Some(end(OutcomeKind::Failed, reason));
    }
    let words = format!("fetching and checking {}", request.reference);
    let beside = |until| Decision {
        next: Next::Meanwhile(
            Step::Stage {
                request: request.clone(),
            },
            until,
        ),
        phase: Phase::Pulling,
        detail: words.clone(),
    };
    if view.entry.is_deploying() {
        // There is nothing to be looked after; it may be that the ledger was lost.
        return Some(match view.recall() {
            Some(recall) => recall,
            None => beside(None),
        });
    }
    let tended = serve::plan(view, now, None);
    Some(match tended.next {
        Next::Wait(until) => beside(until),
        Next::Do(_) | Next::Meanwhile(..) => Decision {
            phase: Phase::Pulling,
            ..tended
        },
    })
}

fn end(kind: OutcomeKind, reason: &str) -> Decision {
    let step = Step::Settle {
        kind,
        reason: reason.to_owned(),
        container: None,
    };
    Decision::step(step, Phase::Settled, reason)
}

impl View<'_> {
    /// Why a step that goes on beside others is not tried again for this record.
    pub(super) fn gave_up_beside(&self, kind: StepKind) -> Option<&str> {
        let trouble = self.aside?;
        let is_it = trouble.kind == kind && trouble.stamp == self.entry.record.id.stamp;
        (is_it && trouble.tries >= MAX_TRIES).then_some(trouble.reason.as_str())
    }
}
