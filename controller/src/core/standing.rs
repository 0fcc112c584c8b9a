//! How servers stand when an operation goes on: the fleet as the rollout's rules need it.

use std::collections::BTreeMap;

use extend_common::ids::{NodeAddr, RoleName};
use extend_common::operation::{TargetState, Verb};
use extend_common::record::{Desired, Drain, RunState};
use extend_common::status::{Health, NodeState};

use super::fleet::Fleet;
use super::node::Node;
use super::operation::OperationEntry;
use super::request::Submission;
use super::rollout::{Item, Role, Scene, Stand, is_rolling};
use super::row::TargetRow;

impl Fleet {
    /// The operation among the servers of its roles.
    pub(super) fn scene<'a>(&'a self, entry: &'a OperationEntry) -> Scene<'a> {
        let (verb, options) = (entry.row.verb, &entry.row.options);
        let item = |row: &'a TargetRow| {
            let node = self.nodes.get(&row.target.node);
            self.item(entry, row, node)
        };
        let items: Vec<_> = entry.targets().iter().map(item).collect();
        let roles = self.roles(items.iter().map(|item| item.role));
        Scene {
            verb,
            strategy: options.strategy,
            force: options.force,
            items,
            roles,
            baking: entry.baking,
        }
    }

    /// The same before there is an operation: everything can be reached, and has its image.
    pub(super) fn planned_scene<'a>(
        &'a self,
        submission: &Submission,
        servers: &[(NodeAddr, &'a Node, &'a Desired)],
    ) -> Scene<'a> {
        let item = |(at, node, server): &(NodeAddr, &'a Node, &'a Desired)| Item {
            node: *at,
            name: &server.name,
            role: &server.role,
            stand: Stand::Ready,
            available: self.counts(*at, node),
            spares: server.run_state == RunState::Stopped,
            canary: false,
            ailment: None,
        };
        Scene {
            verb: submission.verb,
            strategy: submission.strategy,
            force: submission.force,
            items: servers.iter().map(item).collect(),
            roles: self.roles(servers.iter().map(|(.., server)| &server.role)),
            baking: None,
        }
    }

    fn item<'a>(
        &self,
        entry: &OperationEntry,
        row: &'a TargetRow,
        node: Option<&Node>,
    ) -> Item<'a> {
        let target = &row.target;
        let spares = row.staged.as_ref().is_some_and(|staged| staged.unchanged)
            || node
                .and_then(Node::intended)
                .is_some_and(|d| d.run_state == RunState::Stopped);
        Item {
            node: target.node,
            name: &target.name,
            role: &target.role,
            stand: stand(entry, row, node),
            available: node.is_some_and(|node| self.counts(target.node, node)),
            spares,
            canary: row.canary,
            ailment: node.and_then(ailment),
        }
    }

    /// The roles by name, with all their servers that should run.
    pub(super) fn roles<'a>(
        &self,
        names: impl Iterator<Item = &'a RoleName>,
    ) -> BTreeMap<&'a RoleName, Role> {
        let of_name = |name: &'a RoleName| {
            let definition = self.settings.roles.get(name);
            let role = Role {
                rank: definition.map_or(u32::MAX, |definition| definition.order),
                title: definition.map_or_else(|| name.to_string(), |d| d.title.clone()),
                ..Role::default()
            };
            (name, role)
        };
        let mut roles: BTreeMap<_, _> = names.map(of_name).collect();
        for (at, node) in &self.nodes {
            let Some(desired) = node.intended() else {
                continue;
            };
            let Some(role) = roles.get_mut(&desired.role) else {
                continue;
            };
            if self.is_taken(*at, node) {
                role.taken += 1;
                role.should += 1;
            } else if desired.run_state == RunState::Running {
                role.should += 1;
                role.available += usize::from(self.counts(*at, node));
            }
        }
        roles
    }

    /// Whether its server runs well and takes sessions, and no operation has taken it: then it can
    /// take over from others.
    fn counts(&self, at: NodeAddr, node: &Node) -> bool {
        node.is_well() && !self.is_taken(at, node)
    }

    /// Whether an operation has put its server out of service, or is about to.
    fn is_taken(&self, at: NodeAddr, node: &Node) -> bool {
        let Some(entry) = node.open().and_then(|id| self.operations.get(&id)) else {
            return false;
        };
        let ends_process = match entry.row.verb {
            Verb::Restart | Verb::Upgrade | Verb::Stop | Verb::Rm | Verb::Run => true,
            Verb::Start | Verb::Adopt | Verb::Drain | Verb::Undrain => false,
        };
        // A record that waits for its node has not taken anything that is there.
        let waits = |row: &TargetRow| {
            !is_rolling(entry.row.verb) && row.target.state == TargetState::Waiting
        };
        let under_way = |row: &TargetRow| {
            !row.target.state.has_ended()
                && !waits(row)
                && !row.staging
                && (row.target.stamp.is_some() || row.ending.is_some() || row.gate.is_some())
        };
        ends_process && entry.target(at).is_some_and(under_way)
    }
}

fn stand(entry: &OperationEntry, row: &TargetRow, node: Option<&Node>) -> Stand {
    let verb = entry.row.verb;
    let target = &row.target;
    if target.state.has_ended() {
        return Stand::Ended(target.state);
    }
    if row.gate.is_some() {
        return Stand::UnderWay;
    }
    if target.stamp.is_some() || row.ending.is_some() {
        let is_seen = node.is_some_and(|node| node.observation().is_some());
        return match row.staging {
            // Its node is away, or its Docker silent, in the middle of it: it holds up nobody.
            true if !is_seen => Stand::Blocked,
            true => Stand::Staging,
            // A record that waits for its node holds up nobody either, where it does not take the
            // server out of service by then.
            false if !is_rolling(verb) && target.state == TargetState::Waiting => Stand::Blocked,
            false => Stand::UnderWay,
        };
    }
    // What is gone ends at once when it begins.
    let Some(node) = node else {
        return Stand::Ready;
    };
    let is_held = node.open() != Some(entry.row.id);
    // Records of other verbs may wait on their node; taking a server out of service must not be
    // left to the moment at which a node comes back.
    let is_away = waits_for_node(entry) && !node.is_at_rest();
    match () {
        () if is_held || is_away => Stand::Blocked,
        () if verb == Verb::Upgrade && row.staged.is_none() => Stand::Unstaged,
        () => Stand::Ready,
    }
}

/// Whether the targets of an operation do not begin before their nodes are seen: otherwise a record
/// may wait for its node.
pub(super) fn waits_for_node(entry: &OperationEntry) -> bool {
    let options = &entry.row.options;
    is_rolling(entry.row.verb) || options.drain.is_some() || options.disables
}

/// What is wrong with a server that was seen not to run well. Not to have been seen is no ailment.
/// Nor is it one to have been stopped or removed on purpose.
fn ailment(node: &Node) -> Option<String> {
    let should_run = node.intended()?.run_state == RunState::Running;
    let seen = node.observation().filter(|_| should_run)?;
    let is_ill = matches!(
        seen.health,
        Health::Unhealthy | Health::Quarantined | Health::Stopped
    );
    is_ill.then(|| match seen.reason.is_empty() {
        true => seen.health.to_string(),
        false => format!("{}: {}", seen.health, seen.reason),
    })
}

impl Node {
    /// Whether its agent was seen to have come to the end of the present record. In the middle of
    /// one that an ended operation has left, nothing else is begun that goes from server to server.
    pub(super) fn is_at_rest(&self) -> bool {
        let Some(record) = &self.row.record else {
            // Nothing is there that anything could be in the middle of.
            return self.is_commandable() && self.row.abandoned.is_none();
        };
        let Some(seen) = self.observation() else {
            return false;
        };
        seen.record == record.id && seen.outcome.is_some()
    }

    /// Whether its server should run, was seen to run well, and takes sessions. One that has never
    /// been proven counts when it has come to its record's end: nobody has seen its ports answer.
    pub(super) fn is_well(&self) -> bool {
        let (Some(desired), Some(seen)) = (self.intended(), self.observation()) else {
            return false;
        };
        let is_unproven = seen.health == Health::Starting
            && !seen.proven
            && seen.outcome.is_some()
            && seen
                .current
                .as_ref()
                .is_some_and(|current| current.state.is_live());
        self.state() == NodeState::Online
            && desired.run_state == RunState::Running
            && !matches!(desired.drain, Drain::Hold { .. })
            && (seen.health == Health::Healthy || is_unproven)
    }

    /// Whether it is well, but for turning new sessions away by itself: a server that is disabled in
    /// the portal may do so for that.
    pub(super) fn answers(&self) -> bool {
        let (Some(desired), Some(seen)) = (self.intended(), self.observation()) else {
            return false;
        };
        let turns_away = self.state() == NodeState::Online
            && desired.run_state == RunState::Running
            && !matches!(desired.drain, Drain::Hold { .. })
            && seen.health == Health::Draining;
        turns_away || self.is_well()
    }
}
