//! Checkups in a simulated fleet: what keeps a `run` from deploying, what overrides that and where
//! it is kept, and what cannot be asked.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    reason = "helpers of tests fail their test"
)]

use std::sync::Arc;
use std::time::Duration;

use extend_agent::preflight::NotReached;
use extend_common::checkup::{Accepted, Check, CheckName, Verdict};
use extend_common::cloud::CloudFacts;
use extend_common::ids::NodeAddr;
use extend_common::operation::{TargetState, Verb};
use extend_common::status::NodeState;
use extend_controller::core::refusal::Refusal;
use extend_controller::core::request::{SelectorWords, Submission};
use extend_controller::core::view::EventFilter;
use extend_controller::engine::{Checkup, EngineError};
use extend_tests::sim::Fleet;

const MEDIA: &str = "media-server-only";
const AT: &str = "172.31.16.139";

fn node() -> NodeAddr {
    AT.parse().unwrap()
}

/// Waits until a node's agent is connected, and so can be asked.
async fn online(fleet: &Fleet) {
    let came = async {
        while fleet.engine().nodes(Some(node())).await.unwrap()[0].state != NodeState::Online {
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
    };
    let came = tokio::time::timeout(Duration::from_secs(60), came).await;
    came.expect("the agent comes");
}

fn small_disk(fleet: &Fleet) {
    fleet.nodes[&node()].host.set_facts(|facts| {
        facts.disk.as_mut().unwrap().as_mut().unwrap().total = 8_000_000_000;
        facts.os.as_mut().unwrap().as_mut().unwrap().version = "22.04".to_owned();
    });
}

fn run(fleet: &mut Fleet) -> Submission {
    let mut wanted = fleet.submission(Verb::Run, MEDIA, &[node()]);
    wanted.selector.name = Some("media-server-1".parse().unwrap());
    wanted
}

#[track_caller]
fn refused(answer: Result<impl std::fmt::Debug, EngineError>) -> Refusal {
    match answer {
        Err(EngineError::Refused(refusal)) => refusal,
        other => panic!("{other:#?}"),
    }
}

async fn doctor(fleet: &Fleet, nodes: &[NodeAddr], role: &str) -> Vec<Checkup> {
    let words = SelectorWords {
        role: role.to_owned(),
        nodes: nodes.to_vec(),
        name: None,
    };
    fleet.engine().checkup(words).await.unwrap()
}

#[track_caller]
fn verdict(checks: &[Check], name: CheckName) -> Verdict {
    checks
        .iter()
        .find(|check| check.name == name)
        .unwrap()
        .verdict
}

#[tokio::test(start_paused = true)]
async fn a_host_against_the_rules_refuses_a_run_until_that_is_accepted_by_name() {
    let mut fleet = Fleet::new(&[AT]).await;
    online(&fleet).await;
    small_disk(&fleet);
    let wanted = run(&mut fleet);
    let refusal = refused(fleet.submit(&wanted).await);
    assert_eq!(refusal.code(), "host-unfit");
    let cause = "disk-size: 8.0 GB at /var/lib/portsip; a media server needs 128 GB (fix: a disk of \
                 256 GB); or --accept disk-size=REASON";
    assert_eq!(refusal.causes(), [cause]);
    assert_eq!(
        refusal.hint(),
        "extend doctor -a 172.31.16.139 -s media-server-only"
    );
    // Its plan is refused as well, and nothing was begun.
    let plan = Submission {
        plan_only: true,
        ..run(&mut fleet)
    };
    assert_eq!(refused(fleet.submit(&plan).await).code(), "host-unfit");
    assert!(
        fleet
            .engine()
            .operations(9, false)
            .await
            .unwrap()
            .is_empty()
    );

    // Another name does not do.
    let mut other = run(&mut fleet);
    other.accepted = vec!["os-release=it is a test".parse().unwrap()];
    assert_eq!(refused(fleet.submit(&other).await).code(), "host-unfit");
    let accepted: Vec<Accepted> = vec!["disk-size=no recordings here".parse().unwrap()];
    let mut wanted = run(&mut fleet);
    wanted.accepted.clone_from(&accepted);
    let submitted = fleet.submit(&wanted).await.unwrap();
    let told: Vec<_> = submitted.plan[0]
        .checks
        .iter()
        .map(|check| check.name)
        .collect();
    assert!(
        told.contains(&CheckName::DiskSize) && told.contains(&CheckName::OsRelease),
        "{told:?}"
    );
    assert!(
        !told.contains(&CheckName::Docker),
        "what is as it should be is not told: {told:?}"
    );
    let operation = submitted.operation.unwrap();
    assert_eq!(operation.accepted, accepted);
    let ended = fleet.ended(operation.id).await;
    assert_eq!(ended.targets[0].state, TargetState::Succeeded);
    // Kept with the operation, and among the events.
    let id = operation.id.to_string();
    fleet.kill_controller().await;
    fleet.start_controller().await;
    assert_eq!(
        fleet.engine().operation(&id).await.unwrap().accepted,
        accepted
    );
    let page = fleet
        .engine()
        .events_after(EventFilter::default(), 0)
        .await
        .unwrap();
    let words = "accepted of the checkup: disk-size (no recordings here)";
    assert!(
        page.events
            .iter()
            .any(|event| event.event.text.contains(words)),
        "{page:#?}"
    );
    fleet.check();
}

#[tokio::test(start_paused = true)]
async fn what_is_already_so_is_not_examined_and_another_image_is() {
    let mut fleet = Fleet::new(&[AT]).await;
    fleet.deploy(node(), MEDIA, "media-server-1").await;
    small_disk(&fleet);
    let again = run(&mut fleet);
    let submitted = fleet.submit(&again).await.unwrap();
    assert!(submitted.plan[0].already_so && submitted.operation.is_none());
    let mut wanted = run(&mut fleet);
    wanted.image = Some("portsip/pbx:23".to_owned());
    assert_eq!(refused(fleet.submit(&wanted).await).code(), "host-unfit");
}

#[tokio::test(start_paused = true)]
async fn a_node_that_cannot_be_asked_is_unknown_and_the_plan_says_so() {
    let mut fleet = Fleet::new(&[AT]).await;
    fleet.net.set_away(node(), true);
    tokio::time::sleep(Duration::from_secs(60)).await;
    let plan = Submission {
        plan_only: true,
        ..run(&mut fleet)
    };
    let planned = fleet.submit(&plan).await.unwrap().plan;
    let checks = &planned[0].checks;
    assert_eq!(verdict(checks, CheckName::DiskSize), Verdict::Unknown);
    let check = checks
        .iter()
        .find(|check| check.name == CheckName::DiskSize)
        .unwrap();
    assert!(
        check.found.contains("172.31.16.139 is offline"),
        "{check:?}"
    );
    // One that is connected and says nothing is not waited for for ever.
    fleet.net.set_away(node(), false);
    tokio::time::sleep(Duration::from_secs(60)).await;
    let checked = doctor(&fleet, &[node()], MEDIA).await;
    assert_eq!(
        verdict(&checked[0].checks, CheckName::DiskSize),
        Verdict::Ok
    );
    fleet.nodes[&node()].docker.freeze_daemon(true);
    let checked = doctor(&fleet, &[node()], MEDIA).await;
    assert_eq!(
        verdict(&checked[0].checks, CheckName::Docker),
        Verdict::Unknown
    );
    assert_eq!(
        verdict(&checked[0].checks, CheckName::DiskSize),
        Verdict::Ok
    );
}

#[tokio::test(start_paused = true)]
async fn doctor_asks_every_node_for_every_check() {
    let others = ["172.31.16.138", "172.31.16.140"];
    let mut fleet = Fleet::new(&[AT, others[0], others[1]]).await;
    fleet.deploy(node(), MEDIA, "media-server-1").await;
    let to = "54.151.30.9:8887".parse().unwrap();
    let queue: NodeAddr = others[0].parse().unwrap();
    let host = &fleet.nodes[&queue].host;
    host.set_unreachable(to, Some(NotReached::Failed("no route to host".to_owned())));
    let checked = doctor(&fleet, &[], "").await;
    assert_eq!(checked.len(), 3);
    for checkup in &checked {
        let names: Vec<_> = checkup.checks.iter().map(|check| check.name).collect();
        assert_eq!(names, CheckName::ALL);
        let reached = match checkup.subject.node == queue {
            true => Verdict::Warn,
            false => Verdict::Ok,
        };
        assert_eq!(verdict(&checkup.checks, CheckName::PbxReachable), reached);
        // Of a node without a server nobody knows what its disk is for.
        let disk = match checkup.subject.node == node() {
            true => Verdict::Ok,
            false => Verdict::Unknown,
        };
        assert_eq!(verdict(&checkup.checks, CheckName::DiskSize), disk);
    }
    assert_eq!(doctor(&fleet, &[], MEDIA).await.len(), 1);
    let as_queue = doctor(&fleet, &[queue], "queue-server-only").await;
    assert_eq!(
        verdict(&as_queue[0].checks, CheckName::DiskSize),
        Verdict::Ok
    );
    let as_media = doctor(&fleet, &[node()], "queue-server-only").await;
    assert_eq!(
        verdict(&as_media[0].checks, CheckName::OneRole),
        Verdict::Fail
    );
    let unknown = SelectorWords {
        nodes: vec!["10.0.0.1".parse().unwrap()],
        ..SelectorWords::default()
    };
    assert_eq!(
        refused(fleet.engine().checkup(unknown).await).code(),
        "not-enrolled"
    );
}

#[tokio::test(start_paused = true)]
async fn the_cloud_gives_a_server_its_public_address_and_is_checked_against_what_is_said() {
    let mut fleet = Fleet::new(&[AT]).await;
    let told: NodeAddr = "54.215.234.52".parse().unwrap();
    let facts = CloudFacts {
        public: Some(told),
        private: Some(node()),
        instance: "i-1".to_owned(),
        ..CloudFacts::default()
    };
    fleet.nodes[&node()]
        .cloud
        .send_replace(Some(Arc::new(facts)));
    let known = async {
        loop {
            let views = fleet.engine().nodes(Some(node())).await.unwrap();
            if views[0].cloud.is_some() {
                return;
            }
            tokio::time::sleep(Duration::from_secs(1)).await;
        }
    };
    tokio::time::timeout(Duration::from_secs(60), known)
        .await
        .expect("a heartbeat tells it");
    let mut wrong = run(&mut fleet);
    wrong.public_address = Some("54.215.234.53".parse().unwrap());
    let refusal = refused(fleet.submit(&wrong).await);
    assert!(
        refusal.causes()[0].starts_with("elastic-address: "),
        "{:?}",
        refusal.causes()
    );
    let operation = fleet.deploy(node(), MEDIA, "media-server-1").await;
    let words = "its public address is 54.215.234.52, as its cloud tells";
    assert!(
        operation.targets[0].warning.contains(words),
        "{operation:#?}"
    );
    let servers = fleet
        .engine()
        .servers(SelectorWords::default())
        .await
        .unwrap();
    let record = &servers.servers[0].record;
    assert_eq!(record.desired.parameters.public_address, Some(told));
    // The guide's line again is already so, and a cloud that says another address changes nothing.
    let again = run(&mut fleet);
    assert!(fleet.submit(&again).await.unwrap().plan[0].already_so);
    let checked = doctor(&fleet, &[node()], "").await;
    assert_eq!(
        verdict(&checked[0].checks, CheckName::ElasticAddress),
        Verdict::Ok
    );
    assert_eq!(
        verdict(&checked[0].checks, CheckName::StaticAddress),
        Verdict::Ok
    );
}
