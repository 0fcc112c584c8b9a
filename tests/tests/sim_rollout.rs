//! Rollouts over a fleet in which everything goes wrong that may: controller and agents are killed,
//! nodes are cut off, Docker restarts, at moments drawn from a seed. The operation ends as it
//! should, each server was replaced once, all run one build, and never were two servers of a role
//! out of service at once.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    reason = "helpers of tests fail their test"
)]

use std::collections::BTreeMap;
use std::time::Duration;

use extend_agent::docker::memory::{Effect, EffectKind};
use extend_common::ids::NodeAddr;
use extend_common::operation::{Operation, TargetState, Verb};
use extend_common::status::ContainerState;
use extend_controller::core::request::Submission;
use extend_tests::sim::Fleet;
use extend_tests::sim::fleet::{IMAGE, image};
use extend_tests::sim::invariants::{Mark, tell};

const MEDIA: &str = "media-server-only";
const QUEUE: &str = "queue-server-only";
const IVR: &str = "vr-server-only";

/// Three media servers, two queue servers, and one for IVR.
const SERVERS: [(&str, &str, &str); 6] = [
    (MEDIA, "media-server-1", "172.31.16.139"),
    (MEDIA, "media-server-2", "172.31.16.149"),
    (MEDIA, "media-server-3", "172.31.16.159"),
    (QUEUE, "queue-server-1", "172.31.16.138"),
    (QUEUE, "queue-server-2", "172.31.16.148"),
    (IVR, "ivr-server-1", "172.31.16.140"),
];

/// So many runs of each verb.
const SEEDS: u64 = 25;

fn node(text: &str) -> NodeAddr {
    text.parse().unwrap()
}

/// Numbers that look random and are the same again for the same seed.
struct Dice(u64);

impl Dice {
    fn below(&mut self, most: u64) -> u64 {
        // Knuth's MMIX generator; its high bits are the good ones.
        self.0 = self
            .0
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 33) % most
    }

    fn server(&mut self) -> NodeAddr {
        let at = usize::try_from(self.below(SERVERS.len() as u64)).unwrap();
        node(SERVERS[at].2)
    }
}

async fn fleet() -> Fleet {
    let nodes: Vec<_> = SERVERS.iter().map(|(_, _, at)| *at).collect();
    let mut fleet = Fleet::new(&nodes).await;
    for (role, name, at) in SERVERS {
        fleet.nodes[&node(at)].docker.foreign("postgres").unwrap();
        let deployed = fleet.deploy(node(at), role, name).await;
        assert_eq!(
            deployed.targets[0].state,
            TargetState::Succeeded,
            "{deployed:#?}"
        );
    }
    fleet
}

/// One thing that goes wrong, and is well again after a while.
async fn mishap(fleet: &mut Fleet, dice: &mut Dice) -> String {
    let at = dice.server();
    match dice.below(5) {
        0 | 1 => {
            fleet.kill_controller().await;
            fleet.start_controller().await;
            "the controller is killed".to_owned()
        }
        2 => {
            fleet.restart_agent(at).await;
            format!("the agent of {at} is killed")
        }
        3 => {
            fleet.net.set_away(at, true);
            let time = Duration::from_secs(1 + dice.below(40));
            tokio::time::sleep(time).await;
            fleet.net.set_away(at, false);
            format!("{at} is cut off for {time:?}")
        }
        _ => {
            fleet.nodes[&at]
                .docker
                .restart_daemon(Duration::from_secs(2));
            format!("Docker is restarted on {at}")
        }
    }
}

/// Submits, lets mishaps happen until the operation has ended, and answers how it ended.
async fn troubled(
    fleet: &mut Fleet,
    submission: &Submission,
    dice: &mut Dice,
) -> (Operation, String) {
    let submitted = fleet.submit(submission).await.expect("accepted");
    let id = submitted.operation.expect("something to do").id;
    let mut story = String::new();
    for _ in 0..40 {
        tokio::time::sleep(Duration::from_millis(100 + dice.below(9_000))).await;
        let now = fleet
            .engine()
            .operation(&id.to_string())
            .await
            .expect("known");
        if now.ended.is_some() {
            return (now, story);
        }
        story = format!("{story}\n{}", mishap(fleet, dice).await);
    }
    (fleet.ended(id).await, story)
}

/// A server that has been started has not shown yet that it serves: it has to run for two seconds.
const NOT_YET: Duration = Duration::from_secs(1);

/// The times in which the agent had the server out of service: from the stop signal to the next
/// start, and a while longer.
fn outages(history: &[Effect]) -> Vec<(Duration, Duration)> {
    let mut outages = Vec::new();
    let mut since = None;
    for effect in history.iter().filter(|effect| effect.actor == "agent") {
        match (&effect.kind, since) {
            (EffectKind::Signalled { .. }, None) => since = Some(effect.at),
            (EffectKind::Started { .. }, Some(from)) => {
                outages.push((from, effect.at + NOT_YET));
                since = None;
            }
            _ => {}
        }
    }
    outages
}

/// Of one role, one server at a time.
fn one_at_a_time(fleet: &Fleet, marks: &BTreeMap<NodeAddr, Mark>, story: &str) {
    for (role, _, at) in SERVERS {
        for (other_role, _, other) in SERVERS {
            if role != other_role || at >= other {
                continue;
            }
            let since = |at: &str| {
                let history = fleet.history(node(at));
                outages(history.get(marks[&node(at)].0..).unwrap_or_default())
            };
            for (from, to) in since(at) {
                for (other_from, other_to) in since(other) {
                    assert!(
                        to <= other_from || other_to <= from,
                        "{at} and {other} were out of service at once{story}\n{}\n{}",
                        tell(&fleet.history(node(at))),
                        tell(&fleet.history(node(other)))
                    );
                }
            }
        }
    }
}

async fn run(verb: Verb, seed: u64) {
    let mut dice = Dice(seed);
    let mut fleet = fleet().await;
    let newer = verb == Verb::Upgrade;
    if newer {
        for (_, _, at) in SERVERS {
            fleet.nodes[&node(at)]
                .docker
                .add_image(IMAGE, image("22.4.0"));
        }
    }
    let marks: BTreeMap<_, _> = fleet
        .nodes
        .keys()
        .map(|at| (*at, fleet.mark(*at)))
        .collect();
    let submission = fleet.submission(verb, "", &[]);
    let (operation, story) = troubled(&mut fleet, &submission, &mut dice).await;
    let story = format!("\nseed {seed} of {verb}:{story}");
    assert_eq!(operation.summary(), "succeeded", "{story}\n{operation:#?}");
    fleet.settled().await;
    fleet.check();
    one_at_a_time(&fleet, &marks, &story);
    for (_, _, at) in SERVERS {
        let history = fleet.history(node(at));
        let since = history.get(marks[&node(at)].0..).unwrap_or_default();
        let created = since
            .iter()
            .filter(|e| matches!(e.kind, EffectKind::Created { .. }));
        let created = created.count();
        assert_eq!(created, usize::from(newer), "{at}{story}\n{}", tell(since));
        let status = fleet
            .server(node(at))
            .await
            .and_then(|server| server.status)
            .unwrap();
        let version = status.serving_image.unwrap().version;
        assert_eq!(
            version,
            if newer { "22.4.0" } else { "22.3.0" },
            "{at}{story}"
        );
        let current = status.current.expect("a container");
        assert_eq!(current.state, ContainerState::Running, "{at}{story}");
    }
    // I4: the end is the end.
    let marks: BTreeMap<_, _> = fleet
        .nodes
        .keys()
        .map(|at| (*at, fleet.mark(*at)))
        .collect();
    tokio::time::sleep(Duration::from_secs(60)).await;
    for (at, mark) in marks {
        extend_tests::sim::invariants::nothing_done_since(&fleet.history(at), mark);
    }
}

#[tokio::test(start_paused = true)]
async fn a_restart_of_all_in_a_fleet_with_mishaps() {
    for seed in 0..SEEDS {
        run(Verb::Restart, seed).await;
    }
}

#[tokio::test(start_paused = true)]
async fn an_upgrade_of_all_in_a_fleet_with_mishaps() {
    for seed in 0..SEEDS {
        run(Verb::Upgrade, 1_000 + seed).await;
    }
}

/// One image is bad: the first server that tries it goes back, and the others are never touched.
#[tokio::test(start_paused = true)]
async fn an_upgrade_that_fails_stops_at_the_first_server_whatever_else_happens() {
    for seed in 0..10 {
        let mut dice = Dice(2_000 + seed);
        let mut fleet = fleet().await;
        for (_, _, at) in SERVERS {
            let docker = &fleet.nodes[&node(at)].docker;
            docker.add_image(IMAGE, image("22.4.0"));
            let crash = extend_agent::docker::memory::Behaviour {
                exits_after: Some((Duration::from_millis(500), 3)),
                ..Default::default()
            };
            docker.behave_image("sha256:22.4.0", crash);
        }
        let submission = fleet.submission(Verb::Upgrade, MEDIA, &[]);
        let marks: BTreeMap<_, _> = fleet
            .nodes
            .keys()
            .map(|at| (*at, fleet.mark(*at)))
            .collect();
        let (operation, story) = troubled(&mut fleet, &submission, &mut dice).await;
        let told = || format!("\nseed {seed}:{story}\n{operation:#?}");
        assert_eq!(operation.count(TargetState::RolledBack), 1, "{}", told());
        assert_eq!(operation.count(TargetState::Skipped), 2, "{}", told());
        fleet.settled().await;
        fleet.check();
        for target in &operation.targets {
            let status = fleet
                .server(target.node)
                .await
                .and_then(|server| server.status)
                .unwrap();
            assert_eq!(
                status.serving_image.unwrap().version,
                "22.3.0",
                "{}",
                told()
            );
            if target.state == TargetState::Skipped {
                let history = fleet.history(target.node);
                let since = history.get(marks[&target.node].0..).unwrap_or_default();
                let stopped = since.iter().any(|effect| {
                    effect.actor == "agent" && matches!(effect.kind, EffectKind::Signalled { .. })
                });
                assert!(!stopped, "{}\n{}", told(), tell(since));
            }
        }
    }
}
