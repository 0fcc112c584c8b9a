//! Networks that lose packets, and networks that are cut. In the lab: `make test-lab`.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    reason = "everything here is a test, also what is not marked as one"
)]

use std::time::{Duration, Instant};

use extend_tests::lab::{
    Before, Lab, MEDIA, May, NODES, PRIMARY, QUEUE, SOON, faults, length, node_of,
};
use extend_tests::real::until;
use jiff::Timestamp;

/// Three probes five seconds apart, the time-out of the last, ten seconds to end, and a machine
/// that has other things to do.
const HEALED: Duration = Duration::from_secs(60);
/// In how much silence a node has to be offline.
const SEEN: Duration = Duration::from_secs(5);
/// A wait that ends a little early does not miss its bound.
const PACE: Duration = Duration::from_millis(500);
/// What looking takes on a busy machine: it is no part of the controller's verdict.
const LOOK: Duration = Duration::from_secs(2);

#[test]
fn a_controller_that_is_cut_off_is_not_needed_and_learns_everything_later() {
    let lab = Lab::healthy_fleet();
    let cut = length(Duration::from_secs(25), Duration::from_secs(60));
    let before = Before::look(&lab);
    let (began, at) = (Instant::now(), Timestamp::now());
    let fault = faults::cut_off(PRIMARY);
    let frozen = faults::freeze(node_of(MEDIA), before.instance(MEDIA).pid);
    for node in NODES {
        lab.await_node(node, "be offline", SOON, |shown| {
            shown["state"] == "offline"
        });
    }
    // Its agent heals it, with nobody to ask.
    until("another run of the same container", HEALED, || {
        let now = node_of(MEDIA).instance(MEDIA.container);
        if now.id == before.instance(MEDIA).id
            && now.pid > 0
            && now.pid != before.instance(MEDIA).pid
        {
            Ok(())
        } else {
            Err(format!("{now:?}"))
        }
    });
    let healed = Timestamp::now();
    until("the cut should last", cut, || {
        // It has lasted when there is nothing left to wait for.
        if began.elapsed() >= cut - PACE {
            Ok(())
        } else {
            Err("it is too short".to_owned())
        }
    });
    assert_eq!(
        lab.node(node_of(MEDIA))["state"],
        "offline",
        "the controller was cut off meanwhile"
    );
    let healing = Timestamp::now();
    fault.mend();
    drop(frozen);
    for node in NODES {
        lab.await_online(node);
    }
    // What happened meanwhile is told in its order and with its own times.
    let steps = ["unhealthy", "restarting it", "healthy again"];
    let told = until("the history should be complete", SOON, || {
        let told = lab.events(&["-n", MEDIA.name], at);
        let place = |step: &&str| {
            told.iter()
                .position(|event| event["text"].as_str().unwrap_or_default().contains(*step))
        };
        let places: Option<Vec<_>> = steps.iter().map(place).collect();
        match places {
            Some(places) if places.is_sorted() => Ok(told),
            _ => Err(format!("{told:#?}")),
        }
    });
    let restart = told
        .iter()
        .find(|event| event["kind"] == "restart")
        .unwrap();
    let happened: Timestamp = restart["at"].as_str().unwrap().parse().unwrap();
    let came: Timestamp = restart["told_at"].as_str().unwrap().parse().unwrap();
    assert!(happened < healed && came > healing, "{restart:#}");
    before.check(&lab, &[(MEDIA, May::BeRestarted)]);
}

#[test]
fn lost_packets_make_no_node_offline_and_silence_does() {
    let lab = Lab::healthy_fleet();
    let loss = length(Duration::from_secs(30), Duration::from_secs(300));
    let before = Before::look(&lab);
    let lossy = NODES.map(|node| faults::lose(node, 10));
    let began = Instant::now();
    while began.elapsed() < loss {
        for node in NODES {
            // A machine that is busy elsewhere may hold a heartbeat up, which is what suspicion is
            // for; offline is the alarm.
            let shown = lab.node(node);
            assert_ne!(shown["state"], "offline", "{shown:#}");
        }
    }
    for fault in lossy {
        fault.mend();
    }
    let of_nodes = lab.events(&[], before.at()).into_iter();
    let alarms: Vec<_> = of_nodes.filter(|event| event["kind"] == "node").collect();
    assert!(alarms.is_empty(), "no false alarm: {alarms:#?}");

    let node = node_of(QUEUE);
    let (cut, began) = (faults::cut_off(node), Instant::now());
    // It is suspect for a second and a half: whoever looks late finds it offline already.
    lab.await_node(node, "be suspect", SEEN + LOOK, |shown| {
        shown["state"] == "suspect" || shown["state"] == "offline"
    });
    let shown = lab.await_node(node, "be offline", SEEN + LOOK, |shown| {
        shown["state"] == "offline"
    });
    let took = began.elapsed();
    let told = lab.events(&["-a", QUEUE.node], before.at());
    let verdict = told
        .iter()
        .find(|event| event["text"].as_str().unwrap().contains("is offline"));
    let verdict: Timestamp = verdict.unwrap()["at"].as_str().unwrap().parse().unwrap();
    let heard: Timestamp = shown["last_seen_at"].as_str().unwrap().parse().unwrap();
    let silence = Duration::try_from(verdict.duration_since(heard)).unwrap();
    // In the short form other work may hold the controller up; the long form has the machine.
    let bound = length(SEEN + LOOK, SEEN);
    assert!(
        silence <= bound,
        "offline after {silence:?} of silence, seen after {took:?}"
    );
    cut.mend();
    lab.await_online(node);
    before.check(&lab, &[]);
}
