//! How a rollout is told while it goes on and afterwards: waves, canaries, images fetched ahead,
//! sessions that end, operations that wait for others.

use extend_proto::v1;
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

use crate::fixtures::{self, BEGUN_MS, operation, phase, target};
use crate::harness::Place;
use crate::stub::OnSubmit;

fn identity(digits: &str) -> String {
    format!("portsip/pbx@sha256:{}", digits.repeat(4))
}

/// Meeting drains in the first wave, queue has its image and waits for the second, media is held
/// by another operation, IVR is done.
fn rollout() -> v1::Operation {
    let mut drains = target(0, v1::TargetState::Running);
    phase(&mut drains, v1::Phase::Pulling, 1_000);
    phase(&mut drains, v1::Phase::Ready, 4_000);
    phase(&mut drains, v1::Phase::Draining, 6_000);
    drains.detail = "draining: 41 sessions".to_owned();
    drains.warning = "no other meeting server takes over meanwhile".to_owned();
    let mut ready = target(1, v1::TargetState::Queued);
    phase(&mut ready, v1::Phase::Pulling, 1_000);
    phase(&mut ready, v1::Phase::Ready, 5_000);
    ready.wave = 1;
    let mut held = target(2, v1::TargetState::Queued);
    (held.begun_ms, held.wave) = (0, 1);
    held.reason = "waits for restart abcdef of bob, begun 2026-01-15T10:00:00Z".to_owned();
    let mut done = target(3, v1::TargetState::Succeeded);
    phase(&mut done, v1::Phase::Pulling, 1_000);
    phase(&mut done, v1::Phase::Ready, 3_000);
    phase(&mut done, v1::Phase::Stopping, 6_000);
    phase(&mut done, v1::Phase::Verifying, 8_000);
    phase(&mut done, v1::Phase::Settled, 12_000);
    for target in [&mut drains, &mut ready, &mut done] {
        target.image_before = "portsip/pbx:22 (22.3.1)".to_owned();
        target.identity_before = identity("ab12cd34ef56789a");
        target.image_after = "portsip/pbx:22 (22.4.0)".to_owned();
        target.identity_after = identity("0123456789abcdef");
    }
    v1::Operation {
        strategy: Some(v1::Strategy {
            canary: 1,
            bake_seconds: 120,
            ..v1::Strategy::default()
        }),
        drain_seconds: 1800,
        retry_of: "01JD8M3Q4T0000000000ABCDEF".to_owned(),
        note: "the canaries have to stay healthy for 2m: 1m 10s left".to_owned(),
        ..operation(v1::Verb::Upgrade, vec![drains, ready, held, done])
    }
}

/// The same, ended: what drained failed, and nothing more was begun.
fn ended() -> v1::Operation {
    let mut operation = rollout();
    operation.note = "what it waited for last".to_owned();
    operation.ended_ms = BEGUN_MS + 72_000;
    let [drained, ready, held, _] = &mut operation.targets[..] else {
        panic!("four targets")
    };
    drained.state = v1::TargetState::Failed.into();
    drained.detail = String::new();
    drained.reason = extend_common::hint::with_hint(
        "41 sessions were left after 30m; it takes sessions again",
        "to cut them: extend upgrade -a 172.31.16.137 --now",
    );
    drained.evidence = Some(v1::Evidence {
        container_id: "3f2a9c41d0aa".repeat(5),
        health_output: vec!["tcp/8928 answers".to_owned()],
        ..v1::Evidence::default()
    });
    for skipped in [ready, held] {
        skipped.state = v1::TargetState::Skipped.into();
        skipped.reason = "not begun, because meeting-server-1 at 172.31.16.137 failed".to_owned();
    }
    for target in &mut operation.targets {
        target.ended_ms = BEGUN_MS + 72_000;
    }
    operation
}

fn telling(operation: v1::Operation) -> Place {
    let place = Place::new();
    place.script.operation.send_replace(operation);
    place
}

#[test]
fn a_rollout_is_told_in_lines() {
    let place = telling(ended());
    let answer = v1::SubmitResponse {
        plan: Vec::new(),
        operation: Some(rollout()),
    };
    place.script.on_submit([OnSubmit::Answer(answer)]);
    let ran = place.run("upgrade");
    assert_eq!(ran.code, 3);
    let told = ran.err.lines().map(|line| match line.get(..9) {
        Some(time) if time.as_bytes()[2] == b':' => line.replacen(time, "(now) ", 1),
        _ => line.to_owned(),
    });
    let told: Vec<String> = told.collect();
    insta::assert_snapshot!(told.join("\n"), @r"
    warning: meeting-server-1 (172.31.16.137): no other meeting server takes over meanwhile
    2026-01-15 10:13:01 meeting-server-1 (172.31.16.137) pulling
    2026-01-15 10:13:01 queue-server-1 (172.31.16.138) pulling
    2026-01-15 10:13:01 ivr-server-1 (172.31.16.140) pulling
    2026-01-15 10:13:03 ivr-server-1 (172.31.16.140) ready: the image is there
    2026-01-15 10:13:04 meeting-server-1 (172.31.16.137) ready: the image is there
    2026-01-15 10:13:05 queue-server-1 (172.31.16.138) ready: the image is there
    2026-01-15 10:13:06 meeting-server-1 (172.31.16.137) draining (wave 1): 41 sessions
    2026-01-15 10:13:06 ivr-server-1 (172.31.16.140) stopping (wave 1)
    2026-01-15 10:13:08 ivr-server-1 (172.31.16.140) verifying
    2026-01-15 10:13:12 ivr-server-1 (172.31.16.140) succeeded
    (now) media-server-1 (172.31.16.139) queued: wave 2; waits for restart abcdef of bob, begun 2026-01-15 10:00:00
    (now) the canaries have to stay healthy for 2m: 1m 10s left
    2026-01-15 10:14:12 meeting-server-1 (172.31.16.137) failed: 41 sessions were left after 30m; it takes sessions again
    2026-01-15 10:14:12 queue-server-1 (172.31.16.138) skipped: not begun, because meeting-server-1 at 172.31.16.137 failed
    2026-01-15 10:14:12 media-server-1 (172.31.16.139) skipped: not begun, because meeting-server-1 at 172.31.16.137 failed
    upgrade 5nzq8c: 1 of 4 servers succeeded, 1 failed, 2 skipped, in 1m 12s
      meeting-server-1 (172.31.16.137):
        container 3f2a9c41d0aa
        what its health checks said last:
        | tcp/8928 answers
        hint: to cut them: extend upgrade -a 172.31.16.137 --now
    hint: extend op show 5nzq8c
    hint: extend op retry 5nzq8c --failed-only
    ");
}

#[test]
fn a_rollout_is_told_on_a_terminal() {
    let mut begun_long_ago = rollout();
    for target in &mut begun_long_ago.targets[..2] {
        // And a bit: no test is so slow that it would show.
        target.begun_ms = fixtures::in_ms(-(2 * 3600 + 30 * 60 + 20) * 1000);
    }
    let place = telling(begun_long_ago);
    let mut terminal = place.on_narrow_terminal(80, "op watch 5nzq8c");
    terminal.shows("1m 10s left");
    kill(
        Pid::from_raw(terminal.child.id().try_into().unwrap()),
        Signal::SIGINT,
    )
    .unwrap();
    let (code, shown) = terminal.ends();
    assert_eq!(code, 6, "{shown}");
    // What stays on the terminal when it is left, with nothing cut.
    let last: Vec<&str> = shown.lines().rev().take(7).collect();
    let last: Vec<&str> = last.into_iter().rev().collect();
    insta::assert_snapshot!(last.join("\n"), @r"
    [J[5A[Jmeeting-server-1  172.31.16.137  draining       2h 30m  41 sessions
    ivr-server-1      172.31.16.140  succeeded         12s
    queue-server-1    172.31.16.138  ready          2h 30m  wave 2; the image is there
    media-server-1    172.31.16.139  queued                 wave 2; waits for restart abcdef of bob, begun 2026-01-15 10:00:00
    the canaries have to stay healthy for 2m: 1m 10s left
    stopped watching upgrade 5nzq8c; the operation goes on
    hint: extend op watch 5nzq8c
    ");
    let warned = shown.matches("warning: meeting-server-1").count();
    assert_eq!(warned, 1, "{shown}");
}

#[test]
fn a_rollout_is_shown_in_full() {
    let place = telling(ended());
    insta::assert_snapshot!(place.run("op show 5nzq8c").out, @r"
    Operation  01JD8M3Q4T00000000005NZQ8C
    Verb       upgrade
    Servers    all servers
    State      failed
    By         alice
    Message    CAB-123
    Retry of   abcdef
    Rollout    1 of each type first, which must stay healthy for 2m; 1 of a type at a time, types side by side; stops at the first failure
    Sessions   waited for, up to 30m on each server
    Begun      2026-01-15 10:13:00
    Ended      2026-01-15 10:14:12 (after 1m 12s)

    NAME              TYPE                 ADDRESS        WAVE  STATE      TOOK    REASON
    meeting-server-1  meeting-server-only  172.31.16.137  1     failed     1m 12s  41 sessions were left after 30m; it takes sessions again
    ivr-server-1      vr-server-only       172.31.16.140  1     succeeded  1m 12s  -
    queue-server-1    queue-server-only    172.31.16.138  2     skipped    1m 12s  not begun, because meeting-server-1 at 172.31.16.137 failed
    media-server-1    media-server-only    172.31.16.139  2     skipped    -       not begun, because meeting-server-1 at 172.31.16.137 failed

    meeting-server-1 (172.31.16.137):
        phases   2026-01-15 10:13:01 pulling 3s, ready 2s, draining 1m 6s
        from     portsip/pbx:22 (22.3.1) ab12cd34ef56
        to       portsip/pbx:22 (22.4.0) 0123456789ab
        warning  no other meeting server takes over meanwhile
        container 3f2a9c41d0aa
        what its health checks said last:
        | tcp/8928 answers
        hint: to cut them: extend upgrade -a 172.31.16.137 --now

    ivr-server-1 (172.31.16.140):
        phases   2026-01-15 10:13:01 pulling 2s, ready 3s, stopping 2s, verifying 4s
        from     portsip/pbx:22 (22.3.1) ab12cd34ef56
        to       portsip/pbx:22 (22.4.0) 0123456789ab

    queue-server-1 (172.31.16.138):
        phases   2026-01-15 10:13:01 pulling 4s, ready 1m 7s
        from     portsip/pbx:22 (22.3.1) ab12cd34ef56
        to       portsip/pbx:22 (22.4.0) 0123456789ab
    ");
    let json = place.run("op show 5nzq8c -o json").out;
    let document: serde_json::Value = serde_json::from_str(&json).unwrap();
    assert_eq!(document["strategy"]["canary"], 1);
    assert_eq!(document["drain_seconds"], 1800);
    assert_eq!(document["retry_of"], "01JD8M3Q4T0000000000ABCDEF");
    assert_eq!(document["note"], serde_json::Value::Null);
    let target = &document["targets"][0];
    assert_eq!(
        target["warning"],
        "no other meeting server takes over meanwhile"
    );
    assert_eq!(target["identity_after"], identity("0123456789abcdef"));
    assert_eq!(target["evidence"]["health_output"][0], "tcp/8928 answers");
    assert_eq!(target["phases"][0]["until"], "2026-01-15T10:13:04Z");
    assert_eq!(document["targets"][1]["wave"], 1);

    let place = telling(rollout());
    let open = place.run("op show 5nzq8c").out;
    assert!(open.contains("Waits      the canaries have to"), "{open}");
    let json = place.run("op show 5nzq8c -o json").out;
    let document: serde_json::Value = serde_json::from_str(&json).unwrap();
    let last = &document["targets"][0]["phases"][2];
    assert_eq!(last["until"], serde_json::Value::Null, "it is in it");
}

#[test]
fn cancelling_tells_what_was_done_already() {
    let mut cancelled = rollout();
    for index in [1, 2] {
        cancelled.targets[index].state = v1::TargetState::Cancelled.into();
        cancelled.targets[index].ended_ms = BEGUN_MS + 60_000;
    }
    let place = telling(cancelled);
    let ran = place.run("op cancel 5nzq8c");
    assert_eq!((ran.code, ran.out.as_str()), (0, ""));
    insta::assert_snapshot!(ran.err, @r"
    upgrade 5nzq8c is being cancelled: 1 done (ivr-server-1), 1 being put back (meeting-server-1), 2 not begun (queue-server-1, media-server-1)
    hint: extend op watch 5nzq8c
    ");
    let ran = place.run("op cancel 5nzq8c -o json");
    assert!(ran.err.contains("1 done (ivr-server-1)"), "{}", ran.err);
    let document: serde_json::Value = serde_json::from_str(&ran.out).unwrap();
    assert_eq!(document["targets"][3]["state"], "succeeded");
    assert_eq!(document["targets"][0]["state"], "running");

    // Of many only the number is told.
    let mut many = rollout();
    let one = many.targets[3].clone();
    many.targets.extend(std::iter::repeat_n(one, 4));
    let ran = telling(many).run("op cancel 5nzq8c");
    assert!(ran.err.contains(": 5 done, "), "{}", ran.err);

    let mut over = ended();
    over.targets[0].state = v1::TargetState::Cancelled.into();
    over.targets[1].state = v1::TargetState::Cancelled.into();
    phase(&mut over.targets[1], v1::Phase::Stopping, 9_000);
    let ran = telling(over).run("op cancel 5nzq8c");
    insta::assert_snapshot!(ran.err, @r"upgrade 5nzq8c has ended: 1 done (ivr-server-1), 1 put back (queue-server-1), 2 not begun (meeting-server-1, media-server-1)");
}

#[test]
fn an_operation_that_waits_for_others_is_listed_as_queued() {
    let mut held = rollout().targets.remove(2);
    held.wave = 0;
    let place = Place::new();
    let waiting = operation(v1::Verb::Restart, vec![held]);
    *place.script.listed.lock().unwrap() = vec![waiting, rollout()];
    let list = place.run("op list").out;
    let states: Vec<&str> = list.lines().skip(1).map(|line| &line[..46]).collect();
    insta::assert_snapshot!(states.join("\n"), @r"
    5nzq8c  restart  all servers  queued 0/1  alic
    5nzq8c  upgrade  all servers  open 1/4    alic
    ");
}

#[test]
fn sessions_and_the_image_before_are_in_the_status() {
    let mut fleet = fixtures::fleet();
    fleet.unclaimed.clear();
    let draining = |view: &mut v1::ServerView, sessions, note: &str| {
        let status = view.status.as_mut().unwrap();
        status.health = v1::Health::Draining.into();
        status.reason = String::new();
        status.phase = v1::Phase::Draining.into();
        status.detail = "draining: told otherwise".to_owned();
        status.sessions = Some(v1::SessionCount {
            sessions,
            note: note.to_owned(),
        });
        status.previous_image = Some(v1::ResolvedImage {
            reference: "portsip/pbx:22".to_owned(),
            identity: identity("0123456789abcdef"),
            version: "22.3.1".to_owned(),
        });
    };
    draining(&mut fleet.servers[0], Some(41), "");
    draining(&mut fleet.servers[1], None, "the kernel does not tell");
    // An operation waits for its sessions.
    draining(&mut fleet.servers[2], Some(1), "");
    fleet.servers[2].status.as_mut().unwrap().health = v1::Health::Healthy.into();
    let place = Place::new();
    *place.script.servers.lock().unwrap() = fleet;
    let (_, shown) = place.on_narrow_terminal(80, "status").ends();
    insta::assert_snapshot!(shown, @r"
    NAME              ADDRESS        HEALTH    SINCE   REASON
    meeting-server-1  172.31.16.137  draining  2h 30m  41 sessions
    queue-server-1    172.31.16.138  draining  2h 30m  restarts: 5 by agent, 2 by
                                                       docker; sessions unknown: the
                                                       kernel does not tell
    media-server-1    172.31.16.139  healthy   2h 30m  operation 5nzq8c; draining: 1
                                                       session
    ivr-server-1      172.31.16.140  unknown   -       its node is offline; it was
                                                       healthy
    no room for PORTAL, IMAGE, NODE, TYPE, OPERATION, RESTARTS, VERSION: -o wide
    shows all
    ");
    let wide = place.run("status -o wide").out;
    assert!(
        wide.contains("portsip/pbx:22 (22.3.1) 0123456789ab"),
        "{wide}"
    );
    let json = place.run("status -o json").out;
    let document: serde_json::Value = serde_json::from_str(&json).unwrap();
    let [first, second, third] = [0, 1, 2].map(|index| &document["servers"][index]);
    assert_eq!(first["health"], "draining");
    assert_eq!(first["sessions"]["count"], 41);
    assert_eq!(first["previous_image"]["version"], "22.3.1");
    // Unknown is never zero.
    assert_eq!(second["sessions"]["count"], serde_json::Value::Null);
    assert_eq!(second["sessions"]["note"], "the kernel does not tell");
    assert_eq!(third["health"], "healthy");
    assert_eq!(document["servers"][3]["sessions"], serde_json::Value::Null);
}
