//! What the agent notices of real servers beside their TCP ports: that they are deaf to SIP, take
//! no calls, leak, or fill their disk.
//!
//! Needs root and a Docker Engine: `make test` starts one. Without them it fails.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    reason = "everything here is a test, also what is not marked as one"
)]

use std::fs;
use std::time::Duration;

use extend_tests::real::{
    Fleet, IVR, Instance, MEDIA, Probing, QUEUE, Server, Setup, SmallDisk, until,
};
use serde_json::Value;

/// The heartbeat that brings figures comes every ten seconds, and a machine has other things to do.
const TOLD: Duration = Duration::from_secs(60);
/// The same as in the built-in definitions, sooner.
const SOONER: Probing = Probing(&[
    ("sip", "interval", "\"500ms\""),
    ("sip", "timeout", "\"400ms\""),
    ("disk", "interval", "\"500ms\""),
    ("memory", "interval", "\"200ms\""),
    ("memory", "timeout", "\"5s\""),
]);
/// The data of a media server and some room.
const DISK: u64 = 64 << 20;

/// Waits until a probe has passed on the present run.
fn await_passed(fleet: &Fleet, server: Server, point: &str) {
    until(&format!("{point} should pass"), TOLD, || {
        let shown = fleet.extend(&["health", server.name, "-o", "json"]);
        let shown = shown.expect(0, "its health is shown").json();
        let service = &shown["servers"][0]["service"];
        let probes = service["probes"].as_array();
        let mut probes = probes.into_iter().flatten();
        let is_well = |probe: &Value| probe["point"] == point && probe["passed"] == true;
        if probes.any(is_well) {
            Ok(())
        } else {
            Err(format!("{service:#}"))
        }
    });
}

/// Waits for an event of this kind that tells of this.
fn await_event(fleet: &Fleet, server: Server, kind: &str, words: &str) {
    until(&format!("an event should say: {words}"), TOLD, || {
        let words_of = ["events", "-n", server.name, "--kind", kind, "-o", "json"];
        let told = fleet.extend(&words_of).expect(0, "events are shown").stdout;
        if told.contains(words) {
            Ok(())
        } else {
            Err(told)
        }
    });
}

fn assert_untouched(fleet: &Fleet, server: Server, before: &Instance) {
    let shown = fleet.server(server).unwrap();
    assert_eq!(shown["agent_restarts"], 0, "{shown:#}");
    assert_eq!(
        shown["health"], "healthy",
        "a warning is no ill health: {shown:#}"
    );
    let now = fleet.engine().instance(server.container);
    assert_eq!(now.started_at, before.started_at);
}

#[test]
fn a_server_that_is_deaf_to_sip_with_its_tcp_ports_open_is_restarted_and_one_that_drains_is_not() {
    let fleet = Setup::of(&[QUEUE, IVR]).probing(SOONER).up();
    let deaf = fleet.deploy(QUEUE);
    let drains = fleet.deploy(IVR);
    for (server, port) in [(QUEUE, QUEUE.port), (IVR, IVR.port)] {
        for transport in ["udp", "tcp"] {
            await_passed(&fleet, server, &format!("sip {transport}/{port}"));
        }
    }
    fleet.control(IVR, "sip-status=503\n");
    fleet.await_health(IVR, "draining");
    fleet.control(QUEUE, "sip-silent=true\n");
    until("another run of the same container", TOLD, || {
        let now = fleet.engine().instance(QUEUE.container);
        if now.id == deaf.id && now.started_at != deaf.started_at {
            Ok(())
        } else {
            Err(format!("{:#}", fleet.server(QUEUE).unwrap()))
        }
    });
    // The new run is silent as well, and no other restart would help: people are told.
    until("deaf still", TOLD, || {
        let shown = fleet.server(QUEUE).unwrap();
        let why = shown["reason"].as_str().unwrap_or_default();
        match shown["health"] == "unhealthy" && why.contains("where it answered before") {
            true => Ok(()),
            false => Err(format!("{shown:#}")),
        }
    });
    let shown = fleet.server(QUEUE).unwrap();
    assert_eq!(shown["agent_restarts"], 1, "{shown:#}");
    let why = shown["reason"].as_str().unwrap_or_default();
    for words in [
        "no answer to SIP OPTIONS on ",
        "/8916 for 3 × 500ms: nothing came within 400ms",
    ] {
        assert!(why.contains(words), "{shown:#}");
    }
    fleet.control(IVR, "");
    fleet.await_health(IVR, "healthy");
    assert_untouched(&fleet, IVR, &drains);
    fleet.check_bystanders();
}

#[test]
fn a_leak_is_told_of_with_its_figures_and_restarts_nobody() {
    let fleet = Setup::of(&[QUEUE]).probing(SOONER).up();
    let before = fleet.deploy(QUEUE);
    await_passed(&fleet, QUEUE, "memory");
    fleet.control(QUEUE, "leak-mb=200\n");
    await_event(&fleet, QUEUE, "warning", "more than its baseline of ");
    assert_untouched(&fleet, QUEUE, &before);
}

#[test]
fn a_disk_that_fills_up_is_told_of_until_it_has_room_and_restarts_nobody() {
    let fleet = Setup::of(&[MEDIA]).probing(SOONER).up();
    // Dropped before the fleet.
    let data = fleet.data(MEDIA.node);
    let _disk = SmallDisk::over(&data, DISK);
    let mode = std::os::unix::fs::PermissionsExt::from_mode(0o755);
    fs::set_permissions(&data, mode).unwrap();
    let before = fleet.deploy(MEDIA);
    fleet.control(MEDIA, "fill-mb=60\n");
    await_event(&fleet, MEDIA, "warning", "is free (");
    assert_untouched(&fleet, MEDIA, &before);
    fleet.control(MEDIA, "fill-mb=0\n");
    await_event(&fleet, MEDIA, "warning", "has room again");
    assert_untouched(&fleet, MEDIA, &before);
}
