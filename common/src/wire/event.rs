//! Events, both ways.

use extend_proto::v1;

use super::{WireError, clipped, optional, parse_optional, required, shown_text, time};
use crate::event::{Event, EventKind, JournalEntry, JournalPart, StoredEvent};

/// So many events travel in one message: with their evidence they stay far below
/// [`super::MAX_MESSAGE_BYTES`].
pub const MAX_EVENTS: usize = 8;
/// The name of a journal.
const MAX_JOURNAL: usize = 64;
/// The name of an operator.
const MAX_BY: usize = 256;

impl From<Event> for v1::Event {
    fn from(event: Event) -> Self {
        Self {
            at_ms: event.at.as_millisecond(),
            kind: event.kind.to_wire(),
            node: optional(event.node.as_ref()),
            name: optional(event.name.as_ref()),
            role: optional(event.role.as_ref()),
            text: event.text,
            evidence: event.evidence.map(Into::into),
            operation: optional(event.operation.as_ref()),
            by: event.by,
        }
    }
}

impl TryFrom<v1::Event> for Event {
    type Error = WireError;

    fn try_from(event: v1::Event) -> Result<Self, WireError> {
        Ok(Self {
            at: time("at_ms", event.at_ms)?,
            // A kind that this release does not know must not keep everything after it from
            // being told; its sentence is told all the same.
            kind: EventKind::from_wire(event.kind).unwrap_or(EventKind::Agent),
            node: parse_optional("node", &event.node)?,
            name: parse_optional("name", &event.name)?,
            role: parse_optional("role", &event.role)?,
            text: shown_text(event.text),
            evidence: event.evidence.map(Into::into),
            operation: parse_optional("operation", &event.operation)?,
            by: shown_text(clipped(event.by, MAX_BY)),
        })
    }
}

impl From<JournalPart> for v1::Events {
    fn from(part: JournalPart) -> Self {
        let entry = |entry: JournalEntry| v1::JournalEntry {
            sequence: entry.sequence,
            event: Some(entry.event.into()),
        };
        Self {
            journal: part.journal,
            entries: part.entries.into_iter().map(entry).collect(),
        }
    }
}

impl TryFrom<v1::Events> for JournalPart {
    type Error = WireError;

    fn try_from(part: v1::Events) -> Result<Self, WireError> {
        if part.entries.len() > MAX_EVENTS {
            return Err(WireError::new(
                "entries",
                format!("there are more than {MAX_EVENTS}"),
            ));
        }
        let entry = |entry: v1::JournalEntry| {
            Ok(JournalEntry {
                sequence: entry.sequence,
                event: required("event", entry.event)?.try_into()?,
            })
        };
        Ok(Self {
            journal: shown_text(clipped(part.journal, MAX_JOURNAL)),
            entries: part
                .entries
                .into_iter()
                .map(entry)
                .collect::<Result<_, WireError>>()?,
        })
    }
}

impl From<StoredEvent> for v1::StoredEvent {
    fn from(stored: StoredEvent) -> Self {
        Self {
            sequence: stored.sequence,
            told_ms: stored.told.as_millisecond(),
            event: Some(stored.event.into()),
            passed_over: 0,
        }
    }
}

impl TryFrom<v1::StoredEvent> for StoredEvent {
    type Error = WireError;

    fn try_from(stored: v1::StoredEvent) -> Result<Self, WireError> {
        Ok(Self {
            sequence: stored.sequence,
            told: time("told_ms", stored.told_ms)?,
            event: required("event", stored.event)?.try_into()?,
        })
    }
}
