//! Opening a database file: only a sound store of this release gets through, and what does not is
//! left on the disk as it was found.
//!
//! Called by [`super::SqliteStore::open`]. Must never open the file other than through SQLite:
//! closing any descriptor of a file drops the locks that the whole process holds on it.

use std::ffi::OsString;
use std::fs::{self, Permissions};
use std::io::ErrorKind;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use rusqlite::Connection;
use rusqlite::config::DbConfig;

use super::connect::{check_library, connect, set_mode};
use super::create::{PRIVATE, write_image};
use super::format::{PAGE_BYTES, inspect};
use crate::store::image::Image;
use crate::store::{StoreError, StoreId};

/// The smallest page that SQLite knows, and with it the shortest file that holds a database.
const SMALLEST_PAGE: u64 = 512;

/// After how many pages the write-ahead log is copied into the database: 4 MiB, as is SQLite's
/// default with pages of its default size.
const CHECKPOINT_PAGES: u32 = 4 * 1024 * 1024 / PAGE_BYTES;

/// How much of the log stays on the disk after that: twice what collects, so that it is cut only
/// after an exceptional batch.
pub(super) const LOG_KEPT_BYTES: i64 = 8 * 1024 * 1024;

/// Opens the store at `path`; creates it first if there is none.
pub(super) fn open(path: &Path) -> Result<(Connection, StoreId), StoreError> {
    check_library(rusqlite::version_number(), rusqlite::version())?;
    ensure_present(path)?;
    let failed = |source| StoreError::sqlite("open", path, source);

    let log_present = log_of(path).symlink_metadata().is_ok();
    let connection = connect(path)?;
    // On closing, SQLite would copy a log that was left here into the database. While the file
    // may still be refused, it must not.
    connection
        .set_db_config(DbConfig::SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, log_present)
        .map_err(failed)?;
    // Before the first read: the lock is then taken with it and kept, and the index of the log
    // lives in this process instead of in a shared file.
    set_mode(&connection, path, "locking_mode", "exclusive")?;

    let identity = inspect(&connection, path)?;
    if !log_present {
        inspect_length(&connection, path)?;
    }

    make_private(path)?;
    set_mode(&connection, path, "journal_mode", "wal")?;
    // In this mode the log is synced at every commit: what was acknowledged survives a power cut.
    connection
        .pragma_update(None, "synchronous", "full")
        .map_err(failed)?;
    connection
        .pragma_update(None, "wal_autocheckpoint", CHECKPOINT_PAGES)
        .map_err(failed)?;
    connection
        .pragma_update(None, "journal_size_limit", LOG_KEPT_BYTES)
        .map_err(failed)?;
    connection
        .set_db_config(DbConfig::SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, false)
        .map_err(failed)?;
    Ok((connection, identity))
}

/// SQLite reads what is missing of the last page as zeros. Only a log excuses that: a checkpoint
/// was interrupted, and the log still has the page.
fn inspect_length(connection: &Connection, path: &Path) -> Result<(), StoreError> {
    let page: i64 = connection
        .pragma_query_value(None, "page_size", |row| row.get(0))
        .map_err(|source| StoreError::sqlite("read", path, source))?;
    let length = fs::metadata(path)
        .map_err(|error| StoreError::file("open the store", path, error))?
        .len();
    if !length.is_multiple_of(page.unsigned_abs()) {
        return Err(StoreError::damaged(path, "its last page is cut short"));
    }
    Ok(())
}

/// Creates the store if nothing is at `path`, and refuses what is no file or an empty one.
fn ensure_present(path: &Path) -> Result<(), StoreError> {
    match fs::metadata(path) {
        Ok(found) if !found.is_file() => Err(StoreError::NotADatabase {
            path: path.to_owned(),
        }),
        // Stores are created whole and then named. SQLite takes a file this short for a database
        // in which nothing was written yet: what lost its content for what never had any.
        Ok(found) if found.len() < SMALLEST_PAGE => Err(StoreError::damaged(
            path,
            format!("the file has only {} bytes", found.len()),
        )),
        Ok(_) => Ok(()),
        Err(error) if error.kind() == ErrorKind::NotFound => create_new(path),
        Err(error) => Err(StoreError::file("open the store", path, error)),
    }
}

fn create_new(path: &Path) -> Result<(), StoreError> {
    // Commits that have nothing to go with. SQLite would replay them into the new database. Looked
    // for in this order, since another controller makes the database first and then its log.
    if log_of(path).symlink_metadata().is_ok() && fs::metadata(path).is_err() {
        return Err(StoreError::damaged(
            path,
            "the file is gone and its write-ahead log is not",
        ));
    }
    match write_image(path, &Image::empty(StoreId::generate())) {
        // Another controller was first; the lock decides between the two.
        Err(StoreError::AlreadyExists { .. }) => Ok(()),
        created => created,
    }
}

/// Takes back what a restored copy may grant to others. The log takes its mode from the database.
fn make_private(path: &Path) -> Result<(), StoreError> {
    for file in [path.to_owned(), log_of(path)] {
        match fs::set_permissions(&file, Permissions::from_mode(PRIVATE)) {
            Err(error) if error.kind() == ErrorKind::NotFound => {}
            changed => {
                changed.map_err(|error| StoreError::file("set the mode of", &file, error))?;
            }
        }
    }
    Ok(())
}

/// The write-ahead log of a database.
fn log_of(path: &Path) -> PathBuf {
    let mut name = OsString::from(path);
    name.push("-wal");
    PathBuf::from(name)
}
