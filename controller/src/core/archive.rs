//! What has left the memory and is kept all the same, for an audit: ended operations, and the
//! events that tell who did what. Rows of their own, which no start loads.
//!
//! Owns the keys of the archive, the form of its rows, what goes there and when it is too old.
//! They are read by the engine's handle, a page at a time, and never changed: only dropped.

use std::fmt;
use std::str::FromStr;
use std::time::Duration;

use jiff::Timestamp;
use serde::Deserialize;
use ulid::Ulid;

use extend_common::clock::before;
use extend_common::event::{Event, EventKind, StoredEvent};
use extend_common::ids::{NodeAddr, OperationId};
use extend_common::operation::{Operation, Target};

use super::fleet::Fleet;
use super::key::{Key, KeyError, SEQUENCE_DIGITS};
use super::refusal::{Refusal, Unfound};

/// So many rows go to the archive in one turn. An operation on thousands of servers goes in
/// several, so that a turn stays far below what the store takes at once.
const STEP: usize = 250;

/// So long an ended operation stays in memory at least, for those who watch its end.
const STAY: Duration = Duration::from_secs(60);

/// Names one row of the archive.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum ArchiveKey {
    /// An ended operation without its targets.
    Operation(OperationId),
    /// One target. Not under its operation's key: lists read operations and pass over these.
    Target(OperationId, NodeAddr),
    /// An event, by its number.
    Event(u64),
}

impl ArchiveKey {
    /// What the keys of operations begin with.
    pub const OPERATIONS: &'static str = "archive/op/";
    /// What the keys of targets begin with.
    pub const TARGETS: &'static str = "archive/target/";
    /// What the keys of events begin with.
    pub const EVENTS: &'static str = "archive/event/";

    /// What the keys of an operation's targets begin with.
    pub fn targets_of(id: OperationId) -> String {
        format!("{}{id}/", Self::TARGETS)
    }

    /// The lowest key that an operation may have that was begun at `time`.
    pub fn of_operations_at(time: Timestamp) -> Self {
        Self::Operation(OperationId(Ulid::from_parts(milliseconds(time), 0)))
    }

    /// When what the key names was begun; none where the key does not tell.
    pub fn time(&self) -> Option<Timestamp> {
        match self {
            Self::Operation(id) | Self::Target(id, _) => {
                let ms = i64::try_from(id.0.timestamp_ms()).ok()?;
                Timestamp::from_millisecond(ms).ok()
            }
            Self::Event(_) => None,
        }
    }
}

impl fmt::Display for ArchiveKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Operation(id) => write!(f, "{}{id}", Self::OPERATIONS),
            Self::Target(id, node) => write!(f, "{}{id}/{node}", Self::TARGETS),
            Self::Event(sequence) => write!(f, "{}{sequence:020}", Self::EVENTS),
        }
    }
}

impl FromStr for ArchiveKey {
    type Err = KeyError;

    fn from_str(text: &str) -> Result<Self, KeyError> {
        fn part<T: FromStr>(text: &str) -> Result<T, KeyError> {
            text.parse().map_err(|_| KeyError)
        }
        if let Some(id) = text.strip_prefix(Self::OPERATIONS) {
            return Ok(Self::Operation(part(id)?));
        }
        if let Some(rest) = text.strip_prefix(Self::TARGETS) {
            let (id, node) = rest.split_once('/').ok_or(KeyError)?;
            return Ok(Self::Target(part(id)?, part(node)?));
        }
        match text.strip_prefix(Self::EVENTS) {
            Some(digits) if digits.len() == SEQUENCE_DIGITS => Ok(Self::Event(part(digits)?)),
            _ => Err(KeyError),
        }
    }
}

fn milliseconds(time: Timestamp) -> u64 {
    u64::try_from(time.as_millisecond()).unwrap_or_default()
}

/// The id of an operation that is submitted now: it sorts by that time.
pub fn operation_id(now: Timestamp, random: u128) -> OperationId {
    OperationId(Ulid::from_parts(milliseconds(now), random))
}

/// Whether a row of the archive has been kept for long enough. One that cannot be read stays.
pub fn is_due(key: &ArchiveKey, value: &[u8], keep: Duration, now: Timestamp) -> bool {
    #[derive(Deserialize)]
    struct Told {
        told: Timestamp,
    }
    let time = match key.time() {
        Some(time) => Some(time),
        None => serde_json::from_slice::<Told>(value)
            .ok()
            .map(|row| row.told),
    };
    time.is_some_and(|time| time < before(now, keep))
}

/// A row of the archive as it was written.
///
/// # Errors
/// Says what is wrong with it. Fields that this version does not know are no error: nothing is
/// written from what is read here.
pub fn read_operation(value: &[u8]) -> Result<Operation, String> {
    serde_json::from_slice(value).map_err(|error| error.to_string())
}

/// As [`read_operation`].
///
/// # Errors
/// As there.
pub fn read_target(value: &[u8]) -> Result<Target, String> {
    serde_json::from_slice(value).map_err(|error| error.to_string())
}

/// As [`read_operation`].
///
/// # Errors
/// As there.
pub fn read_event(value: &[u8]) -> Result<StoredEvent, String> {
    serde_json::from_slice(value).map_err(|error| error.to_string())
}

/// Why an operation of the archive is not cancelled.
pub fn cancel_refused(operation: &Operation) -> Refusal {
    Unfound::OperationEnded {
        operation: operation.id,
        summary: operation.summary(),
        ended: operation.ended.unwrap_or(operation.deadline),
    }
    .into()
}

/// Why an operation of the archive is not tried again.
pub fn retry_refused(operation: &Operation) -> Refusal {
    Unfound::OperationArchived {
        operation: operation.id,
    }
    .into()
}

/// How much stays in memory, for lists and for those who come late.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Kept {
    /// Ended operations.
    pub operations: usize,
    /// Events. Months of a quiet fleet, and with the largest rows 40 MiB.
    pub events: usize,
}

impl Default for Kept {
    fn default() -> Self {
        Self {
            operations: 1_000,
            events: 10_000,
        }
    }
}

/// An operation on its way into the archive: so many of its targets are there already.
#[derive(Debug)]
pub(super) struct Moving {
    pub(super) operation: OperationId,
    targets: usize,
}

impl Fleet {
    /// Moves the oldest ended operations beyond the bound into the archive, some rows at a time.
    /// Targets are copied first; with the last of them the operation leaves the memory. A
    /// controller that dies in between begins anew with it, and writes the same.
    pub(super) fn archive_old(&mut self, now: Timestamp) {
        let mut left = STEP;
        while left > 0 && self.ended > self.settings.kept.operations {
            let id = match &self.moving {
                Some(moving) => moving.operation,
                None => match self.oldest_ended(now) {
                    Some(id) => id,
                    None => return,
                },
            };
            if self.copy_targets(id, &mut left) {
                self.leave_memory(id);
                left -= 1;
            }
        }
    }

    fn oldest_ended(&self, now: Timestamp) -> Option<OperationId> {
        let ended = self.operations.iter().filter_map(|(id, entry)| {
            let ended = entry.row.ended?;
            (ended <= before(now, STAY)).then_some((ended, *id))
        });
        ended.min().map(|(_, id)| id)
    }

    /// Copies the next targets of an operation. Returns whether all are in the archive.
    fn copy_targets(&mut self, id: OperationId, left: &mut usize) -> bool {
        let Some(entry) = self.operations.get(&id) else {
            self.moving = None;
            return false;
        };
        let done = self.moving.as_ref().map_or(0, |moving| moving.targets);
        let rows = entry.targets().iter().skip(done).take(*left);
        let mut targets = done;
        for row in rows {
            let target = &row.target;
            if let Ok(value) = serde_json::to_vec(target) {
                let key = ArchiveKey::Target(id, target.node);
                self.draft.archived.insert(key, value);
            }
            targets += 1;
        }
        *left -= targets - done;
        let all = targets == entry.targets().len();
        self.moving = Some(Moving {
            operation: id,
            targets,
        });
        // The operation itself is a row as well.
        all && *left > 0
    }

    /// Takes an operation out of the memory, whose targets are in the archive.
    fn leave_memory(&mut self, id: OperationId) {
        self.moving = None;
        let Some(entry) = self.operations.remove(&id) else {
            return;
        };
        self.ended -= 1;
        self.requests.remove(&entry.row.request);
        let operation = Operation {
            targets: Vec::new(),
            ..entry.operation()
        };
        if let Ok(value) = serde_json::to_vec(&operation) {
            let key = ArchiveKey::Operation(id);
            self.draft.archived.insert(key, value);
        }
        self.write(Key::Operation(id));
        for row in entry.targets() {
            self.draft.writes.insert(Key::Target(id, row.target.node));
        }
    }

    /// Takes an event in that has left the memory, if it tells who did what.
    pub(super) fn archive_event(&mut self, gone: &StoredEvent) {
        if is_audited(&gone.event)
            && let Ok(value) = serde_json::to_vec(gone)
        {
            let key = ArchiveKey::Event(gone.sequence);
            self.draft.archived.insert(key, value);
        }
    }
}

/// Whether an event is kept for an audit: what an operator has caused, how operations began and
/// ended, who may take part, and what the controller did. The rest is of the day: how servers and
/// nodes were.
fn is_audited(event: &Event) -> bool {
    match event.kind {
        EventKind::Operation | EventKind::Controller | EventKind::Access => true,
        EventKind::Health
        | EventKind::Crash
        | EventKind::Restart
        | EventKind::Quarantine
        | EventKind::DockerRestart
        | EventKind::Docker
        | EventKind::Agent
        | EventKind::Node
        | EventKind::Portal
        | EventKind::Whitelist
        | EventKind::Breaker
        | EventKind::Alert
        | EventKind::Warning => !event.by.is_empty(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_read_back_and_sort_as_what_they_name() {
        let node: NodeAddr = "172.31.16.139".parse().unwrap();
        let id: OperationId = "01ARZ3NDEKTSV4RRFFQ69G5FAV".parse().unwrap();
        for (key, text) in [
            (
                ArchiveKey::Operation(id),
                "archive/op/01ARZ3NDEKTSV4RRFFQ69G5FAV",
            ),
            (
                ArchiveKey::Target(id, node),
                "archive/target/01ARZ3NDEKTSV4RRFFQ69G5FAV/172.31.16.139",
            ),
            (ArchiveKey::Event(7), "archive/event/00000000000000000007"),
        ] {
            assert_eq!(key.to_string(), text);
            assert_eq!(text.parse(), Ok(key));
        }
        for wrong in [
            "op/01ARZ3NDEKTSV4RRFFQ69G5FAV",
            "archive/op/x",
            "archive/target/01ARZ3NDEKTSV4RRFFQ69G5FAV",
            "archive/event/7",
            "archive/other",
        ] {
            assert_eq!(wrong.parse::<ArchiveKey>(), Err(KeyError), "{wrong}");
        }
        assert!(ArchiveKey::targets_of(id) < ArchiveKey::Target(id, node).to_string());
        let begun = ArchiveKey::Operation(id).time().unwrap();
        let lowest = ArchiveKey::of_operations_at(begun).to_string();
        assert!(lowest <= ArchiveKey::Operation(id).to_string());
        assert_eq!(operation_id(begun, id.0.random()), id);
    }

    #[test]
    fn what_is_too_old_is_told_by_the_time_of_its_beginning() {
        let now = Timestamp::from_second(1_800_000_000).unwrap();
        let keep = Duration::from_secs(3600);
        let at = |seconds: u64| before(now, Duration::from_secs(seconds));
        let operation = |seconds| ArchiveKey::Operation(operation_id(at(seconds), 1));
        let event = |seconds| format!("{{\"told\":\"{}\",\"other\":1}}", at(seconds));
        assert!(is_due(&operation(3601), b"", keep, now));
        assert!(!is_due(&operation(3600), b"", keep, now));
        let number = ArchiveKey::Event(1);
        assert!(is_due(&number, event(3601).as_bytes(), keep, now));
        assert!(!is_due(&number, event(3600).as_bytes(), keep, now));
        assert!(!is_due(&number, b"damaged", keep, now), "it stays");
    }
}
