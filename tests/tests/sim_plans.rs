//! Plans of upgrades in a fleet whose nodes can ask their registry: where the tag leads, what would
//! be restarted, and what nobody can tell.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    reason = "helpers of tests fail their test"
)]

use std::time::Duration;

use extend_agent::docker::DockerError;
use extend_agent::docker::memory::RegistryAnswer;
use extend_common::ids::NodeAddr;
use extend_common::operation::{PlannedTarget, TargetState, Verb};
use extend_tests::sim::Fleet;
use extend_tests::sim::fleet::{IMAGE, image};

const MEDIA: &str = "media-server-only";
const SERVERS: [(&str, &str); 2] = [
    ("media-server-1", "172.31.16.139"),
    ("media-server-2", "172.31.16.149"),
];

fn node(text: &str) -> NodeAddr {
    text.parse().unwrap()
}

async fn fleet() -> Fleet {
    let mut fleet = Fleet::new(&SERVERS.map(|(_, at)| at)).await;
    for (name, at) in SERVERS {
        fleet.deploy(node(at), MEDIA, name).await;
    }
    fleet
}

async fn plan(fleet: &mut Fleet, image: Option<&str>) -> Vec<PlannedTarget> {
    let mut wanted = fleet.submission(Verb::Upgrade, MEDIA, &[]);
    wanted.image = image.map(str::to_owned);
    wanted.plan_only = true;
    let submitted = fleet.submit(&wanted).await.unwrap();
    assert_eq!(submitted.operation, None);
    submitted.plan
}

#[tokio::test(start_paused = true)]
async fn the_plan_of_an_upgrade_says_what_the_upgrade_then_does() {
    let mut fleet = fleet().await;
    let planned = plan(&mut fleet, None).await;
    assert!(
        planned.iter().all(|target| target.already_so),
        "{planned:#?}"
    );
    let pulls = |fleet: &Fleet| {
        let nodes = SERVERS.iter().map(|(_, at)| &fleet.nodes[&node(at)]);
        nodes.map(|node| node.docker.pulls().len()).sum::<usize>()
    };
    let before = pulls(&fleet);

    for (_, at) in SERVERS {
        let docker = &fleet.nodes[&node(at)].docker;
        docker.add_image(IMAGE, image("22.4.0"));
    }
    let planned = plan(&mut fleet, None).await;
    assert!(planned.iter().all(|target| !target.already_so));
    assert_eq!(pulls(&fleet), before, "a plan fetches nothing");
    let wanted = fleet.submission(Verb::Upgrade, MEDIA, &[]);
    let operation = fleet.perform(&wanted).await;
    for (target, planned) in operation.targets.iter().zip(&planned) {
        assert_eq!(target.state, TargetState::Succeeded);
        assert_eq!(target.identity_after, planned.identity_after);
        assert_ne!(target.identity_after, target.identity_before);
    }
    let planned = plan(&mut fleet, None).await;
    assert!(
        planned.iter().all(|target| target.already_so),
        "{planned:#?}"
    );
    fleet.check();
}

#[tokio::test(start_paused = true)]
async fn what_cannot_be_asked_is_said() {
    let mut fleet = fleet().await;
    // Not on the nodes, so that the registry is asked.
    let other = "portsip/pbx:99".to_owned();
    let refused = DockerError::Refused {
        status: 500,
        message: "no such host".to_owned(),
    };
    for (answer, words) in [
        (RegistryAnswer::Refuses(refused), "no such host"),
        (RegistryAnswer::Hangs, "did not answer within 8s"),
    ] {
        for (_, at) in SERVERS {
            let docker = &fleet.nodes[&node(at)].docker;
            docker.set_registry(&other, Some(answer.clone()));
        }
        for target in plan(&mut fleet, Some(&other)).await {
            assert!(!target.already_so && target.identity_after.is_empty());
            assert!(target.warning.contains("was asked: "), "{}", target.warning);
            assert!(target.warning.contains(words), "{}", target.warning);
        }
    }
    for (_, at) in SERVERS {
        fleet.net.set_away(node(at), true);
    }
    tokio::time::sleep(Duration::from_secs(10)).await;
    for target in plan(&mut fleet, None).await {
        let words = "no node that has such a server is online";
        assert!(target.warning.contains(words), "{}", target.warning);
    }
}
