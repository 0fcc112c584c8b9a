//! A server that does not answer and carries calls, restarts that are held, and nodes on their own.

use std::time::Duration;

use extend_common::clock::since;
use extend_common::status::{Health, SessionCount};

use super::*;
use crate::sessions::{Flow, QUIET};

const SPARE: Duration = Duration::from_secs(1800);

/// What is known after some looks at so many sessions.
fn tally(sessions: Option<u64>, flow: Flow) -> Tally {
    let note = String::new();
    let count = SessionCount { sessions, note };
    let looked = |tally: Tally, _| tally.after(count.clone()).and_media(flow);
    (0..QUIET).fold(Tally::begun(), looked)
}

impl Life {
    fn with_calls(sessions: Option<u64>, flow: Flow) -> Self {
        Self {
            spare: Some(SPARE),
            sessions: Some(tally(sessions, flow)),
            ..Self::running()
        }
    }

    /// Up to the wait that nothing but time or calls end.
    fn rest(&mut self) -> (Vec<String>, Option<Timestamp>) {
        self.log.clear();
        for _ in 0..20 {
            match self.next() {
                Next::Do(step) => self.apply(&step),
                Next::Wait(until) => return (std::mem::take(&mut self.log), until),
            }
        }
        panic!("no rest: {:#?}", self.log);
    }
}

#[test]
fn while_media_flows_it_is_left_alone_for_its_time_and_then_restarted() {
    let mut life = Life::with_calls(Some(10), Flow::Flows);
    life.hang();
    let asked = life.now;
    let (steps, until) = life.rest();
    assert_eq!(steps, ["witness", "spare c1"]);
    assert_eq!(until, Some(after(asked, SPARE)));
    let told = life.told();
    assert_eq!(told.health, Health::Unhealthy);
    assert_eq!(
        told.reason,
        "no answer on tcp/8840 for 3 × 5s; it carries calls, and is left alone until 00:30:02 UTC \
         at most"
    );
    life.now = after(asked, SPARE);
    assert_eq!(life.rest().0, ["stop c1"]);
}

#[test]
fn with_its_last_call_it_is_restarted() {
    let mut life = Life::with_calls(Some(10), Flow::Flows);
    life.hang();
    life.rest();
    life.sessions = Some(tally(Some(10), Flow::Still));
    assert_eq!(life.rest().0, ["stop c1"]);
    life.settle();
    assert_eq!(life.entry.spared, None, "the next run is another story");
    assert_eq!(life.entry.restarts_total, 1);
}

#[test]
fn a_process_that_is_frozen_with_its_ports_bound_is_restarted_at_once() {
    let mut life = Life::with_calls(Some(10), Flow::Still);
    life.hang();
    assert_eq!(life.rest().0, ["witness", "stop c1"]);
}

#[test]
fn what_cannot_be_counted_is_taken_for_calls() {
    let mut life = Life::with_calls(None, Flow::Unknown);
    life.hang();
    assert_eq!(life.rest().0, ["witness", "spare c1"]);
    // A role whose sessions nobody knows how to count is another thing.
    let mut life = Life::with_calls(None, Flow::Unknown);
    life.spare = None;
    life.hang();
    assert_eq!(life.rest().0, ["witness", "stop c1"]);
}

#[test]
fn nothing_is_done_before_it_was_counted_and_not_for_ever() {
    let mut life = Life::with_calls(Some(10), Flow::Flows);
    life.sessions = Some(Tally::begun());
    life.hang();
    let asked = life.now;
    let (steps, until) = life.rest();
    assert_eq!(steps, ["witness"]);
    let until = until.unwrap();
    assert_eq!(since(asked, until), Duration::from_secs(10));
    life.now = until;
    assert_eq!(life.rest().0, ["spare c1"], "not known is not none");
}

#[test]
fn what_answers_again_is_spared_no_more() {
    let mut life = Life::with_calls(Some(10), Flow::Flows);
    life.hang();
    life.rest();
    let begun = life.now;
    life.verdict = Verdict::Healthy;
    life.verdict_since = life.now;
    assert_eq!(
        life.rest().0,
        Vec::<String>::new(),
        "one answer is no recovery"
    );
    life.now = after(begun, Duration::from_secs(60));
    assert_eq!(life.rest().0, ["unspare"]);
    assert_eq!(life.entry.spared, None);
    // The next time it begins anew.
    life.now = after(life.now, Duration::from_secs(600));
    life.hang();
    let (steps, until) = life.rest();
    assert_eq!(steps, ["witness", "spare c1"]);
    assert_eq!(until, Some(after(life.now, SPARE)));
}

#[test]
fn an_operators_restart_does_not_ask_for_calls() {
    let mut life = Life::with_calls(Some(10), Flow::Flows);
    life.hang();
    life.rest();
    let named = life.observed.current.as_ref().map(Container::instance);
    life.assign(|desired, _| desired.replace = named);
    let (steps, _) = life.rest();
    assert!(steps.contains(&"stop c1".to_owned()), "{steps:?}");
}

#[test]
fn held_restarts_wait_for_the_end_of_the_hold() {
    let mut life = Life::running();
    let until = after(life.now, Duration::from_secs(120));
    life.hold = Some(Hold {
        until,
        reason: "3 of 4 media servers fail".to_owned(),
    });
    life.hang();
    assert_eq!(life.rest(), (vec!["witness".to_owned()], Some(until)));
    assert_eq!(
        life.told().reason,
        "no answer on tcp/8840 for 3 × 5s; restarts are held: 3 of 4 media servers fail"
    );
    // What has ended is started all the same: that breaks nothing.
    life.exit("c1", 1);
    assert_eq!(life.rest().0, ["witness", "start c1"]);
    life.hang();
    life.now = until;
    assert!(life.rest().0.contains(&"stop c1".to_owned()));
}

#[test]
fn without_a_controller_restarts_are_spread_over_ten_seconds() {
    let mut waits = std::collections::BTreeSet::new();
    for nanosecond in 0..20_i32 {
        let mut life = Life::running();
        life.alone = true;
        life.now += jiff::SignedDuration::from_nanos(nanosecond.into());
        life.hang();
        let asked = life.now;
        let (steps, until) = life.rest();
        assert_eq!(steps, ["witness"]);
        let wait = since(asked, until.unwrap());
        assert!(wait < Duration::from_secs(10), "{wait:?}");
        waits.insert(wait);
        life.now = until.unwrap();
        assert_eq!(life.rest().0, ["stop c1"]);
    }
    assert!(waits.len() > 10, "they are not in step: {waits:?}");
    let spread = since(asked_at(&waits, 0), asked_at(&waits, waits.len() - 1));
    assert!(spread > Duration::from_secs(3), "{waits:?}");
}

fn asked_at(waits: &std::collections::BTreeSet<Duration>, at: usize) -> Timestamp {
    after(Timestamp::UNIX_EPOCH, *waits.iter().nth(at).unwrap())
}

#[test]
fn while_its_sessions_are_waited_for_nothing_is_restarted() {
    let mut life = Life::with_calls(Some(10), Flow::Flows);
    life.assign(|desired, _| desired.drain = Drain::Hold { limit_seconds: 600 });
    life.rest();
    life.hang();
    let (steps, _) = life.rest();
    assert_eq!(steps, ["witness"]);
    life.sessions = Some(tally(Some(10), Flow::Still));
    assert_eq!(
        life.rest().0,
        ["stop c1"],
        "frozen: there is nothing to wait for"
    );
}

#[test]
fn the_time_that_is_left_goes_on_when_the_agent_is_started_anew_or_it_answers_for_a_moment() {
    let mut life = Life::with_calls(Some(10), Flow::Flows);
    life.hang();
    let asked = life.now;
    life.rest();
    for verdict in [Verdict::Starting, Verdict::NotProven, Verdict::Healthy] {
        life.now = after(life.now, Duration::from_secs(30));
        life.seen = life.now;
        life.verdict = verdict;
        life.verdict_since = life.now;
        assert_eq!(life.rest().0, Vec::<String>::new());
        life.hang();
        let (steps, until) = life.rest();
        assert!(!steps.contains(&"spare c1".to_owned()), "{steps:?}");
        assert_eq!(until, Some(after(asked, SPARE)));
    }
}
