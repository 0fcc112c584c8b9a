//! What the agent mends by itself on real nodes: servers that hang, freeze, crash in a loop, start
//! slowly, ignore SIGTERM, or lose their PBX for a while.
//!
//! Needs root and a Docker Engine: `make test` starts one. Without them it fails.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    reason = "everything here is a test, also what is not marked as one"
)]

use std::time::Duration;

use extend_tests::real::fleet::SOON;
use extend_tests::real::{
    Fleet, IVR, Instance, MEDIA, MEETING, QUEUE, Server, Setup, Times, until,
};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use serde_json::Value;

/// Three probes five seconds apart, the time-out of the last, ten seconds to end, and a machine
/// that has other things to do.
const HEALED: Duration = Duration::from_secs(60);

fn pid(seen: &Value) -> Pid {
    let pid = seen["State"]["Pid"].as_i64().expect("a process");
    Pid::from_raw(i32::try_from(pid).unwrap())
}

/// Waits for another run of the same container.
fn await_new_run(fleet: &Fleet, server: Server, before: &Instance) {
    until("another run of the same container", HEALED, || {
        let now = fleet.engine().inspect(server.container);
        let same = now["Id"] == before.id.as_str();
        let since = now["State"]["StartedAt"].as_str().unwrap_or_default();
        if same && since != before.started_at && now["State"]["Running"] == true {
            Ok(())
        } else {
            Err(format!("{:#}", now["State"]))
        }
    });
}

#[test]
fn four_ill_servers_are_mended_without_a_controller() {
    let mut fleet = Setup::of(&[MEETING, QUEUE, MEDIA, IVR]).up();
    let hangs = fleet.deploy(MEDIA);
    let freezes = fleet.deploy(QUEUE);
    let is_deaf = fleet.deploy(MEETING);
    let loops = fleet.deploy(IVR);
    fleet.kill_controller();

    let frozen = pid(&fleet.engine().inspect(QUEUE.container));
    kill(frozen, Signal::SIGSTOP).unwrap();
    fleet.control(MEDIA, "hang=true\n");
    fleet.control(MEETING, "deaf=true\nignore-sigterm=true\n");
    fleet.control(IVR, "crash-after-ms=300\n");
    for (server, before) in [(QUEUE, &freezes), (MEDIA, &hangs), (MEETING, &is_deaf)] {
        await_new_run(&fleet, server, before);
    }
    fleet.control(MEDIA, "");
    fleet.control(MEETING, "");
    fleet.control(IVR, "");
    fleet.start_controller();
    for server in [QUEUE, MEDIA, MEETING, IVR] {
        fleet.await_health(server, "healthy");
        fleet.assert_serves_alone(server);
    }
    for server in [QUEUE, MEDIA, MEETING] {
        let shown = fleet.server(server).unwrap();
        let restarts = shown["agent_restarts"].as_u64().unwrap();
        assert!((1..=4).contains(&restarts), "{shown:#}");
        let why = shown["reason"].as_str().unwrap_or_default();
        assert!(why.contains("restarted by the agent"), "{shown:#}");
    }
    let shown = fleet.server(QUEUE).unwrap();
    assert_eq!(
        shown["agent_restarts"], 1,
        "a new process is not frozen: {shown:#}"
    );
    let why = shown["reason"].as_str().unwrap_or_default();
    let port = format!("no answer on tcp/{}", QUEUE.port);
    assert!(why.contains(&port), "the probe is named: {shown:#}");
    let shown = fleet.server(IVR).unwrap();
    assert_eq!(
        shown["agent_restarts"], 0,
        "a crash loop is Docker's: {shown:#}"
    );
    assert!(shown["docker_restarts"].as_u64().unwrap() >= 2, "{shown:#}");
    assert_eq!(fleet.engine().instance(IVR.container).id, loops.id);
    fleet.check_bystanders();
}

#[test]
fn a_slow_start_and_half_a_minute_without_the_pbx_restart_and_quarantine_nobody_for_good() {
    let fleet = Setup::of(&[MEDIA, IVR]).with(Times::OFFICIAL).up();
    let slow = fleet.deploy(MEDIA);
    let before = fleet.deploy(IVR);
    fleet.control(MEDIA, "start-delay-ms=25000\n");
    // Without its PBX a server ends at once, again and again.
    fleet.control(IVR, "crash-at-start=1\n");
    for server in [MEDIA, IVR] {
        kill(
            pid(&fleet.engine().inspect(server.container)),
            Signal::SIGKILL,
        )
        .unwrap();
    }
    let without_pbx = std::time::Instant::now();
    await_new_run(&fleet, MEDIA, &slow);
    until("half a minute without the PBX", HEALED, || {
        let shown = fleet.server(IVR).unwrap();
        let looped = shown["docker_restarts"].as_u64().unwrap_or_default() >= 5;
        let long = without_pbx.elapsed() >= Duration::from_secs(30);
        if looped && long {
            assert_ne!(shown["health"], "healthy", "{shown:#}");
            Ok(())
        } else {
            Err(format!("{shown:#}"))
        }
    });
    fleet.control(IVR, "");
    // Docker waits up to a minute between its restarts.
    until(
        "the server should be back",
        Duration::from_secs(120),
        || {
            let shown = fleet.server(IVR).unwrap();
            if shown["health"] == "healthy" {
                Ok(())
            } else {
                Err(format!("{shown:#}"))
            }
        },
    );
    fleet.await_health(MEDIA, "healthy");
    for (server, id) in [(MEDIA, &slow.id), (IVR, &before.id)] {
        let shown = fleet.server(server).unwrap();
        assert_eq!(shown["agent_restarts"], 0, "{shown:#}");
        assert_eq!(fleet.engine().instance(server.container).id, *id);
        fleet.assert_serves_alone(server);
    }
}

#[test]
fn what_was_stopped_by_hand_is_started_again() {
    let fleet = Setup::of(&[MEDIA]).up();
    let before = fleet.deploy(MEDIA);
    fleet
        .engine()
        .docker(&["stop", "-t", "10", MEDIA.container]);
    await_new_run(&fleet, MEDIA, &before);
    fleet.await_health(MEDIA, "healthy");
    until("it should be counted", SOON, || {
        let shown = fleet.server(MEDIA).unwrap();
        if shown["agent_restarts"] == 1 {
            Ok(())
        } else {
            Err(format!("{shown:#}"))
        }
    });
    fleet.assert_serves_alone(MEDIA);
}
