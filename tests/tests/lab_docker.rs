//! Engines that restart, and Engines that hang. In the lab: `make test-lab`.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    reason = "everything here is a test, also what is not marked as one"
)]

use std::time::{Duration, Instant};

use extend_tests::lab::{
    Before, IVR, Lab, MEETING, May, SOON, faults, invariants, length, node_of,
};
use extend_tests::real::until;
use serde_json::Value;

fn says_docker_is_silent(shown: &Value) -> bool {
    let trouble = shown["docker_trouble"].as_str().unwrap_or_default();
    trouble.contains("docker unresponsive")
}

#[test]
fn an_engine_that_restarts_has_one_container_after_it_and_the_node_stays_online() {
    let lab = Lab::healthy_fleet();
    let node = node_of(IVR);
    let mut before = Before::look(&lab);
    let agent = node.main_pid("extend-agent");
    // In two steps, so that it is away for as long as it takes to be noticed.
    node.shell("systemctl stop docker.socket docker.service");
    before.was_reborn(node);
    lab.await_node(node, "say that Docker is away", SOON, says_docker_is_silent);
    assert_eq!(lab.node(node)["state"], "online", "heartbeats go on");
    node.shell("systemctl start docker.service");
    lab.await_node(node, "say no more of it", SOON, |shown| {
        shown["docker_trouble"].is_null()
    });
    lab.await_healthy(IVR);

    // And at once, as an upgrade of the Engine does it.
    node.shell("systemctl restart docker.service");
    lab.await_node(node, "be well", SOON, |shown| {
        shown["docker_trouble"].is_null()
    });
    lab.await_healthy(IVR);
    assert_eq!(node.main_pid("extend-agent"), agent, "the agent went on");
    let all = invariants::ours(node);
    assert_eq!(
        all,
        [(IVR.container.to_owned(), "running".to_owned())],
        "no duplicate"
    );
    let nodes = lab.events(&["-a", IVR.node], before.at()).into_iter();
    let gone: Vec<_> = nodes.filter(|event| event["kind"] == "node").collect();
    assert!(
        gone.is_empty(),
        "the node was there all the time: {gone:#?}"
    );
    before.check(&lab, &[(IVR, May::BeRestarted)]);
}

#[test]
fn an_engine_that_hangs_is_said_to_and_nothing_is_done_twice_when_it_goes_on() {
    let lab = Lab::healthy_fleet();
    let hang = length(Duration::from_secs(20), Duration::from_secs(30));
    let node = node_of(MEETING);
    let before = Before::look(&lab);
    let began = Instant::now();
    let frozen = faults::freeze(node, node.main_pid("docker"));
    lab.await_node(
        node,
        "say that Docker is silent",
        SOON,
        says_docker_is_silent,
    );
    // A restart is asked for meanwhile: it waits, and is done once.
    let asked = lab.extend(&["restart", "-n", MEETING.name, "--detach"]);
    let id = asked.expect(0, "it is recorded").stdout.trim().to_owned();
    while began.elapsed() < hang {
        let shown = lab.node(node);
        assert_eq!(shown["state"], "online", "heartbeats go on: {shown:#}");
    }
    frozen.mend();
    lab.await_node(node, "say no more of it", SOON, |shown| {
        shown["docker_trouble"].is_null()
    });
    let ended = lab.await_end(&id);
    assert_eq!(ended["targets"][0]["state"], "succeeded", "{ended:#}");
    until(
        "the restart should have been done",
        SOON,
        || match invariants::starts(node, before.at()) {
            1 => Ok(()),
            other => Err(format!("{other} starts")),
        },
    );
    before.check(&lab, &[(MEETING, May::BeRestarted)]);
    assert_eq!(invariants::starts(node, before.at()), 1, "I1: once");
}
