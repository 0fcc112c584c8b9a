//! Files that are not a sound store: each is refused for what it is, and left as it was.

use std::fs;
use std::path::Path;

use proptest::prelude::*;
use proptest::sample::Index;
use rusqlite::Connection;

use super::*;
use crate::store::StoreError;

/// The page of a store.
const PAGE: usize = 16 * 1024;

/// A closed store of some pages.
fn sound() -> SqliteDisk {
    let disk = SqliteDisk::new();
    let mut store = disk.open();
    let records = (0..600).map(|n| Write::put(format!("node/{n}"), Expect::Absent, vec![1; 200]));
    store
        .commit(Batch {
            fence: Epoch(0),
            writes: records.collect(),
        })
        .unwrap();
    drop(store);
    disk
}

/// All files of a disk with their content.
fn contents(disk: &SqliteDisk) -> Vec<(String, Vec<u8>)> {
    let read = |name: String| {
        let bytes = fs::read(disk.0.path().join(&name)).unwrap();
        (name, bytes)
    };
    disk.files().into_iter().map(read).collect()
}

/// Opens what must not open, and checks that nothing on the disk has changed.
fn refusal(disk: &SqliteDisk) -> StoreError {
    let before = contents(disk);
    let error = SqliteStore::open(&disk.path()).unwrap_err();
    let after = contents(disk);
    assert!(before == after, "the refusal ({error}) changed the files");
    error
}

fn is_damage(error: &StoreError) -> bool {
    matches!(
        error,
        StoreError::Damaged { .. } | StoreError::NotADatabase { .. }
    )
}

/// A store with these bytes.
fn with(bytes: &[u8]) -> SqliteDisk {
    let disk = SqliteDisk::new();
    fs::write(disk.path(), bytes).unwrap();
    disk
}

#[test]
fn a_truncated_file_is_damaged() {
    let whole = fs::read(sound().path()).unwrap();
    let short = [
        0,
        1,
        15,
        16,
        99,
        100,
        511,
        512,
        4096,
        PAGE - 1,
        PAGE,
        PAGE + 1,
        2 * PAGE,
    ];
    let ends = short
        .into_iter()
        .chain([whole.len() / 2, whole.len() - PAGE, whole.len() - 1]);
    for end in ends {
        let error = refusal(&with(&whole[..end]));
        assert!(
            is_damage(&error),
            "{end} bytes of {}: {error:?}",
            whole.len()
        );
    }
}

#[test]
fn a_flipped_bit_in_the_structure_is_damage() {
    let whole = fs::read(sound().path()).unwrap();
    // The magic and the page size, then the kind of every page that holds records.
    let pages = (PAGE..whole.len()).step_by(PAGE);
    for offset in [0, 7, 15, 16, 17].into_iter().chain(pages) {
        let mut bytes = whole.clone();
        bytes[offset] ^= 0x10;
        let error = refusal(&with(&bytes));
        assert!(is_damage(&error), "byte {offset}: {error:?}");
    }
}

#[test]
fn a_flipped_bit_in_the_name_of_a_column_is_damage() {
    let whole = fs::read(sound().path()).unwrap();
    let schema = b"revision INTEGER";
    let places = whole.windows(schema.len()).enumerate();
    let places: Vec<_> = places.filter(|(_, bytes)| *bytes == schema).collect();
    assert!(!places.is_empty(), "the schema is spelled otherwise");
    for (place, _) in places {
        let mut bytes = whole.clone();
        bytes[place] ^= 1;
        let loaded = SqliteStore::open(&with(&bytes).path()).and_then(|mut store| store.load(""));
        assert!(is_damage(&loaded.unwrap_err()), "byte {place}");
    }
}

proptest! {
    #![proptest_config(ProptestConfig {
        failure_persistence: None,
        ..ProptestConfig::with_cases(64)
    })]

    /// A flip inside a value cannot be noticed here. What is noticed changes nothing.
    #[test]
    fn a_flipped_bit_anywhere_does_no_worse(place in any::<Index>(), bit in 0..8u32) {
        let mut bytes = fs::read(sound().path()).unwrap();
        let place = place.index(bytes.len());
        bytes[place] ^= 1u8 << bit;
        let disk = with(&bytes);
        match SqliteStore::open(&disk.path()) {
            Ok(mut store) => {
                let loaded = store.load("");
                prop_assert!(loaded.is_ok() || is_damage(&loaded.unwrap_err()));
            }
            Err(_) => prop_assert!(contents(&disk) == [("store.db".to_owned(), bytes)]),
        }
    }
}

#[test]
fn a_log_beside_a_refused_file_stays() {
    let disk = SqliteDisk::new();
    let mut store = disk.open();
    store.commit(puts(Epoch(0), [("a", "1")])).unwrap();
    let killed = SqliteDisk::new();
    fs::copy(disk.log(), killed.log()).unwrap();

    let not_whole = rewritten(|store| store.execute_batch("DROP TABLE meta").unwrap());
    for bytes in [not_whole, b"not a database".to_vec(), Vec::new()] {
        fs::write(killed.path(), bytes).unwrap();
        let error = refusal(&killed);
        assert!(is_damage(&error), "{error:?}");
    }
}

#[test]
fn a_log_without_its_database_is_damage() {
    let disk = SqliteDisk::new();
    let mut store = disk.open();
    store.commit(puts(Epoch(0), [("a", "1")])).unwrap();
    let orphan = SqliteDisk::new();
    fs::copy(disk.log(), orphan.log()).unwrap();
    assert!(is_damage(&refusal(&orphan)));
}

#[test]
fn what_is_no_database_is_refused() {
    let error = refusal(&with(
        "pbx.address = 172.31.16.133\n".repeat(400).as_bytes(),
    ));
    assert!(
        matches!(error, StoreError::NotADatabase { .. }),
        "{error:?}"
    );
    let error = SqliteStore::open(Path::new("/")).unwrap_err();
    assert!(
        matches!(error, StoreError::NotADatabase { .. }),
        "{error:?}"
    );
}

/// The bytes of a sound store after somebody changed it with SQL.
fn rewritten(change: impl FnOnce(&Connection)) -> Vec<u8> {
    let disk = sound();
    let connection = Connection::open(disk.path()).unwrap();
    change(&connection);
    drop(connection);
    fs::read(disk.path()).unwrap()
}

#[test]
fn the_database_of_another_application_is_refused() {
    let disk = SqliteDisk::new();
    let connection = Connection::open(disk.path()).unwrap();
    connection
        .execute_batch("CREATE TABLE orders (id INTEGER)")
        .unwrap();
    drop(connection);
    assert!(matches!(
        refusal(&disk),
        StoreError::Foreign { found: 0, .. }
    ));
}

#[test]
fn the_store_of_a_newer_controller_is_refused() {
    let newer = rewritten(|store| store.pragma_update(None, "user_version", 2).unwrap());
    match refusal(&with(&newer)) {
        StoreError::Newer { found, known, .. } => assert_eq!((found, known), (2, 1)),
        other => panic!("{other:?}"),
    }
}

#[test]
fn a_store_that_is_not_whole_is_damaged() {
    let changes = [
        "PRAGMA user_version = 0",
        "DROP TABLE meta",
        "DROP TABLE kv",
        "CREATE TABLE more (a)",
        "DELETE FROM meta WHERE name = 'epoch'",
        "DELETE FROM meta WHERE name = 'revision'",
        "DELETE FROM meta WHERE name = 'store_id'",
        "UPDATE meta SET value = 'x' WHERE name = 'store_id'",
        "UPDATE meta SET value = 'x' WHERE name = 'epoch'",
        "UPDATE meta SET value = -1 WHERE name = 'revision'",
    ];
    for change in changes {
        let bytes = rewritten(|store| store.execute_batch(change).unwrap());
        let error = refusal(&with(&bytes));
        assert!(
            matches!(error, StoreError::Damaged { .. }),
            "{change}: {error:?}"
        );
    }
}
