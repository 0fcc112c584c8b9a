//! The state of the fleet, and the small moves that all of its decisions are made of.
//!
//! The decisions themselves stand in the modules beside this one, each an `impl Fleet` of its own.
//! A public method gathers its writes and effects in the draft and ends with [`Fleet::turn`].

use std::collections::{BTreeMap, BTreeSet, HashMap};

use jiff::Timestamp;

use extend_common::event::Event;
use extend_common::ids::{NodeAddr, OperationId, RequestId};
use extend_common::operation::Operation;
use extend_common::record::{Desired, RecordId, ServerRecord, Stamp};

use super::archive::Moving;
use super::breaker::Breaker;
use super::event::Events;
use super::history::Keeping;
use super::key::Key;
use super::node::Node;
use super::operation::OperationEntry;
use super::outside::{Outside, Site};
use super::presence::Comings;
use super::refusal::{Refusal, Unfound};
use super::request::{SessionNumber, ToAgent};
use super::row::{Mark, TokenRow};
use super::settings::Settings;
use super::turn::{CloseReason, Draft, Effect, Turn};
use super::view::OperationFilter;
use crate::store::StoreId;

/// Up to so many targets, showing a whole operation costs next to nothing.
const SMALL: usize = 100;

/// Everything the controller knows.
#[derive(Debug)]
pub struct Fleet {
    pub(super) settings: Settings,
    pub(super) store: StoreId,
    pub(super) epoch: u64,
    pub(super) nodes: BTreeMap<NodeAddr, Node>,
    pub(super) operations: BTreeMap<OperationId, OperationEntry>,
    pub(super) requests: HashMap<RequestId, OperationId>,
    pub(super) tokens: BTreeMap<NodeAddr, TokenRow>,
    /// Set while the agents' door admits nodes that the store does not have.
    pub(super) recovering: Option<Mark>,
    pub(super) removed: BTreeMap<NodeAddr, Mark>,
    /// Operations with targets that could begin and have not yet, to keep turns small.
    pub(super) backlog: BTreeSet<OperationId>,
    /// Operations that wait for time, or for the health of servers that are none of their targets.
    pub(super) paced: BTreeSet<OperationId>,
    /// How many operations have ended.
    pub(super) ended: usize,
    /// The one that is on its way into the archive.
    pub(super) moving: Option<Moving>,
    pub(super) last_session: u64,
    pub(super) started: Timestamp,
    /// Whether agents have had the time to come back since the start.
    pub(super) warm: bool,
    pub(super) ticked: Timestamp,
    /// When the passing of time alone changes the door; none when that has to be found out.
    pub(super) door_changes: Option<Timestamp>,
    pub(super) events: Events,
    /// An event that is written with the next thing that is.
    pub(super) unsaid: Option<Event>,
    pub(super) comings: Comings,
    pub(super) outside: Outside,
    /// Which histories are looked after next.
    pub(super) keeping: Keeping,
    pub(super) alerts: super::alerts::Alerts,
    pub(super) breaker: Breaker,
    pub(super) draft: Draft,
}

impl Fleet {
    /// The value of a row as it is now; none when there is no such row.
    pub fn value(&self, key: &Key) -> Option<Vec<u8>> {
        fn json(row: &impl serde::Serialize) -> Option<Vec<u8>> {
            // Plain data to memory cannot fail.
            serde_json::to_vec(row).ok()
        }
        match key {
            Key::Node(node) => {
                let row = &self.nodes.get(node)?.row;
                row.enrolment.as_ref().and_then(|_| json(row))
            }
            Key::Operation(id) => json(&self.operations.get(id)?.row),
            Key::Target(id, node) => json(self.operations.get(id)?.target(*node)?),
            Key::Token(node) => json(self.tokens.get(node)?),
            Key::Recovering => json(self.recovering.as_ref()?),
            Key::Removed(node) => json(self.removed.get(node)?),
            Key::Away(node) => json(self.nodes.get(node)?.away.as_ref()?),
            Key::Event(sequence) => json(self.events.get(*sequence)?),
            Key::Outside(node) => json(self.outside.rows.get(node)?),
            Key::History(node) => self.nodes.get(node)?.history.row(),
            Key::Alert(id) => json(self.alerts.rows.get(id)?),
            Key::Notice(number) => json(&**self.alerts.notices.get(number)?),
            Key::Silence(id) => json(self.alerts.silences.get(id)?),
            Key::AlertCounter => json(&self.alerts.counter),
        }
    }

    /// An operation as operators see it.
    pub fn operation(&self, id: OperationId) -> Option<Operation> {
        self.operations.get(&id).map(OperationEntry::operation)
    }

    /// Whether an operation has to be shown at once whenever it changes: it is small, or it has
    /// just ended. The whole of a large one is shown now and then.
    pub fn is_shown_at_once(&self, id: OperationId) -> bool {
        let entry = self.operations.get(&id);
        entry.is_none_or(|entry| entry.row.ended.is_some() || entry.targets().len() <= SMALL)
    }

    /// The operation that a text means: its id or an unambiguous ending of it.
    ///
    /// # Errors
    /// When there is none, or more than one.
    pub fn find_operation(&self, text: &str) -> Result<OperationId, Refusal> {
        let wanted = text.trim().to_ascii_uppercase();
        if wanted.is_empty() {
            return Err(Unfound::NoSuchOperation {
                text: text.to_owned(),
            }
            .into());
        }
        let ids: Vec<_> = self
            .operations
            .keys()
            .copied()
            .filter(|id| id.to_string().ends_with(&wanted))
            .collect();
        match ids.as_slice() {
            [] => Err(Unfound::NoSuchOperation {
                text: text.to_owned(),
            }
            .into()),
            [only] => Ok(*only),
            _ => Err(Unfound::AmbiguousOperation {
                text: text.to_owned(),
                ids,
            }
            .into()),
        }
    }

    /// The newest operations in memory first.
    pub fn newest(&self, limit: usize, open_only: bool) -> Vec<Operation> {
        self.list(&OperationFilter {
            limit,
            open_only,
            ..OperationFilter::default()
        })
    }

    /// The newest operations in memory that a filter means, the newest first.
    pub fn list(&self, filter: &OperationFilter) -> Vec<Operation> {
        self.operations
            .values()
            .rev()
            .filter(|entry| !filter.open_only || entry.row.ended.is_none())
            .filter(|entry| filter.means_one(&entry.row.by, entry.row.begun))
            .take(filter.limit)
            .map(OperationEntry::operation)
            .collect()
    }

    /// The number of the session that was opened last; a successor of this memory goes on from it.
    pub fn last_session(&self) -> u64 {
        self.last_session
    }

    /// Ends a turn.
    pub(super) fn turn<T>(&mut self, answer: T) -> Turn<T> {
        if !self.draft.writes.is_empty()
            && let Some(event) = self.unsaid.take()
        {
            self.note(event);
        }
        let Draft {
            writes,
            archived,
            effects,
        } = std::mem::take(&mut self.draft);
        Turn {
            answer,
            writes,
            archived,
            effects,
        }
    }

    pub(super) fn write(&mut self, key: Key) {
        self.draft.writes.insert(key);
    }

    /// Says something to a connected agent.
    pub(super) fn send(&mut self, node: NodeAddr, message: ToAgent) {
        let session = self.nodes.get(&node).and_then(|node| node.session.as_ref());
        if let Some(session) = session.map(|session| session.number) {
            self.draft.effects.push(Effect::Send {
                node,
                session,
                message,
            });
        }
    }

    /// Ends a node's session.
    pub(super) fn close(&mut self, node: NodeAddr, reason: CloseReason) {
        let Some(entry) = self.nodes.get_mut(&node) else {
            return;
        };
        if let Some(session) = entry.session.take() {
            entry.fresh = false;
            let session = session.number;
            self.draft.effects.push(Effect::Close {
                node,
                session,
                reason,
            });
        }
    }

    /// Gives the node's server a new record and, if the agent is there, sends it.
    pub(super) fn commit_record(
        &mut self,
        node: NodeAddr,
        desired: Desired,
        now: Timestamp,
    ) -> Option<RecordId> {
        let epoch = self.epoch;
        let before = self.present(node);
        let after = Site::of(&desired);
        let entry = self.nodes.get_mut(&node)?;
        let stamp = Stamp {
            epoch,
            generation: entry.row.next_generation(),
        };
        let record = ServerRecord::seal(stamp, desired);
        let id = record.id;
        entry.row.replace_record(record);
        self.write(Key::Node(node));
        self.outside_moves(node, before.as_ref(), Some(&after), now);
        self.assign(node, false);
        Some(id)
    }

    /// Sends the node's present record, if there is one and the agent may have it.
    pub(super) fn assign(&mut self, node: NodeAddr, recovered: bool) {
        let Some(entry) = self.nodes.get(&node).filter(|entry| entry.is_commandable()) else {
            return;
        };
        if let Some(record) = entry.row.record.clone().map(Box::new) {
            self.send(node, ToAgent::Assignment { record, recovered });
        }
    }

    /// Opens the next session number.
    pub(super) fn next_session(&mut self) -> SessionNumber {
        self.last_session = self.last_session.saturating_add(1);
        SessionNumber(self.last_session)
    }
}
