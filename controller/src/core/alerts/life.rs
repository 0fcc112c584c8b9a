//! The life of an alert: pending, firing, resolved. Nothing is told here.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use jiff::Timestamp;

use extend_common::clock::{after, since};
use extend_common::event::{Event, EventKind};

use super::super::event::own;
use super::super::fleet::Fleet;
use super::super::key::Key;
use super::row::AlertRow;
use super::{Finding, Findings, MOST_ALERTS, MOST_OWED, Pending, Place};

/// Findings are looked for so often. No rule is finer than that.
const JUDGED: Duration = Duration::from_secs(1);
/// So many changes of one look are told one by one.
const ONE_BY_ONE: usize = 10;
/// What is not found for so long is over: one that comes and goes is one alert, not many.
const CLEAR: Duration = Duration::from_secs(30);

impl Fleet {
    /// Looks for what is wrong, and tells those who have to know.
    pub(in crate::core) fn tend_alerts(&mut self, now: Timestamp) {
        if !self.warm || self.alerts.judged.is_some_and(|at| since(at, now) < JUDGED) {
            return;
        }
        self.alerts.judged = Some(now);
        self.note_restarts(now);
        self.alerts.said = 0;
        let findings = self.findings(now);
        self.judge_findings(findings, now);
        self.say_rest(now);
        self.say_crowd(now);
        self.bound_owed(now);
        self.end_silences(now);
        self.tell_receivers(now);
    }

    /// Brings pending and firing alerts to what was found.
    pub(super) fn judge_findings(&mut self, mut findings: Findings, now: Timestamp) {
        let settings = self.settings.alerts.clone();
        findings
            .found
            .retain(|(rule, _), _| settings.lasts(*rule).is_some());
        let mut pending = std::mem::take(&mut self.alerts.pending);
        pending.retain(|place, known| {
            findings.found.contains_key(place)
                || !self.can_tell(place.0, &known.finding.subject, now)
        });
        self.alerts.pending = pending;
        self.resolve(&findings, now);
        for (place, finding) in findings.found {
            if let Some(id) = self.alerts.places.get(&place).copied() {
                self.alerts.clear.remove(&id);
                self.refresh(id, finding);
                continue;
            }
            let lasts = settings.lasts(place.0).unwrap_or_default();
            let from = finding.since.min(now);
            let pending = Pending {
                since: from,
                finding,
                waits: false,
            };
            let first = self
                .alerts
                .pending
                .entry(place.clone())
                .or_insert_with(|| pending.clone());
            first.finding = pending.finding;
            first.since = first.since.min(from);
            if after(first.since, lasts) <= now {
                self.fire(&place, now);
            }
        }
    }

    /// The words of what fires are those of the present; when it began does not change, and a row
    /// is not written for words alone: they are found again.
    fn refresh(&mut self, id: u64, finding: Finding) {
        if let Some(row) = self.alerts.rows.get_mut(&id) {
            let since = row.finding.since;
            row.finding = Finding { since, ..finding };
        }
    }

    fn fire(&mut self, place: &Place, now: Timestamp) {
        if self.alerts.places.len() >= MOST_ALERTS {
            // Still pending: it fires as soon as there is a place.
            if let Some(pending) = self.alerts.pending.get_mut(place) {
                pending.waits = true;
            }
            return;
        }
        let Some(pending) = self.alerts.pending.remove(place) else {
            return;
        };
        let id = self.next_alert_number();
        let row = AlertRow {
            id,
            rule: place.0,
            severity: self.settings.alerts.severity(place.0),
            finding: Finding {
                since: pending.since,
                ..pending.finding
            },
            fired: now,
            resolved: None,
            acknowledged: None,
            told: BTreeMap::new(),
            owed: BTreeSet::new(),
        };
        let text = format!("alert {id} fires: {}: {}", row.rule, row.finding.what);
        self.say_change(&row, now, text);
        self.alerts.places.insert(place.clone(), id);
        self.alerts.rows.insert(id, row);
        self.write(Key::Alert(id));
    }

    /// So many wait for a place.
    pub(super) fn crowd(&self) -> usize {
        let waits = self.alerts.pending.values().filter(|pending| pending.waits);
        waits.count()
    }

    /// Told once for as long as any waits.
    fn say_crowd(&mut self, now: Timestamp) {
        let crowd = self.crowd();
        let was = std::mem::replace(&mut self.alerts.crowded, crowd > 0);
        if crowd > 0 && !was {
            let text = format!("more than {MOST_ALERTS} alerts at once: {crowd} wait for a place");
            self.note(own(EventKind::Alert, now, text));
        }
    }

    /// The oldest that are over are told nobody any more, should too many wait for receivers.
    fn bound_owed(&mut self, now: Timestamp) {
        let firing = self.alerts.places.len();
        let excess = (self.alerts.rows.len() - firing).saturating_sub(MOST_OWED);
        if excess == 0 {
            return;
        }
        let over = self
            .alerts
            .rows
            .values()
            .filter(|row| row.resolved.is_some());
        let mut over: Vec<_> = over.map(|row| (row.resolved, row.id)).collect();
        over.sort_unstable();
        for (_, id) in over.into_iter().take(excess) {
            self.alerts.rows.remove(&id);
            self.write(Key::Alert(id));
        }
        let text = format!(
            "receivers are not told of {excess} alerts that are over: more than {MOST_OWED} wait \
             for them"
        );
        self.note(own(EventKind::Alert, now, text));
    }

    fn resolve(&mut self, findings: &Findings, now: Timestamp) {
        let lost = self.alerts.places.iter();
        let lost = lost.filter(|(place, _)| !findings.found.contains_key(*place));
        let gone = lost.filter(|(place, id)| {
            let row = self.alerts.rows.get(id);
            row.is_none_or(|row| self.can_tell(place.0, &row.finding.subject, now))
        });
        let gone: Vec<_> = gone.map(|(place, id)| (place.clone(), *id)).collect();
        for (place, id) in gone {
            let from = *self.alerts.clear.entry(id).or_insert(now);
            if !place.0.is_momentary() && since(from, now) < CLEAR {
                continue;
            }
            self.alerts.clear.remove(&id);
            self.alerts.places.remove(&place);
            let Some(row) = self.alerts.rows.get_mut(&id) else {
                continue;
            };
            row.resolved = Some(now);
            let row = row.clone();
            let owed = self.owed(&row, now);
            if let Some(kept) = self.alerts.rows.get_mut(&id) {
                kept.owed = owed;
            }
            let text = format!("alert {id} is over: {}: {}", row.rule, row.finding.what);
            self.say_change(&row, now, text);
            self.write(Key::Alert(id));
        }
    }

    pub(super) fn next_alert_number(&mut self) -> u64 {
        self.alerts.counter.last += 1;
        self.write(Key::AlertCounter);
        self.alerts.counter.last
    }

    /// That an alert fires or is over. When many do at once, as when the network breaks, one event
    /// tells of the rest.
    fn say_change(&mut self, row: &AlertRow, now: Timestamp, text: String) {
        self.alerts.said += 1;
        if self.alerts.said <= ONE_BY_ONE {
            self.say_alert(row, now, text, "");
        }
    }

    fn say_rest(&mut self, now: Timestamp) {
        let rest = self.alerts.said.saturating_sub(ONE_BY_ONE);
        if rest > 0 {
            let text = format!("{rest} more alerts fire or are over (extend alert list)");
            self.note(own(EventKind::Alert, now, text));
        }
    }

    /// An event about an alert.
    pub(super) fn say_alert(&mut self, row: &AlertRow, now: Timestamp, text: String, by: &str) {
        let subject = row.finding.subject.clone();
        self.note(Event {
            node: subject.node,
            name: subject.name,
            role: subject.role,
            by: by.to_owned(),
            ..own(EventKind::Alert, now, text)
        });
    }
}
