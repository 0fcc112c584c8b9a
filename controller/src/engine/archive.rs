//! Reading what has left the memory: past the engine's task, from the store itself, in pages
//! between which commits go on.
//!
//! Used by the handle, always after the memory was asked: what leaves the memory is in the archive
//! from the same commit on, so that in this order nothing is missed. It may be found in both.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use jiff::Timestamp;
use tokio::sync::Semaphore;

use extend_common::event::StoredEvent;
use extend_common::ids::OperationId;
use extend_common::operation::{Operation, Target};

use super::EngineError;
use crate::core::ArchiveKey;
use crate::core::archive::{read_event, read_operation, read_target};
use crate::core::view::{EventFilter, EventsPage, Meant, OperationFilter};
use crate::store::{Entry, Order, Page, Range, StoreError, StoreHandle};

/// So many readers wait for the store at once. Its queue is bounded, and is there for commits.
const READERS: usize = 4;

/// So many of the newest operations are looked through for an id by its ending.
pub(crate) const SEARCHED: usize = 10_000;

/// So many operations are looked at for one list.
const LOOKED_AT: usize = 100_000;

/// A list that has so many bytes of rows is long enough: it becomes one message.
const MAX_LIST_BYTES: usize = 24 * 1024 * 1024;

/// The archive of a store.
#[derive(Debug, Clone)]
pub(super) struct Archive {
    store: StoreHandle,
    readers: Arc<Semaphore>,
}

/// A part of a list, newest first.
#[derive(Debug, Default)]
pub(super) struct Listed {
    pub(super) operations: Vec<Operation>,
    /// Where looking ended before there was no more, if it did.
    pub(super) cut: Option<Timestamp>,
}

impl Archive {
    pub(super) fn new(store: StoreHandle) -> Self {
        let readers = Arc::new(Semaphore::new(READERS));
        Self { store, readers }
    }

    async fn page(&self, range: Range) -> Result<Page, EngineError> {
        let _place = self.readers.acquire().await;
        self.store.range(range).await.map_err(|error| match error {
            StoreError::Closed => EngineError::Stopped,
            error => EngineError::Unread(super::task::with_sources(&error)),
        })
    }

    /// One operation by its whole id.
    pub(super) async fn operation(
        &self,
        id: OperationId,
    ) -> Result<Option<Operation>, EngineError> {
        let key = ArchiveKey::Operation(id).to_string();
        let page = self
            .page(Range::under(key.clone(), Order::Ascending).limit(1))
            .await?;
        match page.entries.first().filter(|entry| entry.key == key) {
            Some(entry) => self
                .whole(entry)
                .await
                .map(|(operation, _)| Some(operation)),
            None => Ok(None),
        }
    }

    /// An operation with its targets, and how many bytes of rows it is made of.
    async fn whole(&self, entry: &Entry) -> Result<(Operation, usize), EngineError> {
        let mut operation = read(entry, read_operation)?;
        let mut bytes = entry.value.len();
        let mut range = Range::under(ArchiveKey::targets_of(operation.id), Order::Ascending);
        loop {
            let page = self.page(range.clone()).await?;
            for entry in &page.entries {
                bytes += entry.value.len();
                operation.targets.push(read(entry, read_target)?);
            }
            match page.entries.last() {
                Some(last) if page.more => range = range.after(last.key.clone()),
                _ => break,
            }
        }
        operation.targets.sort_by_key(|target: &Target| target.node);
        Ok((operation, bytes))
    }

    /// The ids that end like `wanted` among the newest operations.
    pub(super) async fn ending(&self, wanted: &str) -> Result<Vec<OperationId>, EngineError> {
        let mut range = Range::under(ArchiveKey::OPERATIONS, Order::Descending);
        let (mut found, mut looked_at) = (Vec::new(), 0);
        loop {
            let page = self.page(range.clone()).await?;
            looked_at += page.entries.len();
            let ending = page.entries.iter().filter(|e| e.key.ends_with(wanted));
            found.extend(ending.filter_map(|entry| match entry.key.parse() {
                Ok(ArchiveKey::Operation(id)) => Some(id),
                _ => None,
            }));
            match page.entries.last() {
                Some(last) if page.more && looked_at < SEARCHED => {
                    range = range.after(last.key.clone());
                }
                _ => return Ok(found),
            }
        }
    }

    /// The newest operations that a filter means, without those that are known.
    pub(super) async fn operations(
        &self,
        filter: &OperationFilter,
        known: &[Operation],
    ) -> Result<Listed, EngineError> {
        let mut range = Range::under(ArchiveKey::OPERATIONS, Order::Descending);
        if let Some(until) = filter.until {
            range = range.after(ArchiveKey::of_operations_at(until).to_string());
        }
        let mut listed = Listed::default();
        let (mut looked_at, mut bytes) = (0, 0);
        loop {
            let page = self.page(range.clone()).await?;
            for entry in &page.entries {
                let header = read(entry, read_operation)?;
                if filter.since.is_some_and(|since| header.begun < since)
                    || listed.operations.len() >= filter.limit
                {
                    return Ok(listed);
                }
                looked_at += 1;
                if looked_at > LOOKED_AT || bytes > MAX_LIST_BYTES {
                    listed.cut = Some(header.begun);
                    return Ok(listed);
                }
                if filter.means(&header) && !known.iter().any(|known| known.id == header.id) {
                    let (operation, more) = self.whole(entry).await?;
                    bytes += more;
                    listed.operations.push(operation);
                }
            }
            match page.entries.last() {
                Some(last) if page.more => range = range.after(last.key.clone()),
                _ => return Ok(listed),
            }
        }
    }

    /// Events after one number and up to another, and whether there are more of them.
    async fn events(&self, after: u64, upto: u64) -> Result<(Vec<StoredEvent>, bool), EngineError> {
        let range = Range::under(ArchiveKey::EVENTS, Order::Ascending)
            .after(ArchiveKey::Event(after).to_string());
        let page = self.page(range).await?;
        let events: Result<Vec<_>, _> = page.entries.iter().map(|e| read(e, read_event)).collect();
        let mut events = events?;
        let read = events.len();
        events.retain(|stored| stored.sequence <= upto);
        let more = page.more && events.len() == read;
        Ok((events, more))
    }

    /// Adds what the archive has to a page of the memory's events after `after`.
    pub(super) async fn complete(
        &self,
        mut page: EventsPage,
        after: u64,
        filter: &EventFilter,
    ) -> Result<EventsPage, EngineError> {
        let mut archived = Vec::new();
        if page.missing > 0 {
            let more;
            (archived, more) = self.events(after, page.upto).await?;
            if let (true, Some(last)) = (more, archived.last()) {
                // As far as the archive was read; the rest comes with the next page.
                let upto = last.sequence;
                page.events.retain(|stored| stored.sequence <= upto);
                page.doubtful.retain(|(stored, _)| stored.sequence <= upto);
                page.passed_over = page.passed_over.min(upto - after);
                page.upto = upto;
            }
        }
        // Those before the first one in memory that are kept after all.
        let gap = after.saturating_add(page.passed_over);
        let found = archived.iter().filter(|stored| stored.sequence <= gap);
        let found = u64::try_from(found.count()).unwrap_or(u64::MAX);
        page.passed_over = page.passed_over.saturating_sub(found);

        let mut events: BTreeMap<_, _> = BTreeMap::new();
        let mut doubtful = std::mem::take(&mut page.doubtful);
        for stored in archived {
            match filter.means(&stored.event) {
                Meant::Yes => drop(events.insert(stored.sequence, stored)),
                Meant::ByTarget(id) => doubtful.push((stored, id)),
                Meant::No => {}
            }
        }
        let mut known = HashMap::new();
        for (stored, id) in doubtful {
            if self.has_target(id, &mut known, filter).await? {
                events.insert(stored.sequence, stored);
            }
        }
        // It may have left the memory in between: then it was found in both.
        let of_memory = std::mem::take(&mut page.events).into_iter();
        events.extend(of_memory.map(|stored| (stored.sequence, stored)));
        page.events = events.into_values().collect();
        Ok(page)
    }

    /// The number before the first event that was heard of at `since` or later, looked for below
    /// `below`. Numbers and times grow together, but for clocks that were put back.
    pub(super) async fn before(&self, since: Timestamp, below: u64) -> Result<u64, EngineError> {
        let (mut low, mut high) = (0, below.saturating_sub(1));
        // All up to `low` are earlier; the first one above `high` is not.
        while low < high {
            let middle = low + (high - low) / 2;
            let range = Range::under(ArchiveKey::EVENTS, Order::Ascending)
                .after(ArchiveKey::Event(middle).to_string())
                .limit(1);
            let page = self.page(range).await?;
            let next = page.entries.first().map(|entry| read(entry, read_event));
            match next.transpose()? {
                Some(next) if next.told < since && next.sequence <= high => low = next.sequence,
                _ => high = middle,
            }
        }
        Ok(low)
    }

    /// Whether an operation has a target that is meant. What was found out is remembered.
    async fn has_target(
        &self,
        id: OperationId,
        known: &mut HashMap<OperationId, bool>,
        filter: &EventFilter,
    ) -> Result<bool, EngineError> {
        if let Some(known) = known.get(&id) {
            return Ok(*known);
        }
        let operation = self.operation(id).await?;
        let has = operation.is_some_and(|operation| {
            let mut targets = operation.targets.iter();
            targets.any(|target| filter.means_target(target))
        });
        known.insert(id, has);
        Ok(has)
    }
}

fn read<T>(entry: &Entry, form: fn(&[u8]) -> Result<T, String>) -> Result<T, EngineError> {
    form(&entry.value)
        .map_err(|problem| EngineError::Unread(format!("the row {}: {problem}", entry.key)))
}
