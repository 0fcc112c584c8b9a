//! What the sources of firewalld's zones mean for the whitelist. Pure.

use std::net::Ipv4Addr;

use extend_common::firewall::ZoneSource;
use ipnet::{IpNet, Ipv4Net};

use crate::whitelist::{Entry, LetIn, Verdict};

/// The zone that our entries are in.
const TRUSTED: &str = "trusted";

/// Sources as entries: those that let in, and those that send somebody into a zone which does not.
///
/// An entry lets in only if it is in force and will be after a reload. Of one of ours that has
/// only a half, a wanted address is missing, and any other is still there. A source of a zone that
/// firewalld asks before the trusted one keeps out, and so does one of exactly the same address:
/// firewalld has an address in one zone only.
pub(super) fn entries(sources: &[ZoneSource], list: &LetIn) -> Vec<Entry> {
    sources
        .iter()
        .filter_map(|source| entry(source, list))
        .collect()
}

fn entry(source: &ZoneSource, list: &LetIn) -> Option<Entry> {
    let ZoneSource {
        zone,
        address,
        prefix,
        ..
    } = source;
    let net = Ipv4Net::new(*address, *prefix).ok()?.trunc();
    let is_whole = source.runtime && source.permanent;
    let ours = source.ours && zone == TRUSTED;
    let verdict = if !source.accepts {
        if !source.first && *prefix != 32 {
            return None;
        }
        Verdict::Deny
    } else if is_whole || (ours && !list.wanted.contains_key(address)) {
        Verdict::Accept
    } else {
        return None;
    };
    Some(Entry {
        id: id(zone, *address, *prefix),
        net: IpNet::V4(net),
        verdict,
        expires: None,
        // A source bears none.
        description: String::new(),
        ours,
    })
}

fn id(zone: &str, address: Ipv4Addr, prefix: u8) -> String {
    match prefix {
        32 => format!("zone {zone}: {address}"),
        _ => format!("zone {zone}: {address}/{prefix}"),
    }
}
