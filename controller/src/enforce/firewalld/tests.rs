//! What sources of zones mean for the whitelist, and that its diff does the right thing with them.

use std::net::Ipv4Addr;

use extend_common::firewall::ZoneSource;
use jiff::Timestamp;

use super::entries::entries;
use crate::whitelist::{AddressKind, Holder, Kinds, LetIn, Policy, State, Step, Verdict, diff};

const MEDIA: Ipv4Addr = Ipv4Addr::new(172, 31, 16, 139);
const QUEUE: Ipv4Addr = Ipv4Addr::new(172, 31, 16, 138);

fn holder() -> Holder {
    Holder {
        node: MEDIA.to_string().parse().unwrap(),
        name: "media-server-1".parse().unwrap(),
        role: "media-server-only".parse().unwrap(),
        kind: AddressKind::Private,
    }
}

/// Media is wanted, queue was.
fn list() -> LetIn {
    LetIn {
        wanted: [(MEDIA, holder())].into(),
        withdrawn: [(QUEUE, holder())].into(),
    }
}

fn source(zone: &str, address: Ipv4Addr, prefix: u8) -> ZoneSource {
    ZoneSource {
        zone: zone.to_owned(),
        address,
        prefix,
        accepts: zone == "trusted",
        first: zone < "trusted",
        runtime: true,
        permanent: true,
        ours: false,
    }
}

fn ours(address: Ipv4Addr, runtime: bool, permanent: bool) -> ZoneSource {
    ZoneSource {
        runtime,
        permanent,
        ours: true,
        ..source("trusted", address, 32)
    }
}

/// Steps, and how media and queue stand, in words.
fn outcome(sources: &[ZoneSource]) -> (Vec<String>, Vec<State>, bool) {
    let policy = Policy {
        kinds: Kinds::BOTH,
        expiry: None,
        limit: None,
    };
    let found = diff(
        &list(),
        &entries(sources, &list()),
        &policy,
        Timestamp::UNIX_EPOCH,
    );
    let steps = found.steps.iter().map(|step| match step {
        Step::Add { address, .. } => format!("add {address}"),
        Step::Renew { address, .. } => format!("renew {address}"),
        Step::Remove { address, .. } => format!("remove {address}"),
    });
    let states = found.standings.iter().map(|standing| standing.state);
    (
        steps.collect(),
        states.collect(),
        found.gone.contains(&QUEUE),
    )
}

#[test]
fn what_is_wanted_is_there_only_as_a_whole_and_what_is_not_until_nothing_is_left() {
    let add = vec![format!("add {MEDIA}")];
    let remove = vec![format!("remove {QUEUE}")];
    assert_eq!(outcome(&[]), (add.clone(), vec![State::Missing], true));
    for (runtime, permanent) in [(true, false), (false, true)] {
        let half = outcome(&[ours(MEDIA, runtime, permanent)]);
        assert_eq!(half, (add.clone(), vec![State::Missing], true));
        let half = outcome(&[ours(MEDIA, true, true), ours(QUEUE, runtime, permanent)]);
        assert_eq!(
            half,
            (remove.clone(), vec![State::InForce, State::Leaving], false)
        );
    }
    let whole = outcome(&[ours(MEDIA, true, true)]);
    assert_eq!(whole, (Vec::new(), vec![State::InForce], true));
}

#[test]
fn a_foreign_source_that_covers_an_address_is_enough_if_it_is_there_for_good() {
    for covering in [
        source("trusted", MEDIA, 32),
        source("trusted", Ipv4Addr::new(172, 31, 16, 0), 20),
        source("trusted", Ipv4Addr::new(172, 31, 17, 5), 20),
    ] {
        let found = outcome(std::slice::from_ref(&covering));
        assert_eq!(
            found,
            (Vec::new(), vec![State::InForce], true),
            "{covering:?}"
        );
        let until_reload = ZoneSource {
            permanent: false,
            ..covering
        };
        assert_eq!(outcome(&[until_reload]).0, [format!("add {MEDIA}")]);
    }
    // One of somebody else's for an address that is withdrawn is left.
    let others = [ours(MEDIA, true, true), source("trusted", QUEUE, 32)];
    assert_eq!(outcome(&others), (Vec::new(), vec![State::InForce], true));
}

#[test]
fn a_zone_that_is_asked_first_keeps_out_and_one_that_is_asked_later_does_not() {
    let net = Ipv4Addr::new(172, 31, 0, 0);
    let ours = ours(MEDIA, true, true);
    let state = |foreign| outcome(&[ours.clone(), foreign]).1;
    assert_eq!(state(source("internal", net, 16)), [State::Denied]);
    assert_eq!(state(source("work", net, 16)), [State::InForce]);
    assert_eq!(
        state(source("internal", QUEUE, 32)),
        [State::InForce],
        "another's address"
    );
    // Of the same address firewalld has only one, whatever the zone is called.
    let taken = entries(&[source("work", MEDIA, 32)], &list());
    assert_eq!(taken[0].verdict, Verdict::Deny);
    assert_eq!(taken[0].id, "zone work: 172.31.16.139");
}
