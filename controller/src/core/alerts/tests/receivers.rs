//! Receivers that take nothing for long, and rows that cannot be read.

use std::collections::BTreeSet;
use std::net::Ipv4Addr;
use std::sync::Arc;
use std::time::Duration;

use extend_common::event::EventKind;
use extend_common::ids::NodeAddr;

use super::{MEDIA, bench, rules, seconds, take, waiting};
use crate::core::alerts::row::AlertRow;
use crate::core::alerts::{
    AlertSettings, Delivery, Finding, MOST_ALERTS, MOST_NOTICES, MOST_OWED, ReceiverFilter, Rule,
    Severity, Subject,
};
use crate::core::tests::bench::{Bench, node, settings};
use crate::core::{Fleet, Settings};
use crate::whitelist::{AddressKind, EnforcerKind, Holder, Round, Seen, Standing, State};

fn host(last: u8) -> NodeAddr {
    node(&format!("10.0.0.{last}"))
}

/// With so many nodes more.
fn with_nodes(repeat: Duration, nodes: u8) -> Bench {
    let mut bench = bench(repeat);
    for last in 1..=nodes {
        bench.join(host(last));
    }
    bench.pass(seconds(5));
    bench
}

fn fails(bench: &mut Bench, receiver: &str) {
    let delivery = Delivery {
        receiver: receiver.to_owned(),
        notice: waiting(bench, receiver)[0].number,
        result: Err("it is closed".to_owned()),
    };
    let turn = bench.fleet.delivered(&delivery, bench.now);
    bench.commit(turn);
}

#[test]
fn one_that_takes_nothing_is_told_no_repeats_but_all_news() {
    let mut bench = with_nodes(seconds(60), 1);
    bench.disconnect(node(MEDIA));
    bench.pass(seconds(3 * 3600));
    assert_eq!(waiting(&bench, "noc").len(), 1, "no repeat behind it");
    for _ in 0..3 {
        fails(&mut bench, "noc");
    }
    let view = bench.fleet.alerts(bench.now);
    let noc = view.receivers.iter().find(|one| one.name == "noc").unwrap();
    assert_eq!(noc.trouble.as_ref().map(|one| one.attempts), Some(3));
    bench.disconnect(host(1));
    bench.pass(seconds(80));
    assert_eq!(waiting(&bench, "noc").len(), 2, "news");
    bench.connect(node(MEDIA));
    bench.pass(seconds(60));
    let told = take(&mut bench, "noc");
    assert_eq!(told.len(), 3);
    assert!(told[2].alerts[0].resolved.is_some(), "its end was not lost");
    let view = bench.fleet.alerts(bench.now);
    let noc = view.receivers.iter().find(|one| one.name == "noc").unwrap();
    assert_eq!(noc.trouble, None);
    bench.pass(seconds(65));
    assert!(take(&mut bench, "noc")[0].alerts[0].again, "and now again");
}

#[test]
fn what_fires_and_ends_while_nobody_listens_is_told_once() {
    let many = u8::try_from(MOST_NOTICES).unwrap();
    let mut bench = with_nodes(seconds(4 * 3600), many + 1);
    for last in 1..=many {
        bench.disconnect(host(last));
        bench.pass(seconds(15));
    }
    bench.pass(seconds(90));
    assert_eq!(waiting(&bench, "noc").len(), MOST_NOTICES);
    bench.disconnect(host(many + 1));
    bench.pass(seconds(90));
    bench.connect(host(many + 1));
    bench.pass(seconds(60));
    assert_eq!(take(&mut bench, "noc").len(), MOST_NOTICES);
    bench.pass(seconds(2));
    let last = take(&mut bench, "noc");
    let told = &last[0].alerts[0];
    assert!(told.resolved.is_some() && !told.again, "{told:?}");
    assert_eq!(told.finding.subject.node, Some(host(many + 1)));
    bench.pass(seconds(60));
    assert!(take(&mut bench, "noc").is_empty(), "once");
}

#[test]
fn what_ends_while_it_is_kept_quiet_is_nobodys() {
    let mut bench = with_nodes(seconds(4 * 3600), 1);
    let words = crate::core::request::SelectorWords::default();
    let how = ("works", "anna");
    let turn = bench.fleet.silence(&words, seconds(600), how, bench.now);
    bench.commit(turn).unwrap();
    bench.disconnect(host(1));
    bench.pass(seconds(120));
    bench.connect(host(1));
    bench.pass(seconds(900));
    assert!(waiting(&bench, "noc").is_empty());
    assert_eq!(bench.fleet.alerts.rows.len(), 0);
}

#[test]
fn a_row_goes_when_the_receiver_that_knew_of_it_wants_it_no_longer() {
    let receiver = |role: &str| {
        let receivers = vec![ReceiverFilter {
            name: "noc".to_owned(),
            severity: Severity::Warning,
            roles: vec![role.parse().unwrap()],
        }];
        Arc::new(AlertSettings {
            receivers,
            ..AlertSettings::default()
        })
    };
    let mut bench = Bench::guide();
    bench.settings.alerts = receiver("media-server-only");
    bench.restart();
    let nodes: Vec<_> = bench.agents.keys().copied().collect();
    let come = |bench: &mut Bench, but: &str| {
        for at in nodes.iter().filter(|at| **at != node(but)) {
            bench.connect(*at);
        }
    };
    come(&mut bench, MEDIA);
    bench.pass(seconds(200));
    assert_eq!(take(&mut bench, "noc").len(), 1);
    bench.settings.alerts = receiver("queue-server-only");
    bench.restart();
    come(&mut bench, "10.0.0.1");
    bench.pass(seconds(200));
    assert!(waiting(&bench, "noc").is_empty());
    assert_eq!(bench.fleet.alerts.rows.len(), 0);
}

fn over(id: u64) -> AlertRow {
    let at = settings_start();
    AlertRow {
        id,
        rule: Rule::NodeOffline,
        severity: Severity::Critical,
        finding: Finding {
            subject: Subject {
                what: format!("10.1.0.{id}"),
                node: None,
                name: None,
                role: None,
            },
            since: at,
            what: "away".to_owned(),
            done: String::new(),
            todo: String::new(),
        },
        fired: at,
        resolved: Some(at),
        acknowledged: None,
        told: [("boss".to_owned(), at)].into(),
        owed: BTreeSet::from(["boss".to_owned()]),
    }
}

fn settings_start() -> jiff::Timestamp {
    jiff::Timestamp::from_second(crate::core::tests::bench::START).unwrap()
}

#[test]
fn a_receiver_that_is_dead_keeps_no_alert_from_the_others() {
    let mut bench = with_nodes(seconds(4 * 3600), 1);
    for last in 1..=u8::try_from(MOST_NOTICES).unwrap() {
        // Nothing more is made for the dead one.
        let notice = crate::core::alerts::Notice {
            number: u64::from(last),
            id: format!("x-{last}"),
            receiver: "boss".to_owned(),
            at: bench.now,
            alerts: Vec::new(),
            more_firing: 1,
            more_resolved: 0,
        };
        let row = serde_json::to_vec(&notice).unwrap();
        bench.rows.insert(format!("notice/{last:020}"), row);
    }
    let many = MOST_OWED as u64 + 500;
    for id in 100..100 + many {
        let row = serde_json::to_vec(&over(id)).unwrap();
        bench.rows.insert(format!("alert/{id:020}"), row);
    }
    bench.restart();
    bench.connect(node(MEDIA));
    bench.pass(seconds(200));
    assert_eq!(rules(&bench), [Rule::NodeOffline], "the other node");
    assert_eq!(take(&mut bench, "noc").len(), 1);
    assert_eq!(bench.fleet.alerts.rows.len(), MOST_OWED + 1);
    let said = bench.events().into_iter();
    let said = said.filter(|one| {
        one.event
            .text
            .contains("not told of 500 alerts that are over")
    });
    assert_eq!(said.count(), 1);
}

/// So many addresses that are not let in.
fn missing(fleet: &mut Fleet, many: u32, now: jiff::Timestamp) -> crate::core::Turn<()> {
    let standing = |number: u32| Standing {
        address: Ipv4Addr::from(0x0b00_0000 + number),
        holder: Holder {
            node: node(MEDIA),
            name: "media-server-1".parse().unwrap(),
            role: "media-server-only".parse().unwrap(),
            kind: AddressKind::Public,
        },
        state: State::Missing,
        by: None,
        note: String::new(),
    };
    let seen = Seen {
        standings: (0..many).map(standing).collect(),
        ..Seen::default()
    };
    let round = Round {
        enforcer: EnforcerKind::Pbx,
        at: now,
        result: Ok(seen),
    };
    fleet.enforced(round, now)
}

#[test]
fn more_than_there_are_places_for_wait_and_that_is_told_every_time() {
    let mut outside = settings();
    outside.outside.portal = true;
    let mut bench = Bench::with(Settings { ..outside });
    bench.pass(seconds(90));
    let most = u32::try_from(MOST_ALERTS).unwrap();
    let said = |bench: &Bench| {
        let events = bench.events().into_iter();
        let told = events.filter(|one| one.event.kind == EventKind::Alert);
        told.filter(|one| one.event.text.ends_with("7 wait for a place"))
            .count()
    };
    for round in 1..=2 {
        let turn = missing(&mut bench.fleet, most + 7, bench.now);
        bench.commit(turn);
        bench.pass(seconds(63));
        let view = bench.fleet.alerts(bench.now);
        assert_eq!((view.firing.len(), view.dropped), (MOST_ALERTS, 7));
        assert_eq!(said(&bench), round);
        let turn = missing(&mut bench.fleet, 0, bench.now);
        bench.commit(turn);
        bench.pass(seconds(35));
        let view = bench.fleet.alerts(bench.now);
        assert_eq!((view.firing.len(), view.dropped), (0, 0));
    }
}

#[test]
fn rows_about_alerts_that_cannot_be_read_stop_nobody() {
    let mut bench = bench(seconds(4 * 3600));
    bench.disconnect(node(MEDIA));
    bench.pass(seconds(80));
    let before = bench.fleet.alerts.rows.len();
    let broken = [
        "meta/alerts".to_owned(),
        format!("alert/{:020}", 700),
        format!("notice/{:020}", 900),
        format!("silence/{:020}", 3),
    ];
    for key in &broken {
        bench.rows.insert(key.clone(), b"{\"damaged".to_vec());
    }
    bench.restart();
    bench.pass(seconds(100));
    assert_eq!(
        bench.fleet.alerts.rows.len(),
        before,
        "the others are there"
    );
    for key in &broken[1..] {
        assert!(!bench.rows.contains_key(key), "{key}");
    }
    let events = bench.events();
    let said = events
        .iter()
        .filter(|one| one.event.text.starts_with("4 rows about alerts"));
    assert_eq!(said.count(), 1);
    let words = crate::core::request::SelectorWords::default();
    let turn = bench
        .fleet
        .silence(&words, seconds(60), ("", "anna"), bench.now);
    assert_eq!(bench.commit(turn).unwrap().id, 901, "no number comes twice");
}
