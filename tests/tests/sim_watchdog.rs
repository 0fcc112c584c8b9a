//! The agent's watchdog: fed by the turns of its loop, whatever Docker does, and by nothing else.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    reason = "helpers of tests fail their test"
)]

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use extend_agent::core::step::StepKind;
use extend_agent::faults::FaultPoint;
use extend_agent::watchdog::Watchdog;
use extend_common::ids::NodeAddr;
use extend_common::operation::{TargetState, Verb};
use extend_common::status::Health;
use extend_tests::sim::Fleet;
use tokio::time::Instant;

const MEDIA: &str = "media-server-only";
const LIMIT: Duration = Duration::from_secs(30);

fn target() -> NodeAddr {
    "172.31.16.139".parse().unwrap()
}

/// Notes when it is fed and what it is told.
#[derive(Default)]
struct Noting {
    fed: Mutex<Vec<Instant>>,
    told: Mutex<Vec<String>>,
    /// Whoever feeds it does not come back.
    blocks: AtomicBool,
}

impl Noting {
    /// The longest time without food up to now; what was eaten before is forgotten.
    fn longest(&self) -> Duration {
        let mut fed = self.fed.lock().unwrap();
        let last = *fed.last().expect("it was fed");
        let now = Instant::now();
        let ends = fed.iter().skip(1).chain([&now]);
        let gaps = fed.iter().zip(ends).map(|(one, next)| *next - *one);
        let longest = gaps.max().unwrap();
        *fed = vec![last];
        longest
    }
}

impl Watchdog for Noting {
    fn limit(&self) -> Option<Duration> {
        Some(LIMIT)
    }

    fn feed(&self) {
        self.fed.lock().unwrap().push(Instant::now());
        while self.blocks.load(Ordering::SeqCst) {
            std::thread::park();
        }
    }

    fn status(&self, words: &str) {
        self.told.lock().unwrap().push(words.to_owned());
    }
}

async fn watched(fleet: &mut Fleet) -> Arc<Noting> {
    let watchdog = Arc::new(Noting::default());
    fleet.nodes.get_mut(&target()).unwrap().watchdog = watchdog.clone();
    fleet.restart_agent(target()).await;
    watchdog
}

#[tokio::test(start_paused = true)]
async fn it_is_fed_in_time_at_work_idle_and_while_docker_is_silent() {
    let mut fleet = Fleet::new(&["172.31.16.139"]).await;
    let watchdog = watched(&mut fleet).await;
    fleet.deploy(target(), MEDIA, "media-server-1").await;
    tokio::time::sleep(Duration::from_secs(600)).await;
    assert!(watchdog.longest() <= LIMIT / 2, "idle");
    let words = watchdog.told.lock().unwrap().last().cloned();
    assert_eq!(
        words.as_deref(),
        Some("media-server-1 is healthy; connected")
    );

    let docker = fleet.nodes[&target()].docker.clone();
    docker.freeze_daemon(true);
    tokio::time::sleep(Duration::from_secs(600)).await;
    assert!(watchdog.longest() <= LIMIT / 2, "a silent Docker");
    let server = fleet.server(target()).await.unwrap();
    assert_eq!(server.status.unwrap().health, Health::Unknown);
    let words = watchdog.told.lock().unwrap().last().cloned().unwrap();
    assert!(words.contains("docker unresponsive"), "{words}");

    docker.freeze_daemon(false);
    fleet.kill_controller().await;
    tokio::time::sleep(Duration::from_secs(600)).await;
    assert!(watchdog.longest() <= LIMIT / 2, "no controller");
    fleet.check();
}

#[tokio::test(start_paused = true)]
async fn what_does_not_end_is_given_up_and_done_again() {
    let mut fleet = Fleet::new(&["172.31.16.139"]).await;
    let watchdog = watched(&mut fleet).await;
    fleet.deploy(target(), MEDIA, "media-server-1").await;
    // The first time that the policy is to be changed, that never ends.
    let point = FaultPoint::Before(StepKind::SetPolicy);
    fleet.nodes[&target()].trap.set(point, 1);
    let mut stop = fleet.submission(Verb::Stop, MEDIA, &[target()]);
    stop.timeout = Some(Duration::from_secs(3600));
    let operation = fleet.perform(&stop).await;
    assert_eq!(
        operation.targets[0].state,
        TargetState::Succeeded,
        "{operation:?}"
    );
    let took = operation.ended.unwrap().duration_since(operation.begun);
    assert!(took.as_secs() >= 600, "it was waited for: {took:?}");
    assert!(watchdog.longest() <= LIMIT / 2);
    fleet.check();
}

/// On threads of its own and in real time: whatever else goes on in the process, a loop that does
/// not turn starves it.
#[test]
fn a_loop_that_is_stuck_starves_it_while_everything_else_goes_on() {
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(3)
        .enable_all()
        .build()
        .unwrap();
    let watchdog = Arc::new(Noting::default());
    let noted = watchdog.clone();
    runtime.block_on(async {
        let mut fleet = Fleet::new(&["172.31.16.139"]).await;
        noted.blocks.store(true, Ordering::SeqCst);
        fleet.nodes.get_mut(&target()).unwrap().watchdog = noted.clone();
        fleet.restart_agent(target()).await;
        let engine = fleet.engine();
        // The loop is stuck in its first turn, and the rest of the fleet lives on.
        while noted.fed.lock().unwrap().is_empty() {
            tokio::task::yield_now().await;
        }
        for _ in 0..50 {
            engine.nodes(None).await.expect("the controller answers");
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
        assert_eq!(noted.fed.lock().unwrap().len(), 1);
    });
    watchdog.blocks.store(false, Ordering::SeqCst);
    runtime.shutdown_background();
}
