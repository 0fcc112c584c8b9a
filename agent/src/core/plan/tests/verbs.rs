//! Each test reads as the list of steps that an operator's verb takes.

use super::*;

#[test]
fn run_resolves_before_it_makes_anything() {
    let mut life = Life::new();
    life.settle();
    assert_eq!(
        life.log,
        [
            "resolve",
            "create",
            "start c1",
            "wait",
            "promote",
            "settle Succeeded"
        ]
    );
    assert!(life.entry.serving.as_ref().unwrap().proven);
}

#[test]
fn stop_takes_the_policy_first_and_waits_for_the_end() {
    let mut life = Life::running();
    life.assign(|desired, _| desired.run_state = RunState::Stopped)
        .settle();
    assert_eq!(
        life.log,
        [
            "policy c1 No",
            "stop c1",
            "wait",
            "endstop",
            "settle Succeeded"
        ]
    );
}

#[test]
fn start_gives_the_policy_back() {
    let mut life = Life::running();
    life.assign(|desired, _| desired.run_state = RunState::Stopped)
        .settle();
    life.log.clear();
    life.assign(|desired, _| desired.run_state = RunState::Running)
        .settle();
    assert_eq!(
        life.log,
        [
            "policy c1 UnlessStopped",
            "start c1",
            "wait",
            "settle Succeeded"
        ]
    );
}

#[test]
fn restart_ends_the_run_it_names_and_no_other() {
    let mut life = Life::running();
    let named = life.observed.current.as_ref().unwrap().instance();
    life.assign(|desired, _| desired.replace = Some(named.clone()))
        .settle();
    assert_eq!(
        life.log,
        [
            "stop c1",
            "wait",
            "endstop",
            "start c1",
            "wait",
            "settle Succeeded"
        ]
    );
    life.log.clear();
    life.assign(|desired, _| desired.replace = Some(named))
        .settle();
    assert_eq!(life.log, ["settle Succeeded"], "that run is over already");
}

#[test]
fn upgrade_keeps_the_old_container_until_the_new_one_answers() {
    let mut life = Life::running();
    life.image = "22.4".to_owned();
    life.assign(|desired, generation| desired.deployment = Deployment(generation))
        .settle();
    assert_eq!(
        life.log,
        [
            "resolve",
            "policy c1 No",
            "stop c1",
            "wait",
            "endstop",
            "rename c1 Previous",
            "create",
            "start c2",
            "wait",
            "promote",
            "remove c1",
            "settle Succeeded"
        ]
    );
    assert_eq!(life.outcome(), (OutcomeKind::Succeeded, ""));
}

#[test]
fn upgrade_to_the_same_image_touches_nothing() {
    let mut life = Life::running();
    life.assign(|desired, generation| desired.deployment = Deployment(generation))
        .settle();
    assert_eq!(life.log, ["resolve", "promote", "settle Succeeded"]);
    assert_eq!(
        life.outcome().1,
        "22.3 is the newest: nothing was restarted"
    );
    // The next record still knows its container.
    life.log.clear();
    life.assign(|desired, _| desired.run_state = RunState::Stopped)
        .settle();
    assert_eq!(
        life.log,
        [
            "policy c1 No",
            "stop c1",
            "wait",
            "endstop",
            "settle Succeeded"
        ]
    );
}

#[test]
fn upgrade_of_a_stopped_server_leaves_it_stopped() {
    let mut life = Life::running();
    life.assign(|desired, _| desired.run_state = RunState::Stopped)
        .settle();
    life.log.clear();
    life.image = "22.4".to_owned();
    life.assign(|desired, generation| desired.deployment = Deployment(generation))
        .settle();
    assert_eq!(
        life.log,
        [
            "resolve",
            "rename c1 Previous",
            "create",
            "policy c2 No",
            "promote",
            "remove c1",
            "settle Succeeded"
        ]
    );
}

#[test]
fn an_upgrade_that_crashes_puts_the_old_one_back_and_is_spent() {
    let mut life = Life::running();
    life.image = "22.4".to_owned();
    life.crashes = vec!["22.4".to_owned()];
    life.assign(|desired, generation| desired.deployment = Deployment(generation))
        .settle();
    assert_eq!(
        life.log,
        [
            "resolve",
            "policy c1 No",
            "stop c1",
            "wait",
            "endstop",
            "rename c1 Previous",
            "create",
            "start c2",
            "spend",
            "policy c2 No",
            "rename c2 Failed",
            "rename c1 Current",
            "policy c1 UnlessStopped",
            "start c1",
            "wait",
            "settle RolledBack"
        ]
    );
    assert_eq!(
        life.outcome(),
        (
            OutcomeKind::RolledBack,
            "portsip.mediaserver exited with code 3"
        )
    );
    assert_eq!(life.observed.failed.as_ref().unwrap().id, "c2");
}

#[test]
fn an_upgrade_that_never_answers_puts_the_old_one_back_when_that_did_answer() {
    let mut life = Life::running();
    life.image = "22.4".to_owned();
    life.silent = vec!["22.4".to_owned()];
    life.assign(|desired, generation| desired.deployment = Deployment(generation))
        .settle();
    let (kind, reason) = life.outcome();
    assert_eq!(kind, OutcomeKind::RolledBack);
    assert_eq!(reason, "portsip.mediaserver did not become healthy in 1m");
}

#[test]
fn what_never_answered_before_is_not_held_against_an_upgrade() {
    let mut life = Life::new();
    life.silent = vec!["22.3".to_owned(), "22.4".to_owned()];
    life.settle();
    life.image = "22.4".to_owned();
    life.assign(|desired, generation| desired.deployment = Deployment(generation))
        .settle();
    assert_eq!(life.outcome().0, OutcomeKind::Succeeded);
    assert!(life.outcome().1.starts_with("not proven"));
}

#[test]
fn a_pull_that_fails_touches_nothing() {
    let mut life = Life::running();
    life.assign(|desired, generation| desired.deployment = Deployment(generation));
    let stamp = life.entry.record.id.stamp;
    let reason = "pulling portsip/pbx:22 failed: no such host".to_owned();
    life.trouble = Some(Trouble {
        stamp,
        kind: StepKind::Resolve,
        tries: MAX_TRIES,
        reason,
    });
    let Next::Do(step) = life.next() else {
        panic!("a step")
    };
    life.apply(&step);
    life.trouble = None;
    life.settle();
    assert_eq!(life.log, ["spend", "settle RolledBack"]);
    assert_eq!(
        life.outcome().1,
        "pulling portsip/pbx:22 failed: no such host"
    );
}

#[test]
fn a_first_deployment_that_crashes_leaves_its_container_as_evidence() {
    let mut life = Life::new();
    life.crashes = vec!["22.3".to_owned()];
    life.settle();
    assert_eq!(
        life.log,
        [
            "resolve",
            "create",
            "start c1",
            "spend",
            "policy c1 No",
            "rename c1 Failed",
            "settle Failed"
        ]
    );
    life.log.clear();
    life.assign(|desired, _| desired.run_state = RunState::Withdrawn)
        .settle();
    assert_eq!(life.log, ["settle Succeeded"]);
    assert!(life.observed.failed.is_some());
}

#[test]
fn rm_removes_all_of_ours() {
    let mut life = Life::running();
    life.image = "22.4".to_owned();
    life.crashes = vec!["22.4".to_owned()];
    life.assign(|desired, generation| desired.deployment = Deployment(generation))
        .settle();
    life.log.clear();
    life.assign(|desired, _| desired.run_state = RunState::Removed)
        .settle();
    assert_eq!(
        life.log,
        [
            "policy c1 No",
            "stop c1",
            "wait",
            "endstop",
            "remove c1",
            "remove c2",
            "settle Succeeded"
        ]
    );
    assert_eq!(life.observed, Observed::default());
}

#[test]
fn a_reversal_in_the_middle_of_an_upgrade_brings_the_old_one_back() {
    let mut life = Life::running();
    life.image = "22.4".to_owned();
    life.silent = vec!["22.4".to_owned()];
    life.assign(|desired, generation| desired.deployment = Deployment(generation));
    while !life.log.contains(&"start c2".to_owned()) {
        match life.next() {
            Next::Do(step) => life.apply(&step),
            Next::Wait(at) => life.pass_until(at.unwrap()),
        }
    }
    life.log.clear();
    life.assign(|desired, _| desired.deployment = Deployment(1))
        .settle();
    assert_eq!(
        life.log,
        [
            "policy c2 No",
            "stop c2",
            "wait",
            "endstop",
            "rename c2 Failed",
            "rename c1 Current",
            "policy c1 UnlessStopped",
            "start c1",
            "wait",
            "settle Succeeded"
        ]
    );
}

#[test]
fn a_lost_ledger_touches_nothing_that_runs() {
    for unchanged_upgrade in [false, true] {
        let mut life = Life::running();
        if unchanged_upgrade {
            life.assign(|desired, generation| desired.deployment = Deployment(generation))
                .settle();
        }
        life.log.clear();
        life.entry = Entry::new(life.entry.record.clone());
        life.settle();
        let touching = life.log.iter().any(|step| step.contains("c1"));
        assert!(!touching, "{:?}", life.log);
        assert_eq!(life.outcome().0, OutcomeKind::Succeeded);
    }
}

#[test]
fn a_foreign_container_under_the_official_name_is_named_and_left_alone() {
    let mut life = Life::new();
    life.create(&std::collections::BTreeMap::new());
    life.settle();
    assert_eq!(life.log, ["spend", "settle Failed"]);
    assert!(
        life.outcome().1.contains("not ours"),
        "{}",
        life.outcome().1
    );
}

#[test]
fn sigkill_comes_at_the_deadline_and_not_before() {
    let mut life = Life::running();
    life.assign(|desired, _| desired.run_state = RunState::Stopped);
    for _ in 0..2 {
        let Next::Do(step) = life.next() else {
            panic!("a step")
        };
        life.apply(&step);
    }
    let began = life.now;
    let Next::Wait(Some(deadline)) = life.next() else {
        panic!("a wait")
    };
    assert_eq!(deadline, after(began, Duration::from_secs(300)));
    life.now = deadline;
    let Next::Do(step) = life.next() else {
        panic!("a step")
    };
    assert_eq!(step.kind(), StepKind::Kill);
}

#[test]
fn every_kind_of_step_is_listed() {
    let mut listed = StepKind::ALL.to_vec();
    listed.sort();
    listed.dedup();
    assert_eq!(listed.len(), StepKind::ALL.len());
    assert_eq!(
        format!("{:?}", StepKind::ALL.last().unwrap()),
        "Settle",
        "declared last"
    );
    assert_eq!(
        StepKind::ALL.len() - 1,
        StepKind::Settle as usize,
        "all before it are listed"
    );
}
