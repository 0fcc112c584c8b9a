//! Many servers that hang at once: the controller hears of the first failures, and holds the restarts
//! before any agent begins one.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    reason = "helpers of tests fail their test"
)]

use std::time::Duration;

use extend_agent::docker::memory::EffectKind;
use extend_common::ids::NodeAddr;
use extend_tests::sim::Fleet;
use extend_tests::sim::invariants::Mark;

const NODES: [&str; 3] = ["172.31.16.139", "172.31.16.149", "172.31.16.159"];
const MEDIA: &str = "media-server-only";
const NAME: &str = "portsip.mediaserver";
/// Three probes five seconds apart, the time-out of the last, and what a look costs.
const DETECTION: Duration = Duration::from_secs(18);

fn node(at: &str) -> NodeAddr {
    at.parse().unwrap()
}

async fn three() -> Fleet {
    let mut fleet = Fleet::new(&NODES).await;
    for (at, number) in NODES.iter().zip(1..) {
        let name = format!("media-server-{number}");
        fleet.deploy(node(at), MEDIA, &name).await;
    }
    // Long enough that nothing of the deployments counts any more.
    tokio::time::sleep(Duration::from_secs(120)).await;
    fleet
}

fn hang(fleet: &Fleet, at: &str, hangs: bool) {
    assert!(fleet.nodes[&node(at)].docker.hang(NAME, hangs));
}

fn was_stopped(fleet: &Fleet, at: &str, mark: Mark) -> bool {
    let history = fleet.history(node(at));
    let mut effects = history[mark.0..].iter();
    effects.any(|effect| matches!(effect.kind, EffectKind::Signalled { .. }))
}

#[tokio::test(start_paused = true)]
async fn three_that_hang_at_once_are_not_restarted_while_all_of_them_do() {
    let fleet = three().await;
    let marks = NODES.map(|at| fleet.mark(node(at)));
    for at in NODES {
        hang(&fleet, at, true);
    }
    tokio::time::sleep(Duration::from_secs(600)).await;
    for (at, mark) in NODES.iter().zip(marks) {
        assert!(!was_stopped(&fleet, at, mark), "{at}");
        let shown = fleet.server(node(at)).await.unwrap().status.unwrap();
        assert!(
            shown
                .reason
                .contains("restarts are held: 3 of 3 media servers fail"),
            "{}",
            shown.reason
        );
    }
    // The cause goes, and one stays ill by itself: it is mended when the hold has run out.
    for at in &NODES[1..] {
        hang(&fleet, at, false);
    }
    tokio::time::sleep(Duration::from_secs(240)).await;
    assert!(was_stopped(&fleet, NODES[0], marks[0]));
    assert!(!was_stopped(&fleet, NODES[1], marks[1]));
    fleet.check();
}

#[tokio::test(start_paused = true)]
async fn two_that_hang_are_restarted_as_ever_and_without_a_controller_so_are_three() {
    let mut fleet = three().await;
    let marks = NODES.map(|at| fleet.mark(node(at)));
    for at in &NODES[..2] {
        hang(&fleet, at, true);
    }
    tokio::time::sleep(DETECTION).await;
    assert!(was_stopped(&fleet, NODES[0], marks[0]) && was_stopped(&fleet, NODES[1], marks[1]));
    tokio::time::sleep(Duration::from_secs(120)).await;
    fleet.kill_controller().await;
    let marks = NODES.map(|at| fleet.mark(node(at)));
    for at in NODES {
        hang(&fleet, at, true);
    }
    // Spread over ten seconds more.
    tokio::time::sleep(DETECTION + Duration::from_secs(10)).await;
    for (at, mark) in NODES.iter().zip(marks) {
        assert!(was_stopped(&fleet, at, mark), "{at}");
    }
}
