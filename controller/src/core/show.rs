//! What operators are shown of servers and nodes.

use std::time::Duration;

use jiff::{SignedDuration, Timestamp};

use extend_common::duration;
use extend_common::ids::NodeAddr;
use extend_common::status::NodeState;

use super::admit::{resolve, select_for_status};
use super::fleet::Fleet;
use super::node::Node;
use super::refusal::{Action, Asked, Mismatch, Refusal, Unfound, moment};
use super::request::SelectorWords;
use super::view::{NodeView, ServerView, ServersView};

/// Clocks that are kept by a time service differ by milliseconds, and a heartbeat that had to wait
/// makes a clock look late by as much.
const CLOCKS_AGREE: Duration = Duration::from_secs(5);

impl Fleet {
    /// The servers that a selector means, and the containers there that nobody claims.
    ///
    /// # Errors
    /// When the selector is wrong, or means nothing at all.
    pub fn servers(&self, words: &SelectorWords, now: Timestamp) -> Result<ServersView, Refusal> {
        let asked = Asked::status(words);
        let selector = resolve(self, words, &asked)?;
        let mut view = ServersView::default();
        for node in select_for_status(self, &asked, &selector)? {
            let Some(entry) = self.nodes.get(&node) else {
                continue;
            };
            if let Some(server) = self.server_view(node, entry, now)
                && selector
                    .role
                    .as_ref()
                    .is_none_or(|role| *role == server.record.desired.role)
                && selector
                    .name
                    .as_ref()
                    .is_none_or(|name| *name == server.record.desired.name)
            {
                view.servers.push(server);
            }
            if selector.name.is_none() {
                let of_role = entry
                    .unclaimed()
                    .filter(|u| selector.role.as_ref().is_none_or(|role| *role == u.role));
                view.unclaimed
                    .extend(of_role.map(|unclaimed| (node, unclaimed.clone())));
            }
        }
        if view == ServersView::default() && !words_are_empty(words) {
            return Err(self.nothing_to_show(asked, words));
        }
        Ok(view)
    }

    pub(super) fn nothing_to_show(&self, asked: Asked, words: &SelectorWords) -> Refusal {
        if let [node] = words.nodes.as_slice() {
            return Mismatch::NoServerAt {
                asked,
                node: *node,
                enrolled: true,
            }
            .into();
        }
        let servers: Vec<_> = self.nodes.values().filter_map(Node::known).collect();
        if servers.is_empty() {
            return Mismatch::NoServers { asked }.into();
        }
        Mismatch::NothingMatches { asked, servers }.into()
    }

    pub(super) fn server_view(
        &self,
        node: NodeAddr,
        entry: &Node,
        now: Timestamp,
    ) -> Option<ServerView> {
        Some(ServerView {
            record: entry.row.record.clone()?,
            node_state: entry.state(),
            status: entry.status.clone(),
            operation: entry.open(),
            node_reason: reason(node, entry, None, now),
            node_away_since: entry.away_since(),
            host: entry.host.clone(),
            portal: self.portal_standing(node),
            recent: Vec::new(),
        })
    }

    /// One node, or all of them.
    ///
    /// # Errors
    /// When the node is none of the fleet's.
    pub fn nodes(&self, node: Option<NodeAddr>, now: Timestamp) -> Result<Vec<NodeView>, Refusal> {
        if let Some(node) = node {
            let view = self.node_view(node, now);
            return view.map(|view| vec![view]).ok_or_else(|| {
                Unfound::NoSuchNode {
                    action: Action::ShowNode(node),
                }
                .into()
            });
        }
        let mut all: Vec<_> = self
            .nodes
            .keys()
            .chain(self.tokens.keys())
            .copied()
            .collect();
        all.sort_unstable();
        all.dedup();
        Ok(all
            .into_iter()
            .filter_map(|node| self.node_view(node, now))
            .collect())
    }

    /// A node with a row, a session or a token; none otherwise.
    pub(super) fn node_view(&self, node: NodeAddr, now: Timestamp) -> Option<NodeView> {
        let token = self.tokens.get(&node).map(|token| token.expires);
        let unknown = Node::default();
        let entry = match self.nodes.get(&node) {
            Some(entry) => entry,
            None if token.is_some() => &unknown,
            None => return None,
        };
        let server = entry.row.record.as_ref().map(|record| &record.desired);
        let enrolment = entry.row.enrolment.as_ref();
        Some(NodeView {
            node,
            state: entry.state(),
            reason: reason(node, entry, token, now),
            agent_version: entry.agent_version.clone(),
            enrolled: enrolment.map(|enrolment| enrolment.at),
            last_seen: entry.last_heard(),
            leaf_expires: enrolment.map(|enrolment| enrolment.leaf_not_after),
            token_expires: token,
            server_name: server.map(|desired| desired.name.clone()),
            role: server.map(|desired| desired.role.clone()),
            stamp: entry.row.record.as_ref().map(|record| record.id.stamp),
            docker_trouble: entry.docker_trouble.clone(),
            ledger_trouble: entry.ledger_trouble.clone(),
            away_since: entry.away_since(),
            host: entry.host.clone(),
            clock_ahead: entry.session.as_ref().and(entry.clock_ahead),
            cloud: entry.cloud.clone(),
        })
    }
}

fn words_are_empty(words: &SelectorWords) -> bool {
    words.role.is_empty() && words.nodes.is_empty() && words.name.is_none()
}

/// Why the node is in its state, and what else is wrong with it.
fn reason(node: NodeAddr, entry: &Node, token: Option<Timestamp>, now: Timestamp) -> String {
    let state = state_in_words(node, entry, token, now);
    let clock = entry.session.as_ref().and(entry.clock_ahead);
    [state, clock.map(clock_in_words).unwrap_or_default()]
        .into_iter()
        .filter(|words| !words.is_empty())
        .collect::<Vec<_>>()
        .join("; ")
}

/// What is to be said of a clock: nothing while it agrees.
fn clock_in_words(ahead: SignedDuration) -> String {
    let off = ahead.unsigned_abs();
    if off <= CLOCKS_AGREE {
        return String::new();
    }
    let side = if ahead.is_negative() {
        "behind"
    } else {
        "ahead of"
    };
    format!(
        "its clock is {} {side} the controller's: certificates allow for an hour",
        duration::show(off)
    )
}

fn state_in_words(
    node: NodeAddr,
    entry: &Node,
    token: Option<Timestamp>,
    now: Timestamp,
) -> String {
    match entry.state() {
        NodeState::Online => String::new(),
        NodeState::Suspect if entry.session.is_none() => {
            "it has not come back yet since the controller's start".to_owned()
        }
        NodeState::Suspect => {
            let silence = entry.silence(now).map(duration::show).unwrap_or_default();
            format!("its agent has been silent for {silence}")
        }
        NodeState::Offline => entry.away(node),
        NodeState::Ahead => entry.ahead().unwrap_or_default().to_owned(),
        NodeState::Revoked => entry
            .revoked()
            .map(|revoked| format!("revoked at {} by {}", moment(revoked.at), revoked.by))
            .unwrap_or_default(),
        NodeState::Pending => token
            .map(|until| format!("it may join with its token until {}", moment(until)))
            .unwrap_or_default(),
    }
}
