//! Progress for a terminal: a line for each target, redrawn in place.

use extend_common::operation::{Operation, Target, TargetState};
use indicatif::{MultiProgress, ProgressBar, ProgressDrawTarget, ProgressStyle};
use jiff::Timestamp;

use crate::cli::output::table::terminal_width;
use crate::cli::output::text::count;
use crate::cli::output::{Stream, Tone};
use crate::cli::view::progress::{remark, state_word, tone, took};

/// More lines than this do not help anybody; the rest is counted in one line below.
const MAX_LINES: usize = 24;
/// Narrower terminals show what is being done rather than the role, which names tell mostly.
const MIN_WIDTH_WITH_ROLES: u16 = 110;
/// The longest words: `rolling back`, `rolled-back`.
const STATE: usize = 12;
/// `59m 59s`
const TOOK: usize = 7;

/// The lines on the terminal. A line is a place, not a target: the targets at work come first.
#[derive(Debug)]
pub(super) struct Live {
    all: MultiProgress,
    lines: Vec<ProgressBar>,
    stream: Stream,
}

impl Live {
    /// Draws on stderr.
    pub(super) fn new(stream: Stream) -> Self {
        let all = MultiProgress::with_draw_target(ProgressDrawTarget::stderr());
        Self {
            all,
            lines: Vec::new(),
            stream,
        }
    }

    /// Redraws.
    pub(super) fn update(&mut self, operation: &Operation, now: Timestamp) {
        // The terminal may have been made wider or narrower since.
        let roles = terminal_width(self.stream).is_none_or(|width| width >= MIN_WIDTH_WITH_ROLES);
        let texts = lines(
            operation,
            now,
            Look {
                colour: self.stream.colour,
                roles,
            },
        );
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

/// How lines look.
#[derive(Debug, Clone, Copy)]
struct Look {
    colour: bool,
    roles: bool,
}

/// The lines of an operation. In the order of the targets where all have room; otherwise those at
/// work first, then those that failed.
fn lines(operation: &Operation, now: Timestamp, look: Look) -> Vec<String> {
    let mut targets: Vec<&Target> = operation.targets.iter().collect();
    let fit = targets.len() <= MAX_LINES;
    if !fit {
        targets.sort_by_key(|target| urgency(target.state));
    }
    let (shown, rest) = targets.split_at(if fit { targets.len() } else { MAX_LINES });
    let widths = Widths {
        name: shown
            .iter()
            .map(|target| target.name.as_str().len())
            .max()
            .unwrap_or(0),
        role: shown
            .iter()
            .map(|target| target.role.as_str().len())
            .max()
            .unwrap_or(0),
        node: shown
            .iter()
            .map(|target| target.node.to_string().len())
            .max()
            .unwrap_or(0),
    };
    let mut lines: Vec<String> = shown
        .iter()
        .map(|target| line(target, now, look, &widths))
        .collect();
    if !rest.is_empty() {
        lines.push(Tone::Faint.paint(&footer(rest), look.colour));
    }
    lines
}

struct Widths {
    name: usize,
    role: usize,
    node: usize,
}

fn line(target: &Target, now: Timestamp, look: Look, widths: &Widths) -> String {
    let Widths { name, role, node } = *widths;
    let role = if look.roles {
        format!("{:role$}  ", target.role)
    } else {
        String::new()
    };
    let state = tone(target.state).paint(&format!("{:STATE$}", state_word(target)), look.colour);
    let took = took(target, now);
    let (server, address, remark) = (&target.name, &target.node, remark(target));
    let line = format!("{server:name$}  {role}{address:node$}  {state}  {took:>TOOK$}  {remark}");
    line.trim_end().to_owned()
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
