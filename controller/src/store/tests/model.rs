//! Random histories: both stores and a naive map must tell the same story, word for word.

use std::collections::BTreeMap;

use proptest::collection::vec;
use proptest::prelude::*;

use super::*;
use crate::store::{Change, Order, Range};

const KEYS: [&str; 6] = ["a", "a/1", "a/2", "ab", "b", "é"];

/// One thing that happens to a store.
#[derive(Debug, Clone)]
enum Event {
    /// Writes under the present epoch, or one that is off by this much.
    Commit {
        off: u64,
        writes: Vec<(&'static str, Guess, Option<u8>)>,
    },
    Raise(u64),
    Restart,
}

/// An expectation, made concrete by what the model holds at that moment.
#[derive(Debug, Clone, Copy)]
enum Guess {
    Any,
    Absent,
    Right,
    Wrong(u64),
}

fn event() -> impl Strategy<Value = Event> {
    let guess = prop_oneof![
        1 => Just(Guess::Any),
        1 => Just(Guess::Absent),
        3 => Just(Guess::Right),
        1 => (0..12u64).prop_map(Guess::Wrong),
    ];
    let write = (prop::sample::select(&KEYS[..]), guess, any::<Option<u8>>());
    let off = prop_oneof![6 => Just(0u64), 1 => 1..3u64];
    prop_oneof![
        8 => (off, vec(write, 0..4)).prop_map(|(off, writes)| Event::Commit { off, writes }),
        1 => (0..9u64).prop_map(Event::Raise),
        1 => Just(Event::Restart),
    ]
}

/// The naive map.
#[derive(Default)]
struct Model {
    epoch: u64,
    revision: u64,
    records: BTreeMap<String, (Vec<u8>, u64)>,
}

impl Model {
    /// The batch that an event stands for at this point of the history.
    fn batch(&self, off: u64, writes: &[(&'static str, Guess, Option<u8>)]) -> Batch {
        let writes = writes
            .iter()
            .map(|&(key, guess, value)| {
                let here = self.records.get(key).map(|record| Revision(record.1));
                let expect = match guess {
                    Guess::Any => Expect::Any,
                    Guess::Absent => Expect::Absent,
                    Guess::Right => here.map_or(Expect::Absent, Expect::At),
                    Guess::Wrong(revision) => Expect::At(Revision(revision)),
                };
                match value {
                    Some(byte) => Write::put(key, expect, vec![byte]),
                    None => Write::delete(key, expect),
                }
            })
            .collect();
        Batch {
            fence: Epoch(self.epoch + off),
            writes,
        }
    }

    fn commit(&mut self, batch: &Batch) -> Result<u64, String> {
        for (n, write) in batch.writes.iter().enumerate() {
            if batch.writes[..n]
                .iter()
                .any(|earlier| earlier.key == write.key)
            {
                return Err(format!("malformed {}", write.key));
            }
        }
        if batch.fence.0 != self.epoch {
            return Err(format!("fenced {}", self.epoch));
        }
        for Write { key, expect, .. } in &batch.writes {
            let found = self.records.get(key).map(|record| Revision(record.1));
            let expected = match expect {
                Expect::Any => continue,
                Expect::Absent => None,
                Expect::At(revision) => Some(*revision),
            };
            if found != expected {
                return Err(format!("conflict {key} {found:?}"));
            }
        }
        if !batch.writes.is_empty() {
            self.revision += 1;
        }
        for write in &batch.writes {
            match &write.change {
                Change::Put(value) => {
                    self.records
                        .insert(write.key.clone(), (value.clone(), self.revision));
                }
                Change::Delete => drop(self.records.remove(&write.key)),
            }
        }
        Ok(self.revision)
    }

    fn load(&self, prefix: &str) -> Vec<Entry> {
        let under = self
            .records
            .iter()
            .filter(|(key, _)| key.starts_with(prefix));
        under
            .map(|(key, (value, revision))| Entry {
                key: key.clone(),
                value: value.clone(),
                revision: Revision(*revision),
            })
            .collect()
    }
}

impl Model {
    fn range(&self, range: &Range, after: &str) -> (Vec<Entry>, bool) {
        let mut meant = self.load(&range.prefix);
        match range.order {
            Order::Ascending => meant.retain(|entry| entry.key.as_str() > after),
            Order::Descending => {
                meant.retain(|entry| entry.key.as_str() < after);
                meant.reverse();
            }
        }
        let more = meant.len() > range.limit;
        meant.truncate(range.limit);
        (meant, more)
    }
}

/// What a store said, in the words of the model.
fn told(outcome: Result<Revision, CommitError>) -> Result<u64, String> {
    outcome
        .map(|revision| revision.0)
        .map_err(|error| match error {
            CommitError::Malformed(crate::store::BatchError::RepeatedKey { key }) => {
                format!("malformed {key}")
            }
            CommitError::Fenced { present, .. } => format!("fenced {present}"),
            CommitError::Conflict { key, found, .. } => format!("conflict {key} {found:?}"),
            other => panic!("a random batch ended as {other:?}"),
        })
}

fn check<D: Disk>(history: &[Event]) -> Result<(), TestCaseError> {
    let disk = D::new();
    let mut store = Some(disk.open());
    let mut model = Model::default();
    for event in history {
        let holder = store.get_or_insert_with(|| disk.open());
        match event {
            Event::Commit { off, writes } => {
                let batch = model.batch(*off, writes);
                let expected = model.commit(&batch);
                prop_assert_eq!(told(holder.commit(batch)), expected);
            }
            Event::Raise(at_least) => {
                model.epoch = (model.epoch + 1).max(*at_least);
                prop_assert_eq!(holder.raise_epoch(*at_least).unwrap(), Epoch(model.epoch));
            }
            // The former holder goes first: two at once are refused.
            Event::Restart => {
                store = None;
                continue;
            }
        }
        for prefix in ["", "a", "a/", "é", "z"] {
            prop_assert_eq!(holder.load(prefix).unwrap(), model.load(prefix));
            for (order, after) in [(Order::Ascending, "a"), (Order::Descending, "a/2")] {
                let range = Range::under(prefix, order).after(after).limit(2);
                let page = holder.range(&range).unwrap();
                prop_assert_eq!((page.entries, page.more), model.range(&range, after));
            }
        }
    }
    Ok(())
}

proptest! {
    #![proptest_config(ProptestConfig {
        failure_persistence: None,
        ..ProptestConfig::with_cases(48)
    })]

    #[test]
    fn memory_agrees_with_the_model(history in vec(event(), 1..40)) {
        check::<MemoryDisk>(&history)?;
    }

    #[test]
    fn sqlite_agrees_with_the_model(history in vec(event(), 1..40)) {
        check::<SqliteDisk>(&history)?;
    }
}
