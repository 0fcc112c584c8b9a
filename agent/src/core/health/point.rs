//! The memory of one point of a probe on one run.

use extend_common::duration;
use extend_common::roles::{Consequence, Point, ProbeDefinition};
use extend_common::service::ProbeFigure;
use jiff::Timestamp;

use super::Answer;

/// A point that fails so often among so many more than its threshold flaps: with the usual threshold
/// of three, three of five.
const MORE: u32 = 2;
/// The window of failures is kept in the bits of a number.
const MAX_WINDOW: u32 = u64::BITS;

/// What is known of a point.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct PointState {
    /// Whether its failures mean anything.
    pub(super) armed: bool,
    /// It is the service that answers; otherwise it is measured.
    asks: bool,
    /// What follows from them.
    pub(super) consequence: Consequence,
    /// Since when it has failed, if it fails.
    pub(super) since: Timestamp,
    /// Why it does not pass; none while it does.
    why: Option<Why>,
    /// In a row.
    failures: u32,
    successes: u32,
    /// The last answers that counted, the newest in the lowest bit: set for a failure.
    window: u64,
    last: Option<Answer>,
    /// When it answered first.
    first: Option<Timestamp>,
    /// Since when it has answered that it takes no new sessions, and how often in a row.
    draining: Option<(Timestamp, u32)>,
    /// Since when nobody could tell.
    unsure: Option<Timestamp>,
    /// How often either has to be seen before it is told.
    enough: u32,
}

/// Why a point does not pass.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Why {
    /// Now and then; otherwise so often in a row.
    flaps: bool,
    /// How often, in words.
    rule: String,
    /// What came of the failure that was one too many.
    said: String,
}

impl PointState {
    pub(super) fn of(point: Point, definition: &ProbeDefinition) -> Self {
        Self {
            // Whether a disk is full is nothing that anybody has to answer first.
            armed: point == Point::Disk,
            asks: definition.kind.asks_service(),
            consequence: definition.consequence,
            since: Timestamp::UNIX_EPOCH,
            why: None,
            failures: 0,
            successes: 0,
            window: 0,
            last: None,
            first: None,
            draining: None,
            unsure: None,
            enough: definition.failures,
        }
    }

    /// Takes an answer in; whether a failure `counts` is said by who asked.
    pub(super) fn note(
        &mut self,
        definition: &ProbeDefinition,
        answer: Answer,
        counts: bool,
        now: Timestamp,
    ) {
        self.enough = definition.failures;
        self.unsure = match &answer {
            Answer::Unsure(_) => self.unsure.or(Some(now)),
            _ => None,
        };
        match &answer {
            Answer::Passed { draining, .. } => {
                self.first.get_or_insert(now);
                let (since, count) = self.draining.unwrap_or((now, 0));
                self.draining = draining.then_some((since, count.saturating_add(1)));
                self.pass(definition);
            }
            Answer::Failed(said) if self.armed && counts => {
                let said = said.clone();
                self.fail(definition, said, now);
            }
            Answer::Failed(_) | Answer::Unsure(_) => {}
        }
        self.last = Some(answer);
    }

    fn pass(&mut self, definition: &ProbeDefinition) {
        self.armed = true;
        self.failures = 0;
        self.successes = self.successes.saturating_add(1);
        self.window <<= 1;
        let enough = match &self.why {
            Some(why) if why.flaps => definition.successes.max(window_of(definition)),
            _ => definition.successes,
        };
        if self.successes >= enough {
            self.why = None;
        }
    }

    fn fail(&mut self, definition: &ProbeDefinition, said: String, now: Timestamp) {
        if self.failures == 0 && self.why.is_none() {
            self.since = now;
        }
        self.successes = 0;
        self.failures = self.failures.saturating_add(1);
        self.window = (self.window << 1) | 1;
        if self.why.as_ref().is_some_and(|why| !why.flaps) {
            return;
        }
        let window = window_of(definition);
        let failed = (self.window & (u64::MAX >> (MAX_WINDOW - window))).count_ones();
        if self.failures >= definition.failures {
            let interval = duration::show(definition.interval);
            self.why = Some(Why {
                flaps: false,
                rule: format!("for {} × {interval}", definition.failures),
                said,
            });
        } else if failed >= definition.failures && self.why.is_none() {
            self.why = Some(Why {
                flaps: true,
                rule: format!("in {failed} of the last {window} probes"),
                said,
            });
        }
    }

    /// Why it counts as failing, if it does.
    pub(super) fn complaint(&self, point: Point) -> Option<String> {
        let Why { rule, said, .. } = self.why.as_ref()?;
        Some(format!("{} {rule}: {said}", point.complaint()))
    }

    /// Whether the service has answered here.
    pub(super) fn has_answered(&self) -> bool {
        self.armed && self.asks
    }

    /// When it answered first on this run; none where nobody answers.
    pub(super) fn first_answer(&self) -> Option<Timestamp> {
        self.first.filter(|_| self.asks)
    }

    /// Whether it was asked the last time and gave no answer.
    pub(super) fn is_silent(&self) -> bool {
        matches!(self.last, Some(Answer::Failed(_)))
    }

    /// Since when nobody could ask, and why not.
    pub(super) fn unsure(&self) -> Option<(Timestamp, &str)> {
        match (&self.last, self.unsure) {
            (Some(Answer::Unsure(why)), Some(since)) => Some((since, why)),
            _ => None,
        }
    }

    /// Whether it has answered and is not known to fail.
    pub(super) fn is_well(&self) -> bool {
        self.has_answered() && self.why.is_none()
    }

    /// Whether it is known to fail.
    pub(super) fn is_ill(&self) -> bool {
        self.why.is_some()
    }

    /// Since when it has failed, and why the last time, if it failed the last time.
    pub(super) fn failing(&self) -> Option<(Timestamp, &str)> {
        match &self.last {
            Some(Answer::Failed(said)) if self.failures > 0 => Some((self.since, said)),
            _ => None,
        }
    }

    /// Since when it has taken no new sessions, said often enough to be believed.
    pub(super) fn draining(&self) -> Option<Timestamp> {
        let (since, count) = self.draining?;
        (self.armed && count >= self.enough).then_some(since)
    }

    /// What it said last, for people.
    pub(super) fn words(&self, point: Point) -> String {
        // Some answer; at the others it is only looked.
        let (well, never) = match point {
            Point::Udp(_) | Point::Disk | Point::Memory | Point::Portal => {
                ("as it should be", "it has never been otherwise")
            }
            _ => ("it answers", "it has never answered"),
        };
        match (&self.last, self.armed) {
            (None, _) => "not asked yet".to_owned(),
            (Some(Answer::Passed { draining: true, .. }), _) => {
                "it answers, and takes no new sessions".to_owned()
            }
            (Some(Answer::Passed { .. }), _) => well.to_owned(),
            (Some(Answer::Unsure(said)), _) => format!("nobody can tell: {said}"),
            (Some(Answer::Failed(said)), false) => format!("{said} ({never})"),
            (Some(Answer::Failed(said)), true) => format!("{said} ({} in a row)", self.failures),
        }
    }

    pub(super) fn figure(&self, point: Point) -> ProbeFigure {
        let (passed, took) = match &self.last {
            Some(Answer::Passed { took, .. }) => (true, *took),
            _ => (false, None),
        };
        ProbeFigure {
            point: point.to_string(),
            passed,
            armed: self.armed,
            took,
        }
    }
}

/// Among how many answers failures are counted.
fn window_of(definition: &ProbeDefinition) -> u32 {
    definition.failures.saturating_add(MORE).min(MAX_WINDOW)
}
