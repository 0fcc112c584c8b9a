//! The store in memory: the same contract with no disk under it, and faults on demand.
//!
//! Ships for the tests and simulations of everything above the store. A [`MemoryStore`] is a
//! handle on shared content, the way a path names a database: a test keeps one clone and "restarts
//! the controller" by giving it another. It must answer in place: simulations run on a paused
//! clock, which a foreign thread would let run ahead.

use std::path::Path;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use super::image::Record;
use super::sqlite::write_image;
use super::{
    Batch, CommitError, Entry, Epoch, Image, Page, Range, Revision, Store, StoreError, StoreId,
};

/// A handle on content in memory; clones share it.
#[derive(Debug, Clone)]
pub struct MemoryStore {
    disk: Arc<Mutex<Disk>>,
}

#[derive(Debug)]
struct Disk {
    image: Image,
    fault: CommitFault,
    faults_left: usize,
    loads_to_fail: usize,
}

/// How a commit fails when told to: the two sides of an outcome in doubt, which look the same to
/// the caller.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum CommitFault {
    /// It fails and nothing was written.
    BeforeApplying,
    /// It was written whole and the answer is an error all the same.
    AfterApplying,
}

impl MemoryStore {
    /// An empty store with a new identity.
    #[must_use]
    #[expect(
        clippy::new_without_default,
        reason = "a default that differs each time misleads"
    )]
    pub fn new() -> Self {
        Self::with_identity(StoreId::generate())
    }

    /// An empty store with this identity, for a run that must be repeatable.
    #[must_use]
    pub fn with_identity(identity: StoreId) -> Self {
        let image = Image::empty(identity);
        let disk = Disk {
            image,
            fault: CommitFault::BeforeApplying,
            faults_left: 0,
            loads_to_fail: 0,
        };
        Self {
            disk: Arc::new(Mutex::new(disk)),
        }
    }

    /// Makes the next `count` commits fail. Replaces what was asked before; 0 ends it.
    pub fn fail_commits(&self, count: usize, fault: CommitFault) {
        let mut disk = self.disk();
        disk.faults_left = count;
        disk.fault = fault;
    }

    /// Makes the next `count` reads of a prefix fail.
    pub fn fail_loads(&self, count: usize) {
        self.disk().loads_to_fail = count;
    }

    /// How many reads are still to fail.
    #[must_use]
    pub fn loads_to_fail(&self) -> usize {
        self.disk().loads_to_fail
    }

    /// Puts `value` under a key as a bad disk would: past every check.
    pub fn spoil(&self, key: &str, value: &[u8]) {
        let mut disk = self.disk();
        let revision = disk.image.revision;
        let value = value.to_vec();
        let record = Record { value, revision };
        disk.image.records.insert(key.to_owned(), record);
    }

    /// The whole content as it is now.
    #[must_use]
    pub fn image(&self) -> Image {
        self.disk().image.clone()
    }

    /// Puts older or other content in place of the present one, identity and epoch included: what
    /// an operator does who restores yesterday's database.
    pub fn roll_back(&self, image: Image) {
        self.disk().image = image;
    }

    fn disk(&self) -> MutexGuard<'_, Disk> {
        // Nothing that runs under the lock leaves the content half written.
        self.disk.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Store for MemoryStore {
    fn identity(&self) -> StoreId {
        self.disk().image.identity
    }

    fn commit(&mut self, batch: Batch) -> Result<Revision, CommitError> {
        let mut disk = self.disk();
        let Some(faults_left) = disk.faults_left.checked_sub(1) else {
            return disk.image.commit(batch);
        };
        disk.faults_left = faults_left;
        if disk.fault == CommitFault::AfterApplying {
            disk.image.commit(batch)?;
        }
        Err(StoreError::Injected.into())
    }

    fn load(&mut self, prefix: &str) -> Result<Vec<Entry>, StoreError> {
        let mut disk = self.disk();
        if let Some(left) = disk.loads_to_fail.checked_sub(1) {
            disk.loads_to_fail = left;
            return Err(StoreError::Injected);
        }
        Ok(disk.image.load(prefix))
    }

    fn range(&mut self, range: &Range) -> Result<Page, StoreError> {
        Ok(self.disk().image.range(range))
    }

    fn raise_epoch(&mut self, at_least: u64) -> Result<Epoch, StoreError> {
        self.disk().image.raise_epoch(at_least)
    }

    fn snapshot_to(&mut self, path: &Path) -> Result<(), StoreError> {
        write_image(path, &self.image())
    }
}
