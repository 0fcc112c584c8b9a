//! What is found, and what nobody can tell at present: that is no end of it.

use std::sync::Arc;
use std::time::Duration;

use extend_common::clock::before;
use extend_common::event::EventKind;
use extend_common::host::{AgedFigures, Disk, HostFigures};
use extend_common::operation::{TargetState, Verb};
use extend_common::status::{ContainerState, Health, Warning, WarningKind};

use super::{MEDIA, rules, seconds};
use crate::core::alerts::{AlertSettings, Rule};
use crate::core::tests::bench::{Bench, SECOND_MEDIA, node};
use crate::core::tests::told::journal_part;
use crate::portal::{Portal, PortalSeen};

const MINUTE: Duration = Duration::from_secs(60);

/// The ids of what fires of a rule.
fn firing(bench: &Bench, rule: Rule) -> Vec<u64> {
    let firing = bench.fleet.alerts(bench.now).firing;
    let of = firing.iter().filter(|one| one.rule == rule);
    of.filter_map(|one| one.id).collect()
}

fn guide() -> Bench {
    let mut bench = Bench::guide();
    bench.pass(seconds(90));
    bench
}

/// A new controller, to which every agent comes back.
fn start_anew(bench: &mut Bench) {
    bench.restart();
    let nodes: Vec<_> = bench.agents.keys().copied().collect();
    for at in nodes {
        bench.connect(at);
        bench.report(at);
    }
}

fn docker_restarts(bench: &mut Bench, times: u64, state: ContainerState) {
    let agent = bench.agents.get_mut(&node(MEDIA)).unwrap();
    let container = agent.container.as_mut().unwrap();
    (container.docker_restarts, container.state) = (times, state);
    bench.report(node(MEDIA));
}

#[test]
fn a_crash_loop_of_docker_is_told_however_it_looks_between_two_crashes() {
    let mut bench = guide();
    for times in 1..=3 {
        assert_eq!(rules(&bench), [], "{times}");
        docker_restarts(&mut bench, times, ContainerState::Restarting);
        bench.pass(seconds(5));
        docker_restarts(&mut bench, times, ContainerState::Running);
        bench.pass(seconds(15));
    }
    assert_eq!(rules(&bench), [Rule::CrashLoop]);
    let alert = bench.fleet.alerts(bench.now).firing.remove(0).finding;
    let what = "was restarted 3 times within an hour by Docker";
    assert!(alert.what.ends_with(what), "{alert:?}");
    let first = firing(&bench, Rule::CrashLoop);
    // What the next controller does not know it does not call over.
    start_anew(&mut bench);
    bench.pass(10 * MINUTE);
    assert_eq!(firing(&bench, Rule::CrashLoop), first);
    bench.pass(55 * MINUTE);
    assert_eq!(rules(&bench), []);
}

#[test]
fn what_docker_does_while_an_operation_works_is_told_by_the_operation() {
    let mut bench = guide();
    bench.accept(Verb::Restart, "-a 172.31.16.139 --now");
    for times in 1..=4 {
        docker_restarts(&mut bench, times, ContainerState::Running);
    }
    bench.pass(seconds(5));
    assert_eq!(rules(&bench), []);
}

fn disks(free: &[u64]) -> Option<Box<AgedFigures>> {
    let disk = |(number, free): (usize, &u64)| Disk {
        path: format!("/disk{number}"),
        total: 100,
        free: *free,
    };
    let figures = HostFigures {
        disks: free.iter().enumerate().map(disk).collect(),
        ..HostFigures::default()
    };
    Some(Box::new(AgedFigures {
        age: Duration::ZERO,
        figures,
    }))
}

#[test]
fn a_node_that_goes_away_ends_nothing_that_nobody_can_see_any_more() {
    let mut bench = guide();
    bench.settings.alerts = Arc::new(AlertSettings {
        // The certificates of the bench are good for less than a quarter of it.
        leaf_lifetime: Duration::from_secs(40 * 365 * 86_400),
        ..AlertSettings::default()
    });
    start_anew(&mut bench);
    let at = node(MEDIA);
    bench.agents.get_mut(&at).unwrap().beat.host = disks(&[5, 50]);
    bench.pass(8 * MINUTE);
    let disk = firing(&bench, Rule::DiskFilling);
    let certificates = firing(&bench, Rule::CertificateExpiring);
    assert_eq!((disk.len(), certificates.len()), (1, 4));
    bench.disconnect(at);
    bench.pass(10 * MINUTE);
    assert_eq!(firing(&bench, Rule::NodeOffline).len(), 1);
    assert_eq!(firing(&bench, Rule::DiskFilling), disk);
    assert_eq!(firing(&bench, Rule::CertificateExpiring), certificates);
    // Also over a start: no sample has come yet.
    bench.agents.get_mut(&at).unwrap().beat.host = None;
    start_anew(&mut bench);
    bench.pass(5 * MINUTE);
    assert_eq!(firing(&bench, Rule::DiskFilling), disk);
    bench.agents.get_mut(&at).unwrap().beat.host = disks(&[50, 50]);
    bench.pass(MINUTE);
    assert!(firing(&bench, Rule::DiskFilling).is_empty());
}

#[test]
fn what_is_pending_waits_while_nobody_can_tell() {
    let mut bench = guide();
    let at = node(MEDIA);
    bench.agents.get_mut(&at).unwrap().beat.host = disks(&[5]);
    bench.pass(seconds(50));
    bench.disconnect(at);
    bench.pass(seconds(20));
    bench.connect(at);
    bench.report(at);
    bench.pass(seconds(2));
    assert_eq!(firing(&bench, Rule::DiskFilling).len(), 1, "since 70 s");
}

#[test]
fn a_disk_is_one_alert_whoever_sees_that_it_fills() {
    let mut bench = guide();
    let at = node(MEDIA);
    let warning = Warning {
        kind: WarningKind::Disk,
        reason: "1.2 GB are free".to_owned(),
        since: bench.now,
    };
    let agent = bench.agents.get_mut(&at).unwrap();
    agent.warnings = vec![warning];
    agent.beat.host = disks(&[50, 50]);
    bench.report(at);
    bench.pass(seconds(70));
    let first = firing(&bench, Rule::DiskFilling);
    assert_eq!(first.len(), 1);
    // Docker falls silent, and an operation works on the server.
    bench.agents.get_mut(&at).unwrap().beat.docker_trouble = "no answer".to_owned();
    bench.pass(2 * MINUTE);
    assert_eq!(firing(&bench, Rule::DiskFilling), first);
    bench.agents.get_mut(&at).unwrap().beat.docker_trouble = String::new();
    bench.accept(Verb::Restart, "-a 172.31.16.139 --now");
    bench.pass(2 * MINUTE);
    assert_eq!(firing(&bench, Rule::DiskFilling), first);
    bench.succeed(at);
    // The node sees it too: still the same. Another disk is another alert.
    bench.agents.get_mut(&at).unwrap().beat.host = disks(&[5, 50]);
    bench.pass(2 * MINUTE);
    assert_eq!(firing(&bench, Rule::DiskFilling), first);
    bench.agents.get_mut(&at).unwrap().beat.host = disks(&[5, 5]);
    bench.pass(2 * MINUTE);
    assert_eq!(firing(&bench, Rule::DiskFilling).len(), 2);
    let agent = bench.agents.get_mut(&at).unwrap();
    (agent.beat.host, agent.warnings) = (disks(&[50, 50]), Vec::new());
    bench.report(at);
    bench.pass(MINUTE);
    assert_eq!(rules(&bench), []);
}

#[test]
fn a_server_that_waits_for_its_turn_is_blamed_like_any_other() {
    let mut bench = Bench::two_media();
    bench.pass(seconds(90));
    let line = "-s media-server-only --serial --now";
    let operation = bench.accept(Verb::Restart, line);
    let waits = operation
        .targets
        .iter()
        .filter(|target| bench.target(operation.id, target.node).state == TargetState::Queued);
    let waits: Vec<_> = waits.map(|target| target.node).collect();
    assert_eq!(waits.len(), 1, "{operation:#?}");
    for at in [node(MEDIA), node(SECOND_MEDIA)] {
        bench.agents.get_mut(&at).unwrap().health = Some(Health::Unhealthy);
    }
    bench.report(waits[0]);
    bench.pass(seconds(65));
    let firing = bench.fleet.alerts(bench.now).firing;
    let blamed = firing
        .iter()
        .filter(|one| one.rule == Rule::ServerUnhealthy);
    let blamed: Vec<_> = blamed.map(|one| one.finding.subject.node).collect();
    assert_eq!(blamed, [Some(waits[0])]);
}

#[test]
fn restarts_count_when_they_were_and_for_the_server_that_it_was() {
    let mut bench = guide();
    let tell = |bench: &mut Bench, journal: &str, name: &str, ago: Duration| {
        let mut part = journal_part(journal, 1..=3);
        for entry in &mut part.entries {
            entry.event.kind = EventKind::Restart;
            entry.event.name = Some(name.parse().unwrap());
            entry.event.at = before(bench.now, ago);
        }
        bench.tell(node(MEDIA), part);
        bench.pass(seconds(3));
    };
    tell(&mut bench, "old", "media-server-1", 2 * 60 * MINUTE);
    assert_eq!(rules(&bench), [], "told only now");
    tell(&mut bench, "other", "media-server-9", MINUTE);
    assert_eq!(rules(&bench), [], "it stood there before");
    tell(&mut bench, "new", "media-server-1", 20 * MINUTE);
    assert_eq!(rules(&bench), [Rule::RestartsRepeated]);
    // The next controller counts the kept events.
    let first = firing(&bench, Rule::RestartsRepeated);
    start_anew(&mut bench);
    bench.pass(30 * MINUTE);
    assert_eq!(firing(&bench, Rule::RestartsRepeated), first);
    bench.pass(15 * MINUTE);
    assert_eq!(rules(&bench), []);
}

#[test]
fn a_server_that_is_well_and_missing_from_the_portal_is_told() {
    let mut bench = guide();
    bench.settings.outside.portal = true;
    start_anew(&mut bench);
    for _ in 0..30 {
        let seen = PortalSeen {
            at: bench.now,
            result: Ok(Portal::default()),
        };
        let turn = bench.fleet.portal_seen(seen, bench.now);
        bench.commit(turn);
        bench.pass(seconds(10));
    }
    let firing = bench.fleet.alerts(bench.now).firing;
    let missing = firing.iter().find(|one| one.rule == Rule::PortalOffline);
    let what = &missing.unwrap().finding.what;
    assert!(what.contains("not registered in the portal"), "{what}");
}
