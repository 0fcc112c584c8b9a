//! From the rows of the store to the fleet in memory.
//!
//! A row that cannot be read stops the controller: what it says may be the only reason why a
//! server runs, and guessing is worse than standing still. Rows of which nothing that runs depends
//! (alerts, histories) go instead.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use jiff::Timestamp;
use serde::de::DeserializeOwned;

use extend_common::event::{EventKind, StoredEvent};
use extend_common::ids::{NodeAddr, OperationId};
use extend_common::operation::TargetState;

use super::breaker::Breaker;
use super::event::{Events, own};
use super::fleet::Fleet;
use super::history::{History, Keeping};
use super::key::Key;
use super::node::Node;
use super::operation::OperationEntry;
use super::outside::Outside;
use super::presence::Comings;
use super::row::{Away, OperationRow, TargetRow};
use super::settings::Settings;
use super::turn::Draft;
use crate::store::StoreId;

/// What the keys of the memory begin with, up to their first `/`. Whoever loads the store reads
/// these and nothing else: the archive is not for the memory.
pub const PREFIXES: [&str; 12] = [
    "node", "op", "token", "meta", "removed", "away", "event", "outside", "alert", "notice",
    "silence", "history",
];

/// What a fleet is made from beside its rows.
#[derive(Debug, Clone)]
pub struct Loading {
    /// What the administrator has decided.
    pub settings: Settings,
    /// The identity of the store.
    pub store: StoreId,
    /// The epoch that was raised for this memory.
    pub epoch: u64,
    /// The number of the last session that a memory before this one has opened.
    pub last_session: u64,
}

/// A row that cannot be read.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("read the row {key} of the store: {problem}")]
pub struct LoadError {
    /// Which.
    pub key: String,
    /// What is wrong.
    pub problem: String,
}

impl Fleet {
    /// Rebuilds the memory from the store's rows. Open operations go on.
    ///
    /// # Errors
    /// When a row of ours cannot be read. Rows under other prefixes are not ours.
    pub fn load<'a>(
        loading: Loading,
        rows: impl IntoIterator<Item = (&'a str, &'a [u8])>,
        now: Timestamp,
    ) -> Result<Self, LoadError> {
        let mut fleet = Self::empty(loading, now);
        let mut headers: BTreeMap<OperationId, OperationRow> = BTreeMap::new();
        let mut targets: BTreeMap<OperationId, Vec<TargetRow>> = BTreeMap::new();
        let mut away: Vec<(NodeAddr, Away)> = Vec::new();
        let mut histories = Vec::new();
        let mut unreadable = Vec::new();
        for (text, value) in rows {
            let prefix = text.split('/').next().unwrap_or_default();
            if !PREFIXES.contains(&prefix) {
                continue;
            }
            let key: Key = text.parse().map_err(|error| damaged(text, error))?;
            match key {
                Key::Node(node) => {
                    let row = read(text, value)?;
                    fleet.nodes.insert(
                        node,
                        Node {
                            row,
                            ..Node::default()
                        },
                    );
                }
                Key::Operation(id) => drop(headers.insert(id, read(text, value)?)),
                Key::Target(id, _) => targets.entry(id).or_default().push(read(text, value)?),
                Key::Token(node) => drop(fleet.tokens.insert(node, read(text, value)?)),
                Key::Recovering => fleet.recovering = Some(read(text, value)?),
                Key::Removed(node) => drop(fleet.removed.insert(node, read(text, value)?)),
                Key::Away(node) => away.push((node, read(text, value)?)),
                Key::History(node) => histories.push((node, History::read(value).ok())),
                Key::AlertCounter | Key::Alert(_) | Key::Notice(_) | Key::Silence(_) => {
                    if let Err(problem) = fleet.alerts.load(key, value) {
                        unreadable.push((key, problem));
                    }
                }
                Key::Outside(node) => {
                    drop(fleet.outside.rows.insert(node, read(text, value)?));
                }
                Key::Event(sequence) => {
                    let stored: StoredEvent = read(text, value)?;
                    if stored.sequence != sequence {
                        return Err(damaged(text, "it bears another number"));
                    }
                    fleet.events.load(stored);
                }
            }
        }
        if let Some(id) = targets.keys().find(|id| !headers.contains_key(id)) {
            return Err(damaged(&Key::Operation(*id).to_string(), "it is missing"));
        }
        for (id, row) in headers {
            fleet.adopt(OperationEntry::new(
                row,
                targets.remove(&id).unwrap_or_default(),
            ));
        }
        fleet.expect_nodes(away);
        fleet.load_histories(histories);
        fleet.drop_unreadable(&unreadable, now);
        Ok(fleet)
    }

    /// Nodes that were here when the store was last written have the time of the warm-up to come
    /// back.
    fn expect_nodes(&mut self, away: Vec<(NodeAddr, Away)>) {
        for (node, row) in away {
            if let Some(entry) = self.nodes.get_mut(&node) {
                entry.away = Some(row);
            }
        }
        for entry in self.nodes.values_mut() {
            entry.expected = entry.away.is_none() && entry.revoked().is_none();
        }
    }

    fn empty(loading: Loading, now: Timestamp) -> Self {
        Self {
            store: loading.store,
            epoch: loading.epoch,
            nodes: BTreeMap::new(),
            operations: BTreeMap::new(),
            requests: HashMap::new(),
            tokens: BTreeMap::new(),
            recovering: None,
            removed: BTreeMap::new(),
            backlog: BTreeSet::new(),
            paced: BTreeSet::new(),
            ended: 0,
            moving: None,
            last_session: loading.last_session,
            started: now,
            warm: false,
            ticked: now,
            door_changes: None,
            events: Events::new(loading.settings.kept.events),
            unsaid: None,
            settings: loading.settings,
            comings: Comings::default(),
            outside: Outside::default(),
            keeping: Keeping::default(),
            alerts: super::alerts::Alerts::default(),
            breaker: Breaker::default(),
            draft: Draft::default(),
        }
    }

    /// Takes an operation into the memory with everything that points to it.
    fn adopt(&mut self, entry: OperationEntry) {
        let id = entry.row.id;
        for row in entry.targets() {
            let target = &row.target;
            let Some(node) = self.nodes.get_mut(&target.node) else {
                continue;
            };
            if !target.state.has_ended() {
                // At most one of several has begun, and it is the one that holds the server.
                match target.stamp.is_some() || row.gate.is_some() {
                    true => node.wanted_by.insert(0, id),
                    false => node.wanted_by.push(id),
                }
                if row.gate.is_some() {
                    self.outside.gated.insert(id);
                }
            } else if let Some(stamp) = target.stamp
                && matches!(target.state, TargetState::TimedOut | TargetState::Cancelled)
                && target.late.is_empty()
            {
                node.note_untold(stamp, id);
            }
        }
        if entry.row.ended.is_some() {
            self.ended += 1;
        } else {
            self.backlog.insert(id);
        }
        self.requests.insert(entry.row.request, id);
        self.operations.insert(id, entry);
    }

    /// Notes that the store is new beside an older authority; committed with the returned turn.
    pub fn begin_recovering(&mut self, now: Timestamp) -> super::Turn<()> {
        if self.recovering.is_none() {
            self.recovering = Some(super::row::Mark {
                at: now,
                by: "the controller".to_owned(),
            });
            self.write(Key::Recovering);
            self.door_changed();
            let text = "the store is newer than the certificate authority: nodes that it does not \
                        have are let in, to be taken back";
            self.note(own(EventKind::Controller, now, text));
        }
        self.turn(())
    }
}

fn read<T: DeserializeOwned>(key: &str, value: &[u8]) -> Result<T, LoadError> {
    serde_json::from_slice(value).map_err(|error| damaged(key, error))
}

fn damaged(key: &str, problem: impl std::fmt::Display) -> LoadError {
    LoadError {
        key: key.to_owned(),
        problem: problem.to_string(),
    }
}
