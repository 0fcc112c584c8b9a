//! The daemon: frozen, gone, restarted, slow, and with lost answers.

use futures_util::{FutureExt, StreamExt};

use super::*;

#[tokio::test(start_paused = true)]
async fn a_frozen_daemon_answers_nobody_in_time() {
    let (docker, id) = running().await;
    docker.freeze_daemon(true);
    let begun = Instant::now();
    let words = unavailable(docker.container(NAME).await);
    assert_eq!(
        words,
        format!("docker did not answer in 5s (inspecting {NAME})")
    );
    assert_eq!(begun.elapsed(), Duration::from_secs(5));
    unavailable(docker.names().await);
    assert_eq!(begun.elapsed(), Duration::from_secs(10));
    unavailable(docker.signal(&id, "SIGTERM").await);
    assert_eq!(begun.elapsed(), Duration::from_secs(20));
    unavailable(docker.create(&spec(2)).await);
    assert_eq!(begun.elapsed(), Duration::from_secs(50));
    let mut events = docker.events();
    let words = unavailable(events.next().await.unwrap());
    assert_eq!(words, "docker did not answer in 5s (listening to events)");
    assert_eq!(events.next().await, None);
}

#[tokio::test(start_paused = true)]
async fn what_a_frozen_daemon_was_asked_happens_when_it_thaws() {
    let (docker, id) = running().await;
    docker.freeze_daemon(true);
    unavailable(docker.signal(&id, "SIGKILL").await);
    assert!(
        matches!(kinds(&docker).last(), Some(EffectKind::Started { .. })),
        "not yet"
    );
    // Its caller is killed.
    drop(docker.rename(&id, "aside").now_or_never());
    let waits = tokio::spawn({
        let docker = docker.clone();
        let id = id.clone();
        async move { docker.set_policy(&id, RestartPolicy::No).await }
    });
    pass(100).await;
    docker.freeze_daemon(false);
    waits.await.unwrap().unwrap();
    let found = docker.container("aside").await.unwrap().unwrap();
    assert_eq!(
        (found.state, found.policy, found.exit_code),
        (ContainerState::Exited, RestartPolicy::No, 137)
    );
}

#[tokio::test(start_paused = true)]
async fn a_frozen_daemon_learns_later_of_what_ended() {
    let (docker, _) = running().await;
    let mut events = docker.events();
    assert!(events.next().now_or_never().is_none());
    docker.freeze_daemon(true);
    assert!(docker.crash(NAME, 3));
    assert!(matches!(
        kinds(&docker).last(),
        Some(EffectKind::Exited { code: 3 })
    ));
    pass(60_000).await;
    assert_eq!(kinds(&docker).len(), 3, "nobody starts it again");
    assert!(events.next().now_or_never().is_none());
    docker.freeze_daemon(false);
    assert_eq!(died(events.next().await), 3);
    assert_eq!(state(&docker).await, ContainerState::Restarting);
    pass(100).await;
    assert_eq!(state(&docker).await, ContainerState::Running);
}

#[tokio::test(start_paused = true)]
async fn a_restarted_daemon_starts_what_its_policies_want() {
    // Name, policy, what is done to it, whether it runs after the daemon's restart.
    type Done = fn(&MemoryDocker, &str);
    let nothing: Done = |_, _| {};
    let stop: Done = |docker, name| {
        docker
            .signal(name, "SIGTERM")
            .now_or_never()
            .unwrap()
            .unwrap();
    };
    let crash: Done = |docker, name| assert!(docker.crash(name, 4));
    let crash_then_policy: Done = |docker, name| {
        assert!(docker.crash(name, 4));
        let set = docker.set_policy(name, RestartPolicy::UnlessStopped);
        set.now_or_never().unwrap().unwrap();
    };
    let table = [
        ("aa", RestartPolicy::UnlessStopped, nothing, true),
        ("bb", RestartPolicy::Always, nothing, true),
        ("cc", RestartPolicy::No, nothing, false),
        ("dd", RestartPolicy::UnlessStopped, stop, false),
        ("ee", RestartPolicy::Always, stop, true),
        ("ff", RestartPolicy::UnlessStopped, crash, true),
        ("gg", RestartPolicy::No, crash, false),
        ("hh", RestartPolicy::No, crash_then_policy, true),
    ];
    let docker = engine();
    for (name, policy, done, _) in &table {
        let spec = ContainerSpec {
            name: (*name).to_owned(),
            policy: *policy,
            ..spec(1)
        };
        let id = docker.create(&spec).await.unwrap();
        docker.start(&id).await.unwrap();
        done(&docker, name);
    }
    let never = ContainerSpec {
        name: "never".to_owned(),
        ..spec(1)
    };
    docker.create(&never).await.unwrap();
    let before = docker.container("aa").await.unwrap().unwrap();

    docker.restart_daemon(Duration::from_secs(2));
    let words = unavailable(docker.names().await);
    assert_eq!(
        words,
        "docker cannot be reached (listing containers): Connection refused"
    );
    unavailable(docker.start("aa").await);
    pass(1_999).await;
    unavailable(docker.names().await);
    pass(1).await;
    for (name, _, _, runs) in table {
        let after = docker.container(name).await.unwrap().unwrap();
        assert_eq!(after.state == ContainerState::Running, runs, "{name}");
        assert_eq!(after.restart_count, 0, "{name}");
    }
    let never = docker.container("never").await.unwrap().unwrap();
    assert_eq!(
        never.state,
        ContainerState::Created,
        "a daemon starts nothing for the first time"
    );
    let after = docker.container("aa").await.unwrap().unwrap();
    assert_eq!(after.id, before.id);
    assert_ne!(after.started_at, before.started_at);
}

#[tokio::test(start_paused = true)]
async fn processes_end_with_the_daemon() {
    for (stop, code) in [
        (StopBehaviour::After(Duration::from_secs(1), 143), 143),
        (StopBehaviour::Ignores, 137),
    ] {
        let (docker, id) = running().await;
        docker.set_policy(&id, RestartPolicy::No).await.unwrap();
        docker.behave(
            NAME,
            Some(Behaviour {
                stop,
                ..Behaviour::default()
            }),
        );
        docker.stop_daemon();
        assert!(
            matches!(kinds(&docker).last(), Some(EffectKind::Exited { code: c }) if *c == code)
        );
        pass(1_000_000).await;
        docker.start_daemon();
        let ended = seen(&docker).await;
        assert_eq!(
            (ended.state, ended.exit_code),
            (ContainerState::Exited, code)
        );
    }
}

#[tokio::test(start_paused = true)]
async fn the_event_stream_ends_with_the_daemon() {
    let (docker, _) = running().await;
    let mut events = docker.events();
    assert!(events.next().now_or_never().is_none());
    docker.restart_daemon(Duration::from_secs(1));
    let words = unavailable(events.next().await.unwrap());
    assert_eq!(words, "docker closed the connection (listening to events)");
    assert_eq!(events.next().await, None);
    unavailable(docker.events().next().await.unwrap());
    pass(1_000).await;
    let mut events = docker.events();
    assert!(events.next().now_or_never().is_none());
    assert!(docker.crash(NAME, 1));
    assert_eq!(died(events.next().await), 1);
}

#[tokio::test(start_paused = true)]
async fn an_answer_can_be_lost() {
    let docker = engine();
    docker.lose_next_answer();
    let words = unavailable(docker.create(&spec(1)).await);
    assert_eq!(
        words,
        format!("docker closed the connection (creating {NAME})")
    );
    let made = seen(&docker).await;
    assert_eq!(made.state, ContainerState::Created);
    docker.start(&made.id).await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn an_answer_can_be_late_though_the_effect_is_not() {
    let (docker, id) = running().await;
    docker.set_latency(Duration::from_secs(2));
    let begun = Instant::now();
    let stop = docker.signal(&id, "SIGKILL");
    drop(stop.now_or_never());
    assert!(
        matches!(kinds(&docker).last(), Some(EffectKind::Exited { .. })),
        "its caller is dead"
    );
    assert_eq!(begun.elapsed(), Duration::ZERO);
    docker.start(&id).await.unwrap();
    assert_eq!(begun.elapsed(), Duration::from_secs(2));
    docker.set_latency(Duration::from_secs(60));
    let words = unavailable(docker.container(NAME).await);
    assert_eq!(
        words,
        format!("docker did not answer in 5s (inspecting {NAME})")
    );
}

#[tokio::test(start_paused = true)]
async fn a_call_can_be_refused_without_effect() {
    let docker = engine();
    docker.refuse_next(500, "no space left on device");
    let (status, words) = refused(docker.create(&spec(1)).await);
    assert_eq!((status, words.as_str()), (500, "no space left on device"));
    assert_eq!(docker.names().await.unwrap(), []);
    docker.create(&spec(1)).await.unwrap();
}
