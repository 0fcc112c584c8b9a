//! What waits: operations for a server that another one holds, canaries for their time, the last
//! healthy server for another, and everything for sessions.

use std::time::Duration;

use extend_common::hint::split_hint;
use extend_common::operation::{TargetState, Verb};
use extend_common::record::{Drain, RunState};
use extend_common::status::{Health, OutcomeKind};

use ulid::Ulid;

use extend_common::ids::{OperationId, RequestId};

use super::bench::{Bench, SECOND_MEDIA as SECOND, node};
use crate::core::request::Retry;

const MEDIA: &str = "172.31.16.139";
const IVR: &str = "172.31.16.140";

#[test]
fn an_operation_waits_for_the_one_that_holds_its_server() {
    let mut bench = Bench::guide();
    let first = bench.accept(Verb::Stop, &format!("-a {MEDIA} -m CAB-123"));
    let second = bench.accept(Verb::Start, &format!("-a {MEDIA},{IVR} --queue"));
    let third = bench.accept(Verb::Restart, &format!("-a {MEDIA} --queue"));
    // What is free goes on.
    let ivr = bench.target(second.id, node(IVR));
    assert_eq!(ivr.state, TargetState::Succeeded, "it runs");
    let waits = bench.target(second.id, node(MEDIA));
    assert_eq!((waits.state, waits.stamp), (TargetState::Queued, None));
    let words = format!(
        "waits for stop {} of anna (CAB-123), begun 2026-11-18T11:06:40Z",
        first.id.short()
    );
    assert_eq!(waits.reason, words);
    // A controller that starts anew knows who was first.
    bench.restart();
    bench.connect(node(MEDIA));
    bench.tick();
    assert_eq!(
        bench.target(first.id, node(MEDIA)).state,
        TargetState::Running
    );
    assert_eq!(
        bench.target(third.id, node(MEDIA)).state,
        TargetState::Queued
    );
    bench.succeed(node(MEDIA));
    bench.tick();
    assert_eq!(
        bench.target(second.id, node(MEDIA)).state,
        TargetState::Running
    );
    let reason = bench.target(third.id, node(MEDIA)).reason;
    assert!(
        reason.starts_with(&format!("waits for start {}", second.id.short())),
        "{reason}"
    );
    // One that is cancelled before its turn has left nothing.
    bench.cancel(third.id);
    let cancelled = bench.target(third.id, node(MEDIA));
    assert_eq!(
        (cancelled.state, cancelled.stamp),
        (TargetState::Cancelled, None)
    );
    bench.succeed(node(MEDIA));
    assert_eq!(bench.operation(second.id).summary(), "succeeded");
    let record = bench.agents[&node(MEDIA)].record.clone().unwrap();
    assert_eq!(record.desired.run_state, RunState::Running);
}

#[test]
fn a_server_that_is_gone_when_its_turn_comes_is_not_made_again() {
    let mut bench = Bench::guide();
    bench.accept(Verb::Rm, &format!("-a {MEDIA}"));
    let second = bench.accept(Verb::Rm, &format!("-a {MEDIA} --queue"));
    bench.succeed(node(MEDIA));
    bench.tick();
    let target = bench.target(second.id, node(MEDIA));
    assert_eq!(
        (target.state, target.reason.as_str()),
        (TargetState::Failed, "its server is gone")
    );
    assert!(bench.operation(second.id).ended.is_some());
}

#[test]
fn the_last_healthy_server_waits_for_another() {
    let mut bench = Bench::two_media();
    bench.agents.get_mut(&node(SECOND)).unwrap().health = Some(Health::Unhealthy);
    bench.report(node(SECOND));
    let operation = bench.accept(Verb::Restart, "-s media-server-only");
    let state = |bench: &Bench, at: &str| bench.target(operation.id, node(at)).state;
    // What is broken has its turn first.
    assert_eq!(state(&bench, SECOND), TargetState::Running);
    bench.succeed(node(SECOND));
    assert_eq!(state(&bench, SECOND), TargetState::Succeeded);
    assert_eq!(
        state(&bench, MEDIA),
        TargetState::Queued,
        "it is still unhealthy"
    );
    let note = bench.operation(operation.id).note;
    assert_eq!(
        note,
        "waits until media-server-2, which is done, is healthy again"
    );
    bench.agents.get_mut(&node(SECOND)).unwrap().health = None;
    bench.report(node(SECOND));
    bench.tick();
    assert_eq!(state(&bench, MEDIA), TargetState::Running);
}

#[test]
fn canaries_have_to_stay_healthy_also_across_a_restart_of_the_controller() {
    let mut bench = Bench::two_media();
    let operation = bench.accept(Verb::Restart, "-s media-server-only --canary 1 --bake 60");
    let state = |bench: &Bench, at: &str| bench.target(operation.id, node(at)).state;
    bench.succeed(node(MEDIA));
    bench.pass(Duration::from_secs(30));
    assert_eq!(state(&bench, SECOND), TargetState::Queued);
    let note = bench.operation(operation.id).note;
    assert_eq!(note, "the canaries have to stay healthy for 1m: 30s left");
    bench.restart();
    for at in [MEDIA, SECOND] {
        bench.connect(node(at));
        bench.report(node(at));
    }
    bench.pass(Duration::from_secs(59));
    assert_eq!(
        state(&bench, SECOND),
        TargetState::Queued,
        "nobody saw the time between"
    );
    bench.pass(Duration::from_secs(3));
    assert_eq!(state(&bench, SECOND), TargetState::Running);
}

#[test]
fn role_after_role_each_role_has_its_canaries_and_their_time() {
    let mut bench = Bench::two_media();
    let operation = bench.accept(Verb::Restart, "--serial --canary 1 --bake 60");
    let state = |bench: &Bench, at: &str| bench.target(operation.id, node(at)).state;
    bench.succeed(node(MEDIA));
    bench.pass(Duration::from_secs(61));
    bench.succeed(node(SECOND));
    let roles = ["172.31.16.138", "172.31.16.137", IVR];
    for (at, next) in roles.iter().zip(roles.iter().skip(1)) {
        bench.tick();
        assert_eq!(state(&bench, at), TargetState::Running, "{at}");
        bench.succeed(node(at));
        bench.pass(Duration::from_secs(59));
        assert_eq!(state(&bench, next), TargetState::Queued, "{next}");
        bench.pass(Duration::from_secs(2));
        assert_eq!(state(&bench, next), TargetState::Running, "{next}");
    }
    bench.succeed(node(IVR));
    assert_eq!(bench.operation(operation.id).summary(), "succeeded");
}

#[test]
fn a_canary_that_falls_ill_ends_the_rollout() {
    let mut bench = Bench::two_media();
    let operation = bench.accept(Verb::Restart, "-s media-server-only --canary 1 --bake 60");
    bench.succeed(node(MEDIA));
    bench.pass(Duration::from_secs(30));
    bench.agents.get_mut(&node(MEDIA)).unwrap().health = Some(Health::Unhealthy);
    bench.report(node(MEDIA));
    bench.tick();
    let skipped = bench.target(operation.id, node(SECOND));
    assert_eq!(skipped.state, TargetState::Skipped);
    assert_eq!(
        skipped.reason,
        "not begun, because the canary media-server-1 at 172.31.16.139 did not stay healthy: \
         unhealthy"
    );
    assert!(bench.operation(operation.id).ended.is_some());
}

#[test]
fn a_server_with_sessions_left_is_left_running() {
    let mut bench = Bench::two_media();
    let operation = bench.accept(Verb::Restart, "-s media-server-only --drain 600");
    assert_eq!(operation.drain, Some(Duration::from_secs(600)));
    let desired = bench.agents[&node(MEDIA)].record.clone().unwrap().desired;
    assert_eq!(desired.drain, Drain::First { limit_seconds: 600 });
    assert!(desired.replace.is_some());
    bench.work(
        node(MEDIA),
        OutcomeKind::Declined,
        "41 sessions were left after 10m",
    );
    let target = bench.target(operation.id, node(MEDIA));
    assert_eq!(target.state, TargetState::Failed);
    let (words, hint) = split_hint(&target.reason);
    assert_eq!(
        words,
        "41 sessions were left after 10m; it takes sessions again"
    );
    assert_eq!(
        hint,
        Some("to cut them: extend restart -a 172.31.16.139 --now")
    );
    assert_eq!(
        bench.target(operation.id, node(SECOND)).state,
        TargetState::Skipped
    );
    // The record does not go on waiting for its chance.
    let desired = bench.agents[&node(MEDIA)].record.clone().unwrap().desired;
    assert_eq!((desired.drain, desired.replace), (Drain::Off, None));
}

#[test]
fn the_line_that_cuts_sessions_has_the_options_of_the_first_one() {
    for (options, line) in [
        (
            "-i portsip/pbx:22.4 --force",
            "-i portsip/pbx:22.4 --force --now",
        ),
        ("", "--now"),
    ] {
        let mut bench = Bench::guide();
        let words = format!("-a {MEDIA} --drain 600 {options}");
        let operation = bench.accept(Verb::Upgrade, words.trim());
        bench.succeed(node(MEDIA));
        bench.work(node(MEDIA), OutcomeKind::Declined, "41 sessions were left");
        let reason = bench.target(operation.id, node(MEDIA)).reason;
        let wanted = format!("to cut them: extend upgrade -a {MEDIA} {line}");
        assert_eq!(split_hint(&reason).1, Some(wanted.as_str()), "{options}");
    }
}

#[test]
fn drained_and_undrained() {
    let mut bench = Bench::two_media();
    let drain = bench.accept(Verb::Drain, &format!("-a {MEDIA}"));
    let desired = bench.agents[&node(MEDIA)].record.clone().unwrap().desired;
    let hold = Drain::Hold {
        limit_seconds: 1800,
    };
    assert_eq!(
        (desired.run_state, desired.drain),
        (RunState::Running, hold)
    );
    bench.succeed(node(MEDIA));
    assert_eq!(bench.operation(drain.id).summary(), "succeeded");
    // Nobody counts on it meanwhile.
    let refusal = bench.refuse(Verb::Restart, &format!("-a {SECOND}"));
    assert_eq!(refusal.code(), "last-healthy");
    let undrain = bench.accept(Verb::Undrain, &format!("-a {MEDIA}"));
    let desired = bench.agents[&node(MEDIA)].record.clone().unwrap().desired;
    assert_eq!(desired.drain, Drain::Off);
    bench.succeed(node(MEDIA));
    assert_eq!(bench.operation(undrain.id).summary(), "succeeded");
    bench.accept(Verb::Restart, &format!("-a {SECOND}"));
    // A drain that is cancelled lets sessions in again.
    let drain = bench.accept(Verb::Drain, &format!("-a {MEDIA}"));
    bench.cancel(drain.id);
    let desired = bench.agents[&node(MEDIA)].record.clone().unwrap().desired;
    assert_eq!(desired.drain, Drain::Off);
}

#[test]
fn a_stopped_server_is_not_started_to_be_drained() {
    let mut bench = Bench::guide();
    bench.accept(Verb::Stop, &format!("-a {MEDIA}"));
    bench.succeed(node(MEDIA));
    bench.accept(Verb::Drain, &format!("-a {MEDIA}"));
    let desired = bench.agents[&node(MEDIA)].record.clone().unwrap().desired;
    assert_eq!(desired.run_state, RunState::Stopped);
}

#[test]
fn an_operation_goes_on_when_another_one_gives_back_what_its_role_can_spare() {
    let mut bench = Bench::two_media();
    let first = bench.accept(Verb::Restart, &format!("-a {MEDIA}"));
    let second = bench.accept(Verb::Restart, &format!("-a {SECOND}"));
    assert_eq!(
        bench.target(second.id, node(SECOND)).state,
        TargetState::Queued
    );
    assert_eq!(
        bench.operation(second.id).note,
        "media-server-2 waits: other operations have put as many media servers out of service as \
         may be"
    );
    bench.succeed(node(MEDIA));
    assert!(bench.operation(first.id).ended.is_some());
    bench.tick();
    assert_eq!(
        bench.target(second.id, node(SECOND)).state,
        TargetState::Running
    );
}

#[test]
fn a_rollout_waits_while_what_it_has_done_is_ill() {
    let mut bench = Bench::two_media();
    let third = "172.31.16.159";
    bench.join(node(third));
    bench.deploy(&format!(
        "-s media-server-only -n media-server-3 -a {third}"
    ));
    let operation = bench.accept(Verb::Restart, "-s media-server-only");
    bench.succeed(node(MEDIA));
    // It answers at first, and hangs while the second one is under way.
    bench.agents.get_mut(&node(MEDIA)).unwrap().health = Some(Health::Unhealthy);
    bench.report(node(MEDIA));
    bench.succeed(node(SECOND));
    bench.tick();
    assert_eq!(
        bench.target(operation.id, node(third)).state,
        TargetState::Queued
    );
    let note = bench.operation(operation.id).note;
    assert_eq!(
        note,
        "waits until media-server-1, which is done, is healthy again"
    );
    bench.agents.get_mut(&node(MEDIA)).unwrap().health = None;
    bench.report(node(MEDIA));
    bench.tick();
    assert_eq!(
        bench.target(operation.id, node(third)).state,
        TargetState::Running
    );
}

#[test]
fn role_after_role_a_node_that_is_away_holds_up_nobody() {
    let mut bench = Bench::guide();
    bench.disconnect(node(MEDIA));
    let operation = bench.accept(Verb::Stop, "--serial");
    bench.tick();
    for at in ["172.31.16.138", "172.31.16.137", IVR] {
        assert_eq!(
            bench.target(operation.id, node(at)).state,
            TargetState::Running,
            "{at}"
        );
        bench.succeed(node(at));
        bench.tick();
    }
    bench.connect(node(MEDIA));
    bench.succeed(node(MEDIA));
    assert_eq!(bench.operation(operation.id).summary(), "succeeded");
}

#[test]
fn every_verb_can_be_done_again() {
    let again = |bench: &mut Bench, verb: Verb, line: &str, number: u128| {
        let first = bench.accept(verb, line);
        bench.cancel(first.id);
        bench.succeed(node(MEDIA));
        bench.tick();
        let retry = Retry {
            request: RequestId(Ulid(number)),
            operation: first.id.to_string(),
            failed_only: true,
            plan_only: false,
            timeout: None,
            message: String::new(),
            queue: false,
            by: "anna".to_owned(),
            from: None,
            checkup: None,
        };
        let turn = bench
            .fleet
            .retry(&retry, OperationId(Ulid(number << 64)), bench.now);
        let operation = bench.commit(turn).expect(line).operation.expect(line);
        assert_eq!((operation.verb, operation.retry_of), (verb, Some(first.id)));
        bench.cancel(operation.id);
        bench.succeed(node(MEDIA));
        bench.tick();
    };
    let mut bench = Bench::guide();
    for (number, verb) in [Verb::Stop, Verb::Restart, Verb::Upgrade, Verb::Drain]
        .iter()
        .enumerate()
    {
        again(
            &mut bench,
            *verb,
            &format!("-a {MEDIA}"),
            1_000 + number as u128,
        );
    }
    bench.accept(Verb::Stop, &format!("-a {MEDIA}"));
    bench.succeed(node(MEDIA));
    again(&mut bench, Verb::Start, &format!("-a {MEDIA}"), 2_000);
    again(&mut bench, Verb::Rm, &format!("-a {MEDIA}"), 2_001);
}

#[test]
fn a_deployment_that_failed_late_is_taken_off_the_record_though_somebody_waits() {
    let mut bench = Bench::guide();
    let first = bench.upgrade(&format!("-a {MEDIA} -i portsip/pbx:22.4"));
    bench.disconnect(node(MEDIA));
    let second = bench.accept(Verb::Restart, &format!("-a {MEDIA} --queue"));
    bench.cancel(first.id);
    let now = bench.now;
    let agent = bench.agents.get_mut(&node(MEDIA)).unwrap();
    agent.work(OutcomeKind::RolledBack, "it exited with 1", now);
    bench.connect(node(MEDIA));
    bench.tick();
    let desired = bench.agents[&node(MEDIA)].record.clone().unwrap().desired;
    assert_eq!(desired.image.reference, "portsip/pbx:22");
    bench.succeed(node(MEDIA));
    bench.tick();
    bench.succeed(node(MEDIA));
    bench.tick();
    assert_eq!(bench.operation(second.id).summary(), "succeeded");
}

#[test]
fn an_agent_that_does_not_know_how_to_wait_is_told_nothing() {
    let mut bench = Bench::guide();
    bench.disconnect(node(MEDIA));
    let operation = bench.accept(Verb::Stop, &format!("-a {MEDIA} --drain 600"));
    let waiting = bench.target(operation.id, node(MEDIA));
    assert_eq!((waiting.state, waiting.stamp), (TargetState::Waiting, None));
    let mut old = bench.agents[&node(MEDIA)].hello();
    old.abilities.clear();
    let turn = bench.fleet.hello(
        node(MEDIA),
        super::bench::facts(node(MEDIA)),
        old,
        bench.now,
    );
    bench.commit(turn).unwrap();
    bench.tick();
    let target = bench.target(operation.id, node(MEDIA));
    assert_eq!((target.state, target.stamp), (TargetState::Failed, None));
    assert_eq!(
        target.reason,
        "its agent does not know how to wait for sessions"
    );
}

#[test]
fn what_is_gone_is_told_also_where_the_node_would_have_to_be_seen() {
    let mut bench = Bench::guide();
    bench.accept(Verb::Rm, &format!("-a {MEDIA}"));
    let restart = bench.accept(Verb::Rm, &format!("-a {MEDIA} --queue --drain 600"));
    bench.succeed(node(MEDIA));
    bench.tick();
    let target = bench.target(restart.id, node(MEDIA));
    assert_eq!(
        (target.state, target.reason.as_str()),
        (TargetState::Failed, "its server is gone")
    );
    // A node without a server has nothing that could be waited for.
    let run = format!("-s media-server-only -n media-server-1 -a {MEDIA} --drain 600");
    let run = bench.accept(Verb::Run, &run);
    assert_eq!(
        bench.target(run.id, node(MEDIA)).state,
        TargetState::Running
    );
}

#[test]
fn a_server_that_is_removed_on_purpose_is_not_ill() {
    let mut bench = Bench::two_media();
    let third = "172.31.16.159";
    bench.join(node(third));
    bench.deploy(&format!(
        "-s media-server-only -n media-server-3 -a {third}"
    ));
    let operation = bench.accept(Verb::Restart, "-s media-server-only");
    bench.succeed(node(MEDIA));
    bench.accept(Verb::Rm, &format!("-a {MEDIA}"));
    bench.succeed(node(MEDIA));
    bench.report(node(MEDIA));
    bench.succeed(node(SECOND));
    bench.tick();
    assert_eq!(
        bench.target(operation.id, node(third)).state,
        TargetState::Running
    );
}

#[test]
fn a_stop_that_waited_for_sessions_when_it_was_cancelled_is_taken_back() {
    let mut bench = Bench::guide();
    let stop = bench.accept(Verb::Stop, &format!("-a {MEDIA} --drain 1800"));
    bench.report(node(MEDIA));
    bench.disconnect(node(MEDIA));
    bench.cancel(stop.id);
    bench.connect(node(MEDIA));
    let desired = bench.agents[&node(MEDIA)].record.clone().unwrap().desired;
    assert_eq!(
        (desired.run_state, desired.drain),
        (RunState::Running, Drain::Off)
    );
    let late = bench.target(stop.id, node(MEDIA)).late;
    assert_eq!(
        late,
        "the node came back while it waited for sessions: it was taken back"
    );
}

#[test]
fn role_after_role_a_node_that_goes_in_the_middle_holds_up_nobody() {
    let mut bench = Bench::guide();
    let operation = bench.accept(Verb::Stop, "--serial");
    bench.report(node(MEDIA));
    bench.disconnect(node(MEDIA));
    bench.tick();
    let queue = bench.target(operation.id, node("172.31.16.138"));
    assert_eq!(queue.state, TargetState::Running);
}
