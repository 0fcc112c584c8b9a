//! An image is fetched ahead: what serves is not touched for it, and is looked after meanwhile.

use std::time::Duration;

use extend_common::status::Health;

use super::*;
use crate::core::status::{condition, status};

impl Life {
    /// A record that wants an image ahead, and nothing else.
    fn stage(&mut self) -> &mut Self {
        self.assign(|desired, _| desired.staged = Some(desired.image.clone()))
    }

    pub(super) fn told(&self) -> extend_common::status::ServerStatus {
        let definition = self.roles.get(&role()).unwrap();
        let owner = Owner {
            node: node(),
            role: role(),
            adopted: self.entry.adopted.clone(),
        };
        let view = self.view(definition, &owner);
        let decision = plan(&view, self.now);
        let condition = condition(&view, &decision, self.now);
        status(
            &view,
            &decision,
            condition,
            (self.now, self.now),
            String::new(),
        )
    }

    fn refuse_pull(&mut self, reason: &str) {
        self.aside = Some(Trouble {
            stamp: self.entry.record.id.stamp,
            kind: StepKind::Stage,
            tries: MAX_TRIES,
            reason: reason.to_owned(),
        });
    }
}

#[test]
fn a_newer_image_is_fetched_and_nothing_else_is_done() {
    let mut life = Life::running();
    life.image = "22.4".to_owned();
    life.stage();
    assert_eq!(life.told().phase, Phase::Pulling);
    assert_eq!(life.told().health, Health::Healthy);
    life.settle();
    assert_eq!(life.log, ["stage", "settle Succeeded"]);
    let told = life.told();
    let staged = told.staged.unwrap();
    assert_eq!(staged.image.version, "22.4");
    assert!(!staged.unchanged);
    assert_eq!(told.serving_image.unwrap().version, "22.3");
    // The deployment that follows is the usual one, and what was staged is told no more.
    life.log.clear();
    life.assign(|desired, generation| desired.deployment = Deployment(generation))
        .settle();
    let upgraded = [
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
    ];
    assert_eq!(life.log[..upgraded.len()], upgraded);
    assert_eq!(life.told().staged, None);
}

#[test]
fn whether_it_would_change_anything_is_what_a_deployment_finds() {
    let mut life = Life::running();
    life.stage().settle();
    assert!(life.told().staged.unwrap().unchanged);
    // What stopped answering since would be made anew.
    life.verdict = Verdict::Unhealthy("no answer".to_owned());
    assert!(!life.told().staged.unwrap().unchanged);
    life.verdict = Verdict::Healthy;
    life.log.clear();
    life.assign(|desired, generation| desired.deployment = Deployment(generation))
        .settle();
    assert_eq!(life.log, ["resolve", "promote", "settle Succeeded"]);

    let mut stopped = Life::running();
    stopped
        .assign(|desired, _| desired.run_state = RunState::Stopped)
        .settle();
    stopped.log.clear();
    stopped.stage().settle();
    assert_eq!(stopped.log, ["stage", "settle Succeeded"]);
    assert!(!stopped.told().staged.unwrap().unchanged);
    assert_eq!(stopped.told().health, Health::Stopped);

    let mut adopted = Life::adopted();
    adopted.stage().settle();
    assert!(!adopted.told().staged.unwrap().unchanged);
}

#[test]
fn a_service_that_hangs_is_healed_while_a_pull_goes_on() {
    let mut life = Life::running();
    life.pulling = true;
    life.stage();
    assert_eq!(
        life.steps_for(Duration::from_secs(60)),
        Vec::<String>::new()
    );
    life.hang();
    assert_eq!(life.told().health, Health::Unhealthy);
    assert_eq!(
        life.steps_for(Duration::from_secs(60)),
        ["witness", "stop c1", "endstop", "start c1"]
    );
    assert_eq!(life.told().health, Health::Healthy);
    assert_eq!(life.entry.restarts_total, 1);
    // The record has not come to its end by that, and does when the image is there.
    assert_eq!(life.entry.outcome, None);
    life.pulling = false;
    life.settle();
    assert_eq!(life.log, ["stage", "settle Succeeded"]);
}

#[test]
fn a_service_that_ends_again_and_again_does_not_keep_its_image_from_coming() {
    let mut life = Life::running();
    life.pulling = true;
    life.stage();
    for _ in 0..4 {
        life.exit("c1", 139);
        life.steps_for(Duration::from_secs(1));
        let pull = life.decide().next;
        assert!(matches!(pull, Planned::Meanwhile(..)), "{pull:?}");
        life.now = after(life.now, Duration::from_secs(30));
        assert_eq!(
            life.steps_for(Duration::from_secs(30)),
            Vec::<String>::new()
        );
    }
}

#[test]
fn a_pull_that_fails_ends_the_record_and_touches_nothing() {
    for run_state in [RunState::Running, RunState::Stopped] {
        let mut life = Life::running();
        life.assign(|desired, _| desired.run_state = run_state)
            .settle();
        let serving = life.entry.serving.clone();
        life.log.clear();
        life.stage().refuse_pull("pulling it failed: no such host");
        life.settle();
        assert_eq!(life.log, ["settle Failed"]);
        assert_eq!(
            life.outcome(),
            (OutcomeKind::Failed, "pulling it failed: no such host")
        );
        assert_eq!(life.entry.serving, serving);
        assert_eq!(life.told().staged, None);
    }
    // It is looked after as before: the failure says nothing of it.
    let mut life = Life::running();
    life.stage().refuse_pull("no");
    life.settle();
    life.hang();
    assert_eq!(
        life.steps_for(Duration::from_secs(60)),
        ["witness", "stop c1", "endstop", "start c1"]
    );
}

#[test]
fn a_step_that_is_refused_while_healing_does_not_fail_the_record() {
    let mut life = Life::running();
    life.pulling = true;
    life.stage();
    life.exit("c1", 1);
    life.trouble = Some(Trouble {
        stamp: life.entry.record.id.stamp,
        kind: StepKind::Start,
        tries: MAX_TRIES + 7,
        reason: "no space left on device".to_owned(),
    });
    for _ in 0..3 {
        let Next::Do(step) = life.next() else {
            panic!("a step")
        };
        assert_ne!(step.kind(), StepKind::Settle);
        life.entry.intend(&step);
        life.entry
            .note(&step, Done::Seen(Seen::default()), life.now);
    }
    assert!(
        life.told().reason.contains("no space left"),
        "{:?}",
        life.told()
    );
}

#[test]
fn a_lost_ledger_takes_stock_first_and_touches_nothing() {
    let mut life = Life::running();
    life.image = "22.4".to_owned();
    life.stage();
    life.entry = Entry::new(life.entry.record.clone());
    life.settle();
    assert_eq!(
        life.log,
        ["recall", "markproven", "stage", "settle Succeeded"]
    );
    assert_eq!(life.observed.current.as_ref().unwrap().id, "c1");
    // Where nothing is, nothing is made of it: the record has come to its end.
    let mut empty = Life::new();
    empty.stage().settle();
    assert_eq!(empty.log, ["stage", "settle Succeeded"]);
    assert_eq!(empty.observed, Observed::default());
}

#[test]
fn an_agent_killed_after_the_pull_has_the_image_in_its_ledger() {
    let mut life = Life::running();
    life.image = "22.4".to_owned();
    life.stage();
    let Next::Do(step) = life.next() else {
        panic!("a step")
    };
    life.apply(&step);
    let text = serde_json::to_string(&life.entry).unwrap();
    life.entry = serde_json::from_str(&text).unwrap();
    life.settle();
    assert_eq!(life.log, ["stage", "settle Succeeded"]);
}
