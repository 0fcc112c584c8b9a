//! Alerts, as `extend alert list` shows them.

use extend_proto::v1;
use jiff::Timestamp;
use serde::Serialize;

use super::{moment, text};
use crate::cli::failure::Failure;
use crate::cli::output::Tone;
use crate::cli::output::table::{Cell, Table};
use crate::cli::output::text::{age, moment as words};

/// The document of `extend alert list`.
#[derive(Debug, Clone, Serialize)]
pub(crate) struct Alerts {
    pub(crate) firing: Vec<Alert>,
    pub(crate) pending: Vec<Alert>,
    pub(crate) receivers: Vec<Receiver>,
    pub(crate) silences: Vec<Silence>,
    pub(crate) open_windows: u32,
    pub(crate) dropped: u64,
    pub(crate) warming_up: bool,
}

/// An alert, or what may become one.
#[derive(Debug, Clone, Serialize)]
pub(crate) struct Alert {
    /// None while it is pending.
    pub(crate) id: Option<u64>,
    pub(crate) rule: String,
    pub(crate) severity: String,
    pub(crate) node: Option<String>,
    pub(crate) server: Option<String>,
    pub(crate) r#type: Option<String>,
    pub(crate) since: Option<Timestamp>,
    pub(crate) fires_at: Option<Timestamp>,
    pub(crate) what: String,
    pub(crate) done: Option<String>,
    pub(crate) todo: String,
    pub(crate) acknowledged_by: Option<String>,
    pub(crate) acknowledged_at: Option<Timestamp>,
    pub(crate) note: Option<String>,
    pub(crate) silenced: bool,
}

/// Who is told.
#[derive(Debug, Clone, Serialize)]
pub(crate) struct Receiver {
    pub(crate) name: String,
    pub(crate) waiting: u32,
    pub(crate) trouble: Option<String>,
    pub(crate) trouble_since: Option<Timestamp>,
    pub(crate) attempts: u64,
}

/// Who asked for quiet.
#[derive(Debug, Clone, Serialize)]
pub(crate) struct Silence {
    pub(crate) id: u64,
    pub(crate) servers: String,
    pub(crate) until: Option<Timestamp>,
    pub(crate) by: String,
    pub(crate) note: Option<String>,
}

impl TryFrom<v1::AlertsView> for Alerts {
    type Error = Failure;

    fn try_from(view: v1::AlertsView) -> Result<Self, Failure> {
        let alerts =
            |alerts: Vec<v1::Alert>| alerts.into_iter().map(alert).collect::<Result<_, _>>();
        let receivers = view.receivers.into_iter().map(|one| {
            Ok(Receiver {
                name: one.name,
                waiting: one.waiting,
                trouble: text(one.trouble),
                trouble_since: moment("since", one.trouble_since_ms)?,
                attempts: one.attempts,
            })
        });
        let silences = view.silences.into_iter().map(|one| {
            Ok(Silence {
                id: one.id,
                servers: one.selector,
                until: moment("until", one.until_ms)?,
                by: one.by,
                note: text(one.note),
            })
        });
        Ok(Self {
            firing: alerts(view.firing)?,
            pending: alerts(view.pending)?,
            receivers: receivers.collect::<Result<_, Failure>>()?,
            silences: silences.collect::<Result<_, Failure>>()?,
            open_windows: view.open_windows,
            dropped: view.dropped,
            warming_up: view.warming_up,
        })
    }
}

fn alert(alert: v1::Alert) -> Result<Alert, Failure> {
    Ok(Alert {
        id: Some(alert.id).filter(|id| *id > 0),
        rule: alert.rule,
        severity: alert.severity,
        node: text(alert.node),
        server: text(alert.name),
        r#type: text(alert.role),
        since: moment("since", alert.since_ms)?,
        fires_at: moment("fires", alert.fires_ms)?,
        what: alert.what,
        done: text(alert.done),
        todo: alert.todo,
        acknowledged_by: text(alert.acknowledged_by),
        acknowledged_at: moment("acknowledged", alert.acknowledged_ms)?,
        note: text(alert.acknowledged_note),
        silenced: alert.silenced,
    })
}

impl Alerts {
    /// What there is, a table for each kind of thing.
    pub(crate) fn tables(&self, wide: bool, now: Timestamp) -> Vec<Table> {
        let mut tables = Vec::new();
        if !self.firing.is_empty() || !self.pending.is_empty() {
            tables.push(self.alerts(wide, now));
        }
        if !self.receivers.is_empty() {
            let mut table = Table::new(vec!["RECEIVER", "WAITING", "TRIES", "TROUBLE"]);
            for one in &self.receivers {
                let tone = if one.trouble.is_some() {
                    Tone::Bad
                } else {
                    Tone::Plain
                };
                table.row(vec![
                    one.name.as_str().into(),
                    one.waiting.to_string().into(),
                    one.attempts.to_string().into(),
                    Cell::toned(one.trouble.clone().unwrap_or_default(), tone),
                ]);
            }
            tables.push(table);
        }
        if !self.silences.is_empty() {
            let mut table = Table::new(vec!["SILENCE", "SERVERS", "UNTIL", "BY", "WHY"]);
            for one in &self.silences {
                table.row(vec![
                    one.id.to_string().into(),
                    one.servers.as_str().into(),
                    one.until
                        .map_or_else(String::new, |at| words(at, now))
                        .into(),
                    one.by.as_str().into(),
                    one.note.clone().unwrap_or_default().into(),
                ]);
            }
            tables.push(table);
        }
        tables
    }

    fn alerts(&self, wide: bool, now: Timestamp) -> Table {
        let mut heading = vec!["ALERT", "SEVERITY", "RULE", "SINCE", "STATE", "WHAT"];
        if wide {
            heading.insert(5, "TO DO");
            heading.insert(5, "DONE");
        }
        let mut table = Table::new(heading);
        for one in self.firing.iter().chain(&self.pending) {
            let tone = if one.severity == "critical" {
                Tone::Bad
            } else {
                Tone::Plain
            };
            let mut cells: Vec<Cell> = vec![
                one.id.map_or_else(String::new, |id| id.to_string()).into(),
                Cell::toned(one.severity.clone(), tone),
                one.rule.as_str().into(),
                one.since.map_or_else(String::new, |at| age(at, now)).into(),
                one.state().into(),
            ];
            if wide {
                cells.push(one.done.clone().unwrap_or_default().into());
                cells.push(one.todo.as_str().into());
            }
            cells.push(one.what.as_str().into());
            table.row(cells);
        }
        table
    }

    /// What else is to be known.
    pub(crate) fn said(&self) -> Vec<String> {
        let mut said = Vec::new();
        if self.firing.is_empty() {
            said.push("nothing fires".to_owned());
        }
        if self.warming_up {
            said.push(
                "the controller has just started: nothing is judged until agents are back"
                    .to_owned(),
            );
        }
        if self.open_windows > 0 {
            said.push(format!(
                "maintenance windows that are open: {}",
                self.open_windows
            ));
        }
        if self.dropped > 0 {
            said.push(format!("{} alerts wait for a place", self.dropped));
        }
        said
    }
}

impl Alert {
    fn state(&self) -> String {
        match (&self.acknowledged_by, self.id, self.silenced) {
            (Some(by), _, _) => format!("acknowledged by {by}"),
            (None, None, _) => "pending".to_owned(),
            (None, Some(_), true) => "silenced".to_owned(),
            (None, Some(_), false) => "firing".to_owned(),
        }
    }
}
