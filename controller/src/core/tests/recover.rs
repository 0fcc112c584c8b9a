//! Recovery: records taken back from ledgers, into an empty store or an older one.

use extend_common::operation::{TargetState, Verb};
use extend_common::record::{RunState, Stamp};
use extend_common::status::NodeState;
use ulid::Ulid;

use super::bench::{Bench, GUIDE, node};
use crate::core::CloseReason;
use crate::core::request::Recovered;
use crate::store::StoreId;

fn media() -> extend_common::ids::NodeAddr {
    node("172.31.16.139")
}

/// Recovers as the engine does: the epoch is raised in between.
fn recover(bench: &mut Bench, nodes: &[&str], finish: bool) -> Recovered {
    let nodes: Vec<_> = nodes.iter().map(|at| node(at)).collect();
    if let Some(at_least) = bench.fleet.epoch_to_recover(&nodes) {
        bench.epoch = at_least.max(bench.epoch + 1);
    }
    let turn = bench
        .fleet
        .recover(&nodes, finish, (bench.epoch, "anna"), bench.now);
    bench.commit(turn)
}

/// The guide's fleet meets a store that was made anew beside the old authority.
fn lost_store() -> Bench {
    let mut bench = Bench::guide();
    for _ in 0..3 {
        bench.restart();
    }
    for (_, _, at) in GUIDE {
        bench.connect(node(at));
    }
    bench.rows.clear();
    bench.store = StoreId(Ulid::from_parts(2, 2));
    bench.epoch = 0;
    bench.restart();
    let turn = bench.fleet.begin_recovering(bench.now);
    bench.commit(turn);
    bench
}

#[test]
fn an_empty_store_takes_the_whole_fleet_back() {
    let mut bench = lost_store();
    assert!(
        bench.fleet.door(bench.now).admits_agent(media().ip()),
        "the certificate decides"
    );
    for (_, _, at) in GUIDE {
        bench.connect(node(at));
        let view = bench
            .fleet
            .nodes(Some(node(at)), bench.now)
            .unwrap()
            .remove(0);
        assert_eq!(view.state, NodeState::Ahead);
        assert!(view.reason.contains("not in this store"), "{}", view.reason);
    }
    let before = bench.agents[&media()].record.clone().unwrap();
    let recovered = recover(&mut bench, &[], false);
    assert_eq!(
        (recovered.nodes.len(), recovered.notes.len()),
        (4, 0),
        "{recovered:#?}"
    );
    let (view, notes) = &recovered.nodes[2];
    assert_eq!((view.node, view.state), (media(), NodeState::Online));
    assert_eq!(
        notes.as_slice(),
        [
            "enrolled with the key of its certificate",
            "media-server-1 (media-server-only, running) was taken back from record 1.1"
        ]
    );
    // Above everything the agent has heard of, with the same content.
    let after = bench.agents[&media()].record.clone().unwrap();
    assert_eq!(
        after.id.stamp,
        Stamp {
            epoch: 5,
            generation: 2
        }
    );
    assert_eq!(after.desired, before.desired);
    assert_eq!(bench.fleet.nodes[&media()].row.chain, [before.id, after.id]);
    // The store is complete: another start, and everything works.
    let finished = recover(&mut bench, &[], true);
    assert_eq!((finished.nodes.len(), finished.notes.len()), (0, 0));
    bench.restart();
    assert!(!bench.fleet.door(bench.now).recovering);
    for (_, _, at) in GUIDE {
        bench.agents.get_mut(&node(at)).unwrap().store = Some(bench.store);
        bench.connect(node(at));
        bench.succeed(node(at));
    }
    let operation = bench.accept(Verb::Stop, "");
    assert_eq!(operation.count(TargetState::Running), 4);
}

#[test]
fn an_older_copy_of_the_store_takes_back_what_it_lost() {
    let mut bench = Bench::guide();
    let backup = bench.rows.clone();
    bench.restart();
    bench.connect(media());
    bench.accept(Verb::Stop, "-a 172.31.16.139");
    bench.succeed(media());
    // Yesterday's copy: the stop is not in it, and its epoch is an older one.
    bench.rows = backup;
    bench.epoch = 0;
    bench.restart();
    for (_, _, at) in GUIDE {
        bench.connect(node(at));
    }
    assert_eq!(bench.fleet.nodes[&media()].state(), NodeState::Ahead);
    assert_eq!(
        bench.fleet.nodes[&node("172.31.16.138")].state(),
        NodeState::Online
    );
    let recovered = recover(&mut bench, &["172.31.16.139"], false);
    assert_eq!(recovered.nodes.len(), 1);
    let record = bench.agents[&media()].record.clone().unwrap();
    assert_eq!(record.desired.run_state, RunState::Stopped);
    assert_eq!(
        record.id.stamp,
        Stamp {
            epoch: 3,
            generation: 3
        }
    );
    // Everybody heard of the new epoch.
    assert_eq!(bench.agents[&node("172.31.16.138")].epoch, 3);
}

#[test]
fn a_node_ahead_by_its_epoch_alone_follows_when_the_epoch_is_raised() {
    let mut bench = Bench::guide();
    bench.restart();
    bench.restart();
    for (_, _, at) in GUIDE {
        bench.connect(node(at));
    }
    bench.epoch = 0;
    bench.restart();
    for (_, _, at) in GUIDE {
        bench.connect(node(at));
        assert_eq!(bench.fleet.nodes[&node(at)].state(), NodeState::Ahead);
    }
    recover(&mut bench, &["172.31.16.138"], false);
    for (_, _, at) in GUIDE {
        assert_eq!(
            bench.fleet.nodes[&node(at)].state(),
            NodeState::Online,
            "{at}"
        );
        assert_eq!(bench.agents[&node(at)].epoch, 4);
    }
    assert_eq!(
        bench.record(media()).unwrap().stamp,
        Stamp {
            epoch: 1,
            generation: 1
        }
    );
}

#[test]
fn a_ledger_is_believed_about_its_own_node_only() {
    let mut bench = lost_store();
    let queue = node("172.31.16.138");
    for (_, _, at) in GUIDE {
        bench.connect(node(at));
    }
    // One shows another's record, one claims another's name, one a number nobody can have.
    let stolen = bench.agents[&queue].record.clone();
    bench.agents.get_mut(&media()).unwrap().record = stolen;
    bench.agents.get_mut(&node("172.31.16.140")).unwrap().epoch = u64::MAX;
    let vr = bench.agents.get_mut(&node("172.31.16.137")).unwrap();
    vr.record.as_mut().unwrap().desired.name = "queue-server-1".parse().unwrap();
    for at in ["172.31.16.139", "172.31.16.140", "172.31.16.137"] {
        bench.connect(node(at));
    }
    let first = recover(&mut bench, &["172.31.16.138"], false);
    assert_eq!(first.nodes.len(), 1);
    let rest = recover(&mut bench, &[], false);
    assert_eq!(
        rest.notes,
        [
            "172.31.16.137 holds a record of queue-server-1, and that is the name of the server \
             at 172.31.16.138",
            "172.31.16.139 holds the record of another node, 172.31.16.138",
            "172.31.16.140 names an epoch or generation that no store can have reached",
        ]
    );
    assert!(
        bench.epoch < 100,
        "nobody drives the epoch to its end: {}",
        bench.epoch
    );
}

#[test]
fn nodes_that_are_not_ahead_or_not_there_are_left_with_a_note() {
    let mut bench = Bench::guide();
    bench.disconnect(media());
    let before = bench.rows.clone();
    let recovered = recover(
        &mut bench,
        &["172.31.16.138", "172.31.16.139", "10.0.0.1"],
        false,
    );
    assert_eq!(
        recovered.notes,
        [
            "172.31.16.138 is not ahead: nothing has to be taken back from it",
            "172.31.16.139 is not connected: what it holds is not known",
            "10.0.0.1 is not connected: what it holds is not known",
        ]
    );
    assert_eq!(bench.rows, before);
}

#[test]
fn finishing_takes_back_who_is_left_and_shuts_the_door() {
    let mut bench = lost_store();
    let (queue, meeting) = (node("172.31.16.138"), node("172.31.16.137"));
    // One that cannot be taken back, one that an operator removes while the door stands open.
    let stolen = bench.agents[&queue].record.clone();
    bench.agents.get_mut(&media()).unwrap().record = stolen;
    for (_, _, at) in GUIDE {
        bench.connect(node(at));
    }
    recover(&mut bench, &["172.31.16.137"], false);
    let turn = bench.fleet.remove(meeting, true, "anna", bench.now);
    bench.commit(turn).unwrap();
    assert!(!bench.fleet.door(bench.now).admits_agent(meeting.ip()));
    bench.restart();
    assert_eq!(
        bench.try_connect(meeting).unwrap_err().sentence(),
        "cannot admit 172.31.16.137: it was removed"
    );
    for at in [queue, media(), node("172.31.16.140")] {
        bench.connect(at);
    }
    let finished = recover(&mut bench, &[], true);
    let taken: Vec<_> = finished.nodes.iter().map(|(view, _)| view.node).collect();
    assert_eq!(taken, [queue, node("172.31.16.140")]);
    assert_eq!(
        finished.notes,
        [
            "172.31.16.139 holds the record of another node, 172.31.16.138",
            "172.31.16.139 was not taken back: it has to join again",
        ]
    );
    let (at, _, reason) = *bench.closed.last().unwrap();
    assert_eq!((at, reason), (media(), CloseReason::NotInStore));
    assert!(
        !bench
            .rows
            .keys()
            .any(|key| key.starts_with("removed/") || key.starts_with("meta/"))
    );
    assert!(!bench.fleet.door(bench.now).admits_agent(media().ip()));
    let again = recover(&mut bench, &[], true);
    assert_eq!(again.notes, ["the door was closed already"]);
}

#[test]
fn an_open_operation_of_the_older_state_is_ended() {
    let mut bench = Bench::guide();
    let operation = bench.upgrade("-a 172.31.16.139");
    let backup = bench.rows.clone();
    bench.succeed(media());
    bench.accept(Verb::Stop, "-a 172.31.16.139");
    bench.rows = backup;
    bench.restart();
    bench.connect(media());
    recover(&mut bench, &[], false);
    let target = bench.target(operation.id, media());
    assert_eq!(target.state, TargetState::Failed);
    assert_eq!(
        target.reason,
        "the node's record was taken back from its ledger"
    );
}
