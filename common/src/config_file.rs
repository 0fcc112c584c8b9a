//! Reading a TOML file that a person writes, and saying where it is wrong: which file, which line,
//! which key, what is wrong with it, and what to write instead.
//!
//! Used for the configuration of controller and agent and for role definitions. A file that is not
//! understood is never used in part. What the keys mean is for the types that are read.

mod locate;

use std::fmt;
use std::io;
use std::path::{Path, PathBuf};

use serde::de::DeserializeOwned;

use self::locate::Place;
use crate::nearest::nearest;

/// No such file is anywhere near so long; one that is, is something else.
const MAX_FILE_BYTES: u64 = 64 * 1024;

/// Separates a cause from its hint in the errors of values: the parser's errors have room for one
/// text only. A control character: no key and no value of ours has one.
const HINT: char = '\u{1f}';

/// An error of a value, with its hint, for the `Deserialize` of a field.
pub fn refused<E: serde::de::Error>(cause: impl fmt::Display, hint: &str) -> E {
    E::custom(format_args!("{cause}{HINT}{hint}"))
}

/// A file on its way to being understood.
#[derive(Debug, Clone, Copy)]
pub struct ConfigFile<'a> {
    /// What it is, in sentences: `the configuration`.
    pub what: &'static str,
    /// Where it is.
    pub path: &'a Path,
}

impl ConfigFile<'_> {
    /// Its text.
    ///
    /// # Errors
    /// When it cannot be read, is too long, or is no text.
    pub fn read(&self) -> Result<String, ConfigError> {
        let failed = |error: io::Error| {
            let hint = match error.kind() {
                io::ErrorKind::PermissionDenied => "run the command as root",
                io::ErrorKind::InvalidData => {
                    "it is damaged, or something else: put it back from a copy"
                }
                _ => EXAMPLE,
            };
            let mut failed = self.error(None, error.to_string(), hint);
            failed.0.kind = Some(error.kind());
            failed
        };
        let size = std::fs::metadata(self.path).map_err(failed)?.len();
        if size > MAX_FILE_BYTES {
            let cause = format!("it has {size} bytes, more than {MAX_FILE_BYTES}");
            return Err(self.error(None, cause, "is this the right file?"));
        }
        std::fs::read_to_string(self.path).map_err(failed)
    }

    /// What `text`, which stands in the file, says.
    ///
    /// # Errors
    /// At the first thing that is wrong with it.
    pub fn parse<T: DeserializeOwned>(&self, text: &str) -> Result<T, ConfigError> {
        toml::from_str(text).map_err(|error| {
            let place = error.span().and_then(|span| locate::at_offset(text, span));
            let (cause, hint) = explain(error.message());
            self.error(place, cause, &hint)
        })
    }

    /// A rule between keys is broken: `key` is where to mend it. A key that is not in the file
    /// has its default, and no line.
    #[must_use]
    pub fn broken_at_key(&self, text: &str, key: &str, cause: String, hint: &str) -> ConfigError {
        self.error(locate::key(text, key), cause, hint)
    }

    /// A rule is broken on the line that has `words` on it.
    #[must_use]
    pub fn broken_at_words(
        &self,
        text: &str,
        words: &str,
        cause: String,
        hint: &str,
    ) -> ConfigError {
        self.error(locate::words(text, words), cause, hint)
    }

    fn error(&self, place: Option<Place>, cause: String, hint: &str) -> ConfigError {
        ConfigError(Box::new(Fault {
            what: self.what,
            path: self.path.to_owned(),
            place,
            cause,
            hint: hint.to_owned(),
            kind: None,
        }))
    }
}

/// What is wrong with a file, and where.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ConfigError(Box<Fault>);

// Apart, so that results with this error stay small.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Fault {
    what: &'static str,
    path: PathBuf,
    place: Option<Place>,
    cause: String,
    hint: String,
    kind: Option<io::ErrorKind>,
}

impl ConfigError {
    /// What to write instead, or what to do.
    #[must_use]
    pub fn hint(&self) -> &str {
        &self.0.hint
    }

    /// The same with another hint.
    #[must_use]
    pub fn with_hint(mut self, hint: &str) -> Self {
        hint.clone_into(&mut self.0.hint);
        self
    }

    /// The key that is wrong, such as `listen.agents`, if it is one key.
    #[must_use]
    pub fn key(&self) -> Option<&str> {
        self.0.place.as_ref().and_then(|place| place.key.as_deref())
    }

    /// The line, counted from 1.
    #[must_use]
    pub fn line(&self) -> Option<usize> {
        self.0.place.as_ref().map(|place| place.line)
    }

    /// Whether there is no such file.
    #[must_use]
    pub fn is_missing(&self) -> bool {
        self.0.kind == Some(io::ErrorKind::NotFound)
    }
}

impl fmt::Display for ConfigError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let fault = &self.0;
        write!(f, "reading {} {}", fault.what, fault.path.display())?;
        if let Some(line) = self.line() {
            write!(f, ", line {line}")?;
        }
        if let Some(key) = self.key() {
            write!(f, ", key `{key}`")?;
        }
        write!(f, ": {}", fault.cause)
    }
}

impl std::error::Error for ConfigError {}

const EXAMPLE: &str = "every key is described in the example that ships with the package";

/// The parser's message as a cause, and what helps. Our own values bring their hint with them.
fn explain(message: &str) -> (String, String) {
    if let Some((cause, hint)) = message.split_once(HINT) {
        return (cause.to_owned(), hint.to_owned());
    }
    let cause = message.split_whitespace().collect::<Vec<_>>().join(" ");
    let hint = if cause.starts_with("unknown field") {
        return unknown_key(&cause);
    } else if cause.starts_with("missing field") {
        "add it to the file"
    } else if cause.starts_with("unknown variant") || cause.starts_with("invalid type") {
        "write the value as the example that ships with the package does"
    } else if cause.contains("socket address") {
        "write address and port, such as \"172.31.16.133:7443\""
    } else {
        "texts stand in quotes, and a [table] ends where the next begins"
    };
    (cause, hint.to_owned())
}

/// ``unknown field `a`, expected one of `b`, `c` ``: the words between the backticks are the
/// unknown key and those that there are.
fn unknown_key(cause: &str) -> (String, String) {
    let mut words = cause.split('`').skip(1).step_by(2);
    let unknown = words.next().unwrap_or_default();
    let known: Vec<String> = words.map(str::to_owned).collect();
    let hint = match nearest(unknown, &known) {
        Some(meant) => format!("did you mean `{meant}`?"),
        None => format!("is it in the wrong [table]? {EXAMPLE}"),
    };
    (cause.to_owned(), hint)
}

#[cfg(test)]
#[path = "config_file_tests.rs"]
mod tests;
