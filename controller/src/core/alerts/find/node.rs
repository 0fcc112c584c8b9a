//! What is wrong with a node: its agent, its Engine, its clock, its certificate, its disks.

use std::time::Duration;

use jiff::Timestamp;

use extend_common::clock::{after, since};
use extend_common::ids::NodeAddr;
use extend_common::status::NodeState;

use super::super::super::event::cut;
use super::super::super::fleet::Fleet;
use super::super::super::node::Node;
use super::super::{Finding, Findings, Rule, Subject};
use super::WORDS;

/// A clock that is wrong by less is none of anybody's business.
const SKEW: Duration = Duration::from_secs(5);

impl Fleet {
    pub(super) fn find_node(
        &self,
        node: NodeAddr,
        entry: &Node,
        now: Timestamp,
        findings: &mut Findings,
    ) {
        let subject = || match entry.intended() {
            Some(known) => Subject::server(node, known),
            None => Subject::node(node),
        };
        let find = |since, what: String, done: &str, todo: String| Finding {
            subject: subject(),
            since,
            what,
            done: done.to_owned(),
            todo,
        };
        if let Some(away) = entry.away.as_ref().filter(|away| !away.new)
            && entry.state() == NodeState::Offline
        {
            let what = format!("node {node} is offline: {}", cut(&away.reason, WORDS));
            let done = "its agent looks after its services by itself; records for it wait";
            let todo =
                format!("extend node show {node}; on the node: systemctl status extend-agent");
            findings.add(Rule::NodeOffline, find(away.since, what, done, todo));
        }
        let ends = entry
            .row
            .enrolment
            .as_ref()
            .map(|enrolment| enrolment.leaf_not_after);
        let quarter = self.settings.alerts.leaf_lifetime / 4;
        if let Some(ends) = ends.filter(|ends| after(now, quarter) > *ends) {
            let left =
                extend_common::duration::show(Duration::from_secs(since(now, ends).as_secs()));
            let what = format!(
                "the certificate of node {node} is good for {left} more and was not renewed"
            );
            let done = "its agent tries again; for 30 days it can prove itself by its key";
            let todo =
                format!("on {node}: journalctl -u extend-agent; then extend node show {node}");
            findings.add(Rule::CertificateExpiring, find(now, what, done, todo));
        }
        if entry.session.as_ref().is_none_or(|session| session.suspect) {
            return;
        }
        if !entry.docker_trouble.is_empty() {
            let what = format!(
                "Docker on node {node}: {}",
                cut(&entry.docker_trouble, WORDS)
            );
            let todo = format!("on {node}: systemctl status docker; journalctl -u docker");
            let done = "nothing there is touched until Docker answers";
            findings.add(Rule::DockerUnresponsive, find(now, what, done, todo));
        }
        if !entry.ledger_trouble.is_empty() {
            let what = format!(
                "the agent on node {node}: {}",
                cut(&entry.ledger_trouble, WORDS)
            );
            let todo =
                format!("on {node}: df -h /var/lib/extend-agent; journalctl -u extend-agent");
            let done = "steps of operators wait there";
            findings.add(Rule::AgentTrouble, find(now, what, done, todo));
        }
        if let Some(ahead) = entry.clock_ahead.filter(|by| by.unsigned_abs() >= SKEW) {
            let by =
                extend_common::duration::show(Duration::from_secs(ahead.unsigned_abs().as_secs()));
            let side = if ahead.is_negative() {
                "behind"
            } else {
                "ahead of"
            };
            let what = format!("the clock of node {node} is {by} {side} the controller's");
            let todo = format!("on {node}: timedatectl; chronyc tracking");
            findings.add(Rule::ClockSkew, find(now, what, "", todo));
        }
        find_disks(node, entry, (&subject, now), findings);
    }
}

/// What an alert about a disk of a node is about: one of each disk, whoever has seen it. The first
/// that a node tells is that of the services' data.
pub(super) fn disk(node: NodeAddr, number: usize, path: &str) -> String {
    match number {
        0 => format!("{node} data"),
        _ => format!("{node} {path}"),
    }
}

/// File systems of a node that fill up.
fn find_disks(
    node: NodeAddr,
    entry: &Node,
    (subject, now): (&dyn Fn() -> Subject, Timestamp),
    findings: &mut Findings,
) {
    let disks = entry.host.iter().flat_map(|host| &host.figures.disks);
    for (number, known) in disks.enumerate() {
        if known.total > 0 && known.free < known.total / 10 {
            let free = extend_common::size::show(known.free);
            let what = format!(
                "{free} of {} are free on {} of node {node}",
                extend_common::size::show(known.total),
                known.path
            );
            let subject = Subject {
                what: disk(node, number, &known.path),
                ..subject()
            };
            let finding = Finding {
                subject,
                since: now,
                what,
                done: String::new(),
                todo: format!("on {node}: du -xh -d2 {} | sort -h", known.path),
            };
            findings.add(Rule::DiskFilling, finding);
        }
    }
}
