//! What the agent does by itself: each test reads as the steps it takes, and when.

use std::time::Duration;

use extend_common::clock::since;

use super::*;
use crate::core::entry::Ailment;
use crate::core::restart::{BUDGET, RELEASE_AFTER};

const HANG: &str = "no answer on tcp/8840 for 3 × 5s";

impl Life {
    fn pass(&mut self, time: Duration) {
        self.now = after(self.now, time);
    }

    fn judge(&mut self, verdict: Verdict) {
        self.verdict = verdict;
        self.verdict_since = self.now;
    }

    pub(super) fn hang(&mut self) {
        self.judge(Verdict::Unhealthy(HANG.to_owned()));
    }

    fn current(&mut self) -> &mut Container {
        self.observed.current.as_mut().expect("a container")
    }

    /// Docker's policy starts it again after its process ended.
    fn docker_restarts(&mut self, code: i64) {
        let now = self.now.to_string();
        let current = self.current();
        current.restart_count += 1;
        current.started_at = now;
        let container_id = current.id.clone();
        self.death = Some(Death {
            container_id,
            exit_code: code,
            oom_killed: false,
        });
    }

    fn steps(&mut self) -> Vec<String> {
        self.log.clear();
        self.settle();
        std::mem::take(&mut self.log)
    }

    fn next_step(&mut self, expected: &str) {
        let Next::Do(step) = self.next() else {
            panic!("{expected}")
        };
        assert_eq!(words(&step), expected);
        self.apply(&step);
    }

    /// Hangs and is healed until the budget is spent.
    fn spend_budget(&mut self) {
        for _ in 0..BUDGET {
            self.hang();
            let steps = self.steps();
            assert!(steps.iter().any(|step| step == "start c1"), "{steps:?}");
        }
    }
}

#[test]
fn what_hangs_is_looked_at_then_ended_in_short_grace_and_started() {
    let mut life = Life::running();
    life.pass(Duration::from_secs(60));
    life.hang();
    let asked = life.now;
    assert_eq!(
        life.steps(),
        ["witness", "stop c1", "wait", "endstop", "start c1"]
    );
    assert_eq!(since(asked, life.now), Duration::from_secs(10), "the grace");
    assert_eq!(life.entry.restarts, [asked]);
    assert_eq!(life.entry.restarts_total, 1, "one restart is charged once");
    let incident = life.entry.incident.as_ref().unwrap();
    assert_eq!(
        (incident.ailment, incident.reason.as_str()),
        (Ailment::Hangs, HANG)
    );
    assert!(incident.evidence.is_some());
}

#[test]
fn the_agent_that_was_killed_between_stop_and_start_starts_without_another_charge() {
    let mut life = Life::running();
    life.hang();
    for wanted in ["witness", "stop c1"] {
        let Next::Do(step) = life.next() else {
            panic!("{wanted}")
        };
        life.apply(&step);
    }
    life.exit("c1", 0);
    // Nothing but the ledger is left.
    life.verdict = Verdict::Starting;
    assert_eq!(life.steps(), ["endstop", "start c1"]);
    assert_eq!(life.entry.restarts_total, 1);
}

#[test]
fn a_start_that_had_no_effect_is_begun_again_without_another_charge() {
    // The agent was killed, or Docker had no space, at the last restart of the budget.
    for hung in [true, false] {
        let mut life = Life::running();
        for count in 1..=BUDGET {
            if hung {
                life.hang();
            } else {
                life.exit("c1", 1);
            }
            loop {
                match life.next() {
                    Next::Do(step @ Step::Start { .. }) if count == BUDGET => {
                        life.entry.intend(&step);
                        break;
                    }
                    Next::Do(step) => {
                        let is_start = step.kind() == StepKind::Start;
                        life.apply(&step);
                        if is_start {
                            break;
                        }
                    }
                    Next::Wait(at) => life.pass_until(at.unwrap()),
                }
            }
        }
        assert_eq!(life.steps(), ["start c1"], "hung: {hung}");
        assert_eq!(life.entry.restarts_total, BUDGET as u64);
    }
}

#[test]
fn what_was_never_asked_to_end_is_asked_first_however_late_it_is() {
    let mut life = Life::running();
    life.hang();
    life.next_step("witness");
    let Next::Do(stop) = life.next() else {
        panic!("a stop")
    };
    // The intent is on disk; nobody knows whether the signal went out.
    life.entry.intend(&stop);
    life.pass(Duration::from_secs(3600));
    life.next_step("stop c1");
    let deadline = life.entry.stopping.as_ref().unwrap().deadline;
    assert_eq!(since(life.now, deadline), Duration::from_secs(10));
    assert_eq!(life.entry.restarts_total, 1);
    assert_eq!(life.steps(), ["wait", "endstop", "start c1"]);
}

#[test]
fn what_answers_again_before_it_was_asked_to_end_is_left_alone() {
    let mut life = Life::running();
    life.hang();
    life.next_step("witness");
    let Next::Do(stop) = life.next() else {
        panic!("a stop")
    };
    life.entry.intend(&stop);
    life.judge(Verdict::Healthy);
    assert_eq!(life.steps(), ["endstop"]);
}

#[test]
fn what_cannot_be_asked_to_end_is_killed_in_the_end() {
    let mut life = Life::running();
    life.hang();
    life.next_step("witness");
    let Next::Do(stop) = life.next() else {
        panic!("a stop")
    };
    life.entry.intend(&stop);
    life.trouble = Some(Trouble {
        stamp: life.entry.record.id.stamp,
        kind: StepKind::Stop,
        tries: MAX_TRIES,
        reason: "no such signal".to_owned(),
    });
    life.pass(Duration::from_secs(10));
    life.next_step("kill c1");
}

#[test]
fn a_crash_after_a_start_on_purpose_is_another_one() {
    let mut life = Life::running();
    life.docker_restarts(139);
    assert_eq!(life.steps(), ["witness"]);
    let named = life.current().instance();
    life.assign(|desired, _| desired.replace = Some(named))
        .settle();
    assert_eq!(life.current().restart_count, 0);
    life.docker_restarts(134);
    assert_eq!(life.steps(), ["witness"]);
    let incident = life.entry.incident.unwrap();
    assert!(incident.reason.contains("SIGABRT"), "{}", incident.reason);
}

#[test]
fn a_service_that_does_not_open_its_ports_any_more_is_left_to_people_in_the_end() {
    let mut life = Life::running();
    life.docker_restarts(1);
    life.seen = life.now;
    life.judge(Verdict::NotProven);
    life.silent = vec!["22.3".to_owned()];
    life.steps_for(Duration::from_secs(2 * 3600));
    assert!(life.entry.quarantine.is_some(), "{:?}", life.entry.restarts);
    assert_eq!(life.entry.restarts_total, BUDGET as u64);
}

#[test]
fn the_quarantine_of_a_service_that_never_answered_ends_when_it_has_run_for_ten_minutes() {
    let mut life = Life::new();
    life.silent = vec!["22.3".to_owned()];
    life.settle();
    for _ in 0..BUDGET {
        life.exit("c1", 143);
        life.steps();
    }
    life.exit("c1", 143);
    assert_eq!(life.steps(), ["witness", "quarantine"]);
    let id = "c1".to_owned();
    life.start(&id);
    assert_eq!(life.steps(), ["wait", "release"]);
}

#[test]
fn what_is_not_well_stays_in_quarantine_whatever_it_is_instead() {
    let mut life = Life::running();
    life.spend_budget();
    life.hang();
    life.steps();
    // Docker is about to start it again; its own health check has no verdict for an hour; it
    // fails while Docker waits.
    let ill = Verdict::Unhealthy(HANG.to_owned());
    let states = [
        (ContainerState::Restarting, Verdict::Starting),
        (ContainerState::Running, Verdict::Starting),
        (ContainerState::Restarting, ill),
    ];
    for (state, verdict) in states {
        life.current().state = state;
        life.judge(verdict.clone());
        life.pass(Duration::from_secs(3600));
        assert_eq!(life.next(), Next::Wait(None), "{state} {verdict:?}");
    }
}

#[test]
fn a_service_that_is_asked_late_by_an_operator_has_its_time_to_end_calls() {
    let mut life = Life::running();
    life.assign(|desired, _| desired.run_state = RunState::Stopped);
    life.next_step("policy c1 No");
    let Next::Do(stop) = life.next() else {
        panic!("a stop")
    };
    life.entry.intend(&stop);
    // Docker was silent for longer than the service had to end.
    life.pass(Duration::from_secs(3600));
    life.next_step("stop c1");
    let deadline = life.entry.stopping.as_ref().unwrap().deadline;
    assert_eq!(since(life.now, deadline), Duration::from_secs(300));
}

#[test]
fn a_clock_that_was_set_back_holds_nothing_up() {
    let mut life = Life::running();
    life.spend_budget();
    life.hang();
    life.next_step("witness");
    life.pass(Duration::from_secs(3600));
    life.next_step("stop c1");
    let now = "2025-12-31T23:00:00Z".parse().unwrap();
    life.entry.heed_clock(now, Duration::from_secs(300));
    assert_eq!(life.entry.restarts, []);
    let deadline = life.entry.stopping.as_ref().unwrap().deadline;
    assert_eq!(since(now, deadline), Duration::from_secs(300));
}

#[test]
fn nothing_is_healed_while_an_operation_works_on_the_server() {
    let mut life = Life::running();
    life.assign(|_, _| {});
    life.hang();
    let window = life.timing().start_window;
    let window_ends = after(life.seen, window);
    let steps = life.steps();
    let healing = ["witness", "stop c1", "wait", "endstop", "start c1"];
    assert_eq!(steps[..2], ["wait", "settle Failed"]);
    assert_eq!(
        steps[2..],
        healing,
        "once it has failed, the agent mends it"
    );
    assert_eq!(life.entry.restarts, [window_ends]);
}

#[test]
fn restarts_wait_longer_each_time_and_end_in_quarantine() {
    let mut life = Life::running();
    life.spend_budget();
    assert_eq!(life.entry.restarts_total, BUDGET as u64);
    let gaps: Vec<_> = life
        .entry
        .restarts
        .windows(2)
        .map(|pair| since(pair[0], pair[1]))
        .collect();
    assert!(gaps.is_sorted(), "{gaps:?}");
    life.hang();
    assert_eq!(life.steps(), ["witness", "quarantine"]);
    let policy = life.current().policy;
    assert_eq!(
        policy,
        RestartPolicy::UnlessStopped,
        "Docker's policy stays"
    );
    // Hours later, still hanging: nothing is begun, though the window is long over.
    life.pass(Duration::from_secs(6 * 3600));
    assert_eq!(life.next(), Next::Wait(None));
}

#[test]
fn ten_healthy_minutes_end_a_quarantine_and_give_the_budget_back() {
    let mut life = Life::running();
    life.spend_budget();
    life.hang();
    life.steps();
    life.judge(Verdict::Healthy);
    let well = life.now;
    assert_eq!(life.next(), Next::Wait(Some(after(well, RELEASE_AFTER))));
    // Nine minutes and a relapse do not count.
    life.pass(Duration::from_secs(540));
    life.hang();
    assert_eq!(life.next(), Next::Wait(None));
    life.judge(Verdict::Healthy);
    assert_eq!(life.steps(), ["wait", "release"]);
    assert_eq!(
        since(well, life.now),
        Duration::from_secs(540) + RELEASE_AFTER
    );
    life.hang();
    assert!(life.steps().contains(&"start c1".to_owned()));
}

#[test]
fn an_operators_word_ends_a_quarantine() {
    let mut life = Life::running();
    life.spend_budget();
    life.hang();
    life.steps();
    let named = life.current().instance();
    life.assign(|desired, _| desired.replace = Some(named));
    life.settle();
    assert_eq!(life.outcome().0, OutcomeKind::Succeeded);
    assert_eq!(life.entry.quarantine, None);
    life.hang();
    assert!(
        life.steps().contains(&"start c1".to_owned()),
        "the budget is back"
    );
}

#[test]
fn what_was_stopped_by_hand_is_started_again_and_charged() {
    let mut life = Life::running();
    life.exit("c1", 143);
    assert_eq!(life.steps(), ["witness", "start c1"]);
    assert_eq!(life.entry.restarts_total, 1);
    let incident = life.entry.incident.as_ref().unwrap();
    assert_eq!(
        incident.reason,
        "portsip.mediaserver was stopped by hand (exit code 143)"
    );
}

#[test]
fn what_is_stopped_by_hand_again_and_again_is_left_so_in_the_end() {
    let mut life = Life::running();
    for _ in 0..BUDGET {
        life.exit("c1", 143);
        assert_eq!(life.steps().last().unwrap(), "start c1");
    }
    life.exit("c1", 143);
    assert_eq!(life.steps(), ["witness", "quarantine"]);
    assert_eq!(life.next(), Next::Wait(None));
}

#[test]
fn what_was_removed_by_hand_is_made_again() {
    let mut life = Life::running();
    life.observed.current = None;
    assert_eq!(life.steps(), ["create", "witness", "start c2"]);
    let reason = life.entry.incident.unwrap().reason;
    assert_eq!(
        reason,
        "portsip.mediaserver was gone and has been made again"
    );
}

#[test]
fn dockers_own_restarts_are_noted_once_each_and_never_charged() {
    let mut life = Life::running();
    life.docker_restarts(139);
    assert_eq!(life.steps(), ["witness"]);
    let incident = life.entry.incident.clone().unwrap();
    assert_eq!(incident.ailment, Ailment::Ended);
    assert_eq!(
        incident.reason,
        "portsip.mediaserver was ended by SIGSEGV (exit code 139)"
    );
    assert_eq!(life.steps(), Vec::<String>::new(), "it is known");
    for count in 2..30 {
        life.docker_restarts(1);
        assert_eq!(life.steps(), ["witness"]);
        assert_eq!(life.entry.incident.as_ref().unwrap().in_a_row, count);
    }
    assert_eq!(life.entry.restarts_total, 0);
    assert_eq!(life.entry.quarantine, None);
}

#[test]
fn an_end_that_nobody_saw_is_said_to_be_unseen() {
    let mut life = Life::running();
    life.docker_restarts(1);
    life.death = None;
    life.steps();
    let incident = life.entry.incident.unwrap();
    assert_eq!(
        incident.reason,
        "portsip.mediaserver ended; how was not seen"
    );
}

#[test]
fn what_docker_is_about_to_start_again_is_not_taken_to_hang() {
    let mut life = Life::running();
    life.hang();
    let current = life.current();
    current.state = ContainerState::Restarting;
    current.exit_code = 1;
    current.restart_count = 1;
    assert_eq!(life.steps(), ["witness"]);
}

#[test]
fn a_service_that_has_answered_before_must_do_so_again_with_more_patience_each_time() {
    let mut life = Life::running();
    life.docker_restarts(1);
    life.seen = life.now;
    life.judge(Verdict::NotProven);
    life.silent = vec!["22.3".to_owned()];
    assert_eq!(life.steps_for(Duration::from_secs(59)), ["witness"]);
    for minutes in [1, 2, 4] {
        let steps = life.steps_for(Duration::from_secs(11));
        assert_eq!(
            steps,
            ["witness", "stop c1", "endstop", "start c1"],
            "{minutes}"
        );
        let incident = life.entry.incident.as_ref().unwrap();
        let words = format!("no port has answered for {minutes}m since");
        assert!(incident.reason.contains(&words), "{}", incident.reason);
        let rest = Duration::from_secs(2 * minutes * 60 - 1);
        assert_eq!(life.steps_for(rest), Vec::<String>::new(), "{minutes}");
    }
}

#[test]
fn a_service_that_never_answered_is_left_alone() {
    let mut life = Life::new();
    life.silent = vec!["22.3".to_owned()];
    life.settle();
    assert_eq!(life.outcome().0, OutcomeKind::Succeeded);
    life.pass(Duration::from_secs(3600));
    assert_eq!(life.steps(), Vec::<String>::new());
}

#[test]
fn what_should_be_stopped_is_left_stopped() {
    let mut life = Life::running();
    life.assign(|desired, _| desired.run_state = RunState::Stopped)
        .settle();
    life.hang();
    life.pass(Duration::from_secs(3600));
    assert_eq!(life.steps(), Vec::<String>::new());
}

#[test]
fn a_start_that_took_too_long_and_then_came_up_is_looked_after_like_any_other() {
    let mut life = Life::running();
    life.assign(|desired, _| desired.run_state = RunState::Stopped)
        .settle();
    life.silent = vec!["22.3".to_owned()];
    life.assign(|desired, _| desired.run_state = RunState::Running);
    life.settle_until_outcome();
    assert_eq!(life.outcome().0, OutcomeKind::Failed);
    life.judge(Verdict::Healthy);
    assert_eq!(life.steps(), Vec::<String>::new());
    life.silent.clear();
    life.hang();
    assert!(life.steps().contains(&"start c1".to_owned()));
}

impl Life {
    fn timing(&self) -> Timing {
        self.roles.get(&role()).unwrap().timing.clone()
    }

    /// The steps of the next so much time.
    pub(super) fn steps_for(&mut self, time: Duration) -> Vec<String> {
        self.log.clear();
        let end = after(self.now, time);
        for _ in 0..60 {
            match self.next() {
                Next::Do(step) => self.apply(&step),
                Next::Wait(Some(at)) if at <= end => {
                    self.pass_until(at);
                    self.log.pop();
                }
                Next::Wait(_) => {
                    self.now = end;
                    return std::mem::take(&mut self.log);
                }
            }
        }
        panic!("no end: {:#?}", self.log);
    }

    fn settle_until_outcome(&mut self) {
        while self.entry.outcome.is_none() {
            match self.next() {
                Next::Do(step) => self.apply(&step),
                Next::Wait(Some(at)) => self.pass_until(at),
                Next::Wait(None) => panic!("no outcome: {:#?}", self.log),
            }
        }
    }
}
