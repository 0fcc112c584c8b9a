//! Batches: what several turns lead to, committed at once and released when the commit returns.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::Arc;

use tokio::sync::{oneshot, watch};

use extend_common::clock::Clock;
use extend_common::ids::OperationId;
use extend_common::operation::Operation;

use super::EngineError;
use super::command::Reply;
use super::crash::InputKind;
use super::outside::Wanted;
use super::watch::Watchers;
use crate::core::view::DoorSets;
use crate::core::{ArchiveKey, Effect, Fleet, Key, Turn};
use crate::store::{Batch, Epoch, Expect, Revision, Write};

/// A batch that has so many rows takes no more turns until it is committed. Far below the store's
/// bound: one more turn may begin an operation on ten thousand servers, and rows with evidence are
/// tens of kilobytes each.
const FULL: usize = 500;

/// A batch with so many answers waiting takes no more turns: questions write nothing, and would
/// otherwise gather without end behind a slow disk.
const MOST_ANSWERS: usize = 4_096;

/// A row to be committed, with its value; none is to be deleted.
pub(super) type Row = (Key, Option<Vec<u8>>);

/// A row of the archive to be committed, in the same form.
type ArchiveRow = (ArchiveKey, Option<Vec<u8>>);

/// The rows of one commit.
#[derive(Default)]
pub(super) struct Rows {
    /// What the memory holds.
    pub(super) live: Vec<Row>,
    /// What it does not.
    archive: Vec<ArchiveRow>,
}

impl Rows {
    pub(super) fn is_empty(&self) -> bool {
        self.live.is_empty() && self.archive.is_empty()
    }
}

/// An answer that waits for the commit: called with the failure, or without one.
type Answer = Box<dyn FnOnce(Option<&EngineError>) + Send + Sync>;

/// Somebody who wants to watch an operation as it is after the batch.
type Subscriber = (OperationId, Reply<watch::Receiver<Arc<Operation>>>);

/// Turns that are committed together.
#[derive(Default)]
pub(super) struct Gathering {
    pub(super) kinds: BTreeSet<InputKind>,
    writes: BTreeSet<Key>,
    archive: BTreeMap<ArchiveKey, Option<Vec<u8>>>,
    effects: Vec<Effect>,
    answers: Vec<Answer>,
    subscribers: Vec<Subscriber>,
}

impl Gathering {
    /// Takes a turn in and returns its answer.
    pub(super) fn add<T>(&mut self, kind: InputKind, turn: Turn<T>) -> T {
        self.kinds.insert(kind);
        self.writes.extend(turn.writes);
        let archived = turn.archived.into_iter();
        self.archive
            .extend(archived.map(|(key, value)| (key, Some(value))));
        self.effects.extend(turn.effects);
        turn.answer
    }

    /// Takes an answer in.
    pub(super) fn answer<T: Send + Sync + 'static>(
        &mut self,
        reply: Reply<T>,
        answer: Result<T, EngineError>,
    ) {
        self.answers.push(Box::new(move |failure| {
            send(
                reply,
                failure.map_or(answer, |failure| Err(failure.clone())),
            );
        }));
    }

    /// Takes in that rows of the archive are to be deleted.
    pub(super) fn prune(&mut self, keys: Vec<ArchiveKey>) {
        self.kinds.insert(InputKind::Prune);
        self.archive.extend(keys.into_iter().map(|key| (key, None)));
    }

    pub(super) fn subscribe(&mut self, subscriber: Subscriber) {
        self.subscribers.push(subscriber);
    }

    pub(super) fn is_empty(&self) -> bool {
        self.kinds.is_empty() && self.answers.is_empty() && self.subscribers.is_empty()
    }

    pub(super) fn is_full(&self) -> bool {
        let answers = self.answers.len() + self.subscribers.len();
        let rows = self.writes.len() + self.archive.len();
        rows >= FULL || answers >= MOST_ANSWERS || self.effects.len() >= MOST_ANSWERS
    }

    /// Tells everybody who waits that it failed.
    pub(super) fn fail(self, failure: &EngineError) {
        for answer in self.answers {
            answer(Some(failure));
        }
        for (_, reply) in self.subscribers {
            send(reply, Err(failure.clone()));
        }
    }

    /// Takes the pictures that the release will show: later turns change the memory.
    pub(super) fn seal(
        self,
        fleet: &Fleet,
        clock: &Clock,
        watchers: &mut Watchers,
    ) -> (Rows, Sealed) {
        let live = self.writes.iter().map(|key| (*key, fleet.value(key)));
        let rows = Rows {
            live: live.collect(),
            archive: self.archive.into_iter().collect(),
        };
        let changed: BTreeSet<_> = self.effects.iter().filter_map(Effect::changed).collect();
        let shown = changed
            .into_iter()
            .filter(|id| watchers.wants(*id, fleet.is_shown_at_once(*id)));
        let asked_for = self.subscribers.iter().map(|(id, _)| *id);
        let pictures: BTreeMap<_, _> = shown
            .chain(asked_for)
            .filter_map(|id| Some((id, Arc::new(fleet.operation(id)?))))
            .collect();
        let door = self
            .effects
            .contains(&Effect::Door)
            .then(|| fleet.door(clock.now()));
        let outside = self
            .effects
            .contains(&Effect::Outside)
            .then(|| Wanted::of(fleet));
        let sealed = Sealed {
            kinds: self.kinds,
            door,
            outside,
            last_event: fleet.last_event(),
            pictures,
            effects: self.effects,
            answers: self.answers,
            subscribers: self.subscribers,
        };
        (rows, sealed)
    }
}

/// A batch on its way: what happens when its commit returns.
pub(super) struct Sealed {
    pub(super) kinds: BTreeSet<InputKind>,
    pub(super) door: Option<DoorSets>,
    pub(super) outside: Option<Wanted>,
    pub(super) last_event: u64,
    pub(super) pictures: BTreeMap<OperationId, Arc<Operation>>,
    pub(super) effects: Vec<Effect>,
    pub(super) answers: Vec<Answer>,
    pub(super) subscribers: Vec<Subscriber>,
}

impl Sealed {
    /// Tells everybody who waits that it failed.
    pub(super) fn fail(self, failure: &EngineError) {
        for answer in self.answers {
            answer(Some(failure));
        }
        for (_, reply) in self.subscribers {
            send(reply, Err(failure.clone()));
        }
    }
}

/// Whoever asked may be gone: then nobody is told.
pub(super) fn send<T>(reply: oneshot::Sender<T>, value: T) {
    let _ = reply.send(value);
}

/// The revisions of our rows, so that a commit can say what it expects to find.
#[derive(Debug, Default)]
pub(super) struct Revisions(HashMap<Key, Revision>);

impl Revisions {
    pub(super) fn note(&mut self, key: Key, revision: Revision) {
        self.0.insert(key, revision);
    }

    /// The batch for the store. A row that neither was nor is to be there needs no write.
    pub(super) fn batch(&self, fence: Epoch, rows: Rows) -> Batch {
        let mut batch = Batch::new(fence);
        let live =
            rows.live
                .into_iter()
                .filter_map(|(key, value)| match (self.0.get(&key), value) {
                    (Some(at), Some(value)) => {
                        Some(Write::put(key.to_string(), Expect::At(*at), value))
                    }
                    (None, Some(value)) => Some(Write::put(key.to_string(), Expect::Absent, value)),
                    (Some(at), None) => Some(Write::delete(key.to_string(), Expect::At(*at))),
                    (None, None) => None,
                });
        // Whatever is there: a row of the archive is written once, and once more only when nobody
        // knows whether it was. Nothing that is decided rests on it.
        let archive = rows.archive.into_iter().map(|(key, value)| match value {
            Some(value) => Write::put(key.to_string(), Expect::Any, value),
            None => Write::delete(key.to_string(), Expect::Any),
        });
        batch.writes = live.chain(archive).collect();
        batch
    }

    /// Notes what a commit has made of the rows.
    pub(super) fn committed(&mut self, keys: Vec<(Key, bool)>, revision: Revision) {
        for (key, is_there) in keys {
            if is_there {
                self.0.insert(key, revision);
            } else {
                self.0.remove(&key);
            }
        }
    }
}
