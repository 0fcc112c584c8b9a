//! Where a service answers, and where it has ever answered: what was heard before is expected again, of
//! every later run and of every version that comes after.
//!
//! ```text
//!   answered ── ledger: of what serves ── the next run, the next version
//!                                           ├ answers there too ── well
//!                                           └ silent when its start is over
//!                                               ├ a version on trial ── goes back
//!                                               └ a restart ── done, and people are told: of one that is
//!                                                   deaf to SIP altogether as unhealthy, for calls do not
//!                                                   reach it; of another as a warning
//! ```
//!
//! Nothing is restarted for it: it has just been, and that did not help.

use std::collections::BTreeSet;

use extend_common::clock::after;
use extend_common::roles::Point;
use extend_common::status::{Health, Warning, WarningKind};
use jiff::Timestamp;

use super::View;
use crate::core::entry::Served;
use crate::core::health::Verdict;
use crate::core::step::Step;
use crate::docker::Container;

/// It runs, and does not answer where it did before its last start.
pub(super) fn lost_words(point: Point) -> String {
    format!("{}, where it answered before", point.complaint())
}

impl View<'_> {
    /// What is to be written of where the service has answered: its first answer at once, what comes
    /// later when its start is over.
    pub(super) fn proof(
        &self,
        serving: &Served,
        current: &Container,
        now: Timestamp,
    ) -> Option<Step> {
        if *self.verdict != Verdict::Healthy {
            return None;
        }
        let answered = self.prompt(current);
        let is_news = !answered.is_subset(&serving.answered);
        let is_up = now >= self.due();
        (!serving.proven || (is_news && is_up)).then_some(Step::MarkProven { answered })
    }

    /// Where a run answered within the time that a start may take. What answers later is not waited for
    /// the next time either: it may depend on more than the start.
    pub(super) fn prompt(&self, run: &Container) -> BTreeSet<Point> {
        let Ok(started) = run.started_at.parse::<Timestamp>() else {
            return BTreeSet::new();
        };
        let due = after(started, self.timing.start_window);
        let answered = self.signs.answered.iter();
        let prompt = answered.filter(|(_, first)| **first <= due);
        prompt.map(|(point, _)| *point).collect()
    }

    /// It runs, and this host could not ask it.
    pub(super) fn unseen(&self) -> String {
        let why = self.signs.blind.as_deref().unwrap_or_default();
        format!("not proven: it runs, and nobody can tell whether it answers: {why}")
    }

    /// Where what serves, or served before, has ever answered.
    pub(super) fn answered_before(&self) -> &BTreeSet<Point> {
        static NOWHERE: BTreeSet<Point> = BTreeSet::new();
        let serving = self.entry.serving.as_ref();
        serving.map_or(&NOWHERE, |serving| &serving.answered)
    }

    /// A point at which it answered before and has not on this run; once its start is over, only one
    /// at which it was asked.
    pub(super) fn lost(&self, now: Timestamp) -> Option<Point> {
        let unasked = self.signs.unasked.iter().filter(|_| now < self.due());
        let mut missing = self.signs.silent.iter().chain(unasked);
        let before = self.answered_before();
        missing.find(|point| before.contains(point)).copied()
    }

    /// A point at which it answered to SIP before, when it does so nowhere on this run.
    fn deaf(&self) -> Option<Point> {
        let is_sip = |point: &&Point| matches!(point, Point::Sip(..));
        if self.signs.answered.keys().any(|point| is_sip(&point)) {
            return None;
        }
        let lost = self.answered_before().intersection(&self.signs.silent);
        lost.copied().find(|point| is_sip(&point))
    }

    /// When its start is over, and what is silent by then will be so.
    fn due(&self) -> Timestamp {
        after(self.seen, self.timing.start_window)
    }

    /// What keeps a run from being healthy that answers, and what to say of it.
    pub(crate) fn lack(&self, now: Timestamp) -> Option<(Health, String)> {
        let point = self.lost(now)?;
        if now < self.due() {
            let words = format!("it answers; not yet at {point}, where it did before");
            return Some((Health::Starting, words));
        }
        Some((Health::Unhealthy, lost_words(self.deaf()?)))
    }

    /// What is the matter and no reason for a restart: what the probes say, a point that is silent
    /// since the last start, and new calls that are turned away though nobody has asked for that.
    pub(crate) fn warnings(&self, now: Timestamp) -> Vec<Warning> {
        let mut warnings = self.signs.warnings.clone();
        let runs = self.current().is_some_and(Container::is_up) && self.is_settled();
        let due = self.due();
        let is_told = self.deaf().is_some();
        if let Some(point) = self.lost(now).filter(|_| runs && !is_told && now >= due) {
            warnings.push(Warning {
                kind: WarningKind::Probe,
                reason: lost_words(point),
                since: due,
            });
        }
        if let Some(since) = self.signs.draining.filter(|_| runs && !self.is_held()) {
            warnings.push(Warning {
                kind: WarningKind::Probe,
                reason: "it answers to SIP with 503 and takes no new sessions, though nobody has \
                         drained it"
                    .to_owned(),
                since,
            });
        }
        warnings
    }
}
