//! Where a target waits for the world outside its node: before its record, and after it.
//!
//! ```text
//! run ─── registering ─────────────────► record ─► done by its agent ─► connecting ───► ended
//! stop … ─ draining (disabled, counted) ► record ─► done by its agent ──────────────────► ended
//! rm ──── draining ────────────────────► record ─► done by its agent ─► unregistering ─► ended
//! drain ─ draining ─► record where the agent counts too ─► ended, and disabled still
//! ```

use std::time::Duration;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use extend_common::clock::{after, since};
use extend_common::duration;
use extend_common::ids::{NodeAddr, OperationId};
use extend_common::operation::{TargetState, Verb};
use extend_common::status::Phase;

use super::super::admit::would_deploy;
use super::super::advance::{End, enter};
use super::super::fleet::Fleet;
use super::super::node::Node;
use super::super::operation::OperationEntry;
use super::super::row::TargetRow;
use super::row::Why;

/// So long the portal has to show a server online that its node says is well.
pub(super) const CONNECTS_WITHIN: Duration = Duration::from_secs(120);
/// So long the end of an `rm` waits for what lies outside; it goes on being taken back after it.
const UNREGISTERS_WITHIN: Duration = Duration::from_secs(60);

/// So long the portal has to show a server disabled whose sessions nobody counts.
const DISABLED_WITHIN: Duration = Duration::from_secs(300);

/// What a target waits for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub(in crate::core) enum Gate {
    /// Until its server is registered and let in.
    Registering,
    /// Until its server takes no new sessions and has none left, as far as the PBX counts them.
    Draining {
        /// Then it gives up.
        until: Timestamp,
    },
    /// Until the portal shows it online.
    Connecting {
        /// A look begun before this tells nothing.
        since: Timestamp,
    },
    /// Until what is told of it outside is taken back.
    Unregistering {
        /// Since when.
        since: Timestamp,
    },
}

impl Gate {
    /// Whether it stands before the target's record.
    pub(in crate::core) fn is_before(self) -> bool {
        matches!(self, Self::Registering | Self::Draining { .. })
    }

    fn phase(self) -> Phase {
        match self {
            Self::Registering => Phase::Registering,
            Self::Draining { .. } => Phase::Draining,
            Self::Connecting { .. } => Phase::Connecting,
            Self::Unregistering { .. } => Phase::Unregistering,
        }
    }
}

/// What helps where nothing is to be waited for.
const ANYWAY: &str = "--now ends it without";

/// How a gate stands.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Stands {
    /// Open.
    Open,
    /// Shut, and why, in words.
    Shut(String),
    /// It will not open: the target ends so.
    Never(TargetState, String),
    /// Open, and this is to be said at the end.
    OpenBut(String),
}

impl Fleet {
    /// Whether the target has to wait before its record; then it does, and holds its server.
    pub(in crate::core) fn meets_gate(
        &mut self,
        id: OperationId,
        node: NodeAddr,
        canary: bool,
        now: Timestamp,
    ) -> bool {
        let gate = self.operations.get(&id).and_then(|entry| {
            let row = entry.target(node)?;
            self.gate_before(entry, row, now)
        });
        let Some(gate) = gate else {
            return false;
        };
        self.wait_at(id, node, gate, now);
        self.change_target(id, node, |row| row.canary |= canary);
        if matches!(gate, Gate::Draining { .. }) {
            self.disable_for(id, node, now);
        }
        self.outside_changed();
        // Perhaps it is open already.
        self.pass_gate(id, node, now);
        true
    }

    fn gate_before(&self, entry: &OperationEntry, row: &TargetRow, now: Timestamp) -> Option<Gate> {
        let options = &entry.row.options;
        let site = self.nodes.get(&row.target.node);
        let present = site.and_then(Node::intended);
        // What only has to run as it is recorded ends no process.
        let ends =
            entry.row.verb != Verb::Run || would_deploy(&self.settings, present, options).is_some();
        if options.disables
            && ends
            && !row.drained
            && self.can_disable(row.target.node, &row.target.role)
        {
            return Some(Gate::Draining {
                until: after(now, options.drain.unwrap_or(DISABLED_WITHIN)),
            });
        }
        match entry.row.verb {
            Verb::Run
                if self.keeps_outside()
                    && !row.registered
                    && !self.is_let_in(row.target.node, &row.target) =>
            {
                Some(Gate::Registering)
            }
            _ => None,
        }
    }

    /// Whether a target whose agent is done has to wait before it ends; then it does.
    pub(in crate::core) fn meets_gate_after(
        &mut self,
        id: OperationId,
        node: NodeAddr,
        now: Timestamp,
    ) -> bool {
        let Some(entry) = self.operations.get(&id) else {
            return false;
        };
        let Some(row) = entry.target(node) else {
            return false;
        };
        let gate = match entry.row.verb {
            Verb::Run if self.settings.outside.portal => {
                let known = self.resource(&row.target.role).is_some();
                known.then_some(Gate::Connecting { since: now })
            }
            Verb::Rm if self.leaves(node) => Some(Gate::Unregistering { since: now }),
            _ => None,
        };
        let Some(gate) = gate else {
            return false;
        };
        if matches!(gate, Gate::Connecting { .. }) {
            self.enable_again(node, now);
        }
        self.wait_at(id, node, gate, now);
        self.pass_gate(id, node, now);
        true
    }

    fn leaves(&self, node: NodeAddr) -> bool {
        let row = self.outside.rows.get(&node);
        row.is_some_and(|row| !row.left.is_empty())
    }

    fn wait_at(&mut self, id: OperationId, node: NodeAddr, gate: Gate, now: Timestamp) {
        self.outside.gated.insert(id);
        self.change_target(id, node, |row| {
            row.gate = Some(gate);
            row.moved = Some(now);
            let target = &mut row.target;
            target.state = TargetState::Running;
            target.reason.clear();
            target.detail.clear();
            target.begun.get_or_insert(now);
            enter(&mut target.phases, gate.phase(), now);
        });
    }

    /// Lets go on what waits at gates that have opened.
    pub(in crate::core) fn pass_gates(&mut self, now: Timestamp) {
        for id in self.outside.gated.clone() {
            let waiting: Vec<_> = match self.operations.get(&id) {
                Some(entry) if entry.row.ended.is_none() => {
                    let waits = entry.targets().iter().filter(|row| row.gate.is_some());
                    waits.map(|row| row.target.node).collect()
                }
                _ => Vec::new(),
            };
            if waiting.is_empty() {
                self.outside.gated.remove(&id);
            }
            for node in waiting {
                self.pass_gate(id, node, now);
            }
        }
    }

    fn pass_gate(&mut self, id: OperationId, node: NodeAddr, now: Timestamp) {
        let drains = self
            .operations
            .get(&id)
            .and_then(|entry| entry.target(node)?.gate);
        if matches!(drains, Some(Gate::Draining { .. }))
            && !self.has_disabled(node)
            && self.portal_entry(node).is_some_and(|entry| entry.enabled)
        {
            // A person had it disabled when this began, and enabled it since.
            self.disable_for(id, node, now);
        }
        let found = self.operations.get(&id).and_then(|entry| {
            let row = entry.target(node)?;
            let gate = row.gate?;
            Some((gate, row.canary, self.stands(entry, row, gate, now)))
        });
        let Some((gate, canary, stands)) = found else {
            return;
        };
        match stands {
            Stands::Shut(words) => self.say_at_gate(id, node, words),
            Stands::Never(state, reason) => {
                self.change_target(id, node, |row| row.target.detail.clear());
                self.end(id, node, End::new(state, reason), now);
            }
            Stands::Open | Stands::OpenBut(_) if gate.is_before() => {
                self.change_target(id, node, |row| {
                    row.gate = None;
                    row.registered |= gate == Gate::Registering;
                    row.drained |= matches!(gate, Gate::Draining { .. });
                    row.target.detail.clear();
                });
                self.begin(id, node, canary, now);
                self.backlog.insert(id);
            }
            Stands::Open => self.end_well(id, node, String::new(), now),
            Stands::OpenBut(words) => self.end_well(id, node, words, now),
        }
    }

    fn end_well(&mut self, id: OperationId, node: NodeAddr, words: String, now: Timestamp) {
        let said = self.change_target(id, node, |row| {
            row.gate = None;
            let (said, left) = row.said.take().unwrap_or_default();
            row.target.detail = left;
            said
        });
        let said = said.unwrap_or_default();
        let reason = match (said.is_empty(), words.is_empty()) {
            (true, _) => words,
            (false, true) => said,
            (false, false) => format!("{said}; {words}"),
        };
        self.end(id, node, End::new(TargetState::Succeeded, reason), now);
    }

    /// What it waits for is shown, and not worth a write.
    fn say_at_gate(&mut self, id: OperationId, node: NodeAddr, words: String) {
        let Some(entry) = self.operations.get_mut(&id) else {
            return;
        };
        let said = entry.change(node, |row| {
            let is_news = row.target.detail != words;
            row.target.detail = words;
            is_news
        });
        if said == Some(true) {
            self.draft.changed(id);
        }
    }

    fn stands(
        &self,
        entry: &OperationEntry,
        row: &TargetRow,
        gate: Gate,
        now: Timestamp,
    ) -> Stands {
        let node = row.target.node;
        match gate {
            Gate::Registering => self.stands_registered(node, &row.target),
            Gate::Draining { until } => self.stands_drained(entry, row, until, now),
            Gate::Connecting { since: begun } => self.stands_online(node, &row.target, begun, now),
            Gate::Unregistering { since: begun } => {
                let Some(keeps) = self.what_is_left(node) else {
                    return Stands::Open;
                };
                match since(begun, now) < UNREGISTERS_WITHIN {
                    true => Stands::Shut(format!("waits for {keeps}")),
                    false => Stands::OpenBut(format!(
                        "what was told outside is not all taken back yet: {keeps}; it goes on being \
                         tried (extend whitelist list)"
                    )),
                }
            }
        }
    }

    /// Whoever still has something of what left a node, in words.
    fn what_is_left(&self, node: NodeAddr) -> Option<String> {
        let row = self
            .outside
            .rows
            .get(&node)
            .filter(|row| !row.left.is_empty())?;
        let wanted = self.let_in().wanted;
        let left = row.left.iter();
        left.filter_map(|left| self.still_there(node, left, &wanted))
            .next()
    }

    /// The server takes no new sessions, and the PBX counts none, where it counts.
    fn stands_drained(
        &self,
        entry: &OperationEntry,
        row: &TargetRow,
        until: Timestamp,
        now: Timestamp,
    ) -> Stands {
        let (node, target) = (row.target.node, &row.target);
        let limit = duration::show(entry.row.options.drain.unwrap_or_default());
        let waits = entry.row.options.drain.is_some();
        if !self.settings.outside.portal {
            return Stands::Open;
        }
        let given_up = |why: String| match until <= now {
            true => Stands::Never(TargetState::Failed, format!("{why} (hint: {ANYWAY})")),
            false => Stands::Shut(why),
        };
        let by_us = self
            .outside
            .rows
            .get(&node)
            .and_then(|r| r.disabled.as_ref());
        let asked = by_us.map(|disabled| disabled.since);
        let (at, portal) = match self.sees_portal() {
            Ok(seen) => seen,
            Err(why) => {
                let words = format!("waits for the portal, where it is to be disabled: {why}");
                return given_up(words);
            }
        };
        let Some(resource) = self.resource(&target.role) else {
            return Stands::Open;
        };
        let Some(found) = portal.entry(resource, target.name.as_str()) else {
            // Nobody sends it anything.
            return Stands::Open;
        };
        if found.enabled
            && self
                .registration(node)
                .is_some_and(|wanted| !wanted.stands_as(found))
        {
            let reason = format!(
                "the portal has {} at other addresses, so that it is not for Extend to disable it \
                 (hint: {ANYWAY})",
                target.name
            );
            return Stands::Never(TargetState::Failed, reason);
        }
        if let Some(problem) = portal
            .problems
            .get(&node)
            .filter(|p| found.enabled && p.lasting)
        {
            let reason = format!("{} (hint: {}; {ANYWAY})", problem.sentence, problem.hint);
            return Stands::Never(TargetState::Failed, reason);
        }
        if found.enabled || asked.is_some_and(|asked| at <= asked) {
            return given_up("is being disabled in the portal".to_owned());
        }
        if !waits || !resource.counts_sessions() {
            return Stands::Open;
        }
        let left = match found.sessions {
            Some(0) => return Stands::Open,
            Some(1) => "1 session".to_owned(),
            Some(some) => format!("{some} sessions"),
            // A server that the PBX does not see has no calls that anybody could wait for; the
            // agent looks for itself where it can.
            None if found.online == Some(false) => return Stands::Open,
            None => "an unknown number of sessions".to_owned(),
        };
        if until <= now {
            let reason = format!(
                "{left} left after {limit}; it takes sessions again (hint: --now does not wait)"
            );
            return Stands::Never(TargetState::Failed, reason);
        }
        Stands::Shut(left)
    }

    /// Disables the server of a target in the portal, unless a person has done so.
    fn disable_for(&mut self, id: OperationId, node: NodeAddr, now: Timestamp) {
        let verb = self.operations.get(&id).map(|entry| entry.row.verb);
        let why = match verb {
            Some(Verb::Drain) => Why::Drained,
            _ => Why::Operation(id),
        };
        self.disable(node, why, now);
    }
}
