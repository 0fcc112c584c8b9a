//! What is told of a failure: what the probes said last of every port, beside exit code and output.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    reason = "helpers of tests fail their test"
)]

use std::time::Duration;

use extend_agent::docker::memory::Behaviour;
use extend_common::record::Deployment;
use extend_common::status::{Evidence, Outcome, OutcomeKind};
use extend_tests::sim::Alone;
use extend_tests::sim::fleet::{IMAGE, image};

const CONTAINER: &str = "portsip.mediaserver";

async fn upgrade(alone: &mut Alone, behaviour: Behaviour) -> Outcome {
    alone.docker.add_image(IMAGE, image("22.4.0"));
    alone.docker.behave_image("sha256:22.4.0", behaviour);
    alone
        .assign(|desired, generation| desired.deployment = Deployment(generation))
        .await;
    alone.ended().await
}

/// Every port of a media server that is asked, with the same words; and what is only looked at, which
/// is as it should be.
fn every_port(evidence: &Evidence, words: &str) -> bool {
    let asked = (8840..=8845).map(|port| format!("tcp/{port}: {words}"));
    let bound = (8840..=8845).map(|port| format!("udp/{port}"));
    let looked = bound.chain(["disk".to_owned(), "memory".to_owned()]);
    let expected = asked.chain(looked.map(|point| format!("{point}: as it should be")));
    evidence.health_output == expected.collect::<Vec<_>>()
}

#[tokio::test(start_paused = true)]
async fn a_deployment_that_never_answers_is_told_with_every_port() {
    let mut alone = Alone::deployed().await;
    let outcome = upgrade(
        &mut alone,
        Behaviour {
            listens: false,
            ..Behaviour::default()
        },
    )
    .await;
    assert_eq!(outcome.kind, OutcomeKind::RolledBack);
    let evidence = outcome.evidence.unwrap();
    let words = "connection refused (it has never answered)";
    assert!(every_port(&evidence, words), "{evidence:#?}");
}

#[tokio::test(start_paused = true)]
async fn a_deployment_that_answered_and_ended_is_told_with_what_it_had_said() {
    let mut alone = Alone::deployed().await;
    let outcome = upgrade(
        &mut alone,
        Behaviour {
            exits_after: Some((Duration::from_millis(1900), 3)),
            ..Behaviour::default()
        },
    )
    .await;
    assert_eq!(outcome.kind, OutcomeKind::RolledBack);
    let evidence = outcome.evidence.unwrap();
    assert_eq!(evidence.exit_code, Some(3));
    assert!(every_port(&evidence, "it answers"), "{evidence:#?}");
}

#[tokio::test(start_paused = true)]
async fn a_service_that_hangs_is_told_with_every_port() {
    let alone = Alone::deployed().await;
    assert!(alone.status().await.proven);
    assert!(alone.docker.hang(CONTAINER, true));
    alone.until(|status| status.agent_restarts == 1).await;
    let evidence = alone.remembered().incident.unwrap().evidence.unwrap();
    let words = "connection refused (3 in a row)";
    assert!(every_port(&evidence, words), "{evidence:#?}");
}

#[tokio::test(start_paused = true)]
async fn what_has_never_answered_is_not_proven() {
    let mut alone = Alone::with_role("media-server-only");
    alone.docker.add_image(IMAGE, image("22.3.0"));
    let silent = Behaviour {
        listens: false,
        ..Behaviour::default()
    };
    alone.docker.behave_image("sha256:22.3.0", silent);
    alone.start();
    alone.give().await;
    assert_eq!(alone.ended().await.kind, OutcomeKind::Succeeded);
    assert!(!alone.status().await.proven);
    alone
        .docker
        .behave_image("sha256:22.3.0", Behaviour::default());
    alone.until(|status| status.proven).await;
}
