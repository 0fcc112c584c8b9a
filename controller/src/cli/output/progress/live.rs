//! Progress for a terminal: a line for each target, redrawn in place.

use extend_common::operation::{Operation, Target, TargetState};
use indicatif::{MultiProgress, ProgressBar, ProgressDrawTarget, ProgressStyle};
use jiff::Timestamp;

use crate::cli::output::Tone;
use crate::cli::output::text::count;
use crate::cli::view::operation::{remark, state_word, took, tone};

/// More lines than this do not help anybody; the rest is counted in one line below.
const MAX_LINES: usize = 24;
/// The longest words: `rolling back`, `rolled-back`.
const STATE_WIDTH: usize = 12;
/// `59m 59s`
const TOOK_WIDTH: usize = 7;

/// The lines on the terminal. A line is a place, not a target: the targets at work come first.
#[derive(Debug)]
pub(super) struct Live {
    all: MultiProgress,
    lines: Vec<ProgressBar>,
    colour: bool,
}

impl Live {
    /// Draws on stderr.
    pub(super) fn new(colour: bool) -> Self {
        let all = MultiProgress::with_draw_target(ProgressDrawTarget::stderr());
        Self { all, lines: Vec::new(), colour }
    }

    /// Redraws.
    pub(super) fn update(&mut self, operation: &Operation, now: Timestamp) {
        let texts = lines(operation, now, self.colour);
        while self.lines.len() < texts.len() {
            // Adding before styling: a bar that is drawn on its own would stay where it is.
            let line = self.all.add(ProgressBar::new_spinner());
            let style = ProgressStyle::with_template("{wide_msg}");
            line.set_style(style.unwrap_or_else(|_| ProgressStyle::default_spinner()));
            self.lines.push(line);
        }
        let blank = texts.len();
        for (line, text) in self.lines.iter().zip(texts) {
            line.set_message(text);
        }
        for line in self.lines.iter().skip(blank) {
            line.set_message("");
        }
    }

    /// Does something else with the terminal, and draws again.
    pub(super) fn suspended(&self, act: impl FnOnce()) {
        self.all.suspend(act);
    }

    /// Draws once more and leaves the lines.
    pub(super) fn finish(&mut self) {
        for line in self.lines.drain(..) {
            line.abandon();
        }
    }
}

/// The lines of an operation. In the order of the targets where all have room; otherwise those at
/// work first, then those that failed.
fn lines(operation: &Operation, now: Timestamp, colour: bool) -> Vec<String> {
    let mut targets: Vec<&Target> = operation.targets.iter().collect();
    let fit = targets.len() <= MAX_LINES;
    if !fit {
        targets.sort_by_key(|target| urgency(target.state));
    }
    let shown = if fit { targets.len() } else { MAX_LINES };
    let width = |text: fn(&Target) -> &str| {
        targets.iter().take(shown).map(|target| text(target).len()).max().unwrap_or(0)
    };
    let (name, role) = (width(|target| target.name.as_str()), width(|target| target.role.as_str()));
    let mut lines: Vec<String> = targets
        .iter()
        .take(shown)
        .map(|target| {
            let state = format!("{:STATE_WIDTH$}", state_word(target));
            format!(
                "{:name$}  {:role$}  {:15}  {}  {:>TOOK_WIDTH$}  {}",
                target.name,
                target.role,
                target.node,
                tone(target.state).paint(&state, colour),
                took(target, now),
                remark(target),
            )
            .trim_end()
            .to_owned()
        })
        .collect();
    if let Some(rest) = targets.get(shown..).filter(|rest| !rest.is_empty()) {
        lines.push(Tone::Faint.paint(&footer(rest), colour));
    }
    lines
}

fn footer(rest: &[&Target]) -> String {
    let states = [
        TargetState::Running,
        TargetState::Waiting,
        TargetState::Queued,
        TargetState::Succeeded,
    ];
    let counts = states.iter().filter_map(|state| {
        match rest.iter().filter(|target| target.state == *state).count() {
            0 => None,
            some => Some(format!("{some} {state}")),
        }
    });
    let counts = counts.collect::<Vec<_>>().join(", ");
    format!("and {} more: {counts}", count(rest.len(), "server"))
}

fn urgency(state: TargetState) -> u8 {
    match state {
        TargetState::Running => 0,
        TargetState::Waiting => 1,
        TargetState::Failed
        | TargetState::RolledBack
        | TargetState::TimedOut
        | TargetState::Cancelled
        | TargetState::Skipped => 2,
        TargetState::Queued => 3,
        TargetState::Succeeded => 4,
    }
}

#[cfg(test)]
#[path = "live_tests.rs"]
mod tests;
