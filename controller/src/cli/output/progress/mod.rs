//! The progress of an operation on stderr: redrawn lines on a terminal, plain lines elsewhere.

#[cfg(test)]
mod fixtures;
mod live;
mod plain;

use extend_common::operation::Operation;
use jiff::Timestamp;

use super::Output;
use super::text::count;
use super::warning::{self, Warned};
use live::Live;
use plain::Plain;

/// More warnings than this do not help anybody at once; `extend op show` has all.
const MAX_WARNINGS: usize = 12;

/// Shows how an operation goes on.
#[derive(Debug)]
pub(crate) struct Progress {
    output: Output,
    view: View,
    /// What was to be known before has been told.
    warned: bool,
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
        Self {
            output,
            view,
            warned: false,
        }
    }

    /// Shows the operation as it is now.
    pub(crate) fn update(&mut self, operation: &Operation, now: Timestamp) {
        if !self.warned && operation.ended.is_none() {
            self.warn(operation, now);
        }
        self.warned = true;
        match &mut self.view {
            View::Live(live) => self.output.overwrite(&live.frame(operation, now)),
            View::Plain(plain) => {
                for line in plain.update(operation, now) {
                    self.output.say(&line);
                }
            }
        }
    }

    /// Says what is to be known before.
    fn warn(&mut self, operation: &Operation, now: Timestamp) {
        let open = operation.targets.iter();
        let open = open.filter(|target| !target.state.has_ended());
        let warned = open.map(|target| Warned {
            name: &target.name,
            node: target.node,
            warning: &target.warning,
        });
        let sentences = warning::sentences(warned, now);
        for sentence in sentences.iter().take(MAX_WARNINGS) {
            self.output.say(sentence);
        }
        let more = sentences.len().saturating_sub(MAX_WARNINGS);
        if more > 0 {
            self.output.say(&format!(
                "and {} more: extend op show {}",
                count(more, "warning"),
                operation.id.short()
            ));
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
