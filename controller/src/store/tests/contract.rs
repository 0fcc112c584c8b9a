//! The contract, case by case, against both implementations.

use super::*;
use crate::store::StoreError;

on_both! {
    a_new_store_is_empty
    a_commit_is_loaded_with_its_revision
    a_load_is_sorted_and_keeps_to_its_prefix
    a_failed_expectation_writes_nothing_and_names_the_key
    expectations_are_about_the_state_before_the_batch
    a_key_written_anew_never_looks_old
    removing_nothing_is_no_error_and_takes_a_revision
    only_the_present_epoch_may_write
    the_fence_comes_before_the_expectations
    raising_the_epoch_goes_past_what_is_asked
    a_batch_without_writes_only_asks
    everything_is_there_after_a_restart
    a_snapshot_is_the_store
    a_snapshot_replaces_no_file
}

fn a_new_store_is_empty(disk: &impl Disk) {
    let store = &mut disk.open();
    assert_eq!(store.load("").unwrap(), []);
    assert_eq!(epoch_of(store), Epoch(0));
    assert_eq!(revision_of(store), Revision(0));
}

fn a_commit_is_loaded_with_its_revision(disk: &impl Disk) {
    let store = &mut disk.open();
    assert_eq!(
        store
            .commit(puts(Epoch(0), [("a", "1"), ("b", "2")]))
            .unwrap(),
        Revision(1)
    );
    assert_eq!(
        store.commit(puts(Epoch(0), [("b", "3")])).unwrap(),
        Revision(2)
    );
    assert_eq!(
        store.load("").unwrap(),
        [entry("a", "1", 1), entry("b", "3", 2)]
    );
}

fn a_load_is_sorted_and_keeps_to_its_prefix(disk: &impl Disk) {
    let store = &mut disk.open();
    let keys = [
        "op/é",
        "node/10",
        "op/z",
        "op",
        "op0",
        "op/",
        "op/\u{10ffff}",
        "node/9",
    ];
    store
        .commit(puts(Epoch(0), keys.map(|key| (key, ""))))
        .unwrap();

    let mut keys_under = |prefix: &str| -> Vec<String> {
        store
            .load(prefix)
            .unwrap()
            .into_iter()
            .map(|entry| entry.key)
            .collect()
    };
    assert_eq!(keys_under("op/"), ["op/", "op/z", "op/é", "op/\u{10ffff}"]);
    assert_eq!(keys_under("op/\u{10ffff}"), ["op/\u{10ffff}"]);
    assert_eq!(keys_under("node/"), ["node/10", "node/9"]);
    assert_eq!(keys_under("node/9"), ["node/9"]);
    assert!(keys_under("token/").is_empty());
    assert_eq!(keys_under("").len(), keys.len());
}

fn a_failed_expectation_writes_nothing_and_names_the_key(disk: &impl Disk) {
    let store = &mut disk.open();
    store
        .commit(puts(Epoch(0), [("a", "1"), ("b", "1")]))
        .unwrap();
    let before = seen(store);

    let refused = [
        (Write::put("b", Expect::Absent, vec![]), Some(1)),
        (Write::put("b", Expect::At(Revision(7)), vec![]), Some(1)),
        (Write::put("c", Expect::At(Revision(1)), vec![]), None),
        (Write::delete("b", Expect::At(Revision(0))), Some(1)),
        (Write::delete("c", Expect::At(Revision(1))), None),
        (Write::delete("a", Expect::Absent), Some(1)),
    ];
    for (write, revision) in refused {
        let mut batch = puts(Epoch(0), [("0", "new"), ("d", "new")]);
        batch.writes.insert(1, write.clone());
        let error = store.commit(batch).unwrap_err();
        assert!(error.wrote_nothing());
        match error {
            CommitError::Conflict {
                key,
                expected,
                found,
            } => {
                assert_eq!(key, write.key);
                assert_eq!(expected, write.expect);
                assert_eq!(found, revision.map(Revision));
            }
            other => panic!("{write:?} ended as {other:?}"),
        }
        assert_eq!(seen(store), before, "after {write:?}");
    }
}

fn expectations_are_about_the_state_before_the_batch(disk: &impl Disk) {
    let store = &mut disk.open();
    let first = store.commit(puts(Epoch(0), [("a", "1")])).unwrap();
    let batch = Batch {
        fence: Epoch(0),
        writes: vec![
            Write::delete("a", Expect::At(first)),
            Write::put("b", Expect::Absent, b"2".to_vec()),
        ],
    };
    store.commit(batch).unwrap();
    assert_eq!(store.load("").unwrap(), [entry("b", "2", 2)]);
}

fn a_key_written_anew_never_looks_old(disk: &impl Disk) {
    let store = &mut disk.open();
    let first = store.commit(puts(Epoch(0), [("a", "1")])).unwrap();
    store
        .commit(one(Epoch(0), Write::delete("a", Expect::At(first))))
        .unwrap();
    store.commit(puts(Epoch(0), [("a", "1")])).unwrap();
    let late = one(Epoch(0), Write::delete("a", Expect::At(first)));
    assert!(matches!(
        store.commit(late),
        Err(CommitError::Conflict { .. })
    ));
}

fn removing_nothing_is_no_error_and_takes_a_revision(disk: &impl Disk) {
    let store = &mut disk.open();
    let revision = store
        .commit(one(Epoch(0), Write::delete("a", Expect::Any)))
        .unwrap();
    assert_eq!(revision, Revision(1));
    assert_eq!(store.load("").unwrap(), []);
}

fn only_the_present_epoch_may_write(disk: &impl Disk) {
    let store = &mut disk.open();
    let older = store.raise_epoch(0).unwrap();
    let present = store.raise_epoch(0).unwrap();
    for fence in [Epoch(0), older, Epoch(present.0 + 1)] {
        match store.commit(puts(fence, [("a", "1")])).unwrap_err() {
            CommitError::Fenced {
                batch,
                present: told,
            } => {
                assert_eq!((batch, told), (fence, present));
            }
            other => panic!("epoch {fence} ended as {other:?}"),
        }
    }
    assert_eq!(store.load("").unwrap(), []);
    store.commit(puts(present, [("a", "1")])).unwrap();
}

fn the_fence_comes_before_the_expectations(disk: &impl Disk) {
    let store = &mut disk.open();
    store.raise_epoch(0).unwrap();
    let wrong_twice = one(Epoch(0), Write::delete("a", Expect::At(Revision(9))));
    assert!(matches!(
        store.commit(wrong_twice),
        Err(CommitError::Fenced { .. })
    ));
}

fn raising_the_epoch_goes_past_what_is_asked(disk: &impl Disk) {
    let store = &mut disk.open();
    assert_eq!(store.raise_epoch(0).unwrap(), Epoch(1));
    assert_eq!(store.raise_epoch(1).unwrap(), Epoch(2));
    assert_eq!(store.raise_epoch(40).unwrap(), Epoch(40));
    assert_eq!(store.raise_epoch(3).unwrap(), Epoch(41));
}

fn a_batch_without_writes_only_asks(disk: &impl Disk) {
    let store = &mut disk.open();
    store.commit(puts(Epoch(0), [("a", "1")])).unwrap();
    assert_eq!(store.commit(Batch::new(Epoch(0))).unwrap(), Revision(1));
    assert_eq!(store.commit(Batch::new(Epoch(0))).unwrap(), Revision(1));
}

fn everything_is_there_after_a_restart(disk: &impl Disk) {
    let mut store = disk.open();
    let epoch = store.raise_epoch(7).unwrap();
    store.commit(puts(epoch, [("a", "1"), ("b", "2")])).unwrap();
    store
        .commit(one(epoch, Write::delete("a", Expect::Any)))
        .unwrap();
    let before = seen(&mut store);
    drop(store);

    let mut store = disk.open();
    assert_eq!(seen(&mut store), before);
    // The counters go on from where they were, and the former holder stays out.
    assert_eq!(store.raise_epoch(0).unwrap(), Epoch(8));
    assert!(matches!(
        store.commit(Batch::new(epoch)),
        Err(CommitError::Fenced { .. })
    ));
    assert_eq!(
        store.commit(puts(Epoch(8), [("a", "3")])).unwrap(),
        Revision(3)
    );
}

fn a_snapshot_is_the_store(disk: &impl Disk) {
    let elsewhere = SqliteDisk::new();
    let mut store = disk.open();
    let epoch = store.raise_epoch(5).unwrap();
    store.commit(puts(epoch, [("a", "1"), ("b", "2")])).unwrap();
    store.snapshot_to(&elsewhere.path()).unwrap();
    let before = seen(&mut store);
    store.commit(puts(epoch, [("b", "later")])).unwrap();

    assert_eq!(elsewhere.files(), ["store.db"], "a snapshot is one file");
    assert_eq!(seen(&mut elsewhere.open()), before);
}

fn a_snapshot_replaces_no_file(disk: &impl Disk) {
    let elsewhere = SqliteDisk::new();
    std::fs::write(elsewhere.path(), "precious").unwrap();
    let error = disk.open().snapshot_to(&elsewhere.path()).unwrap_err();
    assert!(matches!(error, StoreError::AlreadyExists { .. }));
    assert_eq!(std::fs::read(elsewhere.path()).unwrap(), b"precious");
    assert_eq!(elsewhere.files(), ["store.db"], "nothing is left beside it");
}
