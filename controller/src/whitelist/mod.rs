//! Which addresses must be let in, what an enforcer sees of it, and what follows. Pure.
//!
//! The core publishes one list ([`LetIn`]); each enforcer looks at what is there, has [`diff`] say
//! what follows, does it, and tells what it saw ([`Round`]).
//!
//! ```text
//! LetIn ──┐
//!         ├──► diff ──► steps: adds, renewals, removals ──► enforcer
//! Entry… ─┘         └─► standings, orphans, denies ───────► Round ──► engine
//! ```
//!
//! **Absence means nothing.** An entry goes only on evidence: its address is in
//! [`LetIn::withdrawn`], or another entry of ours lets the same address in for at least as long.
//! An entry of ours that belongs to no row is an orphan: shown and left. What is not ours is never
//! touched, whatever it says.

mod cover;
mod diff;
mod overview;
mod round;

#[cfg(test)]
mod tests;

use std::collections::BTreeMap;
use std::fmt;
use std::net::Ipv4Addr;
use std::time::Duration;

use ipnet::IpNet;
use jiff::Timestamp;

use extend_common::ids::{NodeAddr, RoleName, ServerName};

pub use cover::{NetError, covers, parse_net, single};
pub use diff::{Diff, OverLimit, Standing, State, Step, diff};
pub use overview::{Drift, EnforcerView, Overview, Row};
pub use round::{Problem, Round, Seen};

/// Every entry of ours begins so, and nothing else does.
pub const OURS: &str = "Extend: ";

/// Which of a server's addresses it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum AddressKind {
    /// The one of the node, in the cluster's network.
    Private,
    /// The Elastic IP.
    Public,
}

impl fmt::Display for AddressKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::Private => "private",
            Self::Public => "public",
        })
    }
}

/// For whom an address is let in.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Holder {
    /// The node that it belongs to.
    pub node: NodeAddr,
    /// The server on that node.
    pub name: ServerName,
    /// Its role.
    pub role: RoleName,
    /// Which of its addresses.
    pub kind: AddressKind,
}

impl Holder {
    /// What stands beside an entry of ours: all characters are among those that AWS allows.
    pub fn description(&self) -> String {
        format!("{OURS}{} ({} address)", self.name, self.kind)
    }
}

/// Whether an entry with this description is one of ours.
pub fn is_ours(description: &str) -> bool {
    description.starts_with(OURS)
}

/// The one desired list, for all enforcers.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct LetIn {
    /// These have to be let in.
    pub wanted: BTreeMap<Ipv4Addr, Holder>,
    /// These had to be and no longer have: entries of ours for them go. An address that is wanted
    /// as well is wanted.
    pub withdrawn: BTreeMap<Ipv4Addr, Holder>,
}

/// Who sees to it that the list is in force. The door is none of them: it has no entries.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum EnforcerKind {
    /// The PBX's IP whitelist.
    Pbx,
    /// The security group of the PBX's nodes.
    SecurityGroup,
    /// firewalld on one of the PBX's nodes.
    Firewalld(NodeAddr),
}

impl EnforcerKind {
    /// Which addresses it lets in.
    pub fn kinds(self) -> Kinds {
        match self {
            Self::Pbx | Self::Firewalld(_) => Kinds::BOTH,
            // Among each other the nodes have private addresses and a rule of their own.
            Self::SecurityGroup => Kinds {
                private: false,
                public: true,
            },
        }
    }
}

impl EnforcerKind {
    /// The name that is one word, for tables and documents.
    pub fn name(self) -> String {
        match self {
            Self::Pbx => "pbx".to_owned(),
            Self::SecurityGroup => "security-group".to_owned(),
            Self::Firewalld(node) => format!("firewalld:{node}"),
        }
    }
}

impl fmt::Display for EnforcerKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Pbx => f.pad("pbx"),
            Self::SecurityGroup => f.pad("security group"),
            Self::Firewalld(node) => f.pad(&format!("firewalld {node}")),
        }
    }
}

/// What an entry does with those it covers.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Verdict {
    /// Lets them in.
    Accept,
    /// Keeps them out; also a block that the PBX has made by itself.
    Deny,
}

/// An entry that an enforcer has found.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Entry {
    /// What the enforcer calls it.
    pub id: String,
    /// Whom it covers.
    pub net: IpNet,
    /// What it does with them.
    pub verdict: Verdict,
    /// When it lapses; none: it does not.
    pub expires: Option<Timestamp>,
    /// What stands beside it. An enforcer that cannot change that of an entry leaves it empty.
    pub description: String,
    /// Extend has made it.
    pub ours: bool,
}

impl Entry {
    /// Whether it still is in force at `now`.
    pub fn lives(&self, now: Timestamp) -> bool {
        self.expires.is_none_or(|expires| expires > now)
    }

    /// Whether it lets `address` in, at `now`.
    pub fn accepts(&self, address: Ipv4Addr, now: Timestamp) -> bool {
        self.verdict == Verdict::Accept && self.lives(now) && covers(&self.net, address)
    }

    /// Whether it keeps `address` out, at `now`.
    pub fn denies(&self, address: Ipv4Addr, now: Timestamp) -> bool {
        self.verdict == Verdict::Deny && self.lives(now) && covers(&self.net, address)
    }

    /// The address that it is made for, when it is an entry as we make them.
    pub fn own_address(&self) -> Option<Ipv4Addr> {
        let made = self.ours && self.verdict == Verdict::Accept;
        single(&self.net).filter(|_| made)
    }
}

/// Of which kinds an enforcer lets addresses in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Kinds {
    /// The nodes' own addresses.
    pub private: bool,
    /// Their Elastic IPs.
    pub public: bool,
}

impl Kinds {
    /// Every address of a server.
    pub const BOTH: Self = Self {
        private: true,
        public: true,
    };

    /// Whether addresses of this kind are among them.
    pub fn has(self, kind: AddressKind) -> bool {
        match kind {
            AddressKind::Private => self.private,
            AddressKind::Public => self.public,
        }
    }
}

/// How many entries there may be.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limit {
    /// No more than so many in all.
    pub quota: usize,
    /// So many count that are no entries of the kind that is looked at.
    pub others: usize,
}

/// What an enforcer can do, and how.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Policy {
    /// Which addresses it lets in.
    pub kinds: Kinds,
    /// For how long its entries are made; none: they do not expire.
    pub expiry: Option<Duration>,
    /// How many there may be; none: as many as are wanted.
    pub limit: Option<Limit>,
}

impl Policy {
    /// What has less time left than this is renewed.
    pub fn margin(&self) -> Duration {
        self.expiry.unwrap_or_default() / 10
    }
}
