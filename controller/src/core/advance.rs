//! How an operation goes on: targets begin, targets end, and with the last one the operation.

use jiff::Timestamp;

use extend_common::ids::{NodeAddr, OperationId};
use extend_common::operation::{PhaseEntry, TargetState, Verb};
use extend_common::status::{Evidence, Phase};

use super::begin::waits_for;
use super::counted::Counted;
use super::event::words;
use super::fleet::Fleet;
use super::key::Key;
use super::node::Node;
use super::refusal::moment;
use super::rollout::{self, Advance};
use super::row::TargetRow;
use super::standing::waits_for_node;

/// How a target ends.
pub(super) struct End {
    pub(super) state: TargetState,
    pub(super) reason: String,
    pub(super) evidence: Option<Evidence>,
}

impl End {
    pub(super) fn new(state: TargetState, reason: impl Into<String>) -> Self {
        Self {
            state,
            reason: reason.into(),
            evidence: None,
        }
    }
}

impl Fleet {
    /// Lets begin what may begin, skips what will not, and ends the operation with its last
    /// target.
    pub(super) fn advance(&mut self, id: OperationId, now: Timestamp) {
        self.backlog.remove(&id);
        let Some(entry) = self
            .operations
            .get(&id)
            .filter(|entry| entry.row.ended.is_none())
        else {
            return;
        };
        if entry.has_queued() {
            self.go_on(id, now);
        }
        let next_steps = match self.operations.get(&id) {
            Some(entry) if entry.is_done() => self.next_steps(entry),
            _ => Vec::new(),
        };
        let Some(entry) = self.operations.get_mut(&id) else {
            return;
        };
        if entry.is_done() {
            entry.row.next_steps = next_steps;
            entry.row.ended = Some(now);
            entry.note.clear();
            let told = words::ended(entry, now);
            let counted = Counted::ended(entry, now);
            self.draft.count(counted);
            self.ended += 1;
            self.write(Key::Operation(id));
            self.draft.changed(id);
            self.note(told);
            self.paced.remove(&id);
        }
    }

    /// The same, where it may be done once for many targets: of a large operation, with the next
    /// tick.
    pub(super) fn advance_soon(&mut self, id: OperationId, now: Timestamp) {
        match self.is_shown_at_once(id) {
            true => self.advance(id, now),
            false => drop(self.backlog.insert(id)),
        }
    }

    /// Does what the rules of the rollout say comes next.
    fn go_on(&mut self, id: OperationId, now: Timestamp) {
        let Some(entry) = self.operations.get(&id) else {
            return;
        };
        // In an order that matters, nobody is passed over because it has not come back yet.
        let expected = |row: &TargetRow| {
            let node = self.nodes.get(&row.target.node);
            let is_coming = |node: &Node| {
                node.expected || node.is_commandable() && node.observation().is_none()
            };
            !row.target.state.has_ended() && node.is_some_and(is_coming)
        };
        if entry.row.options.strategy.serial && !self.warm && entry.targets().iter().any(expected) {
            self.paced.insert(id);
            return;
        }
        let moves = rollout::next(&mut self.scene(entry), now);
        for advance in moves.advances {
            match advance {
                Advance::Stage(node) => self.stage(id, node, now),
                Advance::Begin { node, canary } => self.begin(id, node, canary, now),
                // What its node was told before it went is taken back.
                Advance::Skip(node, reason) => {
                    self.end_target_early(id, node, &End::new(TargetState::Skipped, reason), now);
                }
            }
        }
        self.explain_queued(id);
        let Some(entry) = self.operations.get_mut(&id) else {
            return;
        };
        entry.baking = moves.baking;
        if entry.note != moves.note {
            entry.note = moves.note;
            self.draft.changed(id);
        }
        match moves.paced && entry.has_queued() {
            true => self.paced.insert(id),
            false => self.paced.remove(&id),
        };
        if moves.more {
            self.backlog.insert(id);
        }
    }

    /// Says of targets that could not begin what they wait for.
    fn explain_queued(&mut self, id: OperationId) {
        let Some(entry) = self.operations.get(&id) else {
            return;
        };
        let queued = entry.targets().iter().filter(|row| row.is_queued());
        let waits = waits_for_node(entry);
        let explained: Vec<_> = queued
            .filter_map(|row| {
                let target = &row.target;
                let (state, reason) = self.why_queued(id, waits, target.node);
                let is_news = (target.state, &target.reason) != (state, &reason);
                is_news.then_some((target.node, state, reason))
            })
            .collect();
        for (node, state, reason) in explained {
            self.change_target(id, node, |row| {
                row.target.state = state;
                row.target.reason = reason;
            });
        }
    }

    fn why_queued(&self, id: OperationId, waits: bool, node: NodeAddr) -> (TargetState, String) {
        let Some(site) = self.nodes.get(&node) else {
            return (TargetState::Queued, String::new());
        };
        if let Some(holder) = site.open().filter(|holder| *holder != id) {
            let words = self.operations.get(&holder).map(|entry| {
                let row = &entry.row;
                let why = match row.message.is_empty() {
                    true => String::new(),
                    false => format!(" ({})", row.message),
                };
                let (id, since) = (holder.short(), moment(row.begun));
                format!(
                    "waits for {} {id} of {}{why}, begun {since}",
                    row.verb, row.by
                )
            });
            return (TargetState::Queued, words.unwrap_or_default());
        }
        if let Some(entry) = self.operations.get(&id)
            && entry.row.verb == Verb::Upgrade
            && entry.target(node).is_some_and(|row| row.staged.is_none())
            && let Err(why) = self.newest_image(&entry.row.options)
        {
            let words = format!("waits for the version of the PBX: {why}");
            return (TargetState::Waiting, words);
        }
        if waits && !site.is_at_rest() {
            return (TargetState::Waiting, waits_for(node, site));
        }
        (TargetState::Queued, String::new())
    }

    /// Ends a target and goes on with its operation.
    pub(super) fn end(&mut self, id: OperationId, node: NodeAddr, end: End, now: Timestamp) {
        self.end_only(id, node, end, now);
        self.advance(id, now);
    }

    /// Ends a target. Whoever calls this advances the operation afterwards.
    pub(super) fn end_only(&mut self, id: OperationId, node: NodeAddr, end: End, now: Timestamp) {
        let found = self.operations.get(&id).map(|entry| entry.row.verb);
        let holds = self.nodes.get(&node).and_then(Node::open) == Some(id);
        let coming = self.coming(node).filter(|_| holds).map(|(site, _)| site);
        let state = end.state;
        let ended = self.change_target(id, node, |row| {
            let target = &mut row.target;
            if target.state.has_ended() {
                return false;
            }
            target.state = end.state;
            target.reason = end.reason;
            target.evidence = end.evidence.or(target.evidence.take());
            target.ended = Some(now);
            row.ending = None;
            row.gate = None;
            true
        });
        if ended == Some(true)
            && let Some(verb) = found
        {
            // What was told of a server that did not come to be is taken back.
            if coming.is_some() {
                let present = self.present(node);
                self.outside_moves(node, coming.as_ref(), present.as_ref(), now);
            }
            self.outside_ended(id, node, verb, state, now);
            self.count_target(id, node, verb, state);
        }
        if ended == Some(true)
            && let Some(entry) = self.nodes.get_mut(&node)
        {
            let held = entry.open() == Some(id);
            entry.wanted_by.retain(|other| *other != id);
            // Whoever waited first has its turn; the others wait for that one now.
            if held {
                self.backlog.extend(entry.wanted_by.iter().copied());
            }
        }
    }

    /// Changes a target, durably.
    pub(super) fn change_target<T>(
        &mut self,
        id: OperationId,
        node: NodeAddr,
        change: impl FnOnce(&mut TargetRow) -> T,
    ) -> Option<T> {
        let result = self.operations.get_mut(&id)?.change(node, change)?;
        self.write(Key::Target(id, node));
        self.draft.changed(id);
        if self.moving.as_ref().is_some_and(|m| m.operation == id) {
            // What was copied of it is not what it is now.
            self.moving = None;
        }
        Some(result)
    }
}

/// A hostile agent could name phases for ever; the first ones and the present one are kept.
const MAX_PHASES: usize = 32;

/// Notes that a target is in a phase. Returns whether that is news.
pub(super) fn enter(phases: &mut Vec<PhaseEntry>, phase: Phase, at: Timestamp) -> bool {
    if phases.last().is_some_and(|last| last.phase == phase) {
        return false;
    }
    if phases.len() >= MAX_PHASES {
        phases.pop();
    }
    phases.push(PhaseEntry { phase, at });
    true
}
