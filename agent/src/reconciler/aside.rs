//! What goes on beside the steps, one thing at a time: a pull ahead of a deployment, an image that
//! goes. Its effect has a task of its own and needs no ledger; what came of it is written like the end of every step, in
//! the one slot that writes the ledger.
//!
//! ```text
//!   plan says Meanwhile ── job Beside ── done ──── job Note (in the steps' slot)
//!                                      └ refused ─ waited, and tried again until the plan gives up
//! ```

use extend_common::clock::after;
use extend_common::record::Stamp;
use jiff::Timestamp;

use super::job::{Job, Running};
use super::setbacks::RETRY;
use super::telling::Concern;
use super::{PROGRESS, Reconciler};
use crate::core::plan::{MAX_TRIES, Trouble};
use crate::core::step::{Done, Step};
use crate::execute::StepError;

/// The state of it.
#[derive(Default)]
pub(super) struct Aside {
    /// In flight.
    pub(super) running: Option<Running>,
    /// What has come to its end and is not written yet.
    done: Option<(Box<Step>, Done)>,
    /// The step that was refused last.
    pub(super) trouble: Option<Trouble>,
    not_before: Option<Timestamp>,
}

impl Aside {
    /// What a pull tells of its progress.
    pub(super) fn progress(&self) -> Option<String> {
        self.running.as_ref().and_then(Running::progress)
    }

    /// A newer record: what went on was for the one before.
    pub(super) fn forget(&mut self) {
        *self = Self::default();
    }
}

impl Reconciler {
    /// Begins a step beside others, unless one is under way, and gives the time to look again.
    pub(super) fn go_on_beside(&mut self, step: Step, now: Timestamp) -> Timestamp {
        if self.aside.running.is_none() {
            if let Some(at) = self.aside.not_before.filter(|at| *at > now) {
                return at;
            }
            let Concern { server, operation } = self.concern();
            tracing::info!(server, operation, step = ?step.kind(), "step beside others");
            self.aside.running = Some(Job::Beside(Box::new(step)).spawn(self));
        }
        after(now, PROGRESS)
    }

    /// Writes what has come to its end, if anything has.
    pub(super) fn note_beside(&mut self) -> Option<Job> {
        let (step, done) = self.aside.done.take()?;
        Some(Job::Note(step, done))
    }

    pub(super) fn end_beside(
        &mut self,
        step: Box<Step>,
        result: Result<Done, StepError>,
        now: Timestamp,
    ) {
        let error = match result {
            Ok(done) => {
                self.aside.trouble = None;
                self.aside.done = Some((step, done));
                return;
            }
            Err(error) => error,
        };
        let Concern { server, operation } = self.concern();
        tracing::warn!(server, operation, step = ?step.kind(), %error, "step refused");
        let stamp = self.record_stamp();
        let before = self.aside.trouble.take();
        let before = before.filter(|t| t.stamp == stamp && t.kind == step.kind());
        let before = before.map_or(0, |trouble| trouble.tries);
        let tries = match &error {
            StepError::Permanent(_) => MAX_TRIES,
            // A Docker that is away says nothing of an image that is wanted.
            StepError::Unavailable(_) if step.is_long() => before,
            StepError::Unavailable(_) | StepError::Refused(_) => before.saturating_add(1),
        };
        self.aside.trouble = Some(Trouble {
            stamp,
            kind: step.kind(),
            tries,
            reason: error.to_string(),
        });
        let wait = RETRY.wait(tries, extend_common::backoff::jitter());
        self.aside.not_before = Some(after(now, wait));
        if let StepError::Unavailable(error) = error {
            self.docker_is_away(&error, now);
        }
    }

    pub(super) fn record_stamp(&self) -> Stamp {
        let entry = self.parts.ledger.server.as_ref();
        entry.map(|entry| entry.record.id.stamp).unwrap_or_default()
    }
}
