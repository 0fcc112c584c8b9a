//! Progress for a terminal: a line for each target, redrawn in place.

use extend_common::operation::{Operation, Target, TargetState};
use jiff::Timestamp;

use crate::cli::output::screen::{CLEAR_BELOW, CLEAR_LINE};
use crate::cli::output::text::{clip, count, local_times};
use crate::cli::output::{Stream, Tone, terminal};
use crate::cli::view::progress::{has_waves, remark_in_turn, state_word, tone, took};

/// More lines than this do not help anybody; the rest is counted in one line below.
const MAX_LINES: usize = 24;
/// Narrower terminals show what is being done rather than the role, which names tell mostly.
const MIN_WIDTH_WITH_ROLES: usize = 110;
/// Of the terminal's lines, one counts the targets that are not shown, one tells what all wait for,
/// and in one stands the cursor.
const MARGIN: usize = 3;
/// The longest words: `rolling back`, `rolled-back`.
const STATE: usize = 12;
/// `59m 59s`
const TOOK: usize = 7;

/// The lines on the terminal. A line is a place, not a target: the targets at work come first.
///
/// The cursor always stands at the beginning of the line below them, so that what the terminal
/// itself writes there (`^C`) moves nothing.
#[derive(Debug)]
pub(super) struct Live {
    drawn: usize,
    stream: Stream,
}

impl Live {
    /// Nothing is drawn yet.
    pub(super) fn new(stream: Stream) -> Self {
        Self { drawn: 0, stream }
    }

    /// What draws the operation in place of what is there.
    pub(super) fn frame(&mut self, operation: &Operation, now: Timestamp) -> String {
        // The terminal may have been made wider or narrower since.
        let (width, height) = terminal::size(self.stream).unwrap_or((u16::MAX, u16::MAX));
        // A line that has left the terminal cannot be drawn over.
        let most = usize::from(height).saturating_sub(MARGIN).min(MAX_LINES);
        let texts = lines(operation, now, self.look(most.max(1)));
        let mut frame = self.up();
        for text in &texts {
            frame.push_str(&clip(text, usize::from(width)));
            frame.push_str(CLEAR_LINE);
            frame.push('\n');
        }
        frame.push_str(CLEAR_BELOW);
        self.drawn = texts.len();
        frame
    }

    /// What takes all lines away.
    pub(super) fn clear(&mut self) -> String {
        let frame = format!("{}{CLEAR_BELOW}", self.up());
        self.drawn = 0;
        frame
    }

    /// To the beginning of the first line.
    fn up(&self) -> String {
        match self.drawn {
            0 => "\r".to_owned(),
            lines => format!("\r\x1b[{lines}A"),
        }
    }

    /// What stays on the terminal: every line whole, and every target that failed.
    pub(super) fn last_lines(&self, operation: &Operation, now: Timestamp) -> Vec<String> {
        let failed = |target: &&Target| target.state.is_failure();
        let failures = operation.targets.iter().filter(failed).count();
        lines(operation, now, self.look(MAX_LINES.max(failures)))
    }

    fn look(&self, most: usize) -> Look {
        let width = terminal::width(self.stream);
        Look {
            colour: self.stream.colour,
            roles: width.is_none_or(|width| width >= MIN_WIDTH_WITH_ROLES),
            waves: false,
            most,
        }
    }
}

/// How lines look.
#[derive(Debug, Clone, Copy)]
struct Look {
    colour: bool,
    roles: bool,
    /// Turns are counted.
    waves: bool,
    /// More lines than this are counted.
    most: usize,
}

/// The lines of an operation. In the order of their turns where all have room; otherwise those at
/// work first, then those that failed.
fn lines(operation: &Operation, now: Timestamp, look: Look) -> Vec<String> {
    let look = Look {
        waves: has_waves(operation),
        ..look
    };
    let mut targets: Vec<&Target> = operation.targets.iter().collect();
    let fit = targets.len() <= look.most;
    if fit {
        // Without waves all have the same.
        targets.sort_by_key(|target| target.wave);
    } else {
        targets.sort_by_key(|target| urgency(target.state));
    }
    let (shown, rest) = targets.split_at(if fit { targets.len() } else { look.most });
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
    if !operation.note.is_empty() && operation.ended.is_none() {
        let note = local_times(&operation.note, now);
        lines.push(Tone::Busy.paint(&note, look.colour));
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
    let (server, address) = (&target.name, &target.node);
    let remark = remark_in_turn(target, look.waves, now);
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
