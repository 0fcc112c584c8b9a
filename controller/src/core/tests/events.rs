//! What is kept of what agents tell: their journals, once and in order, and within bounds.

use std::time::Duration;

use extend_common::clock::after;
use extend_common::event::{Event, EventKind, JournalEntry, JournalPart};
use extend_common::operation::Verb;
use extend_common::service::DumpFile;
use extend_common::status::Evidence;
use jiff::Timestamp;

use super::bench::{Bench, node};
use super::told::journal_part;
use crate::core::Kept;
use crate::core::event::SHARE;
use crate::core::request::{EventsWanted, ToAgent};
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
            EventKind::Portal,
            EventKind::Whitelist,
            EventKind::Breaker,
            EventKind::Alert,
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
            health_output: Vec::new(),
            dumps: (0..20)
                .map(|n| DumpFile {
                    name: format!("{n}{}", worst("\\")),
                    bytes: u64::MAX,
                    at: Timestamp::MAX,
                })
                .collect(),
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
    let most = Kept::default().events;
    let mut bench = Bench::new();
    for number in 0..most + 10 {
        let turn = bench
            .fleet
            .say_started(after(bench.now, Duration::from_secs(number as u64)));
        bench.commit(turn);
        assert_eq!(bench.last_writes.len(), if number < most { 1 } else { 2 });
    }
    let events = bench.events();
    assert_eq!(events.len(), most);
    assert_eq!((events[0].sequence, bench.rows.len()), (11, most + 10));
    // Who comes too late is told how many were missed, and numbers go on after a restart.
    let begin = bench.fleet.begin_events(&EventsWanted::default()).unwrap();
    let page = bench.fleet.events_after(&begin.filter, 4);
    assert_eq!((page.passed_over, page.events[0].sequence), (6, 11));
    assert_eq!(bench.fleet.events_after(&begin.filter, 10).passed_over, 0);
    bench.restart();
    let turn = bench.fleet.say_started(bench.now);
    bench.commit(turn);
    assert_eq!(bench.fleet.last_event(), u64::try_from(most).unwrap() + 11);
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
