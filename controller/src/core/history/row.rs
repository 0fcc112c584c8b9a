//! A history as one row: compact, because it is written again and again. About 26 bytes a
//! step.

use serde::{Deserialize, Serialize};

use extend_common::ids::ServerName;
use extend_common::status::Health;

use super::{Change, History, Step};

/// What a row begins with: another form has another one.
const FORM: u8 = 1;

/// The row. Within a scale a step's index is told as its distance from the one before.
#[derive(Debug, Default, Serialize, Deserialize)]
struct Row {
    name: String,
    scales: [Vec<Step>; 3],
    changes: Vec<ChangeRow>,
}

#[derive(Debug, Serialize, Deserialize)]
struct ChangeRow {
    at_ms: i64,
    health: String,
    reason: String,
}

/// A row that cannot be read.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("it is no history of this version")]
pub(in crate::core) struct Unreadable;

impl History {
    /// The row; none where there is nothing to keep.
    pub(in crate::core) fn row(&self) -> Option<Vec<u8>> {
        let name = self.name.as_ref()?.to_string();
        let scales = self.scales.each_ref().map(|steps| {
            let mut before = 0;
            let told = steps.iter().map(|step| {
                let index = step.index.wrapping_sub(before);
                before = step.index;
                step.numbered(index)
            });
            told.collect()
        });
        let change = |change: &Change| ChangeRow {
            at_ms: change.at.as_millisecond(),
            health: change.health.to_string(),
            reason: change.reason.clone(),
        };
        let changes = self.changes.iter().map(change).collect();
        let row = Row {
            name,
            scales,
            changes,
        };
        postcard::to_extend(&row, vec![FORM]).ok()
    }

    /// Reads a row. Nothing is known of the time since it was written.
    pub(in crate::core) fn read(row: &[u8]) -> Result<Self, Unreadable> {
        let body = match row.split_first() {
            Some((&FORM, body)) => body,
            _ => return Err(Unreadable),
        };
        let row: Row = postcard::from_bytes(body).map_err(|_| Unreadable)?;
        let name: ServerName = row.name.parse().map_err(|_| Unreadable)?;
        let mut history = Self {
            name: Some(name),
            ..Self::default()
        };
        for (kept, told) in history.scales.iter_mut().zip(row.scales) {
            let mut before = 0_u32;
            for (place, step) in told.into_iter().enumerate() {
                let index = before.checked_add(step.index).ok_or(Unreadable)?;
                if place > 0 && step.index == 0 {
                    return Err(Unreadable);
                }
                before = index;
                kept.push_back(step.numbered(index));
            }
        }
        for change in row.changes {
            history.changes.push_back(Change {
                at: jiff::Timestamp::from_millisecond(change.at_ms).map_err(|_| Unreadable)?,
                health: health(&change.health).ok_or(Unreadable)?,
                reason: change.reason,
            });
        }
        Ok(history)
    }
}

/// The health that a word means.
fn health(word: &str) -> Option<Health> {
    serde_json::from_value(serde_json::Value::String(word.to_owned())).ok()
}
