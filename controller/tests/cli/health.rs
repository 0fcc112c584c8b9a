//! `extend health`, and the spark line of `extend status -o wide`.

use std::path::Path;

use crate::fixtures;
use crate::harness::{Place, ran};

fn in_locale(place: &Place, locale: &str, words: &str) -> String {
    let mut command = place.command(Path::new(env!("CARGO_BIN_EXE_extend")));
    let ran = ran(command.env("LC_ALL", locale).args(words.split_whitespace()));
    assert_eq!(ran.code, 0, "{}", ran.err);
    ran.out
}

#[test]
fn a_server_whose_node_is_away_is_shown_with_its_past() {
    let place = Place::new();
    let shown = in_locale(&place, "en_US.UTF-8", "health meeting-server-1");
    let has = |text: &str| assert!(shown.contains(text), "{text}: {shown}");
    has("Health      unknown\n");
    has(
        "Because     node 172.31.16.137 is offline: nothing was heard of it for 5s; it was healthy",
    );
    has("(10m ago)");
    let squeezed = |line: &str| line.split_whitespace().collect::<Vec<_>>().join(" ");
    let rows: Vec<_> = shown.lines().map(squeezed).collect();
    for row in [
        "tcp/8840 answers 0.8 ms",
        "tcp/8841 no answer -",
        "sip udp/8916 never answered -",
        "udp/8840 bound 0.8 ms",
        "udp/8841 not bound -",
        "disk fills up -",
        "memory no baseline yet -",
    ] {
        assert!(rows.iter().any(|shown| shown == row), "{row}: {shown}");
    }
    has("The last 2h, 2m a mark\n");
    has("The last 1d, 20m a mark\n");
    assert!(!shown.contains("14d"), "{shown}");
    let line = |name: &str| {
        let found = shown.lines().find(|line| line.starts_with(name));
        found
            .unwrap_or_else(|| panic!("{name}: {shown}"))
            .to_owned()
    };
    let health = line("health  ");
    assert!(
        health.contains("██▁▁██"),
        "an outage in the middle: {health}"
    );
    assert!(health.contains("█·····"), "a gap at the end: {health}");
    assert!(
        health.ends_with("·  healthy 96.2% of 1h 48m known"),
        "{health}"
    );
    has("(▁ none, █ all or the most, · mostly not known)");
    assert!(line("processor").ends_with("25% to 25%"), "{shown}");
    assert!(line("sessions").ends_with("0 to 40"), "{shown}");
    let changes: Vec<_> = shown.lines().rev().take(4).collect();
    assert!(changes[0].contains("unknown    10m"), "{changes:?}");
    assert!(changes[2].contains("unhealthy  5m "), "{changes:?}");
    assert!(changes[2].ends_with(r"no answer to \u{1b}[2J tcp/8840 for 3 × 5 s"));
}

#[test]
fn what_a_locale_does_not_have_is_not_printed() {
    let place = Place::new();
    let shown = in_locale(&place, "C", "health -n meeting-server-1 -o wide");
    let marks = |line: &&str| line.starts_with("health  ");
    let health = shown.lines().find(marks).unwrap();
    assert!(health.is_ascii(), "{health}");
    assert!(
        health.contains("##__##") && health.contains("#?????"),
        "{health}"
    );
    assert!(shown.contains("The last 14d, 4h a mark"), "{shown}");
}

#[test]
fn the_document_has_all_steps_and_what_is_since_a_time_is_all_that_is_shown() {
    let place = Place::new();
    let read =
        |words: &str| -> serde_json::Value { serde_json::from_str(&place.run(words).out).unwrap() };
    let all = &read("health meeting-server-1 -o json")["servers"][0];
    assert_eq!(all["server"]["name"], "meeting-server-1");
    assert_eq!(all["server"]["health"], "unknown");
    assert_eq!(all["service"]["probes"][1]["passed"], false);
    assert_eq!(all["history"][0]["step_seconds"], 60);
    assert_eq!(all["history"][0]["steps"].as_array().unwrap().len(), 108);
    assert_eq!(all["history"][0]["steps"][0]["processor_percent"], 25.0);
    assert_eq!(
        all["history"][0]["steps"][0]["disk_free_percent"],
        serde_json::Value::Null
    );
    assert_eq!(all["changes"].as_array().unwrap().len(), 4);
    let late = &read("health meeting-server-1 --since 1h -o json")["servers"][0];
    let steps = late["history"][0]["steps"].as_array().unwrap().len();
    assert!((48..=51).contains(&steps), "{steps}");
    // Also what was in force at that time: without it nobody could tell how it was.
    let changes: Vec<_> = late["changes"]
        .as_array()
        .unwrap()
        .iter()
        .map(|c| &c["health"])
        .collect();
    assert_eq!(changes, ["healthy", "unknown"]);
    let later = &read("health meeting-server-1 --since 5m -o json")["servers"][0];
    assert_eq!(later["changes"].as_array().unwrap().len(), 1);
    assert_eq!(later["changes"][0]["health"], "unknown");
    let long = &read("health meeting-server-1 --since 7d -o json")["servers"][0];
    assert_eq!(long["changes"].as_array().unwrap().len(), 4);
    let yaml = place.run("health meeting-server-1 -o yaml").out;
    assert!(yaml.contains("step_seconds: 7200"), "{yaml}");
}

#[test]
fn which_servers_are_meant_is_the_controllers_to_judge() {
    let place = Place::new();
    for (words, asked) in [
        ("health m1", "health role  nodes [] name m1"),
        (
            "health -s media-server-only -a 172.31.16.139",
            "health role media-server-only nodes [\"172.31.16.139\"] name ",
        ),
    ] {
        place.script.asked.lock().unwrap().clear();
        assert_eq!(place.run(words).code, 0, "{words}");
        assert_eq!(*place.script.asked.lock().unwrap(), [asked]);
    }
    place.script.asked.lock().unwrap().clear();
    // Of a whole fleet it would be megabytes; and nobody reads them.
    let without = place.run("health");
    assert_eq!(without.code, 2);
    assert!(without.err.contains("NAME"), "{}", without.err);
    assert!(place.script.asked.lock().unwrap().is_empty());
    assert_eq!(place.run("health m1 -n m2").code, 2);
    assert_eq!(place.run("health m1 --since yesterday").code, 2);
}

#[test]
fn the_wide_status_has_a_spark_line_with_gaps() {
    let place = Place::new();
    let mut fleet = fixtures::fleet();
    let mut recent = vec![100_u8; 24];
    recent[3] = 255;
    recent[4] = 0;
    recent[5] = 99;
    fleet.servers[0].recent = recent;
    *place.script.servers.lock().unwrap() = fleet;
    let shown = in_locale(&place, "en_US.UTF-8", "status -o wide");
    assert!(shown.contains("  LAST 2 HOURS "), "{shown}");
    assert!(shown.contains("  ███·▁▇██████████████████  "), "{shown}");
    let plain = in_locale(&place, "C", "status -o wide");
    assert!(plain.contains("  ###?_*##################  "), "{plain}");
    let json: serde_json::Value = serde_json::from_str(&place.run("status -o json").out).unwrap();
    let shares = &json["servers"][0]["recent_healthy_percent"];
    assert_eq!(shares[3], serde_json::Value::Null);
    assert_eq!(shares[5], 99);
}
