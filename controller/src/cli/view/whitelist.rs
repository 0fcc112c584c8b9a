//! The whitelist, as `extend whitelist` shows it.

use extend_proto::v1;
use jiff::Timestamp;
use serde::Serialize;

use super::{moment, text};
use crate::cli::failure::Failure;
use crate::cli::output::Tone;
use crate::cli::output::table::{Cell, Table};
use crate::cli::output::text::{age, count, local_times, moment as words};

/// The document of `extend whitelist`.
#[derive(Debug, Clone, Serialize)]
pub(crate) struct Whitelist {
    /// Each address with each enforcer that lets its kind in.
    pub(crate) addresses: Vec<Address>,
    /// Who sees to it.
    pub(crate) enforcers: Vec<Enforcer>,
    /// The controller's own door.
    pub(crate) door: Door,
}

/// An address with one enforcer.
#[derive(Debug, Clone, Serialize)]
pub(crate) struct Address {
    pub(crate) address: String,
    pub(crate) kind: &'static str,
    pub(crate) server: String,
    pub(crate) r#type: String,
    pub(crate) node: String,
    /// None: nobody lets addresses of this kind in.
    pub(crate) enforcer: Option<String>,
    pub(crate) state: State,
    /// What lets it in, or keeps it out.
    pub(crate) by: Option<Entry>,
    pub(crate) note: Option<String>,
}

/// How an address stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum State {
    InForce,
    Expiring,
    Missing,
    Leaving,
    Denied,
    Unknown,
    NotEnforced,
}

/// An entry that an enforcer has found.
#[derive(Debug, Clone, Serialize)]
pub(crate) struct Entry {
    pub(crate) id: String,
    pub(crate) net: String,
    pub(crate) verdict: &'static str,
    pub(crate) expires_at: Option<Timestamp>,
    pub(crate) description: String,
    /// Extend has made it.
    pub(crate) own: bool,
}

/// Who sees to it that addresses are let in.
#[derive(Debug, Clone, Serialize)]
pub(crate) struct Enforcer {
    pub(crate) name: String,
    pub(crate) looked_at: Option<Timestamp>,
    pub(crate) problem: Option<String>,
    pub(crate) hint: Option<String>,
    pub(crate) problem_since: Option<Timestamp>,
    /// Made by Extend, for no server that it knows.
    pub(crate) orphans: Vec<Entry>,
    /// Made by others, and lets addresses in that must be.
    pub(crate) foreign: Vec<Entry>,
    /// Keeps addresses out that must be let in.
    pub(crate) denies: Vec<Entry>,
    /// What somebody had changed and was put right, the last ones.
    pub(crate) drift: Vec<Drift>,
    /// It did not come to an end while this was waited for.
    pub(crate) late: bool,
}

/// What somebody had changed and was put right.
#[derive(Debug, Clone, Serialize)]
pub(crate) struct Drift {
    pub(crate) at: Option<Timestamp>,
    pub(crate) sentence: String,
}

/// The controller's own door, before the TLS handshake.
#[derive(Debug, Clone, Copy, Serialize)]
pub(crate) struct Door {
    /// So many enrolled nodes are let in.
    pub(crate) nodes: u32,
    /// All sources are that are not refused, because the store is new.
    pub(crate) recovering: bool,
}

impl TryFrom<v1::WhitelistView> for Whitelist {
    type Error = Failure;

    fn try_from(view: v1::WhitelistView) -> Result<Self, Failure> {
        let rows = view.rows.into_iter().map(Address::try_from);
        let enforcers = view.enforcers.into_iter().map(Enforcer::try_from);
        Ok(Self {
            addresses: rows.collect::<Result<_, _>>()?,
            enforcers: enforcers.collect::<Result<_, _>>()?,
            door: Door {
                nodes: view.door_nodes,
                recovering: view.door_recovering,
            },
        })
    }
}

impl TryFrom<v1::WhitelistRow> for Address {
    type Error = Failure;

    fn try_from(row: v1::WhitelistRow) -> Result<Self, Failure> {
        let enforcer = text(row.enforcer);
        let state = match v1::WhitelistState::try_from(row.state) {
            _ if enforcer.is_none() => State::NotEnforced,
            Ok(v1::WhitelistState::InForce) => State::InForce,
            Ok(v1::WhitelistState::Expiring) => State::Expiring,
            Ok(v1::WhitelistState::Missing) => State::Missing,
            Ok(v1::WhitelistState::Leaving) => State::Leaving,
            Ok(v1::WhitelistState::Denied) => State::Denied,
            // A controller that is newer knows of more.
            _ => State::Unknown,
        };
        Ok(Self {
            address: text(row.address).unwrap_or_default(),
            kind: if row.public { "public" } else { "private" },
            server: text(row.name).unwrap_or_default(),
            r#type: text(row.role).unwrap_or_default(),
            node: text(row.node).unwrap_or_default(),
            enforcer,
            state,
            by: row.by.map(Entry::try_from).transpose()?,
            note: text(row.note),
        })
    }
}

impl TryFrom<v1::WhitelistEntry> for Entry {
    type Error = Failure;

    fn try_from(entry: v1::WhitelistEntry) -> Result<Self, Failure> {
        Ok(Self {
            expires_at: moment("expires_ms", entry.expires_ms)?,
            id: text(entry.id).unwrap_or_default(),
            net: text(entry.net).unwrap_or_default(),
            verdict: if entry.deny { "deny" } else { "accept" },
            description: text(entry.description).unwrap_or_default(),
            own: entry.ours,
        })
    }
}

impl TryFrom<v1::WhitelistEnforcer> for Enforcer {
    type Error = Failure;

    fn try_from(one: v1::WhitelistEnforcer) -> Result<Self, Failure> {
        let all = |entries: Vec<v1::WhitelistEntry>| {
            let entries = entries.into_iter().map(Entry::try_from);
            entries.collect::<Result<Vec<_>, _>>()
        };
        let drift = one.drift.into_iter().map(|drift| {
            Ok(Drift {
                at: moment("at_ms", drift.at_ms)?,
                sentence: text(drift.sentence).unwrap_or_default(),
            })
        });
        Ok(Self {
            name: text(one.name).unwrap_or_default(),
            looked_at: moment("looked_ms", one.looked_ms)?,
            problem: text(one.problem),
            hint: text(one.hint),
            problem_since: moment("problem_since_ms", one.problem_since_ms)?,
            orphans: all(one.orphans)?,
            foreign: all(one.foreign)?,
            denies: all(one.denies)?,
            drift: drift.collect::<Result<_, Failure>>()?,
            late: one.late,
        })
    }
}

impl State {
    fn word(self) -> &'static str {
        match self {
            Self::InForce => "in-force",
            Self::Expiring => "expiring",
            Self::Missing => "missing",
            Self::Leaving => "leaving",
            Self::Denied => "denied",
            Self::Unknown => "unknown",
            Self::NotEnforced => "not-enforced",
        }
    }

    fn tone(self) -> Tone {
        match self {
            Self::InForce => Tone::Good,
            Self::Expiring | Self::Leaving | Self::Unknown => Tone::Busy,
            Self::Missing | Self::Denied => Tone::Bad,
            Self::NotEnforced => Tone::Faint,
        }
    }
}

/// What a narrow terminal has no room for, the least needed first.
const SPARE: &[&str] = &["KIND", "EXPIRES"];

impl Whitelist {
    /// Whether every address is let in, nothing that is withdrawn still is, and everybody could
    /// look and do what follows. Orphans, and what is let in by others, are no fault.
    pub(crate) fn is_in_force(&self) -> bool {
        let fine = |one: &Enforcer| one.looked_at.is_some() && one.problem.is_none() && !one.late;
        let let_in = |one: &Address| matches!(one.state, State::InForce | State::NotEnforced);
        self.enforcers.iter().all(fine) && self.addresses.iter().all(let_in)
    }

    /// Every orphan with its enforcer.
    pub(crate) fn orphans(&self) -> impl Iterator<Item = (&str, &Entry)> {
        self.enforcers.iter().flat_map(|one| {
            let orphans = one.orphans.iter();
            orphans.map(|entry| (one.name.as_str(), entry))
        })
    }

    /// What was put right, a line each.
    pub(crate) fn drift(&self, now: Timestamp) -> Vec<String> {
        let line = |one: &Enforcer, drift: &Drift| {
            let ago = drift.at.map(|at| format!("{} ago, ", age(at, now)));
            let sentence = local_times(&drift.sentence, now);
            format!("{}{}: {sentence}", ago.unwrap_or_default(), one.name)
        };
        let all = self.enforcers.iter();
        all.flat_map(|one| one.drift.iter().map(move |drift| line(one, drift)))
            .collect()
    }

    /// The addresses, who sees to them, and entries that somebody should know of.
    pub(crate) fn tables(&self, wide: bool, now: Timestamp) -> Vec<Table> {
        let mut tables = Vec::new();
        if !self.addresses.is_empty() {
            tables.push(self.addresses_table(wide, now));
        }
        tables.push(self.enforcers_table(now));
        let others = self.others_table(wide, now);
        tables.extend(others);
        tables
    }

    fn addresses_table(&self, wide: bool, now: Timestamp) -> Table {
        let mut heading = vec!["ADDRESS", "KIND", "SERVER", "ENFORCER", "STATE", "EXPIRES"];
        if wide {
            heading.extend(["TYPE", "NODE", "ENTRY", "ID", "DESCRIPTION"]);
        }
        heading.push("NOTE");
        let mut table = Table::new(heading).sparing(if wide { &[] } else { SPARE });
        for one in &self.addresses {
            let by = one.by.as_ref();
            let mut cells = vec![
                Cell::from(one.address.clone()),
                one.kind.into(),
                one.server.clone().into(),
                one.enforcer.clone().unwrap_or_default().into(),
                Cell::toned(one.state.word(), one.state.tone()),
                by.map(|entry| entry.expires(now))
                    .unwrap_or_default()
                    .into(),
            ];
            if wide {
                let part = |of: fn(&Entry) -> &String| by.map(of).cloned().unwrap_or_default();
                cells.extend([
                    Cell::from(one.r#type.clone()),
                    one.node.clone().into(),
                    part(|entry| &entry.net).into(),
                    part(|entry| &entry.id).into(),
                    part(|entry| &entry.description).into(),
                ]);
            }
            cells.push(one.note.clone().unwrap_or_default().into());
            table.row(cells);
        }
        table
    }

    fn enforcers_table(&self, now: Timestamp) -> Table {
        let mut table = Table::new(vec!["ENFORCER", "STATE", "LOOKED", "NOTE"]);
        for one in &self.enforcers {
            let (word, tone) = one.state();
            table.row(vec![
                one.name.clone().into(),
                Cell::toned(word, tone),
                one.looked_at
                    .map(|at| format!("{} ago", age(at, now)))
                    .unwrap_or_default()
                    .into(),
                one.note(now).into(),
            ]);
        }
        let door = if self.door.recovering {
            "lets in every source that is not refused, until the records are back".to_owned()
        } else {
            let nodes = self.door.nodes as usize;
            format!("lets in the agents of {}", count(nodes, "enrolled node"))
        };
        table.row(vec![
            "door".into(),
            Cell::toned("in-force", Tone::Good),
            "".into(),
            door.into(),
        ]);
        table
    }

    /// Entries that are not as everything else: of others, against us, and of nobody.
    fn others_table(&self, wide: bool, now: Timestamp) -> Option<Table> {
        let mut heading = vec!["OTHER ENTRY", "WHAT", "ENFORCER", "EXPIRES"];
        if wide {
            heading.push("ID");
        }
        heading.push("DESCRIPTION");
        let mut table = Table::new(heading);
        let mut found = false;
        for one in &self.enforcers {
            let kinds = [
                ("denies", Tone::Bad, &one.denies),
                ("foreign", Tone::Plain, &one.foreign),
                ("orphan", Tone::Busy, &one.orphans),
            ];
            for (what, tone, entries) in kinds {
                for entry in entries {
                    found = true;
                    let mut cells = vec![
                        Cell::from(entry.net.clone()),
                        Cell::toned(what, tone),
                        one.name.clone().into(),
                        entry.expires(now).into(),
                    ];
                    if wide {
                        cells.push(entry.id.clone().into());
                    }
                    cells.push(entry.description.clone().into());
                    table.row(cells);
                }
            }
        }
        found.then_some(table)
    }
}

impl Entry {
    fn expires(&self, now: Timestamp) -> String {
        match self.expires_at {
            None => "never".to_owned(),
            Some(at) if at <= now => format!("lapsed {} ago", age(at, now)),
            Some(at) => words(at, now),
        }
    }
}

impl Enforcer {
    fn state(&self) -> (&'static str, Tone) {
        if self.problem.is_some() {
            ("trouble", Tone::Bad)
        } else if self.late {
            ("late", Tone::Busy)
        } else if self.looked_at.is_none() {
            ("not-looked-yet", Tone::Busy)
        } else {
            ("looked", Tone::Good)
        }
    }

    fn note(&self, now: Timestamp) -> String {
        let since = self
            .problem_since
            .map(|at| format!(" (for {})", age(at, now)))
            .unwrap_or_default();
        let problem = self.problem.as_ref().map(|problem| {
            let hint = self
                .hint
                .as_ref()
                .map(|hint| format!("; {hint}"))
                .unwrap_or_default();
            format!("{}{since}{hint}", local_times(problem, now))
        });
        problem.unwrap_or_default()
    }
}
