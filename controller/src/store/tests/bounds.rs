//! The bounds: what is refused, and that what is just within them is not. Against both
//! implementations.

use super::*;
use crate::store::{
    BatchError, MAX_BATCH_BYTES, MAX_KEY_BYTES, MAX_VALUE_BYTES, MAX_WRITES, StoreError,
};

on_both! {
    too_many_writes_are_refused
    too_many_bytes_are_refused
    a_long_value_is_refused
    a_malformed_key_is_refused
    two_writes_of_a_key_are_refused
    the_longest_record_is_written
    the_largest_batch_is_written
    the_epoch_ends_somewhere
}

fn put(key: impl Into<String>, bytes: usize) -> Write {
    Write::put(key, Expect::Any, vec![0; bytes])
}

/// Commits what is against the bounds.
fn refusal(disk: &impl Disk, writes: Vec<Write>) -> BatchError {
    let store = &mut disk.open();
    match store.commit(Batch {
        fence: Epoch(0),
        writes,
    }) {
        Err(CommitError::Malformed(error)) => {
            assert_eq!(store.load("").unwrap(), []);
            error
        }
        other => panic!("the bounds gave {other:?}"),
    }
}

fn too_many_writes_are_refused(disk: &impl Disk) {
    let writes = (0..=MAX_WRITES).map(|n| put(format!("{n}"), 0)).collect();
    assert_eq!(
        refusal(disk, writes),
        BatchError::TooManyWrites {
            writes: MAX_WRITES + 1
        }
    );
}

fn too_many_bytes_are_refused(disk: &impl Disk) {
    let count = MAX_BATCH_BYTES / MAX_VALUE_BYTES;
    let writes = (0..count)
        .map(|n| put(format!("{n:02}"), MAX_VALUE_BYTES))
        .collect();
    let bytes = MAX_BATCH_BYTES + 2 * count;
    assert_eq!(refusal(disk, writes), BatchError::TooManyBytes { bytes });
}

fn a_long_value_is_refused(disk: &impl Disk) {
    let bytes = MAX_VALUE_BYTES + 1;
    let error = refusal(disk, vec![put("k", bytes)]);
    assert_eq!(
        error,
        BatchError::ValueTooLong {
            key: "k".to_owned(),
            bytes
        }
    );
}

fn a_malformed_key_is_refused(disk: &impl Disk) {
    let long = "é".repeat(MAX_KEY_BYTES / 2 + 1);
    for key in ["", "a\0b", "a\n", &long] {
        let error = refusal(disk, vec![put(key, 0)]);
        assert_eq!(
            error,
            BatchError::MalformedKey {
                key: key.to_owned()
            }
        );
    }
}

fn two_writes_of_a_key_are_refused(disk: &impl Disk) {
    let error = refusal(disk, vec![put("k", 0), Write::delete("k", Expect::Any)]);
    assert_eq!(
        error,
        BatchError::RepeatedKey {
            key: "k".to_owned()
        }
    );
}

fn the_longest_record_is_written(disk: &impl Disk) {
    let store = &mut disk.open();
    let longest = put("é".repeat(MAX_KEY_BYTES / 2), MAX_VALUE_BYTES);
    store.commit(one(Epoch(0), longest.clone())).unwrap();
    assert_eq!(store.load("").unwrap()[0].key, longest.key);
}

fn the_largest_batch_is_written(disk: &impl Disk) {
    let store = &mut disk.open();
    let writes = (0..MAX_WRITES).map(|n| Write::put(format!("{n}"), Expect::Absent, vec![1; 100]));
    store
        .commit(Batch {
            fence: Epoch(0),
            writes: writes.collect(),
        })
        .unwrap();
    assert_eq!(store.load("").unwrap().len(), MAX_WRITES);
}

fn the_epoch_ends_somewhere(disk: &impl Disk) {
    let store = &mut disk.open();
    let highest = i64::MAX.unsigned_abs();
    assert_eq!(store.raise_epoch(highest).unwrap(), Epoch(highest));
    for at_least in [0, u64::MAX] {
        let error = store.raise_epoch(at_least).unwrap_err();
        assert!(matches!(
            error,
            StoreError::CounterExhausted { counter: "epoch" }
        ));
    }
    store.commit(puts(Epoch(highest), [("a", "1")])).unwrap();
}
