//! The life of an alert in virtual time.

use std::sync::Arc;
use std::time::Duration;

use extend_common::operation::Verb;
use extend_common::status::{Failing, Health, OutcomeKind};

mod receivers;
mod seen;

use super::{AlertSettings, Delivery, Notice, ReceiverFilter, Rule, Severity, Window};
use crate::core::tests::bench::{Bench, node, settings};

const MEDIA: &str = "172.31.16.139";

fn bench(repeat: Duration) -> Bench {
    let receiver = |name: &str, severity| ReceiverFilter {
        name: name.to_owned(),
        severity,
        roles: Vec::new(),
    };
    let alerts = AlertSettings {
        repeat,
        receivers: vec![
            receiver("noc", Severity::Warning),
            receiver("boss", Severity::Critical),
        ],
        ..AlertSettings::default()
    };
    let mut bench = Bench::with(crate::core::Settings {
        alerts: Arc::new(alerts),
        ..settings()
    });
    bench.join(node(MEDIA));
    bench.connect(node(MEDIA));
    bench.pass(Duration::from_secs(30));
    bench
}

fn waiting(bench: &Bench, receiver: &str) -> Vec<Arc<Notice>> {
    bench.fleet.notices().remove(receiver).unwrap_or_default()
}

/// What every receiver is told until nothing waits.
fn take(bench: &mut Bench, receiver: &str) -> Vec<Arc<Notice>> {
    let notices = waiting(bench, receiver);
    for notice in &notices {
        let delivery = Delivery {
            receiver: receiver.to_owned(),
            notice: notice.number,
            result: Ok(()),
        };
        let turn = bench.fleet.delivered(&delivery, bench.now);
        bench.commit(turn);
    }
    notices
}

fn seconds(seconds: u64) -> Duration {
    Duration::from_secs(seconds)
}

#[test]
fn a_node_that_stays_away_is_told_once_and_its_return_too() {
    let mut bench = bench(seconds(4 * 3600));
    bench.disconnect(node(MEDIA));
    bench.pass(seconds(58));
    assert_eq!(bench.fleet.alerts(bench.now).firing, [], "for a minute");
    bench.pass(seconds(4));
    let firing = bench.fleet.alerts(bench.now).firing;
    assert_eq!(firing.first().map(|one| one.rule), Some(Rule::NodeOffline));
    assert!(
        waiting(&bench, "noc").is_empty(),
        "the group's time is not over"
    );
    bench.pass(seconds(12));
    let told = take(&mut bench, "noc");
    assert_eq!((told.len(), told[0].alerts.len()), (1, 1));
    assert!(told[0].alerts[0].finding.todo.contains("extend node show"));
    bench.pass(seconds(3600));
    assert!(
        waiting(&bench, "noc").is_empty(),
        "no repeat before its time"
    );
    bench.connect(node(MEDIA));
    bench.pass(seconds(20));
    assert_eq!(
        bench.fleet.alerts(bench.now).firing.len(),
        1,
        "it may go again"
    );
    bench.pass(seconds(40));
    let told = take(&mut bench, "noc");
    assert_eq!(told.len(), 1);
    assert!(told[0].alerts[0].resolved.is_some());
    take(&mut bench, "boss");
    bench.pass(seconds(5));
    assert_eq!(bench.fleet.alerts.rows.len(), 0, "everybody knows");
}

#[test]
fn what_comes_back_before_its_time_is_no_alert() {
    let mut bench = bench(seconds(600));
    for _ in 0..5 {
        bench.disconnect(node(MEDIA));
        bench.pass(seconds(57));
        bench.connect(node(MEDIA));
        bench.pass(seconds(2));
    }
    bench.pass(seconds(60));
    assert_eq!(bench.fleet.alerts(bench.now).firing, []);
    assert!(bench.fleet.notices().is_empty());
}

#[test]
fn it_is_repeated_until_somebody_knows() {
    let mut bench = bench(seconds(600));
    bench.disconnect(node(MEDIA));
    bench.pass(seconds(80));
    let first = take(&mut bench, "noc");
    bench.pass(seconds(605));
    let second = take(&mut bench, "noc");
    assert_eq!((first.len(), second.len()), (1, 1));
    assert!(!first[0].alerts[0].again && second[0].alerts[0].again);
    assert_ne!(first[0].id, second[0].id);
    let id = bench.fleet.alerts(bench.now).firing[0].id;
    let turn = bench.fleet.acknowledge(id, "on it", "anna", bench.now);
    assert_eq!(bench.commit(turn), Ok(1));
    bench.pass(seconds(3600));
    assert!(waiting(&bench, "noc").is_empty());
    let turn = bench.fleet.acknowledge(Some(999), "", "anna", bench.now);
    assert!(bench.commit(turn).is_err());
}

#[test]
fn a_controller_that_starts_anew_at_any_second_forgets_nothing_and_tells_nothing_twice() {
    for restart in 0..100 {
        let mut bench = bench(seconds(4 * 3600));
        bench.disconnect(node(MEDIA));
        bench.pass(seconds(restart));
        let before = waiting(&bench, "noc");
        bench.restart();
        assert_eq!(
            waiting(&bench, "noc"),
            before,
            "the same notices, with the same ids"
        );
        bench.pass(seconds(150));
        let told = take(&mut bench, "noc");
        assert_eq!(told.len(), 1, "restarted after {restart} s");
        bench.restart();
        bench.pass(seconds(300));
        assert!(
            take(&mut bench, "noc").is_empty(),
            "restarted after {restart} s"
        );
    }
}

#[test]
fn a_silence_keeps_quiet_and_what_still_fires_at_its_end_is_told() {
    let mut bench = bench(seconds(4 * 3600));
    let words = crate::core::request::SelectorWords::default();
    let turn = bench
        .fleet
        .silence(&words, seconds(300), ("works", "anna"), bench.now);
    let silence = bench.commit(turn).unwrap();
    bench.restart();
    bench.connect(node(MEDIA));
    bench.disconnect(node(MEDIA));
    bench.pass(seconds(200));
    let view = bench.fleet.alerts(bench.now);
    assert!(view.firing[0].silenced && waiting(&bench, "noc").is_empty());
    assert_eq!(view.silences.len(), 1);
    bench.pass(seconds(150));
    assert_eq!(take(&mut bench, "noc").len(), 1);
    let turn = bench.fleet.unsilence(silence.id, "anna", bench.now);
    assert!(bench.commit(turn).is_err(), "it has ended by itself");
}

#[test]
fn windows_go_over_midnight_and_by_their_own_clock() {
    let zone = jiff::tz::TimeZone::fixed(jiff::tz::offset(2));
    let window = Window {
        days: vec![jiff::civil::Weekday::Saturday],
        from: jiff::civil::time(22, 0, 0, 0),
        to: jiff::civil::time(2, 0, 0, 0),
        zone,
        selector: extend_common::operation::Selector::default(),
    };
    let open = |at: &str| window.is_open(at.parse().unwrap());
    // 28 November 2026 is a Saturday.
    assert!(!open("2026-11-28T19:59:59Z"));
    assert!(open("2026-11-28T20:00:00Z"));
    assert!(open("2026-11-28T23:59:59Z"));
    assert!(!open("2026-11-29T00:00:00Z"));
    assert!(!open("2026-11-27T21:00:00Z"), "a Friday");
    assert!(!open("2026-11-29T21:00:00Z"), "a Sunday");
}

#[test]
fn a_broken_network_is_one_message_and_few_events() {
    let mut bench = bench(seconds(4 * 3600));
    let nodes: Vec<_> = (1..=60)
        .map(|last| node(&format!("10.0.0.{last}")))
        .collect();
    for at in &nodes {
        bench.join(*at);
        bench.connect(*at);
    }
    bench.pass(seconds(5));
    for at in &nodes {
        bench.disconnect(*at);
    }
    let is_alert = |stored: &&extend_common::event::StoredEvent| {
        stored.event.kind == extend_common::event::EventKind::Alert
    };
    bench.pass(seconds(90));
    let told = take(&mut bench, "noc");
    assert_eq!(told.len(), 1, "one message");
    assert_eq!(told[0].alerts.len(), super::MOST_NAMED);
    assert_eq!(told[0].more_firing, 40);
    let events = bench.events();
    let said: Vec<_> = events.iter().filter(is_alert).collect();
    assert_eq!(said.len(), 11, "{said:#?}");
    assert!(said[10].event.text.starts_with("50 more alerts"));
}

/// What fires, by rule.
fn rules(bench: &Bench) -> Vec<Rule> {
    let firing = bench.fleet.alerts(bench.now).firing;
    firing.iter().map(|one| one.rule).collect()
}

#[test]
fn a_server_is_blamed_for_what_it_does_and_not_for_what_is_done_to_it() {
    let mut bench = Bench::guide();
    bench.pass(seconds(90));
    bench.agents.get_mut(&node(MEDIA)).unwrap().health = Some(Health::Unhealthy);
    bench.report(node(MEDIA));
    bench.pass(seconds(62));
    assert_eq!(rules(&bench), [Rule::ServerUnhealthy]);
    let alert = bench.fleet.alerts(bench.now).firing.remove(0);
    let subject = &alert.finding.subject;
    assert_eq!(subject.name.as_ref().unwrap().as_str(), "media-server-1");
    assert!(
        alert
            .finding
            .what
            .contains("media-server-only, 172.31.16.139")
    );
    assert!(
        alert
            .finding
            .todo
            .contains("extend status -n media-server-1")
    );
    // Its node falls silent: nobody can tell how it is, which is no end of it.
    bench.disconnect(node(MEDIA));
    bench.pass(seconds(120));
    assert_eq!(rules(&bench), [Rule::ServerUnhealthy, Rule::NodeOffline]);
    bench.connect(node(MEDIA));
    bench.report(node(MEDIA));
    bench.pass(seconds(40));
    assert_eq!(rules(&bench), [Rule::ServerUnhealthy]);
    // Stopped by somebody: it is to be so.
    bench.agents.get_mut(&node(MEDIA)).unwrap().health = None;
    bench.accept(Verb::Stop, "-a 172.31.16.139");
    bench.succeed(node(MEDIA));
    bench.pass(seconds(120));
    assert_eq!(rules(&bench), []);
}

#[test]
fn a_hold_is_one_alert_whatever_number_of_servers_fail() {
    let mut bench = Bench::guide();
    let media = [MEDIA, "172.31.16.149", "172.31.16.159"];
    for (at, number) in media.iter().skip(1).zip(2..) {
        bench.join(node(at));
        bench.deploy(&format!(
            "-s media-server-only -n media-server-{number} -a {at}"
        ));
    }
    bench.pass(seconds(90));
    for at in media {
        bench.agents.get_mut(&node(at)).unwrap().failing = Some(Failing {
            since: bench.now,
            reason: "no answer on tcp/8840".to_owned(),
        });
        bench.report(node(at));
    }
    bench.pass(seconds(3));
    let firing = bench.fleet.alerts(bench.now).firing;
    let held = firing.iter().filter(|one| one.rule == Rule::RestartsHeld);
    let held: Vec<_> = held.collect();
    assert_eq!(held.len(), 1, "{firing:#?}");
    assert!(held[0].finding.what.contains("media-server-only are held"));
    assert!(
        held[0]
            .finding
            .todo
            .contains("extend status -s media-server-only")
    );
}

#[test]
fn an_operation_that_failed_is_told_once_and_goes_by_itself() {
    let mut bench = Bench::guide();
    bench.pass(seconds(90));
    bench.accept(Verb::Restart, "-a 172.31.16.139 --now");
    bench.work(
        node(MEDIA),
        OutcomeKind::Failed,
        "the container did not start",
    );
    bench.pass(seconds(3));
    assert!(rules(&bench).contains(&Rule::OperationFailed));
    bench.restart();
    bench.pass(seconds(3_700));
    assert!(!rules(&bench).contains(&Rule::OperationFailed));
}
