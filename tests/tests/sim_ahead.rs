//! Images that are fetched ahead, by the identity that was asked for and only where there is room;
//! given to one agent by hand.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    reason = "helpers of tests fail their test"
)]

use std::time::Duration;

use extend_agent::core::step::StepKind;
use extend_agent::docker::memory::RegistryAnswer;
use extend_agent::docker::{Docker as _, DockerError, Image};
use extend_agent::faults::FaultPoint;
use extend_common::hint::split_hint;
use extend_common::record::{Deployment, ImageRequest, PullPolicy};
use extend_common::status::{Health, Outcome, OutcomeKind, Phase};
use extend_tests::sim::Alone;
use extend_tests::sim::fleet::{IMAGE, image};
use extend_tests::sim::invariants::{self, Mark};

const CONTAINER: &str = "portsip.mediaserver";

/// An image as it was pulled: known by a digest.
fn pulled(version: &str) -> Image {
    Image {
        repo_digests: vec![identity(version)],
        size: 2_000_000_000,
        ..image(version)
    }
}

fn identity(version: &str) -> String {
    format!("portsip/pbx@sha256:{}", version.replace('.', "ab"))
}

/// The registry has this under the tag and by its digest; a pull takes so long.
fn release(alone: &Alone, image: &Image, takes: Duration) {
    let answer = RegistryAnswer::Serves(image.clone(), takes);
    for reference in [IMAGE, &image.repo_digests[0]] {
        alone.docker.set_registry(reference, Some(answer.clone()));
    }
}

fn newest() -> ImageRequest {
    ImageRequest {
        reference: IMAGE.to_owned(),
        pull: PullPolicy::Always,
        allow_older: false,
        pin: None,
        newest: None,
    }
}

fn pinned(pin: &str) -> ImageRequest {
    ImageRequest {
        pin: Some(pin.to_owned()),
        ..newest()
    }
}

async fn stage(alone: &mut Alone, request: ImageRequest) -> Outcome {
    alone
        .assign(|desired, _| desired.staged = Some(request))
        .await;
    alone.ended().await
}

async fn upgrade(alone: &mut Alone, request: ImageRequest) -> Outcome {
    alone
        .assign(|desired, generation| {
            desired.deployment = Deployment(generation);
            desired.image = request;
        })
        .await;
    alone.ended().await
}

fn mark(alone: &Alone) -> Mark {
    Mark(alone.docker.history().len())
}

fn pulls(alone: &Alone) -> Vec<String> {
    let pulls = alone.docker.pulls();
    pulls.into_iter().map(|pull| pull.reference).collect()
}

#[track_caller]
fn failed(outcome: &Outcome, reason: &str, hint: &str) {
    assert_eq!(outcome.kind, OutcomeKind::Failed, "{outcome:?}");
    assert_eq!(split_hint(&outcome.reason), (reason, Some(hint)));
}

#[tokio::test(start_paused = true)]
async fn what_serves_is_untouched_and_the_upgrade_pulls_nothing_more() {
    let mut alone = Alone::deployed().await;
    release(&alone, &pulled("22.4.0"), Duration::from_secs(600));
    let before = mark(&alone);
    alone
        .assign(|desired, _| desired.staged = Some(newest()))
        .await;
    let told = alone.until(|status| status.detail.contains("MB")).await;
    assert_eq!(told.phase, Phase::Pulling);
    assert_eq!(told.health, Health::Healthy);
    assert_eq!(alone.ended().await.kind, OutcomeKind::Succeeded);
    invariants::untouched_since(&alone.docker.history(), before);
    let staged = alone.status().await.staged.unwrap();
    assert_eq!(staged.image.identity, identity("22.4.0"));
    assert!(!staged.unchanged);
    assert_eq!(pulls(&alone), [IMAGE]);

    // Its registry is gone, and another release stands under the tag.
    alone.docker.set_registry(IMAGE, None);
    alone.docker.set_registry(&identity("22.4.0"), None);
    let outcome = upgrade(&mut alone, pinned(&identity("22.4.0"))).await;
    assert_eq!(outcome.kind, OutcomeKind::Succeeded, "{outcome:?}");
    let serving = alone.status().await.serving_image.unwrap();
    assert_eq!(
        (serving.identity, serving.reference),
        (identity("22.4.0"), IMAGE.to_owned())
    );
    assert_eq!(pulls(&alone), [IMAGE]);
    // A deployment of the very same finds nothing to change.
    let staged = stage(&mut alone, pinned(&identity("22.4.0"))).await;
    assert_eq!(staged.kind, OutcomeKind::Succeeded, "{staged:?}");
    assert!(alone.status().await.staged.unwrap().unchanged);
}

#[tokio::test(start_paused = true)]
async fn a_service_that_hangs_during_a_pull_is_healed_and_the_pull_goes_on() {
    let mut alone = Alone::deployed().await;
    release(&alone, &pulled("22.4.0"), Duration::from_secs(3600));
    alone
        .assign(|desired, _| desired.staged = Some(newest()))
        .await;
    alone.until(|status| status.phase == Phase::Pulling).await;
    assert!(alone.docker.hang(CONTAINER, true));
    alone
        .until(|status| status.health == Health::Unhealthy)
        .await;
    let healed = alone.healthy().await;
    assert_eq!((healed.agent_restarts, healed.phase), (1, Phase::Pulling));
    assert_eq!(alone.ended().await.kind, OutcomeKind::Succeeded);
    assert_eq!(pulls(&alone), [IMAGE], "it was not begun anew");
}

#[tokio::test(start_paused = true)]
async fn a_newer_record_gives_a_pull_up() {
    let mut alone = Alone::deployed().await;
    alone
        .docker
        .set_registry(IMAGE, Some(RegistryAnswer::Hangs));
    alone
        .assign(|desired, _| desired.staged = Some(newest()))
        .await;
    alone.until(|status| status.phase == Phase::Pulling).await;
    let asked = tokio::time::Instant::now();
    alone.assign(|_, _| {}).await;
    assert_eq!(alone.ended().await.kind, OutcomeKind::Succeeded);
    assert!(
        asked.elapsed() < Duration::from_secs(20),
        "{:?}",
        asked.elapsed()
    );
    assert_eq!(alone.status().await.staged, None);
}

#[tokio::test(start_paused = true)]
async fn a_pull_that_fails_or_stands_still_fails_the_record_alone() {
    let mut alone = Alone::deployed().await;
    let before = mark(&alone);
    let refusal = RegistryAnswer::Refuses(DockerError::Refused {
        status: 500,
        message: "no such host".to_owned(),
    });
    for (answer, words) in [
        (refusal, "no such host"),
        (
            RegistryAnswer::Hangs,
            "there was no progress for 2m (pulling portsip/pbx:22: asking the registry)",
        ),
    ] {
        alone.docker.set_registry(IMAGE, Some(answer));
        let outcome = stage(&mut alone, newest()).await;
        let reason = format!("pulling portsip/pbx:22 failed: {words}");
        failed(
            &outcome,
            &reason,
            "on 172.31.16.139: docker pull portsip/pbx:22",
        );
    }
    alone.healthy().await;
    invariants::untouched_since(&alone.docker.history(), before);
}

#[tokio::test(start_paused = true)]
async fn there_must_be_room_for_another_image_before_one_is_fetched() {
    let mut alone = Alone::deployed().await;
    release(&alone, &pulled("22.4.0"), Duration::ZERO);
    let hint = "on 172.31.16.139: docker system df";
    // Nobody knows how large the serving one is.
    alone.host.set_free(Some(1_999_999_999));
    let outcome = stage(&mut alone, newest()).await;
    let words = "there is no room for portsip/pbx:22: 1.9 GB are free in /var/lib/docker, and \
                 2.0 GB are needed";
    failed(&outcome, words, hint);
    assert!(pulls(&alone).is_empty());
    alone.host.set_free(Some(2_000_000_000));
    let outcome = upgrade(&mut alone, newest()).await;
    assert_eq!(outcome.kind, OutcomeKind::Succeeded, "{outcome:?}");
    // One of 2 GB serves: another may be as large.
    release(&alone, &pulled("22.5.0"), Duration::ZERO);
    alone.host.set_free(Some(2_499_999_999));
    let outcome = stage(&mut alone, newest()).await;
    let words = "there is no room for portsip/pbx:22: 2.4 GB are free in /var/lib/docker, and \
                 2.5 GB are needed";
    failed(&outcome, words, hint);
    // What is there already needs none.
    let outcome = stage(&mut alone, pinned(&identity("22.4.0"))).await;
    assert_eq!(outcome.kind, OutcomeKind::Succeeded, "{outcome:?}");
    assert_eq!(pulls(&alone), [IMAGE]);

    let mut first = Alone::with_role("media-server-only");
    first.host.set_free(Some(0));
    release(&first, &pulled("22.4.0"), Duration::ZERO);
    first.start();
    first.give().await;
    let words = "there is no room for portsip/pbx:22: 0 bytes are free in /var/lib/docker, and \
                 2.0 GB are needed";
    failed(&first.ended().await, words, hint);
}

#[tokio::test(start_paused = true)]
async fn a_pin_is_fetched_by_its_digest_and_from_nowhere_else() {
    let mut alone = Alone::deployed().await;
    release(&alone, &pulled("22.5.0"), Duration::ZERO);
    release(&alone, &pulled("22.4.0"), Duration::ZERO);
    alone.docker.set_registry(IMAGE, None);
    let outcome = stage(&mut alone, pinned(&identity("22.5.0"))).await;
    assert_eq!(outcome.kind, OutcomeKind::Succeeded, "{outcome:?}");
    assert_eq!(pulls(&alone), [identity("22.5.0")]);
    let staged = alone.status().await.staged.unwrap().image;
    assert_eq!(
        (staged.reference.as_str(), staged.version.as_str()),
        (IMAGE, "22.5.0")
    );

    let elsewhere = "portsip/sbc@sha256:00";
    let outcome = stage(&mut alone, pinned(elsewhere)).await;
    let words = "portsip/sbc@sha256:00 is not of the repository of portsip/pbx:22";
    failed(
        &outcome,
        words,
        "extend upgrade -a 172.31.16.139 -i portsip/pbx:22",
    );
    let evil = ImageRequest {
        reference: "evil/pbx:22".to_owned(),
        ..pinned("evil/pbx@sha256:00")
    };
    let outcome = stage(&mut alone, evil).await;
    assert!(
        outcome.reason.contains("`evil/pbx` are not allowed"),
        "{outcome:?}"
    );
    assert_eq!(pulls(&alone), [identity("22.5.0")]);
}

#[tokio::test(start_paused = true)]
async fn an_image_newer_than_the_pbx_is_refused_before_anything_is_touched() {
    let mut alone = Alone::deployed().await;
    release(&alone, &pulled("22.7.0"), Duration::ZERO);
    let before = mark(&alone);
    let of_pbx = |version: &str| ImageRequest {
        newest: Some(version.to_owned()),
        ..newest()
    };
    let words = "portsip/pbx:22 is version 22.7.0, newer than the PBX, which is 22.6.3: --force \
                 accepts it";
    let hint = "upgrade the PBX first, or name an image of version 22.6.3 with -i";
    let outcome = stage(&mut alone, of_pbx("22.6.3")).await;
    failed(&outcome, words, hint);
    let outcome = upgrade(&mut alone, of_pbx("22.6.3")).await;
    // What serves went on serving.
    assert_eq!(outcome.kind, OutcomeKind::RolledBack, "{outcome:?}");
    assert_eq!(split_hint(&outcome.reason), (words, Some(hint)));
    invariants::untouched_since(&alone.docker.history(), before);
    alone.healthy().await;
    // The PBX was upgraded: the very same is accepted.
    let outcome = upgrade(&mut alone, of_pbx("22.7.0.1234")).await;
    assert_eq!(outcome.kind, OutcomeKind::Succeeded, "{outcome:?}");
    let serving = alone.status().await.serving_image.unwrap();
    assert_eq!(serving.version, "22.7.0");
}

#[tokio::test(start_paused = true)]
async fn a_pinned_id_is_the_references_image_or_one_that_has_served() {
    let mut alone = Alone::deployed().await;
    let outcome = stage(&mut alone, pinned("sha256:22.3.0")).await;
    assert_eq!(outcome.kind, OutcomeKind::Succeeded, "{outcome:?}");
    assert!(alone.status().await.staged.unwrap().unchanged);
    // Another node has loaded another build under the tag.
    alone.docker.add_image("portsip/other:1", image("22.9.0"));
    let outcome = stage(&mut alone, pinned("sha256:22.9.0")).await;
    let words = "portsip/pbx:22 on this node is another build: sha256:22.3.0, and sha256:22.9.0 was \
                 asked for";
    let hint = "on 172.31.16.139: put the same image there with docker load, or docker pull";
    failed(&outcome, words, hint);
    // What has served before is known, whatever the tag means by now.
    alone.docker.add_image(IMAGE, image("22.4.0"));
    let request = ImageRequest {
        pull: PullPolicy::Missing,
        ..newest()
    };
    let outcome = upgrade(&mut alone, request).await;
    assert_eq!(outcome.kind, OutcomeKind::Succeeded, "{outcome:?}");
    let back = ImageRequest {
        allow_older: true,
        ..pinned("sha256:22.3.0")
    };
    let outcome = upgrade(&mut alone, back.clone()).await;
    assert_eq!(outcome.kind, OutcomeKind::Succeeded, "{outcome:?}");
    assert_eq!(
        alone.status().await.serving_image.unwrap().version,
        "22.3.0"
    );
    assert!(pulls(&alone).is_empty());
    // Gone is gone.
    upgrade(&mut alone, pinned("sha256:22.4.0")).await;
    alone.docker.prune_image("sha256:22.3.0");
    let outcome = stage(&mut alone, back).await;
    assert_eq!(outcome.kind, OutcomeKind::Failed, "{outcome:?}");
}

/// Waits until Docker has an image, or has it no more.
async fn there(alone: &Alone, version: &str, wanted: bool) {
    for _ in 0..600 {
        let found = alone.docker.image(&identity(version)).await.unwrap();
        if found.is_some() == wanted {
            return;
        }
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    panic!("{version} should be there: {wanted}");
}

#[tokio::test(start_paused = true)]
async fn the_image_before_serves_again_without_a_registry_and_older_ones_go() {
    let mut alone = Alone::deployed().await;
    for version in ["22.4.0", "22.5.0"] {
        release(&alone, &pulled(version), Duration::ZERO);
        let outcome = upgrade(&mut alone, newest()).await;
        assert_eq!(outcome.kind, OutcomeKind::Succeeded, "{outcome:?}");
    }
    // It was there before the agent was: it is somebody's.
    assert!(alone.docker.image("sha256:22.3.0").await.unwrap().is_some());
    let previous = alone.status().await.previous_image.unwrap();
    assert_eq!(
        (&*previous.version, &*previous.reference),
        ("22.4.0", IMAGE)
    );
    alone.docker.set_registry(IMAGE, None);
    let back = ImageRequest {
        pull: PullPolicy::Missing,
        allow_older: true,
        ..pinned(&previous.identity)
    };
    let outcome = upgrade(&mut alone, back).await;
    assert_eq!(outcome.kind, OutcomeKind::Succeeded, "{outcome:?}");
    let told = alone.status().await;
    assert_eq!(told.serving_image.unwrap().version, "22.4.0");
    assert_eq!(told.previous_image.unwrap().version, "22.5.0");

    for point in [
        FaultPoint::Before(StepKind::RemoveImage),
        FaultPoint::After(StepKind::RemoveImage),
        FaultPoint::Noted(StepKind::RemoveImage),
    ] {
        let mut alone = Alone::deployed().await;
        for version in ["22.4.0", "22.5.0"] {
            release(&alone, &pulled(version), Duration::ZERO);
            upgrade(&mut alone, newest()).await;
        }
        there(&alone, "22.4.0", true).await;
        alone.trap.set(point, 1);
        release(&alone, &pulled("22.6.0"), Duration::ZERO);
        let outcome = upgrade(&mut alone, newest()).await;
        assert_eq!(outcome.kind, OutcomeKind::Succeeded, "{outcome:?}");
        alone.trap.sprung().await;
        alone.restart().await;
        there(&alone, "22.4.0", false).await;
        there(&alone, "22.5.0", true).await;
        there(&alone, "22.6.0", true).await;
        let history = alone.docker.history();
        let before = Mark(history.len());
        alone.healthy().await;
        tokio::time::sleep(Duration::from_secs(60)).await;
        invariants::untouched_since(&alone.docker.history(), before);
    }
}

#[tokio::test(start_paused = true)]
async fn an_image_that_is_in_use_stays_and_nobody_waits_for_it() {
    let mut alone = Alone::deployed().await;
    release(&alone, &pulled("22.4.0"), Duration::ZERO);
    upgrade(&mut alone, newest()).await;
    // An administrator has given it a name of his own.
    alone.docker.add_image("keep/this:1", pulled("22.4.0"));
    for version in ["22.5.0", "22.6.0"] {
        release(&alone, &pulled(version), Duration::ZERO);
        let outcome = upgrade(&mut alone, newest()).await;
        assert_eq!(outcome.kind, OutcomeKind::Succeeded, "{outcome:?}");
    }
    tokio::time::sleep(Duration::from_secs(60)).await;
    there(&alone, "22.4.0", true).await;
    assert_eq!(alone.healthy().await.outcome.unwrap().reason, "");
}

#[tokio::test(start_paused = true)]
async fn the_agent_may_die_at_every_point_of_it() {
    for (point, version) in [
        (FaultPoint::Before(StepKind::Stage), "22.4.0"),
        (FaultPoint::After(StepKind::Stage), "22.4.0"),
        (FaultPoint::Noted(StepKind::Stage), "22.4.0"),
        (FaultPoint::Before(StepKind::Settle), "22.4.0"),
        (FaultPoint::Noted(StepKind::Settle), "22.4.0"),
    ] {
        let mut alone = Alone::deployed().await;
        release(&alone, &pulled(version), Duration::from_secs(60));
        let before = mark(&alone);
        alone.trap.set(point, 1);
        alone
            .assign(|desired, _| desired.staged = Some(newest()))
            .await;
        let sprung = tokio::time::timeout(Duration::from_secs(600), alone.trap.sprung()).await;
        assert!(sprung.is_ok(), "{point} was not reached");
        alone.restart().await;
        let outcome = alone.ended().await;
        assert_eq!(outcome.kind, OutcomeKind::Succeeded, "{point}: {outcome:?}");
        let staged = alone.status().await.staged.unwrap();
        assert_eq!(staged.image.version, version, "{point}");
        invariants::untouched_since(&alone.docker.history(), before);
        let current = alone.docker.container(CONTAINER).await.unwrap().unwrap();
        assert_eq!(current.image_id, "sha256:22.3.0", "{point}");
    }
}
