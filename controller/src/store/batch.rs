//! What is asked of a commit: the batch, its expectations and its bounds.
//!
//! Built by the engine, checked by every store before it touches anything. Knows no storage.

use std::collections::HashSet;
use std::fmt;

use super::{BatchError, CommitError, Epoch, Revision};

/// The longest key. Keys are a kind and a name (`node/172.31.16.139`); what is longer is a mistake.
pub const MAX_KEY_BYTES: usize = 256;

/// The largest value. A record is a few KiB; etcd's limit on a whole request is 1.5 MiB.
pub const MAX_VALUE_BYTES: usize = 1024 * 1024;

/// The most writes in one batch: an operation on 10,000 servers writes two records for each.
/// The commits behind it wait for as long as it takes, some 100 ms at this size.
pub const MAX_WRITES: usize = 20_000;

/// The most bytes of keys and values in one batch: 3 KiB for each of the most writes. Without it,
/// the two bounds above would still allow 20 GiB.
pub const MAX_BATCH_BYTES: usize = 64 * 1024 * 1024;

/// Writes that happen together or not at all.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Batch {
    /// The epoch its writer holds. A batch of any other than the present epoch is refused.
    pub fence: Epoch,
    /// The writes; at most one for each key, so that their order means nothing.
    pub writes: Vec<Write>,
}

impl Batch {
    /// An empty batch of the holder of `fence`.
    #[must_use]
    pub fn new(fence: Epoch) -> Self {
        Self {
            fence,
            writes: Vec::new(),
        }
    }

    /// Refuses what no store would take, before anything is locked or written.
    pub(super) fn check(&self) -> Result<(), BatchError> {
        if self.writes.len() > MAX_WRITES {
            return Err(BatchError::TooManyWrites {
                writes: self.writes.len(),
            });
        }
        let bytes: usize = self.writes.iter().map(Write::bytes).sum();
        if bytes > MAX_BATCH_BYTES {
            return Err(BatchError::TooManyBytes { bytes });
        }
        let mut keys = HashSet::with_capacity(self.writes.len());
        for write in &self.writes {
            write.check()?;
            if !keys.insert(write.key.as_str()) {
                return Err(BatchError::RepeatedKey {
                    key: write.key.clone(),
                });
            }
        }
        Ok(())
    }
}

/// One write of a batch.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Write {
    /// The key to write.
    pub key: String,
    /// What must be so, just before the batch, for the batch to be written.
    pub expect: Expect,
    /// What becomes of the key.
    pub change: Change,
}

impl Write {
    /// Sets `key` to `value` if `expect` holds.
    #[must_use]
    pub fn put(key: impl Into<String>, expect: Expect, value: Vec<u8>) -> Self {
        Self {
            key: key.into(),
            expect,
            change: Change::Put(value),
        }
    }

    /// Removes `key` if `expect` holds. Removing what is absent is no error under [`Expect::Any`].
    #[must_use]
    pub fn delete(key: impl Into<String>, expect: Expect) -> Self {
        Self {
            key: key.into(),
            expect,
            change: Change::Delete,
        }
    }

    /// Compares the expectation with the revision that was found.
    pub(super) fn admit(&self, found: Option<Revision>) -> Result<(), CommitError> {
        let holds = match self.expect {
            Expect::Any => true,
            Expect::Absent => found.is_none(),
            Expect::At(revision) => found == Some(revision),
        };
        if holds {
            return Ok(());
        }
        Err(CommitError::Conflict {
            key: self.key.clone(),
            expected: self.expect,
            found,
        })
    }

    fn bytes(&self) -> usize {
        let value = match &self.change {
            Change::Put(value) => value.len(),
            Change::Delete => 0,
        };
        self.key.len() + value
    }

    fn check(&self) -> Result<(), BatchError> {
        // Control characters are refused because SQLite's own tools end a text at a NUL.
        let malformed = self.key.is_empty()
            || self.key.len() > MAX_KEY_BYTES
            || self.key.chars().any(char::is_control);
        if malformed {
            return Err(BatchError::MalformedKey {
                key: self.key.clone(),
            });
        }
        match &self.change {
            Change::Put(value) if value.len() > MAX_VALUE_BYTES => Err(BatchError::ValueTooLong {
                key: self.key.clone(),
                bytes: value.len(),
            }),
            Change::Put(_) | Change::Delete => Ok(()),
        }
    }
}

/// What a write expects to find under its key.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Expect {
    /// The key is not there.
    Absent,
    /// The key was last written by this commit.
    At(Revision),
    /// Whatever is or is not there.
    Any,
}

impl fmt::Display for Expect {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Absent => f.write_str("no record"),
            Self::At(revision) => write!(f, "revision {revision}"),
            Self::Any => f.write_str("anything"),
        }
    }
}

/// What becomes of a key.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Change {
    /// It has this value.
    Put(Vec<u8>),
    /// It is gone.
    Delete,
}
