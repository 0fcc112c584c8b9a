//! The fleet's breaker: when many servers of a role fail at once, one cause is likelier than many, and
//! restarting them all would only cut what still works.
//!
//! Agents tell of the first failed probe at once, so that a hold reaches them before any of them has
//! reached its own threshold.
//!
//! ```text
//!   first failures of a minute: three at least, more than a third of the role ── hold, two minutes
//!        (of the fleet, where no role has three)                                │
//!                                      as many still fail ── renewed every minute ┤
//!                                                 fewer do ── it runs out by itself
//! ```
//!
//! In memory only: a controller that starts anew is told again who fails, and holds again; in its first
//! two minutes it does not ask since when.

use std::collections::BTreeMap;
use std::time::Duration;

use jiff::Timestamp;

use extend_common::clock::{after, before};
use extend_common::event::EventKind;
use extend_common::ids::{NodeAddr, RoleName};
use extend_common::record::RunState;
use extend_common::status::{Health, NodeState, ServerStatus};

use super::event::own;
use super::fleet::Fleet;
use super::node::Node;
use super::request::{SessionNumber, ToAgent};

/// First failures count together within so long.
const WITHIN: Duration = Duration::from_secs(60);
/// So many servers have to fail …
const LEAST: usize = 3;
/// … and more than one in so many of the role.
const SHARE: usize = 3;
/// How long a hold lasts unless it is renewed.
const LASTS: Duration = Duration::from_secs(120);
/// It is renewed when less than this is left.
const RENEWED: Duration = Duration::from_secs(60);
/// A hold names so many servers.
const NAMED: usize = 5;

/// A server that fails, or did within the last minute.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Fails {
    /// When that began, as far as the node tells.
    since: Timestamp,
    /// It still does.
    still: bool,
}

/// Restarts of hanging servers are held.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Hold {
    /// Of which role; none for the whole fleet.
    pub(super) scope: Option<RoleName>,
    /// Since when.
    pub(super) since: Timestamp,
    /// Until when, unless it is renewed.
    pub(super) until: Timestamp,
    /// Which servers failed, when it was begun or renewed last.
    pub(super) failing: Vec<NodeAddr>,
    /// Of how many.
    pub(super) of: usize,
    /// Why, in words.
    pub(super) reason: String,
    /// Who has been told until when, by its session.
    told: BTreeMap<NodeAddr, (SessionNumber, Timestamp)>,
}

/// Who fails, and what is held.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(super) struct Breaker {
    fails: BTreeMap<NodeAddr, Fails>,
    holds: Vec<Hold>,
}

impl Breaker {
    /// The holds in force.
    pub(super) fn holds(&self) -> &[Hold] {
        &self.holds
    }

    /// Whether restarts of a role's servers are held.
    pub(super) fn holds_role(&self, role: &RoleName) -> bool {
        let mut holds = self.holds().iter();
        holds.any(|hold| hold.scope.as_ref().is_none_or(|scope| scope == role))
    }
}

impl Fleet {
    /// Notes whether a server fails, by what its node has just told.
    pub(super) fn note_failing(&mut self, node: NodeAddr, status: &ServerStatus, now: Timestamp) {
        let fails = status.failing.is_some() || status.health == Health::Unhealthy;
        // What an operation does to a server says nothing about it.
        let is_at_work = self.is_worked_on(node);
        // By our clock.
        let ahead = self.nodes.get(&node).and_then(|site| site.clock_ahead);
        let told = status.failing.as_ref().map(|failing| failing.since);
        let told = told.and_then(|at| at.saturating_sub(ahead.unwrap_or_default()).ok());
        let since = told.map_or(now, |since| since.min(now));
        let known = self.breaker.fails.get_mut(&node);
        match (known, fails && !is_at_work) {
            (Some(known), true) if known.still => {}
            (_, true) => {
                let fails = Fails { since, still: true };
                self.breaker.fails.insert(node, fails);
            }
            (Some(known), false) => known.still = false,
            (None, false) => {}
        }
    }

    /// Whether an operation is at work on a node's server, and does not wait for its turn there.
    pub(super) fn is_worked_on(&self, node: NodeAddr) -> bool {
        let holder = self.nodes.get(&node).and_then(Node::open);
        let target = holder.and_then(|id| self.operations.get(&id)?.target(node));
        target.is_some_and(|row| !row.is_queued())
    }

    /// Begins, renews and ends holds, and tells whoever has to know.
    pub(super) fn tend_breaker(&mut self, now: Timestamp) {
        let old = before(now, WITHIN);
        let nodes = &self.nodes;
        self.breaker.fails.retain(|node, fails| {
            let is_there = nodes.get(node).is_some_and(is_meant);
            is_there && (fails.still || fails.since >= old)
        });
        if self.breaker.fails.is_empty() && self.breaker.holds.is_empty() {
            return;
        }
        for scope in self.scopes() {
            self.judge_scope(scope, now);
        }
        self.end_holds(now);
        self.tell_holds(now);
    }

    /// The roles that have enough servers for a judgement of their own, or the whole fleet.
    fn scopes(&self) -> Vec<Option<RoleName>> {
        let mut roles: BTreeMap<&RoleName, usize> = BTreeMap::new();
        for role in self.nodes.values().filter_map(role_of) {
            *roles.entry(role).or_default() += 1;
        }
        let large = roles.into_iter().filter(|(_, count)| *count >= LEAST);
        let scopes: Vec<_> = large.map(|(role, _)| Some(role.clone())).collect();
        if scopes.is_empty() {
            return vec![None];
        }
        scopes
    }

    fn judge_scope(&mut self, scope: Option<RoleName>, now: Timestamp) {
        let of = self.members(scope.as_ref()).count();
        let held = self.breaker.holds.iter().position(|h| h.scope == scope);
        let due = held.is_none_or(|at| {
            let hold = self.breaker.holds.get(at);
            hold.is_some_and(|hold| after(now, RENEWED) >= hold.until)
        });
        if !due {
            return;
        }
        let recent = before(now, WITHIN);
        // What the controller before held is held on: who fails now, whenever that began.
        let is_new = now < after(self.started, LASTS);
        let is_online = |node: NodeAddr| {
            let site = self.nodes.get(&node);
            site.is_some_and(|site| site.state() == NodeState::Online)
        };
        let failing: Vec<NodeAddr> = self
            .members(scope.as_ref())
            .filter(|node| {
                let fails = self.breaker.fails.get(node);
                fails.is_some_and(|fails| match held {
                    // A hold is renewed by those who fail now, as far as anybody can tell.
                    Some(_) => fails.still && is_online(*node),
                    None => fails.since >= recent || (is_new && fails.still),
                })
            })
            .collect();
        if failing.len() < LEAST || failing.len() * SHARE <= of {
            return;
        }
        let until = after(now, LASTS);
        let reason = self.words(scope.as_ref(), &failing, of);
        match held.and_then(|at| self.breaker.holds.get_mut(at)) {
            Some(hold) => {
                hold.until = until;
                hold.failing = failing;
                hold.of = of;
                hold.reason = reason;
            }
            None => {
                let text = format!(
                    "{reason}: their restarts are held, for one cause is likelier than many (extend \
                     restart restarts them all the same)"
                );
                self.note(own(EventKind::Breaker, now, text));
                self.breaker.holds.push(Hold {
                    scope,
                    since: now,
                    until,
                    failing,
                    of,
                    reason,
                    told: BTreeMap::new(),
                });
            }
        }
    }

    fn words(&self, scope: Option<&RoleName>, failing: &[NodeAddr], of: usize) -> String {
        let servers = match scope {
            Some(role) => self.settings.roles.get(role).map_or_else(
                || format!("{role} servers"),
                |definition| format!("{}s", definition.title),
            ),
            None => "servers".to_owned(),
        };
        let name = |node: &NodeAddr| {
            let known = self.nodes.get(node).and_then(Node::known);
            known.map_or_else(|| node.to_string(), |server| server.name.to_string())
        };
        let mut names: Vec<String> = failing.iter().take(NAMED).map(name).collect();
        if failing.len() > NAMED {
            names.push(format!("{} more", failing.len() - NAMED));
        }
        format!(
            "{} of {of} {servers} fail at once ({})",
            failing.len(),
            names.join(", ")
        )
    }

    fn end_holds(&mut self, now: Timestamp) {
        let (ended, rest) = std::mem::take(&mut self.breaker.holds)
            .into_iter()
            .partition(|hold| hold.until <= now);
        self.breaker.holds = rest;
        let ended: Vec<Hold> = ended;
        for hold in ended {
            let scope = hold.scope.as_ref();
            let whose = scope.map_or_else(|| "the fleet".to_owned(), ToString::to_string);
            let text = format!("restarts of {whose} are no longer held");
            self.note(own(EventKind::Breaker, now, text));
        }
    }

    /// Tells every agent that a hold is about, also one that has just come.
    fn tell_holds(&mut self, now: Timestamp) {
        let mut holds = std::mem::take(&mut self.breaker.holds);
        for hold in &mut holds {
            let members: Vec<NodeAddr> = self.members(hold.scope.as_ref()).collect();
            for node in members {
                let site = self.nodes.get(&node);
                let online = site.filter(|site| site.state() == NodeState::Online);
                let Some(session) = online.and_then(|site| site.session.as_ref()) else {
                    continue;
                };
                let told = (session.number, hold.until);
                if hold.told.insert(node, told) == Some(told) {
                    continue;
                }
                let lasts = extend_common::clock::since(now, hold.until);
                let message = ToAgent::RestartHold {
                    lasts,
                    reason: hold.reason.clone(),
                };
                self.send(node, message);
            }
        }
        self.breaker.holds = holds;
    }

    fn members(&self, scope: Option<&RoleName>) -> impl Iterator<Item = NodeAddr> {
        let nodes = self.nodes.iter();
        nodes.filter_map(move |(node, site)| {
            let role = role_of(site)?;
            scope.is_none_or(|scope| scope == role).then_some(*node)
        })
    }
}

/// Whether its server should run.
fn is_meant(site: &Node) -> bool {
    role_of(site).is_some()
}

fn role_of(site: &Node) -> Option<&RoleName> {
    let desired = site.intended()?;
    (desired.run_state == RunState::Running).then_some(&desired.role)
}
