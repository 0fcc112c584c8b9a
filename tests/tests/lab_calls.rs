//! Real calls while a media server is drained: sockets of its user that media flows through. In
//! the lab: `make test-lab`.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    reason = "everything here is a test, also what is not marked as one"
)]

use extend_tests::lab::calls::{Call, Relay, SOCKETS};
use extend_tests::lab::{Before, Lab, MEDIA, May, SOON, invariants, node_of};
use extend_tests::real::{Instance, until};
use serde_json::Value;

/// Nothing has touched what serves, and all calls go on.
#[track_caller]
fn goes_on(instance: &Instance, calls: &[&Call<'_>]) {
    assert_eq!(
        &node_of(MEDIA).instance(MEDIA.container),
        instance,
        "the server was touched"
    );
    for call in calls {
        call.flows();
    }
}

/// Begins an operation, and leaves it to itself.
fn begin(lab: &Lab, words: &[&str]) -> String {
    let asked = lab.extend(&[words, &["--detach"]].concat());
    asked.expect(0, "it is recorded").stdout.trim().to_owned()
}

/// Waits until an operation's only target waits for so many sessions, and the server says so too.
#[track_caller]
fn await_draining(lab: &Lab, id: &str, detail: &str, sessions: u64) -> Value {
    let shown = until(&format!("{id} should tell `{detail}`"), SOON, || {
        let shown = lab.operation(id);
        let target = &shown["targets"][0];
        let is_so = target["phase"] == "draining" && target["detail"] == detail;
        if is_so {
            Ok(shown)
        } else {
            Err(format!("{shown:#}"))
        }
    });
    lab.await_server(MEDIA, "have these sessions", SOON, |shown| {
        shown["sessions"]["count"] == sessions
    });
    shown
}

fn phases(operation: &Value) -> Vec<String> {
    let entered = operation["targets"][0]["phases"].as_array().unwrap();
    let phase = |one: &Value| one["phase"].as_str().unwrap().to_owned();
    entered.iter().map(phase).collect()
}

#[test]
fn a_restart_waits_until_the_last_call_has_ended() {
    let lab = Lab::healthy_fleet();
    let before = Before::look(&lab);
    let instance = before.instance(MEDIA);
    let relay = Relay::start(MEDIA);
    let (first, second) = (relay.call("first"), relay.call("second"));
    let mut ports = [first.ports(), second.ports()].concat();
    ports.sort_unstable();
    assert_eq!(ports.len(), 2 * SOCKETS);
    assert_eq!(relay.ports(), ports, "the kernel shows the ports of both");

    let id = begin(
        &lab,
        &["restart", "-s", "media-server-only", "--drain", "10m"],
    );
    await_draining(&lab, &id, "draining: 2 sessions", 2);
    goes_on(instance, &[&first, &second]);
    first.hang_up();
    await_draining(&lab, &id, "draining: 1 session", 1);
    goes_on(instance, &[&second]);
    assert!(lab.operation(&id)["ended_at"].is_null());
    second.hang_up();
    let ended = lab.await_end(&id);
    assert_eq!(ended["state"], "succeeded", "{ended:#}");
    assert!(phases(&ended).contains(&"draining".to_owned()), "{ended:#}");
    assert_eq!(invariants::starts(node_of(MEDIA), before.at()), 1, "once");
    assert_ne!(&node_of(MEDIA).instance(MEDIA.container), instance);
    before.check(&lab, &[(MEDIA, May::BeRestarted)]);
}

#[test]
fn calls_are_never_cut_unasked() {
    let lab = Lab::healthy_fleet();
    let before = Before::look(&lab);
    let instance = before.instance(MEDIA);
    let relay = Relay::start(MEDIA);
    let (first, second) = (relay.call("first"), relay.call("second"));

    // At the limit nothing is done, and the way to force it is said.
    let words = ["restart", "-s", "media-server-only", "--drain", "5s"];
    let refused = lab.extend(&words).expect(1, "calls were left");
    let refused = refused.says("2 sessions were left after 5s", "why nothing was done");
    refused.says(
        "extend restart -a 172.31.16.139 --now",
        "the line to force it",
    );
    goes_on(instance, &[&first, &second]);
    lab.await_healthy(MEDIA);
    before.check(&lab, &[]);

    // A server that is held takes no new sessions and goes on running.
    let id = begin(&lab, &["drain", "-a", MEDIA.node]);
    await_draining(&lab, &id, "draining: 2 sessions", 2);
    assert_eq!(lab.server(MEDIA)["health"], "draining");
    goes_on(instance, &[&first, &second]);
    first.hang_up();
    await_draining(&lab, &id, "draining: 1 session", 1);
    second.hang_up();
    let ended = lab.await_end(&id);
    assert_eq!(ended["state"], "succeeded", "{ended:#}");
    let held = lab.server(MEDIA);
    assert_eq!(held["health"], "draining", "until it is undone: {held:#}");
    // A call that finds its way all the same is seen.
    let late = relay.call("late");
    lab.await_server(MEDIA, "have a session", SOON, |shown| {
        shown["sessions"]["count"] == 1 && shown["health"] == "draining"
    });
    lab.extend(&["undrain", "-a", MEDIA.node])
        .expect(0, "it takes sessions again");
    lab.await_healthy(MEDIA);
    goes_on(instance, &[&late]);
    before.check(&lab, &[]);

    // An operator's word, and nobody waits.
    let id = begin(&lab, &["restart", "-s", "media-server-only", "--now"]);
    let ended = lab.await_end(&id);
    assert_eq!(ended["state"], "succeeded", "{ended:#}");
    assert!(
        !phases(&ended).contains(&"draining".to_owned()),
        "{ended:#}"
    );
    assert_ne!(&node_of(MEDIA).instance(MEDIA.container), instance);
    late.hang_up();
    assert!(relay.ports().is_empty(), "no call is left");
    before.check(&lab, &[(MEDIA, May::BeRestarted)]);
}
