//! Questions and live progress, on a pseudo-terminal.

use std::sync::atomic::Ordering;
use std::time::Duration;

use extend_proto::v1;
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

use crate::fixtures::{self, operation, phase, target};
use crate::harness::{Place, pause, until};
use crate::stub::OnSubmit;

/// Two servers would be removed; the operation then ends at once.
fn removal() -> Place {
    let place = Place::new();
    let mut plan = fixtures::plan();
    plan.truncate(2);
    plan.iter_mut()
        .for_each(|target| target.image_after = String::new());
    let targets = (0..2)
        .map(|index| target(index, v1::TargetState::Succeeded))
        .collect();
    let removed = operation(v1::Verb::Rm, targets);
    place.script.operation.send_replace(removed.clone());
    place.script.on_submit([
        OnSubmit::Answer(v1::SubmitResponse {
            plan: plan.clone(),
            operation: None,
        }),
        OnSubmit::Answer(v1::SubmitResponse {
            plan,
            operation: Some(removed),
        }),
    ]);
    place
}

const QUESTION: &str = "Type the number of servers to confirm: ";

/// Longer than what is typed with the question is thrown away.
fn read_the_question() {
    pause(Duration::from_millis(800));
}

#[test]
fn the_number_of_servers_confirms_and_only_what_was_shown_is_removed() {
    let place = removal();
    let mut terminal = place.on_terminal("rm");
    terminal.shows(QUESTION);
    read_the_question();
    terminal.answers("2\n");
    let (code, shown) = terminal.ends();
    assert_eq!(code, 0, "{shown}");
    assert!(
        shown.contains("Remove 2 servers? The data directories stay"),
        "{shown}"
    );
    assert!(!shown.contains("IMAGE"), "no image changes: {shown}");
    assert!(
        shown.contains("meeting-server-1") && shown.contains("queue-server-1"),
        "{shown}"
    );
    let submits = place.script.submits();
    assert_eq!(submits.len(), 2);
    assert!(submits[0].plan_only && !submits[1].plan_only);
    assert_ne!(submits[0].request_id, submits[1].request_id);
    assert!(submits[0].selector.as_ref().unwrap().nodes.is_empty());
    assert_eq!(
        submits[1].selector.as_ref().unwrap().nodes,
        ["172.31.16.137", "172.31.16.138"]
    );
}

#[test]
fn any_other_answer_changes_nothing() {
    for answer in ["3\n", "y\n", "yes\n", "\n", "22\n", "2 2\n", "\u{4}"] {
        let place = removal();
        let mut terminal = place.on_terminal("rm -s media-server-only");
        terminal.shows(QUESTION);
        read_the_question();
        terminal.answers(answer);
        let (code, shown) = terminal.ends();
        assert_eq!(code, 1, "{answer:?}: {shown}");
        assert!(
            shown.contains("error: not confirmed: nothing was changed"),
            "{shown}"
        );
        assert_eq!(place.script.submits().len(), 1, "{answer:?}");
    }
}

#[test]
fn what_was_typed_ahead_confirms_nothing() {
    let place = removal();
    let mut terminal = place.on_terminal("rm");
    // Pasted with the command, and once more in the moment the question appears.
    terminal.types("2\n");
    terminal.shows(QUESTION);
    terminal.types("2\n");
    read_the_question();
    assert_eq!(
        place.script.submits().len(),
        1,
        "a line typed ahead has confirmed"
    );
    assert!(
        terminal.child.try_wait().unwrap().is_none(),
        "the question still stands"
    );
    terminal.answers("2\n");
    let (code, shown) = terminal.ends();
    assert_eq!(code, 0, "{shown}");
}

#[test]
fn ctrl_c_at_the_question_changes_nothing() {
    let place = removal();
    let mut terminal = place.on_terminal("rm");
    terminal.shows(QUESTION);
    kill(
        Pid::from_raw(terminal.child.id().try_into().unwrap()),
        Signal::SIGINT,
    )
    .unwrap();
    terminal.ends();
    assert_eq!(place.script.submits().len(), 1);
}

#[test]
fn nothing_is_asked_about_one_server_that_is_named() {
    for words in [
        "rm -n queue-server-1",
        "rm -a 172.31.16.138",
        "rm --yes",
        "rm --plan",
    ] {
        let place = removal();
        place.script.on_submit.lock().unwrap().pop_front();
        let (_, shown) = place.on_terminal(words).ends();
        assert!(!shown.contains("confirm"), "{words}: {shown}");
        assert_eq!(place.script.submits().len(), 1, "{words}");
    }
}

#[test]
fn nothing_is_asked_where_there_is_nothing_to_remove() {
    let place = removal();
    let mut plan = fixtures::plan();
    plan.drain(..3);
    place
        .script
        .on_submit([OnSubmit::Answer(v1::SubmitResponse {
            plan,
            operation: None,
        })]);
    let (code, shown) = place.on_terminal("rm").ends();
    assert_eq!(code, 0, "{shown}");
    assert!(shown.contains("nothing to do"), "{shown}");
    assert_eq!(place.script.submits().len(), 1);
}

#[test]
fn a_node_is_revoked_after_a_yes() {
    let place = Place::new();
    let mut terminal = place.on_terminal("node revoke 172.31.16.139");
    terminal.shows("Type yes to confirm: ");
    read_the_question();
    assert!(place.script.asked.lock().unwrap().is_empty());
    terminal.answers("yes\n");
    assert_eq!(terminal.ends().0, 0);
    assert_eq!(
        *place.script.asked.lock().unwrap(),
        ["revoke 172.31.16.139"]
    );
}

#[test]
fn progress_is_drawn_in_place_and_ctrl_c_leaves() {
    let place = Place::new();
    let mut going = target(2, v1::TargetState::Running);
    phase(&mut going, v1::Phase::Stopping, 1_000);
    going.detail = "signal sent, 3m 20s left".to_owned();
    let open = operation(
        v1::Verb::Restart,
        vec![going.clone(), target(0, v1::TargetState::Queued)],
    );
    place.script.operation.send_replace(open.clone());
    let mut terminal = place.on_terminal("restart");
    terminal.shows("stopping");
    terminal.shows("signal sent, 3m 20s left");
    terminal.shows("queued");
    phase(&mut going, v1::Phase::Starting, 4_000);
    place.script.operation.send_replace(v1::Operation {
        targets: vec![going, target(0, v1::TargetState::Queued)],
        ..open
    });
    terminal.shows("starting");
    kill(
        Pid::from_raw(terminal.child.id().try_into().unwrap()),
        Signal::SIGINT,
    )
    .unwrap();
    let (code, shown) = terminal.ends();
    assert_eq!(code, 6, "{shown}");
    assert!(shown.ends_with("hint: extend op watch 5nzq8c\n"), "{shown}");
    // Drawn over: the cursor was moved up again.
    assert!(shown.contains("\u{1b}[1A"), "{shown:?}");
}

#[test]
fn the_end_is_told_below_the_progress() {
    let place = Place::new();
    let (code, shown) = place.on_terminal("restart").ends();
    assert_eq!(code, 0, "{shown}");
    let end = "restart 5nzq8c: media-server-1 (172.31.16.139) succeeded in 1m 12s\n";
    assert!(shown.ends_with(end), "{shown}");
}

#[test]
fn status_is_drawn_again_every_second() {
    let place = Place::new();
    let mut terminal = place.on_terminal("status --watch");
    terminal.shows("quarantined");
    until("asked again", || {
        place.script.asked.lock().unwrap().len() >= 2
    });
    assert_eq!(place.script.watches.load(Ordering::SeqCst), 0);
    kill(
        Pid::from_raw(terminal.child.id().try_into().unwrap()),
        Signal::SIGINT,
    )
    .unwrap();
    let (code, shown) = terminal.ends();
    assert_eq!(code, 0, "nothing goes on that was stopped watching");
    assert!(
        shown.lines().all(|line| line.chars().count() < 200),
        "{shown}"
    );
}
