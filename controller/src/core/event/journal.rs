//! What agents tell of their journals: which of it is believed, and how far it is kept.

use jiff::Timestamp;

use extend_common::event::{Event, EventKind, JournalEntry, JournalPart};
use extend_common::ids::NodeAddr;

use super::super::fleet::Fleet;
use super::super::key::Key;
use super::super::node::Node;
use super::super::request::{SessionNumber, ToAgent};
use super::super::row::Journal;
use super::super::turn::Turn;

impl Fleet {
    /// Takes a piece of a node's journal in, and tells the agent how far it is kept: also when
    /// nothing was new, so that the agent goes on. One of another than the node's present session
    /// is dropped, and so is one of a node that this store does not have.
    pub fn journal(
        &mut self,
        session: SessionNumber,
        node: NodeAddr,
        part: JournalPart,
        now: Timestamp,
    ) -> Turn<()> {
        let enrolled = |fleet: &Self| {
            let entry = fleet.nodes.get(&node);
            entry.is_some_and(|entry| entry.row.enrolment.is_some())
        };
        if self.hear(session, node, now) && enrolled(self) {
            self.take_part(node, part, now);
        }
        self.turn(())
    }

    fn take_part(&mut self, node: NodeAddr, part: JournalPart, now: Timestamp) {
        let Some(entry) = self.nodes.get_mut(&node) else {
            return;
        };
        let known = entry.row.journal.clone();
        let before = known
            .filter(|known| known.name == part.journal)
            .map_or(0, |known| known.kept);
        let fresh = fresh(part.entries, before);
        let kept = fresh.last().map_or(before, |entry| entry.sequence);
        if kept > before {
            entry.row.journal = Some(Journal {
                name: part.journal.clone(),
                kept,
            });
            self.write(Key::Node(node));
        }
        for entry in fresh {
            if is_an_agents(entry.event.kind) {
                let event = self.believed(node, entry.event);
                self.count_event(&event);
                self.keep(event, now);
            }
        }
        self.send(
            node,
            ToAgent::EventsKept {
                journal: part.journal,
                sequence: kept,
            },
        );
    }

    /// An agent speaks of its own node and its own server, and for nobody else.
    fn believed(&self, node: NodeAddr, event: Event) -> Event {
        let is_its = |id: &_| {
            let operation = self.operations.get(id);
            operation.is_some_and(|operation| operation.target(node).is_some())
        };
        let server = self.nodes.get(&node).and_then(Node::server);
        let server = server.filter(|server| event.name.as_ref() == Some(&server.name));
        Event {
            node: Some(node),
            name: server.map(|server| server.name.clone()),
            role: server.map(|server| server.role.clone()),
            operation: event.operation.filter(is_its),
            by: String::new(),
            ..event
        }
    }
}

/// The entries that are new, up to the first one that is out of order.
fn fresh(entries: Vec<JournalEntry>, before: u64) -> Vec<JournalEntry> {
    let mut last = 0;
    let in_order = entries.into_iter().take_while(|entry| {
        let follows = entry.sequence > last;
        last = entry.sequence;
        follows
    });
    in_order.filter(|entry| entry.sequence > before).collect()
}

/// What an agent can have seen. The rest is the controller's to tell.
fn is_an_agents(kind: EventKind) -> bool {
    match kind {
        EventKind::Health
        | EventKind::Crash
        | EventKind::Restart
        | EventKind::Quarantine
        | EventKind::DockerRestart
        | EventKind::Docker
        | EventKind::Agent
        | EventKind::Warning => true,
        EventKind::Node
        | EventKind::Operation
        | EventKind::Controller
        | EventKind::Access
        | EventKind::Portal
        | EventKind::Whitelist
        | EventKind::Breaker
        | EventKind::Alert => false,
    }
}
