//! What the controller tells itself, and how operators find what they look for.

use std::time::Duration;

use extend_common::clock::after;
use extend_common::event::EventKind;
use extend_common::operation::Verb;
use extend_common::status::OutcomeKind;

use super::bench::{Bench, node};
use super::told::journal_part;
use crate::core::Key;
use crate::core::request::{EventsWanted, SelectorWords};

fn media() -> extend_common::ids::NodeAddr {
    node("172.31.16.139")
}

fn queue() -> extend_common::ids::NodeAddr {
    node("172.31.16.138")
}

#[test]
fn a_day_of_a_server_in_sentences() {
    let mut bench = Bench::new();
    let turn = bench.fleet.say_started(bench.now);
    bench.commit(turn);
    bench.join(media());
    bench.deploy("-s media-server-only -n media-server-1 -a 172.31.16.139");
    let operation = bench.upgrade("-i portsip/pbx:23");
    bench.now = after(bench.now, Duration::from_secs(12));
    bench.work(media(), OutcomeKind::RolledBack, "it did not answer");
    bench.succeed(media());
    bench.disconnect(media());
    bench.now = after(bench.now, Duration::from_secs(60));
    bench.connect(media());
    bench.tell(media(), journal_part("away", 1..=2));
    let turn = bench.fleet.revoke(media(), "anna", bench.now);
    bench.commit(turn).unwrap();
    let turn = bench.fleet.remove(media(), true, "bert", bench.now);
    bench.commit(turn).unwrap();
    let ids: Vec<_> = bench.fleet.operations.keys().map(|id| id.short()).collect();
    let golden = bench
        .said(0)
        .join("\n")
        .replace(&ids[0], "RUN")
        .replace(&ids[1], "UPGRADE");
    insta::assert_snapshot!(golden, @r"
    the controller started at epoch 1
    anna made a join token for node 172.31.16.139, good until 2026-11-18T11:16:40Z
    node 172.31.16.139 joined
    node 172.31.16.139 is online for the first time
    run RUN of media-server-1 begun by anna
    run RUN of media-server-1 succeeded after 0ms
    upgrade UPGRADE of media-server-1 begun by anna
    upgrade UPGRADE of media-server-1 rolled-back after 12s: kept 22.3.1: it did not answer
    node 172.31.16.139 is offline: its connection was closed; last heard at 2026-11-18T11:06:52Z
    node 172.31.16.139 is online again after 1m
    away 1
    away 2
    anna revoked node 172.31.16.139
    bert removed node 172.31.16.139
    ");
    let events = bench.events();
    let of_upgrade: Vec<_> = events
        .iter()
        .filter(|stored| stored.event.operation == Some(operation.id))
        .collect();
    assert_eq!(of_upgrade.len(), 2);
    assert_eq!(of_upgrade[0].event.by, "anna");
    assert!(of_upgrade[1].event.evidence.is_some(), "why it failed");
    assert!(
        events
            .iter()
            .filter(|s| s.event.node == Some(media()))
            .count()
            > 5,
        "still there when the node is gone"
    );
}

#[test]
fn an_operation_on_many_tells_how_each_ended() {
    let mut bench = Bench::guide();
    let last = bench.fleet.last_event();
    let operation = bench.accept(Verb::Stop, "");
    bench.succeed(media());
    bench.work(queue(), OutcomeKind::Failed, "docker does not answer");
    bench.cancel(operation.id);
    bench.now = after(bench.now, Duration::from_secs(90));
    bench.succeed(node("172.31.16.137"));
    bench.succeed(node("172.31.16.140"));
    let golden = bench
        .said(last)
        .join("\n")
        .replace(&operation.id.short(), "STOP");
    insta::assert_snapshot!(golden, @r"
    stop STOP of all 4 servers begun by anna
    stop STOP of all 4 servers ended after 1m 30s: 1 succeeded, 1 failed, 2 cancelled; meeting-server-1 cancelled: cancelled by bert; the server was put back; queue-server-1 failed: docker does not answer; ivr-server-1 cancelled: cancelled by bert; the server was put back
    ");
}

fn wanted(role: &str, at: &[&str], name: &str) -> EventsWanted {
    EventsWanted {
        words: SelectorWords {
            role: role.to_owned(),
            nodes: at.iter().map(|at| node(at)).collect(),
            name: (!name.is_empty()).then(|| name.parse().unwrap()),
        },
        tail: usize::MAX,
        ..EventsWanted::default()
    }
}

fn found(bench: &Bench, wanted: &EventsWanted) -> Vec<String> {
    let begin = bench.fleet.begin_events(wanted).unwrap();
    let page = bench.fleet.events_after(&begin.filter, begin.after);
    page.events
        .into_iter()
        .map(|stored| stored.event.text)
        .collect()
}

#[test]
fn a_selector_finds_what_concerns_a_server_also_when_it_is_gone() {
    let mut bench = Bench::guide();
    let last = bench.fleet.last_event();
    bench.tell(media(), journal_part("j", 1..=2));
    let all = bench.accept(Verb::Stop, "");
    let mut only_new = wanted("media-server-only", &[], "");
    only_new.after = last;
    let texts = found(&bench, &only_new);
    assert_eq!(&texts[..2], ["j 1", "j 2"]);
    assert!(
        texts[2].contains(&all.id.short()),
        "one of its targets: {texts:?}"
    );
    only_new.kinds = vec![EventKind::Health];
    assert_eq!(found(&bench, &only_new), ["j 1", "j 2"]);
    only_new.words = wanted("", &["172.31.16.138"], "").words;
    assert_eq!(found(&bench, &only_new), [""; 0]);

    let turn = bench.fleet.remove(media(), true, "anna", bench.now);
    bench.commit(turn).unwrap();
    for gone in [
        wanted("", &["172.31.16.139"], ""),
        wanted("", &[], "media-server-1"),
    ] {
        let texts = found(&bench, &gone);
        assert!(texts.contains(&"j 2".to_owned()), "{texts:?}");
    }
    for (nothing, code) in [
        (wanted("", &["10.0.0.1"], ""), "no-events"),
        (wanted("", &[], "media-server-9"), "no-events"),
        (
            wanted("", &["172.31.16.138"], "media-server-1"),
            "no-events",
        ),
        (wanted("media", &[], ""), "unknown-type"),
    ] {
        assert_eq!(bench.fleet.begin_events(&nothing).unwrap_err().code(), code);
    }
    // There, and nothing has happened to it of that kind.
    let mut quiet = wanted("", &["172.31.16.138"], "");
    quiet.kinds = vec![EventKind::Crash];
    assert_eq!(found(&bench, &quiet), [""; 0]);
}

#[test]
fn reading_begins_with_the_newest_or_where_it_was() {
    let mut bench = Bench::new();
    for _ in 0..20 {
        let turn = bench.fleet.say_started(bench.now);
        bench.commit(turn);
    }
    let after = |tail, after| {
        let wanted = EventsWanted {
            tail,
            after,
            ..EventsWanted::default()
        };
        bench.fleet.begin_events(&wanted).unwrap().after
    };
    assert_eq!((after(0, 0), after(5, 0), after(50, 0)), (20, 15, 0));
    assert_eq!((after(5, 20), after(5, 3)), (20, 3));
    assert_eq!(after(5, 21), 15, "an older copy of the store");
}

#[test]
fn a_memory_that_was_read_again_says_so_with_the_next_thing() {
    let mut bench = Bench::guide();
    bench.restart();
    let last = bench.fleet.last_event();
    bench.fleet.say_read_again(bench.now);
    bench.tick();
    assert_eq!(
        bench.fleet.last_event(),
        last,
        "nothing is written for it alone"
    );
    bench.accept(Verb::Stop, "-a 172.31.16.139");
    let said = bench.said(last);
    assert!(
        said.iter().any(|text| text.starts_with("the store failed")),
        "{said:?}"
    );
}

#[test]
fn a_damaged_event_stops_the_controller() {
    let bench = Bench::guide();
    let loading = || crate::core::Loading {
        settings: bench.settings.clone(),
        store: bench.store,
        epoch: 2,
        last_session: 0,
    };
    let row = bench.rows[&Key::Event(1).to_string()].clone();
    for (key, value) in [
        (Key::Event(1).to_string(), b"{}".as_slice()),
        (Key::Event(2).to_string(), row.as_slice()),
        ("event/1".to_owned(), row.as_slice()),
    ] {
        let rows = [(key.as_str(), value)];
        let error = crate::core::Fleet::load(loading(), rows, bench.now).unwrap_err();
        assert_eq!(error.key, key);
    }
}
