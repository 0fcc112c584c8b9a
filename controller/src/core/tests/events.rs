//! What is kept of what happened: the agents' journals, and what the controller tells itself.

use std::time::Duration;

use extend_common::clock::after;
use extend_common::event::{Event, EventKind, JournalEntry, JournalPart};
use extend_common::operation::Verb;
use extend_common::status::{Evidence, OutcomeKind};

use super::bench::{Bench, journal_part, node};
use crate::core::event::{KEPT, SHARE};
use crate::core::request::{EventsWanted, SelectorWords, ToAgent};
use crate::core::{Effect, Key};

fn media() -> extend_common::ids::NodeAddr {
    node("172.31.16.139")
}

fn queue() -> extend_common::ids::NodeAddr {
    node("172.31.16.138")
}

fn part_of(kind: EventKind, change: impl FnOnce(&mut Event)) -> JournalPart {
    let mut part = journal_part("j", [1]);
    part.entries[0].event.kind = kind;
    change(&mut part.entries[0].event);
    part
}

fn kept(bench: &Bench) -> (String, u64) {
    bench.agents[&media()].kept.last().cloned().unwrap()
}

#[test]
fn a_part_is_committed_and_then_the_agent_is_told() {
    let mut bench = Bench::guide();
    let last = bench.fleet.last_event();
    let session = bench.agents[&media()].session.unwrap();
    let part = journal_part("j", 1..=2);
    let turn = bench.fleet.journal(session, media(), part, bench.now);
    let keys: Vec<_> = turn.writes.iter().copied().collect();
    assert_eq!(
        keys,
        [
            Key::Node(media()),
            Key::Event(last + 1),
            Key::Event(last + 2)
        ]
    );
    assert_eq!(
        turn.effects,
        [
            Effect::Events,
            Effect::Send {
                node: media(),
                session,
                message: ToAgent::EventsKept {
                    journal: "j".to_owned(),
                    sequence: 2
                }
            }
        ]
    );
    bench.commit(turn);
    let events = bench.events();
    let newest = events.last().unwrap();
    assert_eq!((newest.sequence, newest.told), (last + 2, bench.now));
    assert_eq!(newest.event.node, Some(media()), "from the session");
}

#[test]
fn what_is_kept_is_kept_once_and_the_agent_is_told_so_again() {
    let mut bench = Bench::guide();
    let last = bench.fleet.last_event();
    bench.tell(media(), journal_part("j", 1..=3));
    // The answer was lost; the controller starts anew; everything is told again, and more.
    bench.restart();
    bench.connect(media());
    bench.tell(media(), journal_part("j", 1..=3));
    assert_eq!(kept(&bench), ("j".to_owned(), 3));
    assert!(bench.last_writes.is_empty(), "nothing was new");
    bench.tell(media(), journal_part("j", 2..=5));
    assert_eq!(kept(&bench), ("j".to_owned(), 5));
    assert_eq!(bench.said(last), ["j 1", "j 2", "j 3", "j 4", "j 5"]);
    bench.tell(media(), journal_part("j", []));
    assert_eq!(kept(&bench), ("j".to_owned(), 5));
}

#[test]
fn a_journal_that_begins_anew_is_another_one() {
    let mut bench = Bench::guide();
    let last = bench.fleet.last_event();
    bench.tell(media(), journal_part("old", 1..=3));
    bench.tell(media(), journal_part("new", 1..=1));
    assert_eq!(kept(&bench), ("new".to_owned(), 1));
    // A journal that has lost its oldest entries goes on with a gap.
    bench.tell(media(), journal_part("new", [7, 9]));
    assert_eq!(kept(&bench), ("new".to_owned(), 9));
    assert_eq!(
        bench.said(last),
        ["old 1", "old 2", "old 3", "new 1", "new 7", "new 9"]
    );
}

#[test]
fn entries_out_of_order_are_not_taken() {
    let mut bench = Bench::guide();
    let last = bench.fleet.last_event();
    bench.tell(media(), journal_part("j", [1, 2, 2, 3]));
    assert_eq!(kept(&bench), ("j".to_owned(), 2));
    bench.tell(media(), journal_part("j", [3, 5, 4]));
    assert_eq!(kept(&bench), ("j".to_owned(), 5));
    // They count from 1.
    bench.tell(media(), journal_part("j", [0, 6]));
    assert_eq!(kept(&bench), ("j".to_owned(), 5));
    assert_eq!(bench.said(last), ["j 1", "j 2", "j 3", "j 5"]);
}

#[test]
fn only_the_present_session_of_an_enrolled_node_is_heard() {
    let mut bench = Bench::guide();
    let old = bench.agents[&media()].session.unwrap();
    bench.connect(media());
    let last = bench.fleet.last_event();
    let part = journal_part("j", 1..=1);
    let turn = bench.fleet.journal(old, media(), part.clone(), bench.now);
    assert!(turn.writes.is_empty() && turn.effects.is_empty());
    // A node that a new store does not have: it writes nothing, and is not told that it is kept.
    let mut lost = Bench::new();
    let turn = lost.fleet.begin_recovering(lost.now);
    lost.commit(turn);
    let agent = bench.agents[&media()].clone();
    lost.agents.insert(media(), agent);
    lost.connect(media());
    let session = lost.agents[&media()].session.unwrap();
    let turn = lost.fleet.journal(session, media(), part, lost.now);
    assert!(turn.writes.is_empty() && turn.effects.is_empty());
    assert_eq!(bench.fleet.last_event(), last);
}

#[test]
fn an_agent_speaks_only_for_itself() {
    let mut bench = Bench::guide();
    let operation = bench.accept(Verb::Stop, "-a 172.31.16.138");
    for kind in EventKind::ALL {
        let last = bench.fleet.last_event();
        let mut part = part_of(kind, |event| {
            event.node = Some(queue());
            event.by = "root".to_owned();
            event.operation = Some(operation.id);
        });
        part.journal = kind.to_string();
        bench.tell(media(), part);
        // Not believed is kept all the same: the agent goes on.
        assert_eq!(kept(&bench), (kind.to_string(), 1));
        let told: Vec<_> = bench
            .events()
            .into_iter()
            .filter(|stored| stored.sequence > last)
            .collect();
        let controllers = [
            EventKind::Node,
            EventKind::Operation,
            EventKind::Controller,
            EventKind::Access,
        ];
        if controllers.contains(&kind) {
            assert_eq!(told, [], "{kind}");
            continue;
        }
        let event = &told[0].event;
        assert_eq!(
            (event.node, event.by.as_str(), event.operation),
            (Some(media()), "", None),
            "{kind}"
        );
    }
}

#[test]
fn the_largest_event_is_a_small_row() {
    let mut bench = Bench::guide();
    let worst = |letter: &str| letter.repeat(2_048);
    let part = part_of(EventKind::Crash, |event| {
        event.text = worst("\\");
        event.evidence = Some(Evidence {
            container_id: worst("\""),
            exit_code: Some(i64::MIN),
            oom_killed: true,
            log_tail: (0..20).map(|n| format!("{n}{}", worst("\\"))).collect(),
        });
    });
    bench.tell(media(), part);
    let row = &bench.rows[&Key::Event(bench.fleet.last_event()).to_string()];
    assert!(row.len() < 4 * 1024, "{}", row.len());
    let events = bench.events();
    let tail = &events
        .last()
        .unwrap()
        .event
        .evidence
        .as_ref()
        .unwrap()
        .log_tail;
    assert!(tail.last().unwrap().starts_with("19"), "the newest is kept");
    // What fits is kept whole.
    let short: Vec<_> = (0..20).map(|n| format!("line {n}")).collect();
    let mut part = part_of(EventKind::Crash, |event| {
        event.evidence = Some(Evidence {
            log_tail: short.clone(),
            ..Evidence::default()
        });
    });
    part.journal = "other".to_owned();
    bench.tell(media(), part);
    let events = bench.events();
    let evidence = events.last().unwrap().event.evidence.clone().unwrap();
    assert_eq!(evidence.log_tail, short);
}

/// Parts as an agent in a crash loop tells them.
fn flood(bench: &mut Bench, count: u64) {
    for first in (1..=count).step_by(8) {
        bench.tell(media(), journal_part("flood", first..first + 8));
    }
}

#[test]
fn one_node_does_not_push_out_what_others_told() {
    let mut bench = Bench::guide();
    bench.tell(queue(), journal_part("quiet", 1..=1));
    let share = u64::try_from(SHARE).unwrap();
    flood(&mut bench, share + 80);
    let events = bench.events();
    let of = |at| events.iter().filter(|s| s.event.node == Some(at)).count();
    assert_eq!(of(media()), SHARE);
    assert!(events.iter().any(|stored| stored.event.text == "quiet 1"));
    let rows = |bench: &Bench| {
        bench
            .rows
            .keys()
            .filter(|k| k.starts_with("event/"))
            .count()
    };
    assert_eq!(rows(&bench), events.len(), "what goes, goes from the store");
    bench.restart();
    bench.connect(media());
    let before = bench.events().len();
    bench.tell(media(), journal_part("flood", [5_000]));
    assert_eq!(bench.events().len(), before, "the share is known again");
}

#[test]
fn the_oldest_events_go() {
    let mut bench = Bench::new();
    for number in 0..KEPT + 10 {
        let turn = bench
            .fleet
            .say_started(after(bench.now, Duration::from_secs(number as u64)));
        bench.commit(turn);
        assert_eq!(bench.last_writes.len(), if number < KEPT { 1 } else { 2 });
    }
    let events = bench.events();
    assert_eq!(events.len(), KEPT);
    assert_eq!((events[0].sequence, bench.rows.len()), (11, KEPT));
    // Who comes too late is told how many were missed, and numbers go on after a restart.
    let begin = bench.fleet.begin_events(&EventsWanted::default()).unwrap();
    let page = bench.fleet.events_after(&begin.filter, 4);
    assert_eq!((page.passed_over, page.events[0].sequence), (6, 11));
    assert_eq!(bench.fleet.events_after(&begin.filter, 10).passed_over, 0);
    bench.restart();
    let turn = bench.fleet.say_started(bench.now);
    bench.commit(turn);
    assert_eq!(bench.fleet.last_event(), u64::try_from(KEPT).unwrap() + 11);
}

#[test]
fn a_day_of_a_server_in_sentences() {
    let mut bench = Bench::new();
    let turn = bench.fleet.say_started(bench.now);
    bench.commit(turn);
    bench.join(media());
    bench.deploy("-s media-server-only -n media-server-1 -a 172.31.16.139");
    let operation = bench.accept(Verb::Upgrade, "-i portsip/pbx:23");
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
    upgrade UPGRADE of media-server-1 rolled-back after 12s: it did not answer
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

#[test]
fn the_entries_of_a_part_come_after_the_hello_that_brought_the_node_back() {
    let mut bench = Bench::guide();
    bench.disconnect(media());
    let last = bench.fleet.last_event();
    bench.now = after(bench.now, Duration::from_secs(300));
    bench.connect(media());
    let early = after(bench.now, Duration::ZERO);
    let mut part = journal_part("j", 1..=3);
    for (entry, ago) in part.entries.iter_mut().zip([3_u64, 1, 2]) {
        let JournalEntry { event, .. } = entry;
        event.at = early - Duration::from_secs(ago * 60);
    }
    bench.tell(media(), part);
    let said = bench.said(last);
    assert_eq!(said[0], "node 172.31.16.139 is online again after 5m");
    assert_eq!(
        said[1..],
        ["j 1", "j 2", "j 3"],
        "in the journal's order, whatever the clock says"
    );
}
