//! Nodes that reboot, and nodes that lose their power. In the lab: `make test-lab`.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    reason = "everything here is a test, also what is not marked as one"
)]

use extend_tests::lab::{Before, IVR, Lab, MEDIA, May, SOON, invariants, node_of};
use extend_tests::real::{Server, until};
use jiff::Timestamp;

/// The service is back without anybody's help, the agent too, and nothing is started twice.
fn comes_back_by_itself(server: Server, go_down: impl FnOnce()) {
    let lab = Lab::healthy_fleet();
    let node = node_of(server);
    let mut before = Before::look(&lab);
    let down = Timestamp::now();
    go_down();
    before.was_reborn(node);
    let container = server.container;
    until("the service should be back", SOON, || {
        let seen = node.find(container).unwrap_or_default();
        let is_new = seen["State"]["StartedAt"] != before.instance(server).started_at.as_str();
        if seen["State"]["Running"] == true && is_new {
            Ok(())
        } else {
            Err(format!("{:#}", seen["State"]))
        }
    });
    let back = node.instance(container);
    lab.await_online(node);
    // The controller is told of the new run: only then has everybody had their say.
    lab.await_server(server, "be healthy since the reboot", SOON, |shown| {
        let since = shown["since"].as_str().and_then(|since| since.parse().ok());
        let is_new = since.is_some_and(|since: Timestamp| since > down);
        shown["health"] == "healthy" && is_new
    });
    assert_eq!(node.instance(container), back, "it was started once");
    assert_eq!(
        invariants::starts(node, down),
        1,
        "{:#?}",
        invariants::history(node, down)
    );
    let restarts: Vec<_> = lab
        .events(&["-n", server.name], down)
        .into_iter()
        .filter(|event| event["kind"] == "restart")
        .collect();
    assert!(restarts.is_empty(), "nobody had to act: {restarts:#?}");
    before.check(&lab, &[(server, May::BeRestarted)]);
}

#[test]
fn a_node_that_reboots_is_back_with_its_service_before_anybody_acts() {
    comes_back_by_itself(MEDIA, || node_of(MEDIA).reboot());
}

#[test]
fn a_node_that_loses_its_power_is_back_with_its_service_before_anybody_acts() {
    comes_back_by_itself(IVR, || {
        node_of(IVR).cut_power();
        node_of(IVR).restore_power();
    });
}
