//! What the file keeps, whoever may open it, and what a crash leaves.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;

use super::*;
use crate::store::StoreError;

/// What a kill leaves: the files as they are while the store is open, under another directory.
fn crash(disk: &SqliteDisk) -> SqliteDisk {
    let after = SqliteDisk::new();
    fs::copy(disk.path(), after.path()).unwrap();
    fs::copy(disk.log(), after.log()).unwrap();
    after
}

fn mode(path: &Path) -> u32 {
    fs::metadata(path).unwrap().permissions().mode() & 0o777
}

#[test]
fn a_kill_loses_no_acknowledged_commit() {
    let disk = SqliteDisk::new();
    let mut store = disk.open();
    let epoch = store.raise_epoch(0).unwrap();
    for n in 0..50 {
        let key = format!("key/{n}");
        store
            .commit(puts(epoch, [(key.as_str(), "value")]))
            .unwrap();
        assert_eq!(
            seen(&mut crash(&disk).open()),
            seen(&mut store),
            "after commit {n}"
        );
    }
}

#[test]
fn a_raised_epoch_survives_a_kill() {
    let disk = SqliteDisk::new();
    let mut store = disk.open();
    store.raise_epoch(41).unwrap();
    let mut after = crash(&disk).open();
    let held_before = Batch::new(Epoch(40));
    assert!(matches!(
        after.commit(held_before),
        Err(CommitError::Fenced { .. })
    ));
    assert_eq!(after.raise_epoch(0).unwrap(), Epoch(42));
}

#[test]
fn a_torn_log_gives_whole_commits_only() {
    let disk = SqliteDisk::new();
    drop(disk.open());
    let mut store = disk.open();
    let mut history = vec![store.load("").unwrap()];
    for round in 0..6 {
        let value = format!("{round}").repeat(1500);
        let batch = puts(
            Epoch(0),
            [("a", value.as_str()), ("b", &value), ("c", &value)],
        );
        store.commit(batch).unwrap();
        history.push(store.load("").unwrap());
    }

    let log = fs::read(disk.log()).unwrap();
    let mut shown = 0;
    for end in (0..=log.len()).step_by(509).chain([log.len()]) {
        let torn = crash(&disk);
        fs::write(torn.log(), &log[..end]).unwrap();
        let found = torn.open().load("").unwrap();
        let commits = history.iter().position(|state| *state == found);
        let commits = commits.unwrap_or_else(|| panic!("part of a commit at {end} bytes"));
        assert!(commits >= shown, "a longer log has fewer commits");
        shown = commits;
    }
    assert_eq!(shown, history.len() - 1);
}

#[test]
fn a_clean_end_leaves_one_file() {
    let disk = SqliteDisk::new();
    let mut store = disk.open();
    store.commit(puts(Epoch(0), [("a", "1")])).unwrap();
    assert_eq!(disk.files(), ["store.db", "store.db-wal"]);
    drop(store);
    assert_eq!(disk.files(), ["store.db"]);
}

#[test]
fn nobody_else_may_read_the_files() {
    let disk = SqliteDisk::new();
    let mut store = disk.open();
    store.commit(puts(Epoch(0), [("a", "1")])).unwrap();
    assert_eq!((mode(&disk.path()), mode(&disk.log())), (0o600, 0o600));

    let snapshot = SqliteDisk::new();
    store.snapshot_to(&snapshot.path()).unwrap();
    assert_eq!(mode(&snapshot.path()), 0o600);

    // As after a restore by hand.
    fs::set_permissions(snapshot.path(), fs::Permissions::from_mode(0o644)).unwrap();
    let mut restored = snapshot.open();
    restored.commit(puts(Epoch(0), [("a", "2")])).unwrap();
    assert_eq!(
        (mode(&snapshot.path()), mode(&snapshot.log())),
        (0o600, 0o600)
    );
}

#[test]
fn a_second_controller_is_refused() {
    let disk = SqliteDisk::new();
    let mut first = disk.open();
    let error = SqliteStore::open(&disk.path()).unwrap_err();
    assert!(matches!(error, StoreError::InUse { .. }), "{error:?}");
    first.commit(puts(Epoch(0), [("a", "1")])).unwrap();
    drop(first);
    assert_eq!(disk.open().load("").unwrap(), [entry("a", "1", 1)]);
}

#[test]
fn two_first_starts_at_once_make_one_store() {
    for _ in 0..20 {
        let disk = SqliteDisk::new();
        let open = || SqliteStore::open(&disk.path()).map(|store| store.identity());
        let (one, other) = std::thread::scope(|scope| {
            let one = scope.spawn(open);
            let other = scope.spawn(open);
            (one.join().unwrap(), other.join().unwrap())
        });
        let present = disk.open().identity();
        for identity in [one, other] {
            match identity {
                Ok(identity) => assert_eq!(identity, present),
                Err(error) => assert!(matches!(error, StoreError::InUse { .. }), "{error:?}"),
            }
        }
        assert_eq!(disk.files(), ["store.db"]);
    }
}

#[test]
fn the_directory_must_exist() {
    let disk = SqliteDisk::new();
    let path = disk.path().join("below").join("store.db");
    assert!(matches!(
        SqliteStore::open(&path),
        Err(StoreError::File { .. })
    ));
    assert_eq!(disk.files(), [""; 0]);
}
