//! Whatever the fleet is like and whatever happens to it: never more servers of a role are put out
//! of service than may be, roles keep their order, and every target comes to its end.

use std::collections::BTreeMap;
use std::time::Duration;

use jiff::Timestamp;
use proptest::prelude::*;

use extend_common::clock::after;
use extend_common::ids::{NodeAddr, RoleName};
use extend_common::operation::{Share, Strategy as Rollout, TargetState, Verb};

use super::{ROLES, Server, scene};
use crate::core::rollout::{Advance, Stand, next};
use crate::core::tests::bench::START;

/// What happens between two turns.
#[derive(Debug, Clone, Copy)]
enum Happening {
    /// A target that is under way ends.
    Ends(usize, bool),
    /// An image is there, or cannot be had.
    Fetched(usize, bool),
    /// A server that nobody works on breaks, or is well again.
    Health(usize, bool),
    /// A node goes, or comes back.
    Reach(usize, bool),
    Pass(u64),
}

fn happenings() -> impl Strategy<Value = Vec<Happening>> {
    let at = 0..12_usize;
    let one = prop_oneof![
        6 => (at.clone(), prop::bool::weighted(0.9)).prop_map(|(at, ok)| Happening::Ends(at, ok)),
        6 => (at.clone(), prop::bool::weighted(0.95))
            .prop_map(|(at, ok)| Happening::Fetched(at, ok)),
        2 => (at.clone(), any::<bool>()).prop_map(|(at, ok)| Happening::Health(at, ok)),
        2 => (at, any::<bool>()).prop_map(|(at, ok)| Happening::Reach(at, ok)),
        2 => (1_u64..200).prop_map(Happening::Pass),
    ];
    prop::collection::vec(one, 0..80)
}

fn rollouts() -> impl Strategy<Value = Rollout> {
    let share = prop_oneof![
        Just(None),
        (1_u32..5).prop_map(|count| Some(Share::Count(count))),
        (1_u8..=100).prop_map(|percent| Some(Share::Percent(percent))),
    ];
    (share, 0_u32..3, 1_u64..200, 0_u32..3, any::<bool>()).prop_map(
        |(max_unavailable, canary, bake, max_failures, serial)| Rollout {
            max_unavailable,
            canary,
            bake: Duration::from_secs(bake),
            max_failures,
            serial,
        },
    )
}

/// Roles by letter, whether it is a target, whether it is healthy at first.
fn fleets() -> impl Strategy<Value = Vec<(usize, bool, bool)>> {
    let server = (
        0..ROLES.len(),
        prop::bool::weighted(0.8),
        prop::bool::weighted(0.85),
    );
    prop::collection::vec(server, 1..12)
}

/// An operation under way.
struct World {
    verb: Verb,
    strategy: Rollout,
    force: bool,
    servers: Vec<Server>,
    /// Nodes that cannot be reached, with how the target on it stood.
    away: BTreeMap<NodeAddr, Stand>,
    baking: Option<Timestamp>,
    now: Timestamp,
}

impl World {
    fn of_role<'a>(&'a self, role: &'a RoleName) -> impl Iterator<Item = &'a Server> {
        self.servers
            .iter()
            .filter(move |server| server.role == *role)
    }

    fn turn(&mut self) {
        let before = self.servers.clone();
        let mut scene = scene(&before, self.verb, self.strategy, self.force);
        scene.baking = self.baking;
        let moves = next(&mut scene, self.now);
        self.baking = moves.baking;
        for advance in &moves.advances {
            let (node, stand) = match advance {
                Advance::Stage(node) => (*node, Stand::Staging),
                Advance::Begin { node, .. } => (*node, Stand::UnderWay),
                Advance::Skip(node, _) => (*node, Stand::Ended(TargetState::Skipped)),
            };
            let server = self.servers.iter_mut().find(|server| server.node == node);
            let server = server.unwrap();
            match advance {
                Advance::Stage(_) => assert_eq!(server.stand, Some(Stand::Unstaged)),
                Advance::Begin { canary, .. } => {
                    assert_eq!(server.stand, Some(Stand::Ready));
                    server.canary |= canary;
                }
                Advance::Skip(..) => assert!(!server.is_taken()),
            }
            server.stand = Some(stand);
        }
        let begun: Vec<_> = moves
            .advances
            .iter()
            .filter_map(|advance| match advance {
                Advance::Begin { node, .. } => Some(*node),
                _ => None,
            })
            .collect();
        self.check(&before, &begun);
    }

    /// What must hold of what has just begun.
    fn check(&self, before: &[Server], begun: &[NodeAddr]) {
        let taking = |server: &&Server| begun.contains(&server.node) && !server.unchanged;
        for server in self.servers.iter().filter(taking) {
            let all: Vec<_> = self.of_role(&server.role).collect();
            let limit = self
                .strategy
                .max_unavailable
                .map_or(1, |share| share.of(all.len()));
            let taken = all.iter().filter(|server| server.is_taken()).count();
            assert!(taken <= limit, "{taken} are taken where {limit} may be");
            let out = all.iter().filter(|server| !server.is_available()).count();
            let broken = all.iter().filter(|s| !s.healthy).count();
            let was_healthy = server.healthy;
            // One that is broken is out of service already, whoever works on it.
            assert!(
                !was_healthy || out <= limit.max(broken + 1),
                "{out} are out of service: {limit} may be, {broken} are broken"
            );
            let left = all.iter().filter(|server| server.is_available()).count();
            assert!(
                self.force || !was_healthy || all.len() == 1 || left > 0,
                "the last healthy one was taken"
            );
        }
        if begun.is_empty() {
            return;
        }
        if self.strategy.serial {
            let under_way = self
                .servers
                .iter()
                .filter(|s| s.stand == Some(Stand::UnderWay));
            let mut ranks: Vec<_> = under_way.map(|server| server.rank).collect();
            ranks.sort_unstable();
            ranks.dedup();
            let could = |server: &&Server| server.stand == Some(Stand::Ready);
            let first = self
                .servers
                .iter()
                .filter(could)
                .map(|server| server.rank)
                .min();
            assert!(ranks.len() <= 1, "two roles at once: {ranks:?}");
            assert!(first.is_none_or(|first| ranks.iter().all(|rank| *rank <= first)));
        }
        let failures = before
            .iter()
            .filter(|server| {
                matches!(server.stand, Some(Stand::Ended(state))
                    if state.is_failure() && state != TargetState::Skipped)
            })
            .count();
        assert!(
            failures <= self.strategy.max_failures as usize,
            "it went on after failures"
        );
        // The images come first.
        let first = before.iter().all(|server| {
            !matches!(
                server.stand,
                Some(Stand::UnderWay | Stand::Ended(TargetState::Succeeded))
            )
        });
        let fetching = before
            .iter()
            .any(|server| server.stand == Some(Stand::Staging));
        assert!(
            !(first && fetching),
            "it began while images were being fetched"
        );
        // The canaries come before the others.
        let canaries = self.strategy.canary as usize;
        let others = self
            .servers
            .iter()
            .filter(|server| begun.contains(&server.node) && !server.canary && !server.unchanged);
        for other in others.filter(|_| canaries > 0) {
            let shown = before.iter().filter(|server| {
                let in_turn = !self.strategy.serial || server.role == other.role;
                in_turn && server.canary
            });
            let mut shown = shown.peekable();
            assert!(shown.peek().is_some(), "nobody went first");
            assert!(
                shown.all(|server| server.stand == Some(Stand::Ended(TargetState::Succeeded))),
                "a canary is not done"
            );
        }
    }

    fn happen(&mut self, happening: Happening) {
        let count = self.servers.len();
        let at = |at: usize| at % count;
        match happening {
            Happening::Ends(number, well) => {
                let server = &mut self.servers[at(number)];
                if server.stand == Some(Stand::UnderWay) {
                    let state = match well {
                        true => TargetState::Succeeded,
                        false => TargetState::RolledBack,
                    };
                    server.stand = Some(Stand::Ended(state));
                    (server.healthy, server.ill) = (true, false);
                }
            }
            Happening::Fetched(number, well) => {
                let server = &mut self.servers[at(number)];
                if server.stand == Some(Stand::Staging) {
                    server.stand = Some(match well {
                        true => Stand::Ready,
                        false => Stand::Ended(TargetState::Failed),
                    });
                }
            }
            Happening::Health(number, well) => {
                let server = &mut self.servers[at(number)];
                if server.stand != Some(Stand::UnderWay) {
                    (server.healthy, server.ill) = (well, !well);
                }
            }
            Happening::Reach(number, well) => {
                let server = &mut self.servers[at(number)];
                match (well, server.stand) {
                    (true, Some(Stand::Blocked)) => {
                        server.stand = self.away.remove(&server.node);
                        (server.healthy, server.ill) = (true, false);
                    }
                    (false, Some(stand @ (Stand::Ready | Stand::Unstaged))) => {
                        self.away.insert(server.node, stand);
                        server.stand = Some(Stand::Blocked);
                        (server.healthy, server.ill) = (false, false);
                    }
                    _ => {}
                }
            }
            Happening::Pass(seconds) => self.now = after(self.now, Duration::from_secs(seconds)),
        }
        self.turn();
    }

    /// Everybody is well and does as told.
    fn come_to_an_end(&mut self) {
        let count = self.servers.len();
        for _ in 0..3 * count + 3 {
            for number in 0..count {
                self.happen(Happening::Reach(number, true));
                self.happen(Happening::Fetched(number, true));
                self.happen(Happening::Ends(number, true));
                self.happen(Happening::Health(number, true));
            }
            self.happen(Happening::Pass(200));
        }
        for server in &self.servers {
            let ended = matches!(server.stand, None | Some(Stand::Ended(_)));
            assert!(ended, "it never ended: {server:?}");
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig {
        cases: ProptestConfig::default().cases.max(512),
        ..ProptestConfig::default()
    })]

    #[test]
    fn a_rollout_keeps_its_bounds_and_comes_to_its_end(
        upgrade in any::<bool>(),
        fleet in fleets(),
        strategy in rollouts(),
        force in prop::bool::weighted(0.2),
        unchanged in prop::collection::vec(prop::bool::weighted(0.1), 12),
        happenings in happenings(),
    ) {
        let verb = if upgrade { Verb::Upgrade } else { Verb::Restart };
        let servers = fleet.iter().enumerate().map(|(number, (role, target, healthy))| {
            let first = if upgrade { Stand::Unstaged } else { Stand::Ready };
            Server {
                stand: target.then_some(first),
                healthy: *healthy,
                ill: !healthy,
                unchanged: upgrade && unchanged[number],
                ..Server::new(number, ROLES[*role].0)
            }
        });
        let mut world = World {
            verb,
            strategy,
            force,
            servers: servers.collect(),
            away: BTreeMap::new(),
            baking: None,
            now: Timestamp::from_second(START).unwrap(),
        };
        world.turn();
        for happening in happenings {
            world.happen(happening);
        }
        world.come_to_an_end();
    }
}
