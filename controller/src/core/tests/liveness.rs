//! Who is there: nothing is said too early, nothing too late, and not of everybody at once.

use std::time::Duration;

use extend_common::clock::after;
use extend_common::ids::NodeAddr;
use extend_common::status::NodeState;

use super::bench::{Bench, node};
use crate::core::Key;
use crate::core::request::{Heartbeat, SessionEnd};

fn media() -> NodeAddr {
    node("172.31.16.139")
}

fn view(bench: &Bench, at: NodeAddr) -> crate::core::view::NodeView {
    bench.fleet.nodes(Some(at), bench.now).unwrap().remove(0)
}

fn of_nodes(bench: &Bench, after: u64) -> Vec<String> {
    let said = bench.said(after).into_iter();
    said.filter(|text| text.contains("online") || text.contains("offline"))
        .collect()
}

#[test]
fn a_restart_of_the_controller_says_nothing_of_nodes_that_come_back() {
    let mut bench = Bench::guide();
    bench.disconnect(media());
    let last = bench.fleet.last_event();
    bench.restart();
    let others: Vec<_> = bench
        .agents
        .keys()
        .copied()
        .filter(|at| *at != media())
        .collect();
    for at in &others {
        assert_eq!(
            view(&bench, *at).state,
            NodeState::Suspect,
            "no verdict yet"
        );
    }
    assert_eq!(
        view(&bench, media()).state,
        NodeState::Offline,
        "it was so before"
    );
    bench.pass(Duration::from_secs(10));
    for at in others {
        bench.connect(at);
    }
    bench.pass(Duration::from_secs(60));
    assert_eq!(bench.said(last), [""; 0]);
    // The one that had been offline comes back, and that is news.
    bench.connect(media());
    assert_eq!(
        bench.said(last),
        ["node 172.31.16.139 is online again after 1m 10s"]
    );
}

#[test]
fn nobody_is_judged_before_the_warm_up_is_over() {
    let mut bench = Bench::guide();
    let last = bench.fleet.last_event();
    bench.restart();
    for at in ["172.31.16.137", "172.31.16.138"] {
        bench.connect(node(at));
    }
    bench.pass(Duration::from_millis(14_500));
    assert_eq!(bench.said(last), [""; 0]);
    assert_eq!(view(&bench, media()).state, NodeState::Suspect);
    bench.pass(Duration::from_secs(1));
    let why = "did not come back within 15s of the controller's start";
    assert_eq!(
        bench.said(last),
        [
            format!("node 172.31.16.139 is offline: it {why}"),
            format!("node 172.31.16.140 is offline: it {why}"),
        ]
    );
    let away = view(&bench, media());
    assert_eq!(away.state, NodeState::Offline);
    assert!(away.reason.ends_with(why), "{}", away.reason);
    // It is remembered over the next start, and said once.
    bench.restart();
    assert_eq!(view(&bench, media()).state, NodeState::Offline);
    bench.pass(Duration::from_secs(60));
    assert_eq!(
        of_nodes(&bench, last).len(),
        4,
        "the two others are away now"
    );
}

#[test]
fn the_controllers_own_lag_lengthens_its_warm_up() {
    let mut bench = Bench::guide();
    let last = bench.fleet.last_event();
    bench.restart();
    bench.pass(Duration::from_secs(1));
    bench.now = after(bench.now, Duration::from_secs(60));
    bench.tick();
    assert_eq!(bench.said(last), [""; 0], "it did not listen for a minute");
    bench.pass(Duration::from_secs(16));
    assert_eq!(of_nodes(&bench, last).len(), 4);
}

#[test]
fn the_controllers_own_lag_is_forgiven_and_real_silence_is_not() {
    let mut bench = Bench::guide();
    bench.pass(Duration::from_secs(1));
    let session = bench.agents.get_mut(&media()).unwrap().session.take();
    bench.pass(Duration::from_secs(2));
    bench.now = after(bench.now, Duration::from_secs(30));
    bench.tick();
    for at in bench.agents.keys() {
        assert_eq!(view(&bench, *at).state, NodeState::Online);
    }
    bench.pass(Duration::from_millis(1_500));
    assert_eq!(view(&bench, media()).state, NodeState::Suspect);
    bench.pass(Duration::from_millis(1_500));
    assert_eq!(view(&bench, media()).state, NodeState::Offline);
    assert!(session.is_some());
}

#[test]
fn a_closed_connection_is_offline_at_once_with_reason_and_since_when() {
    let mut bench = Bench::guide();
    bench.pass(Duration::from_secs(5));
    let last = bench.fleet.last_event();
    let heard = bench.now;
    bench.now = after(bench.now, Duration::from_millis(300));
    let session = bench
        .agents
        .get_mut(&media())
        .unwrap()
        .session
        .take()
        .unwrap();
    let end = SessionEnd::GivenUp("the agent speaks too fast".to_owned());
    let turn = bench.fleet.session_closed(session, media(), end, bench.now);
    assert!(turn.writes.contains(&Key::Away(media())));
    bench.commit(turn);
    let away = view(&bench, media());
    assert_eq!(away.state, NodeState::Offline);
    assert_eq!(
        (away.last_seen, away.away_since),
        (Some(heard), Some(bench.now))
    );
    assert!(
        away.reason.ends_with(": the agent speaks too fast"),
        "{}",
        away.reason
    );
    assert_eq!(
        bench.said(last),
        [
            "node 172.31.16.139 is offline: the agent speaks too fast; last heard at \
          2026-11-18T11:06:45Z"
        ]
    );
    // All of it is known to the next controller.
    bench.restart();
    let known = view(&bench, media());
    assert_eq!(
        (known.state, known.reason, known.last_seen, known.away_since),
        (away.state, away.reason, away.last_seen, away.away_since)
    );
}

#[test]
fn silence_is_suspect_and_then_offline_within_five_seconds() {
    let mut bench = Bench::guide();
    bench.pass(Duration::from_secs(5));
    let last = bench.fleet.last_event();
    let heard = bench.now;
    bench.agents.get_mut(&media()).unwrap().session = None;
    let mut seen = None;
    while view(&bench, media()).state != NodeState::Offline {
        bench.pass(Duration::from_millis(250));
        let node = view(&bench, media());
        if node.state == NodeState::Suspect && seen.is_none() {
            seen = Some(bench.now.duration_since(heard));
            assert_eq!(node.away_since, Some(heard));
            assert!(node.reason.contains("silent for 3"), "{}", node.reason);
            assert_eq!(bench.said(last), [""; 0], "suspect is no verdict");
        }
    }
    // Three heartbeats that did not come, and no sooner.
    let seen = seen.unwrap().as_millis();
    assert!((3_000..=3_250).contains(&seen), "{seen}");
    assert!(bench.now.duration_since(heard) <= jiff::SignedDuration::from_secs(5));
    assert!(
        of_nodes(&bench, last)[0].starts_with(
            "node 172.31.16.139 is offline: nothing was heard of it for 4s; last heard"
        ),
        "{:?}",
        of_nodes(&bench, last)
    );
}

#[test]
fn a_controller_that_stops_says_of_no_node_that_it_went() {
    let mut bench = Bench::guide();
    let last = bench.fleet.last_event();
    for at in bench.agents.clone().into_keys() {
        let session = bench.agents[&at].session.unwrap();
        let turn = bench
            .fleet
            .session_closed(session, at, SessionEnd::Stopping, bench.now);
        bench.commit(turn);
    }
    assert_eq!(bench.said(last), [""; 0]);
    bench.restart();
    for at in bench.agents.clone().into_keys() {
        bench.connect(at);
    }
    bench.pass(Duration::from_secs(60));
    assert_eq!(bench.said(last), [""; 0]);
}

/// Enrolled nodes that are connected.
fn crowd(count: u32) -> Bench {
    let mut bench = Bench::new();
    for number in 1..=count {
        bench.join(
            std::net::Ipv4Addr::from(0x0a00_0000 + number)
                .try_into()
                .unwrap(),
        );
        bench.tick();
    }
    bench
}

#[test]
fn a_broken_network_is_a_few_events_and_not_one_for_each_node() {
    let mut bench = crowd(300);
    bench.pass(Duration::from_secs(16));
    let last = bench.fleet.last_event();
    for at in bench.agents.clone().into_keys() {
        bench.disconnect(at);
    }
    bench.tick();
    let said = bench.said(last);
    assert_eq!(said.len(), 11, "{said:?}");
    assert_eq!(
        said[10],
        "290 nodes more are offline: 10.0.0.11, 10.0.0.12, 10.0.0.13, 10.0.0.14, 10.0.0.15, \
         10.0.0.16, 10.0.0.17, 10.0.0.18 and 282 more"
    );
    let away = bench
        .rows
        .keys()
        .filter(|key| key.starts_with("away/"))
        .count();
    assert_eq!(away, 300, "each is remembered");
    let last = bench.fleet.last_event();
    for at in bench.agents.clone().into_keys() {
        bench.connect(at);
    }
    bench.tick();
    let said = bench.said(last);
    assert_eq!(said.len(), 11, "{said:?}");
    assert!(
        said[10].starts_with("290 nodes more are online again: "),
        "{}",
        said[10]
    );
    assert!(!bench.rows.keys().any(|key| key.starts_with("away/")));
}

#[test]
fn nodes_that_do_not_come_back_are_told_of_together_when_they_are_many() {
    let mut bench = crowd(300);
    let last = bench.fleet.last_event();
    bench.restart();
    bench.pass(Duration::from_secs(20));
    let said = bench.said(last);
    assert_eq!(said.len(), 11, "{said:?}");
    assert!(
        said[10].starts_with("290 nodes more are offline: "),
        "{}",
        said[10]
    );
    bench.restart();
    assert_eq!(view(&bench, node("10.0.0.200")).state, NodeState::Offline);
}

#[test]
fn a_node_that_is_back_before_anybody_was_told_never_went() {
    let mut bench = crowd(12);
    bench.tick();
    let last = bench.fleet.last_event();
    for at in bench.agents.clone().into_keys() {
        bench.disconnect(at);
    }
    bench.connect(node("10.0.0.12"));
    bench.tick();
    let said = bench.said(last);
    assert_eq!(said.len(), 11);
    assert_eq!(said[10], "node 10.0.0.11 is offline");
}

#[test]
fn a_node_that_is_ahead_and_taken_back_is_told_of() {
    let mut bench = Bench::guide();
    let last = bench.fleet.last_event();
    bench.agents.get_mut(&media()).unwrap().epoch = 9;
    bench.connect(media());
    bench.connect(media());
    let epoch = bench.fleet.epoch_to_recover(&[]).unwrap();
    let turn = bench.fleet.recover(&[], false, (epoch, "root"), bench.now);
    bench.commit(turn);
    assert_eq!(
        bench.said(last),
        [
            "node 172.31.16.139 is ahead of this controller's store: the node was welcomed at \
             epoch 9, and this store is at epoch 1: the store is an older copy",
            "root took the record of node 172.31.16.139 back from its ledger",
        ]
    );
}

/// TCP at its slowest: whatever is lost is sent again after 200, 400, 800 ms …, what comes later
/// waits for it, and nothing speeds it up.
struct Lossy {
    state: u64,
    delivered: u64,
}

impl Lossy {
    /// When a heartbeat that was sent at `sent` ms arrives.
    fn arrives(&mut self, sent: u64) -> u64 {
        let (mut at, mut pause) = (sent, 200);
        while self.is_lost() {
            at += pause;
            pause *= 2;
        }
        self.delivered = self.delivered.max(at);
        self.delivered
    }

    fn is_lost(&mut self) -> bool {
        // xorshift: the same losses in every run.
        self.state ^= self.state << 13;
        self.state ^= self.state >> 7;
        self.state ^= self.state << 17;
        self.state.is_multiple_of(10)
    }
}

#[test]
fn no_false_alarm_at_ten_percent_packet_loss() {
    let mut bench = Bench::new();
    bench.join(media());
    let session = bench.agents[&media()].session.unwrap();
    let (start, last) = (bench.now, bench.fleet.last_event());
    let mut net = Lossy {
        state: 0x2545_f491_4f6c_dd1d,
        delivered: 0,
    };
    let mut arriving = std::collections::VecDeque::new();
    let mut suspected = 0;
    for ms in (0..10_000_000).step_by(250) {
        if ms % 1_000 == 0 {
            arriving.push_back(net.arrives(ms));
        }
        bench.now = after(start, Duration::from_millis(ms));
        while arriving.front().is_some_and(|at| *at <= ms) {
            arriving.pop_front();
            let turn = bench
                .fleet
                .heartbeat(session, media(), Heartbeat::default(), bench.now);
            bench.commit(turn);
        }
        bench.tick();
        suspected += u32::from(view(&bench, media()).state != NodeState::Online);
    }
    assert_eq!(bench.said(last), [""; 0], "in ten thousand heartbeats");
    assert_eq!(suspected, 0, "not even for a moment");
}
