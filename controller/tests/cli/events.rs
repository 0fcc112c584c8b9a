//! `extend events`: what it prints, and what becomes of it when the controller dies under it.

use extend_proto::v1;
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use tonic::Code;

use crate::fixtures::{event, events};
use crate::harness::{Place, finish, until};
use crate::stub::refusal;

fn asked(place: &Place) -> Vec<String> {
    place.script.asked.lock().unwrap().clone()
}

#[test]
fn as_a_table_with_what_was_told_late() {
    let ran = Place::new().run("events");
    assert_eq!((ran.code, ran.err.as_str()), (0, ""));
    insta::assert_snapshot!(ran.out, @r"
    TIME                 NODE           SERVER          KIND        EVENT
    2026-01-15 10:13:01  -              -               controller  the controller started at epoch 3
    2026-01-15 10:13:02  172.31.16.139  media-server-1  crash       portsip.mediaserver ended with exit code 137
    2026-01-15 10:13:03  172.31.16.139  media-server-1  restart     restart 1 of 5 begun (told 2026-01-15 10:14:03)
    ");
}

#[test]
fn wide_shows_the_evidence_beneath() {
    let ran = Place::new().run("events -o wide");
    assert_eq!((ran.code, ran.err.as_str()), (0, ""));
    insta::assert_snapshot!(ran.out, @r"
    2026-01-15 10:13:01  -                -                     controller      the controller started at epoch 3
    2026-01-15 10:13:02  172.31.16.139    media-server-1        crash           portsip.mediaserver ended with exit code 137
        container 3f2a9c41d0aa, exit code 137, killed by the kernel: out of memory
        crash dump core.42 (12.3 MB)
        | allocating
        | \u{1b}[31mno memory
    2026-01-15 10:13:03  172.31.16.139    media-server-1        restart         restart 1 of 5 begun (told 2026-01-15 10:14:03)
        operation 5nzq8c
    ");
}

#[test]
fn as_documents() {
    let place = Place::new();
    let json = place.run("events -o json");
    let document: serde_json::Value = serde_json::from_str(&json.out).unwrap();
    let fields: Vec<&str> = document["events"][1]
        .as_object()
        .unwrap()
        .keys()
        .map(String::as_str)
        .collect();
    insta::assert_snapshot!(fields.join(" "), @"address at by evidence kind operation sequence server text told_at type");
    assert_eq!(document["events"].as_array().unwrap().len(), 3);
    assert_eq!(document["events"][1]["evidence"]["exit_code"], 137);
    assert_eq!(document["events"][0]["address"], serde_json::Value::Null);
    assert!(place.run("events -o yaml").out.starts_with("events:\n"));
}

#[test]
fn the_options_go_to_the_controller() {
    let place = Place::new();
    let ran = place.run("events -s media-server-only --tail 7 --kind crash,health --kind node");
    assert_eq!(ran.code, 0, "{}", ran.err);
    assert_eq!(
        asked(&place),
        ["events tail 7 after 0 follow false kinds [2, 1, 8]"]
    );
    for wrong in [
        "events --kind crashes",
        "events --tail 10001",
        "events -a nowhere",
    ] {
        assert_eq!(place.run(wrong).code, 2, "{wrong}");
    }
}

#[test]
fn nothing_at_all_is_said_on_stderr() {
    let place = Place::new();
    place.script.events.send_replace(Vec::new());
    let ran = place.run("events");
    assert_eq!((ran.code, ran.out.as_str()), (0, ""));
    assert_eq!(ran.err, "there are no such events\n");
    assert_eq!(place.run("events -o json").out, "{\n  \"events\": []\n}\n");
}

#[test]
fn a_refusal_is_told_as_it_is() {
    let place = Place::new();
    let sentence = "cannot show events of -n x: there is no such server or node";
    let refused = refusal(Code::NotFound, sentence, &[], "extend status");
    *place.script.refuse.lock().unwrap() = Some(refused);
    for words in ["events -n x", "events -n x -f"] {
        let ran = place.run(words);
        assert_eq!(ran.code, 4, "{words}");
        assert_eq!(ran.err, format!("error: {sentence}\nhint: extend status\n"));
    }
}

#[test]
fn following_goes_on_after_the_controller_has_died_and_ends_with_ctrl_c() {
    let mut place = Place::new();
    let child = place.spawn("events -f -o json");
    until("following", || asked(&place).len() == 1);
    let out = crate::harness::lines(child, |lines, child| {
        lines.wait_for(3);
        place.kill();
        // While nobody looks, something happens.
        let mut all = events();
        all.push(event(4, v1::EventKind::Restart, "restart 2 of 5 begun"));
        place.script.events.send_replace(all.clone());
        place.start();
        lines.wait_for(4);
        all.push(event(5, v1::EventKind::Health, "healthy"));
        place.script.events.send_replace(all);
        lines.wait_for(5);
        kill(Pid::from_raw(child.try_into().unwrap()), Signal::SIGINT).unwrap();
    });
    assert_eq!(out.code, 0, "{}", out.err);
    let sequences: Vec<_> = out
        .out
        .lines()
        .map(|line| serde_json::from_str::<serde_json::Value>(line).unwrap()["sequence"].clone())
        .collect();
    assert_eq!(sequences, [1, 2, 3, 4, 5], "no repeats and no gaps");
    assert_eq!(
        out.err,
        "the connection to the controller was lost; trying again for 30s\nconnected again\n"
    );
    assert_eq!(
        asked(&place),
        [
            "events tail 50 after 0 follow true kinds []",
            "events tail 50 after 3 follow true kinds []"
        ]
    );
}

#[test]
fn following_gives_up_with_5_when_nobody_comes_back() {
    let mut place = Place::new();
    let child = place.spawn("events -f --patience 300ms");
    until("following", || asked(&place).len() == 1);
    place.kill();
    let ran = finish(child);
    assert_eq!(ran.code, 5, "{}", ran.err);
    assert!(
        ran.err
            .contains("error: cannot show the events of all servers: the controller is not"),
        "{}",
        ran.err
    );
    assert!(
        ran.err
            .ends_with("hint: systemctl status extend-controller\n"),
        "{}",
        ran.err
    );
}

#[test]
fn events_that_were_missed_are_counted_and_marks_are_not_shown() {
    let place = Place::new();
    let mark = v1::StoredEvent {
        sequence: 1,
        passed_over: 812,
        ..v1::StoredEvent::default()
    };
    let last = event(2, v1::EventKind::Health, "healthy");
    place.script.events.send_replace(vec![mark, last]);
    let ran = place.run("events");
    assert_eq!(ran.out.lines().count(), 2, "{}", ran.out);
    assert_eq!(
        ran.err,
        "812 events before this are no longer kept, and were not looked at\n"
    );
}

#[test]
fn followed_events_are_lines_with_columns() {
    let place = Place::new();
    let child = place.spawn("events -f");
    let ran = crate::harness::lines(child, |lines, child| {
        lines.wait_for(3);
        kill(Pid::from_raw(child.try_into().unwrap()), Signal::SIGTERM).unwrap();
    });
    assert_eq!(ran.code, 0);
    insta::assert_snapshot!(ran.out, @r"
    2026-01-15 10:13:01  -                -                     controller      the controller started at epoch 3
    2026-01-15 10:13:02  172.31.16.139    media-server-1        crash           portsip.mediaserver ended with exit code 137
    2026-01-15 10:13:03  172.31.16.139    media-server-1        restart         restart 1 of 5 begun (told 2026-01-15 10:14:03)
    ");
}
