//! What the agent mends by itself: with and without a controller, whoever is killed meanwhile,
//! within its budget, and never against an operator.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    reason = "helpers of tests fail their test"
)]

use std::collections::BTreeSet;
use std::time::Duration;

use extend_agent::docker::memory::{Behaviour, Effect, EffectKind, StopBehaviour};
use extend_agent::faults::FaultPoint;
use extend_common::ids::NodeAddr;
use extend_common::operation::{TargetState, Verb};
use extend_common::status::{Health, ServerStatus};
use extend_tests::sim::Fleet;
use extend_tests::sim::invariants::{self, Mark, untouched_since};

const MEDIA: &str = "media-server-only";
const QUEUE: &str = "queue-server-only";
const NAME: &str = "portsip.mediaserver";
/// The interval times the threshold of the role's probe, its time-out, and the design's 100 ms.
const DETECTION: Duration = Duration::from_millis(3 * 5_000 + 2_000 + 100);
const SHORT_GRACE: Duration = Duration::from_secs(10);

fn target() -> NodeAddr {
    "172.31.16.139".parse().unwrap()
}

fn bystander() -> NodeAddr {
    "172.31.16.138".parse().unwrap()
}

async fn fleet() -> Fleet {
    let mut fleet = Fleet::new(&["172.31.16.138", "172.31.16.139"]).await;
    fleet.deploy(bystander(), QUEUE, "queue-server-1").await;
    let deployed = fleet.deploy(target(), MEDIA, "media-server-1").await;
    assert_eq!(deployed.targets[0].state, TargetState::Succeeded);
    // Long enough that nothing of the deployment counts any more.
    tokio::time::sleep(Duration::from_secs(60)).await;
    fleet
}

fn behave(fleet: &Fleet, behaviour: Behaviour) {
    fleet.nodes[&target()]
        .docker
        .behave_image("sha256:22.3.0", behaviour);
}

fn hang(fleet: &Fleet) {
    assert!(fleet.nodes[&target()].docker.hang(NAME, true));
}

fn since(fleet: &Fleet, mark: Mark) -> Vec<Effect> {
    fleet.history(target())[mark.0..].to_vec()
}

/// When the agent sent the stop signal, and when the process ran again.
fn healed(effects: &[Effect]) -> Option<(Duration, Duration)> {
    let stopped = effects
        .iter()
        .find(|e| e.actor == "agent" && matches!(e.kind, EffectKind::Signalled { .. }))?;
    let started = effects
        .iter()
        .find(|e| matches!(e.kind, EffectKind::Started { .. }))?;
    Some((stopped.at, started.at))
}

async fn status(fleet: &Fleet) -> Option<ServerStatus> {
    fleet.server(target()).await?.status
}

async fn until(fleet: &Fleet, health: Health) -> ServerStatus {
    let wait = async {
        loop {
            if let Some(status) = status(fleet).await.filter(|s| s.health == health) {
                return status;
            }
            tokio::time::sleep(Duration::from_millis(500)).await;
        }
    };
    match tokio::time::timeout(Duration::from_secs(3600), wait).await {
        Ok(status) => status,
        Err(_) => panic!("not {health}: {:#?}", status(fleet).await),
    }
}

/// Lets every process hang ten seconds after it was started, and waits for the quarantine.
async fn hang_again_and_again(fleet: &Fleet) -> ServerStatus {
    let docker = fleet.nodes[&target()].docker.clone();
    // Ends with this function, also when that is given up.
    let mut hanging = tokio::task::JoinSet::new();
    hanging.spawn(async move {
        loop {
            let _ = docker.hang(NAME, true);
            tokio::time::sleep(Duration::from_secs(10)).await;
        }
    });
    until(fleet, Health::Quarantined).await
}

#[tokio::test(start_paused = true)]
async fn a_server_that_hangs_is_restarted_with_and_without_a_controller() {
    for with_controller in [true, false] {
        let mut fleet = fleet().await;
        if !with_controller {
            fleet.kill_controller().await;
        }
        let (mark, others) = (fleet.mark(target()), fleet.mark(bystander()));
        hang(&fleet);
        let hung_at = fleet.nodes[&target()].docker.uptime();
        tokio::time::sleep(DETECTION + SHORT_GRACE + Duration::from_secs(1)).await;
        let (stopped, started) = healed(&since(&fleet, mark)).expect("healed");
        assert!(stopped - hung_at <= DETECTION, "{:?}", stopped - hung_at);
        assert!(started - stopped <= SHORT_GRACE + Duration::from_millis(100));
        fleet.check();
        untouched_since(&fleet.history(bystander()), others);
        if !with_controller {
            fleet.start_controller().await;
        }
        let status = until(&fleet, Health::Healthy).await;
        assert_eq!(status.agent_restarts, 1);
        let current = status.current.unwrap();
        assert_eq!(current.docker_restarts, 0, "told apart from Docker's");
        assert!(
            status.reason.contains("restarted by the agent"),
            "{}",
            status.reason
        );
        // And that is all.
        let mark = fleet.mark(target());
        tokio::time::sleep(Duration::from_secs(1800)).await;
        untouched_since(&fleet.history(target()), mark);
    }
}

/// What happens to the server, and how it ends.
struct Story {
    name: &'static str,
    /// It hangs until it is quarantined, then goes on.
    until_quarantine: bool,
    restarts: u64,
}

const STORIES: [Story; 2] = [
    Story {
        name: "hangs",
        until_quarantine: false,
        restarts: 1,
    },
    Story {
        name: "hangs until it is quarantined",
        until_quarantine: true,
        restarts: 5,
    },
];

/// Lives through a story to its end: healthy, and not quarantined.
async fn live(fleet: &Fleet, story: &Story) {
    if story.until_quarantine {
        hang_again_and_again(fleet).await;
        let _ = fleet.nodes[&target()].docker.hang(NAME, false);
        let docker = fleet.nodes[&target()].docker.clone();
        // It may have been stopped and lie still when its quarantine began after a kill.
        assert!(docker.listening(target(), 8840), "quarantined and running");
    } else {
        hang(fleet);
        tokio::time::sleep(Duration::from_secs(10)).await;
    }
    until(fleet, Health::Healthy).await;
    tokio::time::sleep(Duration::from_secs(60)).await;
    until(fleet, Health::Healthy).await;
}

async fn walk(story: &Story) -> Vec<FaultPoint> {
    let fleet = fleet().await;
    fleet.nodes[&target()].trap.clear();
    live(&fleet, story).await;
    fleet.nodes[&target()].trap.reached()
}

#[derive(Debug, Clone, Copy)]
enum Victim {
    Agent,
    Docker,
}

/// The first, second and last time that each point is reached.
fn chosen(points: &[FaultPoint]) -> BTreeSet<(FaultPoint, usize)> {
    let count = |point: &FaultPoint| points.iter().filter(|p| *p == point).count();
    let times = |point: &FaultPoint| [1, 2.min(count(point)), count(point)];
    points
        .iter()
        .flat_map(|point| times(point).map(|nth| (*point, nth)))
        .collect()
}

async fn strike_at_every_point(story: &Story) {
    for (point, nth) in chosen(&walk(story).await) {
        for victim in [Victim::Agent, Victim::Docker] {
            strike(story, point, nth, victim).await;
        }
    }
}

async fn strike(story: &Story, point: FaultPoint, nth: usize, victim: Victim) {
    let words = format!("{}: {victim:?} at {point} ({nth})", story.name);
    tracing::info!("{words}");
    let mut fleet = fleet().await;
    let others = fleet.mark(bystander());
    fleet.nodes[&target()].trap.set(point, nth);
    let trap = fleet.nodes[&target()].trap.clone();
    {
        let living = live(&fleet, story);
        tokio::pin!(living);
        tokio::select! {
            () = &mut living => panic!("{words}: the point was not reached"),
            () = trap.sprung() => {}
        }
    }
    let _ = fleet.nodes[&target()].docker.hang(NAME, false);
    match victim {
        Victim::Agent => fleet.restart_agent(target()).await,
        Victim::Docker => {
            let docker = &fleet.nodes[&target()].docker;
            docker.restart_daemon(Duration::from_secs(2));
            fleet.nodes[&target()].trap.release();
        }
    }
    // The server answers again, so it ends well whatever was under way; a quarantine by itself.
    let status = until(&fleet, Health::Healthy).await;
    tokio::time::sleep(Duration::from_secs(60)).await;
    fleet.check();
    untouched_since(&fleet.history(bystander()), others);
    // What Docker's restart ended is started once more.
    let most = story.restarts + 1;
    assert!(
        status.agent_restarts <= most,
        "{words}: {} restarts\n{}",
        status.agent_restarts,
        invariants::tell(&fleet.history(target()))
    );
    let mark = fleet.mark(target());
    tokio::time::sleep(Duration::from_secs(120)).await;
    untouched_since(&fleet.history(target()), mark);
}

#[tokio::test(start_paused = true)]
async fn whoever_is_killed_while_it_is_healed_it_is_healed_once() {
    strike_at_every_point(&STORIES[0]).await;
}

#[tokio::test(start_paused = true)]
async fn whoever_is_killed_on_the_way_into_and_out_of_quarantine_the_budget_holds() {
    strike_at_every_point(&STORIES[1]).await;
}

/// A kind of step that no story goes through fails here; the others are swept by operations.
#[tokio::test(start_paused = true)]
async fn every_step_of_healing_is_swept() {
    let mut reached = BTreeSet::new();
    for story in &STORIES {
        reached.extend(walk(story).await);
    }
    for kind in [
        "Witness",
        "Quarantine",
        "Release",
        "Stop",
        "Kill",
        "EndStop",
        "Start",
    ] {
        for moment in ["Before", "After", "Noted"] {
            let wanted = format!("{moment}({kind})");
            let found = reached.iter().any(|point| point.to_string() == wanted);
            assert!(found, "{wanted}");
        }
    }
}

#[tokio::test(start_paused = true)]
async fn a_quarantined_server_is_never_touched_and_recovers_by_itself() {
    let fleet = fleet().await;
    let status = hang_again_and_again(&fleet).await;
    assert_eq!(status.agent_restarts, 5);
    assert!(
        status.reason.contains("restarted 5 times in 10 minutes"),
        "{}",
        status.reason
    );
    hang(&fleet);
    let mark = fleet.mark(target());
    tokio::time::sleep(Duration::from_secs(6 * 3600)).await;
    untouched_since(&fleet.history(target()), mark);
    assert!(fleet.nodes[&target()].docker.hang(NAME, false));
    let began = tokio::time::Instant::now();
    until(&fleet, Health::Healthy).await;
    let took = began.elapsed().as_secs();
    assert!((600..700).contains(&took), "{took} s");
    untouched_since(&fleet.history(target()), mark);
}

#[tokio::test(start_paused = true)]
async fn an_operators_restart_ends_a_quarantine() {
    let mut fleet = fleet().await;
    hang_again_and_again(&fleet).await;
    let restart = fleet.submission(Verb::Restart, MEDIA, &[]);
    let done = fleet.perform(&restart).await;
    assert_eq!(done.targets[0].state, TargetState::Succeeded, "{done:#?}");
    until(&fleet, Health::Healthy).await;
}

#[tokio::test(start_paused = true)]
async fn a_crash_loop_is_dockers_and_ends_when_its_cause_goes() {
    let fleet = fleet().await;
    let crash = Behaviour {
        exits_after: Some((Duration::from_secs(1), 3)),
        ..Default::default()
    };
    behave(&fleet, crash);
    tokio::time::sleep(Duration::from_secs(3600)).await;
    let ill = status(&fleet).await.unwrap();
    assert_ne!(ill.health, Health::Quarantined);
    assert_eq!(ill.agent_restarts, 0, "Docker's restarts are not charged");
    assert!(ill.current.unwrap().docker_restarts > 10);
    let agents = since(&fleet, Mark(0))
        .into_iter()
        .filter(|e| e.actor == "agent" && matches!(e.kind, EffectKind::Started { .. }))
        .count();
    assert_eq!(agents, 1, "the deployment's own start");
    behave(&fleet, Behaviour::default());
    until(&fleet, Health::Healthy).await;
}

#[tokio::test(start_paused = true)]
async fn half_a_minute_without_the_pbx_quarantines_nobody_for_good() {
    // Without the PBX a server may end at once, or run and be deaf: nobody has seen which.
    for exits in [true, false] {
        let fleet = fleet().await;
        let without = Behaviour {
            listens: exits,
            exits_after: exits.then_some((Duration::from_millis(200), 1)),
            ..Default::default()
        };
        behave(&fleet, without);
        if !exits {
            hang(&fleet);
        }
        tokio::time::sleep(Duration::from_secs(30)).await;
        behave(&fleet, Behaviour::default());
        let _ = fleet.nodes[&target()].docker.hang(NAME, false);
        until(&fleet, Health::Healthy).await;
        let mark = fleet.mark(target());
        tokio::time::sleep(Duration::from_secs(900)).await;
        untouched_since(&fleet.history(target()), mark);
        let well = status(&fleet).await.unwrap();
        assert_eq!(well.health, Health::Healthy, "exits: {exits}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_slow_start_is_not_taken_for_a_hang() {
    let fleet = fleet().await;
    let slow = Behaviour {
        start_delay: Duration::from_secs(50),
        ..Default::default()
    };
    behave(&fleet, slow);
    let mark = fleet.mark(target());
    assert!(fleet.nodes[&target()].docker.crash(NAME, 1));
    tokio::time::sleep(Duration::from_secs(300)).await;
    let well = status(&fleet).await.unwrap();
    assert_eq!((well.health, well.agent_restarts), (Health::Healthy, 0));
    let agents = since(&fleet, mark)
        .into_iter()
        .filter(|e| e.actor == "agent")
        .count();
    assert_eq!(agents, 0);
}

#[tokio::test(start_paused = true)]
async fn what_ignores_sigterm_is_killed_after_the_short_grace() {
    let fleet = fleet().await;
    let deaf = Behaviour {
        stop: StopBehaviour::Ignores,
        ..Default::default()
    };
    behave(&fleet, deaf);
    let mark = fleet.mark(target());
    hang(&fleet);
    tokio::time::sleep(Duration::from_secs(40)).await;
    let (stopped, started) = healed(&since(&fleet, mark)).expect("healed");
    let took = started - stopped;
    let slack = Duration::from_millis(100);
    assert!(
        SHORT_GRACE <= took && took <= SHORT_GRACE + slack,
        "{took:?}"
    );
    fleet.check();
}

#[tokio::test(start_paused = true)]
async fn an_operators_restart_of_what_hangs_is_the_only_one() {
    let mut fleet = fleet().await;
    let mark = fleet.mark(target());
    hang(&fleet);
    // Before the agent can know.
    tokio::time::sleep(Duration::from_secs(9)).await;
    let restart = fleet.submission(Verb::Restart, MEDIA, &[]);
    let done = fleet.perform(&restart).await;
    assert_eq!(done.targets[0].state, TargetState::Succeeded, "{done:#?}");
    tokio::time::sleep(Duration::from_secs(300)).await;
    assert_eq!(invariants::starts_since(&fleet.history(target()), mark), 1);
    let well = status(&fleet).await.unwrap();
    assert_eq!((well.health, well.agent_restarts), (Health::Healthy, 0));
}

#[tokio::test(start_paused = true)]
async fn a_stop_that_comes_while_it_is_healed_leaves_it_stopped() {
    let mut fleet = fleet().await;
    let mark = fleet.mark(target());
    hang(&fleet);
    let docker = fleet.nodes[&target()].docker.clone();
    while !docker.history()[mark.0..]
        .iter()
        .any(|e| matches!(e.kind, EffectKind::Signalled { .. }))
    {
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    let stop = fleet.submission(Verb::Stop, MEDIA, &[]);
    let done = fleet.perform(&stop).await;
    assert_eq!(done.targets[0].state, TargetState::Succeeded, "{done:#?}");
    tokio::time::sleep(Duration::from_secs(900)).await;
    assert_eq!(invariants::starts_since(&fleet.history(target()), mark), 0);
    assert_eq!(status(&fleet).await.unwrap().health, Health::Stopped);
}

#[tokio::test(start_paused = true)]
async fn a_ledger_that_cannot_be_written_does_not_stop_the_healing() {
    let fleet = fleet().await;
    // No file can be put where a directory is.
    let ledger = fleet.nodes[&target()].state().join("ledger.json");
    std::fs::remove_file(&ledger).unwrap();
    std::fs::create_dir(&ledger).unwrap();
    let mark = fleet.mark(target());
    hang(&fleet);
    tokio::time::sleep(Duration::from_secs(60)).await;
    assert!(
        healed(&since(&fleet, mark)).is_some(),
        "{:#?}",
        since(&fleet, mark)
    );
    let well = status(&fleet).await.unwrap();
    assert_eq!((well.health, well.agent_restarts), (Health::Healthy, 1));
    let nodes = fleet.engine().nodes(Some(target())).await.unwrap();
    assert_ne!(nodes[0].ledger_trouble, "");
}
