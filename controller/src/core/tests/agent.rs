//! An agent as the controller sees one: it holds a record, works on it, and tells.

use std::collections::BTreeMap;
use std::time::Duration;

use jiff::Timestamp;

use extend_common::ids::NodeAddr;
use extend_common::record::{
    Deployment, Drain, ImageRequest, Instance, Parameters, RunState, ServerRecord,
};
use extend_common::roles::RoleSet;
use extend_common::status::{
    ContainerState, ContainerStatus, Difference, Evidence, Failing, Found, Health, Outcome,
    OutcomeKind, Phase, ResolvedImage, ServerStatus, Spared, StagedImage, Unclaimed, Warning,
};

use crate::core::request::{Heartbeat, Hello, SessionNumber, ToAgent};
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
    /// A container of the official script, while it is there.
    pub(crate) official: Option<Unclaimed>,
    /// What a reference leads to here; otherwise the same everywhere.
    pub(crate) builds: BTreeMap<String, String>,
    /// What it fetches turns out to be what serves.
    pub(crate) unchanged: bool,
    /// What was fetched ahead for its record.
    pub(crate) staged: Option<StagedImage>,
    /// The images that serve, and that served before.
    pub(crate) images: (Option<ResolvedImage>, Option<ResolvedImage>),
    /// In place of what its container tells.
    pub(crate) health: Option<Health>,
    /// A probe that fails.
    pub(crate) failing: Option<Failing>,
    /// What it warns of.
    pub(crate) warnings: Vec<Warning>,
    /// What its signs of life tell.
    pub(crate) beat: Heartbeat,
    /// It is left alone for its calls.
    pub(crate) spared: Option<Spared>,
    /// The holds that it was told of.
    pub(crate) holds: Vec<(Duration, String)>,
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
            official: None,
            builds: BTreeMap::new(),
            unchanged: false,
            staged: None,
            images: (None, None),
            health: None,
            failing: None,
            warnings: Vec::new(),
            beat: Heartbeat::default(),
            spared: None,
            holds: Vec::new(),
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
            ToAgent::LogsWanted(_)
            | ToAgent::ImageWanted(_)
            | ToAgent::FirewallWanted(_)
            | ToAgent::CheckupWanted(_) => {}
            ToAgent::RestartHold { lasts, reason } => self.holds.push((lasts, reason)),
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
                self.staged = None;
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
            unclaimed: self.unclaimed(),
            looked: true,
            // It answers no checkups.
            abilities: extend_common::ability::ALL
                .into_iter()
                .filter(|known| *known != extend_common::ability::CHECKUP)
                .map(str::to_owned)
                .collect(),
            cloud: None,
        }
    }

    /// Lets the official script make a container.
    pub(crate) fn script(&mut self, role: &str, name: &str, state: ContainerState) {
        let roles = RoleSet::built_in().unwrap();
        let role = roles.find(role).unwrap().unwrap();
        self.starts += 1;
        let last = u64::from(self.node.ip().octets()[3]);
        let id = format!("{:012x}{}", (last << 32) | self.starts, "c0de".repeat(13));
        let difference = |text: &str, usual| Difference {
            text: text.to_owned(),
            usual,
        };
        self.official = Some(Unclaimed {
            container_name: role.main_container().name.clone(),
            container_id: id.clone(),
            role: role.role.clone(),
            found: Ok(Box::new(Found {
                name: name.parse().unwrap(),
                parameters: Parameters {
                    pbx_address: "54.151.30.9".to_owned(),
                    public_address: None,
                },
                instance: Instance {
                    container_id: id,
                    started_at: "2026-01-01T00:00:00Z".to_owned(),
                },
                state,
                image: ResolvedImage {
                    reference: "portsip/pbx:22".to_owned(),
                    identity: "sha256:00".to_owned(),
                    version: "22.3.0".to_owned(),
                },
                differences: vec![
                    difference("stop timeout 10 s, wanted 300 s", true),
                    difference("no log limit, wanted 5 files of 50m", true),
                ],
            })),
        });
    }

    /// What nobody claims.
    pub(crate) fn unclaimed(&self) -> Vec<Unclaimed> {
        let own = self.container.as_ref().map(|c| &c.instance.container_id);
        let official = self.official.iter();
        official
            .filter(|official| Some(&official.container_id) != own)
            .cloned()
            .collect()
    }

    /// Takes the official container over, if it is the one that the record names.
    fn adopt(&mut self, record: &ServerRecord) -> bool {
        let Some(official) = &self.official else {
            return false;
        };
        let Ok(found) = &official.found else {
            return false;
        };
        let desired = &record.desired;
        let known = self.serving.as_ref().map(|(deployment, _)| *deployment);
        if desired.adopted.as_ref() != Some(&official.container_id)
            || known == Some(desired.deployment)
        {
            return false;
        }
        self.container = Some(ContainerStatus {
            name: official.container_name.clone(),
            instance: found.instance.clone(),
            state: found.state,
            docker_restarts: 0,
            exit_code: None,
        });
        self.serving = Some((desired.deployment, desired.image.reference.clone()));
        true
    }

    /// Does what the record says, with this outcome.
    pub(crate) fn work(&mut self, kind: OutcomeKind, reason: &str, at: Timestamp) {
        let Some(record) = self.record.clone() else {
            return;
        };
        let desired = &record.desired;
        if let Some(request) = &desired.staged {
            if kind == OutcomeKind::Succeeded {
                self.staged = Some(StagedImage {
                    image: self.resolve(request),
                    unchanged: self.unchanged,
                });
            }
            return self.end(kind, reason, at);
        }
        let adopts = kind == OutcomeKind::Succeeded
            && !desired.run_state.is_tombstone()
            && self.adopt(&record);
        if kind == OutcomeKind::Succeeded && !adopts {
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
                    // What was not to be taken over after all stays where it is.
                    if desired.run_state == RunState::Removed {
                        let own = self.container.as_ref();
                        let own = own.map(|c| c.instance.container_id.clone());
                        self.official = self
                            .official
                            .take()
                            .filter(|official| Some(&official.container_id) != own.as_ref());
                    }
                    self.container = None;
                    self.serving = None;
                }
            }
        }
        self.end(kind, reason, at);
    }

    fn end(&mut self, kind: OutcomeKind, reason: &str, at: Timestamp) {
        let evidence = (kind != OutcomeKind::Succeeded).then(|| Evidence {
            container_id: "c0ffee".to_owned(),
            exit_code: Some(1),
            oom_killed: false,
            log_tail: vec!["no license".to_owned()],
            health_output: Vec::new(),
            dumps: Vec::new(),
        });
        self.outcome = Some(Outcome {
            kind,
            reason: reason.to_owned(),
            evidence,
            at,
        });
    }

    fn resolve(&self, request: &ImageRequest) -> ResolvedImage {
        let reference = request.reference.clone();
        let build = self.builds.get(&reference).map_or("00", String::as_str);
        ResolvedImage {
            identity: match &request.pin {
                Some(pin) => pin.clone(),
                None => format!("{reference}@sha256:{build}"),
            },
            reference,
            version: "22.3.1".to_owned(),
        }
    }

    /// Another image serves from now on.
    fn serve(&mut self, record: &ServerRecord) {
        let image = self.resolve(&record.desired.image);
        if self.images.0.as_ref() != Some(&image) {
            self.images = (Some(image), self.images.0.take());
        }
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
        self.serve(record);
        self.starts += 1;
        let again = self.serving.as_ref().map(|(deployment, _)| *deployment);
        if again == Some(record.desired.deployment)
            && let Some(container) = &mut self.container
        {
            container.instance.started_at = format!("2026-11-22T10:00:00.{:09}Z", self.starts);
            container.state = ContainerState::Running;
            return;
        }
        self.official = None;
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
            health: match self.health {
                Some(health) => health,
                None if live && matches!(record.desired.drain, Drain::Hold { .. }) => {
                    Health::Draining
                }
                None if live => Health::Healthy,
                None => Health::Stopped,
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
            serving_image: self.serving.as_ref().map(|(_, reference)| {
                let adopted = || ResolvedImage {
                    reference: reference.clone(),
                    identity: format!("{reference}@sha256:00"),
                    version: "22.3.1".to_owned(),
                };
                self.images.0.clone().unwrap_or_else(adopted)
            }),
            data_directory: format!("/var/lib/portsip/{}", record.desired.role),
            data_bytes: tombstone.then_some(1_200_000_000),
            agent_restarts: 0,
            proven: live,
            staged: self.staged.clone(),
            previous_image: self.images.1.clone(),
            sessions: None,
            failing: self.failing.clone(),
            warnings: self.warnings.clone(),
            spared: self.spared.clone(),
        })
    }
}
