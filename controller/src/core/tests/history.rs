//! The histories of a fleet: when they are written, what a restart keeps, and when they go.

use std::collections::BTreeMap;
use std::time::Duration;

use extend_common::host::{AgedFigures, HostFigures};
use extend_common::operation::Verb;
use extend_common::service::{AgedService, ServiceFigures};
use extend_common::status::{Health, Warning, WarningKind};

use super::bench::{Bench, node};
use super::scale;
use crate::core::history::{Allotment, Figures, History, Seen};
use crate::core::request::{Heartbeat, SelectorWords};
use crate::core::view::HealthView;
use crate::core::{Fleet, Key, Loading};

const MEDIA: &str = "172.31.16.139";

fn health(bench: &Bench) -> HealthView {
    let words = SelectorWords {
        nodes: vec![node(MEDIA)],
        ..SelectorWords::default()
    };
    bench.fleet.health(&words, bench.now).unwrap().remove(0)
}

fn known(view: &HealthView) -> u32 {
    view.steps[0].iter().map(|step| u32::from(step.known)).sum()
}

fn words(view: &HealthView) -> Vec<Health> {
    view.changes.iter().map(|change| change.health).collect()
}

fn set(bench: &mut Bench, health: Health) {
    bench.agents.get_mut(&node(MEDIA)).unwrap().health = Some(health);
    bench.report(node(MEDIA));
}

/// The figures of a host with a third of its processors in use.
fn busy() -> Box<AgedFigures> {
    Box::new(AgedFigures {
        figures: HostFigures {
            processor_permille: Some(321),
            ..HostFigures::default()
        },
        ..AgedFigures::default()
    })
}

#[test]
fn heartbeats_and_reports_write_nothing_and_the_tick_writes_once_a_minute() {
    let mut bench = Bench::guide();
    bench.pass(Duration::from_secs(120));
    let session = bench.agents[&node(MEDIA)].session.unwrap();
    let heartbeat = Heartbeat {
        host: Some(busy()),
        ..Heartbeat::default()
    };
    let turn = bench
        .fleet
        .heartbeat(session, node(MEDIA), heartbeat, bench.now);
    assert!(turn.writes.is_empty());
    bench.commit(turn);
    set(&mut bench, Health::Unhealthy);
    assert!(!bench.last_writes.contains(&Key::History(node(MEDIA))));

    let mut written = 0;
    for _ in 0..600 {
        bench.pass(Duration::from_millis(500));
        let of = |key: &&Key| matches!(key, Key::History(_));
        written += bench.last_writes.iter().filter(of).count();
        bench.last_writes.clear();
    }
    // Four servers, five minutes.
    assert!((16..=20).contains(&written), "{written}");
    let [_, tens, _] = health(&bench).steps;
    let processors: Vec<_> = tens
        .iter()
        .filter_map(|step| step.figures().processor)
        .collect();
    assert!(processors.contains(&321), "{processors:?}");
    assert_eq!(tens.last().unwrap().worst(), Some(Health::Unhealthy));
}

#[test]
fn a_crash_takes_what_is_younger_than_the_last_write_and_the_rest_stays() {
    let mut bench = Bench::guide();
    bench.pass(Duration::from_secs(600));
    set(&mut bench, Health::Unhealthy);
    bench.pass(Duration::from_secs(120));
    let before = health(&bench);
    bench.restart();
    let after = health(&bench);
    assert!(known(&before) - known(&after) <= 75, "{after:?}");
    assert_eq!(words(&after), [Health::Healthy, Health::Unhealthy]);

    // It was away for ten minutes, and nobody says that it was healthy then.
    bench.now += jiff::SignedDuration::from_secs(600);
    bench.connect(node(MEDIA));
    bench.pass(Duration::from_secs(30));
    let now = health(&bench);
    assert!(known(&now) <= known(&after) + 40);
    // Nor is it a change that the controller was away.
    assert_eq!(words(&now), words(&after));
}

#[test]
fn a_node_that_goes_is_a_gap_with_its_reason_and_can_still_be_read() {
    let mut bench = Bench::guide();
    bench.pass(Duration::from_secs(60));
    let before = known(&health(&bench));
    bench.disconnect(node(MEDIA));
    bench.pass(Duration::from_secs(300));
    let away = health(&bench);
    assert_eq!(known(&away), before, "time that nobody knows of");
    let last = away.changes.last().unwrap();
    assert_eq!(last.health, Health::Unknown);
    assert!(last.reason.contains("is offline since"), "{}", last.reason);
    assert_eq!(away.service, None);
    assert!(away.server.node_away_since.is_some());

    bench.connect(node(MEDIA));
    bench.pass(Duration::from_secs(20));
    assert_eq!(
        words(&health(&bench)),
        [Health::Healthy, Health::Unknown, Health::Healthy]
    );
}

#[test]
fn a_removed_server_and_a_removed_node_leave_no_row() {
    let mut bench = Bench::guide();
    bench.pass(Duration::from_secs(120));
    let key = Key::History(node(MEDIA)).to_string();
    assert!(bench.rows.contains_key(&key));
    bench.accept(Verb::Rm, "-s media-server-only");
    bench.succeed(node(MEDIA));
    assert!(!bench.rows.contains_key(&key));
    bench.pass(Duration::from_secs(120));
    assert!(
        !bench.rows.contains_key(&key),
        "nothing is kept of no server"
    );

    let queue = node("172.31.16.138");
    let key = Key::History(queue).to_string();
    assert!(bench.rows.contains_key(&key));
    let turn = bench.fleet.remove(queue, true, "anna", bench.now);
    bench.commit(turn).unwrap();
    assert!(!bench.rows.contains_key(&key));
}

#[test]
fn a_damaged_row_is_begun_anew_and_one_without_a_node_goes() {
    let mut bench = Bench::guide();
    bench.pass(Duration::from_secs(120));
    let key = Key::History(node(MEDIA)).to_string();
    let orphan = Key::History(node("172.31.16.200")).to_string();
    bench.rows.insert(key.clone(), b"\x07garbage".to_vec());
    bench.rows.insert(orphan.clone(), b"\x01".to_vec());
    bench.restart();
    assert_eq!(known(&health(&bench)), 0);
    bench.connect(node(MEDIA));
    bench.pass(Duration::from_secs(90));
    assert!(!bench.rows.contains_key(&orphan));
    bench.restart();
    assert!(known(&health(&bench)) > 20, "the row was written over");
}

/// A history that has all that a server may have, as a row: without the name before it.
fn full_row(begin: jiff::Timestamp) -> Vec<u8> {
    let name = "x".parse().unwrap();
    let mut history = History::default();
    for minute in 0..14 * 1_440 {
        let health = match minute % 300 {
            0 => Health::Unhealthy,
            _ => Health::Healthy,
        };
        let seen = Seen {
            name: &name,
            health: Some(health),
            refusing: false,
            reason: Some("no answer on tcp/8840 for 3 × 5s: connection refused".to_owned()),
        };
        let now = begin + jiff::SignedDuration::from_mins(minute - 14 * 1_440);
        let figures = Figures {
            processor: Some(500),
            memory: Some(612),
            disk_free: Some(455),
            sessions: Some(40),
            service_memory: Some(1_234),
            slowest: Some(12),
        };
        history.sample(&seen, &figures, now);
        history.trim(&Allotment::of(1), now);
    }
    // The form, the length of the name, and the name.
    history.row().unwrap().split_off(3)
}

/// A fleet of servers that are all there, with histories of their own that are full.
fn full_fleet(size: u32) -> Bench {
    let mut bench = scale::fleet(size);
    let row = full_row(bench.now);
    let first = *bench.fleet.nodes.keys().next().unwrap();
    bench.connect(first);
    bench.report(first);
    let present = bench.fleet.nodes[&first].clone();
    for entry in bench.fleet.nodes.values_mut() {
        let name = entry.server().unwrap().name.clone();
        let mut status = present.status.clone().unwrap();
        status.name = name.clone();
        entry.session.clone_from(&present.session);
        (entry.status, entry.fresh) = (Some(status), true);
        let words = name.to_string();
        let head = [1, u8::try_from(words.len()).unwrap()];
        let row = [&head, words.as_bytes(), &row].concat();
        entry.history = History::read(&row).unwrap();
    }
    bench
}

#[test]
fn what_a_large_fleet_writes_is_bounded_and_everybody_has_a_turn() {
    let mut bench = full_fleet(300);
    let (begin, mut largest) = (bench.now, 0);
    let mut written: BTreeMap<_, Vec<i64>> = BTreeMap::new();
    for _ in 0..15 * 60 {
        bench.now += jiff::SignedDuration::from_secs(1);
        for entry in bench.fleet.nodes.values_mut() {
            entry.session.as_mut().unwrap().heard = bench.now;
        }
        let turn = bench.fleet.tick(bench.now);
        let of = |key: &&Key| matches!(key, Key::History(_));
        let keys: Vec<_> = turn.writes.iter().filter(of).copied().collect();
        let values = keys.iter().filter_map(|key| bench.fleet.value(key));
        let bytes: usize = values.map(|value| value.len()).sum();
        largest = largest.max(bytes);
        let second = bench.now.as_second() - begin.as_second();
        for key in keys {
            written.entry(key).or_default().push(second);
        }
        drop(turn);
    }
    // As many rows as there is room for, and not one more.
    assert!(
        (48 * 1024..72 * 1024).contains(&largest),
        "{largest} bytes in one round"
    );
    assert_eq!(written.len(), 300);
    for (key, seconds) in written {
        // Five rows are a round, and a round is five seconds.
        let waits = [0]
            .iter()
            .chain(&seconds)
            .zip(&seconds)
            .map(|(before, at)| at - before);
        let longest = waits.max().unwrap();
        assert!(longest <= 310, "{key}: {seconds:?}");
        let last = 15 * 60 - seconds.last().unwrap();
        assert!(last <= 310, "{key}: {seconds:?}");
    }
}

#[test]
fn spark_lines_are_told_to_whoever_asks() {
    let mut bench = Bench::guide();
    bench.pass(Duration::from_secs(700));
    let mut view = bench
        .fleet
        .servers(&SelectorWords::default(), bench.now)
        .unwrap();
    assert!(view.servers.iter().all(|server| server.recent.is_empty()));
    bench.fleet.recall(&mut view, bench.now);
    for server in &view.servers {
        assert_eq!(server.recent.len(), 24);
        assert_eq!(server.recent.last(), Some(&Some(100)));
        assert_eq!(server.recent.first(), Some(&None));
    }
    let loading = |bench: &Bench| Loading {
        settings: bench.settings.clone(),
        store: bench.store,
        epoch: 99,
        last_session: 0,
    };
    // A memory that was just read has what was written.
    let rows = bench.rows.iter();
    let rows = rows.map(|(key, value)| (key.as_str(), value.as_slice()));
    let fleet = Fleet::load(loading(&bench), rows, bench.now).unwrap();
    fleet.recall(&mut view, bench.now);
    assert!(
        view.servers
            .iter()
            .all(|server| server.recent.contains(&Some(100)))
    );
}

#[test]
fn figures_of_a_minute_ago_are_not_recorded_as_new_ones() {
    let mut bench = Bench::guide();
    let heartbeat = Heartbeat {
        host: Some(busy()),
        service: Some(Box::new(AgedService {
            figures: ServiceFigures {
                memory: Some(5 << 20),
                ..ServiceFigures::default()
            },
            ..AgedService::default()
        })),
        ..Heartbeat::default()
    };
    let session = bench.agents[&node(MEDIA)].session.unwrap();
    let turn = bench
        .fleet
        .heartbeat(session, node(MEDIA), heartbeat, bench.now);
    bench.commit(turn);
    let told = |bench: &Bench| {
        let view = health(bench);
        let figures: Vec<_> = view.steps[0].iter().map(|step| step.figures()).collect();
        let count = |is: fn(&Figures) -> bool| figures.iter().filter(|step| is(step)).count();
        let processors = count(|step| step.processor == Some(321));
        (
            processors,
            count(|step| step.service_memory == Some(5)),
            view.service.is_some(),
        )
    };
    bench.pass(Duration::from_secs(50));
    assert!(told(&bench).0 >= 1 && told(&bench).2, "{:?}", told(&bench));
    // It goes on, and tells nothing of its machine any more.
    bench.pass(Duration::from_secs(600));
    let (processors, memories, is_shown) = told(&bench);
    assert!(processors <= 2 && memories <= 2, "{processors} {memories}");
    assert!(!is_shown);
    assert!(known(&health(&bench)) > 600);
}

#[test]
fn what_one_answer_has_is_bounded() {
    let bench = scale::fleet(201);
    let ask = |words: SelectorWords| bench.fleet.health(&words, bench.now);
    let refusal = ask(SelectorWords::default()).unwrap_err();
    assert_eq!(refusal.code(), "too-many-histories");
    let all: Vec<_> = bench.fleet.nodes.keys().copied().collect();
    let some = |count: usize| SelectorWords {
        nodes: all[..count].to_vec(),
        ..SelectorWords::default()
    };
    assert_eq!(ask(some(200)).unwrap().len(), 200);
    assert_eq!(ask(some(201)).unwrap_err().code(), "too-many-histories");
}

#[test]
fn draining_by_an_operator_is_meant_and_by_the_service_it_is_not() {
    let healthy_of_draining = |bench: &mut Bench| {
        let healthy = |view: HealthView| {
            view.steps[2]
                .iter()
                .map(|step| u32::from(step.healthy))
                .sum::<u32>()
        };
        set(bench, Health::Draining);
        let before = healthy(health(bench));
        bench.pass(Duration::from_secs(60));
        healthy(health(bench)) - before
    };
    let warn = |bench: &mut Bench| {
        let since = bench.now;
        bench.agents.get_mut(&node(MEDIA)).unwrap().warnings = vec![Warning {
            kind: WarningKind::Probe,
            reason: "it answers to SIP with 503 and takes no new sessions".to_owned(),
            since,
        }];
    };
    let mut bench = Bench::guide();
    bench.accept(Verb::Drain, "-a 172.31.16.139");
    bench.succeed(node(MEDIA));
    assert_eq!(healthy_of_draining(&mut bench), 60);
    warn(&mut bench);
    assert_eq!(healthy_of_draining(&mut bench), 60, "it does as it is told");

    let mut bench = Bench::guide();
    warn(&mut bench);
    assert_eq!(healthy_of_draining(&mut bench), 0);
    let last = health(&bench).changes.pop().unwrap();
    assert_eq!(last.health, Health::Draining);
    assert!(last.reason.contains("503"), "{}", last.reason);
}

#[test]
fn a_store_that_has_failed_is_not_tried_with_histories() {
    let mut bench = Bench::guide();
    bench.restart();
    bench.fleet.say_read_again(bench.now);
    bench.connect(node(MEDIA));
    let of = |bench: &Bench| {
        bench
            .rows
            .get(&Key::History(node(MEDIA)).to_string())
            .cloned()
    };
    let before = of(&bench);
    for _ in 0..240 {
        bench.now += jiff::SignedDuration::from_millis(500);
        bench.heartbeats();
        let turn = bench.fleet.tick(bench.now);
        if !turn.writes.is_empty() {
            // Something else has to be written: then it is known whether the store works.
            assert!(!turn.writes.iter().any(|key| matches!(key, Key::History(_))));
            bench.commit(turn);
            break;
        }
    }
    assert_eq!(of(&bench), before);
    bench.pass(Duration::from_secs(120));
    assert_ne!(of(&bench), before);
}
