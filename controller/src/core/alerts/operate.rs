//! What operators ask about alerts, and do about them.

use std::time::Duration;

use jiff::Timestamp;

use extend_common::clock::after;
use extend_common::duration;
use extend_common::event::{Event, EventKind};

use super::super::event::{cut, own};
use super::super::fleet::Fleet;
use super::super::key::Key;
use super::super::refusal::{Asked, Refusal, Unfound};
use super::super::request::SelectorWords;
use super::super::turn::Turn;
use super::MOST_SILENCES;
use super::row::{Acknowledged, AlertRow, SilenceRow};
use super::view::{AlertView, AlertsView, ReceiverView};

/// Longer notes are cut.
const NOTE: usize = 300;

impl Fleet {
    /// Everything about alerts.
    pub fn alerts(&self, now: Timestamp) -> AlertsView {
        let settings = &self.settings.alerts;
        let mut firing: Vec<_> = self
            .firing()
            .map(|row| AlertView {
                id: Some(row.id),
                rule: row.rule,
                severity: row.severity,
                finding: row.finding.clone(),
                fires: row.fired,
                acknowledged: row.acknowledged.clone(),
                silenced: self.is_silenced(&row.finding.subject, now),
            })
            .collect();
        firing.sort_by_key(|one| {
            (
                one.acknowledged.is_some(),
                std::cmp::Reverse(one.severity),
                one.id,
            )
        });
        let pending = self
            .alerts
            .pending
            .iter()
            .map(|((rule, _), pending)| AlertView {
                id: None,
                rule: *rule,
                severity: settings.severity(*rule),
                finding: pending.finding.clone(),
                fires: after(pending.since, settings.lasts(*rule).unwrap_or_default()),
                acknowledged: None,
                silenced: self.is_silenced(&pending.finding.subject, now),
            });
        let mut notices = self.notices();
        let receivers = settings.receivers.iter().map(|receiver| ReceiverView {
            name: receiver.name.clone(),
            waiting: notices
                .remove(&receiver.name)
                .map_or(0, |waiting| waiting.len()),
            trouble: self.alerts.troubles.get(&receiver.name).cloned(),
        });
        AlertsView {
            firing,
            pending: pending.collect(),
            receivers: receivers.collect(),
            silences: self.alerts.silences.values().cloned().collect(),
            open_windows: settings
                .windows
                .iter()
                .filter(|one| one.is_open(now))
                .count(),
            dropped: self.crowd() as u64,
            warming_up: !self.warm,
        }
    }

    fn firing(&self) -> impl Iterator<Item = &AlertRow> {
        self.alerts
            .rows
            .values()
            .filter(|row| row.resolved.is_none())
    }

    /// Somebody knows of an alert, or of all of them: nobody is told again while it lasts.
    /// Answers how many were acknowledged by it.
    pub fn acknowledge(
        &mut self,
        id: Option<u64>,
        note: &str,
        by: &str,
        now: Timestamp,
    ) -> Turn<Result<usize, Refusal>> {
        let meant = |row: &&AlertRow| id.is_none_or(|id| id == row.id);
        let meant: Vec<_> = self.firing().filter(meant).cloned().collect();
        if let (Some(id), true) = (id, meant.is_empty()) {
            return self.turn(Err(Unfound::NoSuchAlert { id }.into()));
        }
        let mut count = 0;
        for row in meant {
            if row.acknowledged.is_some() {
                continue;
            }
            count += 1;
            if let Some(kept) = self.alerts.rows.get_mut(&row.id) {
                kept.acknowledged = Some(Acknowledged {
                    by: cut(by, NOTE),
                    at: now,
                    note: cut(note, NOTE),
                });
            }
            self.write(Key::Alert(row.id));
            let mut text = format!("alert {} acknowledged: {}", row.id, row.rule);
            if !note.is_empty() {
                text = format!("{text}: {}", cut(note, NOTE));
            }
            self.say_alert(&row, now, text, by);
        }
        self.turn(Ok(count))
    }

    /// Nobody is told of the servers that are meant, for so long.
    pub fn silence(
        &mut self,
        words: &SelectorWords,
        lasts: Duration,
        (note, by): (&str, &str),
        now: Timestamp,
    ) -> Turn<Result<SilenceRow, Refusal>> {
        let asked = Asked::events(words);
        let selector = match super::super::admit::resolve(self, words, &asked) {
            Ok(selector) => selector,
            Err(refusal) => return self.turn(Err(refusal)),
        };
        if self.alerts.silences.len() >= MOST_SILENCES {
            return self.turn(Err(Unfound::TooManySilences {
                most: MOST_SILENCES,
            }
            .into()));
        }
        let row = SilenceRow {
            id: self.next_alert_number(),
            selector,
            since: now,
            until: after(now, lasts),
            by: cut(by, NOTE),
            note: cut(note, NOTE),
        };
        let text = format!(
            "silence {} for {}: {}",
            row.id,
            duration::show(lasts),
            row.selector
        );
        self.note(Event {
            by: by.to_owned(),
            ..own(EventKind::Alert, now, text)
        });
        self.alerts.silences.insert(row.id, row.clone());
        self.write(Key::Silence(row.id));
        self.turn(Ok(row))
    }

    /// Ends a silence before its time.
    pub fn unsilence(&mut self, id: u64, by: &str, now: Timestamp) -> Turn<Result<(), Refusal>> {
        if self.alerts.silences.remove(&id).is_none() {
            return self.turn(Err(Unfound::NoSuchSilence { id }.into()));
        }
        self.write(Key::Silence(id));
        let text = format!("silence {id} was ended");
        self.note(Event {
            by: by.to_owned(),
            ..own(EventKind::Alert, now, text)
        });
        self.turn(Ok(()))
    }
}
