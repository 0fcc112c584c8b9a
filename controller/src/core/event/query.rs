//! Events for operators: which ones are meant, from where on, a page at a time.

use std::collections::HashMap;

use extend_common::event::{Event, EventKind, StoredEvent};
use extend_common::ids::{NodeAddr, OperationId, RoleName, ServerName};
use extend_common::operation::Selector;

use super::super::admit::resolve;
use super::super::fleet::Fleet;
use super::super::refusal::{Asked, Refusal, Unfound};
use super::super::request::{EventsWanted, SelectorWords};
use super::super::view::{EventFilter, EventsBegin, EventsPage};

/// So many events are copied at a time: whoever reads slowly holds no more than that.
const PAGE: usize = 200;

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
        };
        if !self.has_such(&wanted.words, &filter) {
            return Err(Unfound::NoEvents { asked }.into());
        }
        let last = self.events.last();
        // An older copy of the store knows nothing of a later place: it begins anew.
        let known = wanted.after > 0 && wanted.after <= last;
        let after = if known {
            wanted.after
        } else {
            self.before_newest(&filter, wanted.tail)
        };
        Ok(EventsBegin {
            filter,
            after,
            last,
        })
    }

    /// The events after a place that the filter means, as many as make a page.
    pub fn events_after(&self, filter: &EventFilter, after: u64) -> EventsPage {
        let mut matcher = Matcher::new(self, filter);
        let oldest = self.events.kept.first_key_value().map(|(first, _)| *first);
        let next = after.saturating_add(1);
        let mut page = EventsPage {
            events: Vec::new(),
            upto: after.max(self.events.last()),
            passed_over: oldest.map_or(0, |oldest| oldest.saturating_sub(next)),
        };
        for (sequence, stored) in self.events.kept.range(next..) {
            if page.events.len() >= PAGE {
                page.upto = sequence.saturating_sub(1);
                break;
            }
            if matcher.matches(&stored.event) {
                page.events.push(stored.clone());
            }
        }
        page
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
            kinds: Vec::new(),
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

/// Whether something on this node, of this name and role, is meant.
fn means(
    selector: &Selector,
    node: Option<NodeAddr>,
    name: Option<&ServerName>,
    role: Option<&RoleName>,
) -> bool {
    let nodes = &selector.nodes;
    (nodes.is_empty() || node.is_some_and(|node| nodes.contains(&node)))
        && (selector.name.is_none() || selector.name.as_ref() == name)
        && (selector.role.is_none() || selector.role.as_ref() == role)
}

/// A filter, with what it has found out about operations.
struct Matcher<'a> {
    fleet: &'a Fleet,
    filter: &'a EventFilter,
    operations: HashMap<OperationId, bool>,
}

impl<'a> Matcher<'a> {
    fn new(fleet: &'a Fleet, filter: &'a EventFilter) -> Self {
        Self {
            fleet,
            filter,
            operations: HashMap::new(),
        }
    }

    fn matches(&mut self, event: &Event) -> bool {
        let (selector, kinds) = (&self.filter.selector, &self.filter.kinds);
        if !kinds.is_empty() && !kinds.contains(&event.kind) {
            return false;
        }
        means(
            selector,
            event.node,
            event.name.as_ref(),
            event.role.as_ref(),
        ) || self.is_of_a_meant_target(event)
    }

    /// An operation on several servers is an event of each of them.
    fn is_of_a_meant_target(&mut self, event: &Event) -> bool {
        let Some(id) = event
            .operation
            .filter(|_| event.kind == EventKind::Operation)
        else {
            return false;
        };
        let Self { fleet, filter, .. } = self;
        *self.operations.entry(id).or_insert_with(|| {
            let targets = fleet.operations.get(&id).map(|entry| entry.targets());
            targets.unwrap_or_default().iter().any(|row| {
                let target = &row.target;
                let (name, role) = (Some(&target.name), Some(&target.role));
                means(&filter.selector, Some(target.node), name, role)
            })
        })
    }
}
