//! `extend op retry`: an operation submitted again.

use extend_proto::v1;
use tonic::Code;
use ulid::Ulid;

use crate::fixtures::{self, mixed, operation, target};
use crate::harness::{Place, until};
use crate::stub::{OnSubmit, refusal};

fn retries(place: &Place) -> Vec<v1::RetryRequest> {
    place.script.retries.lock().unwrap().clone()
}

#[test]
fn it_is_carried_out_as_a_verb_is() {
    let place = Place::new();
    let ran = place.run_words(&[
        "op",
        "retry",
        "5NZQ8C",
        "--failed-only",
        "--queue",
        "--timeout",
        "1h",
        "-m",
        "once more",
    ]);
    assert_eq!(ran.code, 0, "{}", ran.err);
    let retry = &retries(&place)[0];
    assert!(Ulid::from_string(&retry.request_id).is_ok());
    let wanted = v1::RetryRequest {
        request_id: retry.request_id.clone(),
        // The whole id: an ending may come to fit another operation.
        id: fixtures::ID.to_lowercase(),
        failed_only: true,
        plan_only: false,
        timeout_seconds: 3600,
        message: "once more".to_owned(),
        queue: true,
    };
    assert_eq!(retry.id.to_lowercase(), wanted.id);
    let id = retry.id.clone();
    assert_eq!(*retry, v1::RetryRequest { id, ..wanted });
    assert!(
        ran.err.contains("restart 5nzq8c: media-server-1"),
        "{}",
        ran.err
    );
    let asked = place.script.asked.lock().unwrap().clone();
    assert_eq!(asked[0], "get 5NZQ8C");
    assert!(asked[1].starts_with("watch "), "{asked:?}");

    let place = Place::new();
    assert_eq!(place.run("op retry 5nzq8c").code, 0);
    let plain = &retries(&place)[0];
    assert!(!plain.failed_only && !plain.queue && plain.message.is_empty());
    assert_eq!(plain.timeout_seconds, 0, "as long as the first time");
}

#[test]
fn its_end_decides_the_exit_code() {
    let place = Place::new();
    place.script.operation.send_replace(mixed());
    assert_eq!(place.run("op retry 5nzq8c").code, 3);
    let ran = place.run("op retry 5nzq8c --detach");
    assert_eq!((ran.code, ran.out.trim()), (0, fixtures::ID));
}

#[test]
fn a_plan_of_it_changes_nothing_and_is_in_the_words_of_its_verb() {
    let place = Place::new();
    place
        .script
        .on_submit([OnSubmit::Answer(v1::SubmitResponse {
            plan: fixtures::plan(),
            operation: None,
        })]);
    let ran = place.run("op retry 5nzq8c --plan");
    assert_eq!(ran.code, 10);
    assert!(
        ran.err.contains("restart: 3 of 4 servers would change"),
        "{}",
        ran.err
    );
    assert!(retries(&place)[0].plan_only);
}

#[test]
fn a_refusal_is_said_in_the_controllers_words() {
    let place = Place::new();
    place.script.on_submit([OnSubmit::Refuse(refusal(
        Code::FailedPrecondition,
        "cannot retry what failed of operation 5nzq8c: every target succeeded",
        &[],
        "extend op retry 5nzq8c",
    ))]);
    let ran = place.run("op retry 5nzq8c --failed-only");
    assert_eq!(ran.code, 4);
    assert!(
        ran.err.ends_with("hint: extend op retry 5nzq8c\n"),
        "{}",
        ran.err
    );
}

#[test]
fn the_same_request_is_sent_again_when_the_controller_dies() {
    let mut place = Place::new();
    place.script.on_submit([OnSubmit::Hang]);
    let child = place.spawn("op retry 5nzq8c");
    until("the first try", || !retries(&place).is_empty());
    place.kill();
    let operation = Some(fixtures::succeeded());
    place
        .script
        .on_submit([OnSubmit::Answer(v1::SubmitResponse {
            plan: Vec::new(),
            operation,
        })]);
    place.start();
    let ran = crate::harness::finish(child);
    assert_eq!(ran.code, 0, "{}", ran.err);
    let retries = retries(&place);
    assert_eq!(retries.len(), 2);
    assert_eq!(retries[0], retries[1]);
}

/// Two servers would be removed once more.
fn removal() -> Place {
    let place = Place::new();
    let targets = (0..2).map(|index| target(index, v1::TargetState::TimedOut));
    let removal = operation(v1::Verb::Rm, targets.collect());
    place.script.operation.send_replace(removal.clone());
    let mut plan = fixtures::plan();
    plan.truncate(2);
    place
        .script
        .on_submit([OnSubmit::Answer(v1::SubmitResponse {
            plan,
            operation: Some(removal),
        })]);
    place
}

#[test]
fn a_removal_of_several_servers_asks_again() {
    let place = removal();
    let ran = place.run("op retry 5nzq8c");
    assert_eq!(ran.code, 2, "{}", ran.err);
    assert!(
        ran.err.contains("cannot retry rm 5nzq8c without --yes"),
        "{}",
        ran.err
    );
    assert!(
        ran.err.ends_with("hint: extend op retry 5nzq8c --yes\n"),
        "{}",
        ran.err
    );
    assert!(retries(&place).iter().all(|retry| retry.plan_only));

    let place = removal();
    place.run("op retry 5nzq8c --yes");
    assert!(!retries(&place)[0].plan_only);
    assert_eq!(retries(&place).len(), 1);

    let place = removal();
    let mut terminal = place.on_terminal("op retry 5nzq8c");
    terminal.shows("Remove 2 servers?");
    terminal.answers("2\n");
    terminal.ends();
    let retries = retries(&place);
    assert!(retries[0].plan_only && !retries[1].plan_only);
}
