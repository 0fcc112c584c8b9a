//! What is wrong with a server, here and in the portal.

use jiff::Timestamp;

use extend_common::ids::{NodeAddr, ServerName};
use extend_common::record::Desired;
use extend_common::status::{Health, ServerStatus, WarningKind};

use super::super::super::event::cut;
use super::super::super::fleet::Fleet;
use super::super::super::node::Node;
use super::super::super::refusal::moment;
use super::super::super::view::PortalState;
use super::super::restarts::By;
use super::super::{Finding, Findings, Rule, Subject};
use super::WORDS;
use super::node::disk;

/// So many restarts within an hour are told.
const MANY_RESTARTS: u64 = 3;

impl Fleet {
    pub(super) fn find_server(
        &self,
        node: NodeAddr,
        entry: &Node,
        desired: &Desired,
        findings: &mut Findings,
    ) {
        let (name, role) = (&desired.name, &desired.role);
        let find = |since, what: String, todo| Finding {
            subject: Subject::server(node, desired),
            since,
            what: format!("{name} ({role}, {node}) {what}"),
            done: self.done(node, name),
            todo,
        };
        for (by, rule, who) in [
            (By::Agent, Rule::RestartsRepeated, "its agent"),
            (By::Docker, Rule::CrashLoop, "Docker"),
        ] {
            let known = self.alerts.restarts.of(node, by, name);
            let Some((first, times)) = known.filter(|(_, times)| *times >= MANY_RESTARTS) else {
                continue;
            };
            let what = format!("was restarted {times} times within an hour by {who}");
            let todo = format!("extend events -n {name}; extend logs {name} --tail 200");
            findings.add(rule, find(first, what, todo));
        }
        if self.sees_server(node, entry)
            && let Some(seen) = entry.observation()
        {
            self.find_seen(node, entry, (seen, &find), findings);
        }
    }

    /// What the agent tells of a server that should run.
    fn find_seen(
        &self,
        node: NodeAddr,
        entry: &Node,
        (seen, find): (&ServerStatus, &dyn Fn(Timestamp, String, String) -> Finding),
        findings: &mut Findings,
    ) {
        let name = &seen.name;
        let at = shifted(entry, seen.since);
        let reason = || cut(&seen.reason, WORDS);
        let unhealthy = matches!(seen.health, Health::Unhealthy | Health::Stopped);
        if seen.health == Health::Quarantined {
            let todo = format!("extend logs {name} --tail 200; then extend restart -n {name}");
            let what = format!("is quarantined: {}", reason());
            findings.add(Rule::ServerQuarantined, find(at, what, todo));
        } else if unhealthy {
            let todo = format!("extend status -n {name}; extend logs {name} --tail 200");
            let what = format!("is {}: {}", seen.health, reason());
            findings.add(Rule::ServerUnhealthy, find(at, what, todo));
        }
        if let Some(spared) = &seen.spared {
            let until = moment(shifted(entry, spared.until));
            let what = format!("is unhealthy and carries calls: it is left alone until {until}");
            let todo = format!("extend status -n {name}; extend restart -n {name} --now cuts them");
            let since = shifted(entry, spared.since);
            findings.add(Rule::ServerCarryingCalls, find(since, what, todo));
        }
        for warning in &seen.warnings {
            let at = shifted(entry, warning.since);
            let what = format!("warns: {}", cut(&warning.reason, WORDS));
            let (rule, todo) = match warning.kind {
                WarningKind::Memory => (
                    Rule::MemoryGrowing,
                    format!("at a quiet hour: extend restart -n {name} --drain"),
                ),
                WarningKind::Disk => (
                    Rule::DiskFilling,
                    format!("extend node show {node}; make room on {node}"),
                ),
                WarningKind::Probe => (
                    Rule::ProbeWarning,
                    format!("extend health {name}; extend logs {name} --tail 200"),
                ),
            };
            let mut finding = find(at, what, todo);
            if rule == Rule::DiskFilling {
                finding.subject.what = disk(node, 0, "");
            }
            // Of a disk the node's own samples tell more.
            if !findings.has(rule, &finding.subject.what) {
                findings.add(rule, finding);
            }
        }
        self.find_portal(node, (seen, find), findings);
    }

    /// A server that is well here and that the PBX sends nothing: what keeps it from being
    /// registered, or from being seen. One that somebody has disabled there is his.
    fn find_portal(
        &self,
        node: NodeAddr,
        (seen, find): (&ServerStatus, &dyn Fn(Timestamp, String, String) -> Finding),
        findings: &mut Findings,
    ) {
        if seen.health != Health::Healthy {
            return;
        }
        let Some(standing) = self.portal_standing(node) else {
            return;
        };
        let how = match standing.state {
            PortalState::Offline => "offline in the portal",
            PortalState::NotRegistered => "not registered in the portal",
            PortalState::Unknown | PortalState::Online | PortalState::Disabled => return,
        };
        let mut what = format!("is healthy on its node and {how}");
        if !standing.reason.is_empty() {
            what = format!("{what}: {}", cut(&standing.reason, WORDS));
        }
        let name = &seen.name;
        let todo =
            format!("extend doctor -a {node}; extend whitelist check; extend restart -n {name}");
        findings.add(Rule::PortalOffline, find(self.ticked, what, todo));
    }

    /// What Extend did about a server lately.
    fn done(&self, node: NodeAddr, name: &ServerName) -> String {
        let mut done = Vec::new();
        let times = |by| {
            self.alerts
                .restarts
                .of(node, by, name)
                .map_or(0, |(_, times)| times)
        };
        match times(By::Agent) {
            0 => {}
            1 => done.push("restarted once within an hour".to_owned()),
            times => done.push(format!("restarted {times} times within an hour")),
        }
        match times(By::Docker) {
            0 => {}
            times => done.push(format!("Docker restarted it {times} times")),
        }
        if self.is_disabled_as_failed(node) {
            done.push("disabled in the portal, where another server takes over".to_owned());
        }
        done.join("; ")
    }
}

/// A moment of a node's clock by ours.
fn shifted(entry: &Node, at: Timestamp) -> Timestamp {
    let ahead = entry.clock_ahead.unwrap_or_default();
    at.saturating_sub(ahead).unwrap_or(at)
}
