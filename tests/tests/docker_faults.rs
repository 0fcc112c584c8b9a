//! Whoever is killed, at whatever moment: the operation ends as it should, once, and the service
//! is what it was asked to be. Real programs, real kills, a real Docker Engine; the sweeps over
//! every moment are the simulated fleets' (`sim_faults`).
//!
//! Needs root and a Docker Engine: `make test` starts one. Without them it fails.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    reason = "everything here is a test, also what is not marked as one"
)]

use std::fs;

use extend_common::clock::Clock;
use extend_tests::real::fleet::SOON;
use extend_tests::real::{
    Fleet, IVR, Instance, MEDIA, MEETING, PrivateEngine, QUEUE, Server, Setup, until,
};

/// Counts what a container goes through from now on, by the Engine's own book.
struct Watch {
    since: jiff::Timestamp,
}

impl Watch {
    fn from_now() -> Self {
        Self {
            since: Clock::system().now(),
        }
    }

    /// How often containers under one of the server's names were started.
    fn starts(&self, fleet: &Fleet, server: Server) -> usize {
        let now = Clock::system().now();
        let (since, now) = (self.since.to_string(), now.to_string());
        let events = fleet.engine().docker(&[
            "events",
            "--since",
            &since,
            "--until",
            &now,
            "--filter",
            "type=container",
            "--filter",
            "event=start",
            "--format",
            "{{.Actor.Attributes.name}}",
        ]);
        events
            .lines()
            .filter(|name| name.starts_with(server.container))
            .count()
    }
}

/// Begins an operation and leaves it to itself; its id.
#[track_caller]
fn detached(fleet: &Fleet, words: &[&str]) -> String {
    let begun = fleet
        .extend(&[words, &["--detach"]].concat())
        .expect(0, "it is stored");
    begun.stdout.trim().to_owned()
}

/// The agent kills itself at `point` of the operation, and another takes its place.
fn killed_at(fleet: &mut Fleet, server: Server, point: &str, words: &[&str]) -> serde_json::Value {
    fleet.stop_agent(server.node);
    fleet.start_agent_that(server.node, Some(point));
    fleet.await_node(server.node, "online");
    let id = detached(fleet, words);
    fleet.await_crash(server.node, point);
    fleet.start_agent(server.node);
    fleet.await_end(&id)
}

#[track_caller]
fn assert_restarted_once(
    fleet: &Fleet,
    server: Server,
    before: &Instance,
    watch: &Watch,
    when: &str,
) {
    let now = fleet.engine().instance(server.container);
    assert_eq!(now.id, before.id, "{when}: a restart keeps the container");
    assert_ne!(
        now.started_at, before.started_at,
        "{when}: I3: it was restarted"
    );
    assert_eq!(watch.starts(fleet, server), 1, "{when}: I1: and once");
    fleet.await_health(server, "healthy");
    fleet.assert_serves_alone(server);
}

#[test]
fn an_agent_killed_in_a_restart_restarts_once() {
    let mut fleet = Setup::of(&[MEDIA]).up();
    fleet.deploy(MEDIA);
    for point in [
        "Accepting",
        "Accepted",
        "Before(Stop)",
        "After(Stop)",
        "Noted(EndStop)",
        "Before(Start)",
        "After(Start)",
        "Before(Settle)",
        "Noted(Settle)",
    ] {
        let before = fleet.engine().instance(MEDIA.container);
        let watch = Watch::from_now();
        let ended = killed_at(&mut fleet, MEDIA, point, &["restart"]);
        assert_eq!(ended["state"], "succeeded", "killed at {point}: {ended:#}");
        assert_restarted_once(
            &fleet,
            MEDIA,
            &before,
            &watch,
            &format!("killed at {point}"),
        );
    }
}

#[test]
fn an_agent_killed_in_an_upgrade_upgrades_once() {
    let mut fleet = Setup::of(&[QUEUE]).up();
    fleet.deploy(QUEUE);
    let versions = ["22.4.0", "22.3.0"].iter().cycle();
    let points = [
        "After(Resolve)",
        "After(Stop)",
        "After(Rename)",
        "Before(Create)",
        "After(Create)",
        "Before(Start)",
        "After(Start)",
        "Before(Promote)",
        "Noted(Promote)",
        "After(Remove)",
        "Noted(Settle)",
    ];
    for (point, version) in points.into_iter().zip(versions) {
        let before = fleet.engine().instance(QUEUE.container);
        let watch = Watch::from_now();
        fleet.release(version);
        let ended = killed_at(&mut fleet, QUEUE, point, &["upgrade", "--force"]);
        assert_eq!(ended["state"], "succeeded", "killed at {point}: {ended:#}");
        let now = fleet.engine().instance(QUEUE.container);
        assert_ne!(
            now.id, before.id,
            "killed at {point}: there is a new container"
        );
        assert_eq!(
            watch.starts(&fleet, QUEUE),
            1,
            "killed at {point}: I1: it was started once"
        );
        assert!(
            fleet.engine().find(&before.id).is_none(),
            "killed at {point}: the old one is gone"
        );
        fleet.await_health(QUEUE, "healthy");
        assert_eq!(
            fleet.server(QUEUE).unwrap()["version"],
            *version,
            "killed at {point}"
        );
        fleet.assert_serves_alone(QUEUE);
    }
}

#[test]
fn an_agent_killed_in_a_crashing_upgrade_goes_back() {
    let mut fleet = Setup::of(&[MEETING]).up();
    let before = fleet.deploy(MEETING);
    fleet.control(MEETING, "22.4.0/crash-at-start=42\n");
    fleet.release("22.4.0");
    for point in [
        "After(Start)",
        "Before(Spend)",
        "After(Spend)",
        "Noted(Spend)",
        "After(Rename)",
    ] {
        let ended = killed_at(&mut fleet, MEETING, point, &["upgrade"]);
        assert_eq!(
            ended["state"], "rolled-back",
            "killed at {point}: {ended:#}"
        );
        let now = fleet.engine().instance(MEETING.container);
        assert_eq!(
            now.id, before.id,
            "killed at {point}: the old container serves again"
        );
        fleet.await_health(MEETING, "healthy");
        assert_eq!(
            fleet.server(MEETING).unwrap()["version"],
            "22.3.0",
            "killed at {point}"
        );
        let live: Vec<_> = fleet.engine().ours();
        let live: Vec<_> = live.iter().filter(|(_, state)| state != "exited").collect();
        assert_eq!(
            live.len(),
            1,
            "killed at {point}: I6: nothing else runs: {live:?}"
        );
    }
}

/// Waits until the operation that was begun last is at this phase of its one target.
fn await_phase(fleet: &Fleet, id: &str, phase: &str) {
    until(&format!("the operation should be {phase}"), SOON, || {
        let shown = fleet.operation(id);
        if shown["targets"][0]["phase"] == phase {
            Ok(())
        } else {
            Err(format!("{shown:#}"))
        }
    });
}

#[test]
fn killed_controllers_lose_nothing_and_repeat_nothing() {
    let mut fleet = Setup::of(&[IVR]).up();
    fleet.deploy(IVR);
    fleet.control(IVR, "stop-delay-ms=2000\n");

    for (who, agent_too) in [("the controller", false), ("controller and agent", true)] {
        let before = fleet.engine().instance(IVR.container);
        let watch = Watch::from_now();
        let typed = fleet.begin(&["restart"]);
        let id = until("the operation should be there", SOON, || {
            let last = fleet.last_operation();
            let open = last["verb"] == "restart" && last["ended_at"].is_null();
            if open {
                Ok(last["id"].as_str().unwrap().to_owned())
            } else {
                Err(last.to_string())
            }
        });
        await_phase(&fleet, &id, "stopping");
        fleet.kill_controller();
        if agent_too {
            fleet.kill_agent(IVR.node);
        }
        assert_eq!(
            fleet.extend(&["status"]).code,
            5,
            "without a controller: unreachable"
        );
        fleet.start_controller();
        if agent_too {
            fleet.start_agent(IVR.node);
        }
        let typed = typed
            .end()
            .expect(0, &format!("{who} killed: who watches comes back to it"));
        typed.says("succeeded", "and is told the end");
        let ended = fleet.await_end(&id);
        assert_eq!(ended["state"], "succeeded", "{who} killed: {ended:#}");
        assert_restarted_once(&fleet, IVR, &before, &watch, &format!("{who} killed"));
    }

    // A controller that is away for the whole of it: the agent carries on alone.
    let before = fleet.engine().instance(IVR.container);
    let id = detached(&fleet, &["restart"]);
    await_phase(&fleet, &id, "stopping");
    fleet.kill_controller();
    fleet.await_container(IVR.container, "run anew", |seen| {
        seen["State"]["Running"] == true && seen["State"]["StartedAt"] != before.started_at.as_str()
    });
    fleet.start_controller();
    let ended = fleet.await_end(&id);
    assert_eq!(
        ended["state"], "succeeded",
        "what happened meanwhile is told: {ended:#}"
    );
}

#[test]
fn health_is_kept_without_a_controller() {
    let mut fleet = Setup::of(&[MEDIA]).up();
    let before = fleet.deploy(MEDIA);
    fleet.kill_controller();
    fleet.control(MEDIA, "hang=true\n");
    let now = fleet.await_container(MEDIA.container, "be restarted by its agent", |seen| {
        let since = seen["State"]["StartedAt"].as_str().unwrap_or_default();
        if since != before.started_at {
            return seen["State"]["Running"] == true;
        }
        false
    });
    assert_eq!(
        now["Id"],
        before.id.as_str(),
        "a health restart keeps the container"
    );
    fleet.control(MEDIA, "");
    fleet.start_controller();
    fleet.await_health(MEDIA, "healthy");
    let shown = fleet.server(MEDIA).unwrap();
    assert!(
        shown["agent_restarts"].as_u64().unwrap() >= 1,
        "it is counted: {shown:#}"
    );
    fleet.assert_serves_alone(MEDIA);
}

#[test]
fn an_empty_store_touches_nothing_and_is_filled_again() {
    let mut fleet = Setup::of(&[MEDIA, QUEUE]).up();
    let media = fleet.deploy(MEDIA);
    fleet.deploy(QUEUE);
    fleet
        .extend(&["stop", "-n", QUEUE.name])
        .expect(0, "the queue server is stopped");
    let queue = fleet.engine().inspect(QUEUE.container);
    let untouched = |fleet: &Fleet| {
        assert_eq!(
            fleet.engine().instance(MEDIA.container),
            media,
            "I8: nothing is restarted"
        );
        assert_eq!(
            fleet.engine().inspect(QUEUE.container),
            queue,
            "I8: or started, or removed"
        );
    };

    fleet.stop_controller();
    let state = fs::read_dir(fleet.path("controller")).unwrap();
    for file in state.map(|file| file.unwrap().path()) {
        if file
            .file_name()
            .unwrap()
            .to_string_lossy()
            .starts_with("store.db")
        {
            fs::remove_file(file).unwrap();
        }
    }
    fleet.start_controller();
    for server in [MEDIA, QUEUE] {
        fleet.await_node(server.node, "ahead");
    }
    untouched(&fleet);
    let refused = fleet
        .run(MEDIA, &[])
        .expect(4, "verbs on a node that is ahead are refused");
    refused.says("extend controller recover", "with the way out");
    untouched(&fleet);

    let recovered = fleet
        .extend(&["controller", "recover"])
        .expect(0, "the records are taken back");
    recovered.says(MEDIA.name, "").says(QUEUE.name, "");
    for server in [MEDIA, QUEUE] {
        fleet.await_node(server.node, "online");
    }
    fleet.await_health(MEDIA, "healthy");
    fleet.await_health(QUEUE, "stopped");
    untouched(&fleet);

    fleet
        .extend(&["restart", "-n", MEDIA.name])
        .expect(0, "then a restart works");
    assert_ne!(
        fleet.engine().instance(MEDIA.container).started_at,
        media.started_at
    );
    fleet
        .extend(&["start", "-n", QUEUE.name])
        .expect(0, "and a start");
    fleet.await_health(QUEUE, "healthy");
    fleet.release("22.4.0");
    fleet.extend(&["upgrade"]).expect(0, "and an upgrade");
    for server in [MEDIA, QUEUE] {
        fleet.assert_serves_alone(server);
    }
}

#[test]
fn a_backup_brings_a_lost_controller_back() {
    let mut fleet = Setup::of(&[MEDIA]).up();
    fleet.deploy(MEDIA);
    let archive = fleet.path("backup.tar").display().to_string();
    let backup = ["controller", "backup", archive.as_str()];
    fleet
        .extend(&backup)
        .expect(0, "a backup is made while the controller runs");
    fleet
        .extend(&backup)
        .expect(2, "a backup never overwrites another");
    let (before, shown) = (
        fleet.engine().instance(MEDIA.container),
        fleet.server(MEDIA).unwrap(),
    );

    fleet.kill_controller();
    fs::remove_dir_all(fleet.path("controller")).unwrap();
    fleet
        .controller_command(&["restore", &archive])
        .expect(0, "it is restored");
    fleet.start_controller();
    fleet.await_node(MEDIA.node, "online");
    fleet.await_health(MEDIA, "healthy");
    let mut now = fleet.server(MEDIA).unwrap();
    now["since"] = shown["since"].clone();
    assert_eq!(now, shown, "the controller knows what it knew");
    assert_eq!(
        fleet.engine().instance(MEDIA.container),
        before,
        "I8: nothing was touched"
    );
    fleet.extend(&["restart"]).expect(0, "and works on");

    // The same backup again is old by now: the node has had a record since.
    let before = fleet.engine().instance(MEDIA.container);
    fleet.stop_controller();
    fleet
        .controller_command(&["restore", &archive])
        .expect(1, "not over a state that is there");
    let forced = fleet.controller_command(&["restore", "--force", &archive]);
    forced.expect(0, "unless it is insisted on; the state is moved aside");
    fleet.start_controller();
    fleet.await_node(MEDIA.node, "ahead");
    assert_eq!(
        fleet.engine().instance(MEDIA.container),
        before,
        "I8: an old store touches nothing"
    );
    fleet
        .extend(&["controller", "recover"])
        .expect(0, "the record is taken back");
    fleet.await_node(MEDIA.node, "online");
    assert_eq!(
        fleet.engine().instance(MEDIA.container),
        before,
        "and nothing is touched"
    );
    fleet.extend(&["restart"]).expect(0, "then a restart works");
    fleet.assert_serves_alone(MEDIA);
}

#[test]
fn a_damaged_ledger_is_kept_aside_and_the_node_works_on() {
    let mut fleet = Setup::of(&[MEETING]).up();
    let before = fleet.deploy(MEETING);
    for damage in ["extend-ledger 1 0000\n{\"half\":", ""] {
        fleet.stop_agent(MEETING.node);
        let ledger = fleet.agent_state(MEETING.node).join("ledger.json");
        assert!(ledger.is_file(), "the ledger is there");
        fs::write(&ledger, damage).unwrap();
        fleet.start_agent(MEETING.node);
        fleet.await_node(MEETING.node, "online");
        fleet.await_health(MEETING, "healthy");
        let now = fleet.engine().instance(MEETING.container);
        assert_eq!(
            now, before,
            "a ledger that is lost costs no service its run"
        );
    }
    let kept = fs::read_dir(fleet.agent_state(MEETING.node)).unwrap();
    let kept = kept.filter(|file| {
        let name = file.as_ref().unwrap().file_name();
        name.to_string_lossy().starts_with("ledger.json.damaged-")
    });
    assert_eq!(kept.count(), 2, "damaged ledgers are kept aside");

    fleet.extend(&["restart"]).expect(0, "the node works on");
    let now = fleet.engine().instance(MEETING.container);
    assert_eq!(now.id, before.id);
    fleet.release("22.4.0");
    fleet.extend(&["upgrade"]).expect(0, "also with an upgrade");
    assert_eq!(fleet.server(MEETING).unwrap()["version"], "22.4.0");
    fleet.assert_serves_alone(MEETING);
}

#[test]
fn a_node_that_was_away_does_nothing_late() {
    let mut fleet = Setup::of(&[QUEUE]).up();
    let before = fleet.deploy(QUEUE);
    for verb in ["restart", "stop", "rm"] {
        fleet.kill_agent(QUEUE.node);
        fleet.await_node(QUEUE.node, "offline");
        let ended = fleet.extend(&[verb, "-n", QUEUE.name, "--timeout", "3s"]);
        ended.expect(
            1,
            &format!("{verb} of a node that is away ends at its time-out"),
        );
        let last = fleet.last_operation();
        assert_eq!(last["state"], "timed-out", "{last:#}");
        let id = last["id"].as_str().unwrap().to_owned();

        fleet.start_agent(QUEUE.node);
        fleet.await_node(QUEUE.node, "online");
        fleet.await_health(QUEUE, "healthy");
        let shown = fleet.operation(&id);
        let late = shown["targets"][0]["late"]
            .as_str()
            .unwrap_or_default()
            .to_owned();
        assert!(
            late.contains("nothing was done"),
            "{verb}: it is told: {shown:#}"
        );
        let now = fleet.engine().instance(QUEUE.container);
        assert_eq!(
            now, before,
            "I4: {verb}: nothing happens after an operation's end"
        );
        assert_eq!(
            fleet.server(QUEUE).unwrap()["run_state"],
            "running",
            "{verb}"
        );
    }
    fleet.extend(&["restart"]).expect(0, "the node works on");
    fleet.assert_serves_alone(QUEUE);
}

#[test]
fn an_engine_that_hangs_or_restarts_is_waited_for() {
    let mut private = PrivateEngine::start();
    let engine = private.engine().clone();
    let mut fleet = Setup::of(&[MEDIA, IVR]).on(&engine).up();
    let before = fleet.deploy(MEDIA);
    fleet.deploy(IVR);
    fleet
        .extend(&["stop", "-n", IVR.name])
        .expect(0, "one server is stopped");

    let frozen = private.freeze();
    let unresponsive = |fleet: &Fleet| {
        let shown = fleet.node(MEDIA.node);
        let told = shown["docker_trouble"].as_str().unwrap_or_default();
        if told.contains("docker unresponsive") {
            Ok(shown)
        } else {
            Err(format!("{shown:#}"))
        }
    };
    let shown = until("a Docker that hangs should be told", SOON, || {
        unresponsive(&fleet)
    });
    assert_eq!(
        shown["state"], "online",
        "the agent itself is well: {shown:#}"
    );
    let list = fleet
        .extend(&["node", "list"])
        .expect(0, "the list of nodes");
    list.says("docker unresponsive", "shows it too");
    let seen_at = shown["last_seen_at"].as_str().unwrap().to_owned();
    let id = detached(&fleet, &["restart", "-n", MEDIA.name]);
    until("the agent should go on giving signs of life", SOON, || {
        let shown = unresponsive(&fleet)?;
        let moved = shown["last_seen_at"].as_str().unwrap() > seen_at.as_str();
        if moved && shown["state"] == "online" {
            Ok(())
        } else {
            Err(format!("{shown:#}"))
        }
    });
    drop(frozen);
    let ended = fleet.await_end(&id);
    assert_eq!(
        ended["state"], "succeeded",
        "what came meanwhile is done then: {ended:#}"
    );
    until("all should be well again", SOON, || {
        let shown = fleet.node(MEDIA.node);
        if shown["docker_trouble"].is_null() {
            Ok(())
        } else {
            Err(format!("{shown:#}"))
        }
    });
    let now = fleet.engine().instance(MEDIA.container);
    assert_eq!(now.id, before.id);
    assert_ne!(now.started_at, before.started_at);
    fleet.assert_serves_alone(MEDIA);
    fleet.check_bystanders();

    private.down();
    until("a Docker that is gone should be told", SOON, || {
        unresponsive(&fleet)
    });
    private.up();
    fleet.bystanders_saw_a_restart();
    fleet.await_health(MEDIA, "healthy");
    fleet.await_health(IVR, "stopped");
    assert_eq!(
        fleet.engine().instance(MEDIA.container).id,
        before.id,
        "the same container"
    );
    fleet.assert_serves_alone(MEDIA);
    let stopped = fleet.engine().inspect(IVR.container);
    assert_eq!(
        stopped["State"]["Running"], false,
        "what was stopped stays stopped"
    );
    fleet
        .extend(&["restart", "-n", MEDIA.name])
        .expect(0, "and a restart works");
}
