//! Nodes, as `extend node` shows them.

use extend_common::cloud::CloudFacts;
use extend_common::ids::{NodeAddr, RoleName, ServerName};
use extend_common::record::Stamp;
use extend_common::status::NodeState;
use extend_proto::v1;
use jiff::Timestamp;
use serde::Serialize;

use super::host::{Host, ahead};
use super::{Record, moment, node_tone, not_understood, text};
use crate::cli::failure::Failure;
use crate::cli::output::table::{Cell, Table};
use crate::cli::output::text::{self as words, age, local_times};

/// The document of `extend node list`.
#[derive(Debug, Clone, Serialize)]
pub(crate) struct Nodes {
    /// Every node the controller knows.
    pub(crate) nodes: Vec<Node>,
}

/// One node; the document of `extend node show`.
#[derive(Debug, Clone, Serialize)]
pub(crate) struct Node {
    /// Its private IP.
    pub(crate) address: NodeAddr,
    /// How it is.
    pub(crate) state: NodeState,
    /// Why, in words.
    pub(crate) reason: Option<String>,
    /// The server on it.
    pub(crate) server: Option<ServerName>,
    /// The server's role.
    pub(crate) r#type: Option<RoleName>,
    /// The version of its agent.
    pub(crate) agent_version: Option<String>,
    /// When it joined.
    pub(crate) enrolled_at: Option<Timestamp>,
    /// When its agent was last heard.
    pub(crate) last_seen_at: Option<Timestamp>,
    /// Since when it has been suspect or offline.
    pub(crate) away_since: Option<Timestamp>,
    /// When its certificate ends; its agent renews it at half of its life.
    pub(crate) certificate_expires_at: Option<Timestamp>,
    /// When its join token ends, if one is open.
    pub(crate) token_expires_at: Option<Timestamp>,
    /// The place of its present record in the order.
    pub(crate) record: Option<Record>,
    /// Since when and how its Docker Engine does not answer.
    pub(crate) docker_trouble: Option<String>,
    /// Trouble with the agent's own state directory.
    pub(crate) ledger_trouble: Option<String>,
    /// How far its clock is ahead of the controller's; negative when it is behind.
    pub(crate) clock_ahead_seconds: Option<f64>,
    /// How its machine does.
    pub(crate) host: Option<Host>,
    /// What its cloud says of it.
    pub(crate) cloud: Option<Cloud>,
    #[serde(skip)]
    clock_ahead_ms: Option<i64>,
}

impl TryFrom<v1::NodeView> for Node {
    type Error = Failure;

    fn try_from(view: v1::NodeView) -> Result<Self, Failure> {
        let odd = |what: &str| {
            let what = what.to_owned();
            move |e: extend_common::ids::IdError| {
                Failure::local(format!("cannot understand the {what} in the answer"), &e)
            }
        };
        let server = text(view.server_name).map(|name| name.parse()).transpose();
        let role = text(view.role).map(|role| role.parse()).transpose();
        Ok(Self {
            address: view.node.parse().map_err(odd("address"))?,
            state: NodeState::from_wire(view.state).map_err(|e| not_understood(&e))?,
            reason: text(view.reason),
            server: server.map_err(odd("name"))?,
            r#type: role.map_err(odd("type"))?,
            agent_version: text(view.agent_version),
            enrolled_at: moment("enrolled_ms", view.enrolled_ms)?,
            last_seen_at: moment("last_seen_ms", view.last_seen_ms)?,
            away_since: moment("away_since_ms", view.away_since_ms)?,
            certificate_expires_at: moment("leaf_expires_ms", view.leaf_expires_ms)?,
            token_expires_at: moment("token_expires_ms", view.token_expires_ms)?,
            record: view.stamp.map(|stamp| Stamp::from(stamp).into()),
            docker_trouble: text(view.docker_trouble),
            ledger_trouble: text(view.ledger_trouble),
            clock_ahead_seconds: view.clock_ahead_ms.map(in_seconds),
            host: view.host.map(|host| Host::read(host, Timestamp::now())),
            cloud: view.cloud.map(|cloud| CloudFacts::from(cloud).into()),
            clock_ahead_ms: view.clock_ahead_ms,
        })
    }
}

/// An instance as its cloud knows it.
#[derive(Debug, Clone, Serialize)]
pub(crate) struct Cloud {
    /// The address by which the Internet reaches it.
    pub(crate) public_address: Option<NodeAddr>,
    /// The primary private address of its interface.
    pub(crate) private_address: Option<NodeAddr>,
    /// The instance's id.
    pub(crate) instance: Option<String>,
    /// The VPC it is in.
    pub(crate) vpc: Option<String>,
    /// The subnet it is in.
    pub(crate) subnet: Option<String>,
    /// The security groups of its interface.
    pub(crate) security_groups: Vec<String>,
}

impl From<CloudFacts> for Cloud {
    fn from(facts: CloudFacts) -> Self {
        Self {
            public_address: facts.public,
            private_address: facts.private,
            instance: text(facts.instance),
            vpc: text(facts.vpc),
            subnet: text(facts.subnet),
            security_groups: facts.security_groups,
        }
    }
}

impl Cloud {
    fn facts(&self) -> [(&'static str, Option<String>); 3] {
        let place = [&self.instance, &self.vpc, &self.subnet]
            .into_iter()
            .flatten();
        let place = place.map(String::as_str).collect::<Vec<_>>().join(", ");
        let address = self.public_address.map(|address| address.to_string());
        [
            (
                "Public address",
                address.or(Some("none, its cloud says".to_owned())),
            ),
            ("Cloud", text(place)),
            ("Security groups", text(self.security_groups.join(", "))),
        ]
    }
}

#[expect(
    clippy::cast_precision_loss,
    reason = "a difference of clocks that has more digits has no use for them"
)]
fn in_seconds(milliseconds: i64) -> f64 {
    milliseconds as f64 / 1_000.0
}

/// What a narrow terminal has no room for, the least needed first.
const SPARE: &[&str] = &["CERTIFICATE ENDS", "AGENT", "TYPE", "LAST SEEN", "SERVER"];

impl Node {
    fn explanation(&self) -> String {
        let all = [&self.reason, &self.docker_trouble, &self.ledger_trouble];
        all.into_iter()
            .flatten()
            .cloned()
            .collect::<Vec<_>>()
            .join("; ")
    }

    fn row(&self, wide: bool, now: Timestamp) -> Vec<Cell> {
        let ago = |at: Option<Timestamp>| at.map(|at| format!("{} ago", age(at, now)));
        let ahead = |at: Option<Timestamp>| at.map(|at| until(at, now)).unwrap_or_default();
        let mut cells = vec![
            Cell::from(self.address.to_string()),
            Cell::toned(self.state.to_string(), node_tone(self.state)),
            self.server
                .as_ref()
                .map(ToString::to_string)
                .unwrap_or_default()
                .into(),
            self.r#type
                .as_ref()
                .map(ToString::to_string)
                .unwrap_or_default()
                .into(),
            self.agent_version.clone().unwrap_or_default().into(),
            ago(self.last_seen_at).unwrap_or_default().into(),
            ahead(self.certificate_expires_at).into(),
        ];
        if wide {
            cells.push(ago(self.enrolled_at).unwrap_or_default().into());
            cells.push(ahead(self.token_expires_at).into());
            cells.push(
                self.record
                    .map(|record| record.to_string())
                    .unwrap_or_default()
                    .into(),
            );
            cells.extend(self.figures());
        }
        cells.push(local_times(&self.explanation(), now).into());
        cells
    }

    /// Whether something keeps its clock right, and how it compares with ours.
    fn clock(&self) -> Option<String> {
        let state = self.host.as_ref().map(|host| match host.clock() {
            "unknown" => "synchronization unknown",
            known => known,
        });
        let parts: Vec<String> = self
            .clock_ahead_ms
            .map(ahead)
            .into_iter()
            .chain(state.map(str::to_owned))
            .collect();
        (!parts.is_empty()).then(|| parts.join("; "))
    }

    /// The cells of its machine; dashes while nobody hears of it.
    fn figures(&self) -> [Cell; 6] {
        let heard = matches!(
            self.state,
            NodeState::Online | NodeState::Suspect | NodeState::Ahead
        );
        match self.host.as_ref().filter(|_| heard) {
            Some(host) => [
                host.processor().into(),
                host.load().into(),
                host.memory().into(),
                host.disk_free().into(),
                host.up().into(),
                host.clock().into(),
            ],
            None => std::array::from_fn(|_| Cell::from("")),
        }
    }

    /// All that is known, a line each.
    pub(crate) fn lines(&self, now: Timestamp) -> String {
        let at = |at: Option<Timestamp>| at.map(|at| words::moment(at, now));
        let both = |at: Option<Timestamp>| {
            at.map(|at| format!("{} ({})", words::moment(at, now), until(at, now)))
        };
        let seen = self
            .last_seen_at
            .map(|at| format!("{} ({} ago)", words::moment(at, now), age(at, now)));
        let away = self
            .away_since
            .map(|at| format!("{} ({})", words::moment(at, now), age(at, now)));
        let facts = [
            ("Address", Some(self.address.to_string())),
            ("State", Some(self.state.to_string())),
            (
                "Reason",
                self.reason.as_deref().map(|r| local_times(r, now)),
            ),
            ("Server", self.server.as_ref().map(ToString::to_string)),
            ("Type", self.r#type.as_ref().map(ToString::to_string)),
            ("Agent", self.agent_version.clone()),
            ("Enrolled", at(self.enrolled_at)),
            ("Last seen", seen),
            ("Away since", away),
            ("Certificate ends", both(self.certificate_expires_at)),
            ("Join token ends", both(self.token_expires_at)),
            ("Record", self.record.map(|record| record.to_string())),
            ("Docker", self.docker_trouble.clone()),
            ("Agent's disk", self.ledger_trouble.clone()),
            ("Clock", self.clock()),
        ];
        let host = self.host.iter().flat_map(|host| host.facts(now));
        let cloud = self.cloud.iter().flat_map(Cloud::facts);
        let lines = facts
            .into_iter()
            .chain(cloud)
            .chain(host.map(|(what, value)| (what, Some(value))))
            .filter_map(|(what, value)| value.map(|value| format!("{what:<17} {value}\n")));
        lines.collect()
    }
}

/// How long it is until `at`: `in 9m 58s`, or `ended 3m ago`.
pub(crate) fn until(at: Timestamp, now: Timestamp) -> String {
    if at > now {
        format!("in {}", age(now, at))
    } else {
        format!("ended {} ago", age(at, now))
    }
}

/// The nodes as a table.
pub(crate) fn nodes_table(nodes: &[Node], wide: bool, now: Timestamp) -> Table {
    let mut heading = vec![
        "ADDRESS",
        "STATE",
        "SERVER",
        "TYPE",
        "AGENT",
        "LAST SEEN",
        "CERTIFICATE ENDS",
    ];
    if wide {
        heading.extend([
            "ENROLLED",
            "TOKEN ENDS",
            "RECORD",
            "PROCESSOR",
            "LOAD",
            "MEMORY",
            "DISK FREE",
            "UP",
            "CLOCK",
        ]);
    }
    heading.push("REASON");
    let mut table = Table::new(heading).sparing(if wide { &[] } else { SPARE });
    for node in nodes {
        table.row(node.row(wide, now));
    }
    table
}
