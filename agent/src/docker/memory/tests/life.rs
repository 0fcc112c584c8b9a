//! Processes: how they come up, end, hang, and are started again.

use futures_util::StreamExt;

use super::*;
use crate::docker::{DockerHealth, Happening};

#[tokio::test(start_paused = true)]
async fn a_crash_loop_has_dockers_pauses() {
    let (docker, _) = running().await;
    docker.behave(
        NAME,
        Some(Behaviour {
            exits_after: Some((Duration::ZERO, 7)),
            ..Behaviour::default()
        }),
    );
    let begun = Instant::now();
    pass(200_000).await;
    let _ = seen(&docker).await;
    let starts: Vec<Duration> = docker
        .history()
        .into_iter()
        .filter(|effect| matches!(effect.kind, EffectKind::Started { .. }))
        .map(|effect| effect.at)
        .collect();
    let pauses: Vec<u128> = starts
        .windows(2)
        .map(|pair| (pair[1] - pair[0]).as_millis())
        .collect();
    let expected = [
        100, 200, 400, 800, 1600, 3200, 6400, 12800, 25600, 51200, 60000,
    ];
    assert_eq!(pauses, expected, "since {begun:?}");
    let now = seen(&docker).await;
    assert_eq!(
        (now.state, now.restart_count, now.exit_code),
        (ContainerState::Restarting, 12, 7)
    );
}

#[tokio::test(start_paused = true)]
async fn a_good_run_makes_the_next_restart_quick() {
    let (docker, _) = running().await;
    for run in [50, 50, 50, 10_000] {
        pass(run).await;
        assert!(docker.crash(NAME, 1));
        while state(&docker).await == ContainerState::Restarting {
            pass(1).await;
        }
    }
    let ends = docker.history();
    let at = |want: fn(&EffectKind) -> bool| -> Vec<Duration> {
        ends.iter()
            .filter(|effect| want(&effect.kind))
            .map(|effect| effect.at)
            .collect()
    };
    let exits = at(|kind| matches!(kind, EffectKind::Exited { .. }));
    let starts = at(|kind| matches!(kind, EffectKind::Started { .. }));
    let pauses: Vec<_> = exits
        .iter()
        .zip(&starts[1..])
        .map(|(end, start)| (*start - *end).as_millis())
        .collect();
    assert_eq!(pauses, [100, 200, 400, 100]);
}

#[tokio::test(start_paused = true)]
async fn it_stops_as_it_behaves() {
    // What it does on SIGTERM, how long it then runs, the exit code.
    let after = |ms, code| StopBehaviour::After(Duration::from_millis(ms), code);
    let table = [
        (after(0, 0), Some((0, 0))),
        (after(300, 143), Some((300, 143))),
        (StopBehaviour::Ignores, None),
    ];
    for (stop, expected) in table {
        let (docker, id) = running().await;
        docker.behave_image(
            IMAGE_ID,
            Behaviour {
                stop: stop.clone(),
                ..Behaviour::default()
            },
        );
        docker.signal(&id, "SIGTERM").await.unwrap();
        match expected {
            Some((ms, code)) => {
                if ms > 0 {
                    pass(ms - 1).await;
                    assert_eq!(state(&docker).await, ContainerState::Running, "{stop:?}");
                    pass(1).await;
                }
                let ended = seen(&docker).await;
                assert_eq!(
                    (ended.state, ended.exit_code),
                    (ContainerState::Exited, code)
                );
            }
            None => {
                pass(600_000).await;
                assert_eq!(state(&docker).await, ContainerState::Running);
                docker.signal(&id, "SIGKILL").await.unwrap();
                let ended = seen(&docker).await;
                assert_eq!(
                    (ended.state, ended.exit_code),
                    (ContainerState::Exited, 137)
                );
            }
        }
        pass(600_000).await;
        assert_eq!(
            state(&docker).await,
            ContainerState::Exited,
            "nobody starts it again"
        );
    }
}

#[tokio::test(start_paused = true)]
async fn the_first_request_to_end_counts() {
    let (docker, id) = running().await;
    let stop = StopBehaviour::After(Duration::from_secs(1), 0);
    docker.behave(
        NAME,
        Some(Behaviour {
            stop,
            ..Behaviour::default()
        }),
    );
    docker.signal(&id, "SIGTERM").await.unwrap();
    pass(600).await;
    docker.signal(&id, "TERM").await.unwrap();
    docker.behave(NAME, None);
    pass(399).await;
    assert_eq!(state(&docker).await, ContainerState::Running);
    pass(1).await;
    assert_eq!(state(&docker).await, ContainerState::Exited);
}

#[tokio::test(start_paused = true)]
async fn a_hung_process_hears_when_it_wakes() {
    let (docker, id) = running().await;
    let port = 8840;
    let node = NODE.parse().unwrap();
    assert!(docker.listening(node, port));
    assert!(docker.hang(NAME, true));
    assert!(!docker.listening(node, port));
    docker.signal(&id, "SIGTERM").await.unwrap();
    pass(10_000).await;
    assert_eq!(state(&docker).await, ContainerState::Running);
    assert!(docker.hang(NAME, false));
    assert_eq!(state(&docker).await, ContainerState::Exited);
    docker.start(&id).await.unwrap();
    assert!(
        docker.listening(node, port),
        "the next process does not hang"
    );
    assert!(docker.hang(NAME, true));
    docker.signal(&id, "SIGKILL").await.unwrap();
    assert_eq!(seen(&docker).await.exit_code, 137);
    assert!(!docker.hang(NAME, true), "there is no process");
}

#[tokio::test(start_paused = true)]
async fn what_a_process_would_have_done_while_it_hung_it_does_when_it_wakes() {
    let (docker, _) = running().await;
    let exits_after = Some((Duration::from_secs(5), 3));
    docker.behave(
        NAME,
        Some(Behaviour {
            exits_after,
            ..Behaviour::default()
        }),
    );
    pass(1_000).await;
    assert!(docker.hang(NAME, true));
    pass(60_000).await;
    assert_eq!(state(&docker).await, ContainerState::Running);
    assert!(docker.hang(NAME, false));
    let last = docker.history().pop().unwrap();
    assert_eq!(last.kind, EffectKind::Exited { code: 3 });
    assert_eq!(last.at, Duration::from_secs(61), "not in the past");
}

#[tokio::test(start_paused = true)]
async fn ports_listen_when_the_process_has_come_up() {
    let (docker, id) = running().await;
    let start_delay = Duration::from_secs(3);
    docker.behave(
        NAME,
        Some(Behaviour {
            start_delay,
            ..Behaviour::default()
        }),
    );
    docker.signal(&id, "SIGKILL").await.unwrap();
    let asks =
        |docker: &MemoryDocker, node: &str, port| docker.listening(node.parse().unwrap(), port);
    assert!(!asks(&docker, NODE, 8840));
    docker.start(&id).await.unwrap();
    pass(2_999).await;
    assert!(!asks(&docker, NODE, 8840));
    pass(1).await;
    assert!(asks(&docker, NODE, 8840) && asks(&docker, NODE, 8845));
    assert!(!asks(&docker, NODE, 8846) && !asks(&docker, "127.0.9.2", 8840));
    docker.behave(
        NAME,
        Some(Behaviour {
            listens: false,
            ..Behaviour::default()
        }),
    );
    assert!(!asks(&docker, NODE, 8840));
}

#[tokio::test(start_paused = true)]
async fn a_paused_container_is_frozen_and_can_be_ended() {
    let (docker, id) = running().await;
    assert!(docker.pause(NAME, true));
    assert_eq!(state(&docker).await, ContainerState::Paused);
    assert_eq!(refused(docker.start(&id).await).0, 409);
    let (status, words) = refused(docker.remove(&id).await);
    assert_eq!(status, 409);
    assert!(words.contains("Unpause and then stop"), "{words}");
    docker.signal(&id, "SIGTERM").await.unwrap();
    assert_eq!(state(&docker).await, ContainerState::Exited);
}

#[tokio::test(start_paused = true)]
async fn the_kernel_kills_for_memory() {
    let (docker, _) = running().await;
    assert!(docker.kill_for_memory(NAME));
    let ended = seen(&docker).await;
    assert_eq!(
        (ended.state, ended.exit_code),
        (ContainerState::Restarting, 137)
    );
    assert!(ended.oom_killed);
}

#[tokio::test(start_paused = true)]
async fn an_images_own_stop_signal_is_the_one_that_asks() {
    let docker = engine();
    docker.set_stop_signal(IMAGE_ID, "SIGUSR1");
    let id = docker.create(&spec(1)).await.unwrap();
    docker.start(&id).await.unwrap();
    assert_eq!(seen(&docker).await.stop_signal, "SIGUSR1");
    // Another signal marks it as stopped by hand, but calls nothing off.
    docker.set_policy(&id, RestartPolicy::Always).await.unwrap();
    docker.signal(&id, "SIGHUP").await.unwrap();
    assert_eq!(state(&docker).await, ContainerState::Running);
    assert!(docker.crash(NAME, 1));
    pass(100).await;
    assert_eq!(
        state(&docker).await,
        ContainerState::Running,
        "restarted all the same"
    );
    docker.signal(&id, "SIGUSR1").await.unwrap();
    assert_eq!(state(&docker).await, ContainerState::Exited);
}

#[tokio::test(start_paused = true)]
async fn events_come_without_anybody_looking() {
    let (docker, id) = running().await;
    let mut events = docker.events();
    let silence = tokio::time::timeout(Duration::from_secs(60), events.next()).await;
    assert!(silence.is_err(), "nothing happens: {silence:?}");
    docker.signal(&id, "SIGTERM").await.unwrap();
    assert_eq!(died(events.next().await), 0);
    docker.start(&id).await.unwrap();
    assert_eq!(events.next().await, Some(Ok(Happening::Changed)));
    let begun = Instant::now();
    let exits_after = Some((Duration::from_secs(30), 1));
    docker.behave(
        NAME,
        Some(Behaviour {
            exits_after,
            ..Behaviour::default()
        }),
    );
    assert_eq!(died(events.next().await), 1);
    assert_eq!(
        begun.elapsed(),
        Duration::from_secs(30),
        "it ended by itself"
    );
    assert_eq!(events.next().await, Some(Ok(Happening::Changed)));
    assert_eq!(
        begun.elapsed(),
        Duration::from_millis(30_100),
        "and was started again"
    );
    assert!(docker.set_health(NAME, Some(DockerHealth::Unhealthy)));
    assert_eq!(events.next().await, Some(Ok(Happening::Changed)));
    assert_eq!(seen(&docker).await.health, Some(DockerHealth::Unhealthy));
}

#[tokio::test(start_paused = true)]
async fn every_start_has_its_own_text() {
    let (docker, id) = running().await;
    let mut texts = vec![seen(&docker).await.started_at];
    for _ in 0..3 {
        docker.signal(&id, "SIGKILL").await.unwrap();
        docker.start(&id).await.unwrap();
        texts.push(seen(&docker).await.started_at);
    }
    texts.sort();
    texts.dedup();
    assert_eq!(texts.len(), 4, "in one moment of a paused clock: {texts:?}");
    assert!(
        texts
            .iter()
            .all(|text| text.parse::<jiff::Timestamp>().is_ok()),
        "{texts:?}"
    );
}

#[tokio::test(start_paused = true)]
async fn the_history_tells_who_did_what() {
    let (docker, id) = running().await;
    let operator = docker.acting_as("operator");
    operator.signal(&id, "SIGKILL").await.unwrap();
    docker.rename(&id, "aside").await.unwrap();
    docker.remove(&id).await.unwrap();
    let told: Vec<(String, String)> = docker
        .history()
        .into_iter()
        .map(|effect| (effect.actor, effect.name))
        .collect();
    let expected = [
        ("agent", NAME),
        ("agent", NAME),
        ("operator", NAME),
        ("process", NAME),
        ("agent", "aside"),
        ("agent", "aside"),
    ];
    assert_eq!(
        told,
        expected.map(|(actor, name)| (actor.to_owned(), name.to_owned()))
    );
    let history = docker.history();
    assert!(
        history
            .iter()
            .all(|effect| effect.owner.as_ref().unwrap().deployment == Deployment(1))
    );
    assert!(matches!(&history[4].kind, EffectKind::Renamed { from } if from == NAME));
}

#[tokio::test(start_paused = true)]
async fn two_containers_of_one_server_at_once_are_found() {
    let (docker, id) = running().await;
    docker.rename(&id, "aside").await.unwrap();
    assert_eq!(overlap(&docker.history()), None);
    let second = docker.create(&spec(2)).await.unwrap();
    docker.start(&second).await.unwrap();
    let words = overlap(&docker.history()).unwrap();
    assert!(
        words.contains("2 containers of media-server-only on 127.0.9.1"),
        "{words}"
    );
    // One after the other is as it should be.
    let docker = engine();
    for deployment in 1..=2 {
        let id = docker.create(&spec(deployment)).await.unwrap();
        docker.start(&id).await.unwrap();
        docker.signal(&id, "SIGKILL").await.unwrap();
        docker
            .rename(&id, &format!("aside-{deployment}"))
            .await
            .unwrap();
    }
    assert_eq!(overlap(&docker.history()), None);
}

#[tokio::test(start_paused = true)]
async fn other_peoples_containers_are_not_ours() {
    let docker = engine();
    let id = docker.foreign(NAME).unwrap();
    let found = seen(&docker).await;
    assert_eq!(
        (found.id.as_str(), found.owner, found.state),
        (id.as_str(), None, ContainerState::Running)
    );
    assert_eq!(refused(docker.create(&spec(1)).await).0, 409);
    assert_eq!(refused(docker.foreign(NAME)).0, 409);
    assert!(
        docker
            .history()
            .iter()
            .all(|effect| effect.actor == "somebody")
    );
}
