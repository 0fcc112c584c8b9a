//! What goes wrong on real nodes: images that will not do, servers that crash, hang or come late,
//! names and ports that are taken. Every time the service that was there before serves on, and
//! the operator is told what happened.
//!
//! Needs root and a Docker Engine: `make test` starts one. Without them it fails.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    reason = "everything here is a test, also what is not marked as one"
)]

use std::net::TcpListener;
use std::time::{Duration, Instant};

use extend_tests::real::fleet::SOON;
use extend_tests::real::{
    Fleet, IVR, Instance, MEDIA, MEETING, Output, QUEUE, Server, Setup, until,
};
use serde_json::{Value, json};

/// The one target of the operation that was begun last.
fn last_target(fleet: &Fleet) -> Value {
    let id = fleet.last_operation()["id"].as_str().unwrap().to_owned();
    fleet.operation(&id)["targets"][0].clone()
}

/// An upgrade did not do; the service is the very run it was before.
#[track_caller]
fn assert_untouched(fleet: &Fleet, server: Server, before: &Instance, ended: Output, why: &str) {
    ended
        .expect(1, "the upgrade fails")
        .says(why, "the operator is told why")
        .says("    hint: ", "and what to run next");
    let story = "an image that will not do is found out before the service is touched";
    assert_eq!(
        fleet.engine().instance(server.container),
        *before,
        "{story}"
    );
    let shown = fleet.server(server).unwrap();
    assert_eq!(
        shown["image"], "extend.test/pbx:22",
        "the image of before is recorded: {shown:#}"
    );
    fleet.assert_serves_alone(server);
}

#[test]
fn images_that_will_not_do_touch_nothing() {
    let fleet = Setup::of(&[MEDIA]).up();
    let before = fleet.deploy(MEDIA);
    let cases: [(&str, &str, &[&str], &str); 3] = [
        (
            "unlabelled",
            "22.4.0",
            &["--no-version-label"],
            "no usable label `version`",
        ),
        (
            "another",
            "22.4.0",
            &["--product", "SBC"],
            "its label `product` says `SBC`",
        ),
        ("ancient", "21.9.0", &[], "version 22 or newer is needed"),
    ];
    for (tag, version, options, why) in cases {
        let reference = format!("extend.test/pbx:{tag}");
        fleet.flawed(version, options, &reference);
        let ended = fleet.extend(&["upgrade", "-i", &reference]);
        assert_untouched(&fleet, MEDIA, &before, ended, why);
    }
    fleet.flawed("22.3.0", &[], "extend.elsewhere/pbx:22");
    let ended = fleet.extend(&["upgrade", "-i", "extend.elsewhere/pbx:22"]);
    assert_untouched(
        &fleet,
        MEDIA,
        &before,
        ended,
        "are not allowed on this node",
    );
    let ended = fleet.extend(&["upgrade", "-i", "extend.test/pbx:nosuch"]);
    assert_untouched(&fleet, MEDIA, &before, ended, "extend.test/pbx:nosuch");

    fleet.release("22.2.0");
    let ended = fleet.extend(&["upgrade"]);
    assert_untouched(&fleet, MEDIA, &before, ended, "--force accepts it");
    fleet
        .extend(&["upgrade", "--force"])
        .expect(0, "an older version can be insisted on");
    assert_eq!(fleet.server(MEDIA).unwrap()["version"], "22.2.0");
    assert_ne!(fleet.engine().instance(MEDIA.container).id, before.id);
    fleet.assert_serves_alone(MEDIA);
}

#[test]
fn a_first_deployment_that_crashes_leaves_its_evidence_and_the_node_free() {
    let fleet = Setup::of(&[QUEUE]).up();
    fleet.control(QUEUE, "crash-at-start=41\n");
    let ended = fleet
        .run(QUEUE, &[])
        .expect(1, "a server that crashes at its start has failed");
    ended
        .says("code 41", "the exit code is told")
        .says("| ", "and the last lines of its output");
    let target = last_target(&fleet);
    assert_eq!(target["state"], "failed", "{target:#}");
    assert_eq!(target["evidence"]["exit_code"], 41, "{target:#}");
    let lines = target["evidence"]["log_tail"].as_array().unwrap();
    assert!(
        !lines.is_empty(),
        "the evidence holds what the server said: {target:#}"
    );
    let running = fleet
        .engine()
        .ours()
        .into_iter()
        .any(|(_, state)| state != "exited");
    assert!(
        !running,
        "nothing goes on crashing: {:?}",
        fleet.engine().ours()
    );

    fleet.control(QUEUE, "");
    fleet
        .run(QUEUE, &[])
        .expect(0, "once it is mended the node is free for it");
    fleet.await_health(QUEUE, "healthy");
    fleet.assert_serves_alone(QUEUE);

    // A first deployment that failed leaves no server behind: another may come instead.
    fleet
        .extend(&["rm", "-n", QUEUE.name])
        .expect(0, "it is removed");
    fleet.control(QUEUE, "crash-at-start=41\n");
    fleet.run(QUEUE, &[]).expect(1, "it crashes again");
    fleet.control(QUEUE, "");
    // The end is told before the node has confirmed that it is forgotten.
    until("the failed server should be forgotten", SOON, || {
        let servers = fleet.status()["servers"].clone();
        if servers == json!([]) {
            Ok(())
        } else {
            Err(servers.to_string())
        }
    });
    let other = Server {
        name: "queue-server-2",
        ..QUEUE
    };
    fleet
        .run(other, &[])
        .expect(0, "the node is free for a server of another name");
    fleet.assert_serves_alone(other);
}

#[test]
fn an_upgrade_that_crashes_is_rolled_back() {
    let fleet = Setup::of(&[MEETING]).up();
    let before = fleet.deploy(MEETING);
    fleet.control(MEETING, "22.4.0/crash-at-start=42\n");
    fleet.release("22.4.0");
    let ended = fleet
        .extend(&["upgrade"])
        .expect(1, "the new version crashes");
    ended
        .says("rolled-back", "the end is told")
        .says("code 42", "with the exit code");
    let target = last_target(&fleet);
    assert_eq!(target["state"], "rolled-back", "{target:#}");
    assert_eq!(target["evidence"]["exit_code"], 42, "{target:#}");
    assert_serves_again(&fleet, MEETING, &before);

    let again = fleet
        .extend(&["restart"])
        .expect(0, "the old one is restarted as ever");
    again.says("succeeded", "");
    assert_eq!(fleet.engine().instance(MEETING.container).id, before.id);
    assert_eq!(
        fleet.server(MEETING).unwrap()["version"],
        "22.3.0",
        "the bad version is not back"
    );

    fleet.release("22.5.0");
    fleet
        .extend(&["upgrade"])
        .expect(0, "the next version is tried anew");
    assert_eq!(fleet.server(MEETING).unwrap()["version"], "22.5.0");
    fleet.assert_serves_alone(MEETING);
}

/// After a rollback: the old container runs and answers under its official name.
#[track_caller]
fn assert_serves_again(fleet: &Fleet, server: Server, before: &Instance) {
    let now = fleet.engine().inspect(server.container);
    assert_eq!(
        now["Id"],
        before.id.as_str(),
        "the old container serves again"
    );
    assert_eq!(now["State"]["Running"], true);
    let policy = &now["HostConfig"]["RestartPolicy"]["Name"];
    assert_eq!(policy, "unless-stopped", "and Docker keeps it running");
    fleet.await_health(server, "healthy");
    let shown = fleet.server(server).unwrap();
    assert_eq!(shown["version"], "22.3.0", "{shown:#}");
    let live: Vec<_> = fleet
        .engine()
        .ours()
        .into_iter()
        .filter(|(_, state)| state == "running" || state == "restarting")
        .collect();
    let expected = [(server.container.to_owned(), "running".to_owned())];
    assert_eq!(live, expected, "I6: nothing else of it runs");
}

#[test]
fn an_upgrade_that_never_answers_is_rolled_back() {
    let fleet = Setup::of(&[IVR]).up();
    let before = fleet.deploy(IVR);
    fleet.control(IVR, "22.4.0/deaf=true\n");
    fleet.release("22.4.0");
    let ended = fleet
        .extend(&["upgrade"])
        .expect(1, "the new version runs and does not answer");
    ended
        .says("rolled-back", "")
        .says("did not become healthy", "the reason is told");
    assert_serves_again(&fleet, IVR, &before);

    fleet.control(IVR, "22.5.0/start-delay-ms=60000\n");
    fleet.release("22.5.0");
    let ended = fleet
        .extend(&["upgrade"])
        .expect(1, "the new version takes a minute to listen");
    ended
        .says("rolled-back", "")
        .says("did not become healthy", "the reason is told");
    assert_serves_again(&fleet, IVR, &before);
}

#[test]
fn a_server_that_ignores_the_signal_is_killed_at_the_end_of_its_grace() {
    let fleet = Setup::of(&[MEDIA]).up();
    let before = fleet.deploy(MEDIA);
    fleet.control(MEDIA, "ignore-sigterm=true\n");
    let began = Instant::now();
    fleet
        .extend(&["restart"])
        .expect(0, "a restart of a server that ignores SIGTERM succeeds");
    let took = began.elapsed();
    assert!(
        took >= Duration::from_secs(3),
        "it was given its grace of 3 s: {took:?}"
    );
    let now = fleet.engine().instance(MEDIA.container);
    assert_eq!(now.id, before.id);
    assert_ne!(now.started_at, before.started_at);

    fleet.extend(&["stop"]).expect(0, "and so does a stop");
    let stopped = fleet.engine().inspect(MEDIA.container);
    assert_eq!(stopped["State"]["ExitCode"], 137, "it was killed");
    assert_eq!(
        stopped["HostConfig"]["RestartPolicy"]["Name"], "no",
        "and stays stopped"
    );
    fleet.control(MEDIA, "");
    fleet
        .extend(&["start"])
        .expect(0, "it can be started again");

    // Calls that end in their own time are not cut off.
    fleet.control(MEDIA, "stop-delay-ms=1500\nsigterm-exit=0\n");
    fleet
        .extend(&["stop"])
        .expect(0, "a stop waits for a server that takes its time");
    let stopped = fleet.engine().inspect(MEDIA.container);
    assert_eq!(stopped["State"]["ExitCode"], 0, "it ended by itself");
}

#[test]
fn a_server_that_comes_late_is_waited_for() {
    let fleet = Setup::of(&[QUEUE]).up();
    fleet.deploy(QUEUE);
    fleet.control(QUEUE, "start-delay-ms=2500\n");
    let began = Instant::now();
    fleet
        .extend(&["restart"])
        .expect(0, "a slow start within the window succeeds");
    assert!(
        began.elapsed() > Duration::from_millis(2500),
        "it was waited for"
    );
    assert_eq!(
        fleet.server(QUEUE).unwrap()["health"],
        "healthy",
        "until it answered"
    );

    fleet.control(QUEUE, "start-delay-ms=60000\n");
    let ended = fleet
        .extend(&["restart"])
        .expect(1, "beyond the window it has failed");
    ended.says("did not become healthy", "the reason is told");
    fleet.control(QUEUE, "");
    fleet
        .extend(&["restart"])
        .expect(0, "and a restart mends it");
    fleet.await_health(QUEUE, "healthy");
    fleet.assert_serves_alone(QUEUE);
}

#[test]
fn a_name_that_is_taken_is_left_to_whom_it_belongs() {
    let fleet = Setup::of(&[MEDIA]).up();
    let words = [
        "create",
        "--name",
        MEDIA.container,
        "--network",
        "none",
        "extend.test/pbx:22",
    ];
    let foreign = fleet
        .engine()
        .docker(&[&words, ["mediaserver"].as_slice()].concat());
    let seen = fleet.engine().inspect(&foreign);
    let guard = Removed(&fleet, &foreign);

    // The controller knows of it from the node's next heartbeat on, and refuses it then; before
    // that it is the node that refuses.
    let refused = fleet.run(MEDIA, &[]);
    assert!(
        matches!(refused.code, 1 | 4),
        "the run is refused or fails\n{refused}"
    );
    until(
        "the controller should know what is in the way",
        SOON,
        || {
            let told = fleet.run(MEDIA, &["--plan"]);
            if told.code == 4 {
                Ok(())
            } else {
                Err(told.to_string())
            }
        },
    );
    fleet
        .run(MEDIA, &[])
        .expect(4, "then it is refused by the controller")
        .says(MEDIA.container, "with the name")
        .says("hint: on 127.0.2.", "and what to do with it")
        .says("docker rename", "namely this");
    let refused = refused.says(MEDIA.container, "it names the container in the way");
    refused.says(&foreign[..12], "with its id, so that it can be looked at");
    assert_eq!(
        fleet.engine().inspect(&foreign),
        seen,
        "I5: nothing about it has changed"
    );
    assert_eq!(fleet.engine().ours(), [], "and nothing of ours was made");

    drop(guard);
    until(
        "the controller should hear that the name is free",
        SOON,
        || {
            let told = fleet.run(MEDIA, &["--plan"]);
            if told.code == 10 {
                Ok(())
            } else {
                Err(told.to_string())
            }
        },
    );
    let deployed = fleet.run(MEDIA, &[]);
    deployed.expect(0, "once the name is free the same command succeeds");
    fleet.assert_serves_alone(MEDIA);
}

/// A container that is removed at the end, also when the test fails.
struct Removed<'a>(&'a Fleet, &'a str);

impl Drop for Removed<'_> {
    fn drop(&mut self) {
        drop(self.0.engine().ask(&["rm", "--force", self.1]));
    }
}

#[test]
fn a_port_that_is_taken_is_named() {
    let fleet = Setup::of(&[MEDIA]).up();
    let listener = TcpListener::bind((MEDIA.node, MEDIA.port + 2)).unwrap();
    // The host is looked at first.
    fleet.run(MEDIA, &[]).expect(4, "the run is refused").says(
        &format!("ports: somebody has {}/tcp", MEDIA.port + 2),
        "with the port",
    );
    let anyway = ["--accept", "ports=held on purpose"];
    let ended = fleet.run(MEDIA, &anyway).expect(1, "the run fails");
    let busy = format!(
        "port {}/tcp of the media server is in use by",
        MEDIA.port + 2
    );
    let own = format!("(process {})", std::process::id());
    ended
        .says(&busy, "it names the port")
        .says(&own, "and who holds it: this test")
        .says("hint: on 127.0.2.", "and the command that shows it")
        .says("ss -ltnp", "namely this");
    assert_eq!(fleet.engine().ours(), [], "nothing was made");
    drop(listener);
    fleet
        .run(MEDIA, &[])
        .expect(0, "once the port is free the same command succeeds");
    let shown = fleet.server(MEDIA).unwrap();
    assert_eq!(shown["docker_restarts"], json!(0), "{shown:#}");
}
