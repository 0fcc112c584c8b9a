//! What is wrong with a server, here and in the portal.

use jiff::Timestamp;

use extend_common::event::EventKind;
use extend_common::ids::NodeAddr;
use extend_common::record::Desired;
use extend_common::status::{Health, NodeState, ServerStatus, WarningKind};

use super::super::super::event::cut;
use super::super::super::fleet::Fleet;
use super::super::super::node::Node;
use super::super::super::refusal::moment;
use super::super::super::view::PortalState;
use super::super::{Finding, Findings, Rule, Subject};
use super::WORDS;

/// So many restarts within an hour are told.
const MANY_RESTARTS: usize = 3;

/// The rules about a server that only its agent's word can answer.
const OF_SERVER: [Rule; 6] = [
    Rule::ServerCarryingCalls,
    Rule::MemoryGrowing,
    Rule::ServerUnhealthy,
    Rule::ServerQuarantined,
    Rule::PortalOffline,
    Rule::ProbeWarning,
];

impl Fleet {
    pub(super) fn find_server(
        &self,
        node: NodeAddr,
        entry: &Node,
        desired: &Desired,
        findings: &mut Findings,
    ) {
        let subject = Subject::server(node, desired);
        let (name, role) = (&desired.name, &desired.role);
        let place = format!("{name} ({role}, {node})");
        for (kind, rule, who) in [
            (EventKind::Restart, Rule::RestartsRepeated, "its agent"),
            (EventKind::DockerRestart, Rule::CrashLoop, "Docker"),
        ] {
            let times = self.restarts(node, kind);
            let first = self
                .alerts
                .restarts
                .get(&(node, kind))
                .and_then(|at| at.front());
            if let (Some(first), true) = (first, times >= MANY_RESTARTS) {
                findings.add(
                    rule,
                    Finding {
                        subject: subject.clone(),
                        since: *first,
                        what: format!(
                            "{place} was restarted {times} times within an hour by {who}"
                        ),
                        done: self.done(node),
                        todo: format!("extend events -n {name}; extend logs {name} --tail 200"),
                    },
                );
            }
        }
        let Some(seen) = entry.observation() else {
            return findings.hide(&OF_SERVER, &subject.what);
        };
        if self.alerts.targets.contains_key(&node) || entry.state() != NodeState::Online {
            return findings.hide(&OF_SERVER, &subject.what);
        }
        let find = |since, what, todo| Finding {
            subject: subject.clone(),
            since,
            what,
            done: self.done(node),
            todo,
        };
        let at = ours(entry, seen);
        let reason = cut(&seen.reason, WORDS);
        let unhealthy = matches!(seen.health, Health::Unhealthy | Health::Stopped);
        if seen.health == Health::Quarantined {
            let what = format!("{place} is quarantined: {reason}");
            let todo = format!("extend logs {name} --tail 200; then extend restart -n {name}");
            findings.add(Rule::ServerQuarantined, find(at, what, todo));
        } else if unhealthy {
            let what = format!("{place} is {}: {reason}", seen.health);
            let todo = format!("extend status -n {name}; extend logs {name} --tail 200");
            findings.add(Rule::ServerUnhealthy, find(at, what, todo));
        }
        if let Some(spared) = &seen.spared {
            let shift = |at: Timestamp| shifted(entry, at);
            let until = moment(shift(spared.until));
            let what =
                format!("{place} is unhealthy and carries calls: it is left alone until {until}");
            let todo = format!("extend status -n {name}; extend restart -n {name} --now cuts them");
            findings.add(
                Rule::ServerCarryingCalls,
                find(shift(spared.since), what, todo),
            );
        }
        for warning in &seen.warnings {
            let at = shifted(entry, warning.since);
            let what = format!("{place}: {}", cut(&warning.reason, WORDS));
            let (rule, key, todo) = match warning.kind {
                WarningKind::Memory => (
                    Rule::MemoryGrowing,
                    subject.what.clone(),
                    format!("at a quiet hour: extend restart -n {name} --drain"),
                ),
                // Told already by what the node samples.
                WarningKind::Disk if findings.has(Rule::DiskFilling, node) => continue,
                WarningKind::Disk => (
                    Rule::DiskFilling,
                    format!("{node} data"),
                    format!("extend node show {node}; make room on {node}"),
                ),
                WarningKind::Probe => (
                    Rule::ProbeWarning,
                    subject.what.clone(),
                    format!("extend health {name}; extend logs {name} --tail 200"),
                ),
            };
            let mut finding = find(at, what, todo);
            finding.subject.what = key;
            findings.add(rule, finding);
        }
        self.find_portal(node, seen, &find, findings);
    }

    fn find_portal(
        &self,
        node: NodeAddr,
        seen: &ServerStatus,
        find: &dyn Fn(Timestamp, String, String) -> Finding,
        findings: &mut Findings,
    ) {
        let Some(standing) = self.portal_standing(node) else {
            return;
        };
        match standing.state {
            PortalState::Unknown => findings.hide(&[Rule::PortalOffline], &node.to_string()),
            PortalState::Offline if seen.health == Health::Healthy => {
                let name = &seen.name;
                let what = format!(
                    "{name} ({}, {node}) is healthy on its node and offline in the portal",
                    seen.role
                );
                let todo = format!(
                    "extend doctor -a {node}; extend whitelist check; extend restart -n {name}"
                );
                findings.add(Rule::PortalOffline, find(self.ticked, what, todo));
            }
            _ => {}
        }
    }

    /// What Extend did about a server lately.
    fn done(&self, node: NodeAddr) -> String {
        let mut done = Vec::new();
        match self.restarts(node, EventKind::Restart) {
            0 => {}
            1 => done.push("restarted once within an hour".to_owned()),
            times => done.push(format!("restarted {times} times within an hour")),
        }
        match self.restarts(node, EventKind::DockerRestart) {
            0 => {}
            times => done.push(format!("Docker restarted it {times} times")),
        }
        if self.is_disabled_as_failed(node) {
            done.push("disabled in the portal, where another server takes over".to_owned());
        }
        done.join("; ")
    }

    fn restarts(&self, node: NodeAddr, kind: EventKind) -> usize {
        self.alerts
            .restarts
            .get(&(node, kind))
            .map_or(0, |at| at.len())
    }
}

/// Since when a server is as it is, by our clock.
fn ours(entry: &Node, seen: &ServerStatus) -> Timestamp {
    shifted(entry, seen.since)
}

/// A moment of a node's clock by ours.
fn shifted(entry: &Node, at: Timestamp) -> Timestamp {
    let ahead = entry.clock_ahead.unwrap_or_default();
    at.saturating_sub(ahead).unwrap_or(at)
}
