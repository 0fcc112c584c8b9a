//! Servers that PortSIP's own script has made, taken over among other people's containers, and
//! what becomes of them when somebody forgets, changes his mind, or means something else. Who may
//! die in the middle of it is `sim_faults`' to try.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    reason = "helpers of tests fail their test"
)]

use std::time::Duration;

use extend_agent::core::step::StepKind;
use extend_agent::docker::memory::Official;
use extend_agent::faults::FaultPoint;
use extend_common::ids::NodeAddr;
use extend_common::operation::{Operation, TargetState, Verb};
use extend_common::record::RunState;
use extend_common::status::{Health, OutcomeKind};
use extend_controller::engine::EngineError;
use extend_controller::store::MemoryStore;
use extend_tests::sim::fleet::{IMAGE, image};
use extend_tests::sim::{Fleet, invariants};

const OFFICIAL: &str = "portsip.mediaserver";

fn target() -> NodeAddr {
    "172.31.16.139".parse().unwrap()
}

fn media() -> Official {
    Official::media(target(), IMAGE)
}

/// A node with a server of the script's among twenty containers of other people.
async fn found() -> Fleet {
    let mut fleet = Fleet::new(&["172.31.16.139"]).await;
    let docker = &fleet.nodes[&target()].docker;
    for number in 0..20 {
        // One with a PortSIP name that is no server's of ours.
        let name = match number {
            7 => "portsip.sbc".to_owned(),
            _ => format!("other-{number}"),
        };
        docker.foreign(&name).unwrap();
    }
    fleet.script(target(), &media()).await;
    fleet
}

async fn adopt(fleet: &mut Fleet) -> Operation {
    let adopt = fleet.submission(Verb::Adopt, "", &[]);
    let adopted = fleet.perform(&adopt).await;
    assert_eq!(
        adopted.targets[0].state,
        TargetState::Succeeded,
        "{adopted:#?}"
    );
    adopted
}

async fn perform(fleet: &mut Fleet, verb: Verb) -> TargetState {
    let submission = fleet.submission(verb, "", &[target()]);
    let ended = fleet.perform(&submission).await;
    fleet.settled().await;
    ended.targets[0].state
}

async fn refused(fleet: &mut Fleet, verb: Verb, role: &str) -> String {
    let mut submission = fleet.submission(verb, role, &[target()]);
    if verb == Verb::Run {
        submission.selector.name = Some("media-server-1".parse().unwrap());
    }
    match fleet.submit(&submission).await {
        Err(EngineError::Refused(refusal)) => {
            let causes = refusal.causes().join("; ");
            format!(
                "{}: {refusal}; {causes}; hint: {}",
                refusal.code(),
                refusal.hint()
            )
        }
        other => panic!("{other:?}"),
    }
}

#[tokio::test(start_paused = true)]
async fn it_is_found_among_twenty_others_and_nothing_is_touched() {
    let mut fleet = found().await;
    let told = fleet.unclaimed(target()).await;
    assert_eq!(told.len(), 1, "{told:?}");
    assert_eq!(told[0].container_name, OFFICIAL);
    let why = refused(&mut fleet, Verb::Run, "media-server-only").await;
    assert!(why.contains("extend adopt -a 172.31.16.139"), "{why}");
    let mark = fleet.mark(target());
    adopt(&mut fleet).await;
    fleet.settled().await;
    // Nothing follows either.
    tokio::time::sleep(Duration::from_secs(3600)).await;
    invariants::untouched_since(&fleet.history(target()), mark);
    let server = fleet.server(target()).await.unwrap();
    assert_eq!(server.status.unwrap().health, Health::Healthy);
    assert!(fleet.unclaimed(target()).await.is_empty());
    fleet.check();
}

#[tokio::test(start_paused = true)]
async fn the_whole_life_of_it() {
    let mut fleet = found().await;
    adopt(&mut fleet).await;
    for verb in [
        Verb::Stop,
        Verb::Start,
        Verb::Restart,
        Verb::Upgrade,
        Verb::Rm,
    ] {
        assert_eq!(
            perform(&mut fleet, verb).await,
            TargetState::Succeeded,
            "{verb}"
        );
    }
    assert!(fleet.server(target()).await.is_none());
    fleet.check();
    let docker = &fleet.nodes[&target()].docker;
    assert!(docker.spec(OFFICIAL).is_none(), "it is gone");
}

#[tokio::test(start_paused = true)]
async fn one_that_hangs_is_healed_and_one_that_is_removed_is_made_again() {
    let mut fleet = found().await;
    adopt(&mut fleet).await;
    let docker = fleet.nodes[&target()].docker.clone();
    assert!(docker.hang(OFFICIAL, true));
    let restarted = async {
        while fleet
            .server(target())
            .await
            .unwrap()
            .status
            .unwrap()
            .agent_restarts
            == 0
        {
            tokio::time::sleep(Duration::from_secs(1)).await;
        }
    };
    tokio::time::timeout(Duration::from_secs(120), restarted)
        .await
        .expect("it is restarted");
    // While its agent is away, somebody removes it.
    fleet.nodes.get_mut(&target()).unwrap().kill().await;
    {
        use extend_agent::docker::Docker as _;
        let somebody = docker.acting_as("somebody");
        let id = fleet.nodes[&target()].official.first().unwrap();
        somebody.signal(id, "SIGKILL").await.unwrap();
        somebody.remove(id).await.unwrap();
    }
    fleet.restart_agent(target()).await;
    let made = async {
        while docker.spec(OFFICIAL).is_none() {
            tokio::time::sleep(Duration::from_secs(1)).await;
        }
    };
    tokio::time::timeout(Duration::from_secs(600), made)
        .await
        .expect("it is made again");
    let spec = docker.spec(OFFICIAL).unwrap();
    assert!(
        spec.command.contains(&"media-server-1".to_owned()),
        "{spec:?}"
    );
    // What the agent has made by itself is upgraded like any other.
    fleet.nodes[&target()]
        .docker
        .add_image(IMAGE, image("22.4.0"));
    assert_eq!(
        perform(&mut fleet, Verb::Upgrade).await,
        TargetState::Succeeded
    );
    fleet.check();
}

#[tokio::test(start_paused = true)]
async fn whoever_changes_his_mind_in_the_middle_finds_everything_as_it_was() {
    for point in [
        FaultPoint::Accepting,
        FaultPoint::Before(StepKind::Adopt),
        FaultPoint::After(StepKind::Adopt),
        FaultPoint::Noted(StepKind::Adopt),
    ] {
        let mut fleet = found().await;
        let mark = fleet.mark(target());
        let trap = fleet.nodes[&target()].trap.clone();
        trap.set(point, 1);
        let adopt = fleet.submission(Verb::Adopt, "", &[target()]);
        let id = fleet.submit(&adopt).await.unwrap().operation.unwrap().id;
        trap.sprung().await;
        fleet
            .engine()
            .cancel(&id.to_string(), "root")
            .await
            .unwrap();
        trap.release();
        let ended = fleet.ended(id).await;
        assert_eq!(ended.targets[0].state, TargetState::Cancelled, "{ended:#?}");
        fleet.await_unclaimed(target(), 1).await;
        assert!(fleet.server(target()).await.is_none(), "{point}");
        invariants::untouched_since(&fleet.history(target()), mark);
        // The next one takes it over after all.
        self::adopt(&mut fleet).await;
        invariants::untouched_since(&fleet.history(target()), mark);
    }
}

#[tokio::test(start_paused = true)]
async fn one_that_stops_before_the_record_comes_is_not_started() {
    let mut fleet = found().await;
    let trap = fleet.nodes[&target()].trap.clone();
    trap.set(FaultPoint::Accepting, 1);
    let adopt = fleet.submission(Verb::Adopt, "", &[target()]);
    let id = fleet.submit(&adopt).await.unwrap().operation.unwrap().id;
    trap.sprung().await;
    let docker = fleet.nodes[&target()].docker.acting_as("somebody");
    let official = fleet.nodes[&target()].official.first().unwrap().clone();
    {
        use extend_agent::docker::Docker as _;
        docker.signal(&official, "SIGTERM").await.unwrap();
    }
    tokio::time::sleep(Duration::from_secs(30)).await;
    let mark = fleet.mark(target());
    trap.release();
    let ended = fleet.ended(id).await;
    assert_eq!(ended.targets[0].state, TargetState::Failed, "{ended:#?}");
    let reason = &ended.targets[0].reason;
    assert!(reason.contains("stopped meanwhile"), "{reason}");
    fleet.await_unclaimed(target(), 1).await;
    // Told anew, it is taken over as one that does not run.
    tokio::time::sleep(Duration::from_secs(30)).await;
    self::adopt(&mut fleet).await;
    let server = fleet.server(target()).await.unwrap();
    assert_eq!(server.record.desired.run_state, RunState::Stopped);
    invariants::untouched_since(&fleet.history(target()), mark);
}

#[tokio::test(start_paused = true)]
async fn two_roles_on_a_node_are_refused_and_so_is_what_belongs_elsewhere() {
    let mut fleet = found().await;
    let queue = Official {
        role: "queue-server-only".parse().unwrap(),
        name: "queue-server-1".parse().unwrap(),
        ..media()
    };
    let node = fleet.nodes.get_mut(&target()).unwrap();
    node.script(&queue);
    fleet.await_unclaimed(target(), 2).await;
    let mark = fleet.mark(target());
    let why = refused(&mut fleet, Verb::Adopt, "").await;
    assert!(why.contains("carries one role"), "{why}");

    let mut other = Fleet::new(&["172.31.16.139"]).await;
    let elsewhere = Official {
        node: "172.31.16.140".parse().unwrap(),
        ..media()
    };
    other.script(target(), &elsewhere).await;
    let why = refused(&mut other, Verb::Adopt, "").await;
    assert!(
        why.contains("started for the address 172.31.16.140"),
        "{why}"
    );
    invariants::untouched_since(&fleet.history(target()), mark);
}

#[tokio::test(start_paused = true)]
async fn a_lost_ledger_and_a_lost_store_take_it_over_again_without_a_touch() {
    let mut fleet = found().await;
    adopt(&mut fleet).await;
    let mark = fleet.mark(target());
    let ledger = fleet.nodes[&target()].state().join("ledger.json");
    fleet.nodes.get_mut(&target()).unwrap().kill().await;
    std::fs::remove_file(&ledger).unwrap();
    fleet.restart_agent(target()).await;
    let written = async {
        while !ledger.is_file() {
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
    };
    tokio::time::timeout(Duration::from_secs(60), written)
        .await
        .expect("the record is sent again");
    fleet.settled().await;
    tokio::time::sleep(Duration::from_secs(60)).await;
    invariants::untouched_since(&fleet.history(target()), mark);

    fleet.kill_controller().await;
    fleet.store = MemoryStore::new();
    fleet.recovering = true;
    fleet.start_controller().await;
    let ahead = async {
        while fleet.engine().nodes(None).await.unwrap().is_empty() {
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
    };
    tokio::time::timeout(Duration::from_secs(60), ahead)
        .await
        .expect("the node comes back");
    let recovered = fleet.engine().recover(Vec::new(), true, "root").await;
    assert_eq!(recovered.unwrap().nodes.len(), 1);
    fleet.settled().await;
    let server = fleet.server(target()).await.unwrap();
    let official = fleet.nodes[&target()].official.first();
    assert_eq!(server.record.desired.adopted.as_ref(), official);
    let outcome = server.status.unwrap().outcome.unwrap();
    assert_eq!(outcome.kind, OutcomeKind::Succeeded, "{outcome:?}");
    invariants::untouched_since(&fleet.history(target()), mark);
    // It is ours as before.
    for verb in [Verb::Restart, Verb::Upgrade] {
        assert_eq!(
            perform(&mut fleet, verb).await,
            TargetState::Succeeded,
            "{verb}"
        );
    }
    fleet.check();
}
