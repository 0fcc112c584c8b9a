//! Connecting to a file through SQLite, and the settings that every connection of ours has.
//!
//! Used by [`super::open`] and [`super::create`]. Knows nothing of what is in the file.

use std::path::Path;
use std::time::Duration;

use rusqlite::{Connection, OpenFlags};

use crate::store::StoreError;

/// Releases before this one can lose a committed write when a log is reset during a checkpoint.
const OLDEST_LIBRARY: (i32, &str) = (3_051_003, "3.51.3");

/// Connects to a file that exists.
pub(super) fn connect(path: &Path) -> Result<Connection, StoreError> {
    let failed = |source| StoreError::sqlite("open", path, source);
    // Neither create (the mode would be SQLite's choice) nor lock inside (one thread uses it).
    let flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let connection = Connection::open_with_flags(path, flags).map_err(failed)?;
    // Whoever holds the file holds it for life: waiting would only delay the error.
    connection.busy_timeout(Duration::ZERO).map_err(failed)?;
    // Notices a damaged page when it is read rather than by what it does.
    connection
        .pragma_update(None, "cell_size_check", true)
        .map_err(failed)?;
    Ok(connection)
}

/// Sets a mode, and insists on it: SQLite answers with the mode that it keeps instead of an error.
pub(super) fn set_mode(
    connection: &Connection,
    path: &Path,
    pragma: &'static str,
    wanted: &'static str,
) -> Result<(), StoreError> {
    let kept: String = connection
        .pragma_update_and_check(None, pragma, wanted, |row| row.get(0))
        .map_err(|source| StoreError::sqlite("open", path, source))?;
    if kept != wanted {
        return Err(StoreError::Mode {
            path: path.to_owned(),
            pragma,
            wanted,
            kept,
        });
    }
    Ok(())
}

/// Refuses to work with a library that is not to be trusted with a commit.
pub(super) fn check_library(number: i32, found: &'static str) -> Result<(), StoreError> {
    let (oldest, needed) = OLDEST_LIBRARY;
    if number < oldest {
        return Err(StoreError::LibraryTooOld { found, needed });
    }
    Ok(())
}
