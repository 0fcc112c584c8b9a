//! Hellos: who may enter, who is ahead, and what each is told.

use extend_common::operation::Verb;
use extend_common::record::{RecordHash, RunState, Stamp};
use extend_common::status::NodeState;
use ulid::Ulid;

use super::agent::Agent;
use super::bench::{Bench, facts, node};
use crate::core::Effect;
use crate::core::request::{KeyHash, PeerFacts, ToAgent};
use crate::store::StoreId;

fn media() -> extend_common::ids::NodeAddr {
    node("172.31.16.139")
}

/// What the next hello of the node would be answered.
fn told(bench: &mut Bench) -> Vec<String> {
    let hello = bench.agents[&media()].hello();
    let turn = bench.fleet.hello(media(), facts(media()), hello, bench.now);
    let said = turn.effects.iter().filter_map(|effect| match effect {
        Effect::Send {
            message: ToAgent::Welcome(welcome),
            ..
        } if welcome.ahead => Some("welcome, ahead".to_owned()),
        Effect::Send {
            message: ToAgent::Welcome(welcome),
            ..
        } => Some(format!("welcome at {}", welcome.epoch)),
        Effect::Send {
            message: ToAgent::Assignment { record, recovered },
            ..
        } => Some(format!(
            "record {}{}",
            record.id.stamp,
            if *recovered { " back" } else { "" }
        )),
        _ => None,
    });
    let said = said.collect();
    bench.commit(turn).unwrap();
    said
}

fn agent(bench: &mut Bench) -> &mut Agent {
    bench.agents.get_mut(&media()).unwrap()
}

#[test]
fn the_present_record_is_sent_at_every_hello_a_tombstone_too() {
    let mut bench = Bench::guide();
    assert_eq!(told(&mut bench), ["welcome at 1", "record 1.1"]);
    bench.restart();
    assert_eq!(told(&mut bench), ["welcome at 2", "record 1.1"]);
    bench.accept(Verb::Rm, "-a 172.31.16.139");
    assert_eq!(told(&mut bench), ["welcome at 2", "record 2.2"]);
    bench.succeed(media());
    assert_eq!(told(&mut bench), ["welcome at 2"], "nothing is left to say");
}

#[test]
fn an_agent_that_missed_records_is_behind_not_ahead() {
    let mut bench = Bench::guide();
    let old = agent(&mut bench).clone();
    bench.accept(Verb::Stop, "-a 172.31.16.139");
    bench.succeed(media());
    *agent(&mut bench) = old;
    assert_eq!(told(&mut bench), ["welcome at 1", "record 1.2"]);
    // An empty ledger is no trouble either: a new disk gets everything anew.
    *agent(&mut bench) = Agent::new(media());
    assert_eq!(told(&mut bench), ["welcome at 1", "record 1.2"]);
}

#[test]
fn an_agent_that_was_away_for_many_operations_is_not_ahead() {
    let mut bench = Bench::guide();
    bench.disconnect(media());
    for _ in 0..100 {
        let operation = bench.accept(Verb::Stop, "-a 172.31.16.139");
        bench.cancel(operation.id);
    }
    bench.restart();
    assert_eq!(bench.fleet.nodes[&media()].row.chain.len(), 64);
    assert_eq!(told(&mut bench), ["welcome at 2", "record 2.102"]);
    assert_eq!(
        agent(&mut bench).record.as_ref().unwrap().desired.run_state,
        RunState::Running
    );
}

/// How a ledger can tell that this store is not the one it follows.
#[test]
fn nodes_that_know_more_than_the_store_are_ahead() {
    type Change = fn(&mut Agent);
    let cases: [(&str, Change, &str); 6] = [
        (
            "another store",
            |a| a.store = Some(StoreId(Ulid::from_parts(9, 9))),
            "follows the records of store",
        ),
        (
            "a later epoch",
            |a| a.epoch = 7,
            "welcomed at epoch 7, and this store is at epoch 1",
        ),
        (
            "a later generation",
            |a| {
                a.record.as_mut().unwrap().id.stamp = Stamp {
                    epoch: 1,
                    generation: 9,
                }
            },
            "holds the record 1.9, which this store does not have",
        ),
        (
            "a lower record that is not ours",
            |a| {
                a.record.as_mut().unwrap().id.stamp = Stamp {
                    epoch: 0,
                    generation: 1,
                }
            },
            "holds the record 0.1",
        ),
        (
            "our record with another content",
            |a| a.record.as_mut().unwrap().id.hash = RecordHash([1; 32]),
            "holds the record 1.1",
        ),
        (
            "the highest numbers there are",
            |a| {
                a.epoch = u64::MAX;
                let stamp = Stamp {
                    epoch: u64::MAX,
                    generation: u64::MAX,
                };
                a.record.as_mut().unwrap().id.stamp = stamp;
            },
            "epoch 18446744073709551615",
        ),
    ];
    for (case, change, why) in cases {
        let mut bench = Bench::guide();
        change(agent(&mut bench));
        assert_eq!(told(&mut bench), ["welcome, ahead"], "{case}");
        let view = bench
            .fleet
            .nodes(Some(media()), bench.now)
            .unwrap()
            .remove(0);
        assert_eq!(view.state, NodeState::Ahead, "{case}");
        assert!(view.reason.contains(why), "{case}: {}", view.reason);
        // Verbs are refused there, and not elsewhere.
        let refusal = bench.refuse(Verb::Restart, "-a 172.31.16.139");
        assert_eq!(
            (refusal.code(), refusal.hint().as_str()),
            ("ahead", "extend controller recover")
        );
        bench.accept(Verb::Restart, "-a 172.31.16.138");
        // Its reports are shown and change nothing.
        let rows = bench.rows.clone();
        bench.report(media());
        assert_eq!(bench.rows, rows, "{case}");
    }
}

#[test]
fn a_node_without_a_record_is_ahead_only_by_its_epoch() {
    let mut bench = Bench::new();
    bench.join(media());
    agent(&mut bench).store = Some(StoreId(Ulid::from_parts(9, 9)));
    assert_eq!(told(&mut bench), ["welcome at 1"]);
    agent(&mut bench).epoch = 2;
    assert_eq!(told(&mut bench), ["welcome, ahead"]);
}

#[test]
fn nobody_enters_with_another_key_or_name_or_uninvited() {
    let mut bench = Bench::guide();
    let hello = agent(&mut bench).hello();
    let mut enter = |at: &str, key: KeyHash, name: &str| {
        let facts = PeerFacts {
            key,
            ..facts(media())
        };
        let mut hello = hello.clone();
        hello.node = node(name);
        let turn = bench.fleet.hello(node(at), facts, hello, bench.now);
        assert!(turn.writes.is_empty() && turn.effects.is_empty());
        bench.commit(turn).map_err(|refusal| refusal.sentence())
    };
    let key = facts(media()).key;
    let other = KeyHash([0; 32]);
    let (media, queue, nobody) = ("172.31.16.139", "172.31.16.138", "172.31.16.200");
    let refused = [
        (
            enter(media, key, queue),
            "cannot admit 172.31.16.139: its hello names 172.31.16.138",
        ),
        (
            enter(media, other, media),
            "cannot admit 172.31.16.139: it joined with another key",
        ),
        (
            enter(nobody, key, nobody),
            "cannot admit 172.31.16.200: it is not enrolled here",
        ),
    ];
    for (answer, sentence) in refused {
        assert_eq!(answer.unwrap_err(), sentence);
    }
}

#[test]
fn a_waiting_target_is_under_way_after_the_hello_and_told_once() {
    let mut bench = Bench::guide();
    bench.disconnect(media());
    bench.accept(Verb::Stop, "-a 172.31.16.139");
    assert_eq!(told(&mut bench), ["welcome at 1", "record 1.2"]);
    bench.report(media());
    assert_eq!(
        told(&mut bench),
        ["welcome at 1", "record 1.2"],
        "and again at the next"
    );
}
