//! `recover`: taking the records of nodes that are ahead back from their own ledgers.
//!
//! Two steps with the store's epoch between them: [`Fleet::epoch_to_recover`] says how high it has
//! to be, the engine raises it, and [`Fleet::recover`] commits the records under it.

use jiff::Timestamp;

use extend_common::event::{Event, EventKind};
use extend_common::ids::NodeAddr;
use extend_common::operation::TargetState;
use extend_common::record::{Desired, Drain, ServerRecord, Stamp};

use super::advance::End;
use super::begin::settled;
use super::event::own;
use super::fleet::Fleet;
use super::key::Key;
use super::node::Node;
use super::outside::Site;
use super::request::Recovered;
use super::turn::{CloseReason, Turn};

/// No store that has really run is so far ahead: a node that says so is not believed. Counters
/// have an end, and no single node may drive the fleet near it.
const MOST_PLAUSIBLE: u64 = 1 << 48;
/// So many nodes that were taken back have an event of their own.
const ONE_BY_ONE: usize = 10;

impl Fleet {
    /// The epoch that the store must have at least, for the chosen nodes' records to be taken
    /// back; none when nothing is to be taken back and the epoch stays.
    pub fn epoch_to_recover(&self, nodes: &[NodeAddr]) -> Option<u64> {
        let chosen = self.chosen(nodes);
        let epochs = chosen.iter().filter_map(|node| {
            let hello = &self.nodes.get(node)?.session.as_ref()?.hello;
            let held = hello
                .record
                .as_ref()
                .map_or(0, |record| record.id.stamp.epoch);
            Some(hello.epoch.max(held)).filter(|epoch| *epoch <= MOST_PLAUSIBLE)
        });
        epochs
            .max()
            .map(|highest| highest.max(self.epoch).saturating_add(1))
    }

    /// Takes the chosen nodes' records back: the named ones, or all that are ahead. `epoch` is the
    /// store's, raised for this; `finish` closes the door to nodes that the store does not have.
    pub fn recover(
        &mut self,
        nodes: &[NodeAddr],
        finish: bool,
        (epoch, by): (u64, &str),
        now: Timestamp,
    ) -> Turn<Recovered> {
        let raised = epoch > self.epoch;
        self.epoch = epoch;
        let mut recovered = Recovered::default();
        for node in nodes {
            if self.nodes.get(node).and_then(Node::ahead).is_none() {
                recovered.notes.push(self.why_not(*node));
            }
        }
        for node in self.chosen(nodes) {
            match self.take_back(node, now) {
                Ok(notes) => {
                    let view = self.node_view(node, now).map(|view| (view, notes));
                    recovered.nodes.extend(view);
                }
                Err(note) => recovered.notes.push(note),
            }
        }
        self.tell_recovered(&recovered, by, now);
        if raised {
            let taken: Vec<_> = recovered.nodes.iter().map(|(view, _)| view.node).collect();
            self.welcome_again(&taken, now);
        }
        if finish {
            self.finish(&mut recovered, by, now);
        }
        self.turn(recovered)
    }

    fn tell_recovered(&mut self, recovered: &Recovered, by: &str, now: Timestamp) {
        let nodes: Vec<_> = recovered.nodes.iter().map(|(view, _)| view.node).collect();
        for node in nodes.iter().take(ONE_BY_ONE) {
            let text = format!("{by} took the record of node {node} back from its ledger");
            self.note_by(*node, by, own(EventKind::Node, now, text));
        }
        if let more @ 1.. = nodes.len().saturating_sub(ONE_BY_ONE) {
            let text = format!("{by} took the records of {more} nodes more back");
            let by = by.to_owned();
            self.note(Event {
                by,
                ..own(EventKind::Node, now, text)
            });
        }
    }

    fn chosen(&self, nodes: &[NodeAddr]) -> Vec<NodeAddr> {
        let ahead = self
            .nodes
            .iter()
            .filter(|(_, entry)| entry.ahead().is_some());
        ahead
            .map(|(node, _)| *node)
            .filter(|n| nodes.is_empty() || nodes.contains(n))
            .collect()
    }

    fn why_not(&self, node: NodeAddr) -> String {
        match self.nodes.get(&node) {
            Some(entry) if entry.session.is_some() => {
                format!("{node} is not ahead: nothing has to be taken back from it")
            }
            _ => format!("{node} is not connected: what it holds is not known"),
        }
    }

    /// Takes one node's record back.
    fn take_back(&mut self, node: NodeAddr, now: Timestamp) -> Result<Vec<String>, String> {
        let session = self
            .nodes
            .get(&node)
            .and_then(|entry| entry.session.as_ref());
        let Some(session) = session else {
            return Err(self.why_not(node));
        };
        let (facts, hello) = (session.facts, session.hello.clone());
        let held = hello.record;
        self.may_take_back(node, hello.epoch, held.as_ref())?;
        let mut notes = Vec::new();
        let is_new = self
            .nodes
            .get(&node)
            .is_none_or(|entry| entry.row.enrolment.is_none());
        if is_new {
            self.enrol(node, facts, now);
            notes.push("enrolled with the key of its certificate".to_owned());
        }
        self.give_up_target(node, now);
        if let Some(entry) = self.nodes.get_mut(&node) {
            // Told by name, with who did it.
            entry.said_ahead = false;
        }
        let has_record = held.is_some();
        match held {
            Some(held) => notes.push(self.seal_again(node, held, now)),
            None => notes.push("it holds no record".to_owned()),
        }
        if let Some(session) = self
            .nodes
            .get_mut(&node)
            .and_then(|entry| entry.session.as_mut())
        {
            session.ahead = None;
        }
        self.welcome(node);
        self.assign(node, has_record);
        Ok(notes)
    }

    /// What a ledger says is believed about its own node and nothing else.
    fn may_take_back(
        &self,
        node: NodeAddr,
        epoch: u64,
        held: Option<&ServerRecord>,
    ) -> Result<(), String> {
        let highest = held.map_or(0, |held| held.id.stamp.epoch.max(held.id.stamp.generation));
        if epoch.max(highest) > MOST_PLAUSIBLE {
            return Err(format!(
                "{node} names an epoch or generation that no store can have reached"
            ));
        }
        let Some(desired) = held.map(|held| &held.desired) else {
            return Ok(());
        };
        if desired.node != node {
            return Err(format!(
                "{node} holds the record of another node, {}",
                desired.node
            ));
        }
        let others = self.nodes.iter().filter(|(other, _)| **other != node);
        let same = others.filter_map(|(_, other)| other.intended());
        match same
            .filter(|_| !desired.run_state.is_tombstone())
            .find(|o| o.name == desired.name)
        {
            Some(other) => Err(format!(
                "{node} holds a record of {}, and that is the name of the server at {}",
                desired.name, other.node
            )),
            None => Ok(()),
        }
    }

    /// Makes the held record the node's own, at the next generation of both sides.
    fn seal_again(&mut self, node: NodeAddr, held: ServerRecord, now: Timestamp) -> String {
        let epoch = self.epoch;
        let before = self.present(node);
        let after = Site::of(&held.desired);
        let Some(entry) = self.nodes.get_mut(&node) else {
            return String::new();
        };
        let generation = entry
            .row
            .next_generation()
            .max(held.id.stamp.generation.saturating_add(1));
        entry.row.held = Some(held.id);
        entry.row.chain.push(held.id);
        let note = format!(
            "{} ({}, {}) was taken back from record {}",
            held.desired.name,
            held.desired.role,
            run_state(held.desired.run_state),
            held.id.stamp
        );
        entry.row.replace_record(ServerRecord::seal(
            Stamp { epoch, generation },
            taken_back(&held.desired),
        ));
        self.write(Key::Node(node));
        // What was noted to have left it has come back.
        if self.outside.rows.contains_key(&node) {
            self.change_outside(node, |row| {
                row.left
                    .retain(|left| (&left.name, &left.role) != (&after.name, &after.role));
            });
        }
        self.outside_moves(node, before.as_ref(), Some(&after), now);
        self.outside_changed();
        note
    }

    /// An operation of an older state of this store may hold the server: it speaks of a record
    /// that is no longer the node's.
    fn give_up_target(&mut self, node: NodeAddr, now: Timestamp) {
        let wanted_by = self.nodes.get(&node).map(|entry| entry.wanted_by.clone());
        for id in wanted_by.unwrap_or_default() {
            let reason = "the node's record was taken back from its ledger";
            self.end(id, node, End::new(TargetState::Failed, reason), now);
        }
    }

    /// Tells every other session the raised epoch. A node that was ahead only by its epoch is so
    /// no longer.
    fn welcome_again(&mut self, taken: &[NodeAddr], now: Timestamp) {
        let others: Vec<_> = self
            .nodes
            .iter()
            .filter(|(node, entry)| entry.session.is_some() && !taken.contains(node))
            .map(|(node, entry)| (*node, entry.ahead().is_some(), entry.status.clone()))
            .collect();
        for (node, was_ahead, status) in others {
            if was_ahead {
                self.greet(node, status, now);
            } else {
                self.welcome(node);
            }
        }
    }

    fn finish(&mut self, recovered: &mut Recovered, by: &str, now: Timestamp) {
        if self.recovering.take().is_none() {
            recovered
                .notes
                .push("the door was closed already".to_owned());
            return;
        }
        self.write(Key::Recovering);
        let text = format!("{by} closed the door to nodes that the store does not have");
        self.note(Event {
            by: by.to_owned(),
            ..own(EventKind::Controller, now, text)
        });
        for node in std::mem::take(&mut self.removed).into_keys() {
            self.write(Key::Removed(node));
        }
        let strangers: Vec<_> = self
            .nodes
            .iter()
            .filter(|(_, entry)| entry.row.enrolment.is_none())
            .map(|(node, _)| *node)
            .collect();
        for node in strangers {
            recovered
                .notes
                .push(format!("{node} was not taken back: it has to join again"));
            self.close(node, CloseReason::NotInStore);
            self.drop_stranger(node);
        }
        self.door_changed();
    }
}

fn run_state(state: extend_common::record::RunState) -> &'static str {
    use extend_common::record::RunState;
    match state {
        RunState::Running => "running",
        RunState::Stopped => "stopped",
        RunState::Removed => "removed",
        RunState::Withdrawn => "withdrawn",
    }
}

/// What it was in the middle of belonged to an operation that is gone; but a process that was to be
/// ended only without sessions is not ended with some.
fn taken_back(held: &Desired) -> Desired {
    let drain = match held.drain {
        first @ Drain::First { .. } => first,
        Drain::Hold { .. } | Drain::Off => Drain::Off,
    };
    Desired {
        drain,
        ..settled(held)
    }
}
