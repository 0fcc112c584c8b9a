//! What agents say, and what their silence says.

use std::time::Duration;

use extend_common::clock::before;
use extend_common::host::{AgedFigures, HostFigures};
use extend_common::operation::{TargetState, Verb};
use extend_common::record::{RecordHash, RecordId, Stamp};
use extend_common::status::{NodeState, OutcomeKind, Phase};

use jiff::SignedDuration;

use super::bench::{Bench, node};
use crate::core::CloseReason;
use crate::core::request::{Heartbeat, SessionNumber};

const QUEUE: &str = "172.31.16.138";

fn media() -> extend_common::ids::NodeAddr {
    node("172.31.16.139")
}

#[test]
fn reports_of_an_older_session_are_dropped() {
    let mut bench = Bench::guide();
    let old = bench.agents[&media()].session.unwrap();
    bench.connect(media());
    let closed = bench.closed.last().copied();
    assert_eq!(closed, Some((media(), old, CloseReason::Replaced)));
    let operation = bench.accept(Verb::Stop, "-a 172.31.16.139");
    let now = bench.now;
    bench
        .agents
        .get_mut(&media())
        .unwrap()
        .work(OutcomeKind::Succeeded, "", now);
    let status = bench.agents[&media()].status().unwrap();
    for stale in [old, SessionNumber(0), SessionNumber(u64::MAX)] {
        let turn = bench.fleet.report(stale, media(), status.clone(), now);
        assert!(turn.writes.is_empty() && turn.effects.is_empty());
    }
    let turn =
        bench
            .fleet
            .session_closed(old, media(), crate::core::request::SessionEnd::Closed, now);
    assert!(
        turn.writes.is_empty(),
        "the older session's end is not the node's"
    );
    assert_eq!(bench.states(operation.id), [TargetState::Running]);
    bench.report(media());
    assert_eq!(bench.states(operation.id), [TargetState::Succeeded]);
}

#[test]
fn reports_about_other_records_are_observations_only() {
    let mut bench = Bench::guide();
    let operation = bench.accept(Verb::Stop, "-a 172.31.16.139");
    let now = bench.now;
    bench
        .agents
        .get_mut(&media())
        .unwrap()
        .work(OutcomeKind::Succeeded, "", now);
    let honest = bench.agents[&media()].status().unwrap();
    let session = bench.agents[&media()].session.unwrap();
    let id = honest.record;
    let stamp = |epoch, generation| Stamp { epoch, generation };
    for lie in [
        RecordId {
            stamp: stamp(1, 1),
            ..id
        },
        RecordId {
            stamp: stamp(u64::MAX, u64::MAX),
            ..id
        },
        RecordId {
            hash: RecordHash([9; 32]),
            ..id
        },
    ] {
        let mut status = honest.clone();
        status.record = lie;
        let turn = bench.fleet.report(session, media(), status, now);
        bench.commit(turn);
        assert_eq!(
            bench.states(operation.id),
            [TargetState::Running],
            "{lie:?}"
        );
    }
    // Nor may one node speak for another.
    let turn = bench.fleet.report(session, node(QUEUE), honest, now);
    bench.commit(turn);
    assert_eq!(bench.states(operation.id), [TargetState::Running]);
}

#[test]
fn phases_are_durable_details_are_not_and_neither_grows_without_end() {
    let mut bench = Bench::guide();
    let operation = bench.upgrade("-a 172.31.16.139");
    let session = bench.agents[&media()].session.unwrap();
    let mut status = bench.agents[&media()].status().unwrap();
    let mut report = |bench: &mut Bench, phase, detail: &str| {
        (status.phase, status.detail) = (phase, detail.to_owned());
        let turn = bench
            .fleet
            .report(session, media(), status.clone(), bench.now);
        let told = (turn.writes.len(), turn.effects.len());
        bench.commit(turn);
        told
    };
    assert_eq!(report(&mut bench, Phase::Pulling, "10 %"), (1, 1));
    assert_eq!(report(&mut bench, Phase::Pulling, "20 %"), (0, 1));
    assert_eq!(report(&mut bench, Phase::Pulling, "20 %"), (0, 0));
    for _ in 0..100 {
        report(&mut bench, Phase::Stopping, "");
        report(&mut bench, Phase::Starting, "");
    }
    let target = bench.target(operation.id, media());
    assert_eq!(target.phases.len(), 32);
    assert_eq!(target.phase(), Phase::Starting);
}

#[test]
fn silence_makes_a_node_suspect_then_lost_and_its_target_waits() {
    let mut bench = Bench::guide();
    let operation = bench.accept(Verb::Stop, "-a 172.31.16.139");
    let session = bench
        .agents
        .get_mut(&media())
        .unwrap()
        .session
        .take()
        .unwrap();
    let state = |bench: &Bench| bench.fleet.nodes[&media()].state();
    bench.pass(Duration::from_millis(2_500));
    assert_eq!(state(&bench), NodeState::Online);
    bench.pass(Duration::from_secs(1));
    assert_eq!(state(&bench), NodeState::Suspect);
    assert_eq!(
        bench.states(operation.id),
        [TargetState::Running],
        "suspect is no verdict"
    );
    // A word is enough to be well again.
    let turn = bench
        .fleet
        .heartbeat(session, media(), Default::default(), bench.now);
    bench.commit(turn);
    assert_eq!(state(&bench), NodeState::Online);
    bench.pass(Duration::from_millis(5_500));
    assert_eq!(state(&bench), NodeState::Offline);
    assert_eq!(
        bench.closed.last(),
        Some(&(media(), session, CloseReason::Silent))
    );
    let target = bench.target(operation.id, media());
    assert_eq!(target.state, TargetState::Waiting);
    assert!(
        target.reason.contains("is offline since"),
        "{}",
        target.reason
    );
    bench.connect(media());
    assert_eq!(bench.states(operation.id), [TargetState::Running]);
}

#[test]
fn the_controllers_own_slowness_is_nobodys_silence() {
    let mut bench = Bench::guide();
    bench.tick();
    bench.now = extend_common::clock::after(bench.now, Duration::from_secs(30));
    bench.tick();
    assert_eq!(bench.fleet.nodes[&media()].state(), NodeState::Online);
}

#[test]
fn figures_and_clocks_are_told_and_never_stored() {
    let mut bench = Bench::guide();
    let session = bench.agents[&media()].session.unwrap();
    let figures = HostFigures {
        processors: Some(2),
        ..HostFigures::default()
    };
    let beat = |bench: &mut Bench, host, ahead: Option<i64>| {
        let heartbeat = Heartbeat {
            host,
            clock_ahead: ahead.map(SignedDuration::from_secs),
            ..Heartbeat::default()
        };
        let turn = bench
            .fleet
            .heartbeat(session, media(), heartbeat, bench.now);
        assert!(turn.writes.is_empty() && turn.effects.is_empty());
        bench
            .fleet
            .nodes(Some(media()), bench.now)
            .unwrap()
            .remove(0)
    };
    let age = Duration::from_secs(3);
    let told = Some(Box::new(AgedFigures {
        age,
        figures: figures.clone(),
    }));
    let view = beat(&mut bench, told, Some(-4));
    let sample = view.host.clone().unwrap();
    assert_eq!(
        (sample.at, sample.figures),
        (before(bench.now, age), figures)
    );
    assert_eq!(view.reason, "", "clocks differ by a few seconds");
    let view = beat(&mut bench, None, Some(61 * 60));
    assert!(view.host.is_some(), "no news are no loss");
    assert_eq!(
        view.reason,
        "its clock is 1h 1m ahead of the controller's: certificates allow for an hour"
    );
    let view = beat(&mut bench, None, Some(-6));
    assert_eq!(
        view.reason,
        "its clock is 6s behind the controller's: certificates allow for an hour"
    );
    bench.pass(Duration::from_secs(1));
    let view = beat(&mut bench, None, None);
    assert_eq!((view.clock_ahead, view.reason.as_str()), (None, ""));
}

#[test]
fn what_was_never_touched_was_kept_and_not_put_back() {
    for (touched, words) in [
        (false, "kept 22.3.1: the image cannot be pulled"),
        (true, "22.3.1 serves again: the image cannot be pulled"),
    ] {
        let mut bench = Bench::guide();
        let operation = bench.upgrade("-a 172.31.16.139 -i portsip/pbx:22.4");
        let agent = bench.agents.get_mut(&media()).unwrap();
        if touched {
            let container = agent.container.as_mut().unwrap();
            container.instance.started_at.push('9');
        }
        bench.work(
            media(),
            OutcomeKind::RolledBack,
            "the image cannot be pulled",
        );
        assert_eq!(bench.states(operation.id), [TargetState::RolledBack]);
        let ended = bench.fleet.operation(operation.id).unwrap();
        assert_eq!(ended.targets[0].reason, words);
    }
}
