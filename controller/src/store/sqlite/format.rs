//! What a database file of ours is: its marks, its tables, and the inspection of a file that claims
//! to be one.
//!
//! Used by [`super::open`] and [`super::create`]. Reads only; what is refused must stay as it is.

use std::path::Path;

use rusqlite::{Connection, OptionalExtension};

use super::{read_counter, read_meta};
use crate::store::{StoreError, StoreId};

/// "Extd", in the header of every store.
pub(super) const APPLICATION_ID: i32 = 0x4578_7464;

/// The version of the tables and of what their rows mean.
pub(super) const SCHEMA_VERSION: i32 = 1;

/// The page of a new file. A row of a table without row ids stays whole up to a quarter of its
/// page and pays for a page of its own beyond. With SQLite's usual 4 KiB that would be the common
/// record, at four times the space and the time of a large batch.
pub(super) const PAGE_BYTES: u32 = 16 * 1024;

/// The tables, part of the format under [`SCHEMA_VERSION`]. `STRICT`, so that the check at
/// opening also finds values of a wrong type.
pub(super) const SCHEMA: &str = "
    CREATE TABLE kv (
        key TEXT PRIMARY KEY, value BLOB NOT NULL, revision INTEGER NOT NULL
    ) WITHOUT ROWID, STRICT;
    CREATE TABLE meta (name TEXT PRIMARY KEY, value ANY NOT NULL) WITHOUT ROWID, STRICT;
";

/// The rows of `meta`; all three are there from the creation on.
pub(super) const META_IDENTITY: &str = "store_id";
pub(super) const META_EPOCH: &str = "epoch";
pub(super) const META_REVISION: &str = "revision";

/// Refuses whatever is not a sound store of this release; reads only.
pub(super) fn inspect(connection: &Connection, path: &Path) -> Result<StoreId, StoreError> {
    let failed = |source| StoreError::sqlite("read", path, source);
    let header = |name| connection.pragma_query_value(None, name, |row| row.get::<_, i32>(0));

    let application = header("application_id").map_err(failed)?;
    if application != APPLICATION_ID {
        return Err(StoreError::Foreign {
            path: path.to_owned(),
            found: application,
        });
    }
    let version = header("user_version").map_err(failed)?;
    if version > SCHEMA_VERSION {
        return Err(StoreError::Newer {
            path: path.to_owned(),
            found: version,
            known: SCHEMA_VERSION,
        });
    }
    if version < SCHEMA_VERSION {
        return Err(StoreError::damaged(
            path,
            format!("there never was a schema {version}"),
        ));
    }
    // The first complaint is enough to refuse.
    let verdict: String = connection
        .query_row("PRAGMA quick_check(1)", [], |row| row.get(0))
        .map_err(failed)?;
    if verdict != "ok" {
        return Err(StoreError::damaged(path, verdict));
    }
    inspect_tables(connection, path)
}

/// The tables, and the rows that every store has: a file can be sound and still not be whole.
fn inspect_tables(connection: &Connection, path: &Path) -> Result<StoreId, StoreError> {
    let failed = |source| StoreError::sqlite("read", path, source);
    let tables: Option<String> = connection
        .query_row(
            "SELECT group_concat(name, ' ' ORDER BY name) FROM sqlite_schema WHERE type = 'table'",
            [],
            |row| row.get(0),
        )
        .map_err(failed)?;
    if tables.as_deref() != Some("kv meta") {
        return Err(StoreError::damaged(
            path,
            "its tables are not those of a store",
        ));
    }
    for counter in [META_EPOCH, META_REVISION] {
        if read_counter(connection, counter)
            .optional()
            .map_err(failed)?
            .is_none()
        {
            return Err(StoreError::damaged(path, format!("it has no {counter}")));
        }
    }
    let identity: Option<String> = read_meta(connection, META_IDENTITY)
        .optional()
        .map_err(failed)?;
    identity
        .and_then(|text| text.parse().ok())
        .ok_or_else(|| StoreError::damaged(path, "it has no identity"))
}
