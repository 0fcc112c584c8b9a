use extend_common::operation::Verb;

use super::*;
use crate::core::tests::bench::{Bench, node};
use crate::core::tests::scale::fleet;

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
