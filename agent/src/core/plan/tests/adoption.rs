//! A server that somebody else made, from the moment it is taken over: golden lists of steps.

use super::*;

/// Its id, and never one of a container that we made.
const THEIRS: &str = "official";

impl Life {
    /// A container as the official script left it, and nothing known of it.
    fn found(state: ContainerState, policy: RestartPolicy) -> Self {
        let mut life = Self::new();
        life.observed.current = Some(Container {
            id: THEIRS.to_owned(),
            name: "portsip.mediaserver".to_owned(),
            owner: None,
            state,
            started_at: "2025-12-31T00:00:00Z".to_owned(),
            exit_code: 0,
            oom_killed: false,
            error: String::new(),
            policy,
            restart_count: 3,
            image_id: "22.3".to_owned(),
            stop_signal: String::new(),
            health: None,
            health_log: Vec::new(),
        });
        life.verdict = Verdict::Healthy;
        let mut desired = life.entry.record.desired.clone();
        desired.adopted = Some(THEIRS.to_owned());
        if !state.is_live() {
            desired.run_state = RunState::Stopped;
        }
        let stamp = life.entry.record.id.stamp;
        life.entry = Entry::new(ServerRecord::seal(stamp, desired));
        life
    }

    /// One that was taken over and answers.
    pub(super) fn adopted() -> Self {
        let mut life = Self::found(ContainerState::Running, RestartPolicy::UnlessStopped);
        life.settle();
        life.log.clear();
        life
    }

    fn upgraded(&mut self) -> &mut Self {
        self.assign(|desired, generation| {
            desired.deployment = Deployment(generation);
            desired.adopted = None;
        })
        .settle()
    }

    /// What `Fleet::reverse` commits where there was nothing before.
    fn withdrawn(&mut self) -> &mut Self {
        self.assign(|desired, _| desired.run_state = RunState::Withdrawn)
            .settle()
    }

    fn theirs(&self) -> &Container {
        self.observed.by_id(THEIRS).unwrap()
    }
}

#[test]
fn a_running_one_is_taken_over_and_nothing_is_done_to_it() {
    for policy in [
        RestartPolicy::UnlessStopped,
        RestartPolicy::Always,
        RestartPolicy::No,
    ] {
        let mut life = Life::found(ContainerState::Running, policy);
        let before = life.theirs().clone();
        life.settle();
        assert_eq!(
            life.log,
            ["adopt", "markproven", "wait", "settle Succeeded"]
        );
        assert_eq!(*life.theirs(), before);
        // And nothing follows.
        life.log.clear();
        life.settle();
        assert_eq!(life.log, [""; 0]);
    }
}

#[test]
fn a_stopped_one_stays_as_it_is() {
    let mut life = Life::found(ContainerState::Exited, RestartPolicy::UnlessStopped);
    life.settle();
    assert_eq!(life.log, ["adopt", "settle Succeeded"]);
    assert_eq!(life.theirs().policy, RestartPolicy::UnlessStopped);
    life.log.clear();
    life.assign(|desired, _| desired.run_state = RunState::Running)
        .settle();
    assert_eq!(
        life.log,
        ["start official", "markproven", "wait", "settle Succeeded"]
    );
}

#[test]
fn one_that_never_answers_is_taken_over_with_a_word() {
    let mut life = Life::found(ContainerState::Running, RestartPolicy::UnlessStopped);
    life.verdict = Verdict::NotProven;
    life.settle();
    assert_eq!(life.log, ["adopt", "wait", "settle Succeeded"]);
    assert!(life.outcome().1.starts_with("not proven"));
}

#[test]
fn one_that_ends_meanwhile_is_started_by_the_rules_of_tending_and_not_by_the_adoption() {
    let mut life = Life::found(ContainerState::Running, RestartPolicy::UnlessStopped);
    life.verdict = Verdict::NotProven;
    let Next::Do(step) = life.next() else {
        panic!("it is taken over");
    };
    life.apply(&step);
    life.exit(THEIRS, 3);
    let settle = life.decide();
    let Planned::Do(step) = settle.next else {
        panic!("the adoption ends");
    };
    assert_eq!(words(&step), "settle Succeeded");
    life.apply(&step);
    life.log.clear();
    life.settle();
    assert_eq!(life.log, ["witness", "start official", "markproven"]);
    assert_eq!(life.entry.restarts_total, 1);
}

#[test]
fn what_is_not_there_any_more_or_is_another_one_is_not_made() {
    let mut life = Life::found(ContainerState::Running, RestartPolicy::UnlessStopped);
    life.observed.current = None;
    life.settle();
    assert_eq!(life.log, ["settle Failed"]);
    assert!(life.outcome().1.contains("not there any more"));

    let mut life = Life::found(ContainerState::Running, RestartPolicy::UnlessStopped);
    life.observed.current.as_mut().unwrap().id = "another".to_owned();
    let before = life.observed.clone();
    life.settle();
    assert_eq!(life.log, ["settle Failed"]);
    assert!(life.outcome().1.contains("another container now"));
    assert_eq!(life.observed, before);
    life.withdrawn();
    assert_eq!(life.observed, before, "and the way back touches nothing");
}

#[test]
fn an_adoption_that_is_refused_on_the_second_look_fails_and_touches_nothing() {
    let mut life = Life::found(ContainerState::Running, RestartPolicy::UnlessStopped);
    let before = life.observed.clone();
    life.trouble = Some(Trouble {
        stamp: life.entry.record.id.stamp,
        kind: StepKind::Adopt,
        tries: MAX_TRIES,
        reason: "images from `evil/pbx` are not allowed".to_owned(),
    });
    life.settle();
    assert_eq!(life.log, ["settle Failed"]);
    life.trouble = None;
    life.withdrawn();
    assert_eq!(life.log, ["settle Failed", "settle Succeeded"]);
    assert_eq!(life.observed, before);
    assert_eq!((life.entry.adopted, life.entry.serving), (None, None));
}

#[test]
fn a_cancelled_adoption_leaves_everything_as_it_was() {
    let mut life = Life::found(ContainerState::Running, RestartPolicy::UnlessStopped);
    let before = life.observed.clone();
    let Next::Do(step) = life.next() else {
        panic!("it is taken over");
    };
    life.apply(&step);
    life.withdrawn();
    assert_eq!(life.log, ["adopt", "settle Succeeded"]);
    assert_eq!(life.observed, before);
    assert_eq!((&life.entry.adopted, &life.entry.serving), (&None, &None));
    // And it can be taken over after all.
    life.log.clear();
    life.assign(|desired, generation| {
        desired.run_state = RunState::Running;
        desired.deployment = Deployment(generation);
    })
    .settle();
    assert_eq!(
        life.log,
        ["adopt", "markproven", "wait", "settle Succeeded"]
    );
}

#[test]
fn stop_start_and_restart_are_as_for_any_other() {
    let mut life = Life::adopted();
    life.assign(|desired, _| desired.run_state = RunState::Stopped)
        .settle();
    assert_eq!(
        life.log,
        [
            "policy official No",
            "stop official",
            "wait",
            "endstop",
            "settle Succeeded"
        ]
    );
    life.log.clear();
    life.assign(|desired, _| desired.run_state = RunState::Running)
        .settle();
    assert_eq!(
        life.log,
        [
            "policy official UnlessStopped",
            "start official",
            "wait",
            "settle Succeeded"
        ]
    );
    life.log.clear();
    let named = life.theirs().instance();
    life.assign(|desired, _| desired.replace = Some(named))
        .settle();
    assert_eq!(
        life.log,
        [
            "stop official",
            "wait",
            "endstop",
            "start official",
            "wait",
            "settle Succeeded"
        ]
    );
}

#[test]
fn a_stop_that_is_taken_back_halfway_gives_the_policy_back() {
    let mut life = Life::adopted();
    life.assign(|desired, _| desired.run_state = RunState::Stopped);
    let Next::Do(step) = life.next() else {
        panic!("the policy goes first");
    };
    life.apply(&step);
    life.assign(|desired, _| desired.run_state = RunState::Running)
        .settle();
    assert_eq!(
        life.log,
        [
            "policy official No",
            "policy official UnlessStopped",
            "settle Succeeded"
        ]
    );
}

#[test]
fn the_next_upgrade_makes_it_anew_even_from_the_same_image() {
    let mut life = Life::adopted();
    life.upgraded();
    assert_eq!(
        life.log,
        [
            "resolve",
            "policy official No",
            "stop official",
            "wait",
            "endstop",
            "rename official Previous",
            "create",
            "start c1",
            "wait",
            "promote",
            "remove official",
            "settle Succeeded"
        ]
    );
    assert_eq!(life.entry.adopted, None);
    // From now on it is like any other.
    life.log.clear();
    life.upgraded();
    assert_eq!(life.log, ["resolve", "promote", "settle Succeeded"]);
}

#[test]
fn an_upgrade_that_fails_puts_it_back() {
    let mut life = Life::adopted();
    life.image = "22.4".to_owned();
    life.crashes.push("22.4".to_owned());
    life.upgraded();
    assert_eq!(
        life.log,
        [
            "resolve",
            "policy official No",
            "stop official",
            "wait",
            "endstop",
            "rename official Previous",
            "create",
            "start c1",
            "spend",
            "policy c1 No",
            "rename c1 Failed",
            "rename official Current",
            "policy official UnlessStopped",
            "start official",
            "wait",
            "settle RolledBack"
        ]
    );
    // The reversal names it again, and finds everything so.
    life.log.clear();
    life.assign(|desired, _| {
        desired.deployment = Deployment(1);
        desired.adopted = Some(THEIRS.to_owned());
    })
    .settle();
    assert_eq!(life.log, ["settle Succeeded"]);
    // It can still be removed.
    life.log.clear();
    life.assign(|desired, _| desired.run_state = RunState::Removed)
        .settle();
    assert_eq!(
        life.log,
        [
            "policy official No",
            "stop official",
            "wait",
            "endstop",
            "remove official",
            "remove c1",
            "settle Succeeded"
        ]
    );
}

#[test]
fn it_is_removed_as_any_other() {
    let mut life = Life::adopted();
    life.assign(|desired, _| desired.run_state = RunState::Removed)
        .settle();
    assert_eq!(
        life.log,
        [
            "policy official No",
            "stop official",
            "wait",
            "endstop",
            "remove official",
            "settle Succeeded"
        ]
    );
    assert_eq!(life.entry.adopted, None);
}

#[test]
fn one_that_somebody_removes_is_made_again_from_the_definition() {
    let mut life = Life::adopted();
    life.observed.current = None;
    life.settle();
    assert_eq!(life.log, ["create", "witness", "start c1"]);
    assert_eq!(
        life.observed.current.as_ref().unwrap().owner,
        Some(Ownership {
            node: node(),
            server: "media-1".parse().unwrap(),
            role: role(),
            deployment: Deployment(1),
        })
    );
    // A ledger that is lost then takes stock as ever, although the record still names theirs.
    life.entry = Entry::new(life.entry.record.clone());
    life.log.clear();
    life.settle();
    assert_eq!(
        life.log,
        ["recall", "markproven", "wait", "settle Succeeded"]
    );
}

#[test]
fn a_lost_ledger_takes_it_over_again_whatever_the_record_says_by_then() {
    let mut life = Life::adopted();
    life.assign(|desired, _| desired.run_state = RunState::Stopped)
        .settle();
    for run_state in [RunState::Stopped, RunState::Running, RunState::Removed] {
        life.assign(|desired, _| desired.run_state = run_state);
        life.entry = Entry::new(life.entry.record.clone());
        life.log.clear();
        life.settle();
        let steps: &[&str] = match run_state {
            RunState::Stopped => &["adopt", "settle Succeeded"],
            RunState::Running => &[
                "adopt",
                "policy official UnlessStopped",
                "start official",
                "wait",
                "markproven",
                "settle Succeeded",
            ],
            _ => &[
                "adopt",
                "policy official No",
                "stop official",
                "wait",
                "endstop",
                "remove official",
                "settle Succeeded",
            ],
        };
        let mut log = life.log.clone();
        let mut steps = steps.to_vec();
        // When its first answer is noted is of no interest here.
        log.retain(|step| step != "wait" && step != "markproven");
        steps.retain(|step| *step != "wait" && *step != "markproven");
        assert_eq!(log, steps, "{run_state:?}");
    }
}

#[test]
fn a_ledger_lost_in_the_middle_of_an_upgrade_brings_it_back_when_that_is_reversed() {
    let mut life = Life::adopted();
    let prior = life.entry.record.desired.clone();
    life.image = "22.4".to_owned();
    life.assign(|desired, generation| {
        desired.deployment = Deployment(generation);
        desired.adopted = None;
    });
    while life.observed.previous.is_none() {
        match life.next() {
            Next::Do(step) => life.apply(&step),
            Next::Wait(at) => life.pass_until(at.unwrap()),
        }
    }
    life.assign(|desired, _| *desired = prior);
    life.entry = Entry::new(life.entry.record.clone());
    life.log.clear();
    life.settle();
    life.log.retain(|step| step != "markproven");
    assert_eq!(
        life.log,
        [
            "rename official Current",
            "adopt",
            "policy official UnlessStopped",
            "start official",
            "wait",
            "settle Succeeded"
        ]
    );
}

#[test]
fn a_hang_is_healed_and_restarts_before_the_adoption_are_nothing_new() {
    let mut life = Life::adopted();
    assert!(life.entry.incident.is_none(), "{:?}", life.entry.incident);
    life.verdict = Verdict::Unhealthy("no answer on tcp/8840".to_owned());
    life.settle();
    assert_eq!(
        life.log,
        [
            "witness",
            "stop official",
            "wait",
            "endstop",
            "start official"
        ]
    );
}
