//! Asks a service whether it answers: one task that probes the run it was last told of, and sends
//! what it finds. It judges nothing; that is `core::health`'s.

mod backlog;
mod bound;
mod disk;
mod fault;
mod http;
mod jitter;
mod memory;
mod real;
mod sip;
mod tcp;

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use extend_common::ids::NodeAddr;
use extend_common::record::Instance;
use extend_common::roles::{Consequence, Point, ProbeDefinition};
use futures_util::future::join_all;
use tokio::sync::{mpsc, watch};
use tokio::time::{Instant, sleep_until};

use crate::core::health::Answer;

use jitter::Jitter;
pub use real::RealProber;

/// How often a run is probed until it has answered for the first time.
const EAGER_INTERVAL: Duration = Duration::from_millis(200);
/// For so long at most; a service that has not answered by then is probed at its interval.
const EAGER_FOR: Duration = Duration::from_secs(120);
/// A failure that took so much longer than it may was the agent's own: it was not there to see.
const LATE: Duration = Duration::from_millis(500);

/// Asks.
#[async_trait]
pub trait Prober: Send + Sync + 'static {
    /// Asks one question of a probe, within the probe's time-out.
    async fn ask(&self, aim: &Aim, probe: &ProbeDefinition, point: Point) -> Answer;
}

/// What is to be probed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Aim {
    /// Which run; results name it, so that none is taken for another's.
    pub instance: Instance,
    /// At which address.
    pub node: NodeAddr,
    /// Whose its sockets are, where that is known.
    pub uid: Option<u32>,
    /// How.
    pub probes: Vec<ProbeDefinition>,
    /// It has answered before: the ordinary interval will do.
    pub armed: bool,
}

/// What one round found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Round {
    /// Which run was probed.
    pub instance: Instance,
    /// How.
    pub probe: ProbeDefinition,
    /// Asked in haste, for a first answer: a failure says nothing, since it comes much sooner after
    /// the one before than an interval.
    pub eager: bool,
    /// What each question came to.
    pub results: Vec<(Point, Answer)>,
}

/// Probes whatever `aims` holds until its sender is gone: one loop for each definition, so that
/// each keeps its own interval and no probe waits for another.
pub async fn run(
    prober: Arc<dyn Prober>,
    mut aims: watch::Receiver<Option<Aim>>,
    rounds: mpsc::Sender<Round>,
) {
    loop {
        let aim = aims.borrow_and_update().clone();
        let probing = async {
            match aim {
                Some(aim) if !aim.probes.is_empty() => {
                    let probes = aim.probes.iter().enumerate();
                    let repeat = |(number, probe)| {
                        let jitter = Jitter::of(aim.node, number);
                        repeat(prober.as_ref(), &aim, probe, jitter, &rounds)
                    };
                    join_all(probes.map(repeat)).await;
                }
                _ => std::future::pending().await,
            }
        };
        tokio::select! {
            () = probing => return,
            changed = aims.changed() => if changed.is_err() { return },
        }
    }
}

/// Round after round, until nobody takes the results. The next begins when the one before is over,
/// so that no question is asked twice at a time.
async fn repeat(
    prober: &dyn Prober,
    aim: &Aim,
    probe: &ProbeDefinition,
    mut jitter: Jitter,
    rounds: &mpsc::Sender<Round>,
) {
    let counts = probe.consequence == Consequence::Restart && probe.kind.asks_service();
    let mut eager = counts && !aim.armed;
    let begun = Instant::now();
    loop {
        let started = Instant::now();
        let results = round(prober, aim, probe).await;
        let was_eager = eager;
        let has_passed = |(_, answer): &(_, Answer)| matches!(answer, Answer::Passed { .. });
        eager = eager && !results.iter().any(has_passed) && begun.elapsed() < EAGER_FOR;
        let done = Round {
            instance: aim.instance.clone(),
            probe: probe.clone(),
            eager: was_eager,
            results,
        };
        if rounds.send(done).await.is_err() {
            return;
        }
        let interval = if eager {
            EAGER_INTERVAL
        } else {
            jitter.shorten(probe.interval)
        };
        sleep_until(started + interval).await;
    }
}

async fn round(prober: &dyn Prober, aim: &Aim, probe: &ProbeDefinition) -> Vec<(Point, Answer)> {
    let ask = |point| async move {
        let started = Instant::now();
        let answer = prober.ask(aim, probe, point).await;
        (point, unless_late(answer, started.elapsed(), probe.timeout))
    };
    join_all(probe.points().into_iter().map(ask)).await
}

/// Whoever was stopped or starved while it waited has not seen whether an answer came in time.
fn unless_late(answer: Answer, took: Duration, limit: Duration) -> Answer {
    match answer {
        Answer::Failed(why) if took > limit + LATE => {
            let late = extend_common::duration::show(took.saturating_sub(limit));
            Answer::Unsure(format!("the agent itself was {late} late ({why})"))
        }
        answer => answer,
    }
}
