//! What the metrics show of the fleet: counted in one pass, with a value for each server only up to
//! a bound. Numbers and closed sets; no sentence of anybody's.

use std::collections::BTreeMap;
use std::time::Duration;

use jiff::{SignedDuration, Timestamp};

use extend_common::clock::since;
use extend_common::host::Memory;
use extend_common::ids::{NodeAddr, RoleName, ServerName};
use extend_common::operation::Verb;
use extend_common::roles::Resource;
use extend_common::service::{ProbeFigure, ServiceFigures};
use extend_common::status::{Health, NodeState, WarningKind};

use super::fleet::Fleet;
use super::node::Node;
use super::view::PortalState;
use crate::portal::PortalEntry;
use crate::whitelist::{EnforcerKind, Round, State};

/// So many servers have series of their own, the first ones by address: about twenty-five each, so that
/// a Prometheus has some thousands of them and an answer stays below three megabytes.
pub const EACH: usize = 500;

/// Every health, in the order of [`RoleFigures::health`].
pub const HEALTHS: [Health; 8] = [
    Health::Starting,
    Health::Healthy,
    Health::Unhealthy,
    Health::Draining,
    Health::Stopped,
    Health::Quarantined,
    Health::Unclaimed,
    Health::Unknown,
];
/// Every state in the portal, in the order of [`RoleFigures::portal`].
pub const PORTAL_STATES: [PortalState; 5] = [
    PortalState::Unknown,
    PortalState::NotRegistered,
    PortalState::Offline,
    PortalState::Online,
    PortalState::Disabled,
];
/// Every state of a node, in the order of [`FleetFigures::nodes`].
pub const NODE_STATES: [NodeState; 6] = [
    NodeState::Pending,
    NodeState::Online,
    NodeState::Suspect,
    NodeState::Offline,
    NodeState::Ahead,
    NodeState::Revoked,
];
/// Every state of a row of the whitelist, in the order of [`ListFigures::rows`].
pub const ROW_STATES: [State; 5] = [
    State::InForce,
    State::Expiring,
    State::Missing,
    State::Leaving,
    State::Denied,
];

/// Every kind of warning, in the order of [`RoleFigures::warned`].
pub const WARNINGS: [WarningKind; 3] = [WarningKind::Disk, WarningKind::Memory, WarningKind::Probe];
/// Every kind of probe; what an agent tells beside these is shown as none of them.
const PROBES: [&str; 9] = [
    "tcp", "udp", "http", "https", "sip-udp", "sip-tcp", "disk", "memory", "portal",
];

/// The fleet in numbers, at one moment.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct FleetFigures {
    /// The epoch of this controller.
    pub epoch: u64,
    /// By role; servers of roles that no definition has are together under none.
    pub roles: BTreeMap<Option<RoleName>, RoleFigures>,
    /// Whether anybody looks at a portal.
    pub has_portal: bool,
    /// When the portal was seen last.
    pub portal_seen: Option<Timestamp>,
    /// Nodes by state.
    pub nodes: [u64; NODE_STATES.len()],
    /// Agents with a session.
    pub connected: u64,
    /// The longest silence of a connected agent.
    pub silence: Option<Duration>,
    /// Nodes whose Docker Engine does not answer.
    pub docker_silent: u64,
    /// Nodes whose agent cannot write its own state.
    pub ledger_trouble: u64,
    /// The certificate of an enrolled node that ends first.
    pub leaf_ends: Option<Timestamp>,
    /// Operations that have not ended.
    pub open: BTreeMap<Verb, u64>,
    /// By enforcer.
    pub whitelist: BTreeMap<EnforcerKind, ListFigures>,
    /// The first servers, by address.
    pub each: Vec<ServerFigures>,
    /// So many more there are.
    pub left_out: u64,
}

/// The servers of one role.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct RoleFigures {
    /// By health; `unclaimed` are containers that belong to no record.
    pub health: [u64; HEALTHS.len()],
    /// By state in the portal.
    pub portal: [u64; PORTAL_STATES.len()],
    /// As the portal counts them; none where it counts none.
    pub portal_sessions: Option<u64>,
    /// As the nodes count them; none where nobody counts.
    pub node_sessions: Option<u64>,
    /// Servers of which a probe fails, whether they are unhealthy already or not.
    pub failing: u64,
    /// Servers that are unhealthy and left alone because they carry calls.
    pub spared: u64,
    /// Servers whose restarts are held because many fail at once.
    pub held: u64,
    /// Servers by what is the matter that no restart would mend.
    pub warned: [u64; WARNINGS.len()],
    /// By kind of probe.
    pub probes: BTreeMap<&'static str, ProbeFigures>,
}

impl RoleFigures {
    fn add_probes(&mut self, service: &ServiceFigures) {
        for figure in &service.probes {
            if let Some(kind) = kind(&figure.point) {
                self.probes.entry(kind).or_default().add(figure);
            }
        }
    }
}

/// The points of one kind of probe, together.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct ProbeFigures {
    /// So many points have passed before and do not now.
    pub failing: u64,
    /// The longest that an answer took.
    pub slowest: Option<Duration>,
}

impl ProbeFigures {
    fn add(&mut self, figure: &ProbeFigure) {
        self.failing += u64::from(figure.armed && !figure.passed);
        self.slowest = self.slowest.max(figure.took);
    }
}

/// What one enforcer told last.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct ListFigures {
    /// Addresses by how they stand; all zero when the last look came to nothing.
    pub rows: [u64; ROW_STATES.len()],
    /// When it looked last.
    pub looked: Option<Timestamp>,
    /// When the first entry of ours lapses.
    pub expires: Option<Timestamp>,
    /// Whether something is wrong.
    pub trouble: bool,
}

/// One server and its machine.
#[derive(Debug, Clone, PartialEq)]
pub struct ServerFigures {
    /// Its name.
    pub name: ServerName,
    /// Its node.
    pub node: NodeAddr,
    /// Its role, if a definition has it.
    pub role: Option<RoleName>,
    /// How it is.
    pub health: Health,
    /// Restarts by its agent, as its ledger counts them.
    pub agent_restarts: Option<u64>,
    /// Restarts by Docker of the present container.
    pub docker_restarts: Option<u64>,
    /// Its sessions, as the portal counts them and as its node does.
    pub sessions: [Option<u64>; 2],
    /// The memory of its container, in bytes.
    pub memory: Option<u64>,
    /// Its crash dumps: how many, and their bytes.
    pub dumps: Option<(u64, u64)>,
    /// By kind of probe.
    pub probes: BTreeMap<&'static str, ProbeFigures>,
    /// Its machine, while its node is there.
    pub host: Option<HostFigures>,
    /// How far its node's clock is ahead.
    pub clock_ahead: Option<SignedDuration>,
}

/// A machine, as far as it is known.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct HostFigures {
    /// All processors together, in tenths of a percent.
    pub processor_permille: Option<u16>,
    /// Averages of runnable tasks over a minute, in hundredths.
    pub load: Option<u32>,
    /// Main memory.
    pub memory: Option<Memory>,
    /// Total and free bytes of the file system that is fullest.
    pub disk: Option<(u64, u64)>,
}

/// The portal's entries by what finds them, made once for a pass.
type Registered<'a> = BTreeMap<(Resource, &'a str), &'a PortalEntry>;

impl Fleet {
    /// The fleet in numbers. One pass over the nodes; what is kept of each is bounded by [`EACH`].
    pub fn figures(&self, now: Timestamp) -> FleetFigures {
        let mut figures = FleetFigures {
            epoch: self.epoch,
            has_portal: self.settings.outside.portal,
            portal_seen: self.outside.portal.as_ref().map(|(at, _)| *at),
            ..FleetFigures::default()
        };
        for role in self.settings.roles.iter() {
            figures
                .roles
                .insert(Some(role.role.clone()), RoleFigures::default());
        }
        let registered = self.portal_entries();
        for (node, entry) in &self.nodes {
            figures.add_node(entry, now);
            self.add_server(&mut figures, (*node, entry), registered.as_ref(), now);
        }
        let open = self.operations.values();
        for entry in open.filter(|entry| entry.row.ended.is_none()) {
            *figures.open.entry(entry.row.verb).or_default() += 1;
        }
        let rounds = self.outside.rounds.iter();
        figures.whitelist = rounds
            .map(|(kind, round)| (*kind, ListFigures::of(round)))
            .collect();
        figures
    }

    /// None: the portal cannot be told of at this moment.
    fn portal_entries(&self) -> Option<Registered<'_>> {
        let (_, portal) = self.sees_portal().ok()?;
        let ours = portal.entries.iter().filter(|entry| !entry.internal);
        Some(
            ours.map(|entry| ((entry.resource, entry.name.as_str()), entry))
                .collect(),
        )
    }

    fn add_server(
        &self,
        figures: &mut FleetFigures,
        (node, entry): (NodeAddr, &Node),
        registered: Option<&Registered<'_>>,
        now: Timestamp,
    ) {
        for unclaimed in entry.unclaimed() {
            let role = figures.role(self.defined(&unclaimed.role));
            bump(&mut role.health, &HEALTHS, Health::Unclaimed);
        }
        let Some(desired) = entry.server() else {
            return;
        };
        let observed = entry.observation();
        let health = observed.map_or(Health::Unknown, |status| status.health);
        let definition = self.settings.roles.get(&desired.role);
        let role = figures.role(definition.map(|role| role.role.clone()));
        bump(&mut role.health, &HEALTHS, health);
        role.held += u64::from(self.breaker.holds_role(&desired.role));
        if let Some(status) = observed {
            role.failing += u64::from(status.failing.is_some());
            role.spared += u64::from(status.spared.is_some());
            for warning in &status.warnings {
                bump(&mut role.warned, &WARNINGS, warning.kind);
            }
        }
        // Told with heartbeats: of a server whose agent is away they are of the past.
        let service = observed.and(entry.service_now(now));
        let service = service.map(|sample| &sample.figures);
        service.into_iter().for_each(|told| role.add_probes(told));
        let awaited = observed.and_then(|status| status.sessions.as_ref());
        let told = service.and_then(|figures| figures.sessions.as_ref());
        let counted = awaited.or(told).and_then(|count| count.sessions);
        add(&mut role.node_sessions, counted);
        let mut by_portal = None;
        if self.settings.outside.portal
            && let Some(resource) = definition.and_then(|role| role.resource)
        {
            let found = registered.map(|all| all.get(&(resource, desired.name.as_str())));
            let state = standing(found.map(|entry| entry.copied()));
            bump(&mut role.portal, &PORTAL_STATES, state);
            by_portal = found.flatten().and_then(|entry| entry.sessions);
            add(&mut role.portal_sessions, by_portal);
        }
        if figures.each.len() == EACH {
            figures.left_out += 1;
            return;
        }
        figures.each.push(ServerFigures {
            name: desired.name.clone(),
            node,
            role: definition.map(|role| role.role.clone()),
            health,
            agent_restarts: observed.map(|status| status.agent_restarts),
            docker_restarts: observed
                .and_then(|status| Some(status.current.as_ref()?.docker_restarts)),
            sessions: [by_portal, counted],
            memory: service.and_then(|figures| figures.memory),
            dumps: service.and_then(|figures| {
                let dumps = figures.dumps.as_ref()?;
                Some((dumps.count, dumps.bytes))
            }),
            probes: service.map(by_kind).unwrap_or_default(),
            host: entry.session.as_ref().and(host(entry, now)),
            clock_ahead: entry.session.as_ref().and(entry.clock_ahead),
        });
    }
}

impl FleetFigures {
    fn role(&mut self, role: Option<RoleName>) -> &mut RoleFigures {
        self.roles.entry(role).or_default()
    }

    fn add_node(&mut self, entry: &Node, now: Timestamp) {
        bump(&mut self.nodes, &NODE_STATES, entry.state());
        let enrolment = entry.row.enrolment.as_ref();
        if let Some(enrolment) = enrolment.filter(|enrolment| enrolment.revoked.is_none()) {
            let ends = enrolment.leaf_not_after;
            self.leaf_ends = Some(self.leaf_ends.map_or(ends, |first| first.min(ends)));
        }
        if let Some(session) = &entry.session {
            self.connected += 1;
            self.silence = self.silence.max(Some(since(session.heard, now)));
            self.docker_silent += u64::from(!entry.docker_trouble.is_empty());
            self.ledger_trouble += u64::from(!entry.ledger_trouble.is_empty());
        }
    }
}

impl ListFigures {
    fn of(round: &Round) -> Self {
        let mut figures = Self {
            looked: Some(round.at),
            trouble: round.result.is_err(),
            ..Self::default()
        };
        let Ok(seen) = &round.result else {
            return figures;
        };
        figures.trouble = seen.trouble.is_some() || seen.over_limit.is_some();
        for standing in &seen.standings {
            bump(&mut figures.rows, &ROW_STATES, standing.state);
            let by = standing.by.as_ref().filter(|entry| entry.ours);
            if let Some(ends) = by.and_then(|entry| entry.expires) {
                figures.expires = Some(figures.expires.map_or(ends, |first| first.min(ends)));
            }
        }
        figures
    }
}

/// How a server stands in the portal: none where that cannot be told, and within it none where the
/// portal does not have it.
fn standing(found: Option<Option<&PortalEntry>>) -> PortalState {
    let Some(found) = found else {
        return PortalState::Unknown;
    };
    match found.map(|entry| (entry.enabled, entry.online)) {
        None => PortalState::NotRegistered,
        Some((false, _)) => PortalState::Disabled,
        Some((true, Some(true))) => PortalState::Online,
        Some((true, Some(false))) => PortalState::Offline,
        Some((true, None)) => PortalState::Unknown,
    }
}

/// The points by their kinds.
fn by_kind(service: &ServiceFigures) -> BTreeMap<&'static str, ProbeFigures> {
    let mut kinds: BTreeMap<_, ProbeFigures> = BTreeMap::new();
    for figure in &service.probes {
        if let Some(kind) = kind(&figure.point) {
            kinds.entry(kind).or_default().add(figure);
        }
    }
    kinds
}

/// A point's kind is what stands before the port, in one word: `sip udp/5060` is `sip-udp`. With
/// every scrape all points of all servers are asked, so that nothing is made for it.
fn kind(point: &str) -> Option<&'static str> {
    let words = point.split('/').next()?.bytes();
    let words = words.map(|byte| if byte == b' ' { b'-' } else { byte });
    PROBES
        .into_iter()
        .find(|kind| words.clone().eq(kind.bytes()))
}

fn host(entry: &Node, now: Timestamp) -> Option<HostFigures> {
    let figures = &entry.host_now(now)?.figures;
    let fullest = figures
        .disks
        .iter()
        .filter(|disk| disk.total > 0)
        .min_by_key(|disk| u128::from(disk.free) * 1_000_000 / u128::from(disk.total));
    Some(HostFigures {
        processor_permille: figures.processor_permille,
        load: figures.load.map(|load| load.one),
        memory: figures.memory,
        disk: fullest.map(|disk| (disk.total, disk.free)),
    })
}

/// Counts one under its place in a closed set.
fn bump<T: PartialEq + Copy, const N: usize>(counts: &mut [u64; N], all: &[T; N], one: T) {
    let places = counts.iter_mut().zip(all);
    if let Some((count, _)) = places.into_iter().find(|(_, known)| **known == one) {
        *count += 1;
    }
}

/// Nothing that is known stays unknown; nothing unknown is a zero.
fn add(sum: &mut Option<u64>, more: Option<u64>) {
    if let Some(more) = more {
        *sum = Some(sum.unwrap_or_default().saturating_add(more));
    }
}

#[cfg(test)]
mod tests;
