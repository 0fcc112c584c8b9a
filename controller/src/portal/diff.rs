//! What is to be done in the portal, from what it is to be and what one look has shown. Pure.
//!
//! A built-in server is never part of a step, and neither is an entry that nobody wanted to be
//! there or to be gone. An entry goes only when its name and its addresses are those of a server
//! that is no longer wanted; it is never moved, because the PBX does not change addresses.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::net::Ipv4Addr;

use extend_common::ids::NodeAddr;
use extend_common::roles::Resource;

use super::{Portal, PortalEntry, PortalWanted, Problem, Registration};

/// One thing to do.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Step {
    /// Take an entry away.
    Destroy(Target),
    /// Register a server.
    Create(NodeAddr, Registration),
    /// Let an entry have sessions.
    Enable(NodeAddr, Target),
    /// Let it have no more.
    Disable(NodeAddr, Target),
}

/// The entry that a step is about.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Target {
    /// Under which menu item.
    pub resource: Resource,
    /// The PBX's id of it.
    pub id: String,
    /// Its name, for people.
    pub name: String,
}

impl Target {
    fn of(entry: &PortalEntry) -> Self {
        Self {
            resource: entry.resource,
            id: entry.id.clone(),
            name: entry.name.clone(),
        }
    }
}

impl Step {
    /// For whose node it is done; a server that goes has none any more.
    #[must_use]
    pub fn node(&self) -> Option<NodeAddr> {
        match self {
            Self::Destroy(_) => None,
            Self::Create(node, _) | Self::Enable(node, _) | Self::Disable(node, _) => Some(*node),
        }
    }
}

impl fmt::Display for Step {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Destroy(target) => write!(f, "unregister {}", target.name),
            Self::Create(_, new) => write!(f, "register {}", new.name),
            Self::Enable(_, target) => write!(f, "enable {}", target.name),
            Self::Disable(_, target) => write!(f, "disable {}", target.name),
        }
    }
}

/// What a look leads to.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Diff {
    /// In the order in which they are done: what is former goes first, so that its name and its
    /// addresses are free.
    pub steps: Vec<Step>,
    /// What only a person can put right.
    pub problems: BTreeMap<NodeAddr, Problem>,
}

/// Compares.
#[must_use]
pub fn diff(wanted: &PortalWanted, portal: &Portal) -> Diff {
    let external: Vec<&PortalEntry> = portal.entries.iter().filter(|e| !e.internal).collect();
    let going: Vec<&PortalEntry> = external
        .iter()
        .copied()
        .filter(|entry| {
            let mut former = wanted
                .former
                .iter()
                .filter(|former| former.stands_as(entry));
            let by_hand = |new: &Registration| new.stands_as(entry);
            // What stands there just as it was made goes; what was made by hand only when nobody
            // wants it.
            former
                .any(|one| entry.is_at(&one.addresses) || !wanted.registered.values().any(by_hand))
        })
        .filter(|entry| !wanted.registered.values().any(|new| is_of(entry, new)))
        .collect();
    let mut diff = Diff::default();
    // A server has one entry that was made by hand, and that is nobody else's.
    let mut taken = BTreeSet::new();
    let (mut creates, mut enables, mut disables) = (Vec::new(), Vec::new(), Vec::new());
    for (node, new) in &wanted.registered {
        let mut ours: Vec<&PortalEntry> =
            external.iter().copied().filter(|e| is_of(e, new)).collect();
        if ours.is_empty() {
            let free = |entry: &&PortalEntry| {
                let others = wanted.registered.values().any(|other| is_of(entry, other));
                new.stands_as(entry) && !others && !taken.contains(&entry.id)
            };
            let by_hand = external.iter().copied().filter(free);
            ours.extend(by_hand.filter(|e| !going.iter().any(|gone| gone.id == e.id)));
            taken.extend(ours.iter().map(|entry| entry.id.clone()));
        }
        if ours.is_empty() {
            match in_the_way(new, portal, &going) {
                InTheWay::Nothing => creates.push(Step::Create(*node, new.clone())),
                // It is looked again when they are gone.
                InTheWay::Going => {}
                InTheWay::Entry(problem) => {
                    diff.problems.insert(*node, problem);
                }
            }
        }
        // One that is there twice is the same server twice: both are as it is to be.
        for entry in ours {
            match new.enabled {
                Some(true) if !entry.enabled => {
                    enables.push(Step::Enable(*node, Target::of(entry)))
                }
                Some(false) if entry.enabled => {
                    disables.push(Step::Disable(*node, Target::of(entry)));
                }
                _ => {}
            }
        }
    }
    let destroys = going.iter().map(|entry| Step::Destroy(Target::of(entry)));
    diff.steps = destroys
        .chain(creates)
        .chain(enables)
        .chain(disables)
        .collect();
    diff
}

/// Whether the entry is this server's.
#[must_use]
pub fn is_of(entry: &PortalEntry, new: &Registration) -> bool {
    !entry.internal
        && entry.resource == new.resource
        && entry.name == new.name.as_str()
        && entry.is_at(&new.addresses())
}

enum InTheWay {
    Nothing,
    Going,
    Entry(Problem),
}

/// What keeps a server from being registered: its name or one of its addresses is taken.
fn in_the_way(new: &Registration, portal: &Portal, going: &[&PortalEntry]) -> InTheWay {
    let addresses = new.addresses();
    let mut way = InTheWay::Nothing;
    for entry in &portal.entries {
        let same_name = entry.name == new.name.as_str();
        let shares = entry.addresses.iter().any(|at| addresses.contains(at));
        // A built-in server stands at the PBX's own addresses, and no node of ours is there.
        let other_name = shares && !entry.internal;
        if entry.resource != new.resource || !(same_name || other_name) {
            continue;
        }
        if going.iter().any(|gone| gone.id == entry.id) {
            way = InTheWay::Going;
            continue;
        }
        return InTheWay::Entry(taken(new, entry, same_name));
    }
    way
}

fn taken(new: &Registration, entry: &PortalEntry, same_name: bool) -> Problem {
    let wanted = list(&new.addresses());
    let sentence = if entry.internal {
        format!(
            "cannot register {} in the portal: the PBX's built-in server has that name",
            new.name
        )
    } else if same_name {
        format!(
            "cannot register {} in the portal: the name stands there with {} and not with {wanted}, \
             and addresses cannot be changed",
            new.name,
            list(&entry.addresses)
        )
    } else {
        format!(
            "cannot register {} in the portal: {wanted} stands there under the name {}",
            new.name, entry.name
        )
    };
    let hint = if entry.internal {
        "remove the server and run it under another name".to_owned()
    } else if same_name {
        format!(
            "if nothing uses it, remove the entry {} in the portal",
            entry.name
        )
    } else {
        format!(
            "remove the entry {} in the portal, or run the server under that name",
            entry.name
        )
    };
    Problem {
        sentence,
        hint,
        lasting: true,
    }
}

fn list(addresses: &[Ipv4Addr]) -> String {
    if addresses.is_empty() {
        return "no address".to_owned();
    }
    let words: Vec<String> = addresses.iter().map(ToString::to_string).collect();
    words.join(" and ")
}
