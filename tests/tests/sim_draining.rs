//! A server's sessions end before its process does: records that wait for them, given to one agent
//! by hand.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    reason = "helpers of tests fail their test"
)]

use std::time::Duration;

use extend_agent::core::step::StepKind;
use extend_agent::docker::Docker as _;
use extend_agent::faults::FaultPoint;
use extend_common::record::{Deployment, Desired, Drain, RunState};
use extend_common::status::{Health, OutcomeKind, Phase, ServerStatus};
use extend_tests::sim::Alone;
use extend_tests::sim::fleet::{IMAGE, image};
use extend_tests::sim::invariants::{self, Mark};
use tokio::time::Instant;

const CONTAINER: &str = "portsip.mediaserver";
const FIRST: Drain = Drain::First {
    limit_seconds: 1800,
};
const HOLD: Drain = Drain::Hold {
    limit_seconds: 1800,
};

fn mark(alone: &Alone) -> Mark {
    Mark(alone.docker.history().len())
}

/// The verbs that end a process, as records.
const VERBS: [&str; 4] = ["stop", "restart", "upgrade", "rm"];

async fn begin(alone: &mut Alone, verb: &str) {
    let run = alone.status().await.current.unwrap().instance;
    alone.docker.add_image(IMAGE, image("22.4.0"));
    alone
        .assign(|desired: &mut Desired, generation| {
            desired.drain = FIRST;
            match verb {
                "stop" => desired.run_state = RunState::Stopped,
                "rm" => desired.run_state = RunState::Removed,
                "restart" => desired.replace = Some(run),
                _ => desired.deployment = Deployment(generation),
            }
        })
        .await;
}

async fn told(alone: &Alone, sessions: Option<u64>) -> ServerStatus {
    let has = |status: &ServerStatus| {
        let counted = status.sessions.as_ref();
        counted.is_some_and(|c| c.sessions == sessions && !c.note.contains("just begun"))
    };
    alone.until(has).await
}

#[tokio::test(start_paused = true)]
async fn nothing_is_touched_while_there_are_sessions_and_then_it_goes_on() {
    for verb in VERBS {
        let mut alone = Alone::deployed().await;
        alone.sessions.set(41);
        let before = mark(&alone);
        begin(&mut alone, verb).await;
        let status = told(&alone, Some(41)).await;
        assert_eq!(status.phase, Phase::Draining, "{verb}");
        assert_eq!(status.detail, "draining: 41 sessions", "{verb}");
        assert_eq!(status.health, Health::Healthy, "{verb}");
        alone.sessions.set_unknown("no such file");
        let status = told(&alone, None).await;
        let words = "draining: sessions cannot be counted: no such file";
        assert_eq!(status.detail, words, "{verb}");
        tokio::time::sleep(Duration::from_secs(600)).await;
        alone.sessions.set(2);
        told(&alone, Some(2)).await;
        invariants::untouched_since(&alone.docker.history(), before);
        alone.sessions.set(0);
        let zero = Instant::now();
        let outcome = alone.ended().await;
        assert_eq!(outcome.kind, OutcomeKind::Succeeded, "{verb}: {outcome:?}");
        let took = zero.elapsed();
        assert!(
            took >= Duration::from_secs(2),
            "{verb}: one look is not enough: {took:?}"
        );
        assert_eq!(alone.status().await.sessions, None, "{verb}");
        let looks = alone.sessions.looks();
        tokio::time::sleep(Duration::from_secs(60)).await;
        let seldom = alone.sessions.looks() - looks;
        assert!(
            seldom <= 6,
            "{verb}: nobody waits any more, and people look at four a minute: {seldom}"
        );
    }
}

#[tokio::test(start_paused = true)]
async fn at_the_limit_it_is_declined_and_serves_on() {
    for verb in VERBS {
        let mut alone = Alone::deployed().await;
        alone.sessions.set(41);
        let before = mark(&alone);
        let asked = Instant::now();
        begin(&mut alone, verb).await;
        let outcome = alone.ended().await;
        assert_eq!(outcome.kind, OutcomeKind::Declined, "{verb}: {outcome:?}");
        assert_eq!(outcome.reason, "41 sessions were left after 30m", "{verb}");
        let waited = asked.elapsed().as_secs();
        assert!((1800..1810).contains(&waited), "{verb}: {waited}");
        alone.sessions.set(0);
        tokio::time::sleep(Duration::from_secs(3600)).await;
        invariants::untouched_since(&alone.docker.history(), before);
        let status = alone.status().await;
        assert_eq!(
            (status.health, status.phase),
            (Health::Healthy, Phase::Settled),
            "{verb}"
        );
        // It is healed until the controller says what was before, and that changes nothing.
        assert!(alone.docker.hang(CONTAINER, true));
        alone.until(|status| status.agent_restarts == 1).await;
        alone.healthy().await;
        let before = mark(&alone);
        alone
            .assign(|desired, _| {
                desired.run_state = RunState::Running;
                desired.deployment = Deployment(1);
            })
            .await;
        assert_eq!(alone.ended().await.kind, OutcomeKind::Succeeded, "{verb}");
        invariants::untouched_since(&alone.docker.history(), before);
    }
}

#[tokio::test(start_paused = true)]
async fn a_role_whose_sessions_nobody_can_count_is_never_taken_for_idle() {
    let mut alone = Alone::deployed_as("queue-server-only").await;
    let before = mark(&alone);
    begin(&mut alone, "stop").await;
    let why = "nobody knows how the sessions of a queue server are counted";
    let status = alone.until(|status| status.sessions.is_some()).await;
    let counted = status.sessions.unwrap();
    assert_eq!((counted.sessions, counted.note.as_str()), (None, why));
    let outcome = alone.ended().await;
    assert_eq!(outcome.kind, OutcomeKind::Declined);
    let reason = format!("its sessions could not be counted for 30m: {why}");
    assert_eq!(outcome.reason, reason);
    invariants::untouched_since(&alone.docker.history(), before);
    assert_eq!(alone.sessions.looks(), 0);
}

#[tokio::test(start_paused = true)]
async fn a_server_that_is_held_runs_on_and_is_counted() {
    let mut alone = Alone::deployed().await;
    alone.sessions.set(41);
    let before = mark(&alone);
    alone.assign(|desired, _| desired.drain = HOLD).await;
    let status = told(&alone, Some(41)).await;
    assert_eq!(
        (status.health, status.phase),
        (Health::Draining, Phase::Draining)
    );
    alone.sessions.set(0);
    assert_eq!(alone.ended().await.kind, OutcomeKind::Succeeded);
    invariants::untouched_since(&alone.docker.history(), before);
    // A call that found its way all the same is seen.
    alone.sessions.set(1);
    let status = told(&alone, Some(1)).await;
    assert_eq!(status.health, Health::Draining);
    alone.assign(|_, _| {}).await;
    assert_eq!(alone.ended().await.kind, OutcomeKind::Succeeded);
    let status = alone.healthy().await;
    assert_eq!(status.sessions, None);
    invariants::untouched_since(&alone.docker.history(), before);

    alone.sessions.set(3);
    alone.assign(|desired, _| desired.drain = HOLD).await;
    let outcome = alone.ended().await;
    assert_eq!(outcome.kind, OutcomeKind::Declined);
    assert_eq!(outcome.reason, "3 sessions were left after 30m");
    alone.healthy().await;
}

#[tokio::test(start_paused = true)]
async fn the_agent_may_die_at_every_point_of_it_and_calls_are_never_cut() {
    let points = |kind| {
        [
            FaultPoint::Before(kind),
            FaultPoint::After(kind),
            FaultPoint::Noted(kind),
        ]
    };
    let kinds = [
        StepKind::Drain,
        StepKind::SetPolicy,
        StepKind::Stop,
        StepKind::Settle,
    ];
    for point in kinds.into_iter().flat_map(points) {
        for verb in VERBS {
            let story = format!("{verb} at {point}");
            let mut alone = Alone::deployed().await;
            alone.sessions.set(41);
            let before = mark(&alone);
            alone.trap.set(point, 1);
            begin(&mut alone, verb).await;
            let is_before = matches!(
                point,
                FaultPoint::Before(StepKind::Drain)
                    | FaultPoint::After(StepKind::Drain)
                    | FaultPoint::Noted(StepKind::Drain)
            );
            if is_before {
                alone.trap.sprung().await;
                alone.restart().await;
            }
            told(&alone, Some(41)).await;
            invariants::untouched_since(&alone.docker.history(), before);
            alone.sessions.set(0);
            let is_reached = verb != "restart" || !point.to_string().contains("SetPolicy");
            if !is_before && is_reached {
                alone.trap.sprung().await;
                alone.restart().await;
            }
            let outcome = alone.ended().await;
            assert_eq!(outcome.kind, OutcomeKind::Succeeded, "{story}: {outcome:?}");
            let current = alone.docker.container(CONTAINER).await.unwrap();
            assert_eq!(current.is_none(), verb == "rm", "{story}");
            let runs = current.is_some_and(|container| container.state.is_live());
            assert_eq!(runs, matches!(verb, "restart" | "upgrade"), "{story}");
            invariants::always(&alone.docker.history(), &Default::default());
        }
    }
}

#[tokio::test(start_paused = true)]
async fn the_limit_is_kept_across_restarts_of_the_agent() {
    let mut alone = Alone::deployed().await;
    alone.sessions.set(41);
    let asked = Instant::now();
    begin(&mut alone, "stop").await;
    for _ in 0..6 {
        told(&alone, Some(41)).await;
        tokio::time::sleep(Duration::from_secs(280)).await;
        alone.restart().await;
    }
    let outcome = alone.ended().await;
    assert_eq!(outcome.kind, OutcomeKind::Declined);
    let waited = asked.elapsed().as_secs();
    assert!((1800..1810).contains(&waited), "{waited}");
}
