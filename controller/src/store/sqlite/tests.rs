//! Tests of what only the SQLite store can show from inside: its settings, and a full disk.

use tempfile::TempDir;

use super::connect::check_library;
use super::open::LOG_KEPT_BYTES;
use super::*;

fn store() -> (TempDir, SqliteStore) {
    let directory = tempfile::tempdir().unwrap();
    let store = SqliteStore::open(&directory.path().join("store.db")).unwrap();
    (directory, store)
}

fn put(key: &str, bytes: usize) -> Batch {
    let writes = vec![Write::put(key, Expect::Any, vec![7; bytes])];
    Batch {
        fence: Epoch(0),
        writes,
    }
}

#[test]
fn every_commit_is_synced() {
    let (_directory, store) = store();
    let text = |name| -> String {
        store
            .connection
            .pragma_query_value(None, name, |row| row.get(0))
            .unwrap()
    };
    let number = |name| -> i64 {
        store
            .connection
            .pragma_query_value(None, name, |row| row.get(0))
            .unwrap()
    };
    assert_eq!(text("journal_mode"), "wal");
    assert_eq!(text("locking_mode"), "exclusive");
    assert_eq!(number("synchronous"), 2, "full");
    assert_eq!(number("cell_size_check"), 1);
    assert_eq!(number("page_size"), 16 * 1024);
    assert_eq!(number("wal_autocheckpoint"), 256);
}

#[test]
fn the_log_does_not_stay_large() {
    let (directory, mut store) = store();
    let large = (0..20).map(|n| Write::put(format!("{n}"), Expect::Any, vec![7; 1 << 20]));
    store
        .commit(Batch {
            fence: Epoch(0),
            writes: large.collect(),
        })
        .unwrap();
    // The first of these begins the log anew, and that is when it is cut.
    store.commit(put("a", 1)).unwrap();
    store.commit(put("a", 1)).unwrap();
    let log = std::fs::metadata(directory.path().join("store.db-wal"))
        .unwrap()
        .len();
    assert!(log <= LOG_KEPT_BYTES.unsigned_abs(), "{log} bytes");
}

#[test]
fn a_full_disk_fails_the_commit_and_no_more() {
    let (_directory, mut store) = store();
    store.commit(put("a", 1)).unwrap();
    store
        .connection
        .pragma_update(None, "max_page_count", 8)
        .unwrap();
    let error = store.commit(put("b", 1 << 20)).unwrap_err();
    assert!(
        matches!(error, CommitError::Storage(StoreError::Sqlite { .. })),
        "{error:?}"
    );
    assert!(!error.wrote_nothing());

    let epoch = store.raise_epoch(0).unwrap();
    assert_eq!(store.load("").unwrap().len(), 1);
    store
        .connection
        .pragma_update(None, "max_page_count", 1_000_000)
        .unwrap();
    let mut again = put("b", 1 << 20);
    again.fence = epoch;
    assert_eq!(store.commit(again).unwrap(), Revision(2));
}

#[test]
fn an_old_library_is_refused() {
    assert!(check_library(3_051_003, "3.51.3").is_ok());
    let error = check_library(3_051_002, "3.51.2").unwrap_err();
    assert_eq!(
        error.to_string(),
        "open the store: sqlite 3.51.2 is too old, 3.51.3 is needed"
    );
}
