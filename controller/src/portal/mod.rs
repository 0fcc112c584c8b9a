//! The PBX's portal as the controller sees it: which servers are to be registered there, and what
//! one look at it has shown. Plain values; `pbx` speaks to the API, `enforce` compares and acts,
//! and what is to be is decided in [`crate::core`].

mod diff;

#[cfg(test)]
mod tests;

use std::collections::BTreeMap;
use std::net::Ipv4Addr;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use extend_common::ids::{NodeAddr, ServerName};
use extend_common::roles::Resource;

pub use diff::{Diff, Step, Target, diff, is_of};

/// What a server may carry at most, as it is registered.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Limits {
    /// Sessions of a media server; none leaves it to the PBX (2000, "do not exceed 5,000").
    pub max_sessions: Option<u32>,
    /// Rooms of a meeting server.
    pub max_rooms: Option<u32>,
    /// Participants of a meeting server.
    pub max_participants: Option<u32>,
}

impl Limits {
    /// These, and for what they do not say, others.
    #[must_use]
    pub fn or(self, others: Self) -> Self {
        Self {
            max_sessions: self.max_sessions.or(others.max_sessions),
            max_rooms: self.max_rooms.or(others.max_rooms),
            max_participants: self.max_participants.or(others.max_participants),
        }
    }
}

/// A server as the portal is to have it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Registration {
    /// Its name there.
    pub name: ServerName,
    /// Under which menu item.
    pub resource: Resource,
    /// Its node's private address.
    pub private: Ipv4Addr,
    /// Its node's Elastic IP.
    pub public: Option<Ipv4Addr>,
    /// What it may carry; set when it is registered, and no more touched.
    pub limits: Limits,
    /// Whether it is to take sessions; none leaves that as it is found.
    pub enabled: Option<bool>,
}

impl Registration {
    /// The addresses that it is registered with: a media server with both, the others with their
    /// Elastic IP, or with the private address where there is none.
    pub fn addresses(&self) -> Vec<Ipv4Addr> {
        match self.resource {
            Resource::MediaServers => [Some(self.private), self.public]
                .into_iter()
                .flatten()
                .collect(),
            Resource::ConferenceServers | Resource::CallQueueServers | Resource::IvrServers => {
                vec![self.public.unwrap_or(self.private)]
            }
        }
    }
}

impl Registration {
    /// Every address of its node that is known.
    pub fn known(&self) -> Vec<Ipv4Addr> {
        [Some(self.private), self.public]
            .into_iter()
            .flatten()
            .collect()
    }

    /// Whether an entry that somebody has made by hand is this server's: it has its name, and one
    /// of its addresses as far as they are known. One that was made for it has all of them.
    pub fn stands_as(&self, entry: &PortalEntry) -> bool {
        let known = self.known();
        let shares = entry.addresses.iter().any(|at| known.contains(at));
        !entry.internal
            && entry.resource == self.resource
            && entry.name == self.name.as_str()
            && (shares || self.public.is_none())
    }
}

/// A server that is to be there no longer. Only an entry of this name **and** one of these
/// addresses goes.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Former {
    /// Its name there.
    pub name: ServerName,
    /// Under which menu item.
    pub resource: Resource,
    /// Every address of its node that was known.
    pub addresses: Vec<Ipv4Addr>,
}

impl Former {
    /// Whether an entry is this server's.
    pub fn stands_as(&self, entry: &PortalEntry) -> bool {
        !entry.internal
            && entry.resource == self.resource
            && entry.name == self.name.as_str()
            && entry.addresses.iter().any(|at| self.addresses.contains(at))
    }
}

/// What the portal is to be, as far as the fleet is concerned. What it does not name is not
/// touched.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct PortalWanted {
    /// The servers, by their nodes.
    pub registered: BTreeMap<NodeAddr, Registration>,
    /// What is to go, before anything of the same name is registered anew.
    pub former: Vec<Former>,
}

/// Why something could not be done, for people.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Problem {
    /// One sentence: operation, object, cause.
    pub sentence: String,
    /// What to do about it; may be empty.
    pub hint: String,
    /// Waiting does not help: a person has to do something.
    pub lasting: bool,
}

/// What one look at the portal has shown, and what came of what was done before it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PortalSeen {
    /// When the look was begun: what was changed before this moment is in it.
    pub at: Timestamp,
    /// What was seen, or why nothing was.
    pub result: Result<Portal, Problem>,
}

/// The portal.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Portal {
    /// The version of the PBX, as its `/admin/status` tells it.
    pub version: String,
    /// The servers of all four kinds, the built-in ones too.
    pub entries: Vec<PortalEntry>,
    /// What could not be done for the server of a node since it was wanted; gone once it is done.
    pub problems: BTreeMap<NodeAddr, Problem>,
}

/// A server in the portal.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PortalEntry {
    /// Under which menu item.
    pub resource: Resource,
    /// The PBX's id of it.
    pub id: String,
    /// Its name.
    pub name: String,
    /// Built in (`INTERNAL`): never changed.
    pub internal: bool,
    /// Whether it takes sessions.
    pub enabled: bool,
    /// The addresses that it is registered with.
    pub addresses: Vec<Ipv4Addr>,
    /// Whether the PBX sees it; none where its status was not asked for, or not answered.
    pub online: Option<bool>,
    /// How many sessions or participants it has; none where the PBX does not tell.
    pub sessions: Option<u64>,
}

impl Portal {
    /// The entry of a server, at whatever addresses: names are unique under a menu item. A
    /// built-in one is nobody's.
    pub fn entry(&self, resource: Resource, name: &str) -> Option<&PortalEntry> {
        self.entries
            .iter()
            .find(|entry| !entry.internal && entry.resource == resource && entry.name == name)
    }

    /// Whether another enabled server of the kind is online, a built-in one included.
    pub fn another_takes_over(&self, resource: Resource, name: &str) -> bool {
        self.entries.iter().any(|entry| {
            entry.resource == resource
                && (entry.internal || entry.name != name)
                && entry.enabled
                && entry.online == Some(true)
        })
    }
}

impl PortalEntry {
    /// Whether it is registered with just these addresses.
    pub fn is_at(&self, addresses: &[Ipv4Addr]) -> bool {
        let mut ours = self.addresses.clone();
        let mut theirs = addresses.to_vec();
        ours.sort_unstable();
        theirs.sort_unstable();
        ours == theirs
    }
}
