//! Reading what a server writes: which node is asked, and when none is. Changes nothing.

use extend_common::ids::NodeAddr;
use extend_common::operation::Verb;

use super::admit::{resolve, revoked, select};
use super::fleet::Fleet;
use super::node::known;
use super::refusal::{Asked, Known, Obstacle, Refusal};
use super::request::{LogsWanted, SelectorWords, ToAgent};
use super::turn::Turn;

impl Fleet {
    /// The server whose logs are meant, if its node can be asked. A node that is ahead can: its
    /// record is not touched by reading.
    ///
    /// # Errors
    /// When the selector is wrong, or the node's agent is not connected.
    pub fn logs_of(&self, words: &SelectorWords) -> Result<Known, Refusal> {
        let asked = Asked::logs(words);
        let selector = resolve(self, words, &asked)?;
        self.has_joined(&asked, words)?;
        // As for a removal, a server that is on its way out is meant too.
        let nodes = select(self, Verb::Rm, &asked, &selector)?;
        let found = nodes.first().and_then(|node| self.nodes.get(node));
        let found = found.and_then(|entry| entry.server()).map(known);
        // What was selected has a server.
        let found = found.ok_or_else(|| self.nothing_to_show(asked.clone(), words))?;
        revoked(self, &asked, found.node)?;
        self.can_be_asked(asked, &found)?;
        Ok(found)
    }

    /// A node that has a token and nothing else cannot be asked, and has no server.
    fn has_joined(&self, asked: &Asked, words: &SelectorWords) -> Result<(), Refusal> {
        let has_row = |node| {
            self.nodes
                .get(node)
                .is_some_and(|entry| entry.row.enrolment.is_some())
        };
        for node in words.nodes.iter().filter(|node| !has_row(node)) {
            if let Some(token) = self.tokens.get(node) {
                return Err(Obstacle::NotEnrolled {
                    asked: asked.clone(),
                    node: *node,
                    token: Some(token.expires),
                }
                .into());
            }
        }
        Ok(())
    }

    fn can_be_asked(&self, asked: Asked, found: &Known) -> Result<(), Refusal> {
        let Some(entry) = self.nodes.get(&found.node) else {
            return Ok(());
        };
        if entry.session.is_some() {
            return Ok(());
        }
        Err(Obstacle::NodeAway {
            asked,
            why: entry.away(found.node),
            found: found.clone(),
        }
        .into())
    }

    /// Passes a request on to the agent of a node. One whose agent has gone meanwhile is lost:
    /// whoever waits for the answer does not wait for ever.
    pub fn want_logs(&mut self, node: NodeAddr, wanted: LogsWanted) -> Turn<()> {
        self.send(node, ToAgent::LogsWanted(Box::new(wanted)));
        self.turn(())
    }
}
