//! Operations from their submission to their end, one rule a test.

use std::time::Duration;

use extend_common::operation::{TargetState, Verb};
use extend_common::record::RunState;
use extend_common::status::{NodeState, OutcomeKind};

use super::bench::{Bench, node, submission};
use crate::core::request::SelectorWords;

const MEETING: &str = "172.31.16.137";
const QUEUE: &str = "172.31.16.138";
const MEDIA: &str = "172.31.16.139";

fn media() -> extend_common::ids::NodeAddr {
    node(MEDIA)
}

#[test]
fn the_same_request_id_makes_one_operation() {
    let mut bench = Bench::guide();
    let mut wanted = submission(Verb::Stop, "-s media-server-only");
    wanted.request = "01ARZ3NDEKTSV4RRFFQ69G5FAV".parse().unwrap();
    let first = bench.submit(wanted.clone()).unwrap().operation.unwrap();
    let count = bench.fleet.operations.len();
    let again = bench.submit(wanted.clone()).unwrap().operation.unwrap();
    assert_eq!(first.id, again.id);
    assert_eq!(bench.fleet.operations.len(), count);
    // Also when it has ended, and after a restart of the controller.
    bench.succeed(media());
    bench.restart();
    let later = bench.submit(wanted).unwrap().operation.unwrap();
    assert_eq!((later.id, later.ended.is_some()), (first.id, true));
}

#[test]
fn already_so_is_answered_only_from_what_was_observed() {
    let mut bench = Bench::guide();
    let start = |bench: &mut Bench| bench.submit(submission(Verb::Start, "-a 172.31.16.139"));
    assert_eq!(start(&mut bench).unwrap().operation, None, "seen to run");
    bench.agents.get_mut(&media()).unwrap().lose_container();
    bench.report(media());
    let operation = start(&mut bench)
        .unwrap()
        .operation
        .expect("seen not to run");
    bench.succeed(media());
    assert_eq!(bench.states(operation.id), [TargetState::Succeeded]);
    bench.disconnect(media());
    assert!(
        start(&mut bench).unwrap().operation.is_some(),
        "not seen at all"
    );
}

#[test]
fn servers_that_are_already_so_are_targets_that_have_succeeded() {
    let mut bench = Bench::guide();
    bench.accept(Verb::Stop, "-a 172.31.16.139");
    bench.succeed(media());
    let operation = bench.accept(Verb::Start, "");
    assert_eq!(operation.count(TargetState::Succeeded), 3);
    assert_eq!(operation.count(TargetState::Running), 1);
    assert_eq!(operation.targets[0].reason, "already running");
    bench.succeed(media());
    assert_eq!(bench.operation(operation.id).summary(), "succeeded");
}

#[test]
fn a_plan_changes_nothing() {
    let mut bench = Bench::guide();
    let before = bench.rows.clone();
    let mut wanted = submission(Verb::Restart, "");
    wanted.plan_only = true;
    let planned = bench.submit(wanted).unwrap();
    assert_eq!((planned.plan.len(), planned.operation), (4, None));
    assert_eq!(bench.rows, before);
}

#[test]
fn a_restart_names_the_instance_it_replaces() {
    let mut bench = Bench::guide();
    let running = bench.agents[&media()].container.clone().unwrap().instance;
    bench.accept(Verb::Restart, "-a 172.31.16.139");
    let record = bench.agents[&media()].record.clone().unwrap();
    assert_eq!(record.desired.replace, Some(running.clone()));
    bench.succeed(media());
    assert_ne!(
        bench.agents[&media()].container.clone().unwrap().instance,
        running
    );
    // A stopped server is started.
    bench.accept(Verb::Stop, "-a 172.31.16.139");
    assert_eq!(
        bench.agents[&media()]
            .record
            .clone()
            .unwrap()
            .desired
            .replace,
        None
    );
    bench.succeed(media());
    bench.accept(Verb::Restart, "-a 172.31.16.139");
    let record = bench.agents[&media()].record.clone().unwrap();
    assert_eq!(
        (record.desired.replace, record.desired.run_state),
        (None, RunState::Running)
    );
}

#[test]
fn a_restart_of_a_node_that_is_away_is_committed_when_it_tells_what_runs() {
    let mut bench = Bench::guide();
    bench.disconnect(media());
    let before = bench.record(media());
    let operation = bench.accept(Verb::Restart, "-a 172.31.16.139");
    let target = bench.target(operation.id, media());
    assert_eq!((target.state, target.stamp), (TargetState::Waiting, None));
    assert!(
        target
            .reason
            .starts_with("node 172.31.16.139 is offline since 2026-"),
        "{target:?}"
    );
    assert_eq!(bench.record(media()), before, "nothing to name yet");
    // It has restarted by itself meanwhile: that instance is the one to replace.
    bench.agents.get_mut(&media()).unwrap().lose_container();
    bench.connect(media());
    assert_eq!(
        bench.target(operation.id, media()).state,
        TargetState::Running
    );
    let record = bench.agents[&media()].record.clone().unwrap();
    assert_eq!(record.desired.replace, None, "it was seen not to run");
    bench.succeed(media());
    assert_eq!(bench.states(operation.id), [TargetState::Succeeded]);
}

#[test]
fn other_verbs_on_a_node_that_is_away_wait_with_their_record() {
    let mut bench = Bench::guide();
    bench.disconnect(media());
    let operation = bench.accept(Verb::Stop, "-a 172.31.16.139");
    let target = bench.target(operation.id, media());
    assert_eq!(target.state, TargetState::Waiting);
    assert_eq!(target.stamp, Some(bench.record(media()).unwrap().stamp));
    bench.connect(media());
    assert_eq!(
        bench.target(operation.id, media()).state,
        TargetState::Running
    );
    bench.succeed(media());
    assert_eq!(bench.states(operation.id), [TargetState::Succeeded]);
}

#[test]
fn restarts_go_from_server_to_server_of_a_role_and_stop_at_the_first_failure() {
    use TargetState::{Failed, Queued, RolledBack, Running, Skipped, Succeeded};
    let mut bench = Bench::guide();
    for last in 141..=143 {
        bench.join(node(&format!("172.31.16.{last}")));
        bench.deploy(&format!(
            "-s media-server-only -n media-{last} -a 172.31.16.{last}"
        ));
    }
    let operation = bench.upgrade("");
    // In the order of addresses: meeting, queue, media, IVR, and three more of media.
    let first = [Running, Running, Running, Running, Queued, Queued, Queued];
    assert_eq!(bench.states(operation.id), first);
    bench.succeed(media());
    assert_eq!(
        bench.states(operation.id)[2..],
        [Succeeded, Running, Running, Queued, Queued]
    );
    bench.work(
        node("172.31.16.141"),
        OutcomeKind::RolledBack,
        "it exited with 1",
    );
    let after = [
        Running, Running, Succeeded, Running, RolledBack, Skipped, Skipped,
    ];
    assert_eq!(bench.states(operation.id), after);
    assert_eq!(
        bench.target(operation.id, node("172.31.16.142")).reason,
        "not begun, because media-141 at 172.31.16.141 failed"
    );
    // What is under way goes on, and the operation ends with the last.
    bench.work(node(MEETING), OutcomeKind::Failed, "");
    bench.succeed(node(QUEUE));
    assert_eq!(bench.operation(operation.id).ended, None);
    bench.succeed(node("172.31.16.140"));
    assert!(bench.operation(operation.id).ended.is_some());
    assert_eq!(bench.states(operation.id)[0], Failed);
}

#[test]
fn a_restarted_controller_goes_on_with_open_operations() {
    let mut bench = Bench::guide();
    let operation = bench.upgrade("");
    bench.succeed(media());
    let before = bench.operation(operation.id);
    bench.restart();
    assert_eq!(bench.operation(operation.id), before);
    // The agents worked on meanwhile; each tells so in its hello.
    let now = bench.now;
    for at in [MEETING, QUEUE, "172.31.16.140"] {
        bench
            .agents
            .get_mut(&node(at))
            .unwrap()
            .work(OutcomeKind::Succeeded, "", now);
        bench.connect(node(at));
    }
    assert_eq!(bench.operation(operation.id).summary(), "succeeded");
}

#[test]
fn targets_of_nodes_that_do_not_come_back_after_a_start_are_said_to_wait() {
    let mut bench = Bench::guide();
    let operation = bench.accept(Verb::Stop, "-a 172.31.16.139");
    bench.restart();
    bench.pass(Duration::from_secs(5));
    assert_eq!(
        bench.states(operation.id),
        [TargetState::Running],
        "it may still come"
    );
    bench.pass(Duration::from_secs(11));
    let target = bench.target(operation.id, media());
    assert_eq!(target.state, TargetState::Waiting);
    assert_eq!(
        target.reason,
        "node 172.31.16.139 is offline since 2026-11-18T11:06:55Z: it did not come back within \
         15s of the controller's start"
    );
}

#[test]
fn an_upgrade_carries_the_waiting_restart_no_further_than_its_server() {
    let mut bench = Bench::guide();
    let first = bench.accept(Verb::Stop, "-a 172.31.16.139");
    let refusal = bench.refuse(Verb::Restart, "-s media-server-only");
    assert_eq!(refusal.code(), "busy");
    assert!(
        refusal.hint().contains(&first.id.short()),
        "{}",
        refusal.hint()
    );
    // Others are free.
    bench.accept(Verb::Restart, "-s queue-server-only");
}

#[test]
fn servers_are_shown_with_what_was_seen_of_them() {
    let mut bench = Bench::guide();
    let all = bench
        .fleet
        .servers(&SelectorWords::default(), bench.now)
        .unwrap();
    assert_eq!(all.servers.len(), 4);
    let words = SelectorWords {
        role: "ivr-server-only".to_owned(),
        ..Default::default()
    };
    let ivr = bench.fleet.servers(&words, bench.now).unwrap();
    assert_eq!(ivr.servers.len(), 1);
    assert_eq!(ivr.servers[0].record.desired.name.as_str(), "ivr-server-1");
    assert!(ivr.servers[0].status.is_some());
    bench.restart();
    let ivr = bench.fleet.servers(&words, bench.now).unwrap();
    assert_eq!(
        (&ivr.servers[0].status, ivr.servers[0].node_state),
        (&None, NodeState::Suspect),
        "it may still come back"
    );
    bench.pass(Duration::from_secs(16));
    let ivr = bench.fleet.servers(&words, bench.now).unwrap();
    assert_eq!(ivr.servers[0].node_state, NodeState::Offline);
    assert!(ivr.servers[0].node_reason.contains("did not come back"));
}

#[test]
fn an_agent_that_has_not_looked_yet_is_no_observation() {
    let mut bench = Bench::guide();
    let mut hello = bench.agents[&media()].hello();
    hello.status = None;
    let facts = super::bench::facts(media());
    let turn = bench.fleet.hello(media(), facts, hello, bench.now);
    bench.commit(turn).unwrap();
    let started = bench.submit(submission(Verb::Start, "-a 172.31.16.139"));
    assert!(
        started.unwrap().operation.is_some(),
        "what was seen in an older session is old"
    );
}
