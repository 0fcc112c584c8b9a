//! A node says hello: whether it may, whether it is ahead of this store, and what it is told.

use jiff::Timestamp;

use extend_common::ids::NodeAddr;
use extend_common::operation::TargetState;
use extend_common::status::ServerStatus;

use super::fleet::Fleet;
use super::node::{Node, Session};
use super::operation::OperationEntry;
use super::refusal::{PeerFault, Refusal, Stranger};
use super::request::{Hello, PeerFacts, SessionEnd, SessionNumber, ToAgent, Welcome};
use super::turn::{CloseReason, Turn};

impl Fleet {
    /// Opens a session, in place of any earlier one of the node.
    pub fn hello(
        &mut self,
        node: NodeAddr,
        facts: PeerFacts,
        hello: Hello,
        now: Timestamp,
    ) -> Turn<Result<SessionNumber, Refusal>> {
        if let Err(why) = self.may_enter(node, facts, &hello) {
            return self.turn(Err(Stranger::Peer { node, why }.into()));
        }
        self.close(node, CloseReason::Replaced);
        let number = self.next_session();
        let entry = self.nodes.entry(node).or_default();
        entry.agent_version.clone_from(&hello.agent_version);
        entry.unclaimed.clone_from(&hello.unclaimed);
        entry.looked = hello.looked;
        // An agent that has just started has not asked yet.
        if hello.cloud.is_some() {
            entry.cloud.clone_from(&hello.cloud);
        }
        entry.docker_trouble.clear();
        entry.ledger_trouble.clear();
        entry.last_seen = Some(now);
        entry.fresh = false;
        entry.session = Some(Session {
            number,
            heard: now,
            suspect: false,
            facts,
            hello,
            ahead: None,
        });
        let status = entry
            .session
            .as_ref()
            .and_then(|session| session.hello.status.clone());
        self.came(node, now);
        self.greet(node, status, now);
        self.turn(Ok(number))
    }

    fn may_enter(&self, node: NodeAddr, facts: PeerFacts, hello: &Hello) -> Result<(), PeerFault> {
        if hello.node != node {
            return Err(PeerFault::OtherNode(hello.node));
        }
        let enrolment = self
            .nodes
            .get(&node)
            .and_then(|entry| entry.row.enrolment.as_ref());
        match enrolment {
            Some(enrolment) if enrolment.revoked.is_some() => Err(PeerFault::Revoked),
            Some(enrolment) if enrolment.key != facts.key => Err(PeerFault::OtherKey),
            Some(_) => Ok(()),
            None if self.removed.contains_key(&node) => Err(PeerFault::Removed),
            // Its certificate is of our authority: the store that enrolled it is lost.
            None if self.recovering.is_some() => Ok(()),
            None => Err(PeerFault::NotEnrolled),
        }
    }

    /// Says to the agent whose turn it is to follow whom, and what its server should be. Also
    /// after the epoch was raised, to find out whether the node is still ahead.
    pub(super) fn greet(&mut self, node: NodeAddr, status: Option<ServerStatus>, now: Timestamp) {
        let ahead = self.why_ahead(node);
        let Some(entry) = self.nodes.get_mut(&node) else {
            return;
        };
        let Some(session) = entry.session.as_mut() else {
            return;
        };
        let is_ahead = ahead.is_some();
        session.ahead = ahead;
        let held = session.hello.record.as_ref().map(|record| record.id);
        if let Some(held) = held.filter(|held| entry.row.chain.contains(held)) {
            entry.row.held = Some(held);
        }
        self.judge_ahead(node, now);
        self.welcome(node);
        if is_ahead {
            if let Some(entry) = self.nodes.get_mut(&node)
                && status.is_some()
            {
                entry.status = status;
                entry.fresh = true;
            }
            self.await_node(node);
            return;
        }
        let sent = self.settle_abandoned(node, now);
        if !sent {
            self.assign(node, false);
        }
        self.wake_target(node);
        if let Some(status) = status {
            self.observe(node, status, now);
        }
    }

    pub(super) fn welcome(&mut self, node: NodeAddr) {
        let session = self
            .nodes
            .get(&node)
            .and_then(|entry| entry.session.as_ref());
        let Some(session) = session else { return };
        let welcome = Welcome {
            store: self.store,
            epoch: self.epoch,
            session: session.number,
            heartbeat_interval: self.settings.heartbeat_interval,
            ahead: session.ahead.is_some(),
            controllers: self.settings.controllers.clone(),
        };
        self.send(node, ToAgent::Welcome(welcome));
    }

    /// How the node's ledger tells that its records come from another store than this one, or
    /// from a later state of it.
    fn why_ahead(&self, node: NodeAddr) -> Option<String> {
        let entry = self.nodes.get(&node)?;
        let hello = &entry.session.as_ref()?.hello;
        if entry.row.enrolment.is_none() {
            return Some(
                "the node is not in this store, which is newer than its certificate".to_owned(),
            );
        }
        if hello.epoch > self.epoch {
            return Some(format!(
                "the node was welcomed at epoch {}, and this store is at epoch {}: the store is \
                 an older copy",
                hello.epoch, self.epoch
            ));
        }
        let held = hello.record.as_ref()?.id;
        if let Some(other) = hello.store.filter(|store| *store != self.store) {
            return Some(format!(
                "the node follows the records of store {other}, and this is store {}",
                self.store
            ));
        }
        if !entry.row.chain.contains(&held) {
            return Some(format!(
                "the node holds the record {}, which this store does not have",
                held.stamp
            ));
        }
        None
    }

    /// An operation ended while the node was away. If the node never got its record, what was
    /// before is put back now, in place of sending it. Returns whether a record was sent.
    fn settle_abandoned(&mut self, node: NodeAddr, now: Timestamp) -> bool {
        let Some(entry) = self.nodes.get_mut(&node) else {
            return false;
        };
        let Some(abandoned) = entry.row.abandoned.clone() else {
            return false;
        };
        let held = entry
            .session
            .as_ref()
            .and_then(|session| session.hello.record.as_ref());
        let present = entry.row.record.as_ref().map(|record| record.id);
        let waits = entry.row.record.as_ref().is_some_and(|record| {
            let told = entry.session.as_ref().and_then(|s| s.hello.status.as_ref());
            !record.desired.drain.is_off() && told.is_none_or(|status| status.outcome.is_none())
        });
        // One that may still be waiting for sessions would end the process when nobody expects it.
        if held.map(|record| record.id) == present && !waits {
            // It has it: what it makes of it will be told late.
            entry.row.abandoned = None;
            self.write(super::key::Key::Node(node));
            return false;
        }
        entry
            .untold
            .retain(|(stamp, _)| present.is_none_or(|id| id.stamp != *stamp));
        self.change_target(abandoned.operation, node, |row| {
            let words = match waits {
                true => "the node came back while it waited for sessions: it was taken back",
                false => "the node came back without having received it: nothing was done",
            };
            words.clone_into(&mut row.target.late);
        });
        self.reverse(abandoned.operation, node, abandoned.prior, now)
            .is_some()
    }

    /// The node is back: a target that waited for it is under way.
    fn wake_target(&mut self, node: NodeAddr) {
        let Some(id) = self.nodes.get(&node).and_then(Node::open) else {
            return;
        };
        let waits = self
            .operations
            .get(&id)
            .and_then(|entry| entry.target(node))
            .is_some_and(|row| {
                row.target.state == TargetState::Waiting && row.target.stamp.is_some()
            });
        if waits {
            self.change_target(id, node, |row| {
                row.target.state = TargetState::Running;
                row.target.reason.clear();
            });
        } else {
            self.explain_wait(node);
        }
    }

    /// A restart waits for an observation: says so in place of why the node was away.
    fn explain_wait(&mut self, node: NodeAddr) {
        let Some(id) = self.nodes.get(&node).and_then(Node::open) else {
            return;
        };
        if let Some(entry) = self.operations.get_mut(&id) {
            let changed = entry.change(node, |row| {
                let waits = row.target.state == TargetState::Waiting;
                if waits {
                    row.target.reason =
                        format!("waits until node {node} has looked at its containers");
                }
                waits
            });
            if changed == Some(true) {
                self.draft.changed(id);
            }
        }
    }

    /// The session's connection is gone. An older session's end is none of the node's business.
    pub fn session_closed(
        &mut self,
        session: SessionNumber,
        node: NodeAddr,
        end: SessionEnd,
        now: Timestamp,
    ) -> Turn<()> {
        let present = self
            .nodes
            .get(&node)
            .and_then(|entry| entry.session.as_ref());
        if present.is_some_and(|present| present.number == session) {
            match end {
                SessionEnd::Closed => self.lose(node, "its connection was closed".to_owned(), now),
                SessionEnd::GivenUp(why) => self.lose(node, why, now),
                SessionEnd::Stopping => self.leave(node),
            }
        }
        self.turn(())
    }

    /// Takes the session away and lets the node's target wait.
    pub(super) fn lose(&mut self, node: NodeAddr, reason: String, now: Timestamp) {
        let Some(entry) = self.nodes.get_mut(&node) else {
            return;
        };
        entry.session = None;
        entry.fresh = false;
        entry.last_seen = Some(entry.last_seen.unwrap_or(now));
        self.went(node, reason, now);
        self.await_node(node);
        self.drop_stranger(node);
    }

    /// The controller itself ends the session because it stops: the node has not gone.
    fn leave(&mut self, node: NodeAddr) {
        if let Some(entry) = self.nodes.get_mut(&node) {
            entry.session = None;
            entry.fresh = false;
            entry.expected = entry.row.enrolment.is_some();
        }
        self.await_node(node);
        self.drop_stranger(node);
    }

    /// A target that was under way waits for its node, and says why.
    pub(super) fn await_node(&mut self, node: NodeAddr) {
        let Some(entry) = self.nodes.get(&node) else {
            return;
        };
        let (Some(id), reason) = (entry.open(), entry.away(node)) else {
            return;
        };
        let waits = self
            .operations
            .get(&id)
            .and_then(|entry| entry.target(node))
            .is_some_and(|row| {
                let state = row.target.state;
                row.ending.is_none() && matches!(state, TargetState::Running | TargetState::Waiting)
            });
        if waits {
            self.change_target(id, node, |row| {
                row.target.state = TargetState::Waiting;
                row.target.reason = reason;
            });
            // Role after role, the ones after it do not wait for it.
            let serial = |entry: &OperationEntry| entry.row.options.strategy.serial;
            if self.operations.get(&id).is_some_and(serial) {
                self.backlog.insert(id);
            }
        }
    }

    /// A node that this store does not have is known only while it is connected.
    pub(super) fn drop_stranger(&mut self, node: NodeAddr) {
        let stranger = |entry: &Node| entry.row.enrolment.is_none() && entry.session.is_none();
        if self.nodes.get(&node).is_some_and(stranger) {
            self.nodes.remove(&node);
        }
    }
}
