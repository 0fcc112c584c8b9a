//! `node remove`: forgetting a node.

use jiff::Timestamp;

use extend_common::event::EventKind;
use extend_common::ids::NodeAddr;
use extend_common::operation::TargetState;

use super::admit::busy;
use super::advance::End;
use super::event::own;
use super::fleet::Fleet;
use super::key::Key;
use super::node::known;
use super::refusal::{Action, Obstacle, Refusal, Unfound};
use super::row::Mark;
use super::turn::{CloseReason, Turn};
use super::view::{NodeView, Noted};

impl Fleet {
    /// Forgets a node. With a server or an open operation only by `force`: both are given up, and
    /// a container that still runs there goes on running.
    pub fn remove(
        &mut self,
        node: NodeAddr,
        force: bool,
        by: &str,
        now: Timestamp,
    ) -> Turn<Result<Noted<Option<NodeView>>, Refusal>> {
        let view = self.node_view(node, now);
        if view.is_none() {
            let refusal = Unfound::NoSuchNode {
                action: Action::RemoveNode(node),
            };
            return self.turn(Err(refusal.into()));
        }
        if !force && let Err(refusal) = self.is_spare(node) {
            return self.turn(Err(refusal));
        }
        let notes = self.forget(node, by, now);
        self.turn(Ok((view, notes)))
    }

    /// Whether nothing would be lost with the node.
    fn is_spare(&self, node: NodeAddr) -> Result<(), Refusal> {
        busy(self, &Action::RemoveNode(node), &[node])?;
        let record = self
            .nodes
            .get(&node)
            .and_then(|entry| entry.row.record.as_ref());
        match record {
            Some(record) => Err(Obstacle::NodeHasServer {
                found: known(&record.desired),
                unconfirmed: record.desired.run_state.is_tombstone(),
            }
            .into()),
            None => Ok(()),
        }
    }

    fn forget(&mut self, node: NodeAddr, by: &str, now: Timestamp) -> Vec<String> {
        let mut notes = Vec::new();
        if self.tokens.remove(&node).is_some() {
            self.write(Key::Token(node));
            notes.push("its unspent token was dropped".to_owned());
        }
        let entry = self.nodes.get(&node);
        let (open, server) = (
            entry.map(|e| e.wanted_by.clone()).unwrap_or_default(),
            entry.and_then(super::node::Node::known),
        );
        for id in open {
            notes.push(format!("its part of operation {} was given up", id.short()));
            let reason = format!("the node was removed by {by}");
            self.end(id, node, End::new(TargetState::Failed, reason), now);
        }
        if let Some(server) = server {
            notes.push(format!(
                "what runs of {} there goes on running",
                server.name
            ));
        }
        let text = format!("{by} removed node {node}");
        self.note_by(node, by, own(EventKind::Node, now, text));
        let present = self.present(node);
        self.outside_moves(node, present.as_ref(), None, now);
        self.comings.forget(node);
        self.close(node, CloseReason::Removed);
        if let Some(entry) = self.nodes.remove(&node)
            && entry.row.enrolment.is_some()
        {
            self.write(Key::Node(node));
            self.write(Key::Away(node));
            self.write(Key::History(node));
        }
        // Nothing else would keep its certificate out.
        if self.recovering.is_some() {
            self.removed.insert(
                node,
                Mark {
                    at: now,
                    by: by.to_owned(),
                },
            );
            self.write(Key::Removed(node));
        }
        self.door_changed();
        notes
    }
}
