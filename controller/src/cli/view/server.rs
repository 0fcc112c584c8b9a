//! Servers, as `extend status` shows them.

use extend_common::ids::{NodeAddr, OperationId, RoleName, ServerName};
use extend_common::record::{RunState, ServerRecord};
use extend_common::status::{ContainerState, Health, NodeState, Phase, ServerStatus};
use extend_proto::v1;
use jiff::Timestamp;
use serde::Serialize;

use super::host::Host;
use super::portal::Portal;
use super::serving::{Image, Sessions};
use super::unclaimed::Unclaimed;
use super::{health_tone, moment, node_tone, not_understood, text};
use crate::cli::failure::Failure;
use crate::cli::output::spark::Marks;
use crate::cli::output::table::{Cell, Table};
use crate::cli::output::text::{age, local_times, short_hash};

/// The document of `extend status`.
#[derive(Debug, Clone, Serialize)]
pub(crate) struct Fleet {
    /// The servers that have a record.
    pub(crate) servers: Vec<Server>,
    /// Containers that bear the name of a service without a record. They are left as they are.
    pub(crate) unclaimed: Vec<Unclaimed>,
}

/// One server.
#[derive(Debug, Clone, Serialize)]
pub(crate) struct Server {
    /// Its portal name.
    pub(crate) name: ServerName,
    /// Its role: the word after `-s`.
    pub(crate) r#type: RoleName,
    /// Its node.
    pub(crate) address: NodeAddr,
    /// How it is; `unknown` while its node is away.
    pub(crate) health: Health,
    /// What the node told last, which may be long ago.
    pub(crate) reported_health: Option<Health>,
    /// Since when the reported health has been so.
    pub(crate) since: Option<Timestamp>,
    /// Why it is as it is, in words.
    pub(crate) reason: Option<String>,
    /// What its node is doing about it.
    pub(crate) phase: Option<Phase>,
    /// The same in words.
    pub(crate) detail: Option<String>,
    /// What it should be: running, stopped, removed or withdrawn.
    pub(crate) run_state: RunState,
    /// The image that serves, as it was asked for; that of the record when none is known.
    pub(crate) image: String,
    /// The image that serves, exactly: `repo@sha256:…` or an image id.
    pub(crate) image_identity: Option<String>,
    /// The version in the image's label.
    pub(crate) version: Option<String>,
    /// The image of the deployment before, while its node keeps it: `upgrade --to-previous` goes
    /// back to it.
    pub(crate) previous_image: Option<Image>,
    /// How many sessions it has; null unless somebody waits for their end.
    pub(crate) sessions: Option<Sessions>,
    /// A probe that fails, from its first failure on.
    pub(crate) failing: Option<Noted>,
    /// What is the matter and no restart would mend.
    pub(crate) warnings: Vec<Noted>,
    /// Until when it is left alone, unhealthy as it is, because it carries calls.
    pub(crate) spared_until: Option<Timestamp>,
    /// Restarts that the agent began by itself.
    pub(crate) agent_restarts: u64,
    /// Restarts by Docker's own policy since it was last started on purpose.
    pub(crate) docker_restarts: u64,
    /// The number of the deployment that should serve.
    pub(crate) deployment: u64,
    /// The number of the deployment that does.
    pub(crate) serving_deployment: Option<u64>,
    /// Docker's id of the container.
    pub(crate) container_id: Option<String>,
    /// Docker's word for its state.
    pub(crate) container_state: Option<ContainerState>,
    /// Where its data lies on the node.
    pub(crate) data_directory: Option<String>,
    /// How its node is.
    pub(crate) node_state: NodeState,
    /// Why its node is so, in words.
    pub(crate) node_reason: Option<String>,
    /// Since when its node has been suspect or offline.
    pub(crate) node_away_since: Option<Timestamp>,
    /// The open operation that holds it.
    pub(crate) operation: Option<OperationId>,
    /// How its node's machine does.
    pub(crate) host: Option<Host>,
    /// How it stands in the PBX's portal.
    pub(crate) portal: Portal,
    /// For each piece of five minutes of the last two hours the share of the time that it was
    /// healthy or draining; null is a gap: its node or the controller was away.
    pub(crate) recent_healthy_percent: Vec<Option<u8>>,
}

/// Something that its node has noted of it.
#[derive(Debug, Clone, Serialize)]
pub(crate) struct Noted {
    /// Since when, by the node's clock.
    since: Timestamp,
    /// In words.
    reason: String,
}

/// In place of a share, for a time of which nothing is known.
const GAP: u8 = u8::MAX;

impl TryFrom<v1::ListServersResponse> for Fleet {
    type Error = Failure;

    fn try_from(answer: v1::ListServersResponse) -> Result<Self, Failure> {
        let servers: Result<Vec<_>, _> = answer.servers.into_iter().map(Server::try_from).collect();
        let unclaimed = answer.unclaimed.into_iter().map(Unclaimed::try_from);
        Ok(Self {
            servers: servers?,
            unclaimed: unclaimed.collect::<Result<_, _>>()?,
        })
    }
}

impl TryFrom<v1::ServerView> for Server {
    type Error = Failure;

    fn try_from(view: v1::ServerView) -> Result<Self, Failure> {
        let record = view.record.unwrap_or_default();
        let record = ServerRecord::try_from(record).map_err(|e| not_understood(&e))?;
        let node_state = NodeState::from_wire(view.node_state).map_err(|e| not_understood(&e))?;
        let status = view.status.map(ServerStatus::try_from).transpose();
        let status = status.map_err(|e| not_understood(&e))?;
        let operation = Some(view.operation).filter(|id| !id.is_empty());
        let operation = operation.map(|id| id.parse::<OperationId>()).transpose();
        let operation =
            operation.map_err(|e| Failure::local("cannot understand the controller", &e))?;
        let node_away_since = moment("node_away_since_ms", view.node_away_since_ms)?;
        let now = Timestamp::now();
        Ok(Self {
            node_reason: text(view.node_reason),
            node_away_since,
            host: view.host.map(|host| Host::read(host, now)),
            portal: Portal::read(view.portal),
            recent_healthy_percent: view
                .recent
                .into_iter()
                .map(|share| Some(share).filter(|share| *share != GAP))
                .collect(),
            ..Self::new(record, node_state, status, operation)
        })
    }
}

impl Server {
    fn new(
        record: ServerRecord,
        node_state: NodeState,
        status: Option<ServerStatus>,
        operation: Option<OperationId>,
    ) -> Self {
        let desired = record.desired;
        let reported_health = status.as_ref().map(|status| status.health);
        let health = if is_heard(node_state) {
            reported_health
        } else {
            None
        };
        let health = health.unwrap_or(Health::Unknown);
        let mut server = Self {
            name: desired.name,
            r#type: desired.role,
            address: desired.node,
            health,
            reported_health,
            since: None,
            reason: None,
            phase: None,
            detail: None,
            run_state: desired.run_state,
            image: desired.image.reference,
            image_identity: None,
            version: None,
            previous_image: None,
            sessions: None,
            failing: None,
            warnings: Vec::new(),
            spared_until: None,
            agent_restarts: 0,
            docker_restarts: 0,
            deployment: desired.deployment.0,
            serving_deployment: None,
            container_id: None,
            container_state: None,
            data_directory: None,
            node_state,
            node_reason: None,
            node_away_since: None,
            operation,
            host: None,
            portal: Portal::read(None),
            recent_healthy_percent: Vec::new(),
        };
        if let Some(status) = status {
            server.tell(status);
        }
        server
    }

    /// Fills in what the node told.
    fn tell(&mut self, status: ServerStatus) {
        let some = |text: String| Some(text).filter(|text| !text.is_empty());
        self.since = Some(status.since);
        self.reason = some(status.reason);
        self.phase = Some(status.phase);
        self.detail = some(status.detail);
        self.agent_restarts = status.agent_restarts;
        self.serving_deployment = status.serving.map(|deployment| deployment.0);
        self.data_directory = some(status.data_directory);
        if let Some(image) = status.serving_image {
            self.image = image.reference;
            self.image_identity = some(image.identity);
            self.version = some(image.version);
        }
        self.previous_image = status.previous_image.map(Image::from);
        self.sessions = status.sessions.map(Sessions::from);
        self.failing = status.failing.map(|failing| Noted {
            since: failing.since,
            reason: failing.reason,
        });
        let warnings = status.warnings.into_iter();
        let noted = warnings.map(|warning| Noted {
            since: warning.since,
            reason: warning.reason,
        });
        self.warnings = noted.collect();
        self.spared_until = status.spared.map(|spared| spared.until);
        if let Some(container) = status.current {
            self.docker_restarts = container.docker_restarts;
            self.container_id = some(container.instance.container_id);
            self.container_state = Some(container.state);
        }
    }

    /// Why it is as it is, in the words that fit the moment best.
    pub(crate) fn explanation(&self) -> String {
        let mut words = Vec::new();
        match (is_heard(self.node_state), self.reported_health) {
            (_, None) => words.push(
                self.node_reason
                    .clone()
                    .unwrap_or_else(|| "its node has not been heard yet".to_owned()),
            ),
            (false, Some(health)) => {
                let state = format!("its node is {}", self.node_state);
                words.push(self.node_reason.clone().unwrap_or(state));
                words.push(format!("it was {health}"));
            }
            (true, Some(_)) if self.node_state == NodeState::Suspect => {
                words.extend(self.node_reason.clone());
            }
            (true, Some(_)) => {}
        }
        if self.run_state.is_tombstone() {
            words.push("being removed".to_owned());
        }
        let is_draining = self.health == Health::Draining;
        let waits = self.phase == Some(Phase::Draining);
        let sessions = self.sessions.as_ref().filter(|_| is_draining || waits);
        words.extend(sessions.map(|sessions| match is_draining {
            true => sessions.in_words(),
            // It takes sessions, and waits to be stopped.
            false => format!("{}: {}", Phase::Draining, sessions.in_words()),
        }));
        words.extend(self.reason.clone());
        let advised = self.reason.iter().any(|why| why.contains("extend restart"));
        if self.health == Health::Quarantined && !advised {
            words.push(format!(
                "to start it again: extend restart -n {}",
                self.name
            ));
        }
        // The sessions have been told already.
        let told = sessions.is_some() && waits;
        if !told && self.phase.is_some_and(|phase| phase != Phase::Settled) {
            words.extend(self.detail.clone());
        }
        let heard = is_heard(self.node_state);
        let warnings = self.warnings.iter().filter(|_| heard);
        words.extend(warnings.map(|warning| format!("warning: {}", warning.reason)));
        // What is done about it may be the reason too.
        words.dedup();
        words.join("; ")
    }

    /// By whom it was restarted, and how often. Docker counts from the last start on purpose.
    fn restarts(&self) -> String {
        match (self.agent_restarts, self.docker_restarts) {
            (0, 0) => "0".to_owned(),
            (agent, 0) => format!("{agent} by agent"),
            (0, docker) => format!("{docker} by docker"),
            (agent, docker) => format!("{agent} by agent, {docker} by docker"),
        }
    }

    /// The same for a sentence; nothing where there was none.
    fn restarts_told(&self) -> String {
        match self.agent_restarts.saturating_add(self.docker_restarts) {
            0 => String::new(),
            _ => format!("restarts: {}", self.restarts()),
        }
    }

    fn deployments(&self) -> String {
        match self.serving_deployment {
            Some(serving) if serving == self.deployment => serving.to_string(),
            Some(serving) => format!("{serving} (should be {})", self.deployment),
            None => format!("none (should be {})", self.deployment),
        }
    }

    fn row(&self, wide: bool, now: Timestamp) -> Vec<Cell> {
        let heard = is_heard(self.node_state);
        let since = self
            .since
            .filter(|_| heard)
            .map(|at| age(at, now))
            .unwrap_or_default();
        let operation = self.operation.map(OperationId::short).unwrap_or_default();
        let held = self.operation.map(|id| format!("operation {}", id.short()));
        let node_told = match self.node_state {
            NodeState::Ahead => "its node is ahead".to_owned(),
            // The rest is told by the explanation.
            _ => String::new(),
        };
        let mut cells = vec![
            Cell::from(self.name.as_str()),
            self.r#type.as_str().into(),
            self.address.to_string().into(),
            Cell::toned(self.health.to_string(), health_tone(self.health)),
            since.into(),
            self.portal.cell(),
            self.image.clone().into(),
            self.version.clone().unwrap_or_default().into(),
            Cell::from(self.restarts()).or_say(self.restarts_told()),
            Cell::toned(self.node_state.to_string(), node_tone(self.node_state)).or_say(node_told),
            Cell::from(operation).or_say(held.unwrap_or_default()),
        ];
        if wide {
            let short = |text: &Option<String>| text.as_deref().map(short_hash).unwrap_or_default();
            cells.push(short(&self.container_id).into());
            cells.push(short(&self.image_identity).into());
            let previous = self.previous_image.as_ref().map(Image::in_words);
            cells.push(previous.unwrap_or_default().into());
            cells.push(self.deployments().into());
            cells.push(self.data_directory.clone().unwrap_or_default().into());
            let host = self.host.as_ref().filter(|_| heard);
            cells.push(host.map(Host::processor).unwrap_or_default().into());
            cells.push(host.map(Host::memory).unwrap_or_default().into());
            cells.push(host.map(Host::disk_free).unwrap_or_default().into());
            let shares = self.recent_healthy_percent.iter();
            let shares = shares.map(|share| share.map(u64::from));
            cells.push(Marks::detect().line(shares, 100).into());
        }
        cells.push(local_times(&self.explanation(), now).into());
        cells
    }
}

/// Whether what the node tells is of the present.
fn is_heard(state: NodeState) -> bool {
    matches!(
        state,
        NodeState::Online | NodeState::Suspect | NodeState::Ahead
    )
}

/// What a narrow terminal has no room for, the least needed first.
const SPARE: &[&str] = &[
    "PORTAL",
    "IMAGE",
    "NODE",
    "TYPE",
    "OPERATION",
    "RESTARTS",
    "VERSION",
    "SINCE",
    "ADDRESS",
];

/// The servers as a table.
pub(crate) fn servers_table(servers: &[Server], wide: bool, now: Timestamp) -> Table {
    let mut heading = vec![
        "NAME",
        "TYPE",
        "ADDRESS",
        "HEALTH",
        "SINCE",
        "PORTAL",
        "IMAGE",
        "VERSION",
        "RESTARTS",
        "NODE",
        "OPERATION",
    ];
    if wide {
        heading.extend([
            "CONTAINER",
            "DIGEST",
            "PREVIOUS IMAGE",
            "DEPLOYMENT",
            "DATA",
            "PROCESSOR",
            "MEMORY",
            "DISK FREE",
            "LAST 2 HOURS",
        ]);
    }
    heading.push("REASON");
    let mut table = Table::new(heading).sparing(if wide { &[] } else { SPARE });
    for server in servers {
        table.row(server.row(wide, now));
    }
    table
}
