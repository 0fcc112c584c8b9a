//! Nodes that are away, controllers that know less than the nodes, ledgers that are lost: nothing
//! happens late, nothing is removed, nothing is restarted.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    reason = "helpers of tests fail their test"
)]

use std::time::Duration;

use extend_agent::docker::memory::{Behaviour, StopBehaviour};
use extend_common::event::{EventKind, StoredEvent};
use extend_common::ids::NodeAddr;
use extend_common::operation::{TargetState, Verb};
use extend_common::status::NodeState;
use extend_controller::core::request::EventsWanted;
use extend_controller::store::MemoryStore;
use extend_tests::sim::Fleet;
use extend_tests::sim::fleet::{IMAGE, image};
use extend_tests::sim::invariants::untouched_since;

const MEDIA: &str = "media-server-only";

fn target() -> NodeAddr {
    "172.31.16.139".parse().unwrap()
}

async fn fleet() -> Fleet {
    let mut fleet = Fleet::new(&["172.31.16.139"]).await;
    let deployed = fleet.deploy(target(), MEDIA, "media-server-1").await;
    assert_eq!(deployed.targets[0].state, TargetState::Succeeded);
    fleet
}

/// How the node is; none while the controller has never heard of it.
async fn node_state(fleet: &Fleet) -> Option<NodeState> {
    let nodes = fleet.engine().nodes(Some(target())).await.ok()?;
    nodes.first().map(|node| node.state)
}

async fn until(fleet: &Fleet, state: NodeState) {
    let wait = async {
        while node_state(fleet).await != Some(state) {
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
    };
    tokio::time::timeout(Duration::from_secs(600), wait)
        .await
        .expect("the node's state");
}

#[tokio::test(start_paused = true)]
async fn a_node_that_was_away_when_its_operation_timed_out_does_nothing_late() {
    for verb in [Verb::Stop, Verb::Restart, Verb::Upgrade, Verb::Rm] {
        let mut fleet = fleet().await;
        fleet.nodes[&target()]
            .docker
            .add_image(IMAGE, image("22.4.0"));
        fleet.net.set_away(target(), true);
        until(&fleet, NodeState::Offline).await;
        let mark = fleet.mark(target());
        let mut submission = fleet.submission(verb, MEDIA, &[]);
        submission.timeout = Some(Duration::from_secs(60));
        let operation = fleet.perform(&submission).await;
        assert_eq!(operation.targets[0].state, TargetState::TimedOut, "{verb}");
        fleet.net.set_away(target(), false);
        until(&fleet, NodeState::Online).await;
        fleet.settled().await;
        tokio::time::sleep(Duration::from_secs(60)).await;
        untouched_since(&fleet.history(target()), mark);
        // The server is as free as before.
        let again = fleet.submission(Verb::Restart, MEDIA, &[]);
        let restarted = fleet.perform(&again).await;
        assert_eq!(restarted.targets[0].state, TargetState::Succeeded, "{verb}");
    }
}

#[tokio::test(start_paused = true)]
async fn an_operation_waits_for_a_node_and_goes_on_when_it_returns() {
    let mut fleet = fleet().await;
    fleet.net.set_away(target(), true);
    until(&fleet, NodeState::Offline).await;
    let submission = fleet.submission(Verb::Stop, MEDIA, &[]);
    let id = fleet
        .submit(&submission)
        .await
        .unwrap()
        .operation
        .unwrap()
        .id;
    let waiting = fleet.engine().operation(&id.to_string()).await.unwrap();
    assert_eq!(waiting.targets[0].state, TargetState::Waiting);
    fleet.net.set_away(target(), false);
    assert_eq!(
        fleet.ended(id).await.targets[0].state,
        TargetState::Succeeded
    );
}

#[tokio::test(start_paused = true)]
async fn what_a_cut_off_node_did_is_told_when_it_returns() {
    let mut fleet = fleet().await;
    let slow = Behaviour {
        stop: StopBehaviour::After(Duration::from_secs(20), 0),
        ..Default::default()
    };
    fleet.nodes[&target()]
        .docker
        .behave_image("sha256:22.3.0", slow);
    let submission = fleet.submission(Verb::Restart, MEDIA, &[]);
    let id = fleet
        .submit(&submission)
        .await
        .unwrap()
        .operation
        .unwrap()
        .id;
    tokio::time::sleep(Duration::from_secs(2)).await;
    fleet.net.set_away(target(), true);
    tokio::time::sleep(Duration::from_secs(120)).await;
    fleet.net.set_away(target(), false);
    assert_eq!(
        fleet.ended(id).await.targets[0].state,
        TargetState::Succeeded
    );
}

/// What the controller keeps of what happened, oldest first.
async fn events(fleet: &Fleet) -> Vec<StoredEvent> {
    let engine = fleet.engine();
    let wanted = EventsWanted {
        tail: 100,
        ..EventsWanted::default()
    };
    let begin = engine.begin_events(wanted).await.unwrap();
    let page = engine.events_after(begin.filter, begin.after).await;
    page.unwrap().events
}

#[tokio::test(start_paused = true)]
async fn what_happened_while_a_node_was_away_is_told_in_order_and_once() {
    let mut fleet = fleet().await;
    let before = fleet.engine().begin_events(EventsWanted::default()).await;
    let before = before.unwrap().last;
    fleet.net.set_away(target(), true);
    tokio::time::sleep(Duration::from_secs(5)).await;
    let docker = fleet.nodes[&target()].docker.clone();
    assert!(docker.say("portsip.mediaserver", "no memory left"));
    assert!(docker.crash("portsip.mediaserver", 137));
    tokio::time::sleep(Duration::from_secs(120)).await;
    // Neither who tells nor who hears may lose it.
    fleet.restart_agent(target()).await;
    fleet.kill_controller().await;
    fleet.start_controller().await;
    fleet.net.set_away(target(), false);
    tokio::time::sleep(Duration::from_secs(60)).await;
    fleet.restart_agent(target()).await;
    tokio::time::sleep(Duration::from_secs(60)).await;
    let told: Vec<_> = events(&fleet)
        .await
        .into_iter()
        .filter(|stored| stored.sequence > before && stored.event.node == Some(target()))
        .collect();
    let story = format!("{told:#?}");
    let crashes: Vec<_> = told
        .iter()
        .filter(|stored| {
            matches!(
                stored.event.kind,
                EventKind::Crash | EventKind::DockerRestart
            )
        })
        .collect();
    assert_eq!(crashes.len(), 1, "{story}");
    let crash = crashes[0];
    assert!(
        crash.told.duration_since(crash.event.at) > jiff::SignedDuration::from_secs(60),
        "it happened long before: {story}"
    );
    let of_agent = told
        .iter()
        .filter(|stored| !matches!(stored.event.kind, EventKind::Node | EventKind::Alert));
    assert!(
        of_agent.clone().map(|s| s.event.at).is_sorted(),
        "as it happened: {story}"
    );
    let came_and_went = told.iter().filter(|s| s.event.kind == EventKind::Node);
    assert!(came_and_went.count() >= 2, "{story}");
}

#[tokio::test(start_paused = true)]
async fn a_cancelled_stop_leaves_the_service_running() {
    let mut fleet = fleet().await;
    let slow = Behaviour {
        stop: StopBehaviour::After(Duration::from_secs(20), 0),
        ..Default::default()
    };
    fleet.nodes[&target()]
        .docker
        .behave_image("sha256:22.3.0", slow);
    let submission = fleet.submission(Verb::Stop, MEDIA, &[]);
    let id = fleet
        .submit(&submission)
        .await
        .unwrap()
        .operation
        .unwrap()
        .id;
    tokio::time::sleep(Duration::from_secs(2)).await;
    fleet
        .engine()
        .cancel(&id.to_string(), "root")
        .await
        .unwrap();
    assert_eq!(
        fleet.ended(id).await.targets[0].state,
        TargetState::Cancelled
    );
    fleet.settled().await;
    let status = fleet.server(target()).await.unwrap().status.unwrap();
    assert!(status.current.unwrap().state.is_live());
}

#[tokio::test(start_paused = true)]
async fn an_empty_an_older_and_a_foreign_store_touch_nothing_and_are_recovered() {
    for kind in ["empty", "older", "foreign"] {
        let mut fleet = fleet().await;
        let yesterday = fleet.store.image();
        let submission = fleet.submission(Verb::Restart, MEDIA, &[]);
        fleet.perform(&submission).await;
        let mark = fleet.mark(target());
        fleet.kill_controller().await;
        match kind {
            "older" => fleet.store.roll_back(yesterday),
            _ => fleet.store = MemoryStore::new(),
        }
        if kind == "foreign" {
            // Another fleet's store, in which the node is enrolled too.
            let mut other = Fleet::new(&["172.31.16.139"]).await;
            other.kill_controller().await;
            fleet.store.roll_back(other.store.image());
        }
        fleet.recovering = kind == "empty";
        fleet.start_controller().await;
        until(&fleet, NodeState::Ahead).await;
        let stop = fleet.submission(Verb::Stop, "", &[]);
        assert!(
            fleet.submit(&stop).await.is_err(),
            "{kind}: verbs are refused"
        );
        tokio::time::sleep(Duration::from_secs(60)).await;
        untouched_since(&fleet.history(target()), mark);
        let recovered = fleet
            .engine()
            .recover(Vec::new(), true, "root")
            .await
            .unwrap();
        assert_eq!(recovered.nodes.len(), 1, "{kind}: {recovered:?}");
        until(&fleet, NodeState::Online).await;
        fleet.settled().await;
        untouched_since(&fleet.history(target()), mark);
        let restart = fleet.submission(Verb::Restart, MEDIA, &[]);
        let restarted = fleet.perform(&restart).await;
        assert_eq!(restarted.targets[0].state, TargetState::Succeeded, "{kind}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_lost_or_damaged_ledger_touches_nothing() {
    for damaged in [false, true] {
        let mut fleet = fleet().await;
        let mark = fleet.mark(target());
        let ledger = fleet.nodes[&target()].state().join("ledger.json");
        if damaged {
            let mut bytes = std::fs::read(&ledger).unwrap();
            let middle = bytes.len() / 2;
            bytes[middle] ^= 1;
            std::fs::write(&ledger, bytes).unwrap();
        } else {
            std::fs::remove_file(&ledger).unwrap();
        }
        fleet.restart_agent(target()).await;
        until(&fleet, NodeState::Online).await;
        fleet.settled().await;
        tokio::time::sleep(Duration::from_secs(60)).await;
        untouched_since(&fleet.history(target()), mark);
        let restart = fleet.submission(Verb::Restart, MEDIA, &[]);
        let restarted = fleet.perform(&restart).await;
        assert_eq!(restarted.targets[0].state, TargetState::Succeeded);
    }
}

#[tokio::test(start_paused = true)]
async fn a_frozen_docker_is_told_and_survived() {
    let mut fleet = fleet().await;
    let mark = fleet.mark(target());
    let docker = fleet.nodes[&target()].docker.clone();
    docker.freeze_daemon(true);
    let stop = fleet.submission(Verb::Stop, MEDIA, &[]);
    let id = fleet.submit(&stop).await.unwrap().operation.unwrap().id;
    tokio::time::sleep(Duration::from_secs(60)).await;
    let nodes = fleet.engine().nodes(Some(target())).await.unwrap();
    assert_eq!(nodes[0].state, NodeState::Online, "heartbeats go on");
    assert!(
        nodes[0].docker_trouble.contains("unresponsive"),
        "{nodes:?}"
    );
    untouched_since(&fleet.history(target()), mark);
    docker.freeze_daemon(false);
    assert_eq!(
        fleet.ended(id).await.targets[0].state,
        TargetState::Succeeded
    );
    fleet.check();
}

#[tokio::test(start_paused = true)]
async fn an_answer_of_docker_that_is_lost_does_nothing_twice() {
    let mut fleet = fleet().await;
    fleet.nodes[&target()]
        .docker
        .add_image(IMAGE, image("22.4.0"));
    for lost in 0..8 {
        let docker = fleet.nodes[&target()].docker.clone();
        docker.add_image(IMAGE, image(&format!("22.5.{lost}")));
        docker.lose_next_answer();
        let upgrade = fleet.submission(Verb::Upgrade, MEDIA, &[]);
        let upgraded = fleet.perform(&upgrade).await;
        assert_eq!(
            upgraded.targets[0].state,
            TargetState::Succeeded,
            "{upgraded:#?}"
        );
        fleet.check();
    }
}

/// Nobody has seen the real binaries answer a probe: every verb has to work without.
#[tokio::test(start_paused = true)]
async fn servers_that_never_answer_a_probe_can_be_managed() {
    let mut fleet = Fleet::new(&["172.31.16.139"]).await;
    let silent = Behaviour {
        listens: false,
        ..Default::default()
    };
    for version in ["22.3.0", "22.4.0"] {
        let id = format!("sha256:{version}");
        fleet.nodes[&target()]
            .docker
            .behave_image(&id, silent.clone());
    }
    let deployed = fleet.deploy(target(), MEDIA, "media-server-1").await;
    assert_eq!(
        deployed.targets[0].state,
        TargetState::Succeeded,
        "{deployed:#?}"
    );
    assert!(
        deployed.targets[0].reason.contains("not proven"),
        "{deployed:#?}"
    );
    let mut again = fleet.submission(Verb::Run, MEDIA, &[target()]);
    again.selector.name = Some("media-server-1".parse().unwrap());
    let answer = fleet.submit(&again).await.unwrap();
    assert!(
        answer.operation.is_none(),
        "an identical run is already so: {answer:?}"
    );
    fleet.nodes[&target()]
        .docker
        .add_image(IMAGE, image("22.4.0"));
    for verb in [
        Verb::Restart,
        Verb::Upgrade,
        Verb::Stop,
        Verb::Start,
        Verb::Rm,
    ] {
        let submission = fleet.submission(verb, MEDIA, &[]);
        let ended = fleet.perform(&submission).await;
        assert_eq!(
            ended.targets[0].state,
            TargetState::Succeeded,
            "{verb}: {ended:#?}"
        );
        let took = ended.ended.unwrap().duration_since(ended.begun).as_secs();
        assert!(took < 60, "{verb} took {took} s");
    }
}

/// What Docker refuses a settled server is tried again until it works.
#[tokio::test(start_paused = true)]
async fn a_service_that_cannot_be_started_for_a_while_is_started_in_the_end() {
    let mut fleet = fleet().await;
    let docker = fleet.nodes[&target()].docker.clone();
    let stopped = extend_agent::docker::Docker::container(&docker, "portsip.mediaserver").await;
    let id = stopped.unwrap().unwrap().id;
    let somebody = docker.acting_as("somebody");
    // Stopped by hand: Docker leaves it, the agent does not.
    extend_agent::docker::Docker::signal(&somebody, &id, "SIGTERM")
        .await
        .unwrap();
    for _ in 0..4 {
        docker.refuse_next(500, "error while mounting volume");
    }
    let wait = async {
        loop {
            let seen = fleet.server(target()).await.unwrap().status.unwrap();
            if seen.agent_restarts > 0 && seen.current.is_some_and(|c| c.state.is_live()) {
                return;
            }
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
    };
    tokio::time::timeout(Duration::from_secs(600), wait)
        .await
        .expect("started again");
    let restart = fleet.submission(Verb::Restart, MEDIA, &[]);
    assert_eq!(
        fleet.perform(&restart).await.targets[0].state,
        TargetState::Succeeded
    );
}
