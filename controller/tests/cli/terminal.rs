//! Questions and live progress, on a pseudo-terminal.

use std::sync::atomic::Ordering;
use std::time::Duration;

use extend_proto::v1;
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

use crate::fixtures::{self, operation, phase, target};
use crate::harness::{Place, pause, until};
use crate::stub::{OnSubmit, refusal_as};

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
    assert!(shown.contains("\u{1b}[2A"), "{shown:?}");
}

#[test]
fn what_is_too_long_for_a_line_is_seen_to_be_cut_and_is_told_whole_at_the_end() {
    let place = Place::new();
    let mut going = target(2, v1::TargetState::Running);
    phase(&mut going, v1::Phase::Pulling, 1_000);
    going.detail = format!("fetching {}", "layer ".repeat(30));
    let open = operation(v1::Verb::Upgrade, vec![going.clone()]);
    place.script.operation.send_replace(open);
    let mut terminal = place.on_narrow_terminal(80, "op watch 5nzq8c");
    terminal.shows("…");
    let mut failed = target(2, v1::TargetState::Failed);
    failed.reason = format!("{}end of the reason", "why ".repeat(30));
    let ended = operation(v1::Verb::Upgrade, vec![failed.clone()]);
    place.script.operation.send_replace(ended);
    let (code, shown) = terminal.ends();
    assert_eq!(code, 1, "{shown}");
    let told = shown.matches(&failed.reason).count();
    assert_eq!(told, 1, "once with everything is enough: {shown}");
    assert!(
        shown.ends_with("hint: extend op retry 5nzq8c --failed-only\n"),
        "{shown}"
    );
}

#[test]
fn leaving_keeps_each_line_once() {
    let place = Place::new();
    let going = |index| {
        let mut target = target(index, v1::TargetState::Running);
        phase(&mut target, v1::Phase::Stopping, 1_000);
        target.detail = "signal sent, and a text that is as long as any line can be".to_owned();
        target
    };
    let open = operation(v1::Verb::Stop, vec![going(0), going(2)]);
    place.script.operation.send_replace(open);
    let mut terminal = place.on_narrow_terminal(80, "op watch 5nzq8c");
    terminal.shows("media-server-1");
    // What a terminal does with Ctrl-C: it writes it behind the last line, and signals.
    terminal.types("\u{3}");
    terminal.shows("^C");
    kill(
        Pid::from_raw(terminal.child.id().try_into().unwrap()),
        Signal::SIGINT,
    )
    .unwrap();
    let (_, shown) = terminal.ends();
    let screen = drawn(&shown, 80);
    for name in ["meeting-server-1", "media-server-1"] {
        let lines = screen.iter().filter(|line| line.starts_with(name)).count();
        assert_eq!(lines, 1, "{screen:#?}");
    }
    assert!(
        screen.contains(&"stopped watching stop 5nzq8c; the operation goes on".to_owned()),
        "{screen:#?}"
    );
}

/// What stands on a terminal in the end. Knows as much of escape sequences as is used here.
fn drawn(shown: &str, columns: usize) -> Vec<String> {
    let mut lines: Vec<Vec<char>> = vec![Vec::new()];
    let (mut row, mut column) = (0, 0);
    let mut chars = shown.chars();
    while let Some(c) = chars.next() {
        match c {
            '\n' => (row, column) = (row + 1, 0),
            '\u{1b}' => {
                let mut sequence = String::new();
                while !sequence.ends_with(|c: char| c.is_ascii_alphabetic()) {
                    sequence.push(chars.next().unwrap());
                }
                match sequence.as_str() {
                    "[K" => lines[row].truncate(column),
                    "[J" => {
                        lines.truncate(row + 1);
                        lines[row].truncate(column);
                    }
                    // The harness has dropped the carriage return before it.
                    "[2A" => (row, column) = (row - 2, 0),
                    other => panic!("unknown sequence {other}"),
                }
            }
            c => {
                if column == columns {
                    (row, column) = (row + 1, 0);
                }
                lines.resize_with(lines.len().max(row + 1), Vec::new);
                let line = &mut lines[row];
                line.resize(line.len().max(column + 1), ' ');
                line[column] = c;
                column += 1;
            }
        }
        lines.resize_with(lines.len().max(row + 1), Vec::new);
    }
    let lines = lines.into_iter().map(String::from_iter);
    lines
        .map(|line: String| line.trim_end().to_owned())
        .collect()
}

#[test]
fn eighty_columns_hold_what_matters_of_the_status() {
    let place = Place::new();
    let (code, shown) = place.on_narrow_terminal(80, "status").ends();
    assert_eq!(code, 0, "{shown}");
    insta::assert_snapshot!(shown, @r"
    NAME              ADDRESS        HEALTH       SINCE   REASON
    meeting-server-1  172.31.16.137  healthy      2h 30m  -
    queue-server-1    172.31.16.138  quarantined  2h 30m  restarts: 5 by agent, 2 by
                                                          docker; 5 restarts in 10m
                                                          did not help; to start it
                                                          again: extend restart -n
                                                          queue-server-1
    media-server-1    172.31.16.139  starting     2h 30m  operation 5nzq8c; pulling
                                                          portsip/pbx:22
    ivr-server-1      172.31.16.140  unknown      -       its node is offline; it
                                                          was healthy
    no room for PORTAL, IMAGE, NODE, TYPE, OPERATION, RESTARTS, VERSION: -o wide
    shows all

    UNCLAIMED CONTAINER  ADDRESS        NAME            TO TAKE IT OVER
    portsip.mediaserver  172.31.16.141  media-server-2  extend adopt -a
                                                        172.31.16.141
    no room for ID, TYPE: -o wide shows all
    ");
    let mut terminal = place.on_narrow_terminal(80, "status -w");
    terminal.shows("no room for");
    kill(
        Pid::from_raw(terminal.child.id().try_into().unwrap()),
        Signal::SIGINT,
    )
    .unwrap();
    let (_, shown) = terminal.ends();
    let said = shown.split_whitespace().collect::<Vec<_>>().join(" ");
    for words in [
        "quarantined",
        "extend restart",
        "node is offline",
        "5 by agent",
    ] {
        assert!(said.contains(words), "{words}: {shown}");
    }
    assert!(!shown.contains('…'), "nothing is cut: {shown}");
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

/// The controller does not compare, and wants a yes; with it, the operation ends at once.
fn unasked() -> Place {
    let place = Place::new();
    let done = operation(
        v1::Verb::Upgrade,
        vec![target(0, v1::TargetState::Succeeded)],
    );
    place.script.operation.send_replace(done.clone());
    place.script.on_submit([
        OnSubmit::Refuse(refusal_as(
            "unconfirmed",
            "cannot upgrade unasked: the image cannot be held against the version of the PBX",
            "say --yes if the PBX is at least as new as the image, or set pbx.api",
        )),
        OnSubmit::Answer(v1::SubmitResponse {
            plan: fixtures::plan(),
            operation: Some(done),
        }),
    ]);
    place
}

const YES: &str = "Type yes to go on: ";

#[test]
fn an_image_that_nobody_compares_is_asked_about() {
    let place = unasked();
    let mut terminal = place.on_terminal("upgrade");
    terminal.shows(YES);
    read_the_question();
    terminal.answers("yes\n");
    let (code, shown) = terminal.ends();
    assert_eq!(code, 0, "{shown}");
    assert!(
        shown.contains("cannot be held against the version"),
        "{shown}"
    );
    let confirmed: Vec<_> = place.script.submits().iter().map(|s| s.confirmed).collect();
    assert_eq!(confirmed, [false, true]);
}

#[test]
fn another_answer_and_no_terminal_deploy_nothing() {
    let place = unasked();
    let mut terminal = place.on_terminal("upgrade");
    terminal.shows(YES);
    read_the_question();
    terminal.answers("y\n");
    let (code, shown) = terminal.ends();
    assert_eq!(code, 1, "{shown}");
    assert_eq!(place.script.submits().len(), 1);

    let place = unasked();
    let ran = place.run("upgrade");
    assert_eq!(ran.code, 4, "{}", ran.err);
    assert!(ran.err.contains("hint: say --yes if"), "{}", ran.err);
    assert_eq!(place.script.submits().len(), 1);
}

#[test]
fn a_yes_beforehand_is_handed_over_at_once() {
    for line in [
        "upgrade --yes",
        "run -s media-server-only -n m -a 172.31.16.139 --yes",
    ] {
        let place = Place::new();
        place.run(line);
        assert!(place.script.only_submit().confirmed, "{line}");
    }
}
