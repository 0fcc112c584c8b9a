//! Sessions end before a process does: each test reads as the steps of a verb that waits for them.

use std::time::Duration;

use extend_common::status::{Health, SessionCount};

use super::*;
use crate::sessions::{Flow, QUIET, Tally, unknown};

const LIMIT: u32 = 1800;

fn known(sessions: u64) -> Tally {
    let count = SessionCount {
        sessions: Some(sessions),
        note: String::new(),
    };
    (0..QUIET).fold(Tally::begun(), |tally, _| tally.after(count.clone()))
}

fn uncounted(why: &str) -> Tally {
    Tally::begun()
        .after(unknown(why))
        .after(unknown(why))
        .after(unknown(why))
}

impl Life {
    /// A record that waits for sessions first.
    fn drain(&mut self, change: impl FnOnce(&mut Desired, u64)) -> &mut Self {
        self.assign(|desired, generation| {
            desired.drain = Drain::First {
                limit_seconds: LIMIT,
            };
            change(desired, generation);
        })
    }

    fn held(&mut self) -> &mut Self {
        self.assign(|desired, _| {
            desired.drain = Drain::Hold {
                limit_seconds: LIMIT,
            };
        })
    }

    /// The steps until it waits for sessions, and what it says then.
    fn until_it_waits(&mut self) -> (Vec<String>, String) {
        self.log.clear();
        for _ in 0..60 {
            let decision = self.decide();
            match (self.next(), decision.phase) {
                (Next::Wait(_), Phase::Draining) => {
                    return (std::mem::take(&mut self.log), decision.detail);
                }
                (Next::Do(step), _) => self.apply(&step),
                (Next::Wait(at), _) => self.pass_until(at.expect("it waits for something")),
            }
        }
        panic!("it never waits for sessions: {:#?}", self.log);
    }

    fn count(&mut self, tally: Tally) {
        self.sessions = Some(tally);
    }
}

/// Every verb that ends the process of a server, and what it does once nothing holds it back.
fn verbs() -> Vec<(&'static str, Life, Vec<&'static str>)> {
    let ends = ["policy c1 No", "stop c1", "wait", "endstop"];
    let mut stop = Life::running();
    stop.drain(|desired, _| desired.run_state = RunState::Stopped);
    let mut rm = Life::running();
    rm.drain(|desired, _| desired.run_state = RunState::Removed);
    let mut restart = Life::running();
    let run = restart.observed.current.as_ref().unwrap().instance();
    restart.drain(|desired, _| desired.replace = Some(run));
    let mut upgrade = Life::running();
    upgrade.image = "22.4".to_owned();
    upgrade.drain(|desired, generation| desired.deployment = Deployment(generation));
    vec![
        ("stop", stop, [&ends[..], &["settle Succeeded"]].concat()),
        (
            "rm",
            rm,
            [&ends[..], &["remove c1", "settle Succeeded"]].concat(),
        ),
        (
            "restart",
            restart,
            [&ends[1..], &["start c1", "wait", "settle Succeeded"]].concat(),
        ),
        (
            "upgrade",
            upgrade,
            [
                &ends[..],
                &[
                    "rename c1 Previous",
                    "create",
                    "start c2",
                    "wait",
                    "promote",
                    "remove c1",
                    "settle Succeeded",
                ],
            ]
            .concat(),
        ),
    ]
}

#[test]
fn every_verb_waits_until_no_session_is_left() {
    for (verb, mut life, then) in verbs() {
        let (steps, words) = life.until_it_waits();
        let before: &[&str] = match verb {
            "upgrade" => &["resolve", "drain"],
            _ => &["drain"],
        };
        assert_eq!(steps, before, "{verb}");
        assert_eq!(words, "draining: counting sessions", "{verb}");
        for (tally, words) in [
            (known(41), "draining: 41 sessions"),
            (known(1), "draining: 1 session"),
            (
                uncounted("no such file"),
                "draining: sessions cannot be counted: no such file",
            ),
            (Tally::begun(), "draining: counting sessions"),
        ] {
            life.count(tally);
            assert_eq!(
                life.until_it_waits(),
                (Vec::new(), words.to_owned()),
                "{verb}"
            );
        }
        life.now = after(life.now, Duration::from_secs(1799));
        life.count(known(0));
        life.settle();
        assert_eq!(life.log, then, "{verb}");
    }
}

#[test]
fn at_the_limit_nothing_has_been_touched_and_what_served_is_looked_after() {
    for (tally, reason) in [
        (known(41), "41 sessions were left after 30m"),
        (known(1), "1 session was left after 30m"),
        (
            uncounted("no such file"),
            "its sessions could not be counted for 30m: no such file",
        ),
        (
            Tally::never("nobody knows how"),
            "its sessions could not be counted for 30m: nobody knows how",
        ),
    ] {
        for (verb, mut life, _) in verbs() {
            let (before, serving) = (life.observed.clone(), life.entry.serving.clone());
            life.until_it_waits();
            life.count(tally.clone());
            life.settle();
            assert_eq!(life.log, ["wait", "settle Declined"], "{verb}");
            assert_eq!(life.outcome(), (OutcomeKind::Declined, reason), "{verb}");
            assert_eq!(life.observed, before, "{verb}");
            assert_eq!(life.entry.serving, serving, "{verb}");
            assert_eq!(life.entry.candidate, None, "{verb}");
            assert_eq!(life.told().health, Health::Healthy, "{verb}");
            assert_eq!(life.told().sessions, None, "{verb}");
            // Until the next word nothing of it happens, and what hangs or ends is healed.
            life.count(known(0));
            life.hang();
            assert_eq!(
                life.steps_for(Duration::from_secs(120)),
                ["witness", "stop c1", "endstop", "start c1"],
                "{verb}"
            );
            life.exit("c1", 139);
            assert_eq!(
                life.steps_for(Duration::from_secs(120)),
                ["witness", "start c1"],
                "{verb}"
            );
            assert_eq!(life.outcome(), (OutcomeKind::Declined, reason), "{verb}");
        }
    }
}

#[test]
fn a_call_that_comes_in_the_last_moment_is_waited_for() {
    let (_, mut life, _) = verbs().swap_remove(0);
    life.until_it_waits();
    life.count(known(0));
    let Next::Do(step) = life.next() else {
        panic!("a step")
    };
    life.apply(&step);
    assert_eq!(life.log, ["policy c1 No"]);
    life.count(known(1));
    assert_eq!(life.until_it_waits().1, "draining: 1 session");
    life.settle();
    assert_eq!(life.outcome().0, OutcomeKind::Declined);
    assert_eq!(
        life.observed.current.as_ref().unwrap().policy,
        RestartPolicy::UnlessStopped,
        "{:?}",
        life.log
    );
}

#[test]
fn what_does_not_run_has_no_sessions() {
    for (verb, mut life, _) in verbs() {
        life.until_it_waits();
        life.count(known(41));
        life.exit("c1", 1);
        life.settle();
        assert_eq!(life.outcome().0, OutcomeKind::Succeeded, "{verb}");
    }
    let mut stopped = Life::running();
    stopped
        .assign(|desired, _| desired.run_state = RunState::Stopped)
        .settle();
    stopped.log.clear();
    stopped
        .drain(|desired, _| desired.run_state = RunState::Removed)
        .settle();
    assert_eq!(stopped.log, ["remove c1", "settle Succeeded"]);
}

#[test]
fn a_service_that_hangs_has_the_sessions_of_its_sockets() {
    let (_, mut life, _) = verbs().swap_remove(0);
    life.until_it_waits();
    life.count(known(41));
    life.hang();
    assert_eq!(
        life.until_it_waits(),
        (Vec::new(), "draining: 41 sessions".to_owned())
    );
    life.count(known(0));
    life.settle();
    assert_eq!(life.outcome().0, OutcomeKind::Succeeded);
}

#[test]
fn the_limit_outlives_the_agent_and_a_clock_that_was_set_back() {
    let (_, mut life, _) = verbs().swap_remove(0);
    life.until_it_waits();
    let until = life.entry.draining.as_ref().unwrap().until;
    assert_eq!(until, after(life.now, Duration::from_secs(LIMIT.into())));
    let text = serde_json::to_string(&life.entry).unwrap();
    life.entry = serde_json::from_str(&text).unwrap();
    life.sessions = None;
    life.now = after(life.now, Duration::from_secs(1000));
    life.until_it_waits();
    assert_eq!(life.entry.draining.as_ref().unwrap().until, until);
    // Nobody has counted since its start: it asks before it gives up.
    life.now = until;
    assert_eq!(life.until_it_waits().1, "draining: counting sessions");
    life.count(known(0));
    assert!(matches!(life.next(), Next::Do(Step::SetPolicy { .. })));
    // And does not ask for ever.
    life.sessions = None;
    life.settle();
    assert_eq!(life.log, ["wait", "settle Declined"]);

    let (_, mut life, _) = verbs().swap_remove(0);
    life.until_it_waits();
    let back: Timestamp = "2025-12-31T00:00:00Z".parse().unwrap();
    life.entry.heed_clock(back, Duration::from_secs(300));
    let until = life.entry.draining.as_ref().unwrap().until;
    assert_eq!(until, after(back, Duration::from_secs(LIMIT.into())));
}

#[test]
fn a_newer_record_ends_the_wait() {
    let (_, mut life, _) = verbs().swap_remove(0);
    life.until_it_waits();
    life.count(known(41));
    life.assign(|desired, _| desired.run_state = RunState::Running)
        .settle();
    assert_eq!(life.log, ["settle Succeeded"]);
    assert_eq!(life.entry.draining, None);
    // Without a wait, calls have the grace of the stop.
    life.log.clear();
    life.assign(|desired, _| desired.run_state = RunState::Stopped)
        .settle();
    assert_eq!(life.log[..2], ["policy c1 No", "stop c1"]);
}

#[test]
fn an_upgrade_that_changes_nothing_waits_for_nothing() {
    let mut life = Life::running();
    life.count(known(41));
    life.drain(|desired, generation| desired.deployment = Deployment(generation))
        .settle();
    assert_eq!(life.log, ["resolve", "promote", "settle Succeeded"]);
}

#[test]
fn a_new_container_that_fails_is_put_back_without_a_wait() {
    let mut life = Life::running();
    life.image = "22.4".to_owned();
    life.crashes = vec!["22.4".to_owned()];
    life.count(known(0));
    life.drain(|desired, generation| desired.deployment = Deployment(generation))
        .settle();
    assert_eq!(life.outcome().0, OutcomeKind::RolledBack);
    let drains = life.log.iter().filter(|step| *step == "drain").count();
    assert_eq!(drains, 1, "{:?}", life.log);
}

#[test]
fn a_server_that_is_held_goes_on_running_until_no_session_is_left() {
    let mut life = Life::running();
    life.held();
    let (steps, words) = life.until_it_waits();
    assert_eq!(
        (steps, &*words),
        (vec!["drain".to_owned()], "draining: counting sessions")
    );
    life.count(known(41));
    let told = life.told();
    assert_eq!(
        (told.health, told.phase),
        (Health::Draining, Phase::Draining)
    );
    assert_eq!(told.sessions.unwrap().sessions, Some(41));
    life.count(known(0));
    life.settle();
    assert_eq!(life.log, ["settle Succeeded"]);
    let told = life.told();
    assert_eq!(told.health, Health::Draining, "it takes no new ones still");
    assert_eq!(told.sessions.unwrap().sessions, Some(0));
    life.log.clear();
    life.assign(|_, _| {}).settle();
    assert_eq!(life.log, ["settle Succeeded"]);
    let told = life.told();
    assert_eq!((told.health, told.sessions), (Health::Healthy, None));
}

#[test]
fn a_held_server_is_healed_once_no_media_flows_any_more() {
    let mut life = Life::running();
    life.held();
    life.until_it_waits();
    life.count(known(41));
    life.hang();
    assert_eq!(life.told().health, Health::Unhealthy, "that is worse");
    assert_eq!(life.steps_for(Duration::from_secs(60)), ["witness"]);
    let still = (0..QUIET).fold(known(41), |tally, _| tally.and_media(Flow::Still));
    life.count(still);
    assert_eq!(
        life.steps_for(Duration::from_secs(60)),
        ["stop c1", "endstop", "start c1"]
    );
    assert_eq!(life.told().health, Health::Draining);
    assert_eq!(life.entry.outcome, None);
    life.settle();
    assert_eq!(
        life.outcome(),
        (OutcomeKind::Declined, "41 sessions were left after 30m")
    );
    assert_eq!(life.told().health, Health::Healthy, "it takes calls again");
    assert_eq!(life.told().sessions, None);
}

#[test]
fn a_stopped_server_is_drained_already() {
    let mut life = Life::running();
    life.assign(|desired, _| desired.run_state = RunState::Stopped)
        .settle();
    life.log.clear();
    life.held().settle();
    assert_eq!(life.log, ["drain", "settle Succeeded"]);
    assert_eq!(life.told().health, Health::Stopped);
}

#[test]
fn an_image_is_fetched_ahead_for_a_held_server() {
    let mut life = Life::running();
    life.held();
    life.count(known(0));
    life.settle();
    life.log.clear();
    life.count(known(41));
    life.held();
    let request = life.entry.record.desired.image.clone();
    let record = &life.entry.record;
    let mut desired = record.desired.clone();
    desired.staged = Some(request);
    life.entry.record = ServerRecord::seal(record.id.stamp, desired);
    life.settle();
    assert_eq!(life.log, ["stage", "settle Succeeded"]);
    assert_eq!(life.told().health, Health::Draining);
}
