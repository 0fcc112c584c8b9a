//! The bench's way to events: journals that are told, and what is kept.

use jiff::Timestamp;

use extend_common::event::{Event, EventKind, JournalEntry, JournalPart, StoredEvent};
use extend_common::ids::NodeAddr;

use super::bench::{Bench, START};
use crate::core::request::EventsWanted;

/// A piece of an agent's journal: each entry says which it is.
pub(crate) fn journal_part(journal: &str, sequences: impl IntoIterator<Item = u64>) -> JournalPart {
    let entry = |sequence| JournalEntry {
        sequence,
        event: Event {
            at: Timestamp::from_second(START).unwrap(),
            kind: EventKind::Health,
            node: None,
            name: Some("media-server-1".parse().unwrap()),
            role: Some("media-server-only".parse().unwrap()),
            text: format!("{journal} {sequence}"),
            evidence: None,
            operation: None,
            by: String::new(),
        },
    };
    JournalPart {
        journal: journal.to_owned(),
        entries: sequences.into_iter().map(entry).collect(),
    }
}

impl Bench {
    /// Tells a piece of a node's journal.
    pub(crate) fn tell(&mut self, at: NodeAddr, part: JournalPart) {
        let session = self.agents[&at].session.unwrap_or_default();
        let turn = self.fleet.journal(session, at, part, self.now);
        self.commit(turn);
    }

    /// Every kept event.
    pub(crate) fn events(&self) -> Vec<StoredEvent> {
        let everything = EventsWanted {
            tail: usize::MAX,
            ..EventsWanted::default()
        };
        let begin = self.fleet.begin_events(&everything).unwrap();
        let (mut after, mut events) = (begin.after, Vec::new());
        while after < begin.last {
            let page = self.fleet.events_after(&begin.filter, after);
            after = page.upto;
            events.extend(page.events);
        }
        events
    }

    /// The sentences of the kept events after a number.
    pub(crate) fn said(&self, after: u64) -> Vec<String> {
        let events = self.events().into_iter();
        let after = events.filter(|stored| {
            stored.sequence > after && stored.event.kind != extend_common::event::EventKind::Alert
        });
        after.map(|stored| stored.event.text).collect()
    }
}
