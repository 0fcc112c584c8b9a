//! Many servers that fail at once: restarts are held before they begin.

use std::time::Duration;

use extend_common::clock::before;
use extend_common::ids::NodeAddr;
use extend_common::operation::Verb;
use extend_common::status::{Failing, Health};

use super::bench::{Bench, node};

/// Four media servers and whatever else the guide has.
const MEDIA: [&str; 4] = [
    "172.31.16.139",
    "172.31.16.149",
    "172.31.16.159",
    "172.31.16.169",
];
const QUEUE: &str = "172.31.16.138";

impl Bench {
    fn four_media() -> Self {
        let mut bench = Self::guide();
        for (at, number) in MEDIA.iter().skip(1).zip(2..) {
            bench.join(node(at));
            bench.deploy(&format!(
                "-s media-server-only -n media-server-{number} -a {at}"
            ));
        }
        bench
    }

    /// A server's first failed probe, so long ago by its node's clock.
    fn fails_since(&mut self, at: &str, ago: Duration) {
        let since = before(self.now, ago);
        let agent = self.agents.get_mut(&node(at)).unwrap();
        let reason = "no answer on tcp/8840: refused".to_owned();
        agent.failing = Some(Failing { since, reason });
        self.report(node(at));
        self.tick();
    }

    fn fails(&mut self, at: &str) {
        self.fails_since(at, Duration::ZERO);
    }

    fn answers(&mut self, at: &str) {
        self.agents.get_mut(&node(at)).unwrap().failing = None;
        self.report(node(at));
        self.tick();
    }

    /// How many seconds a node was told to hold, each time.
    fn holds(&self, at: NodeAddr) -> Vec<u64> {
        let holds = self.agents[&at].holds.iter();
        holds.map(|(lasts, _)| lasts.as_secs()).collect()
    }

    fn is_held(&self) -> bool {
        !self.fleet.breaker.holds().is_empty()
    }
}

#[test]
fn three_of_four_media_servers_that_fail_within_a_minute_hold_all_four() {
    let mut bench = Bench::four_media();
    let last = bench.fleet.last_event();
    bench.fails(MEDIA[0]);
    bench.pass(Duration::from_secs(20));
    bench.fails(MEDIA[1]);
    bench.pass(Duration::from_secs(20));
    assert!(!bench.is_held(), "two may be chance");
    bench.fails(MEDIA[2]);
    for at in MEDIA {
        assert_eq!(bench.holds(node(at)), [120], "{at}");
    }
    assert_eq!(bench.holds(node(QUEUE)), [0; 0], "another role");
    let reason =
        "3 of 4 media servers fail at once (media-server-1, media-server-2, media-server-3)";
    assert_eq!(bench.agents[&node(MEDIA[3])].holds[0].1, reason);
    assert_eq!(
        bench.said(last),
        [format!(
            "{reason}: their restarts are held, for one cause is likelier than many (extend \
             restart restarts them all the same)"
        )]
    );
}

#[test]
fn what_fails_one_after_the_other_or_has_failed_for_long_is_no_common_cause() {
    let mut bench = Bench::four_media();
    for at in MEDIA {
        bench.fails(at);
        bench.answers(at);
        bench.pass(Duration::from_secs(31));
    }
    assert!(!bench.is_held());
    let mut bench = Bench::four_media();
    bench.pass(Duration::from_secs(121));
    for at in MEDIA {
        bench.fails_since(at, Duration::from_secs(61));
    }
    assert!(!bench.is_held());
    bench.answers(MEDIA[0]);
    bench.pass(Duration::from_secs(1));
    bench.answers(MEDIA[1]);
    bench.answers(MEDIA[2]);
    for at in MEDIA {
        bench.answers(at);
        bench.fails(at);
    }
    assert!(bench.is_held());
}

#[test]
fn a_controller_that_has_just_been_started_holds_what_has_failed_for_long() {
    let mut bench = Bench::four_media();
    for at in MEDIA.iter().take(3) {
        bench.fails_since(at, Duration::from_secs(600));
    }
    assert!(bench.is_held(), "the one before may have held them");
}

#[test]
fn who_fails_again_fails_anew() {
    let mut bench = Bench::four_media();
    bench.pass(Duration::from_secs(121));
    bench.fails(MEDIA[0]);
    bench.pass(Duration::from_secs(50));
    bench.answers(MEDIA[0]);
    bench.fails(MEDIA[0]);
    bench.pass(Duration::from_secs(20));
    bench.fails(MEDIA[1]);
    bench.fails(MEDIA[2]);
    assert!(bench.is_held());
}

#[test]
fn nobody_who_is_away_keeps_a_hold() {
    let mut bench = Bench::four_media();
    for at in MEDIA.iter().take(3) {
        bench.fails(at);
    }
    for at in MEDIA.iter().take(3) {
        bench.disconnect(node(at));
    }
    bench.pass(Duration::from_secs(181));
    assert!(!bench.is_held(), "it fails as far as anybody knew");
}

#[test]
fn three_have_to_be_more_than_a_third_of_the_role() {
    let mut bench = Bench::four_media();
    for number in 5..10_u8 {
        let at = format!("172.31.17.{number}");
        bench.join(node(&at));
        bench.deploy(&format!(
            "-s media-server-only -n media-server-{number} -a {at}"
        ));
    }
    for at in MEDIA.iter().take(3) {
        bench.fails(at);
    }
    assert!(!bench.is_held(), "3 of 9 are no more than a third");
    bench.fails(MEDIA[3]);
    assert!(bench.is_held());
}

#[test]
fn where_no_role_has_three_the_fleet_counts() {
    let mut bench = Bench::guide();
    for at in ["172.31.16.137", QUEUE] {
        bench.fails(at);
    }
    assert!(!bench.is_held());
    bench.fails("172.31.16.140");
    assert_eq!(bench.holds(node(MEDIA[0])), [120]);
    let reason = &bench.agents[&node(MEDIA[0])].holds[0].1;
    assert!(
        reason.starts_with("3 of 4 servers fail at once"),
        "{reason}"
    );
    // With three media servers that role counts for itself, and the others not at all.
    let mut bench = Bench::four_media();
    for at in ["172.31.16.137", QUEUE, "172.31.16.140"] {
        bench.fails(at);
    }
    assert!(!bench.is_held());
}

#[test]
fn a_hold_is_renewed_while_as_many_fail_and_runs_out_when_fewer_do() {
    let mut bench = Bench::four_media();
    for at in MEDIA.iter().take(3) {
        bench.fails(at);
    }
    let last = bench.fleet.last_event();
    bench.pass(Duration::from_secs(59));
    assert_eq!(bench.holds(node(MEDIA[3])), [120]);
    bench.pass(Duration::from_secs(2));
    assert_eq!(bench.holds(node(MEDIA[3])), [120, 120]);
    assert_eq!(bench.said(last), [""; 0], "it is the same hold");
    bench.answers(MEDIA[0]);
    bench.pass(Duration::from_secs(117));
    assert!(bench.is_held());
    bench.pass(Duration::from_secs(3));
    assert!(!bench.is_held());
    assert_eq!(
        bench.said(last),
        ["restarts of media-server-only are no longer held"]
    );
    assert_eq!(bench.holds(node(MEDIA[3])), [120, 120]);
}

#[test]
fn an_agent_that_comes_in_the_middle_is_told_what_is_left() {
    let mut bench = Bench::four_media();
    bench.disconnect(node(MEDIA[3]));
    for at in MEDIA.iter().take(3) {
        bench.fails(at);
    }
    bench.pass(Duration::from_secs(30));
    assert_eq!(bench.holds(node(MEDIA[3])), [0; 0]);
    bench.connect(node(MEDIA[3]));
    bench.tick();
    assert_eq!(bench.holds(node(MEDIA[3])), [90]);
}

#[test]
fn what_an_operation_does_to_servers_says_nothing_of_them() {
    let mut bench = Bench::four_media();
    bench.accept(
        Verb::Restart,
        "-s media-server-only --max-unavailable 4 --now",
    );
    for at in MEDIA {
        bench.fails(at);
    }
    assert!(!bench.is_held());
    for at in MEDIA {
        bench.agents.get_mut(&node(at)).unwrap().health = Some(Health::Healthy);
        bench.answers(at);
        bench.succeed(node(at));
    }
    for at in MEDIA {
        bench.fails(at);
    }
    assert!(bench.is_held());
}
