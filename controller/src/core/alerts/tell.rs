//! Who is told of what, and when: notices are made of alerts, and go when they were taken.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use jiff::Timestamp;

use extend_common::clock::after;
use extend_common::event::EventKind;

use super::super::event::own;
use super::super::fleet::Fleet;
use super::super::key::Key;
use super::super::turn::Turn;
use super::row::{AlertRow, Notice, Told};
use super::settings::{ReceiverFilter, means};
use super::view::{Delivery, ReceiverTrouble};
use super::{MOST_NAMED, MOST_NOTICES, Subject};

/// What a receiver is still to be told of one alert.
struct Due {
    id: u64,
    /// Since when; the first of all decides when the message is made.
    since: Timestamp,
    again: bool,
}

/// Whether a receiver is still to be told that an alert is over. Its filter may have changed since.
fn is_owed(receiver: &ReceiverFilter, row: &AlertRow) -> bool {
    row.owed.contains(&receiver.name) && receiver.wants(row.severity, &row.finding.subject)
}

impl Fleet {
    /// The notices that wait, by receiver, the oldest first.
    pub fn notices(&self) -> BTreeMap<String, Vec<Arc<Notice>>> {
        let mut waiting: BTreeMap<String, Vec<_>> = BTreeMap::new();
        for notice in self.alerts.notices.values() {
            waiting
                .entry(notice.receiver.clone())
                .or_default()
                .push(Arc::clone(notice));
        }
        waiting
    }

    /// Takes in what came of sending a notice.
    pub fn delivered(&mut self, delivery: &Delivery, now: Timestamp) -> Turn<()> {
        let known = self.alerts.notices.get(&delivery.notice);
        if known.is_some_and(|notice| notice.receiver == delivery.receiver) {
            match &delivery.result {
                Ok(()) => self.taken(delivery, now),
                Err(sentence) => self.not_taken(&delivery.receiver, sentence, now),
            }
        }
        self.turn(())
    }

    fn taken(&mut self, delivery: &Delivery, now: Timestamp) {
        self.alerts.notices.remove(&delivery.notice);
        self.write(Key::Notice(delivery.notice));
        self.draft.outside();
        if let Some(trouble) = self.alerts.troubles.remove(&delivery.receiver) {
            let (name, tries) = (&delivery.receiver, trouble.attempts);
            let text =
                format!("the receiver {name} takes alerts again, after {tries} tries in vain");
            self.note(own(EventKind::Alert, now, text));
        }
    }

    fn not_taken(&mut self, receiver: &str, sentence: &str, now: Timestamp) {
        let known = self.alerts.troubles.get_mut(receiver);
        let is_news = known
            .as_ref()
            .is_none_or(|trouble| trouble.sentence != sentence);
        match known {
            Some(trouble) => {
                trouble.attempts += 1;
                sentence.clone_into(&mut trouble.sentence);
            }
            None => {
                let trouble = ReceiverTrouble {
                    since: now,
                    attempts: 1,
                    sentence: sentence.to_owned(),
                };
                self.alerts.troubles.insert(receiver.to_owned(), trouble);
            }
        }
        if is_news {
            let text = format!("the receiver {receiver} does not take alerts: {sentence}");
            self.note(own(EventKind::Alert, now, text));
        }
    }

    /// Makes the notices whose time has come, and lets alerts go of which everybody knows the end.
    pub(super) fn tell_receivers(&mut self, now: Timestamp) {
        let receivers = self.settings.alerts.receivers.clone();
        for receiver in &receivers {
            self.tell_receiver(receiver, now);
        }
        self.forget_strangers(&receivers);
        let over = self.alerts.rows.values();
        let over = over.filter(|row| row.resolved.is_some());
        let over = over.filter(|row| !receivers.iter().any(|one| is_owed(one, row)));
        let over: Vec<_> = over.map(|row| row.id).collect();
        for id in over {
            self.alerts.rows.remove(&id);
            self.write(Key::Alert(id));
        }
    }

    /// Who has to be told that an alert is over: who knows of it, and who should have been told
    /// that it fires. What fired and ended while it was kept quiet is nobody's.
    pub(super) fn owed(&self, row: &AlertRow, now: Timestamp) -> BTreeSet<String> {
        let (subject, momentary) = (&row.finding.subject, row.rule.is_momentary());
        let quiet = self.is_silenced(subject, now);
        let receivers = self.settings.alerts.receivers.iter();
        let owed = receivers.filter(|one| match row.told.contains_key(&one.name) {
            true => !momentary,
            false => !quiet && one.wants(row.severity, subject),
        });
        owed.map(|one| one.name.clone()).collect()
    }

    /// Notices for receivers that the configuration has no longer.
    fn forget_strangers(&mut self, receivers: &[ReceiverFilter]) {
        let known = |notice: &Notice| receivers.iter().any(|one| one.name == notice.receiver);
        let strange = self.alerts.notices.values().filter(|notice| !known(notice));
        let strange: Vec<_> = strange.map(|notice| notice.number).collect();
        for number in strange {
            self.alerts.notices.remove(&number);
            self.write(Key::Notice(number));
            self.draft.outside();
        }
    }

    fn tell_receiver(&mut self, receiver: &ReceiverFilter, now: Timestamp) {
        let waiting = self.alerts.notices.values();
        let waiting = waiting.filter(|notice| notice.receiver == receiver.name);
        let waiting = waiting.count();
        if waiting >= MOST_NOTICES {
            return;
        }
        let due = self.due(receiver, waiting > 0, now);
        let first = due.iter().map(|due| due.since).min();
        let group = self.settings.alerts.group;
        if first.is_none_or(|first| after(first, group) > now) {
            return;
        }
        let number = self.next_alert_number();
        let mut told = Vec::new();
        for Due { id, again, .. } in due {
            let Some(row) = self.alerts.rows.get_mut(&id) else {
                continue;
            };
            match row.resolved {
                Some(_) => drop(row.owed.remove(&receiver.name)),
                None => drop(row.told.insert(receiver.name.clone(), now)),
            }
            told.push(Told {
                id,
                rule: row.rule,
                severity: row.severity,
                finding: row.finding.clone(),
                fired: row.fired,
                resolved: row.resolved,
                again,
            });
            self.write(Key::Alert(id));
        }
        told.sort_by_key(|told| {
            (
                told.resolved.is_some(),
                std::cmp::Reverse(told.severity),
                told.id,
            )
        });
        let rest = told.split_off(told.len().min(MOST_NAMED));
        let resolved = rest.iter().filter(|told| told.resolved.is_some()).count();
        let notice = Notice {
            number,
            id: format!("{}-{number}", self.store),
            receiver: receiver.name.clone(),
            at: now,
            alerts: told,
            more_firing: (rest.len() - resolved) as u64,
            more_resolved: resolved as u64,
        };
        self.alerts.notices.insert(number, Arc::new(notice));
        self.write(Key::Notice(number));
        self.draft.outside();
    }

    /// What it is to be told. Nothing is said again to one that has not even taken what it was told
    /// before: repeats would fill the places of news.
    fn due(&self, receiver: &ReceiverFilter, has_waiting: bool, now: Timestamp) -> Vec<Due> {
        let settings = &self.settings.alerts;
        let rows = self.alerts.rows.values();
        rows.filter(|row| receiver.wants(row.severity, &row.finding.subject))
            .filter_map(|row| {
                let told = row.told.get(&receiver.name).copied();
                let since = match (row.resolved, told) {
                    (Some(at), _) => is_owed(receiver, row).then_some(at),
                    (None, None) => Some(row.fired),
                    _ if row.acknowledged.is_some() || row.rule.is_momentary() => None,
                    (None, Some(_)) if has_waiting => None,
                    // With what repeats about now, so that it stays one message.
                    (None, Some(told)) => Some(after(told, settings.repeat))
                        .filter(|at| *at <= after(now, settings.group)),
                }?;
                if row.resolved.is_none() && self.is_silenced(&row.finding.subject, now) {
                    return None;
                }
                Some(Due {
                    id: row.id,
                    since,
                    again: told.is_some(),
                })
            })
            .collect()
    }

    /// Whether a silence or a window keeps it quiet.
    pub(super) fn is_silenced(&self, subject: &Subject, now: Timestamp) -> bool {
        let mut silences = self.alerts.silences.values();
        let mut windows = self.settings.alerts.windows.iter();
        silences.any(|one| one.until > now && means(&one.selector, subject))
            || windows.any(|one| means(&one.selector, subject) && one.is_open(now))
    }

    /// Silences end by themselves.
    pub(super) fn end_silences(&mut self, now: Timestamp) {
        let over = self.alerts.silences.values().filter(|one| one.until <= now);
        let over: Vec<_> = over.map(|one| one.id).collect();
        for id in over {
            self.alerts.silences.remove(&id);
            self.write(Key::Silence(id));
            self.note(own(
                EventKind::Alert,
                now,
                format!("silence {id} has ended"),
            ));
        }
    }
}
