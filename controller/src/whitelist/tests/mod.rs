//! Lists, entries and what follows from them.

mod always;
mod covering;
mod following;
mod overview;

use std::net::Ipv4Addr;
use std::time::Duration;

use jiff::Timestamp;

use extend_common::clock::after;
use extend_common::ids::NodeAddr;

use super::{AddressKind, Entry, Holder, Kinds, LetIn, Policy, Verdict, parse_net};

const DAY: Duration = Duration::from_secs(24 * 3600);

/// Entries are made for a hundred days: what has less than ten left is renewed.
const POLICY: Policy = Policy {
    kinds: Kinds::BOTH,
    expiry: Some(Duration::from_secs(100 * 24 * 3600)),
    limit: None,
};

fn start() -> Timestamp {
    "2026-11-30T12:00:00Z".parse().unwrap()
}

fn in_days(days: u32) -> Option<Timestamp> {
    Some(after(start(), DAY * days))
}

/// An address by its last byte.
fn ip(last: u8) -> Ipv4Addr {
    Ipv4Addr::new(203, 0, 113, last)
}

fn holder(last: u8) -> Holder {
    Holder {
        node: NodeAddr::try_from(Ipv4Addr::new(172, 31, 16, last)).unwrap(),
        name: format!("MEDIA_{last}").parse().unwrap(),
        role: "media-server-only".parse().unwrap(),
        kind: if last.is_multiple_of(2) {
            AddressKind::Public
        } else {
            AddressKind::Private
        },
    }
}

fn list(wanted: &[u8], withdrawn: &[u8]) -> LetIn {
    let rows = |all: &[u8]| all.iter().map(|last| (ip(*last), holder(*last))).collect();
    LetIn {
        wanted: rows(wanted),
        withdrawn: rows(withdrawn),
    }
}

/// An entry as Extend makes it.
fn own(id: &str, last: u8, expires: Option<Timestamp>) -> Entry {
    Entry {
        id: id.to_owned(),
        net: parse_net(&ip(last).to_string()).unwrap(),
        verdict: Verdict::Accept,
        expires,
        description: holder(last).description(),
        ours: true,
    }
}

/// An entry that somebody else has made.
fn foreign(id: &str, net: &str, verdict: Verdict, expires: Option<Timestamp>) -> Entry {
    Entry {
        id: id.to_owned(),
        net: parse_net(net).unwrap(),
        verdict,
        expires,
        description: "office".to_owned(),
        ours: false,
    }
}
