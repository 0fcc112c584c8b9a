//! What is wrong with the fleet. Pure: from its memory to findings, each with what a person needs.

mod node;
mod outside;
mod seen;
mod server;

use std::time::Duration;

use jiff::Timestamp;

use extend_common::clock::since;
use extend_common::event::EventKind;
use extend_common::ids::NodeAddr;
use extend_common::record::Desired;
use extend_common::status::ServerStatus;

use super::super::event::cut;
use super::super::fleet::Fleet;
use super::restarts::{By, HOUR};
use super::{Finding, Findings, Rule, Subject};

/// A server that was a target is not blamed for so long after the end.
const AFTER_TARGET: Duration = Duration::from_secs(60);
/// Words of others are cut here.
const WORDS: usize = 300;

impl Findings {
    pub(super) fn add(&mut self, rule: Rule, finding: Finding) {
        self.found
            .insert((rule, finding.subject.what.clone()), finding);
    }

    /// Whether a rule has found it already.
    fn has(&self, rule: Rule, what: &str) -> bool {
        self.found.contains_key(&(rule, what.to_owned()))
    }
}

impl Subject {
    fn node(node: NodeAddr) -> Self {
        Self {
            what: node.to_string(),
            node: Some(node),
            name: None,
            role: None,
        }
    }

    fn server(node: NodeAddr, desired: &Desired) -> Self {
        Self {
            name: Some(desired.name.clone()),
            role: Some(desired.role.clone()),
            ..Self::node(node)
        }
    }
}

impl Fleet {
    /// Counts the restarts that agents have told of since this was called last; the first time,
    /// all that are kept, so that a controller that starts anew counts on. They count from when
    /// they were: an agent that was away for long tells of many at once.
    pub(super) fn note_restarts(&mut self, now: Timestamp) {
        for stored in self.events.after(self.alerts.counted) {
            let event = &stored.event;
            let (Some(node), Some(name)) = (event.node, &event.name) else {
                continue;
            };
            if event.kind == EventKind::Restart {
                let ahead = self.nodes.get(&node).and_then(|entry| entry.clock_ahead);
                let at = event.at.saturating_sub(ahead.unwrap_or_default());
                let at = at.unwrap_or(event.at).min(stored.told);
                self.alerts.restarts.add((node, By::Agent), name, (at, 1));
            }
        }
        self.alerts.counted = self.events.last();
        self.alerts.restarts.forget_old(now);
        let busy = self
            .nodes
            .iter()
            .filter(|(_, entry)| entry.open().is_some());
        let busy = busy.map(|(node, _)| *node);
        let busy: Vec<_> = busy.filter(|node| self.is_worked_on(*node)).collect();
        self.alerts
            .targets
            .extend(busy.into_iter().map(|node| (node, now)));
        self.alerts
            .targets
            .retain(|_, at| since(*at, now) < AFTER_TARGET);
    }

    /// Counts what Docker did to a server by itself. What comes of an operation is told by it.
    pub(in crate::core) fn note_by_docker(
        &mut self,
        node: NodeAddr,
        (status, times): (&ServerStatus, u64),
        now: Timestamp,
    ) {
        if times > 0 && !self.is_worked_on(node) {
            let by = (node, By::Docker);
            self.alerts.restarts.add(by, &status.name, (now, times));
        }
    }

    /// Everything that is wrong.
    pub(super) fn findings(&self, now: Timestamp) -> Findings {
        let mut findings = Findings::default();
        for (node, entry) in &self.nodes {
            if !seen::is_ours(entry) {
                continue;
            }
            self.find_node(*node, entry, now, &mut findings);
            if let Some(desired) = seen::should_run(entry) {
                self.find_server(*node, entry, desired, &mut findings);
            }
        }
        self.find_holds(&mut findings);
        self.find_outside(now, &mut findings);
        self.find_operations(now, &mut findings);
        findings
    }

    /// One alert for a whole hold, whatever number of servers it is about.
    fn find_holds(&self, findings: &mut Findings) {
        for hold in self.breaker.holds() {
            let role = hold.scope.as_ref();
            let of = role.map_or_else(|| "the fleet".to_owned(), ToString::to_string);
            let select = role.map_or_else(String::new, |role| format!(" -s {role}"));
            findings.add(
                Rule::RestartsHeld,
                Finding {
                    subject: Subject {
                        what: of.clone(),
                        node: None,
                        name: None,
                        role: role.cloned(),
                    },
                    since: hold.since,
                    what: format!("restarts of {of} are held: {}", cut(&hold.reason, WORDS)),
                    done: "agents begin no restart of their own until the hold is over; it is \
                           renewed while as many fail"
                        .to_owned(),
                    todo: format!(
                        "look for what they share (the PBX, the network, a new image): extend \
                         status{select}; extend events{select}"
                    ),
                },
            );
        }
    }

    fn find_operations(&self, now: Timestamp, findings: &mut Findings) {
        use extend_common::operation::TargetState as State;
        for entry in self.operations.values() {
            let Some(ended) = entry.row.ended.filter(|at| since(*at, now) < HOUR) else {
                continue;
            };
            let failed = entry
                .targets()
                .iter()
                .map(|row| &row.target)
                .filter(|target| {
                    matches!(
                        target.state,
                        State::Failed | State::RolledBack | State::TimedOut
                    )
                });
            let failed: Vec<_> = failed.collect();
            let Some(first) = failed.first() else {
                continue;
            };
            let (verb, id) = (entry.row.verb, entry.row.id.short());
            let what = format!(
                "{verb} {id} by {} ended with {} of {} targets not done; {} {}: {}",
                entry.row.by,
                failed.len(),
                entry.targets().len(),
                first.name,
                first.state,
                cut(&first.reason, WORDS)
            );
            let only = (failed.len() == 1).then_some(*first);
            findings.add(
                Rule::OperationFailed,
                Finding {
                    subject: Subject {
                        what: entry.row.id.to_string(),
                        node: only.map(|target| target.node),
                        name: only.map(|target| target.name.clone()),
                        role: only.map(|target| target.role.clone()),
                    },
                    since: ended,
                    what,
                    done: "each of these servers was left as the operation says".to_owned(),
                    todo: format!("extend op show {id}; extend op retry {id}"),
                },
            );
        }
    }
}
