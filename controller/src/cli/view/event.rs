//! Events as documents and as lines.

use std::time::Duration;

use extend_common::clock::since;
use extend_common::event::{self, EventKind, StoredEvent};
use extend_common::ids::{NodeAddr, OperationId, RoleName, ServerName};
use extend_common::wire::shown_text;
use extend_proto::v1;
use jiff::Timestamp;
use serde::Serialize;

use super::not_understood;
use super::operation::Evidence;
use crate::cli::failure::Failure;
use crate::cli::output::table::Table;
use crate::cli::output::text::{local_times, moment, or_dash, short_hash};

/// An event that was told so much later than it happened says so: its node was away, or its clock
/// is wrong.
const LATE: Duration = Duration::from_secs(5);

/// The document of `extend events`.
#[derive(Debug, Clone, Serialize)]
pub(crate) struct Events {
    /// Oldest first.
    pub(crate) events: Vec<Event>,
}

/// One event; the document of each line of `extend events -f -o json`.
#[derive(Debug, Clone, Serialize)]
pub(crate) struct Event {
    /// Counts all events of the controller's store.
    pub(crate) sequence: u64,
    /// When it happened, by the clock of whoever saw it.
    pub(crate) at: Timestamp,
    /// When the controller heard of it.
    pub(crate) told_at: Timestamp,
    /// What kind of thing happened.
    pub(crate) kind: EventKind,
    /// On which node.
    pub(crate) address: Option<NodeAddr>,
    /// To which server.
    pub(crate) server: Option<ServerName>,
    /// The server's role.
    pub(crate) r#type: Option<RoleName>,
    /// One sentence.
    pub(crate) text: String,
    /// The operation that it belongs to.
    pub(crate) operation: Option<OperationId>,
    /// The operator who caused it.
    pub(crate) by: Option<String>,
    /// What was seen before anything was done.
    pub(crate) evidence: Option<Evidence>,
}

/// Reads an event off the wire, with every text made fit to be shown.
pub(crate) fn read(stored: v1::StoredEvent) -> Result<Event, Failure> {
    let stored = StoredEvent::try_from(stored).map_err(|error| not_understood(&error))?;
    let StoredEvent {
        sequence,
        told,
        event,
    } = stored;
    let event::Event {
        at,
        kind,
        node,
        name,
        role,
        text,
        evidence,
        operation,
        by,
    } = event;
    Ok(Event {
        sequence,
        at,
        told_at: told,
        kind,
        address: node,
        server: name,
        r#type: role,
        text: shown_text(text),
        operation,
        by: super::text(by),
        evidence: evidence.as_ref().map(Evidence::from),
    })
}

impl Event {
    fn sentence(&self, now: Timestamp) -> String {
        let text = local_times(&self.text, now);
        if since(self.at, self.told_at) <= LATE {
            return text;
        }
        format!("{text} (told {})", moment(self.told_at, now))
    }

    fn cells(&self, now: Timestamp) -> [String; 5] {
        let text = |value: Option<String>| or_dash(&value.unwrap_or_default()).to_owned();
        [
            moment(self.at, now),
            text(self.address.map(|node| node.to_string())),
            text(self.server.as_ref().map(ToString::to_string)),
            self.kind.to_string(),
            self.sentence(now),
        ]
    }

    /// The event as a line of its own: what follows it is not known, so that columns have fixed
    /// widths.
    pub(crate) fn line(&self, now: Timestamp) -> String {
        let [at, node, server, kind, sentence] = self.cells(now);
        format!("{at}  {node:<15}  {server:<20}  {kind:<14}  {sentence}")
    }

    /// What was seen, a line each, indented.
    pub(crate) fn evidence_lines(&self) -> String {
        let mut lines = String::new();
        let mut add = |line: &str| {
            lines.push_str("    ");
            lines.push_str(line);
            lines.push('\n');
        };
        if let Some(operation) = self.operation {
            add(&format!("operation {}", operation.short()));
        }
        let Some(evidence) = &self.evidence else {
            return lines;
        };
        let mut facts = Vec::new();
        let container = evidence.container_id.as_deref().map(short_hash);
        facts.extend(container.map(|id| format!("container {id}")));
        facts.extend(evidence.exit_code.map(|code| format!("exit code {code}")));
        if evidence.oom_killed {
            facts.push("killed by the kernel: out of memory".to_owned());
        }
        if !facts.is_empty() {
            add(&facts.join(", "));
        }
        for dump in &evidence.dumps {
            add(&dump.line());
        }
        for line in &evidence.log_tail {
            add(&format!("| {line}"));
        }
        lines
    }
}

/// The events as a table.
pub(crate) fn events_table(events: &[Event], now: Timestamp) -> Table {
    let mut table = Table::new(vec!["TIME", "NODE", "SERVER", "KIND", "EVENT"]);
    for event in events {
        table.row(event.cells(now).into_iter().map(Into::into).collect());
    }
    table
}
