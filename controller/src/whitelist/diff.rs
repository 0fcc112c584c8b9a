//! What follows from what is wanted and what is there.

use std::cmp::Ordering;
use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::net::Ipv4Addr;

use jiff::Timestamp;

use extend_common::clock::after;

use super::{Entry, Holder, LetIn, Policy, Verdict};

/// One thing that an enforcer does. Each is harmless when it is done twice.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Step {
    /// Makes an entry.
    Add {
        /// For this address alone.
        address: Ipv4Addr,
        /// For whom.
        holder: Holder,
        /// When it is to lapse.
        expires: Option<Timestamp>,
    },
    /// Has an entry of ours last longer and tell for whom it is.
    Renew {
        /// Which.
        id: String,
        /// For this address alone.
        address: Ipv4Addr,
        /// For whom.
        holder: Holder,
        /// When it is to lapse.
        expires: Option<Timestamp>,
    },
    /// Takes an entry of ours away.
    Remove {
        /// Which.
        id: String,
        /// The address that it let in.
        address: Ipv4Addr,
    },
}

impl Step {
    /// The address that it is about.
    pub fn address(&self) -> Ipv4Addr {
        match self {
            Self::Add { address, .. }
            | Self::Renew { address, .. }
            | Self::Remove { address, .. } => *address,
        }
    }
}

/// How an address stands with an enforcer.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum State {
    /// It is let in, and will be.
    InForce,
    /// It is let in, soon no more, and that cannot be helped here.
    Expiring,
    /// It is not let in.
    Missing,
    /// It is withdrawn, and an entry of ours is still there.
    Leaving,
    /// An entry keeps it out, whatever lets it in.
    Denied,
}

/// How one address stands.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Standing {
    /// Which.
    pub address: Ipv4Addr,
    /// For whom.
    pub holder: Holder,
    /// How.
    pub state: State,
    /// What lets it in, or keeps it out.
    pub by: Option<Entry>,
    /// What else a person wants to know; empty: nothing.
    pub note: String,
}

/// More would have to be added than there may be.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct OverLimit {
    /// So many are there.
    pub have: usize,
    /// So many would have to be added.
    pub adding: usize,
    /// No more than so many may be there.
    pub limit: usize,
}

impl fmt::Display for OverLimit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            have,
            adding,
            limit,
        } = self;
        write!(
            f,
            "{adding} more entries than the {have} that are there would be over the limit of {limit}"
        )
    }
}

/// What follows.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Diff {
    /// What is to be done: adds, then renewals, then removals.
    pub steps: Vec<Step>,
    /// How every address stands, as it is now.
    pub standings: Vec<Standing>,
    /// Entries of ours that belong to no row.
    pub orphans: Vec<Entry>,
    /// Entries of others that let wanted addresses in.
    pub foreign_accepts: Vec<Entry>,
    /// Entries that keep wanted addresses out.
    pub denies: Vec<Entry>,
    /// Withdrawn addresses of which nothing of ours is left.
    pub gone: BTreeSet<Ipv4Addr>,
    /// Nothing is added, because all of it would be too much.
    pub over_limit: Option<OverLimit>,
}

/// What has to be done so that all of `wanted` is let in and nothing of ours is left for what is
/// withdrawn, where `actual` is there.
///
/// Where everything that is missing would be more than there may be, nothing of it is added:
/// no list is applied by half. Removals go on, because they alone can make room, and what they
/// take away lets nobody in who is wanted.
pub fn diff(wanted: &LetIn, actual: &[Entry], policy: &Policy, now: Timestamp) -> Diff {
    let index = Index::of(actual);
    let mut result = Diff::default();
    let mut parts = Parts::default();
    for (address, holder) in &wanted.wanted {
        if policy.kinds.has(holder.kind) {
            let one = Wanted {
                address: *address,
                holder,
                policy,
                now,
            };
            result.standings.push(one.judge(&index, &mut parts));
        }
    }
    if let Some(limit) = policy.limit {
        let have = actual.len() + limit.others;
        if !parts.adds.is_empty() && have + parts.adds.len() > limit.quota {
            let over = OverLimit {
                have,
                adding: parts.adds.len(),
                limit: limit.quota,
            };
            leave_out(&mut result.standings, &mut parts.adds, over);
            result.over_limit = Some(over);
        }
    }
    for (address, holder) in &wanted.withdrawn {
        if !wanted.wanted.contains_key(address) {
            leave(*address, holder, &index, &mut result, &mut parts);
        }
    }
    result.orphans = orphans(wanted, actual);
    result.foreign_accepts = of(actual, &parts.foreign);
    result.denies = of(actual, &parts.denies);
    result.steps = parts.adds;
    result.steps.append(&mut parts.renewals);
    result.steps.append(&mut parts.removals);
    result
}

/// What is there, by what it is to us.
struct Index<'a> {
    /// Entries as we make them, by their address, the one that lasts longest first.
    own: BTreeMap<Ipv4Addr, Vec<&'a Entry>>,
    /// All others, with their places.
    others: Vec<(usize, &'a Entry)>,
}

impl<'a> Index<'a> {
    fn of(actual: &'a [Entry]) -> Self {
        let mut own: BTreeMap<Ipv4Addr, Vec<&Entry>> = BTreeMap::new();
        let mut others = Vec::new();
        for (place, entry) in actual.iter().enumerate() {
            match entry.own_address() {
                Some(address) => own.entry(address).or_default().push(entry),
                None => others.push((place, entry)),
            }
        }
        for entries in own.values_mut() {
            entries.sort_by(|a, b| lasting(b, a));
        }
        Self { own, others }
    }

    fn own(&self, address: Ipv4Addr) -> &[&'a Entry] {
        self.own.get(&address).map_or(&[], Vec::as_slice)
    }
}

/// What is gathered while address after address is judged.
#[derive(Default)]
struct Parts {
    adds: Vec<Step>,
    renewals: Vec<Step>,
    removals: Vec<Step>,
    /// Places among the entries.
    foreign: BTreeSet<usize>,
    denies: BTreeSet<usize>,
}

/// One address that has to be let in.
struct Wanted<'a> {
    address: Ipv4Addr,
    holder: &'a Holder,
    policy: &'a Policy,
    now: Timestamp,
}

impl Wanted<'_> {
    fn judge(&self, index: &Index<'_>, parts: &mut Parts) -> Standing {
        let (foreign, denied) = self.note_others(index, parts);
        let own = index.own(self.address);
        let (mut state, mut by, mut note) = match own.first() {
            Some(best) => self.keep(best, own, foreign, parts),
            None => self.find(foreign, parts),
        };
        if let Some(denied) = denied {
            state = State::Denied;
            by = Some(denied);
            note = "an entry that Extend does not touch keeps it out".to_owned();
        }
        Standing {
            address: self.address,
            holder: self.holder.clone(),
            state,
            by: by.cloned(),
            note,
        }
    }

    /// There is an entry of ours, `best` of several.
    fn keep<'e>(
        &self,
        best: &'e Entry,
        own: &[&Entry],
        foreign: Option<&'e Entry>,
        parts: &mut Parts,
    ) -> (State, Option<&'e Entry>, String) {
        let renamed = !best.description.is_empty() && best.description != self.holder.description();
        if renamed || !self.lasts(best) {
            parts.renewals.push(Step::Renew {
                id: best.id.clone(),
                address: self.address,
                holder: self.holder.clone(),
                expires: self.expires(),
            });
        }
        parts
            .removals
            .extend(own.iter().skip(1).map(|entry| Step::Remove {
                id: entry.id.clone(),
                address: self.address,
            }));
        if best.lives(self.now) {
            (State::InForce, Some(best), String::new())
        } else if let Some(foreign) = foreign {
            let note = "Extend's own entry has lapsed".to_owned();
            (State::InForce, Some(foreign), note)
        } else {
            let note = "Extend's entry has lapsed".to_owned();
            (State::Missing, None, note)
        }
    }

    /// There is no entry of ours.
    fn find<'e>(
        &self,
        foreign: Option<&'e Entry>,
        parts: &mut Parts,
    ) -> (State, Option<&'e Entry>, String) {
        if foreign.is_none_or(|entry| !self.lasts(entry)) {
            parts.adds.push(Step::Add {
                address: self.address,
                holder: self.holder.clone(),
                expires: self.expires(),
            });
        }
        match foreign {
            Some(entry) => {
                let note = "let in by an entry that is not Extend's".to_owned();
                (State::InForce, Some(entry), note)
            }
            None => (State::Missing, None, String::new()),
        }
    }

    /// Notes which entries that we did not make so concern this address: the one that lets it in
    /// longest, and the one that keeps it out longest.
    fn note_others<'e>(
        &self,
        index: &Index<'e>,
        parts: &mut Parts,
    ) -> (Option<&'e Entry>, Option<&'e Entry>) {
        let (mut accept, mut deny): (Option<&Entry>, Option<&Entry>) = (None, None);
        for (place, entry) in &index.others {
            let longest = if entry.denies(self.address, self.now) {
                parts.denies.insert(*place);
                &mut deny
            } else if !entry.ours && entry.accepts(self.address, self.now) {
                parts.foreign.insert(*place);
                &mut accept
            } else {
                continue;
            };
            if longest.is_none_or(|longest| lasting(longest, entry) == Ordering::Less) {
                *longest = Some(entry);
            }
        }
        (accept, deny)
    }

    /// Whether an entry lasts long enough that nothing has to be done about it.
    fn lasts(&self, entry: &Entry) -> bool {
        entry
            .expires
            .is_none_or(|expires| expires > after(self.now, self.policy.margin()))
    }

    fn expires(&self) -> Option<Timestamp> {
        self.policy.expiry.map(|expiry| after(self.now, expiry))
    }
}

/// Which of two entries lasts longer; of two that last as long, the order of their names decides,
/// so that everybody who looks decides the same.
fn lasting(a: &Entry, b: &Entry) -> Ordering {
    let end = |entry: &Entry| entry.expires.unwrap_or(Timestamp::MAX);
    end(a).cmp(&end(b)).then_with(|| b.id.cmp(&a.id))
}

/// Nothing is added; what would have been stands otherwise than it would.
fn leave_out(standings: &mut [Standing], adds: &mut Vec<Step>, over: OverLimit) {
    let left: BTreeMap<Ipv4Addr, Step> = adds.drain(..).map(|add| (add.address(), add)).collect();
    let concerned = standings
        .iter_mut()
        .filter(|standing| left.contains_key(&standing.address));
    for standing in concerned {
        if standing.state == State::InForce {
            standing.state = State::Expiring;
        }
        if standing.state != State::Denied {
            standing.note = format!(
                "not added: {} entries and {} more would be over the limit of {}",
                over.have, over.adding, over.limit
            );
        }
    }
}

/// Entries of ours go, because their address is withdrawn.
fn leave(
    address: Ipv4Addr,
    holder: &Holder,
    index: &Index<'_>,
    result: &mut Diff,
    parts: &mut Parts,
) {
    let own = index.own(address);
    let Some(first) = own.first() else {
        result.gone.insert(address);
        return;
    };
    result.standings.push(Standing {
        address,
        holder: holder.clone(),
        state: State::Leaving,
        by: Some((*first).clone()),
        note: String::new(),
    });
    parts.removals.extend(own.iter().map(|entry| Step::Remove {
        id: entry.id.clone(),
        address,
    }));
}

/// Entries of ours that belong to no row. One that a person has turned into a denial is no longer
/// what we made: it is shown as what it does.
fn orphans(wanted: &LetIn, actual: &[Entry]) -> Vec<Entry> {
    let has_row = |address: Ipv4Addr| {
        wanted.wanted.contains_key(&address) || wanted.withdrawn.contains_key(&address)
    };
    actual
        .iter()
        .filter(|entry| entry.ours && entry.verdict == Verdict::Accept)
        .filter(|entry| !entry.own_address().is_some_and(has_row))
        .cloned()
        .collect()
}

fn of(actual: &[Entry], places: &BTreeSet<usize>) -> Vec<Entry> {
    places
        .iter()
        .filter_map(|place| actual.get(*place).cloned())
        .collect()
}
