//! The one owner of stdout and stderr. Data goes to stdout; talk, progress and errors to stderr.
//!
//! Colour is used only where a terminal is, `NO_COLOR` is not, and never says what words do not.

pub(crate) mod document;
mod error;
pub(crate) mod pager;
pub(crate) mod plan;
pub(crate) mod progress;
pub(crate) mod screen;
pub(crate) mod spark;
pub(crate) mod summary;
pub(crate) mod table;
pub(crate) mod terminal;
pub(crate) mod text;
mod tone;
pub(crate) mod visible;
pub(crate) mod warning;

use std::io::{self, IsTerminal, Write};

use clap::error::ErrorKind;
use extend_common::exit::Exit;
use jiff::Timestamp;

use super::failure::Failure;
pub(crate) use tone::Tone;

/// Where words go, and what may be done to them there.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Output {
    stdout: Stream,
    stderr: Stream,
}

/// What one of the two streams is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Stream {
    /// Whether a person looks at it.
    pub(crate) terminal: bool,
    /// Whether colours may be used.
    pub(crate) colour: bool,
}

impl Output {
    /// Looks at the streams and the environment.
    pub(crate) fn detect() -> Self {
        let set = |name| std::env::var_os(name).is_some_and(|value| !value.is_empty());
        let dumb = std::env::var_os("TERM").is_none_or(|term| term == "dumb" || term.is_empty());
        let stream = |terminal| Stream {
            terminal: terminal && !dumb,
            colour: terminal && !dumb && !set("NO_COLOR"),
        };
        Self {
            stdout: stream(io::stdout().is_terminal()),
            stderr: stream(io::stderr().is_terminal()),
        }
    }

    /// What stdout is.
    pub(crate) fn stdout(&self) -> Stream {
        self.stdout
    }

    /// Whether stdout is a terminal of whatever kind: one that is too dumb for colours still does
    /// what control characters tell it.
    pub(crate) fn writes_to_terminal(&self) -> bool {
        io::stdout().is_terminal()
    }

    /// What stderr is.
    pub(crate) fn stderr(&self) -> Stream {
        self.stderr
    }

    /// Prints data. A reader who has had enough (`| head`) is no failure; a full disk is.
    pub(crate) fn data(&self, text: &str) -> Result<(), Failure> {
        self.more_data(text).map(drop)
    }

    /// The same for what goes on and on: whether anybody still reads it.
    pub(crate) fn more_data(&self, text: &str) -> Result<bool, Failure> {
        let mut stdout = io::stdout().lock();
        let newline = if text.is_empty() || text.ends_with('\n') {
            ""
        } else {
            "\n"
        };
        match write!(stdout, "{text}{newline}").and_then(|()| stdout.flush()) {
            Err(error) if error.kind() == io::ErrorKind::BrokenPipe => Ok(false),
            Err(error) => Err(Failure::local("cannot write to standard output", &error)),
            Ok(()) => Ok(true),
        }
    }

    /// Draws on the terminal behind stdout, exactly as it stands.
    pub(crate) fn frame(&self, frame: &str) -> Result<(), Failure> {
        let mut stdout = io::stdout().lock();
        write!(stdout, "{frame}")
            .and_then(|()| stdout.flush())
            .map_err(|error| Failure::local("cannot draw on the terminal", &error))
    }

    /// Says something to the person at the terminal. If nobody listens, so be it.
    pub(crate) fn say(&self, text: &str) {
        let mut stderr = io::stderr().lock();
        let newline = if text.is_empty() || text.ends_with('\n') {
            ""
        } else {
            "\n"
        };
        drop(write!(stderr, "{text}{newline}").and_then(|()| stderr.flush()));
    }

    /// Asks, without ending the line.
    pub(crate) fn ask(&self, text: &str) {
        self.overwrite(text);
    }

    /// Draws on the terminal behind stderr, exactly as it stands.
    pub(crate) fn overwrite(&self, frame: &str) {
        let mut stderr = io::stderr().lock();
        drop(write!(stderr, "{frame}").and_then(|()| stderr.flush()));
    }

    /// Says what to run next.
    pub(crate) fn hint(&self, command: &str) {
        self.say(&error::hint(command, self.stderr.colour));
    }

    /// Says why a command did not do what was asked.
    pub(crate) fn failure(&self, failure: &Failure) {
        self.say(&error::render(
            failure,
            Timestamp::now(),
            self.stderr.colour,
        ));
    }

    /// Prints what the parser of the arguments has to say: help, a version, or what is wrong.
    /// `hint` is the command that explains the right usage.
    pub(crate) fn parser(&self, error: &clap::Error, hint: &str) -> Exit {
        let rendered = error.render();
        if !error.use_stderr() {
            let text = if self.stdout.colour {
                rendered.ansi().to_string()
            } else {
                rendered.to_string()
            };
            return self
                .data(&text)
                .map_or_else(|failure| failure.exit, |()| Exit::Done);
        }
        let text = if self.stderr.colour {
            rendered.ansi().to_string()
        } else {
            rendered.to_string()
        };
        // Called with nothing at all, the parser prints the whole help: nothing is to be added.
        let whole_help = ErrorKind::DisplayHelpOnMissingArgumentOrSubcommand;
        if error.kind() == whole_help {
            self.say(&text);
        } else {
            self.say(&error::with_hint_for_footer(
                &text,
                hint,
                self.stderr.colour,
            ));
        }
        Exit::Usage
    }
}

#[cfg(test)]
mod tests;
