use extend_common::operation::Verb;

use super::*;
use crate::core::tests::bench::{Bench, node};
use crate::core::tests::scale::fleet;
use crate::core::view::{HostSample, ServiceSample};

fn media() -> Option<RoleName> {
    Some("media-server-only".parse().unwrap())
}

fn of(figures: &RoleFigures, health: Health) -> u64 {
    let at = HEALTHS.iter().position(|known| *known == health).unwrap();
    figures.health[at]
}

#[test]
fn the_fleet_of_the_guide_in_numbers() {
    let mut bench = Bench::guide();
    let at = node("172.31.16.139");
    bench.report(at);
    let figures = bench.fleet.figures(bench.now);
    assert_eq!(figures.connected, 4);
    assert_eq!(figures.nodes, [0, 4, 0, 0, 0, 0]);
    assert_eq!(figures.each.len(), 4);
    assert_eq!(figures.left_out, 0);
    assert_eq!(of(&figures.roles[&media()], Health::Healthy), 1);
    assert!(figures.leaf_ends.is_some());
    assert!(figures.roles.len() >= 4, "also those without a server");

    bench.accept(Verb::Restart, "-a 172.31.16.139");
    let figures = bench.fleet.figures(bench.now);
    assert_eq!(figures.open[&Verb::Restart], 1);

    // What was seen of a node that went is not passed off as what is.
    bench.disconnect(at);
    let figures = bench.fleet.figures(bench.now);
    assert_eq!(of(&figures.roles[&media()], Health::Healthy), 0);
    assert_eq!(of(&figures.roles[&media()], Health::Unknown), 1);
    let server = figures.each.iter().find(|server| server.node == at);
    let server = server.unwrap();
    assert_eq!((server.agent_restarts, &server.host), (None, &None));
    assert_eq!(figures.connected, 3);
}

#[test]
fn ten_thousand_servers_are_counted_and_the_first_five_hundred_shown() {
    let bench = fleet(10_000);
    let figures = bench.fleet.figures(bench.now);
    assert_eq!(figures.each.len(), EACH);
    assert_eq!(figures.left_out, 9_500);
    assert_eq!(of(&figures.roles[&media()], Health::Unknown), 10_000);
    let nodes: Vec<_> = figures.each.iter().map(|server| server.node).collect();
    assert!(nodes.is_sorted(), "the same ones with every scrape");
}

#[test]
fn probes_are_told_by_closed_kinds_and_only_of_the_present() {
    let mut bench = Bench::guide();
    let at = node("172.31.16.139");
    bench.report(at);
    let figure = |point: &str, passed, armed, took| ProbeFigure {
        point: point.to_owned(),
        passed,
        armed,
        took: Some(Duration::from_millis(took)),
    };
    let figures = ServiceFigures {
        probes: vec![
            figure("tcp/8840", true, true, 5),
            figure("tcp/8841", false, true, 250),
            figure("sip udp/8916", false, false, 9),
            figure("what an agent makes up", false, true, 1),
            figure("tc", false, true, 1),
            figure("tcp6/80", false, true, 1),
            figure("", false, true, 1),
        ],
        memory: Some(7),
        ..ServiceFigures::default()
    };
    let now = bench.now;
    let entry = bench.fleet.nodes.get_mut(&at).unwrap();
    entry.service = Some(ServiceSample { at: now, figures });
    let figures = extend_common::host::HostFigures::default();
    entry.host = Some(HostSample { at: now, figures });
    entry.status.as_mut().unwrap().warnings = vec![extend_common::status::Warning {
        kind: WarningKind::Memory,
        reason: "it grows".to_owned(),
        since: now,
    }];
    let figures = bench.fleet.figures(now);
    let of = |failing, slowest| ProbeFigures {
        failing,
        slowest: Some(Duration::from_millis(slowest)),
    };
    let expected = BTreeMap::from([("tcp", of(1, 250)), ("sip-udp", of(0, 9))]);
    let role = &figures.roles[&media()];
    assert_eq!(role.probes, expected);
    assert_eq!(role.warned, [0, 1, 0]);
    let server = figures.each.iter().find(|server| server.node == at);
    assert_eq!(server.unwrap().probes, expected);
    assert_eq!(server.unwrap().memory, Some(7));
    assert!(server.unwrap().host.is_some());

    // Nor is what was told a minute ago passed off as what is, also of an agent that is there.
    let later = |seconds| now + jiff::SignedDuration::from_secs(seconds);
    assert_eq!(
        bench.fleet.figures(later(60)).roles[&media()].probes,
        expected
    );
    let figures = bench.fleet.figures(later(61));
    assert!(figures.roles[&media()].probes.is_empty());
    let server = figures
        .each
        .iter()
        .find(|server| server.node == at)
        .unwrap();
    assert_eq!(
        (server.health, server.memory, &server.host),
        (Health::Healthy, None, &None)
    );

    bench.disconnect(at);
    let figures = bench.fleet.figures(now);
    assert!(figures.roles[&media()].probes.is_empty());
    assert_eq!(figures.roles[&media()].warned, [0, 0, 0]);
}
