//! Servers that PortSIP's own script has made, on a real Docker Engine: taken over without being
//! touched, looked after as any other, and made anew by the first upgrade.
//!
//! Needs root and a Docker Engine: `make test` starts one. Without them it fails.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    reason = "everything here is a test, also what is not marked as one"
)]

#[path = "docker_fleet/official.rs"]
mod official;

use std::fs;

use extend_tests::real::fleet::SOON;
use extend_tests::real::{Fleet, IVR, MEDIA, MEETING, QUEUE, SERVERS, Server, Setup, Times, until};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use serde_json::{Value, json};

use official::assert_official;

/// Waits until the controller knows of a server that nobody claims.
#[track_caller]
fn await_unclaimed(fleet: &Fleet, server: Server) -> Value {
    until("the node should tell what it has", SOON, || {
        let status = fleet.status();
        let all = status["unclaimed"].as_array().unwrap().clone();
        let found = all
            .into_iter()
            .find(|one| one["address"] == server.node && one["name"] == server.name);
        found.ok_or_else(|| format!("{status:#}"))
    })
}

#[track_caller]
fn adopt(fleet: &Fleet, server: Server) {
    await_unclaimed(fleet, server);
    fleet
        .extend(&["adopt", "-a", server.node])
        .expect(0, "it is taken over")
        .says("succeeded", "the end is told");
    fleet.await_health(server, "healthy");
}

/// Everything that Docker says of a container; the mounts in one order, which Docker has not.
fn everything(fleet: &Fleet, server: Server) -> Value {
    let mut seen = fleet.engine().inspect(server.container);
    let mounts = seen["Mounts"].as_array_mut().unwrap();
    mounts.sort_by_key(|mount| mount["Destination"].to_string());
    seen
}

/// What a container is made of, whichever deployment made it.
fn made_of(fleet: &Fleet, server: Server) -> Value {
    let mut seen = everything(fleet, server);
    let labels = seen["Config"]["Labels"].as_object_mut().unwrap();
    labels.remove("io.extend.deployment");
    json!([
        seen["Config"],
        seen["HostConfig"],
        seen["Mounts"],
        seen["Image"]
    ])
}

/// The plan has the differences that the description of the official container tells of, and
/// stores nothing.
#[track_caller]
fn assert_plan(fleet: &Fleet) {
    let plan = fleet.extend(&["adopt", "--all", "--plan", "-o", "json"]);
    let plan = plan.expect(10, "there is something to do").json();
    let differences = plan["plan"][0]["differences"].as_array().unwrap();
    let odd = differences.iter().find(|one| one["usual"] == false);
    assert_eq!(odd, None);
    let told: Vec<_> = differences.iter().map(|one| one["text"].clone()).collect();
    let data = fleet.data(MEDIA.node).join(MEDIA.role);
    let golden = json!([
        "image by its tag (extend.test/pbx:22), wanted by its digest",
        format!(
            "/var/lib/portsip/pbx is a volume bound to {}, wanted a plain bind mount",
            data.display()
        ),
        "/etc/localtime is writable, wanted read-only",
        "stop timeout 10 s, wanted 3 s",
        "no log limit, wanted 5 files of 50m",
        "labels of Docker Compose",
    ]);
    assert_eq!(
        json!(told),
        golden,
        "as the official container is described"
    );
    let servers = &fleet.status()["servers"];
    assert_eq!(*servers, json!([]), "a plan stores nothing");
}

#[test]
fn a_server_is_taken_over_untouched_and_made_anew_by_its_first_upgrade() {
    let mut fleet = Setup::of(&[MEDIA]).up();
    let theirs = fleet.script(MEDIA);
    let shown = await_unclaimed(&fleet, MEDIA);
    assert_eq!(shown["version"], "22.3.0", "{shown:#}");
    let before = everything(&fleet, MEDIA);

    fleet
        .run(MEDIA, &[])
        .expect(4, "run does not replace what it finds")
        .says("extend adopt -a", "and names the way");
    fleet
        .extend(&["status"])
        .expect(0, "status shows it")
        .says("extend adopt -a", "with the command");
    assert_plan(&fleet);

    adopt(&fleet, MEDIA);
    assert_eq!(everything(&fleet, MEDIA), before, "nothing was touched");
    let operation = fleet.last_operation();
    assert_eq!(operation["verb"], "adopt", "{operation:#}");
    fleet
        .extend(&["adopt", "--all"])
        .expect(0, "a second time it is already so")
        .says("already taken over", "it says so");
    let status = fleet.status();
    assert_eq!(status["unclaimed"], json!([]), "{status:#}");
    let container = &status["servers"][0]["container_id"];
    assert_eq!(*container, theirs.id, "{status:#}");
    fleet
        .extend(&["logs", MEDIA.name, "--tail", "1"])
        .expect(0, "its output is read");

    // Neither a new agent nor a new controller does anything to it.
    fleet.kill_agent(MEDIA.node);
    fleet.start_agent(MEDIA.node);
    fleet.stop_controller();
    fleet.start_controller();
    fleet.await_node(MEDIA.node, "online");
    fleet.await_health(MEDIA, "healthy");
    assert_eq!(everything(&fleet, MEDIA), before, "still nothing");
    let events = fleet.extend(&["events", "-n", MEDIA.name]).stdout;
    assert!(
        events.contains("adopt") && events.contains("succeeded"),
        "{events}"
    );

    // A hang is healed.
    let pid = i32::try_from(theirs.pid).unwrap();
    kill(Pid::from_raw(pid), Signal::SIGSTOP).unwrap();
    let healed = until("it should be restarted", SOON, || {
        let now = fleet.engine().instance(MEDIA.container);
        if now.pid > 0 && now.pid != theirs.pid {
            Ok(now)
        } else {
            Err(format!("{now:?}"))
        }
    });
    assert_eq!(healed.id, theirs.id, "the same container");
    fleet.await_health(MEDIA, "healthy");

    // The first upgrade makes it the regular way, also from the same image.
    let data = fleet.data(MEDIA.node).join(MEDIA.role);
    let recording = data.join("mcu/record/call.wav");
    fs::write(&recording, "a recording").unwrap();
    fleet.extend(&["upgrade"]).expect(0, "it is upgraded");
    fleet.await_health(MEDIA, "healthy");
    let gone = fleet.engine().find(&theirs.id).is_none();
    assert!(gone, "the old one is gone");
    fleet.assert_serves_alone(MEDIA);
    let upgraded = made_of(&fleet, MEDIA);
    assert_eq!(fs::read_to_string(&recording).unwrap(), "a recording");
    fleet
        .extend(&["rm", "-n", MEDIA.name])
        .expect(0, "it is removed");
    fleet.run(MEDIA, &[]).expect(0, "and deployed by run");
    assert_eq!(
        made_of(&fleet, MEDIA),
        upgraded,
        "run makes exactly the same"
    );
}

#[test]
fn what_the_official_script_made_becomes_a_container_of_ours() {
    let fleet = Setup::of(&[QUEUE]).with(Times::OFFICIAL).up();
    fleet.script(QUEUE);
    adopt(&fleet, QUEUE);
    fleet.extend(&["upgrade"]).expect(0, "it is upgraded");
    assert_official(&fleet, QUEUE);
}

#[test]
fn an_upgrade_that_fails_puts_the_official_container_back() {
    let fleet = Setup::of(&[MEETING]).up();
    let theirs = fleet.script(MEETING);
    adopt(&fleet, MEETING);
    fleet.control(MEETING, "22.4.0/crash-at-start=42\n");
    fleet.release("22.4.0");
    fleet
        .extend(&["upgrade"])
        .expect(1, "the new version crashes")
        .says("rolled-back", "the end is told")
        .says("code 42", "with the exit code");
    let now = fleet.engine().instance(MEETING.container);
    assert_eq!(now.id, theirs.id, "the official container serves again");
    fleet.await_health(MEETING, "healthy");
    let seen = everything(&fleet, MEETING);
    let policy = &seen["HostConfig"]["RestartPolicy"]["Name"];
    assert_eq!(policy, "unless-stopped");

    // Every other verb knows it as well.
    for verb in ["stop", "start", "restart"] {
        fleet.extend(&[verb]).expect(0, verb);
        let now = fleet.engine().instance(MEETING.container);
        assert_eq!(now.id, theirs.id, "{verb}");
    }
    let kept = fleet.data(MEETING.node).join(MEETING.role);
    fleet
        .extend(&["rm"])
        .expect(0, "it is removed")
        .says(&kept.display().to_string(), "its data stays");
    assert!(fleet.engine().find(&theirs.id).is_none(), "it is gone");
    assert!(kept.join("log").is_dir(), "the data is there");
    assert_eq!(fleet.engine().ours(), [], "and nothing of ours is left");
}

#[test]
fn a_whole_fleet_is_taken_over_at_once_whatever_each_is_like() {
    let fleet = Setup::of(&SERVERS).up();
    for server in [MEETING, MEDIA, QUEUE] {
        fleet.script(server);
    }
    let odd = ["--env", "TOKEN=geheim", "--log-opt", "max-size=1m"];
    fleet.script_with(IVR, &odd);
    let stop = ["stop", "--time", "5", QUEUE.container];
    fleet.engine().docker(&stop);
    for server in SERVERS {
        await_unclaimed(&fleet, server);
    }
    until("the node should tell that one has stopped", SOON, || {
        let shown = await_unclaimed(&fleet, QUEUE);
        if shown["container_state"] == "exited" {
            Ok(())
        } else {
            Err(format!("{shown:#}"))
        }
    });
    let before = SERVERS.map(|server| everything(&fleet, server));
    let plan = fleet.extend(&["adopt", "--all", "--plan"]);
    plan.expect(10, "four servers would be taken over")
        .says("! extra variable TOKEN", "what is unusual is marked")
        .says("! log limit 1 files of 1m", "each thing of it");
    let again = fleet.extend(&["adopt", "--all", "--plan", "-o", "json"]);
    assert!(!again.to_string().contains("geheim"), "{again}");
    fleet
        .extend(&["adopt", "--all", "-m", "day one"])
        .expect(0, "all are taken over")
        .says("all 4 servers succeeded", "in one operation");
    let after = SERVERS.map(|server| everything(&fleet, server));
    assert_eq!(after, before, "nothing was touched");
    for server in [MEETING, MEDIA, IVR] {
        fleet.await_health(server, "healthy");
    }
    fleet.await_health(QUEUE, "stopped");
    fleet.extend(&["upgrade"]).expect(0, "all are upgraded");
    for server in [MEETING, MEDIA, IVR] {
        fleet.assert_serves_alone(server);
    }
    let stopped = everything(&fleet, QUEUE);
    assert_eq!(stopped["State"]["Running"], false, "stopped it stays");
    assert_eq!(stopped["Config"]["StopTimeout"], 3, "and is made anew");
}

#[test]
fn what_is_not_the_official_server_is_left_alone() {
    let fleet = Setup::of(&[MEDIA, QUEUE]).up();
    // The right command in an image from elsewhere.
    let engine = fleet.engine();
    let elsewhere = "elsewhere.test/pbx:22";
    engine.docker(&["tag", "extend.test/pbx:22", elsewhere]);
    let mut words = vec!["create", "--name", MEDIA.container];
    words.extend(["--label", "com.docker.compose.project=extend-test"]);
    words.extend([elsewhere, MEDIA.binary, "-a", "54.151.30.9"]);
    words.extend(["-x", MEDIA.node, "-n", MEDIA.name, "start"]);
    engine.docker(&words);
    engine.docker(&["rmi", elsewhere]);
    let refused = |node: &str, why: &str| {
        until("it should be refused for what it is", SOON, || {
            let ran = fleet.extend(&["adopt", "-a", node]);
            if ran.code == 4 && ran.stderr.contains(why) {
                Ok(())
            } else {
                Err(ran.to_string())
            }
        });
    };
    refused(
        MEDIA.node,
        "images from `elsewhere.test/pbx` are not allowed",
    );
    fleet
        .run(MEDIA, &[])
        .expect(4, "run does not replace it")
        .says("docker rename", "and names the way that is left");
    // A node cannot take what was started for another one.
    refused(QUEUE.node, MEDIA.node);
    let seen = everything(&fleet, MEDIA);
    assert_eq!(seen["State"]["Status"], "created", "it was never touched");
}

#[test]
fn an_agent_that_dies_while_it_takes_over_has_touched_nothing() {
    for point in [
        "Accepting",
        "Before(Adopt)",
        "After(Adopt)",
        "Noted(Adopt)",
        "Noted(Settle)",
    ] {
        let mut fleet = Setup::of(&[IVR]).up();
        fleet.script(IVR);
        let before = everything(&fleet, IVR);
        fleet.stop_agent(IVR.node);
        fleet.start_agent_that(IVR.node, Some(point));
        fleet.await_node(IVR.node, "online");
        await_unclaimed(&fleet, IVR);
        let begun = fleet
            .extend(&["adopt", "--all", "--detach"])
            .expect(0, "it is stored");
        fleet.await_crash(IVR.node, point);
        fleet.start_agent(IVR.node);
        let ended = fleet.await_end(begun.stdout.trim());
        assert_eq!(ended["state"], "succeeded", "{point}: {ended:#}");
        let after = everything(&fleet, IVR);
        assert_eq!(after, before, "{point}: nothing was touched");
        fleet.await_health(IVR, "healthy");
    }
}
