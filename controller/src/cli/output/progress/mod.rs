//! The progress of an operation on stderr: redrawn lines on a terminal, plain lines elsewhere.

mod live;
mod plain;

use extend_common::operation::Operation;
use jiff::Timestamp;

use super::Output;
use live::Live;
use plain::Plain;

/// Shows how an operation goes on.
#[derive(Debug)]
pub(crate) struct Progress {
    output: Output,
    view: View,
}

#[derive(Debug)]
enum View {
    Live(Live),
    Plain(Plain),
}

impl Progress {
    /// The view that fits stderr.
    pub(crate) fn new(output: Output) -> Self {
        let view = if output.stderr().terminal {
            View::Live(Live::new(output.stderr()))
        } else {
            View::Plain(Plain::default())
        };
        Self { output, view }
    }

    /// Shows the operation as it is now.
    pub(crate) fn update(&mut self, operation: &Operation, now: Timestamp) {
        match &mut self.view {
            View::Live(live) => self.output.overwrite(&live.frame(operation, now)),
            View::Plain(plain) => {
                for line in plain.update(operation, now) {
                    self.output.say(&line);
                }
            }
        }
    }

    /// Time has passed and nothing else has changed.
    pub(crate) fn tick(&mut self, operation: &Operation, now: Timestamp) {
        if let View::Live(live) = &mut self.view {
            self.output.overwrite(&live.frame(operation, now));
        }
    }

    /// Says something beside the progress; the next tick draws below it.
    pub(crate) fn note(&mut self, text: &str) {
        if let View::Live(live) = &mut self.view {
            self.output.overwrite(&live.clear());
        }
        self.output.say(text);
    }

    /// Leaves the last lines, whole: what is said next comes below.
    pub(crate) fn finish(&mut self, seen: Option<&Operation>, now: Timestamp) {
        if let View::Live(live) = &mut self.view {
            self.output.overwrite(&live.clear());
            for line in seen.iter().flat_map(|seen| live.last_lines(seen, now)) {
                self.output.say(&line);
            }
        }
    }
}
