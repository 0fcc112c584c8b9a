//! Agents and controllers that are killed in the middle of an operation.

use extend_tests::real::fleet::SOON;
use extend_tests::real::{Fleet, IVR, MEDIA, MEETING, QUEUE, Setup, until};

use crate::common::{Watch, assert_restarted_once, detached, killed_at};

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
fn a_controller_that_dies_between_disk_and_word_keeps_its_word() {
    let mut fleet = Setup::of(&[MEDIA]).up();
    fleet.deploy(MEDIA);
    let points = [
        "before-commit:submit",
        "after-commit:submit",
        "before-replies:submit",
        "after-replies:submit",
        "before-commit:report",
        "after-commit:report",
    ];
    for point in points {
        let before = fleet.engine().instance(MEDIA.container);
        let watch = Watch::from_now();
        fleet.stop_controller();
        fleet.start_controller_that(Some(point));
        fleet.await_node(MEDIA.node, "online");
        let typed = fleet.begin(&["restart"]);
        fleet.await_controller_crash(point);
        fleet.start_controller();
        let typed = typed
            .end()
            .expect(0, &format!("died at {point}: the command asks again"));
        typed.says("succeeded", "and is told the end");
        assert_restarted_once(&fleet, MEDIA, &before, &watch, &format!("died at {point}"));
    }
}
