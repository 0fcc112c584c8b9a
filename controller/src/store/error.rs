//! What can go wrong with the store, in three enums: a batch that no store would take, a commit
//! that was not made or is in doubt, and a store that cannot be used.

use std::io;
use std::path::{Path, PathBuf};

use super::{Epoch, Expect, MAX_BATCH_BYTES, MAX_KEY_BYTES, MAX_VALUE_BYTES, MAX_WRITES, Revision};

/// Why a commit was not made, or is in doubt.
#[derive(Debug, thiserror::Error)]
pub enum CommitError {
    /// The batch is against the bounds; the same batch will never be taken.
    #[error("commit a batch to the store")]
    Malformed(#[from] BatchError),
    /// Another controller has raised the epoch. Its holder must stop writing, not try again.
    #[error("commit under epoch {batch}: the store is held under epoch {present}")]
    Fenced {
        /// The epoch of the batch.
        batch: Epoch,
        /// The epoch of the store.
        present: Epoch,
    },
    /// The first write, in the order of the batch, whose expectation does not hold.
    #[error("commit {key}: expected {expected}, found {}", found_text(*found))]
    Conflict {
        /// The key of that write.
        key: String,
        /// What the write expected.
        expected: Expect,
        /// The revision the key has, if it is there.
        found: Option<Revision>,
    },
    /// The queue to the store is full; nothing was submitted.
    #[error("commit a batch to the store: its queue is full")]
    QueueFull,
    /// The store failed. The batch may be in.
    #[error("commit a batch to the store")]
    Storage(#[from] StoreError),
}

impl CommitError {
    /// Whether the batch is certainly not in the store. If not, raise the epoch and load again.
    #[must_use]
    pub fn wrote_nothing(&self) -> bool {
        match self {
            Self::Malformed(_) | Self::Fenced { .. } | Self::Conflict { .. } | Self::QueueFull => {
                true
            }
            Self::Storage(_) => false,
        }
    }
}

fn found_text(found: Option<Revision>) -> String {
    found.map_or_else(
        || "no record".to_owned(),
        |revision| format!("revision {revision}"),
    )
}

/// Why no store would take a batch.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum BatchError {
    /// More than [`MAX_WRITES`].
    #[error("write {writes} records at once: at most {MAX_WRITES} are taken")]
    TooManyWrites {
        /// How many there are.
        writes: usize,
    },
    /// More than [`MAX_BATCH_BYTES`].
    #[error("write {bytes} bytes at once: at most {MAX_BATCH_BYTES} are taken")]
    TooManyBytes {
        /// How many there are.
        bytes: usize,
    },
    /// Empty, longer than [`MAX_KEY_BYTES`], or with a control character in it.
    #[error("write key {key:?}: a key has 1 to {MAX_KEY_BYTES} bytes and no control characters")]
    MalformedKey {
        /// The key.
        key: String,
    },
    /// Longer than [`MAX_VALUE_BYTES`].
    #[error("write {key}: its value has {bytes} bytes, at most {MAX_VALUE_BYTES} are taken")]
    ValueTooLong {
        /// The key of the value.
        key: String,
        /// How many bytes the value has.
        bytes: usize,
    },
    /// Two writes of the same key: which one comes first would matter.
    #[error("write {key}: the batch writes it twice")]
    RepeatedKey {
        /// The key.
        key: String,
    },
}

/// Why a store cannot be opened, read or written.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// Versions before the needed one can lose committed writes.
    #[error("open the store: sqlite {found} is too old, {needed} is needed")]
    LibraryTooOld {
        /// The version that is linked.
        found: &'static str,
        /// The oldest version that will do.
        needed: &'static str,
    },
    /// Another process has it open. Two controllers on one store are never right.
    #[error("open the store {}: another controller is using it", path.display())]
    InUse {
        /// The file.
        path: PathBuf,
    },
    /// The file is something else, or its first page is gone.
    #[error("open the store {}: it is not a sqlite database", path.display())]
    NotADatabase {
        /// The file.
        path: PathBuf,
    },
    /// A database, but not one of ours.
    #[error("open the store {}: it belongs to another application (id {found:#x})", path.display())]
    Foreign {
        /// The file.
        path: PathBuf,
        /// The application id in its header.
        found: i32,
    },
    /// Written by a later release.
    #[error(
        "open the store {}: a newer controller wrote it (schema {found}, this one knows {known})",
        path.display()
    )]
    Newer {
        /// The file.
        path: PathBuf,
        /// The schema version in its header.
        found: i32,
        /// The schema version of this release.
        known: i32,
    },
    /// The file cannot be what a controller left. It has not been touched.
    #[error("read the store {}: it is damaged: {detail}", path.display())]
    Damaged {
        /// The file.
        path: PathBuf,
        /// What is wrong with it, in SQLite's words where it is SQLite that noticed.
        detail: String,
    },
    /// A snapshot is never written over a file.
    #[error("create {}: the file exists", path.display())]
    AlreadyExists {
        /// The file.
        path: PathBuf,
    },
    /// SQLite would not work on the file in the mode that the contract needs.
    #[error("open the store {}: sqlite keeps {pragma} at {kept}, not {wanted}", path.display())]
    Mode {
        /// The file.
        path: PathBuf,
        /// Which mode.
        pragma: &'static str,
        /// What was asked for.
        wanted: &'static str,
        /// What it stayed at.
        kept: String,
    },
    /// The file system refused.
    #[error("{operation} {}", path.display())]
    File {
        /// What was being done.
        operation: &'static str,
        /// The file.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// SQLite refused, for a reason that is none of the above; a full disk, for one.
    #[error("{operation} the store {}", path.display())]
    Sqlite {
        /// What was being done.
        operation: &'static str,
        /// The file.
        path: PathBuf,
        /// Why.
        source: rusqlite::Error,
    },
    /// An epoch or a revision that does not fit.
    #[error("raise the {counter} of the store: there is no higher one")]
    CounterExhausted {
        /// Which of the two.
        counter: &'static str,
    },
    /// The thread of the store could not be started.
    #[error("start the thread of the store")]
    Thread(#[source] io::Error),
    /// The store was shut down, or its thread died.
    #[error("use the store: it is closed")]
    Closed,
    /// A memory store was told to fail, see [`super::MemoryStore::fail_commits`].
    #[error("write the memory store: told to fail")]
    Injected,
}

impl StoreError {
    /// An error of the file system.
    pub(super) fn file(operation: &'static str, path: &Path, source: io::Error) -> Self {
        Self::File {
            operation,
            path: path.to_owned(),
            source,
        }
    }

    /// A file that cannot be what a controller left.
    pub(super) fn damaged(path: &Path, detail: impl Into<String>) -> Self {
        Self::Damaged {
            path: path.to_owned(),
            detail: detail.into(),
        }
    }

    /// An error of SQLite, sorted by what it says about the file.
    pub(super) fn sqlite(operation: &'static str, path: &Path, source: rusqlite::Error) -> Self {
        use rusqlite::{Error, ErrorCode};
        let path = path.to_owned();
        match source {
            Error::SqliteFailure(failure, ref message) => match failure.code {
                ErrorCode::DatabaseBusy | ErrorCode::DatabaseLocked => Self::InUse { path },
                ErrorCode::NotADatabase => Self::NotADatabase { path },
                ErrorCode::DatabaseCorrupt => {
                    let detail = message.clone().unwrap_or_else(|| failure.to_string());
                    Self::Damaged { path, detail }
                }
                _ => Self::Sqlite {
                    operation,
                    path,
                    source,
                },
            },
            // A value of a type that we never write; or a statement of ours that the file's own
            // schema does not understand.
            Error::SqlInputError { .. }
            | Error::FromSqlConversionFailure(..)
            | Error::IntegralValueOutOfRange(..)
            | Error::InvalidColumnType(..)
            | Error::Utf8Error(..) => Self::Damaged {
                path,
                detail: source.to_string(),
            },
            _ => Self::Sqlite {
                operation,
                path,
                source,
            },
        }
    }
}
