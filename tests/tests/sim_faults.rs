//! Whoever is killed, at every point of every verb: the operation ends as it should have, nothing
//! is done twice, and nobody else is touched. The points are listed from the code.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    reason = "helpers of tests fail their test"
)]

use std::collections::BTreeSet;
use std::time::Duration;

use extend_agent::docker::memory::{Behaviour, Official, RegistryAnswer, StopBehaviour};
use extend_agent::faults::FaultPoint;
use extend_common::ids::NodeAddr;
use extend_common::operation::{Operation, TargetState, Verb};
use extend_common::record::RunState;
use extend_common::status::ContainerState;
use extend_controller::core::request::{DrainWish, Submission};
use extend_controller::engine::{CrashPoint, EngineError, InputKind};
use extend_tests::sim::Fleet;
use extend_tests::sim::fleet::{IMAGE, image};
use extend_tests::sim::invariants;

const MEDIA: &str = "media-server-only";
const QUEUE: &str = "queue-server-only";

fn target() -> NodeAddr {
    "172.31.16.139".parse().unwrap()
}

fn bystander() -> NodeAddr {
    "172.31.16.138".parse().unwrap()
}

/// What an operator does, and how it has to end.
struct Scenario {
    name: &'static str,
    /// Where it begins.
    from: From,
    /// Brings the fleet to where the operation begins.
    prepare: fn(&Fleet),
    verb: Verb,
    /// Whether sessions are waited for.
    drain: DrainWish,
    ends: TargetState,
    /// At the end: the version that serves and whether it runs; none when nothing is left.
    leaves: Option<(&'static str, bool)>,
    /// The agent starts containers at most so often.
    starts: usize,
}

/// What is on the node before.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum From {
    Nothing,
    Deployed,
    Stopped,
    /// A container of PortSIP's own script.
    Official,
    /// One that does not run.
    OfficialStopped,
    /// One that was taken over.
    Adopted,
    /// Deployed, and upgraded twice to images from a registry.
    Upgraded,
    /// Deployed, and it takes no new sessions.
    Drained,
}

fn nothing(_: &Fleet) {}

fn newer_image(fleet: &Fleet) {
    fleet.nodes[&target()]
        .docker
        .add_image(IMAGE, image("22.4.0"));
}

fn newer_image_crashes(fleet: &Fleet) {
    newer_image(fleet);
    let crash = Behaviour {
        exits_after: Some((Duration::from_millis(500), 3)),
        ..Default::default()
    };
    fleet.nodes[&target()]
        .docker
        .behave_image("sha256:22.4.0", crash);
}

fn newer_image_is_silent(fleet: &Fleet) {
    newer_image(fleet);
    let silent = Behaviour {
        listens: false,
        ..Default::default()
    };
    fleet.nodes[&target()]
        .docker
        .behave_image("sha256:22.4.0", silent);
}

/// The tag that the last upgrade of [`From::Upgraded`] was to.
const LATEST: &str = "portsip/pbx:22.3.2";

fn newer_image_under_the_latest_tag(fleet: &Fleet) {
    fleet.nodes[&target()]
        .docker
        .add_image(LATEST, image("22.4.0"));
}

fn sessions_end(fleet: &Fleet) {
    let sessions = fleet.nodes[&target()].sessions.clone();
    sessions.set(41);
    tokio::spawn(async move {
        tokio::time::sleep(Duration::from_secs(90)).await;
        sessions.set(0);
    });
}

fn newer_image_and_sessions_end(fleet: &Fleet) {
    newer_image(fleet);
    sessions_end(fleet);
}

fn sessions_stay(fleet: &Fleet) {
    fleet.nodes[&target()].sessions.set(41);
}

fn newer_image_and_sessions_stay(fleet: &Fleet) {
    newer_image(fleet);
    sessions_stay(fleet);
}

const FIVE_MINUTES: DrainWish = DrainWish::For(Duration::from_secs(300));

fn first_image_crashes(fleet: &Fleet) {
    let crash = Behaviour {
        exits_after: Some((Duration::ZERO, 3)),
        ..Default::default()
    };
    fleet.nodes[&target()]
        .docker
        .behave_image("sha256:22.3.0", crash);
}

fn takes_its_time(fleet: &Fleet) {
    let slow = Behaviour {
        stop: StopBehaviour::After(Duration::from_secs(20), 0),
        start_delay: Duration::from_secs(5),
        ..Default::default()
    };
    fleet.nodes[&target()]
        .docker
        .behave_image("sha256:22.3.0", slow);
}

fn ignores_sigterm(fleet: &Fleet) {
    let deaf = Behaviour {
        stop: StopBehaviour::Ignores,
        ..Default::default()
    };
    fleet.nodes[&target()]
        .docker
        .behave_image("sha256:22.3.0", deaf);
}

const SCENARIOS: [Scenario; 28] = [
    Scenario {
        name: "run",
        prepare: nothing,
        from: From::Nothing,
        verb: Verb::Run,
        drain: DrainWish::Unsaid,
        ends: TargetState::Succeeded,
        leaves: Some(("22.3.0", true)),
        starts: 1,
    },
    Scenario {
        name: "run that crashes",
        prepare: first_image_crashes,
        from: From::Nothing,
        verb: Verb::Run,
        drain: DrainWish::Unsaid,
        ends: TargetState::Failed,
        leaves: None,
        starts: 1,
    },
    Scenario {
        name: "stop",
        prepare: takes_its_time,
        from: From::Deployed,
        verb: Verb::Stop,
        drain: DrainWish::Unsaid,
        ends: TargetState::Succeeded,
        leaves: Some(("22.3.0", false)),
        starts: 0,
    },
    Scenario {
        name: "stop that ignores SIGTERM",
        prepare: ignores_sigterm,
        from: From::Deployed,
        verb: Verb::Stop,
        drain: DrainWish::Unsaid,
        ends: TargetState::Succeeded,
        leaves: Some(("22.3.0", false)),
        starts: 0,
    },
    Scenario {
        name: "start",
        prepare: nothing,
        from: From::Stopped,
        verb: Verb::Start,
        drain: DrainWish::Unsaid,
        ends: TargetState::Succeeded,
        leaves: Some(("22.3.0", true)),
        starts: 1,
    },
    Scenario {
        name: "restart",
        prepare: takes_its_time,
        from: From::Deployed,
        verb: Verb::Restart,
        drain: DrainWish::Unsaid,
        ends: TargetState::Succeeded,
        leaves: Some(("22.3.0", true)),
        starts: 1,
    },
    Scenario {
        name: "upgrade",
        prepare: newer_image,
        from: From::Deployed,
        verb: Verb::Upgrade,
        drain: DrainWish::Unsaid,
        ends: TargetState::Succeeded,
        leaves: Some(("22.4.0", true)),
        starts: 1,
    },
    Scenario {
        name: "upgrade that crashes",
        prepare: newer_image_crashes,
        from: From::Deployed,
        verb: Verb::Upgrade,
        drain: DrainWish::Unsaid,
        ends: TargetState::RolledBack,
        leaves: Some(("22.3.0", true)),
        starts: 2,
    },
    Scenario {
        name: "upgrade that never answers",
        prepare: newer_image_is_silent,
        from: From::Deployed,
        verb: Verb::Upgrade,
        drain: DrainWish::Unsaid,
        ends: TargetState::RolledBack,
        leaves: Some(("22.3.0", true)),
        starts: 2,
    },
    Scenario {
        name: "upgrade of a stopped server",
        prepare: newer_image,
        from: From::Stopped,
        verb: Verb::Upgrade,
        drain: DrainWish::Unsaid,
        ends: TargetState::Succeeded,
        leaves: Some(("22.4.0", false)),
        starts: 0,
    },
    Scenario {
        name: "rm",
        prepare: nothing,
        from: From::Deployed,
        verb: Verb::Rm,
        drain: DrainWish::Unsaid,
        ends: TargetState::Succeeded,
        leaves: None,
        starts: 0,
    },
    Scenario {
        name: "adopt",
        prepare: nothing,
        from: From::Official,
        verb: Verb::Adopt,
        drain: DrainWish::Unsaid,
        ends: TargetState::Succeeded,
        leaves: Some(("22.3.0", true)),
        starts: 0,
    },
    Scenario {
        name: "adopt of a stopped server",
        prepare: nothing,
        from: From::OfficialStopped,
        verb: Verb::Adopt,
        drain: DrainWish::Unsaid,
        ends: TargetState::Succeeded,
        leaves: Some(("22.3.0", false)),
        starts: 0,
    },
    Scenario {
        name: "first upgrade after adopt",
        prepare: newer_image,
        from: From::Adopted,
        verb: Verb::Upgrade,
        drain: DrainWish::Unsaid,
        ends: TargetState::Succeeded,
        leaves: Some(("22.4.0", true)),
        starts: 1,
    },
    Scenario {
        name: "first upgrade after adopt, that crashes",
        prepare: newer_image_crashes,
        from: From::Adopted,
        verb: Verb::Upgrade,
        drain: DrainWish::Unsaid,
        ends: TargetState::RolledBack,
        leaves: Some(("22.3.0", true)),
        starts: 2,
    },
    Scenario {
        name: "stop after adopt",
        prepare: takes_its_time,
        from: From::Adopted,
        verb: Verb::Stop,
        drain: DrainWish::Unsaid,
        ends: TargetState::Succeeded,
        leaves: Some(("22.3.0", false)),
        starts: 0,
    },
    Scenario {
        name: "restart after adopt",
        prepare: takes_its_time,
        from: From::Adopted,
        verb: Verb::Restart,
        drain: DrainWish::Unsaid,
        ends: TargetState::Succeeded,
        leaves: Some(("22.3.0", true)),
        starts: 1,
    },
    Scenario {
        name: "rm after adopt",
        prepare: nothing,
        from: From::Adopted,
        verb: Verb::Rm,
        drain: DrainWish::Unsaid,
        ends: TargetState::Succeeded,
        leaves: None,
        starts: 0,
    },
    Scenario {
        name: "upgrade that retires an image",
        prepare: newer_image_under_the_latest_tag,
        from: From::Upgraded,
        verb: Verb::Upgrade,
        drain: DrainWish::Unsaid,
        ends: TargetState::Succeeded,
        leaves: Some(("22.4.0", true)),
        starts: 1,
    },
    Scenario {
        name: "stop after the sessions",
        prepare: sessions_end,
        from: From::Deployed,
        verb: Verb::Stop,
        drain: FIVE_MINUTES,
        ends: TargetState::Succeeded,
        leaves: Some(("22.3.0", false)),
        starts: 0,
    },
    Scenario {
        name: "restart after the sessions",
        prepare: sessions_end,
        from: From::Deployed,
        verb: Verb::Restart,
        drain: FIVE_MINUTES,
        ends: TargetState::Succeeded,
        leaves: Some(("22.3.0", true)),
        starts: 1,
    },
    Scenario {
        name: "upgrade after the sessions",
        prepare: newer_image_and_sessions_end,
        from: From::Deployed,
        verb: Verb::Upgrade,
        drain: FIVE_MINUTES,
        ends: TargetState::Succeeded,
        leaves: Some(("22.4.0", true)),
        starts: 1,
    },
    Scenario {
        name: "rm after the sessions",
        prepare: sessions_end,
        from: From::Deployed,
        verb: Verb::Rm,
        drain: FIVE_MINUTES,
        ends: TargetState::Succeeded,
        leaves: None,
        starts: 0,
    },
    Scenario {
        name: "stop that sessions keep from it",
        prepare: sessions_stay,
        from: From::Deployed,
        verb: Verb::Stop,
        drain: FIVE_MINUTES,
        ends: TargetState::Failed,
        leaves: Some(("22.3.0", true)),
        starts: 0,
    },
    Scenario {
        name: "upgrade that sessions keep from it",
        prepare: newer_image_and_sessions_stay,
        from: From::Deployed,
        verb: Verb::Upgrade,
        drain: FIVE_MINUTES,
        ends: TargetState::Failed,
        leaves: Some(("22.3.0", true)),
        starts: 0,
    },
    Scenario {
        name: "drain",
        prepare: sessions_end,
        from: From::Deployed,
        verb: Verb::Drain,
        drain: FIVE_MINUTES,
        ends: TargetState::Succeeded,
        leaves: Some(("22.3.0", true)),
        starts: 0,
    },
    Scenario {
        name: "drain that sessions outlast",
        prepare: sessions_stay,
        from: From::Deployed,
        verb: Verb::Drain,
        drain: FIVE_MINUTES,
        ends: TargetState::Failed,
        leaves: Some(("22.3.0", true)),
        starts: 0,
    },
    Scenario {
        name: "undrain",
        prepare: nothing,
        from: From::Drained,
        verb: Verb::Undrain,
        drain: DrainWish::Unsaid,
        ends: TargetState::Succeeded,
        leaves: Some(("22.3.0", true)),
        starts: 0,
    },
];

/// Who dies, or is restarted, at the point.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Victim {
    Agent,
    Controller,
    Both,
    Docker,
}

async fn fleet_for(scenario: &Scenario) -> Fleet {
    let mut fleet = Fleet::new(&["172.31.16.138", "172.31.16.139"]).await;
    let engine = &fleet.nodes[&bystander()].docker;
    engine.foreign("postgres").unwrap();
    fleet.nodes[&target()].docker.foreign("postgres").unwrap();
    fleet.deploy(bystander(), QUEUE, "queue-server-1").await;
    match scenario.from {
        From::Nothing => {}
        From::Deployed | From::Stopped | From::Upgraded | From::Drained => {
            let deployed = fleet.deploy(target(), MEDIA, "media-server-1").await;
            succeeded(&deployed);
        }
        From::Official | From::OfficialStopped | From::Adopted => {
            let runs = scenario.from != From::OfficialStopped;
            let media = Official::media(target(), IMAGE);
            fleet.script(target(), &Official { runs, ..media }).await;
        }
    }
    if scenario.from == From::Stopped {
        let stop = fleet.submission(Verb::Stop, MEDIA, &[]);
        fleet.perform(&stop).await;
    }
    if scenario.from == From::Upgraded {
        for version in ["22.3.1", "22.3.2"] {
            let reference = format!("portsip/pbx:{version}");
            let answer = RegistryAnswer::Serves(image(version), Duration::from_secs(5));
            let docker = fleet.nodes[&target()].docker.clone();
            docker.set_registry(&reference, Some(answer));
            let mut upgrade = fleet.submission(Verb::Upgrade, MEDIA, &[target()]);
            upgrade.image = Some(reference);
            succeeded(&fleet.perform(&upgrade).await);
        }
    }
    if scenario.from == From::Drained {
        let drain = fleet.submission(Verb::Drain, MEDIA, &[target()]);
        succeeded(&fleet.perform(&drain).await);
    }
    if scenario.from == From::Adopted {
        let adopt = fleet.submission(Verb::Adopt, "", &[target()]);
        succeeded(&fleet.perform(&adopt).await);
    }
    (scenario.prepare)(&fleet);
    fleet
}

fn succeeded(operation: &Operation) {
    let state = operation.targets[0].state;
    assert_eq!(state, TargetState::Succeeded, "{operation:#?}");
}

fn submission(fleet: &mut Fleet, scenario: &Scenario) -> Submission {
    let mut submission = fleet.submission(scenario.verb, MEDIA, &[target()]);
    if scenario.verb == Verb::Adopt {
        submission.selector.role.clear();
    }
    submission.drain = scenario.drain;
    if scenario.verb == Verb::Run {
        submission.selector.name = Some("media-server-1".parse().unwrap());
    }
    submission
}

/// The end that was wanted, and nothing beside it.
async fn check(fleet: &Fleet, scenario: &Scenario, operation: &Operation, story: &str) {
    let ended = &operation.targets[0];
    let history = fleet.history(target());
    let told = || format!("{story}\n{ended:#?}\n{}", invariants::tell(&history));
    assert_eq!(ended.state, scenario.ends, "{}", told());
    fleet.check();
    fleet.settled().await;
    let server = fleet.server(target()).await;
    match (scenario.leaves, server) {
        (None, None) => {}
        (Some((version, runs)), Some(server)) => {
            let status = server.status.as_ref().expect("a status");
            let serving = status.serving_image.as_ref().expect("an image");
            assert_eq!(serving.version, version, "{}", told());
            let current = status.current.as_ref().expect("a container");
            assert_eq!(current.state == ContainerState::Running, runs, "{}", told());
            let wanted = if runs {
                RunState::Running
            } else {
                RunState::Stopped
            };
            assert_eq!(server.record.desired.run_state, wanted, "{}", told());
        }
        (wanted, found) => panic!("wanted {wanted:?}, found {found:#?}\n{}", told()),
    }
    // I4: the end is the end.
    let mark = fleet.mark(target());
    tokio::time::sleep(Duration::from_secs(60)).await;
    invariants::untouched_since(&fleet.history(target()), mark);
    // No orphan: at most the official container, and one kept as evidence.
    let names = names(fleet);
    let previous = names.iter().find(|name| name.ends_with(".previous"));
    assert!(previous.is_none(), "{names:?}\n{}", told());
}

fn names(fleet: &Fleet) -> BTreeSet<String> {
    let mut names = BTreeSet::new();
    for effect in fleet.history(target()) {
        use extend_agent::docker::memory::EffectKind;
        match &effect.kind {
            EffectKind::Created { .. } => {
                names.insert(effect.name.clone());
            }
            EffectKind::Renamed { from } => {
                names.remove(from);
                names.insert(effect.name.clone());
            }
            EffectKind::Removed => {
                names.remove(&effect.name);
            }
            _ => {}
        }
    }
    names
}

/// One run without faults: the points that the agent and the controller go through.
async fn walk(scenario: &Scenario) -> (Vec<FaultPoint>, Vec<CrashPoint>) {
    let mut fleet = fleet_for(scenario).await;
    fleet.nodes[&target()].trap.clear();
    fleet.trap.clear();
    let submission = submission(&mut fleet, scenario);
    let operation = fleet.perform(&submission).await;
    // What nobody waits for comes after the end.
    tokio::time::sleep(Duration::from_secs(5)).await;
    let points = (fleet.nodes[&target()].trap.reached(), fleet.trap.reached());
    check(&fleet, scenario, &operation, "no fault").await;
    points
}

/// Each point once for each time it is reached, up to a few.
fn nth<P: PartialEq + Copy>(points: &[P], most: usize) -> Vec<(P, usize)> {
    let mut all = Vec::new();
    for (index, point) in points.iter().enumerate() {
        let count = points[..=index]
            .iter()
            .filter(|other| *other == point)
            .count();
        if count <= most {
            all.push((*point, count));
        }
    }
    all
}

async fn strike(fleet: &mut Fleet, victim: Victim) {
    match victim {
        Victim::Agent => fleet.restart_agent(target()).await,
        Victim::Controller => {
            fleet.kill_controller().await;
            fleet.nodes[&target()].trap.release();
            fleet.start_controller().await;
        }
        Victim::Both => {
            fleet.kill_controller().await;
            fleet.restart_agent(target()).await;
            fleet.start_controller().await;
        }
        Victim::Docker => {
            fleet.nodes[&target()]
                .docker
                .restart_daemon(Duration::from_secs(2));
            fleet.nodes[&target()].trap.release();
            // The operation may be over: what comes back with the daemon is not of its doing.
            tokio::time::sleep(Duration::from_secs(3)).await;
        }
    }
}

async fn agent_case(scenario: &Scenario, point: FaultPoint, count: usize, victim: Victim) {
    let story = format!("{}: {victim:?} at {point} ({count})", scenario.name);
    tracing::info!("{story}");
    let mut fleet = fleet_for(scenario).await;
    let others = fleet.mark(bystander());
    let before = fleet.mark(target());
    fleet.nodes[&target()].trap.set(point, count);
    let trap = fleet.nodes[&target()].trap.clone();
    let submission = submission(&mut fleet, scenario);
    let submitted = fleet.submit(&submission).await.expect("accepted");
    let id = submitted.operation.expect("an operation").id;
    // The last notes of an operation may come after its end.
    let sprung = tokio::time::timeout(Duration::from_secs(1200), trap.sprung()).await;
    assert!(sprung.is_ok(), "{story}: the point was not reached");
    strike(&mut fleet, victim).await;
    let operation = fleet.ended(id).await;
    check(&fleet, scenario, &operation, &story).await;
    let starts = invariants::starts_since(&fleet.history(target()), before);
    // A container whose start was not noted when everything died was started all the same, and
    // one that Docker's restart ended is started again.
    let most = scenario.starts + usize::from(victim == Victim::Docker);
    assert!(starts <= most, "{story}: {starts} starts");
    invariants::untouched_since(&fleet.history(bystander()), others);
    if scenario.verb == Verb::Adopt {
        invariants::nothing_done_since(&fleet.history(target()), before);
    }
    assert_eq!(resubmitted(&mut fleet, &submission).await, id, "{story}");
}

/// The same request again gives the same operation. A controller that has just started knows
/// nothing of what is on a node before its agent is back, and says so.
async fn resubmitted(
    fleet: &mut Fleet,
    submission: &Submission,
) -> extend_common::ids::OperationId {
    for _ in 0..600 {
        match fleet.submit(submission).await {
            Ok(submitted) => return submitted.operation.expect("the operation").id,
            Err(EngineError::Refused(refusal)) if refusal.code() == "node-unseen" => {
                tokio::time::sleep(Duration::from_millis(100)).await;
            }
            Err(error) => panic!("{error}"),
        }
    }
    panic!("the node was not seen again");
}

async fn sweep_agent(scenario: &Scenario) -> BTreeSet<FaultPoint> {
    let (points, _) = walk(scenario).await;
    for (point, count) in nth(&points, 2) {
        for victim in [
            Victim::Agent,
            Victim::Controller,
            Victim::Both,
            Victim::Docker,
        ] {
            agent_case(scenario, point, count, victim).await;
        }
    }
    points.into_iter().collect()
}

/// The controller dies at its own points; the command line comes back with the same request.
async fn sweep_controller(scenario: &Scenario) {
    let (_, points) = walk(scenario).await;
    for (point, count) in nth(&points, 1) {
        let story = format!("{}: controller at {point} ({count})", scenario.name);
        tracing::info!("{story}");
        let mut fleet = fleet_for(scenario).await;
        let others = fleet.mark(bystander());
        fleet.trap.set(point, count);
        let submission = submission(&mut fleet, scenario);
        let engine = fleet.engine();
        let first = submission.clone();
        let asked = tokio::spawn(async move { engine.submit(first).await });
        let trap = fleet.trap.clone();
        let sprung = tokio::time::timeout(Duration::from_secs(1200), trap.sprung()).await;
        if sprung.is_err() {
            // What only time brings may fall differently in the next run; what an input brings
            // may not.
            let by_time = [InputKind::Tick, InputKind::Heartbeat, InputKind::Question];
            let may_miss = matches!(point, CrashPoint::Input(_, kind) if by_time.contains(&kind));
            assert!(may_miss, "{story}: the point was not reached");
            asked.abort();
            continue;
        }
        fleet.kill_controller().await;
        asked.abort();
        fleet.start_controller().await;
        let id = resubmitted(&mut fleet, &submission).await;
        let operation = fleet.ended(id).await;
        check(&fleet, scenario, &operation, &story).await;
        invariants::untouched_since(&fleet.history(bystander()), others);
    }
}

macro_rules! sweeps {
    ($($test:ident: $index:expr),* $(,)?) => {$(
        mod $test {
            use super::*;

            #[tokio::test(start_paused = true)]
            async fn agent_points() {
                sweep_agent(&SCENARIOS[$index]).await;
            }

            #[tokio::test(start_paused = true)]
            async fn controller_points() {
                sweep_controller(&SCENARIOS[$index]).await;
            }
        }
    )*};
}

sweeps! {
    run: 0, run_that_crashes: 1, stop: 2, stop_that_ignores_sigterm: 3, start: 4, restart: 5,
    upgrade: 6, upgrade_that_crashes: 7, upgrade_that_never_answers: 8,
    upgrade_of_a_stopped_server: 9, rm: 10, adopt: 11, adopt_of_a_stopped_server: 12,
    upgrade_after_adopt: 13, upgrade_after_adopt_that_crashes: 14, stop_after_adopt: 15,
    restart_after_adopt: 16, rm_after_adopt: 17, upgrade_that_retires_an_image: 18,
    stop_after_the_sessions: 19, restart_after_the_sessions: 20, upgrade_after_the_sessions: 21,
    rm_after_the_sessions: 22, stop_that_sessions_keep_from_it: 23,
    upgrade_that_sessions_keep_from_it: 24, drain: 25, drain_that_sessions_outlast: 26, undrain: 27,
}

/// A new kind of step that no scenario goes through fails here.
#[tokio::test(start_paused = true)]
async fn every_point_of_the_agent_is_swept() {
    let mut reached = BTreeSet::new();
    for scenario in &SCENARIOS {
        reached.extend(walk(scenario).await.0);
    }
    let missed: Vec<_> = FaultPoint::all()
        .into_iter()
        .filter(|p| !reached.contains(p))
        .collect();
    // Taking stock after a lost ledger, noting a late first answer, and what the agent does by
    // itself have tests of their own.
    let elsewhere = |point: &FaultPoint| {
        let words = point.to_string();
        let kinds = [
            "Recall",
            "MarkProven",
            "Witness",
            "Spare",
            "Unspare",
            "Quarantine",
            "Release",
        ];
        kinds.iter().any(|kind| words.contains(kind))
    };
    let missed: Vec<_> = missed.into_iter().filter(|p| !elsewhere(p)).collect();
    assert!(missed.is_empty(), "no scenario goes through {missed:?}");
}
