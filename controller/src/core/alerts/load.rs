//! From the store's rows to alerts. Nothing that runs depends on them: one that cannot be read goes,
//! and what is still wrong is found again.

use std::sync::Arc;

use jiff::Timestamp;

use extend_common::event::EventKind;

use super::super::event::{cut, own};
use super::super::fleet::Fleet;
use super::super::key::Key;
use super::Alerts;
use super::row::AlertRow;

/// One event names so many rows.
const NAMED: usize = 5;
/// What is wrong with a row is cut here.
const WORDS: usize = 120;

impl Alerts {
    /// Takes a row in that was stored before. What is no row of alerts is nothing to it.
    ///
    /// # Errors
    /// When it cannot be read.
    pub(in crate::core) fn load(&mut self, key: Key, value: &[u8]) -> Result<(), String> {
        let wrong = |error: serde_json::Error| cut(&error.to_string(), WORDS);
        let number = match key {
            Key::AlertCounter => {
                let counter: super::AlertCounter = serde_json::from_slice(value).map_err(wrong)?;
                counter.last
            }
            Key::Alert(id) | Key::Notice(id) | Key::Silence(id) => id,
            _ => return Ok(()),
        };
        // Also of a row that cannot be read, so that no number comes twice: ids are made of it.
        self.counter.last = self.counter.last.max(number);
        match key {
            Key::Alert(id) => {
                let row: AlertRow = serde_json::from_slice(value).map_err(wrong)?;
                same(id, row.id)?;
                if row.resolved.is_none() {
                    let place = (row.rule, row.finding.subject.what.clone());
                    self.places.insert(place, id);
                }
                self.rows.insert(id, row);
            }
            Key::Notice(id) => {
                let notice: super::Notice = serde_json::from_slice(value).map_err(wrong)?;
                same(id, notice.number)?;
                self.notices.insert(id, Arc::new(notice));
            }
            Key::Silence(id) => {
                let row: super::SilenceRow = serde_json::from_slice(value).map_err(wrong)?;
                same(id, row.id)?;
                self.silences.insert(id, row);
            }
            _ => {}
        }
        Ok(())
    }
}

fn same(key: u64, row: u64) -> Result<(), String> {
    match key == row {
        true => Ok(()),
        false => Err(format!("it bears the number {row}")),
    }
}

impl Fleet {
    /// Lets rows of alerts go that could not be read, and says so.
    pub(in crate::core) fn drop_unreadable(&mut self, rows: &[(Key, String)], now: Timestamp) {
        for (key, problem) in rows {
            tracing::warn!(%key, problem, "a row about alerts cannot be read and goes");
            self.write(*key);
        }
        if rows.is_empty() {
            return;
        }
        let named = rows.iter().take(NAMED);
        let named: Vec<_> = named
            .map(|(key, problem)| format!("{key}: {problem}"))
            .collect();
        let text = format!(
            "{} rows about alerts could not be read and were dropped; what is still wrong is told \
             again ({})",
            rows.len(),
            named.join("; ")
        );
        self.note(own(EventKind::Controller, now, text));
    }
}
