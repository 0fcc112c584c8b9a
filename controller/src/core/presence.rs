//! Nodes that come and go: what is remembered of it, and how it is told.
//!
//! A node that went has a row of its own ([`Key::Away`]) until it is back, so that a controller
//! that starts anew knows who had been away before. Each coming and going is an event; when many
//! come or go at once, as when the network breaks, one event tells of all of them with the next
//! tick.
//!
//! ```text
//! joined ─► away (new) ── hello ──► here ── session lost, silent ──► away ── hello ──► here …
//! start ──► expected ── hello ──► here (nothing is told)
//!              └─ warm-up over ──► away (did not come back)
//! ```

use std::collections::BTreeSet;

use jiff::Timestamp;

use extend_common::clock::{after, since};
use extend_common::duration;
use extend_common::event::EventKind;
use extend_common::ids::NodeAddr;

use super::event::own;
use super::fleet::Fleet;
use super::key::Key;
use super::refusal::moment;
use super::row::Away;

/// So many comings and goings between two ticks are told one by one; of the others one event
/// tells. A broken network must not fill the events with ten thousand lines.
const ONE_BY_ONE: usize = 10;
/// One event that tells of many nodes names so many of them.
const NAMED: usize = 8;

/// What was not told one by one since the last tick.
#[derive(Debug, Default)]
pub(super) struct Comings {
    told: usize,
    went: BTreeSet<NodeAddr>,
    came: BTreeSet<NodeAddr>,
    ahead: BTreeSet<NodeAddr>,
}

impl Comings {
    fn may_tell(&mut self) -> bool {
        self.told += 1;
        self.told <= ONE_BY_ONE
    }

    /// Whether a node went and its row is still to be written.
    #[cfg(test)]
    pub(super) fn waits(&self, node: NodeAddr) -> bool {
        self.went.contains(&node)
    }

    /// Forgets a node that is no longer one.
    pub(super) fn forget(&mut self, node: NodeAddr) {
        self.went.remove(&node);
        self.came.remove(&node);
        self.ahead.remove(&node);
    }
}

impl Fleet {
    /// A node has joined and has not been connected since.
    pub(super) fn joined(&mut self, node: NodeAddr, now: Timestamp) {
        self.comings.forget(node);
        if let Some(entry) = self.nodes.get_mut(&node) {
            entry.expected = false;
            entry.away = Some(Away {
                since: now,
                heard: None,
                reason: "it has joined and has not connected yet".to_owned(),
                new: true,
            });
            self.write(Key::Away(node));
        }
        let text = format!("node {node} joined");
        self.note_about(node, own(EventKind::Node, now, text));
    }

    /// A node's session is gone, for this reason.
    pub(super) fn went(&mut self, node: NodeAddr, reason: String, now: Timestamp) {
        let Some(entry) = self.nodes.get_mut(&node) else {
            return;
        };
        let is_ours = entry.row.enrolment.is_some() && entry.revoked().is_none();
        if !is_ours || entry.away.is_some() {
            return;
        }
        entry.expected = false;
        entry.away = Some(Away {
            since: now,
            heard: entry.last_seen,
            reason,
            new: false,
        });
        self.remember(node, now);
        if self.comings.may_tell() {
            self.tell_went(node, now);
        } else {
            self.comings.went.insert(node);
        }
    }

    fn tell_went(&mut self, node: NodeAddr, now: Timestamp) {
        let away = self.nodes.get(&node).and_then(|entry| entry.away.clone());
        let Some(away) = away else { return };
        self.write(Key::Away(node));
        let heard = match away.heard {
            Some(at) => format!("; last heard at {}", moment(at)),
            None => String::new(),
        };
        let text = format!("node {node} is offline: {}{heard}", away.reason);
        self.note_about(node, own(EventKind::Node, now, text));
    }

    /// A node has a session again, or for the first time.
    pub(super) fn came(&mut self, node: NodeAddr, now: Timestamp) {
        let Some(entry) = self.nodes.get_mut(&node) else {
            return;
        };
        entry.expected = false;
        let Some(away) = entry.away.take() else {
            return;
        };
        if self.comings.went.remove(&node) {
            // Nobody was told that it went.
            return;
        }
        self.write(Key::Away(node));
        if !self.comings.may_tell() {
            self.comings.came.insert(node);
            return;
        }
        let text = if away.new {
            format!("node {node} is online for the first time")
        } else {
            let gone = duration::show(since(away.since, now));
            format!("node {node} is online again after {gone}")
        };
        self.note_about(node, own(EventKind::Node, now, text));
    }

    /// A node turns out to be ahead of this store, or to be so no longer.
    pub(super) fn judge_ahead(&mut self, node: NodeAddr, now: Timestamp) {
        let Some(entry) = self.nodes.get_mut(&node) else {
            return;
        };
        let why = entry.ahead().map(str::to_owned);
        if entry.said_ahead == why.is_some() {
            return;
        }
        entry.said_ahead = why.is_some();
        let text = match why {
            Some(_) if !self.comings.may_tell() => {
                self.comings.ahead.insert(node);
                return;
            }
            Some(why) => format!("node {node} is ahead of this controller's store: {why}"),
            None => format!("node {node} is no longer ahead of this controller's store"),
        };
        self.note_about(node, own(EventKind::Node, now, text));
    }

    /// Tells of all that were not told one by one.
    pub(super) fn tell_many(&mut self, now: Timestamp) {
        let Comings {
            came, went, ahead, ..
        } = std::mem::take(&mut self.comings);
        self.tell_all(&came, "online again", now);
        for node in &went {
            self.write(Key::Away(*node));
        }
        self.tell_all(&went, "offline", now);
        self.tell_all(&ahead, "ahead of this controller's store", now);
    }

    fn tell_all(&mut self, nodes: &BTreeSet<NodeAddr>, how: &str, now: Timestamp) {
        if nodes.is_empty() {
            return;
        }
        let named: Vec<_> = nodes.iter().take(NAMED).map(NodeAddr::to_string).collect();
        let more = match nodes.len().saturating_sub(NAMED) {
            0 => String::new(),
            more => format!(" and {more} more"),
        };
        let (count, named) = (nodes.len(), named.join(", "));
        let text = match count {
            1 => format!("node {named} is {how}"),
            _ => format!("{count} nodes more are {how}: {named}{more}"),
        };
        self.note(own(EventKind::Node, now, text));
    }

    /// Once agents have had the time to come back after the controller's start, those that did
    /// not are away, and their targets wait.
    pub(super) fn warm_up(&mut self, now: Timestamp) {
        if self.warm || now < after(self.started, self.settings.warm_up()) {
            return;
        }
        self.warm = true;
        let missing: Vec<_> = self
            .nodes
            .iter()
            .filter(|(_, entry)| entry.expected)
            .map(|(node, _)| *node)
            .collect();
        let took = duration::show(since(self.started, now));
        for node in missing {
            let reason = format!("it did not come back within {took} of the controller's start");
            self.went(node, reason, now);
        }
        for node in self.away_with_running_target() {
            self.await_node(node);
        }
    }
}
