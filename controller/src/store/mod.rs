//! The store: the durable truth of the controller, as opaque records under keys.
//!
//! Owns what a commit means. The engine is the only writer and reaches it through
//! [`StoreHandle`]; the backup and recovery commands read through the same handle. The store
//! never looks inside a value and never decides anything about the fleet.
//!
//! # The contract, the same for every implementation
//!
//! - A [`Batch`] is written whole or not at all. It names the revision each key must have and the
//!   [`Epoch`] its writer holds; the first expectation that does not hold is the error.
//! - A commit that returned is on the disk. Each key carries the [`Revision`] of the commit that
//!   last wrote it, and revisions only grow, so a key deleted and written again never looks old.
//! - [`Store::raise_epoch`] fences every earlier holder for good, across restarts.
//! - After [`CommitError::Storage`] nobody knows whether the batch is in. Raise the epoch, then
//!   load: the raise is itself a durable write behind the doubtful one, so what the load shows
//!   from then on is final. [`CommitError::wrote_nothing`] tells the two kinds of failure apart.
//!
//! # Shaped for etcd
//!
//! | here                | there                                                   |
//! |---------------------|---------------------------------------------------------|
//! | `load(prefix)`      | a range read; `revision` is the key's mod revision      |
//! | `range(range)`      | a range read with a limit and an order                  |
//! | `commit(batch)`     | one transaction: compares, then writes                  |
//! | `Expect::At(r)`     | compare mod revision with `r`                           |
//! | `Expect::Absent`    | compare create revision with 0                          |
//! | `Batch::fence`      | compare the value of the epoch key, in every transaction |
//! | `raise_epoch`       | compare-and-put of the epoch key                        |

mod batch;
mod error;
mod handle;
mod image;
mod memory;
mod range;
mod sqlite;
#[cfg(test)]
mod tests;

use std::fmt;
use std::path::Path;
use std::str::FromStr;

use serde::{Deserialize, Serialize};
use ulid::Ulid;

pub use batch::{
    Batch, Change, Expect, MAX_BATCH_BYTES, MAX_KEY_BYTES, MAX_VALUE_BYTES, MAX_WRITES, Write,
};
pub use error::{BatchError, CommitError, StoreError};
pub use handle::{MAX_QUEUED, PendingCommit, StoreHandle};
pub use image::Image;
pub use memory::{CommitFault, MemoryStore};
pub use range::{MAX_PAGE, MAX_PAGE_BYTES, Order, Page, Range};
pub use sqlite::SqliteStore;

/// The highest epoch or revision: SQLite's integers are signed, and the memory store must refuse
/// exactly what SQLite refuses.
const MAX_COUNTER: u64 = i64::MAX.unsigned_abs();

/// Records under keys, committed by compare-and-write under a fence. See the module for the
/// contract; [`StoreHandle`] is how the rest of the controller calls it.
pub trait Store: Send + 'static {
    /// Which store this is; made once, when the store was created, and kept by its snapshots.
    fn identity(&self) -> StoreId;

    /// Writes the whole batch, or nothing and says why. A batch without writes changes nothing,
    /// takes no revision and answers with the present one: a check that the fence still holds.
    fn commit(&mut self, batch: Batch) -> Result<Revision, CommitError>;

    /// Every record whose key starts with `prefix`, sorted by key. The empty prefix is everything.
    fn load(&mut self, prefix: &str) -> Result<Vec<Entry>, StoreError>;

    /// Some records of a range, in its order: no more than it asks for, and no more than make
    /// [`MAX_PAGE_BYTES`]. Reads no others, so that commits wait for a page and not for the range.
    fn range(&mut self, range: &Range) -> Result<Page, StoreError>;

    /// Makes the epoch the higher of its present value plus one and `at_least`, durably. From then
    /// on every batch of another epoch is refused.
    fn raise_epoch(&mut self, at_least: u64) -> Result<Epoch, StoreError>;

    /// Writes a consistent copy into the new file `path`, which appears only when complete and
    /// which [`SqliteStore::open`] opens. Never overwrites.
    fn snapshot_to(&mut self, path: &Path) -> Result<(), StoreError>;
}

/// One record as it was loaded.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Entry {
    /// The key, such as `node/172.31.16.139`.
    pub key: String,
    /// The value, opaque here.
    pub value: Vec<u8>,
    /// The commit that last wrote it; what [`Expect::At`] compares with.
    pub revision: Revision,
}

/// The number of a commit. The counter is the store's, not the key's.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Revision(pub u64);

impl Revision {
    /// The revision of the commit after this one.
    fn next(self) -> Result<Self, StoreError> {
        match self.0.checked_add(1) {
            Some(next) if next <= MAX_COUNTER => Ok(Self(next)),
            _ => Err(StoreError::CounterExhausted {
                counter: "revision",
            }),
        }
    }
}

impl fmt::Display for Revision {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// The term of one holder of the store. A new store has epoch 0, which no controller ever holds:
/// each raises it before its first commit.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Epoch(pub u64);

impl Epoch {
    /// The epoch after this one, and not below `at_least`.
    fn raised(self, at_least: u64) -> Result<Self, StoreError> {
        match self.0.checked_add(1).map(|next| next.max(at_least)) {
            Some(raised) if raised <= MAX_COUNTER => Ok(Self(raised)),
            _ => Err(StoreError::CounterExhausted { counter: "epoch" }),
        }
    }
}

impl fmt::Display for Epoch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// The identity of a store. Agents remember it, so that a controller on another store is noticed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct StoreId(pub Ulid);

impl StoreId {
    /// A new identity from the clock and the system's randomness; for making a store only.
    #[must_use]
    pub fn generate() -> Self {
        Self(Ulid::generate())
    }
}

impl fmt::Display for StoreId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl FromStr for StoreId {
    type Err = ulid::DecodeError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        Ulid::from_str(text).map(Self)
    }
}
