//! An enforcer that is nowhere but in memory, for simulations: whoever holds the [`Outside`] sees
//! what is there, changes it as a person would, and has things go wrong.

use std::collections::{BTreeSet, VecDeque};
use std::net::Ipv4Addr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use ipnet::IpNet;
use tokio::time::Instant;

use extend_common::clock::Clock;

use super::{Enforcer, Fault, FaultKind};
use crate::whitelist::{EnforcerKind, Entry, Policy, Step, Verdict};

/// What goes wrong, once.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Mishap {
    /// It is refused, and nothing happens.
    Refuse(FaultKind),
    /// It happens, and the answer is an error that does not say so.
    Blur,
    /// It happens, and the answer never comes.
    LoseAnswer,
    /// It does not happen, and no answer comes.
    Swallow,
}

/// What is outside.
#[derive(Debug, Default)]
pub struct Outside {
    /// The entries that are there.
    pub entries: Vec<Entry>,
    /// What becomes of the next steps; those after them go well.
    pub mishaps: VecDeque<Option<Mishap>>,
    /// What becomes of the next looks.
    pub blind: VecDeque<Option<Mishap>>,
    /// What the next so many looks show instead of what is there: the past.
    pub past: Option<(usize, Vec<Entry>)>,
    /// Steps that have happened, and when.
    pub happened: Vec<(Instant, Step)>,
    /// When it was looked.
    pub looks: Vec<Instant>,
    /// Who must not be kept out once they are let in.
    pub needed: BTreeSet<Ipv4Addr>,
    /// Who was, and by which step.
    pub outages: Vec<(Ipv4Addr, Step)>,
    made: usize,
}

impl Outside {
    /// Makes an entry, as a person would or as [`Step::Add`] does; gives back its id.
    pub fn put(&mut self, mut entry: Entry) -> String {
        self.made += 1;
        entry.id = format!("e{}", self.made);
        self.entries.push(entry);
        format!("e{}", self.made)
    }

    /// What a look shows.
    fn shown(&mut self) -> Vec<Entry> {
        match &mut self.past {
            Some((left, entries)) if *left > 0 => {
                *left -= 1;
                entries.clone()
            }
            _ => self.entries.clone(),
        }
    }

    fn happen(&mut self, step: &Step, clock: &Clock) {
        let now = clock.now();
        let let_in = |entries: &[Entry], address: &Ipv4Addr| {
            entries.iter().any(|entry| entry.accepts(*address, now))
        };
        let before = self.entries.clone();
        self.change(step);
        let lost = self
            .needed
            .iter()
            .filter(|address| let_in(&before, address) && !let_in(&self.entries, address));
        self.outages
            .extend(lost.map(|address| (*address, step.clone())));
        self.happened.push((Instant::now(), step.clone()));
    }

    fn change(&mut self, step: &Step) {
        match step {
            Step::Add {
                address,
                holder,
                expires,
            } => {
                self.put(Entry {
                    id: String::new(),
                    net: IpNet::from(std::net::IpAddr::V4(*address)),
                    verdict: Verdict::Accept,
                    expires: *expires,
                    description: holder.description(),
                    ours: true,
                });
            }
            Step::Renew {
                id,
                holder,
                expires,
                ..
            } => {
                if let Some(entry) = self.entries.iter_mut().find(|entry| entry.id == *id) {
                    entry.expires = *expires;
                    entry.description = holder.description();
                }
            }
            Step::Remove { id, .. } => self.entries.retain(|entry| entry.id != *id),
        }
    }
}

/// Acts on an [`Outside`].
#[derive(Debug, Clone)]
pub struct InMemory {
    outside: Arc<Mutex<Outside>>,
    kind: EnforcerKind,
    policy: Policy,
    clock: Clock,
}

impl InMemory {
    /// One that has nothing yet.
    pub fn new(kind: EnforcerKind, policy: Policy, clock: Clock) -> Self {
        Self {
            outside: Arc::default(),
            kind,
            policy,
            clock,
        }
    }

    /// What is there.
    pub fn outside(&self) -> MutexGuard<'_, Outside> {
        self.outside.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Enforcer for InMemory {
    fn kind(&self) -> EnforcerKind {
        self.kind
    }

    fn policy(&self) -> Policy {
        self.policy
    }

    async fn look(&mut self) -> Result<Vec<Entry>, Fault> {
        let mishap = {
            let mut outside = self.outside();
            outside.looks.push(Instant::now());
            outside.blind.pop_front().flatten()
        };
        answer(mishap, "looking at the entries").await?;
        Ok(self.outside().shown())
    }

    async fn apply(&mut self, step: &Step) -> Result<(), Fault> {
        let mishap = {
            let mut outside = self.outside();
            let mishap = outside.mishaps.pop_front().flatten();
            if !matches!(mishap, Some(Mishap::Refuse(_) | Mishap::Swallow)) {
                outside.happen(step, &self.clock);
            }
            mishap
        };
        answer(mishap, "changing an entry").await
    }
}

async fn answer(mishap: Option<Mishap>, what: &str) -> Result<(), Fault> {
    let fault = |kind: FaultKind| Fault {
        kind,
        sentence: format!("{what}: it was arranged to fail"),
        hint: "arrange it otherwise".to_owned(),
        wait: None,
    };
    match mishap {
        None => Ok(()),
        Some(Mishap::Refuse(kind)) => Err(fault(kind)),
        Some(Mishap::Blur) => Err(fault(FaultKind::Unclear)),
        Some(Mishap::LoseAnswer | Mishap::Swallow) => std::future::pending().await,
    }
}
