//! The door against a naive one: whatever happened to nodes and tokens, whoever knocks when, what
//! was published last admits exactly those that a list of what happened says.

use std::net::Ipv4Addr;
use std::time::Duration;

use jiff::Timestamp;
use proptest::prelude::*;

use extend_common::clock::after;
use extend_common::ids::NodeAddr;

use super::bench::{Bench, facts, node};
use crate::core::Effect;
use crate::core::request::{PeerFacts, sha256};
use crate::core::turn::Turn;
use crate::core::view::DoorSets;

const NODES: [&str; 3] = ["172.31.16.137", "172.31.16.138", "172.31.16.139"];
const SECRET: [u8; 16] = [3; 16];
const DAY: u64 = 24 * 3600;

#[derive(Debug, Clone)]
enum Step {
    Mint(usize, u64),
    Join(usize),
    Renew(usize),
    Revoke(usize),
    Remove(usize),
    Pass(u64),
    Restart,
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let at = 0..NODES.len();
    let passing = prop_oneof![
        1_u64..700,
        Just(3600),
        Just(23 * 3600),
        Just(DAY),
        Just(30 * DAY),
        1..40 * DAY
    ];
    let step = prop_oneof![
        3 => (at.clone(), 60..DAY).prop_map(|(at, ttl)| Step::Mint(at, ttl)),
        4 => at.clone().prop_map(Step::Join),
        1 => at.clone().prop_map(Step::Renew),
        1 => at.clone().prop_map(Step::Revoke),
        1 => at.prop_map(Step::Remove),
        3 => passing.prop_map(Step::Pass),
        1 => Just(Step::Restart),
    ];
    prop::collection::vec(step, 1..40)
}

/// What is known of one address by somebody who only wrote down what happened.
#[derive(Default, Clone, Copy)]
struct Told {
    certificate_until: Option<Timestamp>,
    revoked: bool,
    token_until: Option<Timestamp>,
}

impl Told {
    fn agents(self) -> bool {
        self.certificate_until.is_some() && !self.revoked
    }

    fn enrolment(self, now: Timestamp) -> bool {
        let token = self.token_until.is_some_and(|until| now < until);
        let expired = self.agents()
            && self.certificate_until.is_some_and(|until| {
                let seconds = now.as_second() - until.as_second();
                (-3600..30 * 24 * 3600).contains(&seconds)
            });
        token || expired
    }
}

/// The bench with what an engine would have published.
struct Published {
    bench: Bench,
    door: DoorSets,
}

impl Published {
    fn commit<T>(&mut self, turn: Turn<T>) -> T {
        let changed = turn.effects.contains(&Effect::Door);
        let answer = self.bench.commit(turn);
        if changed {
            self.door = self.bench.fleet.door(self.bench.now);
        }
        answer
    }

    fn tick(&mut self) {
        let turn = self.bench.fleet.tick(self.bench.now);
        self.commit(turn);
    }

    /// Does a step with the core, and writes down what it came to.
    fn take(&mut self, step: &Step, told: &mut [Told; NODES.len()]) {
        let now = self.bench.now;
        let in_a_day = |at: NodeAddr| PeerFacts {
            leaf_not_after: after(now, Duration::from_secs(DAY)),
            ..facts(at)
        };
        match *step {
            Step::Mint(at, ttl) => {
                let ttl = Duration::from_secs(ttl);
                let fleet = &mut self.bench.fleet;
                let turn =
                    fleet.mint_token(node(NODES[at]), Some(ttl), sha256(&SECRET), "anna", now);
                self.commit(turn).unwrap();
                told[at].token_until = Some(after(now, ttl));
            }
            Step::Join(at) => {
                let node = node(NODES[at]);
                let fleet = &mut self.bench.fleet;
                let turn = fleet.spend_token(node, &SECRET, in_a_day(node), now);
                if self.commit(turn).is_ok() {
                    told[at] = Told {
                        certificate_until: Some(after(now, Duration::from_secs(DAY))),
                        ..Told::default()
                    };
                }
            }
            Step::Renew(at) => {
                let node = node(NODES[at]);
                let turn = self.bench.fleet.renewed(node, in_a_day(node), now);
                if self.commit(turn).is_ok() {
                    told[at].certificate_until = Some(after(now, Duration::from_secs(DAY)));
                }
            }
            Step::Revoke(at) => {
                let turn = self.bench.fleet.revoke(node(NODES[at]), "anna", now);
                if self.commit(turn).is_ok() {
                    told[at].revoked = told[at].certificate_until.is_some();
                    told[at].token_until = None;
                }
            }
            Step::Remove(at) => {
                let turn = self.bench.fleet.remove(node(NODES[at]), true, "anna", now);
                if self.commit(turn).is_ok() {
                    told[at] = Told::default();
                }
            }
            Step::Pass(seconds) => self.bench.now = after(now, Duration::from_secs(seconds)),
            Step::Restart => {
                self.bench.restart();
                self.door = self.bench.fleet.door(now);
            }
        }
        self.tick();
    }
}

proptest! {
    #[test]
    fn what_is_published_admits_whom_a_naive_door_admits(
        steps in steps(),
        strangers in prop::collection::vec(any::<u32>().prop_map(Ipv4Addr::from), 4),
    ) {
        let bench = Bench::new();
        let door = bench.fleet.door(bench.now);
        let mut published = Published { bench, door };
        let mut told = [Told::default(); NODES.len()];
        let listed = NODES.map(|name| node(name).ip());
        for step in &steps {
            published.take(step, &mut told);
            let now = published.bench.now;
            for (source, told) in listed.iter().zip(told) {
                let door = &published.door;
                prop_assert_eq!(door.admits_agent(*source), told.agents(), "{:?} agents", step);
                prop_assert_eq!(
                    door.admits_enrolment(*source), told.enrolment(now), "{:?} enrolment", step
                );
            }
            for stranger in strangers.iter().filter(|source| !listed.contains(source)) {
                let (door, source) = (&published.door, *stranger);
                prop_assert!(!door.admits_agent(source) && !door.admits_enrolment(source));
            }
        }
    }
}
