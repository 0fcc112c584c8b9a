//! A server's life as an operator sees it: real programs, a real Docker Engine, and the stand-in
//! for the PBX image.
//!
//! Needs root and a Docker Engine: `make test` starts one. Without them it fails.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    reason = "everything here is a test, also what is not marked as one"
)]

#[path = "docker_fleet/logs.rs"]
mod logs;
#[path = "docker_fleet/official.rs"]
mod official;

use std::fs;
use std::path::Path;

use extend_tests::real::{Fleet, IVR, MEDIA, MEETING, QUEUE, SERVERS, Server, Setup, Times, until};
use serde_json::{Value, json};

use official::{assert_official, image_id};

/// Where a server's data lies.
fn data(fleet: &Fleet, server: Server) -> String {
    fleet
        .data(server.node)
        .join(server.role)
        .display()
        .to_string()
}

fn running(seen: &Value) -> bool {
    seen["State"]["Running"] == true
}

#[test]
fn every_role_is_deployed_managed_and_removed() {
    let fleet = Setup::of(&SERVERS).with(Times::OFFICIAL).up();
    for server in SERVERS {
        fleet
            .run(server, &[])
            .expect(0, &format!("{} is deployed", server.name));
        assert_official(&fleet, server);
        fleet.await_health(server, "healthy");
    }
    let before: Vec<_> = SERVERS
        .map(|s| fleet.engine().instance(s.container))
        .to_vec();

    let all = fleet
        .extend(&["restart"])
        .expect(0, "all servers are restarted");
    all.says("all 4 servers succeeded", "the end is told in one line");
    for (server, before) in SERVERS.into_iter().zip(&before) {
        let now = fleet.engine().instance(server.container);
        assert_eq!(
            now.id, before.id,
            "a restart keeps the container of {}",
            server.name
        );
        assert_ne!(
            now.pid, before.pid,
            "a restart of {} makes a new process",
            server.name
        );
    }

    let media = fleet.engine().instance(MEDIA.container);
    let others = [MEETING, QUEUE, IVR].map(|s| fleet.engine().instance(s.container));
    fleet
        .extend(&["restart", "-s", MEDIA.role])
        .expect(0, "one type is restarted");
    assert_ne!(fleet.engine().instance(MEDIA.container), media);
    let now = [MEETING, QUEUE, IVR].map(|s| fleet.engine().instance(s.container));
    assert_eq!(
        now, others,
        "I7: servers that were not meant are not touched"
    );

    let mistake = ["restart", "-s", MEDIA.role, "-a", MEETING.node];
    let refused = fleet
        .extend(&mistake)
        .expect(4, "the guide's own mistake is refused");
    refused.says(MEETING.name, "the refusal names what is at that address");

    let asks = fleet.extend(&["rm"]);
    assert_ne!(
        asks.code, 0,
        "rm of several servers does not go without a word\n{asks}"
    );
    let still = SERVERS
        .map(|s| fleet.engine().instance(s.container).id)
        .to_vec();
    assert_eq!(still, before.into_iter().map(|i| i.id).collect::<Vec<_>>());
    fleet
        .extend(&["rm", "--yes"])
        .expect(0, "all servers are removed");
    assert_eq!(
        fleet.engine().ours(),
        [],
        "nothing of ours is left on the Engine"
    );
    assert_eq!(fleet.status()["servers"], json!([]), "status is empty");
}

#[test]
fn a_server_is_stopped_started_and_restarted() {
    let fleet = Setup::of(&[MEDIA]).with(Times::BRISK).up();
    let first = fleet.deploy(MEDIA);

    let again = fleet
        .run(MEDIA, &[])
        .expect(0, "an identical run is already so");
    again.says("already", "it says that nothing had to be done");
    assert_eq!(
        fleet.engine().instance(MEDIA.container),
        first,
        "and nothing was done"
    );

    fleet
        .extend(&["stop", "-n", MEDIA.name])
        .expect(0, "it is stopped");
    let stopped = fleet.engine().inspect(MEDIA.container);
    assert_eq!(stopped["Id"], first.id, "a stop keeps the container");
    assert_eq!(stopped["State"]["Status"], "exited");
    assert_eq!(stopped["State"]["ExitCode"], 0, "it ended in order");
    let policy = &stopped["HostConfig"]["RestartPolicy"]["Name"];
    assert_eq!(
        policy, "no",
        "Docker must not bring it back after a restart of its own"
    );
    fleet.await_health(MEDIA, "stopped");
    fleet
        .extend(&["stop", "-n", MEDIA.name])
        .expect(0, "a second stop is already so")
        .says("already", "it says so");

    // Neither a new agent nor a new controller brings it back.
    let mut fleet = fleet;
    fleet.stop_agent(MEDIA.node);
    fleet.start_agent(MEDIA.node);
    fleet.stop_controller();
    fleet.start_controller();
    fleet.await_node(MEDIA.node, "online");
    fleet.await_health(MEDIA, "stopped");
    let now = fleet.engine().inspect(MEDIA.container);
    assert_eq!(now["State"], stopped["State"], "it stays stopped");

    fleet
        .extend(&["start", "-n", MEDIA.name])
        .expect(0, "it is started");
    let started = fleet.engine().inspect(MEDIA.container);
    assert_eq!(started["Id"], first.id, "a start makes no new container");
    assert!(running(&started));
    assert_eq!(
        started["HostConfig"]["RestartPolicy"]["Name"],
        "unless-stopped"
    );
    fleet
        .extend(&["start", "-n", MEDIA.name])
        .expect(0, "a second start is already so")
        .says("already", "it says so");

    let before = fleet.engine().instance(MEDIA.container);
    fleet
        .extend(&["restart", "-a", MEDIA.node])
        .expect(0, "it is restarted");
    let after = fleet.engine().instance(MEDIA.container);
    assert_eq!(after.id, before.id, "a restart keeps the container");
    assert_ne!(after.started_at, before.started_at, "it is a new run");
    assert_ne!(after.pid, before.pid, "with a new process");
    let seen = fleet.engine().inspect(MEDIA.container);
    assert_eq!(
        seen["HostConfig"]["RestartPolicy"]["Name"],
        "unless-stopped"
    );
    assert_eq!(
        seen["RestartCount"], 0,
        "Docker's own policy had no part in it"
    );
    fleet.assert_serves_alone(MEDIA);
}

#[test]
fn a_server_is_upgraded_under_the_same_tag_and_removed() {
    let fleet = Setup::of(&[QUEUE]).with(Times::BRISK).up();
    let old = fleet.deploy(QUEUE);
    let old_image = image_id(&fleet);
    assert_eq!(fleet.server(QUEUE).unwrap()["version"], "22.3.0");

    let nothing = fleet
        .extend(&["upgrade"])
        .expect(0, "there is nothing newer yet");
    nothing.says("newest", "it says that nothing was restarted");
    assert_eq!(
        fleet.engine().instance(QUEUE.container),
        old,
        "nothing was restarted"
    );

    fleet.release("22.4.0");
    assert_ne!(image_id(&fleet), old_image);
    fleet
        .extend(&["upgrade"])
        .expect(0, "the same tag now names a newer image");
    let new = fleet.engine().instance(QUEUE.container);
    assert_ne!(new.id, old.id, "there is a new container");
    assert!(
        fleet.engine().find(&old.id).is_none(),
        "the old one is gone"
    );
    assert_official(&fleet, QUEUE);
    fleet.assert_serves_alone(QUEUE);
    let shown = fleet.server(QUEUE).unwrap();
    assert_eq!(
        shown["version"], "22.4.0",
        "status shows the version: {shown:#}"
    );
    assert_eq!(shown["image"], "extend.test/pbx:22", "{shown:#}");
    assert_eq!(shown["image_identity"], image_id(&fleet), "{shown:#}");

    fleet
        .extend(&["upgrade"])
        .expect(0, "a second upgrade finds nothing to change");
    assert_eq!(
        fleet.engine().instance(QUEUE.container),
        new,
        "the same run of the same container"
    );
    // The deployment without a container of its own is not forgotten by the next verbs.
    fleet
        .extend(&["restart"])
        .expect(0, "a restart after an upgrade that changed nothing");
    assert_eq!(fleet.engine().instance(QUEUE.container).id, new.id);

    let kept = data(&fleet, QUEUE);
    let recording = Path::new(&kept).join("mcu/record/call.wav");
    fs::write(&recording, "a recording").unwrap();
    let removed = fleet
        .extend(&["rm", "-n", QUEUE.name])
        .expect(0, "it is removed");
    removed.says(&kept, "it says where the data is kept");
    assert_eq!(fleet.engine().ours(), [], "the container is gone");
    assert_eq!(
        fs::read_to_string(&recording).unwrap(),
        "a recording",
        "the data is kept"
    );
    assert_eq!(fleet.status()["servers"], json!([]), "status is empty");
    assert_eq!(fleet.node(QUEUE.node)["state"], "online", "the node stays");

    fleet.deploy(QUEUE);
    assert_eq!(
        fs::read_to_string(&recording).unwrap(),
        "a recording",
        "a new run finds it"
    );
}

#[test]
fn plans_change_nothing_and_operations_are_come_back_to() {
    let fleet = Setup::of(&[IVR]).with(Times::BRISK).up();
    let plan = fleet
        .run(IVR, &["--plan"])
        .expect(10, "a plan of a first deployment has changes");
    plan.says(IVR.name, "the plan names the server");
    assert_eq!(fleet.engine().ours(), [], "a plan makes nothing");
    assert_eq!(
        fleet.status()["servers"],
        json!([]),
        "a plan stores nothing"
    );

    let begun = fleet
        .run(IVR, &["--detach", "-m", "ticket 4711"])
        .expect(0, "it is stored");
    let id = begun.stdout.trim().to_owned();
    let watched = fleet
        .extend(&["op", "watch", &id])
        .expect(0, "op watch ends as the operation");
    watched.says("succeeded", "and says how");
    let first = fleet.engine().instance(IVR.container);
    fleet.await_health(IVR, "healthy");

    let shown = fleet.operation(&id);
    assert_eq!(shown["verb"], "run", "{shown:#}");
    assert_eq!(shown["state"], "succeeded", "{shown:#}");
    assert_eq!(shown["message"], "ticket 4711", "{shown:#}");
    assert_eq!(shown["targets"][0]["name"], IVR.name, "{shown:#}");
    assert!(
        shown["by"].as_str().unwrap().contains("root"),
        "who asked: {shown:#}"
    );
    let listed = fleet.last_operation();
    assert_eq!(listed["id"], shown["id"], "op list has it");

    let plan = fleet
        .run(IVR, &["--plan"])
        .expect(0, "nothing to do is not a change");
    plan.says("already", "the plan says why");
    fleet
        .extend(&["restart", "--plan"])
        .expect(10, "a restart would change something");
    fleet.extend(&["stop", "--plan"]).expect(10, "a stop too");
    fleet.extend(&["rm", "--plan"]).expect(10, "and rm");
    assert_eq!(
        fleet.engine().instance(IVR.container),
        first,
        "plans have changed nothing"
    );

    // Ctrl-C and its kin only stop watching.
    fleet.control(IVR, "stop-delay-ms=1500\n");
    let left = fleet.extend(&["restart", "--watch-timeout", "100ms"]);
    let left = left.expect(6, "whoever stops watching is told that it goes on");
    left.says("goes on", "in words");
    let busy = fleet
        .extend(&["stop"])
        .expect(4, "a server has one open operation at most");
    busy.says("restart", "the refusal names who holds it");
    let id = fleet.last_operation()["id"].as_str().unwrap().to_owned();
    let ended = fleet.await_end(&id);
    assert_eq!(ended["state"], "succeeded", "{ended:#}");
    let second = until(
        "the restart has made a new run",
        extend_tests::real::fleet::SOON,
        || {
            let now = fleet.engine().instance(IVR.container);
            if now.started_at == first.started_at {
                Err(format!("{now:?}"))
            } else {
                Ok(now)
            }
        },
    );
    assert_eq!(second.id, first.id);
    fleet
        .extend(&["op", "watch", &id])
        .expect(0, "an ended operation can be watched too");
    fleet
        .extend(&["op", "show", "nosuch"])
        .expect(4, "an operation that is not there");
}
