//! The list with how everybody stands to it, for people.

use std::collections::{BTreeMap, BTreeSet};
use std::net::Ipv4Addr;

use jiff::Timestamp;

use super::{EnforcerKind, Entry, Holder, LetIn, Problem, Round, Standing, State};

/// Everything that is known of the whitelist.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Overview {
    /// Every address with every enforcer that lets its kind in.
    pub rows: Vec<Row>,
    /// Who sees to it.
    pub enforcers: Vec<EnforcerView>,
    /// So many nodes the controller's door lets in.
    pub door_nodes: usize,
    /// The door lets everybody in who is not refused.
    pub door_recovering: bool,
}

/// One address with one enforcer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Row {
    /// Which.
    pub address: Ipv4Addr,
    /// For whom.
    pub holder: Holder,
    /// With whom; nobody lets addresses of this kind in.
    pub enforcer: Option<EnforcerKind>,
    /// How; none is not known.
    pub state: Option<State>,
    /// What lets it in, or keeps it out.
    pub by: Option<Entry>,
    /// What else there is to say.
    pub note: String,
}

/// What an enforcer has told.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct EnforcerView {
    /// Which.
    pub kind: EnforcerKind,
    /// When it looked last.
    pub looked: Option<Timestamp>,
    /// What is wrong.
    pub problem: Option<Problem>,
    /// Entries of ours that belong to no row.
    pub orphans: Vec<Entry>,
    /// Entries of others that let wanted addresses in.
    pub foreign: Vec<Entry>,
    /// Entries that keep wanted addresses out.
    pub denies: Vec<Entry>,
    /// What people had changed and was put right.
    pub drift: Vec<Drift>,
}

/// What somebody had changed and was put right.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Drift {
    /// When.
    pub at: Timestamp,
    /// What.
    pub sentence: String,
}

impl Overview {
    /// Puts together what is wanted and what each enforcer told last.
    pub fn of(
        list: &LetIn,
        enforcers: impl IntoIterator<Item = (EnforcerKind, Option<Round>, Vec<Drift>)>,
    ) -> Self {
        let mut overview = Self::default();
        let mut tended = BTreeSet::new();
        for (kind, round, drift) in enforcers {
            let concerned = list
                .wanted
                .iter()
                .filter(|(_, holder)| kind.kinds().has(holder.kind));
            let seen = round.as_ref().and_then(|round| round.result.as_ref().ok());
            let standings: BTreeMap<Ipv4Addr, &Standing> = seen
                .into_iter()
                .flat_map(|seen| &seen.standings)
                .map(|standing| (standing.address, standing))
                .collect();
            for (address, holder) in concerned {
                tended.insert(*address);
                let row = match standings.get(address) {
                    Some(standing) if standing.state != State::Leaving => row(kind, standing),
                    // It has become wanted since the enforcer looked, or nothing was seen.
                    _ => Row::of(*address, holder, Some(kind)),
                };
                overview.rows.push(row);
            }
            let leaving = standings.values().filter(|one| {
                one.state == State::Leaving && !list.wanted.contains_key(&one.address)
            });
            overview.rows.extend(leaving.map(|one| row(kind, one)));
            overview.enforcers.push(enforcer(kind, round, drift));
        }
        let others = list
            .wanted
            .iter()
            .filter(|(address, _)| !tended.contains(address));
        let others = others.map(|(address, holder)| Row::of(*address, holder, None));
        overview.rows.extend(others);
        overview
            .rows
            .sort_by_key(|row| (row.holder.node, row.holder.kind, row.address, row.enforcer));
        overview
    }
}

impl Row {
    /// One of which nothing is known.
    fn of(address: Ipv4Addr, holder: &Holder, enforcer: Option<EnforcerKind>) -> Self {
        Self {
            address,
            holder: holder.clone(),
            enforcer,
            state: None,
            by: None,
            note: String::new(),
        }
    }
}

fn row(kind: EnforcerKind, standing: &Standing) -> Row {
    Row {
        state: Some(standing.state),
        by: standing.by.clone(),
        note: standing.note.clone(),
        ..Row::of(standing.address, &standing.holder, Some(kind))
    }
}

fn enforcer(kind: EnforcerKind, round: Option<Round>, drift: Vec<Drift>) -> EnforcerView {
    let looked = round.as_ref().map(|round| round.at);
    let (seen, problem) = match round.map(|round| round.result) {
        Some(Ok(mut seen)) => {
            let trouble = seen.trouble.take();
            (seen, trouble)
        }
        Some(Err(problem)) => (super::Seen::default(), Some(problem)),
        None => (super::Seen::default(), None),
    };
    EnforcerView {
        kind,
        looked,
        problem,
        orphans: seen.orphans,
        foreign: seen.foreign_accepts,
        denies: seen.denies,
        drift,
    }
}
