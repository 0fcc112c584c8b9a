//! What both implementations do with processes: starts, ends, restarts, policies, events.

use std::time::Duration;

use extend_agent::docker::Happening;
use extend_common::roles::RestartPolicy;
use extend_common::status::ContainerState::{Created, Exited, Paused, Restarting, Running};
use futures_util::{FutureExt, StreamExt};
use tokio::time::timeout;

use crate::bench::{Bench, NEVER, refused, running, seen, stays, until, until_state, up};

pub(crate) async fn a_container_is_made_started_and_ended(bench: &dyn Bench) {
    let (spec, docker) = (bench.spec(), bench.docker());
    let id = docker.create(&spec).await.unwrap();
    let made = seen(bench, &spec.name).await;
    assert_eq!(
        (&made.id, made.state, made.started_at.as_str()),
        (&id, Created, NEVER)
    );
    assert_eq!(
        (made.policy, made.restart_count),
        (RestartPolicy::UnlessStopped, 0)
    );
    assert_eq!(made.image_id, spec.image);
    assert_eq!(made.owner.unwrap().to_labels(), spec.labels);
    assert_eq!(refused(docker.signal(&id, "SIGTERM").await).0, 409);

    docker.start(&id).await.unwrap();
    let started = seen(bench, &spec.name).await;
    assert_eq!((started.state, started.exit_code), (Running, 0));
    assert_ne!(started.started_at, NEVER);
    up(bench, &id).await;
    docker.start(&id).await.unwrap();
    assert_eq!(seen(bench, &spec.name).await.instance(), started.instance());

    docker.signal(&id, "SIGTERM").await.unwrap();
    let ended = until_state(bench, &spec.name, Exited).await;
    assert_eq!(
        (ended.exit_code, ended.oom_killed, ended.error.as_str()),
        (0, false, "")
    );
    assert_eq!(
        ended.instance(),
        started.instance(),
        "an ended run keeps its time"
    );
    stays(bench, &spec.name, Exited).await;
    let (status, words) = refused(docker.signal(&id, "SIGTERM").await);
    assert_eq!(status, 409);
    assert!(
        words.ends_with(&format!("Container {id} is not running")),
        "{words}"
    );

    docker.start(&id).await.unwrap();
    let again = seen(bench, &spec.name).await;
    assert_eq!((again.state, &again.id), (Running, &id));
    assert_ne!(again.started_at, started.started_at);
}

pub(crate) async fn a_crash_is_mended_by_the_policy(bench: &dyn Bench) {
    let docker = bench.docker();
    let (spec, id) = running(bench).await;
    let before = seen(bench, &spec.name).await;
    bench.kill_process(&spec.name).await;
    let mended = until(bench, &spec.name, |now| now.state == Running).await;
    assert_eq!(
        (&mended.id, mended.restart_count, mended.exit_code),
        (&id, 1, 0)
    );
    assert_ne!(mended.started_at, before.started_at);
    bench.kill_process(&spec.name).await;
    let mended = until(bench, &spec.name, |now| now.state == Running).await;
    assert_eq!(mended.restart_count, 2);
    docker.signal(&id, "SIGKILL").await.unwrap();
    until_state(bench, &spec.name, Exited).await;
    docker.start(&id).await.unwrap();
    assert_eq!(
        seen(bench, &spec.name).await.restart_count,
        0,
        "counted since a start on purpose"
    );
}

pub(crate) async fn the_policy_can_be_changed(bench: &dyn Bench) {
    let docker = bench.docker();
    let (spec, id) = running(bench).await;
    let before = seen(bench, &spec.name).await;
    docker.set_policy(&id, RestartPolicy::No).await.unwrap();
    let after = seen(bench, &spec.name).await;
    assert_eq!(
        (after.policy, after.instance()),
        (RestartPolicy::No, before.instance())
    );
    bench.kill_process(&spec.name).await;
    let ended = until_state(bench, &spec.name, Exited).await;
    assert_eq!((ended.exit_code, ended.restart_count), (137, 0));
    stays(bench, &spec.name, Exited).await;
    docker
        .set_policy(&id, RestartPolicy::UnlessStopped)
        .await
        .unwrap();
    stays(bench, &spec.name, Exited).await;
    docker.start(&id).await.unwrap();
    bench.kill_process(&spec.name).await;
    until(bench, &spec.name, |now| {
        now.state == Running && now.restart_count == 1
    })
    .await;
}

pub(crate) async fn a_container_between_restarts_is_live(bench: &dyn Bench) {
    let (docker, spec) = (bench.docker(), bench.spec());
    bench.crash_at_start(&spec, Some(7));
    let id = docker.create(&spec).await.unwrap();
    docker.start(&id).await.unwrap();
    // By now a pause lasts longer than all of this.
    let looping = until(bench, &spec.name, |now| {
        now.state == Restarting && now.restart_count >= 6
    })
    .await;
    assert_eq!(looping.exit_code, 7);
    docker.start(&id).await.unwrap();
    assert_eq!(refused(docker.remove(&id).await).0, 409);
    let (status, words) = refused(docker.rename(&id, &format!("{}.failed", spec.name)).await);
    assert_eq!(status, 409, "it is not missing: {words}");
    assert_eq!(
        seen(bench, &spec.name).await,
        looping,
        "nothing of this has changed it"
    );
    docker.signal(&id, "SIGTERM").await.unwrap();
    let ended = until_state(bench, &spec.name, Exited).await;
    assert_eq!((ended.exit_code, ended.instance()), (7, looping.instance()));
    stays(bench, &spec.name, Exited).await;
    docker
        .rename(&id, &format!("{}.failed", spec.name))
        .await
        .unwrap();
}

pub(crate) async fn a_change_of_policy_calls_no_restart_off(bench: &dyn Bench) {
    let (docker, spec) = (bench.docker(), bench.spec());
    bench.crash_at_start(&spec, Some(7));
    let id = docker.create(&spec).await.unwrap();
    docker.start(&id).await.unwrap();
    let looping = until(bench, &spec.name, |now| {
        now.state == Restarting && now.restart_count >= 6
    })
    .await;
    docker.set_policy(&id, RestartPolicy::No).await.unwrap();
    let ended = until_state(bench, &spec.name, Exited).await;
    assert_ne!(
        ended.started_at, looping.started_at,
        "it was started once more"
    );
    assert_eq!(ended.restart_count, looping.restart_count);
    stays(bench, &spec.name, Exited).await;
}

pub(crate) async fn a_deaf_process_is_killed(bench: &dyn Bench) {
    let (docker, spec) = (bench.docker(), bench.spec());
    bench.ignore_sigterm(&spec);
    let id = docker.create(&spec).await.unwrap();
    docker.start(&id).await.unwrap();
    up(bench, &id).await;
    docker.signal(&id, "SIGTERM").await.unwrap();
    stays(bench, &spec.name, Running).await;
    docker.signal(&id, "SIGKILL").await.unwrap();
    assert_eq!(until_state(bench, &spec.name, Exited).await.exit_code, 137);
    stays(bench, &spec.name, Exited).await;
}

pub(crate) async fn a_signal_calls_off_even_the_policy_always(bench: &dyn Bench) {
    let docker = bench.docker();
    let (spec, id) = running(bench).await;
    docker.set_policy(&id, RestartPolicy::Always).await.unwrap();
    bench.kill_process(&spec.name).await;
    until(bench, &spec.name, |now| {
        now.state == Running && now.restart_count == 1
    })
    .await;
    docker.signal(&id, "SIGKILL").await.unwrap();
    let ended = until_state(bench, &spec.name, Exited).await;
    assert_eq!(
        (ended.policy, ended.restart_count),
        (RestartPolicy::Always, 1)
    );
    stays(bench, &spec.name, Exited).await;
}

pub(crate) async fn every_signal_through_the_engine_disarms_the_policy(bench: &dyn Bench) {
    let docker = bench.docker();
    let (spec, id) = running(bench).await;
    docker.signal(&id, "SIGHUP").await.unwrap();
    let still = stays(bench, &spec.name, Running).await;
    assert_eq!(still.policy, RestartPolicy::UnlessStopped, "nothing shows");
    bench.kill_process(&spec.name).await;
    until_state(bench, &spec.name, Exited).await;
    stays(bench, &spec.name, Exited).await;
    docker.start(&id).await.unwrap();
    bench.kill_process(&spec.name).await;
    until(bench, &spec.name, |now| {
        now.state == Running && now.restart_count == 1
    })
    .await;
}

pub(crate) async fn a_start_that_fails_leaves_its_reason(bench: &dyn Bench) {
    let (docker, mut spec) = (bench.docker(), bench.spec());
    bench.break_start(&mut spec);
    let id = docker.create(&spec).await.unwrap();
    let (_, words) = refused(docker.start(&id).await);
    assert!(words.contains("nobody-at-all"), "{words}");
    let failed = stays(bench, &spec.name, Created).await;
    assert_eq!((failed.error, failed.started_at.as_str()), (words, NEVER));
    assert_ne!(failed.exit_code, 0);
    docker.remove(&id).await.unwrap();
}

pub(crate) async fn a_paused_container_is_live(bench: &dyn Bench) {
    let docker = bench.docker();
    let (spec, id) = running(bench).await;
    bench.pause(&spec.name).await;
    stays(bench, &spec.name, Paused).await;
    assert_eq!(refused(docker.start(&id).await).0, 409);
    assert_eq!(refused(docker.remove(&id).await).0, 409);
    docker.signal(&id, "SIGTERM").await.unwrap();
    until_state(bench, &spec.name, Exited).await;
    stays(bench, &spec.name, Exited).await;
}

pub(crate) async fn a_start_and_an_end_are_hinted_at(bench: &dyn Bench) {
    let (docker, spec) = (bench.docker(), bench.spec());
    let id = docker.create(&spec).await.unwrap();
    let limit = Duration::from_secs(10);
    for act in ["start", "end"] {
        // Others may use the same Engine: only what comes is told from what does not.
        let mut events = docker.events();
        let early = timeout(Duration::from_millis(300), events.next()).await;
        assert!(
            !matches!(early, Ok(None | Some(Err(_)))),
            "{act}: {early:?}"
        );
        match act {
            "start" => docker.start(&id).await.unwrap(),
            _ => bench.kill_process(&spec.name).await,
        }
        let mut told = false;
        while !told {
            let item = timeout(limit, events.next()).await;
            let Ok(Some(Ok(happening))) = item else {
                panic!("{act}: {item:?}");
            };
            told = match (act, happening) {
                ("end", Happening::Died(death)) if death.container_id == id => {
                    assert_eq!(death.exit_code, 137);
                    true
                }
                (act, _) => act == "start",
            };
        }
        while events.next().now_or_never().flatten().is_some() {}
    }
}
