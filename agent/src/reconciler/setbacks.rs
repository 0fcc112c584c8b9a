//! What went wrong with a step or a look, and how long to wait before the next try.

use std::time::Duration;

use extend_common::backoff::Backoff;
use extend_common::clock::after;
use extend_common::record::Stamp;
use jiff::Timestamp;

use super::telling::Concern;
use super::{Reconciler, Running};
use crate::core::plan::{MAX_TRIES, Trouble};
use crate::core::step::Step;
use crate::execute::StepError;

/// Between tries of something that was refused or did not answer.
pub(super) const RETRY: Backoff = Backoff {
    first: Duration::from_millis(500),
    most: Duration::from_secs(5),
};

impl Reconciler {
    pub(super) fn note_step(&mut self, step: &Step, result: Result<(), StepError>, now: Timestamp) {
        let stamp = self.record_stamp();
        match result {
            Ok(()) => {
                self.trouble = None;
                self.refused = false;
                self.recovered_breath();
            }
            Err(StepError::Unavailable(error)) => self.docker_is_away(&error, now),
            Err(error) => {
                let Concern { server, operation } = self.concern();
                tracing::warn!(server, operation, step = ?step.kind(), %error, "step refused");
                self.count_trouble(stamp, step, &error, now);
            }
        }
    }

    fn count_trouble(&mut self, stamp: Stamp, step: &Step, error: &StepError, now: Timestamp) {
        self.refused = true;
        let before = self
            .trouble
            .take()
            .filter(|t| t.stamp == stamp && t.kind == step.kind());
        let tries = match error {
            StepError::Permanent(_) => MAX_TRIES,
            _ => before.map_or(0, |trouble| trouble.tries).saturating_add(1),
        };
        self.trouble = Some(Trouble {
            stamp,
            kind: step.kind(),
            tries,
            reason: error.to_string(),
        });
        // Once the record has ended nobody waits any more: the agent goes on trying, with
        // patience, and tells what is in the way.
        let server = self.parts.ledger.server.as_ref();
        let is_settled =
            server.is_some_and(|entry| entry.outcome.is_some() || entry.is_beside_the_server());
        if tries < MAX_TRIES || is_settled {
            self.back_off(now);
        }
    }

    /// What became of the last call is not known: nothing is decided before the next look.
    pub(super) fn docker_is_away(&mut self, error: &str, now: Timestamp) {
        if self.docker_trouble.is_empty() {
            tracing::warn!(%error, "docker unresponsive");
        }
        self.docker_trouble = format!("docker unresponsive: {error}");
        self.observed = None;
        self.back_off(now);
        self.publish(None, now);
    }

    /// Everything in flight ends within its time, since every call in it does. Should one not, it
    /// is not waited for: the next look shows what became of it.
    pub(super) fn give_up_what_is_late(&mut self, now: Timestamp) {
        let is_late = |job: &mut Running| job.deadline() <= now;
        let late = [&mut self.job, &mut self.aside.running];
        let late: Vec<_> = late
            .into_iter()
            .filter_map(|job| job.take_if(is_late))
            .collect();
        for job in late {
            let Concern { server, operation } = self.concern();
            let what = job.what();
            tracing::error!(
                server,
                operation,
                what,
                "given up: it has not ended in its time"
            );
            drop(job);
            self.look_at = now;
            self.back_off(now);
        }
    }

    pub(super) fn back_off(&mut self, now: Timestamp) {
        let wait = RETRY.wait(self.failures, extend_common::backoff::jitter());
        self.failures = self.failures.saturating_add(1);
        self.not_before = Some(after(now, wait));
    }

    pub(super) fn recovered_breath(&mut self) {
        self.failures = 0;
        self.not_before = None;
    }
}
