//! The whole content of a store as a value: what a memory store holds, what it can be rolled back
//! to, and what a new database file is written from.
//!
//! Holds the meaning of a commit in its plainest form; must not know files, queues or faults.

use std::collections::BTreeMap;
use std::convert::Infallible;
use std::ops::Bound;

use super::{
    Batch, Change, CommitError, Entry, Epoch, Order, Page, Range, Revision, StoreError, StoreId,
};

/// Everything in a store at one moment. Opaque: take it from one [`super::MemoryStore`] and put
/// it into another.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Image {
    pub(super) identity: StoreId,
    pub(super) epoch: Epoch,
    pub(super) revision: Revision,
    pub(super) records: BTreeMap<String, Record>,
}

/// One record under its key.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Record {
    pub(super) value: Vec<u8>,
    pub(super) revision: Revision,
}

impl Image {
    /// A store in which nothing has ever been written.
    pub(super) fn empty(identity: StoreId) -> Self {
        Self {
            identity,
            epoch: Epoch(0),
            revision: Revision(0),
            records: BTreeMap::new(),
        }
    }

    /// Applies a whole batch, or changes nothing.
    pub(super) fn commit(&mut self, batch: Batch) -> Result<Revision, CommitError> {
        batch.check()?;
        if batch.fence != self.epoch {
            return Err(CommitError::Fenced {
                batch: batch.fence,
                present: self.epoch,
            });
        }
        for write in &batch.writes {
            write.admit(self.records.get(&write.key).map(|record| record.revision))?;
        }
        if batch.writes.is_empty() {
            return Ok(self.revision);
        }
        let revision = self.revision.next()?;
        for write in batch.writes {
            match write.change {
                Change::Put(value) => {
                    self.records.insert(write.key, Record { value, revision });
                }
                Change::Delete => {
                    self.records.remove(&write.key);
                }
            }
        }
        self.revision = revision;
        Ok(revision)
    }

    /// The records under `prefix`, sorted by key.
    pub(super) fn load(&self, prefix: &str) -> Vec<Entry> {
        self.records
            .range::<str, _>((Bound::Included(prefix), Bound::Unbounded))
            .take_while(|(key, _)| key.starts_with(prefix))
            .map(|(key, record)| Entry {
                key: key.clone(),
                value: record.value.clone(),
                revision: record.revision,
            })
            .collect()
    }

    /// A page of the records of a range.
    pub(super) fn range(&self, range: &Range) -> Page {
        let bounds = range.bounds();
        if bounds.are_empty() {
            return Page::default();
        }
        let low = match bounds.low_is_in {
            true => Bound::Included(bounds.low.as_str()),
            false => Bound::Excluded(bounds.low.as_str()),
        };
        let high = match &bounds.high {
            Some(high) => Bound::Excluded(high.as_str()),
            None => Bound::Unbounded,
        };
        let meant = self.records.range::<str, _>((low, high));
        let entry = |(key, record): (&String, &Record)| {
            Ok::<_, Infallible>(Entry {
                key: key.clone(),
                value: record.value.clone(),
                revision: record.revision,
            })
        };
        let Ok(page) = match range.order {
            Order::Ascending => Page::fill(range, meant.map(entry)),
            Order::Descending => Page::fill(range, meant.rev().map(entry)),
        };
        page
    }

    /// Raises the epoch.
    pub(super) fn raise_epoch(&mut self, at_least: u64) -> Result<Epoch, StoreError> {
        self.epoch = self.epoch.raised(at_least)?;
        Ok(self.epoch)
    }
}
