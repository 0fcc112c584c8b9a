//! Events for operators: which ones are meant, from where on, a page at a time.

use std::collections::HashMap;
use std::time::Duration;

use jiff::Timestamp;

use extend_common::clock::before;
use extend_common::event::{Event, StoredEvent};
use extend_common::ids::OperationId;

use super::super::admit::resolve;
use super::super::fleet::Fleet;
use super::super::refusal::{Asked, Refusal, Unfound};
use super::super::request::{EventsWanted, SelectorWords};
use super::super::view::{EventFilter, EventsBegin, EventsPage, Meant, means};

/// So many events are copied at a time: whoever reads slowly holds no more than that.
const PAGE: usize = 200;

/// An event is looked for by when the controller heard of it, and meant by when it happened, by
/// the clock of whoever saw it. Clocks that are further ahead than this are told of elsewhere.
const CLOCKS_DIFFER: Duration = Duration::from_secs(3_600);

impl Fleet {
    /// Where to begin to read the events that are wanted.
    ///
    /// # Errors
    /// When the selector is wrong, or means nothing that is there or was there.
    pub fn begin_events(&self, wanted: &EventsWanted) -> Result<EventsBegin, Refusal> {
        let asked = Asked::events(&wanted.words);
        let selector = resolve(self, &wanted.words, &asked)?;
        let filter = EventFilter {
            selector,
            kinds: wanted.kinds.clone(),
            since: wanted.since,
            until: wanted.until,
        };
        // Of what is long gone only the archive may know.
        if wanted.since.is_none() && !self.has_such(&wanted.words, &filter) {
            return Err(Unfound::NoEvents { asked }.into());
        }
        let last = self.events.last();
        // An older copy of the store knows nothing of a later place: it begins anew.
        let known = wanted.after > 0 && wanted.after <= last;
        let (after, before) = match wanted.since {
            _ if known => (wanted.after, None),
            Some(since) => self.before_time(since),
            None => (self.before_newest(&filter, wanted.tail), None),
        };
        Ok(EventsBegin {
            filter,
            after,
            before,
            last,
        })
    }

    /// The events after a place that the filter means, as many as make a page.
    pub fn events_after(&self, filter: &EventFilter, after: u64) -> EventsPage {
        let mut matcher = Matcher::new(self, filter);
        let oldest = self.oldest_event();
        let next = after.saturating_add(1);
        let mut page = EventsPage {
            events: Vec::new(),
            doubtful: Vec::new(),
            upto: after.max(self.events.last()),
            passed_over: oldest.map_or(0, |oldest| oldest.saturating_sub(next)),
            missing: 0,
        };
        let mut looked_at = 0;
        for (sequence, stored) in self.events.kept.range(next..) {
            if page.events.len() + page.doubtful.len() >= PAGE {
                page.upto = sequence.saturating_sub(1);
                break;
            }
            looked_at += 1;
            match matcher.judge(&stored.event) {
                Meant::Yes => page.events.push(stored.clone()),
                Meant::ByTarget(id) => page.doubtful.push((stored.clone(), id)),
                Meant::No => {}
            }
        }
        page.missing = (page.upto - after).saturating_sub(looked_at);
        page
    }

    fn oldest_event(&self) -> Option<u64> {
        self.events.kept.first_key_value().map(|(first, _)| *first)
    }

    /// The place before the first event in memory that was heard of at `since` or later; and where
    /// the memory begins, if that is the first one in memory and there were others before it.
    fn before_time(&self, since: Timestamp) -> (u64, Option<u64>) {
        let since = before(since, CLOCKS_DIFFER);
        let mut kept = self.events.kept.iter();
        let first = kept.find(|(_, stored)| stored.told >= since);
        let after = first.map_or(self.events.last(), |(sequence, _)| {
            sequence.saturating_sub(1)
        });
        let oldest = self.oldest_event().filter(|oldest| *oldest > 1);
        (after, oldest.filter(|oldest| after < *oldest))
    }

    /// The place before the newest `tail` events that the filter means.
    fn before_newest(&self, filter: &EventFilter, tail: usize) -> u64 {
        let mut matcher = Matcher::new(self, filter);
        let meant = self
            .events
            .kept
            .iter()
            .rev()
            .filter(|(_, stored)| matcher.matches(&stored.event));
        let first = meant.take(tail).last();
        first.map_or(self.events.last(), |(sequence, _)| {
            sequence.saturating_sub(1)
        })
    }

    /// Whether the selector means a node or a server of the fleet, or some event of one that is
    /// gone. Kinds do not matter here: there may just have been none.
    fn has_such(&self, words: &SelectorWords, filter: &EventFilter) -> bool {
        if *words == SelectorWords::default() {
            return true;
        }
        let selector = &filter.selector;
        let is_there = self.nodes.iter().any(|(node, entry)| {
            let server = entry.known();
            let (name, role) = match &server {
                Some(server) => (Some(&server.name), Some(&server.role)),
                None => (None, None),
            };
            means(selector, Some(*node), name, role)
        });
        let any_kind = EventFilter {
            selector: selector.clone(),
            ..EventFilter::default()
        };
        let mut matcher = Matcher::new(self, &any_kind);
        is_there
            || self
                .events
                .kept
                .values()
                .any(|stored: &StoredEvent| matcher.matches(&stored.event))
    }
}

/// A filter, with what it has found out about operations.
struct Matcher<'a> {
    fleet: &'a Fleet,
    filter: &'a EventFilter,
    operations: HashMap<OperationId, Meant>,
}

impl<'a> Matcher<'a> {
    fn new(fleet: &'a Fleet, filter: &'a EventFilter) -> Self {
        Self {
            fleet,
            filter,
            operations: HashMap::new(),
        }
    }

    fn judge(&mut self, event: &Event) -> Meant {
        let Meant::ByTarget(id) = self.filter.means(event) else {
            return self.filter.means(event);
        };
        let Self { fleet, filter, .. } = self;
        *self.operations.entry(id).or_insert_with(|| {
            let Some(entry) = fleet.operations.get(&id) else {
                return Meant::ByTarget(id);
            };
            let mut targets = entry.targets().iter().map(|row| &row.target);
            match targets.any(|target| filter.means_target(target)) {
                true => Meant::Yes,
                false => Meant::No,
            }
        })
    }

    fn matches(&mut self, event: &Event) -> bool {
        self.judge(event) == Meant::Yes
    }
}
