//! What a role changes on its host: listed by the plan, made before the container, undone with the
//! server's removal, while its data stays.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    reason = "helpers of tests fail their test"
)]

use extend_common::ids::NodeAddr;
use extend_common::operation::{TargetState, Verb};
use extend_tests::sim::Fleet;

const MEDIA: &str = "media-server-only";

fn target() -> NodeAddr {
    "172.31.16.139".parse().unwrap()
}

fn kinds(fleet: &Fleet) -> Vec<&'static str> {
    let changes = fleet.nodes[&target()].host.changes();
    changes.into_iter().map(|(_, kind)| kind).collect()
}

#[tokio::test(start_paused = true)]
async fn a_host_is_changed_as_the_plan_said_and_as_it_was_after_the_removal() {
    let mut fleet = Fleet::new(&["172.31.16.139"]).await;
    let mut run = fleet.submission(Verb::Run, MEDIA, &[target()]);
    run.selector.name = Some("media-server-1".parse().unwrap());
    run.plan_only = true;
    let plan = fleet.submit(&run).await.unwrap().plan;
    let lines = plan[0].host_changes.join("\n");
    for part in [
        "{data}/media-server-only",
        "ip_unprivileged_port_start",
        "35000-65000/udp",
    ] {
        assert!(lines.contains(part), "{lines}");
    }
    assert!(kinds(&fleet).is_empty(), "a plan changes nothing");

    fleet.deploy(target(), MEDIA, "media-server-1").await;
    assert_eq!(kinds(&fleet), ["firewall", "parameters"]);
    let directories = fleet.nodes[&target()].host.directories();
    assert_eq!(directories.len(), 7);
    for verb in [Verb::Stop, Verb::Start, Verb::Restart] {
        let submission = fleet.submission(verb, MEDIA, &[target()]);
        let mut planned = submission.clone();
        planned.plan_only = true;
        let plan = fleet.submit(&planned).await.unwrap().plan;
        assert!(plan[0].host_changes.is_empty(), "{plan:?}");
        fleet.perform(&submission).await;
    }
    assert_eq!(kinds(&fleet).len(), 2);

    let mut rm = fleet.submission(Verb::Rm, MEDIA, &[target()]);
    rm.plan_only = true;
    let plan = fleet.submit(&rm).await.unwrap().plan;
    assert!(
        plan[0].host_changes[0].ends_with("as it was before"),
        "{plan:?}"
    );
    let rm = fleet.submission(Verb::Rm, MEDIA, &[target()]);
    let operation = fleet.perform(&rm).await;
    assert_eq!(operation.targets[0].state, TargetState::Succeeded);
    assert!(kinds(&fleet).is_empty());
    assert_eq!(
        fleet.nodes[&target()].host.directories(),
        directories,
        "data stays"
    );
    fleet.check();
}

#[tokio::test(start_paused = true)]
async fn a_host_that_cannot_be_put_back_is_told_and_the_server_is_removed() {
    let mut fleet = Fleet::new(&["172.31.16.139"]).await;
    fleet.deploy(target(), MEDIA, "media-server-1").await;
    let host = fleet.nodes[&target()].host.clone();
    host.set_trouble(Some("Read-only file system"));
    let rm = fleet.submission(Verb::Rm, MEDIA, &[target()]);
    let operation = fleet.perform(&rm).await;
    let told = &operation.targets[0];
    assert_eq!(told.state, TargetState::Succeeded);
    assert!(told.reason.contains("Read-only file system"), "{told:?}");
    assert!(fleet.history(target()).len() > 1);
    fleet.check();
}

#[tokio::test(start_paused = true)]
async fn a_first_run_that_failed_leaves_the_host_as_it_was() {
    let mut fleet = Fleet::new(&["172.31.16.139"]).await;
    let docker = fleet.nodes[&target()].docker.clone();
    docker.behave(
        "portsip.mediaserver",
        Some(extend_agent::docker::memory::Behaviour {
            fails_to_start: Some("no".to_owned()),
            ..Default::default()
        }),
    );
    let operation = fleet.deploy(target(), MEDIA, "media-server-1").await;
    assert!(operation.targets[0].state.is_failure(), "{operation:?}");
    fleet.settled().await;
    tokio::time::sleep(std::time::Duration::from_secs(60)).await;
    assert!(kinds(&fleet).is_empty(), "{:?}", kinds(&fleet));
}
