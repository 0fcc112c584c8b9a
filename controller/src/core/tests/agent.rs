//! An agent as the controller sees one: it holds a record, works on it, and tells.

use jiff::Timestamp;

use extend_common::ids::NodeAddr;
use extend_common::record::{Deployment, Instance, RunState, ServerRecord};
use extend_common::roles::RoleSet;
use extend_common::status::{
    ContainerState, ContainerStatus, Evidence, Health, Outcome, OutcomeKind, Phase, ResolvedImage,
    ServerStatus,
};

use crate::core::request::{Hello, SessionNumber, ToAgent};
use crate::store::StoreId;

/// A simulated agent with its ledger and its one container.
#[derive(Debug, Clone)]
pub(crate) struct Agent {
    pub(crate) node: NodeAddr,
    pub(crate) store: Option<StoreId>,
    pub(crate) epoch: u64,
    pub(crate) record: Option<ServerRecord>,
    pub(crate) outcome: Option<Outcome>,
    pub(crate) serving: Option<(Deployment, String)>,
    pub(crate) container: Option<ContainerStatus>,
    pub(crate) session: Option<SessionNumber>,
    pub(crate) ahead: bool,
    /// What it was told of its journal.
    pub(crate) kept: Vec<(String, u64)>,
    /// Counts starts of containers, for instances that differ.
    starts: u64,
}

impl Agent {
    pub(crate) fn new(node: NodeAddr) -> Self {
        Self {
            node,
            store: None,
            epoch: 0,
            record: None,
            outcome: None,
            serving: None,
            container: None,
            session: None,
            ahead: false,
            kept: Vec::new(),
            starts: 0,
        }
    }

    /// Takes a message as the protocol wants it: nothing of a lower place in the order.
    pub(crate) fn receive(&mut self, message: ToAgent) {
        match message {
            ToAgent::Welcome(welcome) => {
                self.session = Some(welcome.session);
                self.ahead = welcome.ahead;
                if !welcome.ahead {
                    self.epoch = self.epoch.max(welcome.epoch);
                    if self.record.is_none() {
                        self.store = Some(welcome.store);
                    }
                }
            }
            ToAgent::LogsWanted(_) => {}
            ToAgent::Assignment { record, recovered } => {
                let held = self.record.as_ref().map(|held| held.id);
                if held == Some(record.id) {
                    return;
                }
                let newer = held.is_none_or(|held| record.id.stamp > held.stamp);
                assert!(
                    newer || recovered,
                    "an older record was sent: {record:?} over {held:?}"
                );
                self.record = Some(*record);
                self.outcome = None;
            }
            ToAgent::EventsKept { journal, sequence } => {
                self.kept.push((journal, sequence));
            }
        }
    }

    pub(crate) fn hello(&self) -> Hello {
        let roles = RoleSet::built_in().unwrap();
        Hello {
            node: self.node,
            agent_version: "0.1.0".to_owned(),
            store: self.store,
            epoch: self.epoch,
            record: self.record.clone(),
            definitions: roles.iter().map(|d| (d.role.clone(), d.digest())).collect(),
            status: self.status(),
            unclaimed: Vec::new(),
        }
    }

    /// Does what the record says, with this outcome.
    pub(crate) fn work(&mut self, kind: OutcomeKind, reason: &str, at: Timestamp) {
        let Some(record) = self.record.clone() else {
            return;
        };
        let desired = &record.desired;
        if kind == OutcomeKind::Succeeded {
            match desired.run_state {
                RunState::Running => self.run(&record),
                RunState::Stopped => {
                    let deployment = (desired.deployment, desired.image.reference.clone());
                    if self.serving.as_ref() != Some(&deployment) {
                        self.start_container(&record);
                    }
                    self.serving = Some(deployment);
                    if let Some(container) = &mut self.container {
                        container.state = ContainerState::Exited;
                    }
                }
                RunState::Removed | RunState::Withdrawn => {
                    self.container = None;
                    self.serving = None;
                }
            }
        }
        let evidence = (kind != OutcomeKind::Succeeded).then(|| Evidence {
            container_id: "c0ffee".to_owned(),
            exit_code: Some(1),
            oom_killed: false,
            log_tail: vec!["no license".to_owned()],
        });
        self.outcome = Some(Outcome {
            kind,
            reason: reason.to_owned(),
            evidence,
            at,
        });
    }

    fn run(&mut self, record: &ServerRecord) {
        let desired = &record.desired;
        let deployment = (desired.deployment, desired.image.reference.clone());
        let live = self
            .container
            .as_ref()
            .is_some_and(|container| container.state.is_live());
        let instance = self
            .container
            .as_ref()
            .map(|container| container.instance.clone());
        let replaced = desired.replace.is_some() && desired.replace == instance;
        if !live || replaced || self.serving.as_ref() != Some(&deployment) {
            self.start_container(record);
        }
        self.serving = Some(deployment);
    }

    fn start_container(&mut self, record: &ServerRecord) {
        self.starts += 1;
        let roles = RoleSet::built_in().unwrap();
        let definition = roles.get(&record.desired.role).unwrap();
        self.container = Some(ContainerStatus {
            name: definition.main_container().name.clone(),
            instance: Instance {
                container_id: format!("{:064x}", record.desired.deployment.0),
                started_at: format!("2026-11-22T10:00:00.{:09}Z", self.starts),
            },
            state: ContainerState::Running,
            docker_restarts: 0,
            exit_code: None,
        });
    }

    /// Kills the container as a crash or an operator on the node would.
    pub(crate) fn lose_container(&mut self) {
        if let Some(container) = &mut self.container {
            container.state = ContainerState::Exited;
        }
    }

    pub(crate) fn status(&self) -> Option<ServerStatus> {
        let record = self.record.as_ref()?;
        let live = self
            .container
            .as_ref()
            .is_some_and(|container| container.state.is_live());
        let tombstone = record.desired.run_state.is_tombstone();
        Some(ServerStatus {
            record: record.id,
            name: record.desired.name.clone(),
            role: record.desired.role.clone(),
            health: if live {
                Health::Healthy
            } else {
                Health::Stopped
            },
            reason: String::new(),
            since: Timestamp::UNIX_EPOCH,
            phase: if self.outcome.is_some() {
                Phase::Settled
            } else {
                Phase::Preparing
            },
            detail: if self.outcome.is_some() {
                String::new()
            } else {
                "at it".to_owned()
            },
            outcome: self.outcome.clone(),
            current: self.container.clone(),
            serving: self.serving.as_ref().map(|(deployment, _)| *deployment),
            serving_image: self.serving.as_ref().map(|(_, reference)| ResolvedImage {
                reference: reference.clone(),
                identity: format!("{reference}@sha256:00"),
                version: "22.3.1".to_owned(),
            }),
            data_directory: format!("/var/lib/portsip/{}", record.desired.role),
            data_bytes: tombstone.then_some(1_200_000_000),
            agent_restarts: 0,
        })
    }
}
