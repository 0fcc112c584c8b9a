//! Events as the store keeps them: rows of their own, numbered by one counter, and bounded.
//!
//! Written in the same turn as what they tell of. Nothing is decided by them. Who tells what:
//! `journal` takes the agents' words, `words` has the controller's own, `query` shows them.

pub(super) mod journal;
pub(super) mod query;
pub(super) mod words;

use std::collections::{BTreeMap, HashMap, VecDeque};

use jiff::Timestamp;

use extend_common::event::{Event, EventKind, StoredEvent};
use extend_common::ids::NodeAddr;
use extend_common::service::DumpFile;
use extend_common::status::Evidence;
use extend_common::wire::MAX_DUMPS;

use super::fleet::Fleet;
use super::key::Key;
use super::node::Node;

/// So many of one node are kept: a crash loop must not push out what the others have told.
pub(super) const SHARE: usize = 1_000;
/// A sentence is cut here, in bytes.
const MAX_SENTENCE: usize = 512;
/// The lines and crash dumps of one event's evidence have so many bytes in all, as they are written.
/// With the sentence and the names a row stays below 4 KiB.
const MAX_TAIL: usize = 2_048;
/// A line of evidence is cut here, in bytes.
const MAX_LINE: usize = 512;
/// Longer names of operators and ids of containers are nobody's.
const MAX_NAME: usize = 128;
/// The name of a crash dump is cut here: there are some of them.
const MAX_DUMP_NAME: usize = 48;

/// The kept events.
#[derive(Debug)]
pub(super) struct Events {
    kept: BTreeMap<u64, StoredEvent>,
    /// Which of them are about a node, oldest first.
    of_node: HashMap<NodeAddr, VecDeque<u64>>,
    last: u64,
    /// So many are kept; with the next one the oldest goes.
    most: usize,
}

impl Events {
    /// None yet, and never more than `most`.
    pub(super) fn new(most: usize) -> Self {
        Self {
            kept: BTreeMap::new(),
            of_node: HashMap::new(),
            last: 0,
            most,
        }
    }

    /// One of the kept ones.
    pub(super) fn get(&self, sequence: u64) -> Option<&StoredEvent> {
        self.kept.get(&sequence)
    }

    /// The kept ones after a number, oldest first.
    pub(super) fn after(&self, sequence: u64) -> impl Iterator<Item = &StoredEvent> {
        let after = std::ops::Bound::Excluded(sequence);
        let kept = self.kept.range((after, std::ops::Bound::Unbounded));
        kept.map(|(_, stored)| stored)
    }

    /// The number of the newest one; 0 before the first.
    pub(super) fn last(&self) -> u64 {
        self.last
    }

    /// Whether this very event is one of the newest, so that it was told before.
    pub(super) fn is_known(&self, event: &Event) -> bool {
        let newest = self.kept.values().rev().take(SHARE);
        newest.into_iter().any(|stored| stored.event == *event)
    }

    /// Takes one in that was stored before.
    pub(super) fn load(&mut self, stored: StoredEvent) {
        if let Some(node) = stored.event.node {
            self.of_node
                .entry(node)
                .or_default()
                .push_back(stored.sequence);
        }
        self.last = self.last.max(stored.sequence);
        self.kept.insert(stored.sequence, stored);
    }

    /// Adds one, and answers its number and those that went.
    fn add(&mut self, event: Event, told: Timestamp) -> (u64, Vec<StoredEvent>) {
        let sequence = self.last.saturating_add(1);
        let node = event.node;
        self.load(StoredEvent {
            sequence,
            told,
            event,
        });
        let mut gone = Vec::new();
        let share = node.and_then(|node| self.of_node.get_mut(&node));
        if let Some(share) = share
            && share.len() > SHARE
            && let Some(oldest) = share.pop_front()
        {
            gone.extend(self.kept.remove(&oldest));
        }
        while self.kept.len() > self.most {
            let Some((oldest, stored)) = self.kept.pop_first() else {
                break;
            };
            self.drop_share(stored.event.node, oldest);
            gone.push(stored);
        }
        (sequence, gone)
    }

    fn drop_share(&mut self, node: Option<NodeAddr>, sequence: u64) {
        let Some(node) = node else { return };
        if let Some(share) = self.of_node.get_mut(&node) {
            share.retain(|known| *known != sequence);
            if share.is_empty() {
                self.of_node.remove(&node);
            }
        }
    }
}

/// An event that the controller saw itself.
pub(super) fn own(kind: EventKind, now: Timestamp, text: impl Into<String>) -> Event {
    Event {
        at: now,
        kind,
        node: None,
        name: None,
        role: None,
        text: text.into(),
        evidence: None,
        operation: None,
        by: String::new(),
    }
}

impl Fleet {
    /// Keeps an event that was heard of at `told`.
    pub(super) fn keep(&mut self, event: Event, told: Timestamp) {
        let (sequence, gone) = self.events.add(fitted(event), told);
        self.write(Key::Event(sequence));
        for stored in gone {
            self.write(Key::Event(stored.sequence));
            self.archive_event(&stored);
        }
        self.draft.events();
    }

    /// Keeps an event that the controller saw itself.
    pub(super) fn note(&mut self, event: Event) {
        let now = event.at;
        self.keep(event, now);
    }

    /// The same about a node and the server on it.
    pub(super) fn note_about(&mut self, node: NodeAddr, event: Event) {
        let server = self.nodes.get(&node).and_then(Node::known);
        self.note(Event {
            node: Some(node),
            name: server.as_ref().map(|server| server.name.clone()),
            role: server.map(|server| server.role),
            ..event
        });
    }

    /// The same, done by an operator.
    pub(super) fn note_by(&mut self, node: NodeAddr, by: &str, event: Event) {
        let by = by.to_owned();
        self.note_about(node, Event { by, ..event });
    }

    /// One of the kept events.
    pub fn event(&self, sequence: u64) -> Option<&StoredEvent> {
        self.events.get(sequence)
    }

    /// The number of the newest event.
    pub fn last_event(&self) -> u64 {
        self.events.last()
    }
}

/// Cuts an event so that its row stays small: the newest lines of its evidence are kept.
fn fitted(event: Event) -> Event {
    Event {
        text: cut(&event.text, MAX_SENTENCE),
        by: cut(&event.by, MAX_NAME),
        evidence: event.evidence.map(fitted_evidence),
        ..event
    }
}

/// Crash dumps go before lines: there are few of them, and nothing else tells of them.
fn fitted_evidence(evidence: Evidence) -> Evidence {
    let of_event = |dump: DumpFile| DumpFile {
        name: cut(&dump.name, MAX_DUMP_NAME),
        ..dump
    };
    let dumps = evidence.dumps.into_iter().take(MAX_DUMPS).map(of_event);
    let dumps: Vec<_> = dumps.collect();
    let written = match dumps.is_empty() {
        true => 0,
        false => serde_json::to_string(&dumps).map_or(MAX_TAIL, |json| json.len()),
    };
    Evidence {
        container_id: cut(&evidence.container_id, MAX_NAME),
        log_tail: newest(&evidence.log_tail, MAX_TAIL.saturating_sub(written)),
        dumps,
        ..evidence
    }
}

fn newest(lines: &[String], room: usize) -> Vec<String> {
    let mut left = room;
    let mut tail = VecDeque::new();
    for line in lines.iter().rev() {
        let line = cut(line, MAX_LINE);
        // Quotes and backslashes take two bytes when they are written.
        let written = serde_json::to_string(&line).map_or(MAX_TAIL, |json| json.len());
        let Some(rest) = left.checked_sub(written) else {
            break;
        };
        left = rest;
        tail.push_front(line);
    }
    tail.into()
}

/// Cuts a text to `most` bytes at a character's border, and shows that it was.
pub(super) fn cut(text: &str, most: usize) -> String {
    if text.len() <= most {
        return text.to_owned();
    }
    let mut end = most.saturating_sub('…'.len_utf8());
    while !text.is_char_boundary(end) {
        end -= 1;
    }
    format!("{}…", text.get(..end).unwrap_or_default())
}
