//! Operations that end before their work is done: nothing of them stays pending.

use std::time::Duration;

use extend_common::operation::{TargetState, Verb};
use extend_common::record::RunState;
use extend_common::status::OutcomeKind;

use super::bench::{Bench, node};

fn media() -> extend_common::ids::NodeAddr {
    node("172.31.16.139")
}

fn run_state(bench: &Bench) -> RunState {
    bench.agents[&media()]
        .record
        .as_ref()
        .unwrap()
        .desired
        .run_state
}

const MINUTES: Duration = Duration::from_secs(31 * 60);

#[test]
fn a_timeout_puts_a_server_back_whose_agent_is_there() {
    let mut bench = Bench::guide();
    let operation = bench.accept(Verb::Stop, "-a 172.31.16.139 --timeout 60");
    bench.pass(Duration::from_millis(60_500));
    let target = bench.target(operation.id, media());
    assert_eq!(target.state, TargetState::Running);
    assert_eq!(target.detail, "timed out after 1m, putting back");
    assert_eq!(
        run_state(&bench),
        RunState::Running,
        "the reversal was sent"
    );
    bench.succeed(media());
    let target = bench.target(operation.id, media());
    assert_eq!(target.state, TargetState::TimedOut);
    assert_eq!(target.reason, "timed out after 1m; the server was put back");
    assert!(bench.operation(operation.id).ended.is_some());
}

#[test]
fn a_target_that_is_put_back_ends_within_its_bound_whatever_its_agent_does() {
    let mut bench = Bench::guide();
    let operation = bench.accept(Verb::Stop, "-a 172.31.16.139 --timeout 60");
    bench.pass(Duration::from_secs(60 + 419));
    assert_eq!(bench.operation(operation.id).ended, None);
    bench.pass(Duration::from_millis(1_500));
    let target = bench.target(operation.id, media());
    assert_eq!(target.state, TargetState::TimedOut);
    assert_eq!(
        target.reason,
        "timed out after 1m; the node did not confirm within 7m that the server was put back"
    );
    // What it says later changes nothing but that.
    bench.succeed(media());
    let later = bench.target(operation.id, media());
    assert_eq!(
        later.late,
        "the node told afterwards: the server is as it was"
    );
    assert_eq!(later.state, TargetState::TimedOut);
}

#[test]
fn putting_back_may_fail_and_that_is_told() {
    let mut bench = Bench::guide();
    let operation = bench.accept(Verb::Stop, "-a 172.31.16.139 --timeout 60");
    bench.pass(Duration::from_secs(61));
    bench.work(media(), OutcomeKind::Failed, "docker does not answer");
    let target = bench.target(operation.id, media());
    assert_eq!(
        target.reason,
        "timed out after 1m; putting the server back failed: docker does not answer"
    );
    assert!(target.evidence.is_some());
}

#[test]
fn an_outcome_that_comes_before_the_reversal_wins() {
    let mut bench = Bench::guide();
    let operation = bench.accept(Verb::Stop, "-a 172.31.16.139 --timeout 60");
    bench.pass(Duration::from_secs(59));
    bench.succeed(media());
    bench.pass(Duration::from_secs(10));
    assert_eq!(bench.states(operation.id), [TargetState::Succeeded]);
    assert_eq!(run_state(&bench), RunState::Stopped);
}

#[test]
fn an_outcome_of_the_original_record_does_not_end_a_reversal() {
    let mut bench = Bench::guide();
    let operation = bench.accept(Verb::Stop, "-a 172.31.16.139");
    let (session, now) = (bench.agents[&media()].session.unwrap(), bench.now);
    bench
        .agents
        .get_mut(&media())
        .unwrap()
        .work(OutcomeKind::Succeeded, "", now);
    let crossing = bench.agents[&media()].status().unwrap();
    bench.cancel(operation.id);
    let turn = bench.fleet.report(session, media(), crossing, now);
    bench.commit(turn);
    assert_eq!(bench.states(operation.id), [TargetState::Running]);
    bench.succeed(media());
    assert_eq!(bench.states(operation.id), [TargetState::Cancelled]);
    assert_eq!(run_state(&bench), RunState::Running);
}

#[test]
fn a_cancelled_first_run_is_withdrawn() {
    let mut bench = Bench::new();
    bench.join(media());
    let operation = bench.accept(
        Verb::Run,
        "-s media-server-only -n media-server-1 -a 172.31.16.139",
    );
    bench.cancel(operation.id);
    assert_eq!(run_state(&bench), RunState::Withdrawn);
    bench.succeed(media());
    let target = bench.target(operation.id, media());
    assert_eq!(target.reason, "cancelled by bert; the server was put back");
    assert_eq!(bench.record(media()), None, "the tombstone is confirmed");
}

#[test]
fn cancelling_a_rolling_operation_begins_nothing_more() {
    use TargetState::{Cancelled, Running};
    let mut bench = Bench::guide();
    bench.join(node("172.31.16.141"));
    bench.deploy("-s media-server-only -n media-server-2 -a 172.31.16.141");
    let operation = bench.accept(Verb::Restart, "-s media-server-only");
    bench.cancel(operation.id);
    assert_eq!(bench.states(operation.id), [Running, Cancelled]);
    // Twice is as once.
    let generation = bench.record(media());
    bench.cancel(operation.id);
    assert_eq!(bench.record(media()), generation);
    bench.succeed(media());
    assert_eq!(bench.states(operation.id), [Cancelled, Cancelled]);
    let turn = bench.fleet.cancel(&operation.id.short(), "bert", bench.now);
    assert_eq!(bench.commit(turn).unwrap_err().code(), "operation-ended");
}

#[test]
fn a_target_whose_node_is_away_ends_at_once_and_is_put_back_at_its_hello() {
    let mut bench = Bench::guide();
    bench.disconnect(media());
    let operation = bench.accept(Verb::Stop, "-a 172.31.16.139");
    bench.pass(MINUTES);
    let target = bench.target(operation.id, media());
    assert_eq!(target.state, TargetState::TimedOut);
    assert!(
        target
            .reason
            .starts_with("timed out after 30m; node 172.31.16.139 is offline")
    );
    // Also when the controller was restarted in between.
    bench.restart();
    assert!(bench.fleet.nodes[&media()].row.abandoned.is_some());
    let asked_for = bench.record(media()).unwrap();
    bench.connect(media());
    let record = bench.agents[&media()].record.clone().unwrap();
    assert!(record.id.stamp > asked_for.stamp);
    assert_eq!(
        record.desired.run_state,
        RunState::Running,
        "the stop was never sent"
    );
    assert_eq!(bench.fleet.nodes[&media()].row.abandoned, None);
    assert_eq!(
        bench.target(operation.id, media()).late,
        "the node came back without having received it: nothing was done"
    );
}

#[test]
fn a_node_that_has_the_record_of_an_ended_target_tells_its_outcome_late() {
    let mut bench = Bench::guide();
    let operation = bench.accept(Verb::Stop, "-a 172.31.16.139");
    bench.disconnect(media());
    bench.cancel(operation.id);
    assert_eq!(bench.states(operation.id), [TargetState::Cancelled]);
    let now = bench.now;
    bench
        .agents
        .get_mut(&media())
        .unwrap()
        .work(OutcomeKind::Succeeded, "", now);
    bench.restart();
    let asked_for = bench.record(media());
    bench.connect(media());
    assert_eq!(bench.record(media()), asked_for, "what it did stands");
    let node = &bench.fleet.nodes[&media()];
    assert_eq!((node.row.abandoned.is_none(), node.untold.len()), (true, 0));
    let target = bench.target(operation.id, media());
    assert_eq!(target.state, TargetState::Cancelled);
    assert_eq!(target.late, "the node told afterwards: it was done");
}

#[test]
fn a_node_that_has_the_record_may_tell_its_outcome_later_still() {
    let mut bench = Bench::guide();
    let operation = bench.accept(Verb::Stop, "-a 172.31.16.139");
    bench.disconnect(media());
    bench.cancel(operation.id);
    bench.connect(media());
    assert_eq!(bench.target(operation.id, media()).late, "");
    bench.work(media(), OutcomeKind::Failed, "docker does not answer");
    let target = bench.target(operation.id, media());
    assert_eq!(
        target.late,
        "the node told afterwards: it failed: docker does not answer"
    );
}

#[test]
fn an_abandoned_first_run_is_withdrawn_at_the_hello() {
    let mut bench = Bench::new();
    bench.join(media());
    bench.disconnect(media());
    let line = "-s media-server-only -n media-server-1 -a 172.31.16.139";
    let operation = bench.accept(Verb::Run, line);
    bench.cancel(operation.id);
    // It is not there for other verbs, and the node is free for another run.
    assert_eq!(
        bench.refuse(Verb::Stop, "-a 172.31.16.139").code(),
        "no-server-at"
    );
    bench.connect(media());
    assert_eq!(run_state(&bench), RunState::Withdrawn);
    bench.succeed(media());
    assert_eq!(bench.record(media()), None);
    bench.deploy(line);
}

#[test]
fn the_next_operation_begins_from_what_was_before_an_abandoned_one() {
    let mut bench = Bench::guide();
    bench.disconnect(media());
    let upgrade = bench.accept(Verb::Upgrade, "-a 172.31.16.139 -i portsip/pbx:23");
    bench.cancel(upgrade.id);
    let stop = bench.accept(Verb::Stop, "-a 172.31.16.139");
    assert_eq!(
        bench.fleet.nodes[&media()].row.abandoned,
        None,
        "the new record stands for it"
    );
    bench.connect(media());
    let desired = bench.agents[&media()].record.clone().unwrap().desired;
    assert_eq!(
        (desired.image.reference.as_str(), desired.deployment.0),
        ("portsip/pbx:22", 1)
    );
    bench.cancel(stop.id);
    let desired = bench.agents[&media()].record.clone().unwrap().desired;
    assert_eq!(
        (desired.image.reference.as_str(), desired.deployment.0),
        ("portsip/pbx:22", 1)
    );
    assert_eq!(desired.run_state, RunState::Running);
}

#[test]
fn a_waiting_restart_that_ends_leaves_no_record() {
    let mut bench = Bench::guide();
    bench.disconnect(media());
    let before = bench.record(media());
    let operation = bench.accept(Verb::Restart, "-a 172.31.16.139");
    bench.cancel(operation.id);
    assert_eq!(bench.states(operation.id), [TargetState::Cancelled]);
    bench.connect(media());
    assert_eq!(bench.record(media()), before);
}

#[test]
fn a_reversal_goes_on_in_a_restarted_controller() {
    let mut bench = Bench::guide();
    let operation = bench.accept(Verb::Stop, "-a 172.31.16.139");
    let turn = bench
        .fleet
        .cancel(&operation.id.to_string(), "bert", bench.now);
    bench.commit_and_die(turn).unwrap();
    assert_eq!(
        run_state(&bench),
        RunState::Stopped,
        "the reversal was not sent any more"
    );
    bench.connect(media());
    assert_eq!(run_state(&bench), RunState::Running);
    bench.succeed(media());
    assert_eq!(bench.states(operation.id), [TargetState::Cancelled]);
}

#[test]
fn an_upgrade_that_turns_out_late_to_have_failed_is_taken_off_the_record() {
    let mut bench = Bench::guide();
    let operation = bench.upgrade("-a 172.31.16.139 -i portsip/pbx:23");
    bench.disconnect(media());
    bench.cancel(operation.id);
    let now = bench.now;
    let agent = bench.agents.get_mut(&media()).unwrap();
    agent.work(OutcomeKind::RolledBack, "it exited with 1", now);
    bench.connect(media());
    let record = bench.agents[&media()].record.clone().unwrap();
    assert_eq!(
        (record.desired.deployment.0, record.id.stamp.generation),
        (1, 4)
    );
    assert_eq!(record.desired.image.reference, "portsip/pbx:22");
    assert!(
        bench
            .target(operation.id, media())
            .late
            .ends_with("it exited with 1")
    );
}

#[test]
fn a_deadline_that_has_passed_does_not_keep_the_engine_awake() {
    let mut bench = Bench::guide();
    bench.accept(Verb::Stop, "-a 172.31.16.139 --timeout 60");
    bench.pass(Duration::from_secs(61));
    let wake = bench.fleet.tick(bench.now).answer;
    assert_eq!(
        wake,
        extend_common::clock::after(bench.now, crate::core::TICK)
    );
}

#[test]
fn what_is_put_back_does_not_restart_again() {
    let mut bench = Bench::guide();
    bench.accept(Verb::Restart, "-a 172.31.16.139");
    bench.succeed(media());
    let record = bench.agents[&media()].record.clone().unwrap();
    assert!(record.desired.replace.is_some());
    let stop = bench.accept(Verb::Stop, "-a 172.31.16.139");
    bench.cancel(stop.id);
    let record = bench.agents[&media()].record.clone().unwrap();
    assert_eq!(
        (record.desired.replace, record.desired.run_state),
        (None, RunState::Running)
    );
}
