//! Whole lives of a server, decided step by step against a model of Docker that does just what a
//! step says. Each test reads as the list of steps that an operator's verb takes.

use extend_common::ids::{NodeAddr, RoleName};
use extend_common::record::{
    Deployment, Desired, ImageRequest, Parameters, PullPolicy, RunState, ServerRecord, Stamp,
};
use extend_common::roles::RoleSet;
use extend_common::status::ResolvedImage;

use super::*;
use crate::core::entry::Served;
use crate::core::observed::Place;
use crate::core::spec::{NodeFacts, render};
use crate::core::step::{Done, Seen};
use crate::docker::{Container, Ownership};

const NEVER: &str = "0001-01-01T00:00:00Z";

/// A server, its Docker and its time.
struct Life {
    roles: RoleSet,
    entry: Entry,
    observed: Observed,
    verdict: Verdict,
    trouble: Option<Trouble>,
    now: Timestamp,
    seen: Timestamp,
    image: String,
    /// What becomes of a container of this image once it is started: it exits with this code.
    crashes: Vec<String>,
    /// A container of this image never answers.
    silent: Vec<String>,
    ids: u32,
    log: Vec<String>,
}

fn node() -> NodeAddr {
    "172.31.16.139".parse().unwrap()
}

fn role() -> RoleName {
    "media-server-only".parse().unwrap()
}

impl Life {
    fn new() -> Self {
        let roles = RoleSet::built_in().unwrap();
        let desired = Desired {
            node: node(),
            name: "media-1".parse().unwrap(),
            role: role(),
            definition: roles.get(&role()).unwrap().digest(),
            run_state: RunState::Running,
            deployment: Deployment(1),
            image: ImageRequest {
                reference: "portsip/pbx:22".to_owned(),
                pull: PullPolicy::Always,
                allow_older: false,
            },
            parameters: Parameters {
                pbx_address: "54.151.30.9".to_owned(),
                public_address: None,
            },
            replace: None,
            secrets: Vec::new(),
            operation: None,
        };
        let record = ServerRecord::seal(
            Stamp {
                epoch: 1,
                generation: 1,
            },
            desired,
        );
        Self {
            roles,
            entry: Entry::new(record),
            observed: Observed::default(),
            verdict: Verdict::Starting,
            trouble: None,
            now: "2026-01-01T00:00:00Z".parse().unwrap(),
            seen: "2026-01-01T00:00:00Z".parse().unwrap(),
            image: "22.3".to_owned(),
            crashes: Vec::new(),
            silent: Vec::new(),
            ids: 0,
            log: Vec::new(),
        }
    }

    /// A server that was deployed and answers.
    fn running() -> Self {
        let mut life = Self::new();
        life.settle();
        life.log.clear();
        life
    }

    fn assign(&mut self, change: impl FnOnce(&mut Desired, u64)) -> &mut Self {
        let generation = self.entry.record.id.stamp.generation + 1;
        let mut desired = self.entry.record.desired.clone();
        desired.replace = None;
        change(&mut desired, generation);
        self.entry.take(ServerRecord::seal(
            Stamp {
                epoch: 1,
                generation,
            },
            desired,
        ));
        self
    }

    fn decide(&self) -> Decision {
        let definition = self.roles.get(&role()).unwrap();
        let owner = Owner {
            node: node(),
            role: role(),
        };
        let view = View {
            entry: &self.entry,
            observed: &self.observed,
            verdict: &self.verdict,
            owner: &owner,
            official: &definition.main_container().name,
            timing: &definition.timing,
            policy: RestartPolicy::UnlessStopped,
            seen: self.seen,
            trouble: self.trouble.as_ref(),
        };
        plan(&view, self.now)
    }

    /// Decides and does until nothing is left to do; what waits for a time gets it.
    fn settle(&mut self) -> &mut Self {
        for _ in 0..60 {
            let decision = self.decide();
            match decision.next {
                Next::Do(step) => self.apply(&step),
                Next::Wait(Some(at)) => self.pass_until(at),
                Next::Wait(None) => return self,
            }
        }
        panic!("no end: {:#?}", self.log);
    }

    fn pass_until(&mut self, at: Timestamp) {
        self.log.push("wait".to_owned());
        self.now = self.now.max(at);
        // A process that was asked to end has done so by then.
        if let Some(stopping) = &self.entry.stopping {
            let id = stopping.instance.container_id.clone();
            self.exit(&id, 0);
        }
    }

    fn exit(&mut self, id: &str, code: i64) {
        let container = self.container(id);
        container.state = ContainerState::Exited;
        container.exit_code = code;
    }

    fn container(&mut self, id: &str) -> &mut Container {
        [
            &mut self.observed.current,
            &mut self.observed.previous,
            &mut self.observed.failed,
        ]
        .into_iter()
        .flatten()
        .find(|container| container.id == id)
        .expect("the step is about a container that is there")
    }

    fn take(&mut self, id: &str) -> Container {
        for slot in [
            &mut self.observed.current,
            &mut self.observed.previous,
            &mut self.observed.failed,
        ] {
            if slot.as_ref().is_some_and(|container| container.id == id) {
                return slot.take().unwrap();
            }
        }
        panic!("the step is about a container that is there");
    }

    fn apply(&mut self, step: &Step) {
        self.log.push(words(step));
        self.entry.intend(step);
        let mut done = Done::Effect;
        match step {
            Step::EndStop | Step::Promote { .. } | Step::MarkProven | Step::Kill { .. } => {}
            Step::Resolve { .. } => done = Done::Resolved(Box::new(self.resolved())),
            Step::Recall => done = Done::Resolved(Box::new(self.recalled())),
            Step::SetPolicy { id, policy } => self.container(id).policy = *policy,
            Step::Stop { .. } => {}
            Step::Rename { id, to } => self.rename(id, *to),
            Step::Create { spec } => self.create(&spec.labels),
            Step::Start { before, .. } => self.start(&before.container_id),
            Step::Remove { id } => {
                assert!(
                    !self.take(id).state.is_live(),
                    "a live container is never removed"
                );
            }
            Step::Spend { .. } | Step::Settle { .. } => done = Done::Seen(Seen::default()),
        }
        if let Step::Kill { id, .. } = step {
            self.exit(id, 137);
        }
        self.entry.note(step, done, self.now);
        let live = self
            .observed
            .all()
            .filter(|c| c.state == ContainerState::Running)
            .count();
        assert!(live <= 1, "two containers run: {:#?}", self.log);
    }

    fn resolved(&self) -> Served {
        let image = ResolvedImage {
            reference: "portsip/pbx:22".to_owned(),
            identity: format!("portsip/pbx@sha256:{}", self.image),
            version: self.image.clone(),
        };
        let facts = NodeFacts {
            node: node(),
            data: "/var/lib/portsip".into(),
        };
        let desired = &self.entry.record.desired;
        Served {
            deployment: desired.deployment,
            made_by: desired.deployment,
            spec: render(
                self.roles.get(&role()).unwrap(),
                desired,
                &facts,
                &image.identity,
            ),
            image,
            proven: false,
            recalled_for: None,
        }
    }

    fn recalled(&self) -> Served {
        let made_by = self
            .observed
            .current
            .as_ref()
            .unwrap()
            .owner
            .as_ref()
            .unwrap()
            .deployment;
        let mut served = self.resolved();
        served.recalled_for = Some(self.entry.record.id.stamp);
        served.deployment = made_by;
        served.made_by = made_by;
        served
    }

    fn create(&mut self, labels: &std::collections::BTreeMap<String, String>) {
        assert!(self.observed.current.is_none(), "the name is taken");
        self.ids += 1;
        self.observed.current = Some(Container {
            id: format!("c{}", self.ids),
            name: "portsip.mediaserver".to_owned(),
            owner: Ownership::from_labels(labels),
            state: ContainerState::Created,
            started_at: NEVER.to_owned(),
            exit_code: 0,
            oom_killed: false,
            error: String::new(),
            policy: RestartPolicy::UnlessStopped,
            restart_count: 0,
            image_id: self.image.clone(),
            stop_signal: String::new(),
            health: None,
        });
    }

    fn rename(&mut self, id: &str, to: Place) {
        let container = self.take(id);
        let slot = match to {
            Place::Current => &mut self.observed.current,
            Place::Previous => &mut self.observed.previous,
            Place::Failed => &mut self.observed.failed,
        };
        assert!(slot.is_none(), "the name is taken");
        *slot = Some(container);
    }

    fn start(&mut self, id: &str) {
        self.seen = self.now;
        let started = self.now.to_string();
        let (crashes, silent) = (self.crashes.clone(), self.silent.clone());
        let container = self.container(id);
        container.started_at = started;
        container.restart_count = 0;
        let image = container.image_id.clone();
        if crashes.contains(&image) {
            container.state = ContainerState::Exited;
            container.exit_code = 3;
        } else {
            container.state = ContainerState::Running;
        }
        self.verdict = if silent.contains(&image) {
            Verdict::NotProven
        } else {
            Verdict::Healthy
        };
    }

    fn outcome(&self) -> (OutcomeKind, &str) {
        let outcome = self.entry.outcome.as_ref().expect("an outcome");
        (outcome.kind, outcome.reason.as_str())
    }
}

fn words(step: &Step) -> String {
    match step {
        Step::SetPolicy { id, policy } => format!("policy {id} {policy:?}"),
        Step::Stop { instance, .. } => format!("stop {}", instance.container_id),
        Step::Kill { id, .. } => format!("kill {id}"),
        Step::Rename { id, to } => format!("rename {id} {to:?}"),
        Step::Start { before, .. } => format!("start {}", before.container_id),
        Step::Remove { id } => format!("remove {id}"),
        Step::Settle { kind, .. } => format!("settle {kind:?}"),
        other => format!("{:?}", other.kind()).to_lowercase(),
    }
}

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
    let Next::Do(step) = life.decide().next else {
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
        match life.decide().next {
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
        let Next::Do(step) = life.decide().next else {
            panic!("a step")
        };
        life.apply(&step);
    }
    let began = life.now;
    let Next::Wait(Some(deadline)) = life.decide().next else {
        panic!("a wait")
    };
    assert_eq!(deadline, after(began, Duration::from_secs(300)));
    life.now = deadline;
    let Next::Do(step) = life.decide().next else {
        panic!("a step")
    };
    assert_eq!(step.kind(), StepKind::Kill);
}

#[test]
fn what_ends_by_itself_after_the_record_is_started_again_within_the_budget() {
    let mut life = Life::running();
    for expected in ["start c1"; 5] {
        life.exit("c1", 1);
        life.log.clear();
        life.settle();
        assert_eq!(life.log.last().unwrap(), expected);
    }
    life.exit("c1", 1);
    let Next::Wait(Some(until)) = life.decide().next else {
        panic!("a wait")
    };
    assert!(until > after(life.now, Duration::from_secs(500)), "{until}");
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
