//! State directories whose disk is full. In the lab: `make test-lab`.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    reason = "everything here is a test, also what is not marked as one"
)]

use std::collections::BTreeSet;

use extend_tests::lab::{Before, Lab, MEDIA, May, NODES, QUEUE, SOON, faults, invariants, node_of};
use extend_tests::real::until;

const AGENT: &str = "/var/lib/extend-agent";
const CONTROLLER: &str = "/var/lib/extend";

#[test]
fn an_agent_whose_disk_is_full_says_so_and_does_later_what_was_recorded() {
    let lab = Lab::healthy_fleet();
    let node = node_of(MEDIA);
    let disk = faults::small_disk(node, AGENT, "extend-agent", 4 * 1024);
    lab.await_online(node);
    lab.await_healthy(MEDIA);
    let before = Before::look(&lab);
    // Not even what it has put by for such a day.
    node.shell(&format!("rm -f {AGENT}/reserve"));
    faults::fill(node, AGENT);
    let asked = lab.extend(&["restart", "-n", MEDIA.name, "--detach"]);
    let id = asked.expect(0, "it is recorded").stdout.trim().to_owned();
    lab.await_node(node, "say that its disk is full", SOON, |shown| {
        let trouble = shown["ledger_trouble"].as_str().unwrap_or_default();
        trouble.starts_with("disk full: ")
    });
    assert_eq!(lab.node(node)["state"], "online", "heartbeats go on");
    assert_eq!(
        &node.instance(MEDIA.container),
        before.instance(MEDIA),
        "the step waits"
    );
    assert!(
        lab.operation(&id)["ended_at"].is_null(),
        "it is not given up"
    );
    faults::make_room(node, AGENT);
    let ended = lab.await_end(&id);
    assert_eq!(ended["state"], "succeeded", "{ended:#}");
    lab.await_node(node, "say no more of it", SOON, |shown| {
        shown["ledger_trouble"].is_null()
    });
    assert_eq!(invariants::starts(node, before.at()), 1, "I1: once");
    disk.mend();
    lab.await_online(node);
    before.check(&lab, &[(MEDIA, May::BeRestarted)]);
}

#[test]
fn a_controller_whose_disk_is_full_acknowledges_nothing_that_it_cannot_keep() {
    let lab = Lab::healthy_fleet();
    let disk = faults::small_disk(lab.primary, CONTROLLER, "extend-controller", 16 * 1024);
    for node in NODES {
        lab.await_online(node);
    }
    let before = Before::look(&lab);
    faults::fill(lab.primary, CONTROLLER);
    let mut acknowledged = BTreeSet::new();
    let mut refused = 0;
    for _ in 0..4 {
        let asked = lab.extend(&["restart", "-n", QUEUE.name, "--detach"]);
        match asked.code {
            0 => drop(acknowledged.insert(asked.stdout.trim().to_owned())),
            // The one before has not come to its end.
            4 => {}
            _ => refused += 1,
        }
        faults::fill(lab.primary, CONTROLLER);
    }
    assert!(
        refused > 0,
        "there was no room for all of them: {acknowledged:?}"
    );
    faults::make_room(lab.primary, CONTROLLER);
    until("the controller should be itself again", SOON, || {
        let list = lab.extend(&["op", "list"]);
        if list.code == 0 {
            Ok(())
        } else {
            Err(list.to_string())
        }
    });
    for id in &acknowledged {
        drop(lab.await_end(id));
    }
    let restarted = lab.extend(&["restart", "-n", QUEUE.name]);
    restarted.expect(0, "there is room again");
    disk.mend();
    for node in NODES {
        lab.await_online(node);
    }
    let known: BTreeSet<_> = lab
        .operations()
        .iter()
        .map(|one| one["id"].to_string())
        .collect();
    for id in &acknowledged {
        assert!(
            known.contains(&format!("\"{id}\"")),
            "I3: {id} was acknowledged: {known:?}"
        );
    }
    before.check(&lab, &[(QUEUE, May::BeRestarted)]);
}
