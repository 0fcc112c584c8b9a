//! The exit codes, one by one, and what is said with them.

use extend_proto::v1;
use tonic::{Code, Status};

use crate::fixtures::{self, operation, target};
use crate::harness::Place;
use crate::stub::{OnSubmit, refusal};

#[test]
fn the_states_of_the_targets_decide() {
    use v1::TargetState::{Cancelled, Failed, RolledBack, Skipped, Succeeded as Done, TimedOut};
    let table: &[(&[v1::TargetState], i32)] = &[
        (&[Done], 0),
        (&[Done, Done], 0),
        (&[Failed], 1),
        (&[RolledBack], 1),
        (&[Cancelled], 1),
        (&[TimedOut], 1),
        (&[Failed, Skipped], 1),
        (&[Done, Failed], 3),
        (&[Done, RolledBack], 3),
        (&[Done, Cancelled], 3),
        (&[Done, TimedOut], 3),
        (&[Done, Skipped], 3),
    ];
    for (states, code) in table {
        let place = Place::new();
        let targets = states
            .iter()
            .enumerate()
            .map(|(index, state)| target(index, *state));
        place
            .script
            .operation
            .send_replace(operation(v1::Verb::Restart, targets.collect()));
        assert_eq!(place.run("restart").code, *code, "restart: {states:?}");
        assert_eq!(
            place.run("op watch 5nzq8c").code,
            *code,
            "op watch: {states:?}"
        );
        assert_eq!(place.run("op show 5nzq8c").code, 0, "op show: {states:?}");
    }
}

#[test]
fn what_helps_against_a_failure_stands_on_a_line_of_its_own() {
    let place = Place::new();
    let mut failed = target(0, v1::TargetState::Failed);
    failed.reason = extend_common::hint::with_hint(
        "port 8842/tcp of the media server is in use by nginx (process 7)",
        "on 172.31.16.139: ss -ltnp 'sport = :8842'",
    );
    place
        .script
        .operation
        .send_replace(operation(v1::Verb::Restart, vec![failed]));
    let ran = place.run("op watch 5nzq8c");
    assert_eq!(ran.code, 1);
    let lines: Vec<_> = ran.err.lines().map(str::trim).collect();
    assert!(
        lines
            .iter()
            .any(|line| line.ends_with("is in use by nginx (process 7)")),
        "{}",
        ran.err
    );
    assert!(
        lines.contains(&"hint: on 172.31.16.139: ss -ltnp 'sport = :8842'"),
        "{}",
        ran.err
    );
}

#[test]
fn the_controllers_answers_decide() {
    let table = [
        (Code::InvalidArgument, 2),
        (Code::FailedPrecondition, 4),
        (Code::NotFound, 4),
        (Code::PermissionDenied, 4),
        (Code::Internal, 1),
        (Code::Unimplemented, 1),
        (Code::Unavailable, 5),
    ];
    for (status, code) in table {
        let place = Place::new();
        let answer = Status::new(status, "because");
        place.script.on_submit([OnSubmit::Refuse(answer.clone())]);
        *place.script.refuse.lock().unwrap() = Some(answer);
        for words in [
            "restart --patience 50ms",
            "status",
            "node list",
            "op list",
            "op show 5n",
        ] {
            let ran = place.run(words);
            assert_eq!(ran.code, code, "{words}: {status:?}: {}", ran.err);
            assert!(ran.err.contains("error: "), "{words}: {}", ran.err);
            assert_eq!(ran.out, "", "{words}");
        }
    }
}

#[test]
fn a_refusal_is_said_in_the_controllers_words() {
    let place = Place::new();
    place.script.on_submit([OnSubmit::Refuse(refusal(
        Code::FailedPrecondition,
        "restart media-server-only at 172.31.16.137: the server there is meeting-server-1",
        &[
            "meeting-server-1 is a meeting-server-only",
            "evil \u{1b}[2J text",
        ],
        "extend restart -s meeting-server-only -a 172.31.16.137",
    ))]);
    let ran = place.run("restart -s media-server-only -a 172.31.16.137");
    assert_eq!(ran.code, 4);
    insta::assert_snapshot!(ran.err, @r"
    error: restart media-server-only at 172.31.16.137: the server there is meeting-server-1
      cause: meeting-server-1 is a meeting-server-only
      cause: evil \u{1b}[2J text
    hint: extend restart -s meeting-server-only -a 172.31.16.137
    ");
}

#[test]
fn a_plan_ends_with_10_where_it_found_changes() {
    let place = Place::new();
    let plan = fixtures::plan();
    let so: Vec<_> = plan
        .iter()
        .filter(|target| target.already_so)
        .cloned()
        .collect();
    let answer = |plan| {
        OnSubmit::Answer(v1::SubmitResponse {
            plan,
            operation: None,
        })
    };
    place.script.on_submit([answer(plan), answer(so)]);
    assert_eq!(place.run("restart --plan").code, 10);
    assert_eq!(place.run("restart --plan").code, 0);
    assert!(place.script.submits().iter().all(|submit| submit.plan_only));
    assert_eq!(
        place
            .script
            .watches
            .load(std::sync::atomic::Ordering::SeqCst),
        0
    );
}

#[test]
fn already_so_is_a_sentence_and_0() {
    let place = Place::new();
    let mut plan = fixtures::plan();
    plan.drain(..2);
    plan[0].already_so = true;
    plan[0].summary = String::new();
    place
        .script
        .on_submit([OnSubmit::Answer(v1::SubmitResponse {
            plan,
            operation: None,
        })]);
    let ran = place.run("stop");
    assert_eq!((ran.code, ran.out.as_str()), (0, ""));
    insta::assert_snapshot!(ran.err, @r"
    media-server-1 (172.31.16.139): already so, nothing to do
    ivr-server-1 (172.31.16.140): already stopped, nothing to do
    ");
    let ran = place.run("stop -o json");
    assert_eq!(ran.code, 0);
    let document: serde_json::Value = serde_json::from_str(&ran.out).unwrap();
    assert_eq!(document["changes"], false);
    assert_eq!(document["plan"][1]["name"], "ivr-server-1");
}

#[test]
fn detached_prints_the_id_alone_and_does_not_watch() {
    let place = Place::new();
    let ran = place.run("restart --detach");
    assert_eq!((ran.code, ran.out.trim()), (0, fixtures::ID));
    assert!(
        ran.err.ends_with("hint: extend op watch 5nzq8c\n"),
        "{}",
        ran.err
    );
    assert_eq!(
        place
            .script
            .watches
            .load(std::sync::atomic::Ordering::SeqCst),
        0
    );
}

#[test]
fn an_unknown_operation_is_refused() {
    let place = Place::new();
    *place.script.refuse.lock().unwrap() = Some(refusal(
        Code::NotFound,
        "there is no operation abcdef",
        &[],
        "extend op list",
    ));
    let ran = place.run("op watch abcdef");
    assert_eq!(ran.code, 4);
    assert_eq!(
        ran.err,
        "error: there is no operation abcdef\nhint: extend op list\n"
    );
}
