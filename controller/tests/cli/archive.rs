//! The past: what `op list`, `op show` and `events` ask for when somebody looks further back.

use std::sync::atomic::Ordering;

use crate::harness::{Place, ran};

const OCTOBER: i64 = 1_790_812_800_000;

#[test]
fn a_list_can_be_narrowed_to_a_time_and_a_person() {
    let place = Place::new();
    let ran =
        place.run("op list --since 2026-10-01T00:00:00Z --until 2026-10-02T00:00:00Z --by anna");
    assert_eq!(ran.code, 0, "{}", ran.err);
    let asked = place.script.lists.lock().unwrap().pop().unwrap();
    assert_eq!(
        (asked.since_ms, asked.until_ms, asked.by.as_str()),
        (OCTOBER, OCTOBER + 86_400_000, "anna")
    );
    place.run("op list --limit 5");
    let asked = place.script.lists.lock().unwrap().pop().unwrap();
    assert_eq!(
        (asked.since_ms, asked.until_ms, asked.by.as_str()),
        (0, 0, "")
    );
    place.run("op list --since 2h");
    let ago = place.script.lists.lock().unwrap().pop().unwrap().since_ms;
    assert!(ago > OCTOBER / 2);

    place.script.listed.lock().unwrap().clear();
    let none = place.run("op list --by bert");
    assert_eq!(none.err, "there are no such operations\n");
}

#[test]
fn a_list_that_was_ended_early_says_so() {
    let place = Place::new();
    place.script.cut_ms.store(OCTOBER, Ordering::SeqCst);
    let ran = place.run("op list --since 2026-01-01 --by anna");
    assert!(ran.err.contains("were not looked at"), "{}", ran.err);
}

#[test]
fn times_that_cannot_be_read_say_how_to_write_them() {
    let place = Place::new();
    for line in ["op list --since yesterday", "events --until soon"] {
        let ran = place.run(line);
        assert_eq!(ran.code, 2, "{line}");
        assert!(ran.err.contains("write a date (2026-10-01)"), "{}", ran.err);
    }
    for line in ["events --since 1d --tail 5", "events -f --until 2026-10-01"] {
        assert_eq!(place.run(line).code, 2, "{line}");
    }
}

#[test]
fn events_of_a_time_are_asked_for_by_it() {
    let place = Place::new();
    assert_eq!(place.run("events --since 2026-10-01T00:00:00Z").code, 0);
    assert_eq!(place.run("events --until 2026-10-01T00:00:00Z").code, 0);
    assert_eq!(place.run("events").code, 0);
    let asked = place.script.readings.lock().unwrap().clone();
    let times: Vec<_> = asked.iter().map(|a| (a.since_ms, a.until_ms)).collect();
    // What has only an end begins with the first thing that is kept.
    assert_eq!(times, [(OCTOBER, 0), (1, OCTOBER), (0, 0)]);
}

#[test]
fn from_where_somebody_came_is_shown_and_told_as_hearsay() {
    let place = Place::new();
    let extend = std::path::Path::new(env!("CARGO_BIN_EXE_extend"));
    let mut command = place.command(extend);
    command.args(["op", "show", "5nzq8c"]);
    command.env("SSH_CONNECTION", "203.0.113.7 50122 172.31.16.133 22");
    place
        .script
        .operation
        .send_modify(|operation| operation.from = "203.0.113.7".to_owned());
    let shown = ran(&mut command);
    assert!(
        shown.out.contains("From       203.0.113.7 (as they say)\n"),
        "{}",
        shown.out
    );
    assert_eq!(
        place.script.ssh_clients.lock().unwrap().as_slice(),
        [Some("203.0.113.7".to_owned())]
    );
    let document: serde_json::Value =
        serde_json::from_str(&place.run("op show 5nzq8c -o json").out).unwrap();
    assert_eq!(document["from"], "203.0.113.7");
}
