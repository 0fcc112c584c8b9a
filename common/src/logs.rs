//! What servers write, and how it is asked for: the words that agent, controller and command line
//! share.
//!
//! Nothing here reads anything. The agent does, the controller passes pieces on, and both parse
//! what they hear through [`crate::wire`].

use std::fmt;
use std::str::FromStr;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

/// No piece carries more: small enough that a queue of them is small, and as long as the longest
/// part of a line that Docker hands out.
pub const MAX_PIECE_BYTES: usize = 16 * 1024;
/// What `--tail all` means, and the most that a tail can be: further back there are better tools.
pub const MAX_TAIL: u32 = 100_000;
/// How deep below a log directory a file may lie: itself counts.
pub const MAX_DEPTH: usize = 3;
/// More files are not listed.
pub const MAX_FILES: usize = 1_000;
/// The longest name that Linux has for a file.
const MAX_COMPONENT: usize = 255;

/// What is to be read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum LogSource {
    /// The container's output.
    Output,
    /// That of the container that failed and was kept aside.
    FailedOutput,
    /// A file below the role's log directory.
    File(LogPath),
    /// The list of those files.
    List,
    /// A file below the role's directory of crash dumps, whole.
    Dump(LogPath),
    /// The list of those.
    DumpList,
    /// What the container was made from and how it is, as lines of text without secrets.
    Inspection,
}

/// A file below a log directory: relative, of plain components, at most [`MAX_DEPTH`] of them.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct LogPath(String);

/// Why a text is no path of a log file.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum LogPathError {
    /// Absolute.
    #[error("it begins with `/`: name a file below the server's log directory")]
    Absolute,
    /// `..`, `.`, nothing, or what no name can be.
    #[error("it must consist of plain names, without `..`")]
    NotPlain,
    /// Too many directories.
    #[error("it lies deeper than {MAX_DEPTH} names")]
    TooDeep,
}

impl LogPath {
    /// Its components, outermost first.
    pub fn components(&self) -> impl Iterator<Item = &str> {
        self.0.split('/')
    }
}

impl FromStr for LogPath {
    type Err = LogPathError;

    fn from_str(text: &str) -> Result<Self, LogPathError> {
        if text.starts_with('/') {
            return Err(LogPathError::Absolute);
        }
        if !text.split('/').all(is_plain) {
            return Err(LogPathError::NotPlain);
        }
        if text.split('/').count() > MAX_DEPTH {
            return Err(LogPathError::TooDeep);
        }
        Ok(Self(text.to_owned()))
    }
}

/// A name that can be asked for and shown: no control characters, and no way up.
fn is_plain(component: &str) -> bool {
    !matches!(component, "" | "." | "..")
        && component.len() <= MAX_COMPONENT
        && !component.contains('\\')
        && !component.chars().any(char::is_control)
}

impl fmt::Display for LogPath {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&self.0)
    }
}

impl TryFrom<String> for LogPath {
    type Error = LogPathError;

    fn try_from(text: String) -> Result<Self, LogPathError> {
        text.parse()
    }
}

impl From<LogPath> for String {
    fn from(path: LogPath) -> Self {
        path.0
    }
}

/// Where a piece ends, for whoever has to go on from there.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LogPosition {
    /// Of output: Docker's time of its last line.
    Time(Timestamp),
    /// Of a file.
    File(FilePosition),
}

/// A place in a file, whatever its name is by now.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct FilePosition {
    /// The file system that it lies on.
    pub device: u64,
    /// Its number there.
    pub inode: u64,
    /// How far it was read.
    pub offset: u64,
}

/// What is asked for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LogQuery {
    /// From where.
    pub source: LogSource,
    /// So many lines of what is there; at most [`MAX_TAIL`].
    pub tail: u32,
    /// And everything from now on.
    pub follow: bool,
    /// Go on from here, instead of with the tail.
    pub after: Option<LogPosition>,
}

/// What happened to the source while it was followed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LogNote {
    /// The process has ended; the next one is awaited.
    Ended,
    /// The same container runs again.
    RunsAgain,
    /// Another container bears the name.
    Replaced,
    /// Docker does not answer; it is asked again.
    DockerSilent,
    /// There is no such file yet, or no longer; it is awaited.
    FileAwaited,
    /// Another file bears the name.
    FileReplaced,
    /// The file has become shorter.
    FileTruncated,
    /// Something was written that nobody can show any more.
    Gap,
}

/// A file in a list.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct LogFileEntry {
    /// Below the log directory.
    pub path: LogPath,
    /// In bytes.
    pub size: u64,
    /// When it was last written.
    pub modified: Timestamp,
}

/// Why there is nothing to read, or no more.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LogFaultKind {
    /// The agent has no server of that role.
    NoServer,
    /// There is no such container, or it is not ours.
    NoContainer,
    /// There is no such file.
    NoFile,
    /// It is a directory, a link or a pipe.
    NotAFile,
    /// The role keeps no log files, or its directory is not there.
    NoDirectory,
    /// Docker does not answer, or refuses.
    Docker,
    /// The file cannot be read.
    Unreadable,
    /// The agent reads as many logs as it may at once.
    Busy,
    /// The agent does not understand what is asked of it.
    NotUnderstood,
}

/// A fault, with what the node says about it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LogFault {
    /// What.
    pub kind: LogFaultKind,
    /// In words; empty where the kind says all.
    pub detail: String,
}

impl LogFault {
    /// A fault with what is known of it.
    pub fn new(kind: LogFaultKind, detail: impl Into<String>) -> Self {
        Self {
            kind,
            detail: detail.into(),
        }
    }
}

impl From<LogFaultKind> for LogFault {
    fn from(kind: LogFaultKind) -> Self {
        Self::new(kind, "")
    }
}

/// One message on the way from a node to an operator.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum LogPiece {
    /// What the server wrote.
    Data {
        /// At most [`MAX_PIECE_BYTES`].
        bytes: Vec<u8>,
        /// None within a line.
        position: Option<LogPosition>,
    },
    /// What happened.
    Note(LogNote),
    /// A part of the list.
    Files {
        /// In the order of their paths.
        files: Vec<LogFileEntry>,
        /// There are more than are listed.
        cut: bool,
    },
    /// The end, and why.
    Fault(LogFault),
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_path_cannot_leave_its_directory() {
        for right in [
            "a.log",
            "2026/media.log",
            "a/b/c",
            "..a",
            "a..",
            "...",
            "ä b.log",
        ] {
            assert!(right.parse::<LogPath>().is_ok(), "{right}");
        }
        let long = "x".repeat(256);
        for wrong in [
            "",
            "/",
            "/etc/passwd",
            "..",
            "../a",
            "a/../b",
            "a/..",
            ".",
            "./a",
            "a//b",
            "a/",
            "a\0b",
            "a\nb",
            "\u{1b}[31m",
            "a\\..\\b",
            "a/b/c/d",
            &long,
        ] {
            assert!(wrong.parse::<LogPath>().is_err(), "{wrong:?}");
        }
    }
}
