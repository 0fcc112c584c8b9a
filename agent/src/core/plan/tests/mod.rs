//! Whole lives of a server, decided step by step against a model of Docker that does just what a
//! step says.

mod adoption;
mod answers;
mod draining;
mod images;
mod model;
mod sparing;
mod staging;
mod tending;
mod verbs;

use std::collections::BTreeSet;

use extend_common::ids::{NodeAddr, RoleName};
use extend_common::record::{
    Deployment, Desired, Drain, ImageRequest, Parameters, PullPolicy, RunState, ServerRecord, Stamp,
};
use extend_common::roles::{RoleDefinition, RoleSet};
use extend_common::status::{Evidence, ResolvedImage};

use super::Next as Planned;
use super::*;
use crate::core::entry::Served;
use crate::core::observed::Place;
use crate::core::spec::{NodeFacts, render};
use crate::core::step::{Done, Seen};
use crate::docker::{Container, Ownership};

const NEVER: &str = "0001-01-01T00:00:00Z";

/// What comes next, when it is known how long a pull takes.
#[derive(Debug, PartialEq)]
enum Next {
    Do(Step),
    Wait(Option<Timestamp>),
}

/// A server, its Docker and its time.
struct Life {
    roles: RoleSet,
    entry: Entry,
    observed: Observed,
    verdict: Verdict,
    verdict_since: Timestamp,
    signs: Signs,
    death: Option<Death>,
    trouble: Option<Trouble>,
    now: Timestamp,
    seen: Timestamp,
    image: String,
    /// What becomes of a container of this image once it is started: it exits with this code.
    crashes: Vec<String>,
    /// A container of this image never answers.
    silent: Vec<String>,
    /// A pull goes on and on.
    pulling: bool,
    /// Images that somebody uses.
    in_use: Vec<String>,
    /// The pull that was refused last.
    aside: Option<Trouble>,
    /// What is known of the sessions.
    sessions: Option<Tally>,
    spare: Option<Duration>,
    hold: Option<Hold>,
    alone: bool,
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
                pin: None,
                newest: None,
            },
            parameters: Parameters {
                pbx_address: "54.151.30.9".to_owned(),
                public_address: None,
            },
            replace: None,
            secrets: Vec::new(),
            operation: None,
            adopted: None,
            staged: None,
            drain: Drain::Off,
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
            verdict_since: "2026-01-01T00:00:00Z".parse().unwrap(),
            signs: Signs::default(),
            death: None,
            trouble: None,
            now: "2026-01-01T00:00:00Z".parse().unwrap(),
            seen: "2026-01-01T00:00:00Z".parse().unwrap(),
            image: "22.3".to_owned(),
            crashes: Vec::new(),
            silent: Vec::new(),
            pulling: false,
            in_use: Vec::new(),
            aside: None,
            sessions: None,
            spare: None,
            hold: None,
            alone: false,
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
        desired.staged = None;
        desired.drain = Drain::Off;
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
            adopted: self.entry.adopted.clone(),
        };
        plan(&self.view(definition, &owner), self.now)
    }

    fn view<'a>(&'a self, definition: &'a RoleDefinition, owner: &'a Owner) -> View<'a> {
        View {
            entry: &self.entry,
            observed: &self.observed,
            verdict: &self.verdict,
            verdict_since: self.verdict_since,
            signs: &self.signs,
            death: self.death.as_ref(),
            owner,
            official: &definition.main_container().name,
            timing: &definition.timing,
            policy: RestartPolicy::UnlessStopped,
            seen: self.seen,
            trouble: self.trouble.as_ref(),
            aside: self.aside.as_ref(),
            sessions: self.sessions.as_ref(),
            spare: self.spare,
            hold: self.hold.as_ref(),
            alone: self.alone,
        }
    }

    /// What comes next, with a pull that comes to its end at once or never.
    fn next(&self) -> Next {
        match self.decide().next {
            Planned::Meanwhile(_, until) if self.pulling => Next::Wait(until),
            Planned::Do(step) | Planned::Meanwhile(step, _) => Next::Do(step),
            Planned::Wait(until) => Next::Wait(until),
        }
    }

    /// Decides and does until nothing is left to do; what waits for a time gets it.
    fn settle(&mut self) -> &mut Self {
        for _ in 0..60 {
            match self.next() {
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
            Step::EndStop
            | Step::Promote { .. }
            | Step::MarkProven { .. }
            | Step::Spare { .. }
            | Step::Unspare
            | Step::Quarantine { .. }
            | Step::Release
            | Step::Kill { .. }
            | Step::Drain { .. } => {}
            Step::Witness { instance, .. } => {
                let evidence = Evidence {
                    container_id: instance.container_id.clone(),
                    ..Evidence::default()
                };
                done = Done::Seen(Seen {
                    evidence: Some(evidence),
                    ..Seen::default()
                });
            }
            Step::Resolve { .. } | Step::Stage { .. } => {
                done = Done::Obtained {
                    served: Box::new(self.resolved()),
                    fetched: true,
                };
            }
            Step::Recall => done = Done::Resolved(Box::new(self.recalled())),
            Step::Adopt { id, .. } => {
                assert_eq!(self.observed.current.as_ref().unwrap().id, *id);
                done = Done::Resolved(Box::new(self.resolved()));
            }
            Step::RemoveImage { identity } => {
                if self.in_use.contains(identity) {
                    done = Done::Kept;
                }
            }
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
            answered: BTreeSet::new(),
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
            health_log: Vec::new(),
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
        self.verdict_since = self.now;
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
        Step::Spare { instance, .. } => format!("spare {}", instance.container_id),
        Step::RemoveImage { identity } => format!("remove {identity}"),
        Step::Settle { kind, .. } => format!("settle {kind:?}"),
        other => format!("{:?}", other.kind()).to_lowercase(),
    }
}
