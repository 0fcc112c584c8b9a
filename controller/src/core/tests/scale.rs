//! Large fleets: turns stay small enough for one transaction, and nothing is kept without end.

use std::time::Duration;

use extend_common::ids::NodeAddr;
use extend_common::operation::{TargetState, Verb};
use extend_common::record::{Desired, ServerRecord};

use super::bench::{Bench, node};
use crate::core::Key;
use crate::core::rollout::BEGINS_AT_ONCE;
use crate::store::{MAX_BATCH_BYTES, MAX_WRITES};

fn address(number: u32) -> NodeAddr {
    std::net::Ipv4Addr::from(0x0a00_0000 + number + 1)
        .try_into()
        .unwrap()
}

/// A fleet of media servers, all away: the first was deployed, the others are its likes.
pub(crate) fn fleet(size: u32) -> Bench {
    let mut bench = Bench::new();
    bench.join(address(0));
    bench.deploy(&format!(
        "-s media-server-only -n media-0 -a {}",
        address(0)
    ));
    bench.disconnect(address(0));
    let first = bench.fleet.nodes[&address(0)].clone();
    for number in 1..size {
        let (node, name) = (address(number), format!("media-{number}").parse().unwrap());
        let mut like = first.clone();
        let record = first.row.record.clone().unwrap();
        let desired = Desired {
            node,
            name,
            ..record.desired
        };
        like.row.chain.clear();
        like.row
            .replace_record(ServerRecord::seal(record.id.stamp, desired));
        bench.fleet.nodes.insert(node, like);
        let row = bench.fleet.value(&Key::Node(node)).unwrap();
        bench.rows.insert(Key::Node(node).to_string(), row);
    }
    bench
}

#[test]
fn a_large_operation_begins_in_turns_that_fit() {
    let mut bench = fleet(5_000);
    let begun = |bench: &Bench, id| bench.operation(id).count(TargetState::Waiting);
    let operation = bench.accept(Verb::Stop, "");
    assert_eq!(operation.targets.len(), 5_000);
    assert_eq!(begun(&bench, operation.id), BEGINS_AT_ONCE);
    assert_eq!(bench.last_writes.len(), 2 + 5_000 + BEGINS_AT_ONCE);
    assert!(bench.fleet.has_backlog());
    bench.tick();
    assert_eq!(begun(&bench, operation.id), 2 * BEGINS_AT_ONCE);
    assert_eq!(bench.last_writes.len(), 2 * BEGINS_AT_ONCE);
    // A restart goes on where it was.
    bench.restart();
    bench.tick();
    assert_eq!(begun(&bench, operation.id), 5_000);
    assert!(!bench.fleet.has_backlog());
}

#[test]
fn the_largest_operation_fits_into_one_transaction() {
    let mut bench = fleet(10_000);
    bench.accept(Verb::Stop, "");
    assert!(bench.last_writes.len() < MAX_WRITES);
    let bytes: usize = bench
        .last_writes
        .iter()
        .filter_map(|key| bench.fleet.value(key))
        .map(|value| value.len())
        .sum();
    assert!(bytes < MAX_BATCH_BYTES / 2, "{bytes}");
}

#[test]
fn more_than_ten_thousand_servers_are_refused() {
    let mut bench = fleet(10_001);
    assert_eq!(bench.refuse(Verb::Stop, "").code(), "too-many-servers");
}

#[test]
fn a_thousand_ended_operations_are_kept() {
    let mut bench = Bench::guide();
    let at = node("172.31.16.139");
    let first = *bench.fleet.operations.keys().next().unwrap();
    for _ in 0..1_000 {
        bench.accept(Verb::Restart, "-a 172.31.16.139");
        bench.succeed(at);
    }
    bench.pass(Duration::from_secs(61));
    assert_eq!(bench.fleet.operations.len(), 1_000);
    assert_eq!(bench.fleet.requests.len(), 1_000);
    assert_eq!(bench.fleet.operation(first), None);
    assert!(!bench.rows.contains_key(&Key::Operation(first).to_string()));
    let targets = bench
        .rows
        .keys()
        .filter(|key| key.starts_with("op/"))
        .count();
    assert_eq!(targets, 2_000, "a header and a target each");
    assert!(
        bench.rows["node/172.31.16.139"].len() < 8 * 1024,
        "the chain is bounded"
    );
    bench.restart();
    assert_eq!(bench.fleet.operations.len(), 1_000);
}
