//! The store in a SQLite file: the default, and the one that production runs on.
//!
//! Owns the statements. Beside it: `format`, what a file of ours is; `create`, how it comes to be;
//! `open`, what it takes to be opened. One connection, used from the store's thread only: every
//! method blocks on the disk.

mod connect;
mod create;
mod format;
mod open;
#[cfg(test)]
mod tests;

use std::path::{Path, PathBuf};

use rusqlite::types::FromSql;
use rusqlite::{Connection, OptionalExtension, Row, TransactionBehavior, params};

use super::{
    Batch, Change, CommitError, Entry, Epoch, Expect, Order, Page, Range, Revision, Store,
    StoreError, StoreId, Write,
};
use format::{META_EPOCH, META_REVISION};

pub(super) use create::write_image;

/// A store in one file, locked against every other process while it is open.
#[derive(Debug)]
pub struct SqliteStore {
    connection: Connection,
    path: PathBuf,
    identity: StoreId,
}

impl SqliteStore {
    /// Opens the store at `path`, or creates it if nothing is there; the directory must exist. A
    /// file that is not a sound store of this release is refused and left as it is.
    ///
    /// Whoever puts a snapshot in the place of a store removes the `-wal` file of its predecessor
    /// first: SQLite cannot tell that the log belongs to another database.
    pub fn open(path: &Path) -> Result<Self, StoreError> {
        let (connection, identity) = open::open(path)?;
        Ok(Self {
            connection,
            path: path.to_owned(),
            identity,
        })
    }
}

impl Store for SqliteStore {
    fn identity(&self) -> StoreId {
        self.identity
    }

    fn commit(&mut self, batch: Batch) -> Result<Revision, CommitError> {
        batch.check()?;
        let failed = |source| StoreError::sqlite("commit to", &self.path, source);
        // Dropped without a commit it rolls back: every early return below writes nothing.
        let transaction = self
            .connection
            .transaction_with_behavior(TransactionBehavior::Immediate)
            .map_err(failed)?;
        let present = Epoch(read_counter(&transaction, META_EPOCH).map_err(failed)?);
        if batch.fence != present {
            return Err(CommitError::Fenced {
                batch: batch.fence,
                present,
            });
        }
        admit(&transaction, &batch.writes, failed)?;
        let revision = Revision(read_counter(&transaction, META_REVISION).map_err(failed)?);
        if batch.writes.is_empty() {
            return Ok(revision);
        }
        let revision = revision.next()?;
        apply(&transaction, &batch.writes, revision).map_err(failed)?;
        write_counter(&transaction, META_REVISION, revision.0).map_err(failed)?;
        transaction.commit().map_err(failed)?;
        Ok(revision)
    }

    fn load(&mut self, prefix: &str) -> Result<Vec<Entry>, StoreError> {
        load(&self.connection, prefix)
            .map_err(|source| StoreError::sqlite("load from", &self.path, source))
    }

    fn range(&mut self, wanted: &Range) -> Result<Page, StoreError> {
        range(&self.connection, wanted)
            .map_err(|source| StoreError::sqlite("read from", &self.path, source))
    }

    fn raise_epoch(&mut self, at_least: u64) -> Result<Epoch, StoreError> {
        let failed = |source| StoreError::sqlite("raise the epoch of", &self.path, source);
        let transaction = self
            .connection
            .transaction_with_behavior(TransactionBehavior::Immediate)
            .map_err(failed)?;
        let present = Epoch(read_counter(&transaction, META_EPOCH).map_err(failed)?);
        let raised = present.raised(at_least)?;
        write_counter(&transaction, META_EPOCH, raised.0).map_err(failed)?;
        transaction.commit().map_err(failed)?;
        Ok(raised)
    }

    fn snapshot_to(&mut self, path: &Path) -> Result<(), StoreError> {
        create::copy(&self.connection, path)
    }
}

/// Checks every expectation, in the order of the batch.
fn admit(
    connection: &Connection,
    writes: &[Write],
    failed: impl Fn(rusqlite::Error) -> StoreError,
) -> Result<(), CommitError> {
    let mut select = connection
        .prepare_cached("SELECT revision FROM kv WHERE key = ?1")
        .map_err(&failed)?;
    for write in writes {
        if write.expect == Expect::Any {
            continue;
        }
        let found = select
            .query_row([&write.key], |row| counter(row, 0))
            .optional()
            .map_err(&failed)?;
        write.admit(found.map(Revision))?;
    }
    Ok(())
}

/// Makes every change.
fn apply(
    connection: &Connection,
    writes: &[Write],
    revision: Revision,
) -> Result<(), rusqlite::Error> {
    let revision = integer(revision.0)?;
    let mut put = connection.prepare_cached(
        "INSERT INTO kv (key, value, revision) VALUES (?1, ?2, ?3)
         ON CONFLICT (key) DO UPDATE SET value = excluded.value, revision = excluded.revision",
    )?;
    let mut delete = connection.prepare_cached("DELETE FROM kv WHERE key = ?1")?;
    for write in writes {
        match &write.change {
            Change::Put(value) => put.execute(params![write.key, value, revision])?,
            Change::Delete => delete.execute([&write.key])?,
        };
    }
    Ok(())
}

fn load(connection: &Connection, prefix: &str) -> Result<Vec<Entry>, rusqlite::Error> {
    // The key is the table's order, and texts compare byte by byte: reading on from the prefix
    // until a key no longer has it needs no upper bound, which not every prefix has.
    let mut statement = connection
        .prepare_cached("SELECT key, value, revision FROM kv WHERE key >= ?1 ORDER BY key")?;
    let mut rows = statement.query([prefix])?;
    let mut entries = Vec::new();
    while let Some(row) = rows.next()? {
        let entry = entry(row)?;
        if !entry.key.starts_with(prefix) {
            break;
        }
        entries.push(entry);
    }
    Ok(entries)
}

fn range(connection: &Connection, range: &Range) -> Result<Page, rusqlite::Error> {
    let bounds = range.bounds();
    if bounds.are_empty() {
        return Ok(Page::default());
    }
    // Written out: with a bound that may be none, SQLite would not look it up but walk to it.
    let from = if bounds.low_is_in { ">=" } else { ">" };
    let to = bounds.high.as_ref().map_or("", |_| "AND key < ?2");
    let order = match range.order {
        Order::Ascending => "ASC",
        Order::Descending => "DESC",
    };
    let mut statement = connection.prepare_cached(&format!(
        "SELECT key, value, revision FROM kv WHERE key {from} ?1 {to} ORDER BY key {order}"
    ))?;
    let rows = match &bounds.high {
        Some(high) => statement.query_map([&bounds.low, high], entry)?,
        None => statement.query_map([&bounds.low], entry)?,
    };
    // The statement walks as far as it is asked to.
    Page::fill(range, rows)
}

fn entry(row: &Row<'_>) -> Result<Entry, rusqlite::Error> {
    Ok(Entry {
        key: row.get(0)?,
        value: row.get(1)?,
        revision: Revision(counter(row, 2)?),
    })
}

fn read_meta<T: FromSql>(connection: &Connection, name: &str) -> Result<T, rusqlite::Error> {
    connection
        .prepare_cached("SELECT value FROM meta WHERE name = ?1")?
        .query_row([name], |row| row.get(0))
}

fn read_counter(connection: &Connection, name: &str) -> Result<u64, rusqlite::Error> {
    connection
        .prepare_cached("SELECT value FROM meta WHERE name = ?1")?
        .query_row([name], |row| counter(row, 0))
}

fn write_counter(connection: &Connection, name: &str, value: u64) -> Result<(), rusqlite::Error> {
    connection
        .prepare_cached("UPDATE meta SET value = ?2 WHERE name = ?1")?
        .execute(params![name, integer(value)?])
        .map(drop)
}

/// A counter out of a row; SQLite knows only signed integers.
fn counter(row: &Row<'_>, column: usize) -> Result<u64, rusqlite::Error> {
    let value: i64 = row.get(column)?;
    u64::try_from(value).map_err(|_| rusqlite::Error::IntegralValueOutOfRange(column, value))
}

/// A counter as SQLite takes it.
fn integer(value: u64) -> Result<i64, rusqlite::Error> {
    i64::try_from(value).map_err(|error| rusqlite::Error::ToSqlConversionFailure(Box::new(error)))
}
