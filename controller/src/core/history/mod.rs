//! How servers were: health and figures in steps that grow coarser with their age, and the last
//! changes of health with their reasons. Pure; decision 0020 has the sums.
//!
//! ```text
//! status, session lost ─► tell ─┐                        ┌─► a minute each,      2 hours
//! every 10 s, of all ──► sample ┴─► now on three scales ─┼─► ten minutes each,   a day
//!                                                        └─► two hours each,     14 days
//! ```
//!
//! Everything is counted on each scale at once: nothing is ever computed from rows that are on
//! their way out, and a crash between two writes loses what was told between them on every scale
//! alike. Nothing is decided by any of it.

mod fleet;
mod recent;
mod row;
mod step;

use std::collections::VecDeque;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use extend_common::ids::ServerName;
use extend_common::status::Health;

pub(super) use fleet::Keeping;
use step::State;
pub use step::{Figures, Step};

/// How long the steps of a scale are, in seconds, and how many of them a server has at most.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Scale {
    /// Seconds of a step.
    pub length: u32,
    /// The steps that are kept, where nothing has to be shared.
    pub most: usize,
}

/// The finest first.
pub const SCALES: [Scale; 3] = [
    // Two hours, for whoever looks at what happens.
    Scale {
        length: 60,
        most: 120,
    },
    // A day: what happened in the night.
    Scale {
        length: 600,
        most: 144,
    },
    // Two weeks: what grows, and what comes every Monday.
    Scale {
        length: 7_200,
        most: 168,
    },
];

/// The steps of a whole fleet, about 28 bytes of memory each and 26 on disk. A fleet that is too
/// large for every server to have all of them has fewer for each.
const STEPS_OF_FLEET: usize = 1_000_000;
/// No server has fewer steps of a scale, however large the fleet is.
const LEAST_STEPS: usize = 12;
/// Changes of health that are kept of a server.
const MOST_CHANGES: usize = 32;
/// No server has room for fewer.
const LEAST_CHANGES: usize = 8;
/// Bytes of a reason that are kept.
const MOST_REASON: usize = 240;
/// Between two looks a health is taken to have gone on, up to here: after a longer silence nobody
/// knows, and there is a gap.
const MOST_HELD: i64 = 30;

/// How much each server of a fleet may have.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Allotment {
    steps: [usize; 3],
    changes: usize,
}

impl Allotment {
    /// Of a fleet of so many nodes.
    pub(super) fn of(nodes: usize) -> Self {
        let whole: usize = SCALES.iter().map(|scale| scale.most).sum();
        let wanted = whole.saturating_mul(nodes).max(STEPS_OF_FLEET);
        let share = |most: usize| most.saturating_mul(STEPS_OF_FLEET) / wanted;
        Self {
            steps: SCALES.map(|scale| share(scale.most).max(LEAST_STEPS)),
            changes: share(MOST_CHANGES).max(LEAST_CHANGES),
        }
    }
}

/// Another health than before.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Change {
    /// When the controller learnt of it.
    pub at: Timestamp,
    /// How it is from then on; unknown while its node is away.
    pub health: Health,
    /// Why, in words.
    pub reason: String,
}

/// What is remembered of one server.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(super) struct History {
    /// Which one; another server at the same address begins anew.
    name: Option<ServerName>,
    scales: [VecDeque<Step>; 3],
    changes: VecDeque<Change>,
    /// Up to when time was counted, and how the server is since: not known where that is none.
    now: Option<(i64, Option<State>)>,
    /// What was told since the row was written.
    unwritten: bool,
    /// When it was.
    written: i64,
}

/// How a server is at a moment, as far as anybody knows.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Seen<'a> {
    pub(super) name: &'a ServerName,
    /// None while nobody knows.
    pub(super) health: Option<Health>,
    /// Whether it turns new calls away though nobody has asked for that.
    pub(super) refusing: bool,
    /// Why; in words. For a server that nobody has news of, none when nobody has missed it yet.
    pub(super) reason: Option<String>,
}

impl History {
    /// Takes in how a server is from now on. Answers whether that is another health than before.
    pub(super) fn tell(&mut self, seen: &Seen<'_>, now: Timestamp) -> bool {
        if self.name.as_ref() != Some(seen.name) {
            *self = Self {
                name: Some(seen.name.clone()),
                // A row of the server before is written over soon.
                unwritten: true,
                ..Self::default()
            };
        }
        let state = seen
            .health
            .and_then(|health| State::of(health, seen.refusing));
        let second = now.as_second();
        self.count_to(second);
        self.now = Some((second, state));
        if let Some(state) = state {
            self.unwritten = true;
            for (scale, steps) in SCALES.iter().zip(&mut self.scales) {
                if let Some(step) = step_at(steps, index(second, scale.length)) {
                    step.see(state.health);
                }
            }
        }
        self.note_change(seen, state, now)
    }

    /// The same, with the figures of this moment.
    pub(super) fn sample(&mut self, seen: &Seen<'_>, figures: &Figures, now: Timestamp) {
        self.tell(seen, now);
        if !matches!(self.now, Some((_, Some(_)))) {
            return;
        }
        for (scale, steps) in SCALES.iter().zip(&mut self.scales) {
            if let Some(step) = step_at(steps, index(now.as_second(), scale.length)) {
                step.note(figures);
            }
        }
    }

    fn note_change(&mut self, seen: &Seen<'_>, state: Option<State>, now: Timestamp) -> bool {
        let Some(reason) = &seen.reason else {
            return false;
        };
        let health = state.map_or(Health::Unknown, |state| state.health);
        if self
            .changes
            .back()
            .is_some_and(|last| last.health == health)
        {
            return false;
        }
        self.bound_changes(now);
        self.changes.push_back(Change {
            at: now,
            health,
            reason: cut(reason),
        });
        self.unwritten = true;
        true
    }

    /// Counts the time that has passed as what it was told to be. A clock that was put back counts
    /// nothing, and one that jumped leaves a gap.
    fn count_to(&mut self, second: i64) {
        let Some((from, state)) = self.uncounted(second) else {
            return;
        };
        for (scale, steps) in SCALES.iter().zip(&mut self.scales) {
            let mut at = from;
            while at < second {
                let index = index(at, scale.length);
                let end = (i64::from(index) + 1) * i64::from(scale.length);
                let upto = end.min(second);
                if let Some(step) = step_at(steps, index) {
                    let seconds = u32::try_from(upto - at).unwrap_or_default();
                    step.count(state, seconds, scale.length);
                }
                at = upto.max(at + 1);
            }
        }
    }

    /// Since when time is not counted yet, and what it counts as.
    fn uncounted(&self, second: i64) -> Option<(i64, State)> {
        let (from, state) = self.now?;
        (1..=MOST_HELD)
            .contains(&(second - from))
            .then_some((from, state?))
    }

    /// Lets go what is more than a server may have, what is too old for its scale, and what a clock
    /// has told that was ahead: only the step that comes next may be there already.
    pub(super) fn trim(&mut self, allotment: &Allotment, now: Timestamp) {
        for ((scale, steps), most) in SCALES.iter().zip(&mut self.scales).zip(allotment.steps) {
            let present = index(now.as_second(), scale.length);
            let next = present.saturating_add(1);
            while steps.back().is_some_and(|step| step.index > next) {
                steps.pop_back();
            }
            let oldest = present.saturating_sub(u32::try_from(most).unwrap_or(u32::MAX));
            while steps.front().is_some_and(|step| step.index <= oldest) || steps.len() > most {
                steps.pop_front();
            }
            if steps.capacity() > most.saturating_mul(2) {
                steps.shrink_to(most);
            }
        }
        while self.changes.len() > allotment.changes {
            self.changes.pop_front();
        }
        self.bound_changes(now);
    }

    /// What a clock that was ahead has dated later than now was before now, and in this order.
    fn bound_changes(&mut self, now: Timestamp) {
        for change in &mut self.changes {
            change.at = change.at.min(now);
        }
    }

    /// The steps of each scale, oldest first, with the time up to now; missing ones are gaps.
    pub(super) fn steps(&self, now: Timestamp) -> [Vec<Step>; 3] {
        let mut history = self.clone();
        history.count_to(now.as_second());
        history.scales.map(Vec::from)
    }

    /// The changes, oldest first.
    pub(super) fn changes(&self) -> Vec<Change> {
        self.changes.iter().cloned().collect()
    }

    /// Whose it is.
    pub(super) fn is_of(&self, name: &ServerName) -> bool {
        self.name.as_ref() == Some(name)
    }

    /// About how many bytes its row has.
    fn weight(&self) -> usize {
        let steps: usize = self.scales.iter().map(VecDeque::len).sum();
        let changes = self.changes.iter().map(|change| change.reason.len() + 16);
        steps * 30 + changes.sum::<usize>() + 64
    }
}

/// Which step a second is in. Clocks before 1970 and after 8000 years are nobody's.
fn index(second: i64, length: u32) -> u32 {
    u32::try_from(second.max(0) / i64::from(length.max(1))).unwrap_or(u32::MAX)
}

/// The step of this index, which may come before others: of a clock that was put back.
fn step_at(steps: &mut VecDeque<Step>, index: u32) -> Option<&mut Step> {
    let place = match steps.back() {
        Some(last) if last.index == index => steps.len() - 1,
        Some(last) if last.index > index => {
            let found = steps.binary_search_by_key(&index, |step| step.index);
            found.unwrap_or_else(|place| {
                steps.insert(place, Step::new(index));
                place
            })
        }
        _ => {
            if steps.len() == steps.capacity() {
                steps.reserve_exact(16);
            }
            steps.push_back(Step::new(index));
            steps.len() - 1
        }
    };
    steps.get_mut(place)
}

/// A reason, as long as it may be.
fn cut(reason: &str) -> String {
    let mut end = reason.len().min(MOST_REASON);
    while !reason.is_char_boundary(end) {
        end -= 1;
    }
    let kept = reason.get(..end).unwrap_or_default();
    match end < reason.len() {
        true => format!("{kept}…"),
        false => kept.to_owned(),
    }
}

#[cfg(test)]
mod tests;
