//! Whatever operators, agents, the portal and people do, in whatever order, and however often the
//! controller dies: servers are let in while they are there, nothing is left when they are gone,
//! and who was disabled for a while is enabled again.

use std::time::Duration;

use proptest::prelude::*;

use extend_common::operation::Verb;
use extend_common::status::OutcomeKind;

use super::super::bench::{Bench, GUIDE, node, submission};
use super::world::{ELASTIC, World};
use crate::core::outside::Why;

/// Something that happens.
#[derive(Debug, Clone, Copy)]
enum Move {
    Run(usize),
    Verb(Verb, usize, bool),
    Succeed(usize),
    Fail(usize),
    Turn,
    Look,
    Away,
    Pass(u64),
    Sessions(usize, u64),
    Online(usize, bool),
    Cancel,
    Restart,
}

fn moves() -> impl Strategy<Value = Move> {
    let server = 0..GUIDE.len();
    let verb = prop_oneof![
        Just(Verb::Stop),
        Just(Verb::Start),
        Just(Verb::Restart),
        Just(Verb::Rm),
        Just(Verb::Drain),
        Just(Verb::Undrain),
        Just(Verb::Upgrade),
    ];
    prop_oneof![
        3 => server.clone().prop_map(Move::Run),
        4 => (verb, server.clone(), any::<bool>()).prop_map(|(v, s, now)| Move::Verb(v, s, now)),
        6 => server.clone().prop_map(Move::Succeed),
        1 => server.clone().prop_map(Move::Fail),
        6 => Just(Move::Turn),
        2 => Just(Move::Look),
        1 => Just(Move::Away),
        2 => (1_u64..90).prop_map(Move::Pass),
        1 => (server.clone(), 0_u64..3).prop_map(|(s, n)| Move::Sessions(s, n)),
        3 => (server, any::<bool>()).prop_map(|(s, online)| Move::Online(s, online)),
        1 => Just(Move::Cancel),
        1 => Just(Move::Restart),
    ]
}

fn name(server: usize) -> &'static str {
    GUIDE[server].1
}

fn at(server: usize) -> &'static str {
    GUIDE[server].2
}

fn reconnect(bench: &mut Bench) {
    bench.restart();
    for (_, _, at) in GUIDE {
        bench.connect(node(at));
        bench.report(node(at));
    }
}

fn happen(world: &mut World, what: Move) {
    match what {
        Move::Run(server) => {
            let (role, name, at) = GUIDE[server];
            let line = format!("-s {role} -n {name} -a {at} -A {}", ELASTIC[server]);
            let _ = world.bench.submit(submission(Verb::Run, &line));
        }
        Move::Verb(verb, server, now) => {
            let now = match (now, verb) {
                (true, Verb::Stop | Verb::Restart | Verb::Rm) => " --now",
                _ => "",
            };
            let force = match verb {
                Verb::Restart | Verb::Upgrade => " --force",
                _ => "",
            };
            let line = format!("-a {}{now}{force}", at(server));
            let _ = world.bench.submit(submission(verb, &line));
        }
        Move::Succeed(server) => world.work(at(server), OutcomeKind::Succeeded),
        Move::Fail(server) => world.work(at(server), OutcomeKind::Failed),
        Move::Turn => world.turn(),
        Move::Look => world.look(),
        Move::Away => world.fail("cannot look at the portal: connection refused"),
        Move::Pass(seconds) => world.bench.pass(Duration::from_secs(seconds)),
        Move::Sessions(server, sessions) => {
            if world
                .find(name(server))
                .is_some_and(|entry| entry.sessions.is_some())
            {
                world.sessions(name(server), Some(sessions));
            }
        }
        Move::Online(server, online) => {
            if world.find(name(server)).is_some() {
                world.online(at(server), online);
            }
        }
        Move::Cancel => {
            if let Some(open) = world.bench.fleet.newest(1, true).first() {
                world.bench.cancel(open.id);
            }
        }
        Move::Restart => reconnect(&mut world.bench),
    }
}

/// A server that is there is let in, and wanted in the portal.
fn holds(world: &World) {
    let list = world.bench.fleet.let_in();
    let wanted = world.bench.fleet.portal_wanted();
    for (node, entry) in &world.bench.fleet.nodes {
        if entry.row.record.is_some() {
            assert!(list.wanted.contains_key(&node.ip()), "{node} is shut out");
            assert!(wanted.registered.contains_key(node), "{node} is forgotten");
        }
    }
    for address in list.withdrawn.keys() {
        assert!(
            !list.wanted.contains_key(address),
            "{address} comes and goes"
        );
    }
    for former in &wanted.former {
        let is_wanted = wanted.registered.values().any(|registration| {
            registration.name == former.name && registration.known() == former.addresses
        });
        assert!(!is_wanted, "{former:?} is to go and to stay");
    }
}

/// Everything comes to rest.
fn settle(world: &mut World) {
    for _ in 0..60 {
        for server in 0..GUIDE.len() {
            if world.find(name(server)).is_some() {
                world.online(at(server), true);
                if world.entry(name(server)).sessions.is_some() {
                    world.sessions(name(server), Some(0));
                }
            }
            world.work(at(server), OutcomeKind::Succeeded);
        }
        world.turn();
        world.bench.pass(Duration::from_secs(10));
    }
}

fn is_at_rest(world: &World) {
    let fleet = &world.bench.fleet;
    let open = fleet.newest(100, true);
    assert!(open.is_empty(), "{open:#?}");
    let list = fleet.let_in();
    assert!(list.withdrawn.is_empty(), "{list:?}");
    for (_, name, at) in GUIDE {
        let entry = fleet.nodes.get(&node(at));
        let record = entry.and_then(|entry| entry.row.record.as_ref());
        let found = world.find(name);
        assert_eq!(record.is_some(), found.is_some(), "{name}: {found:?}");
        let Some(found) = found else { continue };
        let row = fleet.outside.rows.get(&node(at));
        let disabled = row.is_some_and(|row| row.disabled.is_some());
        assert_eq!(found.enabled, !disabled, "{name}: {row:?}");
        let why = row
            .and_then(|row| row.disabled.as_ref())
            .map(|disabled| disabled.why);
        assert!(!matches!(why, Some(Why::Operation(_))), "{name}: {row:?}");
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 96, ..ProptestConfig::default() })]

    #[test]
    fn nothing_is_shut_out_and_nothing_stays_behind(
        moves in proptest::collection::vec(moves(), 1..60)
    ) {
        let mut world = World::new();
        world.look();
        for (_, _, at) in GUIDE {
            world.bench.join(node(at));
        }
        for what in moves {
            happen(&mut world, what);
            holds(&world);
        }
        settle(&mut world);
        is_at_rest(&world);
    }
}
