//! Tests of the store. The contract, the bounds and the model run against both implementations;
//! the rest is what only a file can suffer, and the handle.

/// Runs each case on a memory store and on a SQLite store.
macro_rules! on_both {
    ($($case:ident)*) => {
        mod memory {
            use crate::store::tests::{Disk, MemoryDisk};
            $(#[test] fn $case() { super::$case(&MemoryDisk::new()); })*
        }
        mod sqlite {
            use crate::store::tests::{Disk, SqliteDisk};
            $(#[test] fn $case() { super::$case(&SqliteDisk::new()); })*
        }
    };
}

mod bounds;
mod contract;
mod damage;
mod durability;
mod handle;
mod model;
mod range;

use std::path::PathBuf;

use tempfile::TempDir;

use super::{
    Batch, CommitError, Entry, Epoch, Expect, MemoryStore, Revision, SqliteStore, Store, StoreId,
    Write,
};

/// Where a store lives on between two of its holders.
trait Disk {
    type Store: Store;

    fn new() -> Self;

    /// Opens what is there; for SQLite the previous holder must be gone.
    fn open(&self) -> Self::Store;
}

struct MemoryDisk(MemoryStore);

impl Disk for MemoryDisk {
    type Store = MemoryStore;

    fn new() -> Self {
        Self(MemoryStore::new())
    }

    fn open(&self) -> MemoryStore {
        self.0.clone()
    }
}

/// A directory with a database in it.
struct SqliteDisk(TempDir);

impl SqliteDisk {
    fn path(&self) -> PathBuf {
        self.0.path().join("store.db")
    }

    fn log(&self) -> PathBuf {
        self.0.path().join("store.db-wal")
    }

    /// The names of all files, sorted.
    fn files(&self) -> Vec<String> {
        let mut names: Vec<String> = std::fs::read_dir(self.0.path())
            .unwrap()
            .map(|file| file.unwrap().file_name().into_string().unwrap())
            .collect();
        names.sort();
        names
    }
}

impl Disk for SqliteDisk {
    type Store = SqliteStore;

    fn new() -> Self {
        Self(tempfile::tempdir().unwrap())
    }

    fn open(&self) -> SqliteStore {
        SqliteStore::open(&self.path()).unwrap()
    }
}

/// A batch that sets each key to each value whatever is there.
fn puts<'a>(fence: Epoch, records: impl IntoIterator<Item = (&'a str, &'a str)>) -> Batch {
    let writes = records
        .into_iter()
        .map(|(key, value)| Write::put(key, Expect::Any, value.as_bytes().to_vec()))
        .collect();
    Batch { fence, writes }
}

/// A batch of one write.
fn one(fence: Epoch, write: Write) -> Batch {
    Batch {
        fence,
        writes: vec![write],
    }
}

/// The present epoch, as the error tells it to somebody with an impossible one.
fn epoch_of(store: &mut impl Store) -> Epoch {
    match store.commit(Batch::new(Epoch(u64::MAX))) {
        Err(CommitError::Fenced { present, .. }) => present,
        other => panic!("an impossible epoch was not fenced: {other:?}"),
    }
}

/// The present revision.
fn revision_of(store: &mut impl Store) -> Revision {
    let fence = epoch_of(store);
    store.commit(Batch::new(fence)).unwrap()
}

fn entry(key: &str, value: &str, revision: u64) -> Entry {
    Entry {
        key: key.to_owned(),
        value: value.as_bytes().to_vec(),
        revision: Revision(revision),
    }
}

/// Everything that can be seen of a store, to compare two of them.
fn seen(store: &mut impl Store) -> (StoreId, Epoch, Revision, Vec<Entry>) {
    (
        store.identity(),
        epoch_of(store),
        revision_of(store),
        store.load("").unwrap(),
    )
}
