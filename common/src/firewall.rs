//! The words in which firewalld on a node of the PBX is spoken of: by the controller that knows who
//! must be let in, the agent there, and its root helper.
//!
//! Only what can be said here can be asked for: single IPv4 addresses, and ports for single IPv4
//! addresses. There is no rule, no zone and no command in it.

use std::collections::BTreeSet;
use std::net::Ipv4Addr;

use serde::{Deserialize, Serialize};

/// So many addresses of a kind travel in one message, and so many of ours there may be.
pub const MAX_ADDRESSES: usize = 1_000;
/// So many sources are told, ours first.
pub const MAX_SOURCES: usize = 2_000;
/// So many openings are told. With the sources they stay far below a message's bound.
pub const MAX_OPENINGS: usize = 2_000;

/// A TCP port, for one address.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Opening {
    /// The port.
    pub port: u16,
    /// Who may come to it.
    pub source: Ipv4Addr,
}

/// What is to be done, before it is looked. All of it may be done twice.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct FirewallChange {
    /// Sources that the trusted zone gets.
    pub trust: BTreeSet<Ipv4Addr>,
    /// Sources that are taken out of it, if they are ours.
    pub untrust: BTreeSet<Ipv4Addr>,
    /// What is let through besides.
    pub open: BTreeSet<Opening>,
    /// What no longer is, if it is ours.
    pub close: BTreeSet<Opening>,
}

impl FirewallChange {
    /// Whether it says nothing, and it is only looked.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        *self == Self::default()
    }

    /// Why it cannot be what anybody wants; none: it can be.
    #[must_use]
    pub fn problem(&self) -> Option<String> {
        let Self {
            trust,
            untrust,
            open,
            close,
        } = self;
        let most = [trust.len(), untrust.len(), open.len(), close.len()];
        if most.iter().any(|count| *count > MAX_ADDRESSES) {
            return Some(format!("it names more than {MAX_ADDRESSES} addresses"));
        }
        let openings = open.iter().chain(close);
        let named = trust.iter().chain(untrust).copied();
        let mut named = named.chain(openings.clone().map(|opening| opening.source));
        if let Some(odd) = named.find(|address| !is_a_hosts(*address)) {
            return Some(format!("{odd} is no address of another host"));
        }
        let mut ports = openings.map(|opening| opening.port);
        // What listens below is the host's own.
        let low = ports.find(|port| *port < 1024)?;
        Some(format!("port {low} is not a controller's"))
    }
}

/// Whether a packet of another host can bear this source.
#[must_use]
pub fn is_a_hosts(address: Ipv4Addr) -> bool {
    let [first, ..] = address.octets();
    first != 0 && first < 224 && !address.is_loopback()
}

/// How firewalld is there.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum FirewallState {
    /// It runs, and what is told was seen.
    Running,
    /// It is installed and does not run.
    Stopped,
    /// It is not installed.
    Absent,
    /// This node does not allow that it is touched.
    NotAllowed,
    /// It could not be found out.
    Unknown,
}

/// A source that a zone has.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct ZoneSource {
    /// The zone.
    pub zone: String,
    /// The network's first address.
    pub address: Ipv4Addr,
    /// How many bits of it count.
    pub prefix: u8,
    /// The zone lets everything in.
    pub accepts: bool,
    /// firewalld asks this zone before the trusted one.
    pub first: bool,
    /// It is in force.
    pub runtime: bool,
    /// It will be after a reload.
    pub permanent: bool,
    /// Extend has made it.
    pub ours: bool,
}

/// An opening of ours.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct SeenOpening {
    /// Which.
    pub opening: Opening,
    /// It is in force and will be after a reload, in every zone through which hosts come.
    pub whole: bool,
}

/// What could not be done.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Undone {
    /// Operation, object and cause.
    pub sentence: String,
    /// What a person can do about it.
    pub hint: String,
}

/// What was found after everything that was to be done.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct FirewallTold {
    /// How firewalld is there.
    pub state: FirewallState,
    /// The sources of its zones. Where it does not run, those that are ours by root's notes.
    pub sources: Vec<ZoneSource>,
    /// The openings that are ours.
    pub openings: Vec<SeenOpening>,
    /// What could not be done.
    pub undone: Option<Undone>,
}

impl FirewallTold {
    /// Nothing but a state.
    #[must_use]
    pub fn of(state: FirewallState) -> Self {
        Self {
            state,
            sources: Vec::new(),
            openings: Vec::new(),
            undone: None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_change_names_other_hosts_and_ports_of_controllers_only() {
        let good: Ipv4Addr = "172.31.16.139".parse().unwrap();
        let opening = |port| Opening { port, source: good };
        let change = FirewallChange {
            trust: BTreeSet::from([good, "54.215.234.52".parse().unwrap()]),
            open: BTreeSet::from([opening(7443), opening(7444)]),
            ..FirewallChange::default()
        };
        assert_eq!(change.problem(), None);
        for odd in [
            "0.0.0.0",
            "0.1.2.3",
            "127.0.0.1",
            "127.255.0.1",
            "224.0.0.1",
            "240.0.0.1",
            "255.255.255.255",
        ] {
            let mut bad = change.clone();
            bad.untrust.insert(odd.parse().unwrap());
            assert_eq!(
                bad.problem(),
                Some(format!("{odd} is no address of another host"))
            );
        }
        let mut bad = change.clone();
        bad.close.insert(opening(22));
        assert_eq!(
            bad.problem(),
            Some("port 22 is not a controller's".to_owned())
        );
        let mut bad = change;
        let many = (1..=1_001_u32).map(|number| Ipv4Addr::from(0x0a00_0000 + number));
        bad.trust = many.collect();
        assert!(bad.problem().unwrap().contains("more than 1000"));
    }
}
