//! What is wrong with the fleet. Pure: from its memory to findings, each with what a person needs.

use std::time::Duration;

use jiff::Timestamp;

use extend_common::clock::{after, before, since};
use extend_common::event::EventKind;
use extend_common::ids::NodeAddr;
use extend_common::record::{Desired, RunState};
use extend_common::status::{Health, NodeState, ServerStatus, WarningKind};

use super::super::event::cut;
use super::super::fleet::Fleet;
use super::super::node::Node;
use super::{Finding, Findings, Rule, Subject};

/// A server that was a target is not blamed for so long after the end.
const AFTER_TARGET: Duration = Duration::from_secs(60);
/// Restarts are counted over so long.
const HOUR: Duration = Duration::from_secs(3_600);
/// So many of them are told.
const MANY_RESTARTS: usize = 3;
/// A clock that is wrong by less is none of anybody's business.
const SKEW: Duration = Duration::from_secs(5);
/// Words of others are cut here.
const WORDS: usize = 300;

/// The rules about a server that only its agent's word can answer.
const OF_SERVER: [Rule; 5] = [
    Rule::ServerCarryingCalls,
    Rule::MemoryGrowing,
    Rule::ServerUnhealthy,
    Rule::ServerQuarantined,
    Rule::PortalOffline,
];

impl Findings {
    pub(super) fn add(&mut self, rule: Rule, finding: Finding) {
        self.found
            .insert((rule, finding.subject.what.clone()), finding);
    }

    fn hide(&mut self, rules: &[Rule], what: &str) {
        for rule in rules {
            self.unseen.insert((*rule, what.to_owned()));
        }
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
    /// all that are kept, so that a controller that starts anew counts on.
    pub(super) fn note_restarts(&mut self, now: Timestamp) {
        let last = self.last_event();
        for sequence in self.alerts.counted + 1..=last {
            let Some(stored) = self.event(sequence) else {
                continue;
            };
            let (kind, told) = (stored.event.kind, stored.told);
            let counts = matches!(kind, EventKind::Restart | EventKind::DockerRestart);
            if let Some(node) = stored.event.node.filter(|_| counts) {
                self.alerts
                    .restarts
                    .entry((node, kind))
                    .or_default()
                    .push_back(told);
            }
        }
        self.alerts.counted = last;
        let old = before(now, HOUR);
        self.alerts.restarts.retain(|_, at| {
            while at.front().is_some_and(|first| *first < old) {
                at.pop_front();
            }
            !at.is_empty()
        });
        let busy = self
            .nodes
            .iter()
            .filter(|(_, entry)| !entry.wanted_by.is_empty());
        let busy: Vec<_> = busy.map(|(node, _)| *node).collect();
        self.alerts
            .targets
            .extend(busy.into_iter().map(|node| (node, now)));
        self.alerts
            .targets
            .retain(|_, at| since(*at, now) < AFTER_TARGET);
    }

    fn restarts(&self, node: NodeAddr, kind: EventKind) -> usize {
        self.alerts
            .restarts
            .get(&(node, kind))
            .map_or(0, |at| at.len())
    }

    /// Everything that is wrong.
    pub(super) fn findings(&self, now: Timestamp) -> Findings {
        let mut findings = Findings::default();
        for (node, entry) in &self.nodes {
            if entry.row.enrolment.is_none() || entry.revoked().is_some() {
                continue;
            }
            self.find_node(*node, entry, now, &mut findings);
            let running = |desired: &&Desired| desired.run_state == RunState::Running;
            if let Some(desired) = entry.intended().filter(running) {
                self.find_server(*node, entry, desired, &mut findings);
            }
        }
        self.find_holds(&mut findings);
        self.find_outside(now, &mut findings);
        self.find_operations(now, &mut findings);
        findings
    }

    fn find_node(&self, node: NodeAddr, entry: &Node, now: Timestamp, findings: &mut Findings) {
        let known = entry.intended();
        let subject =
            || known.map_or_else(|| Subject::node(node), |known| Subject::server(node, known));
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
        if entry.session.is_none() {
            let rules = [
                Rule::DockerUnresponsive,
                Rule::AgentTrouble,
                Rule::ClockSkew,
            ];
            return findings.hide(&rules, &node.to_string());
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
        find_disks(node, entry, (&subject(), now), findings);
    }

    fn find_server(
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
            let until = super::super::refusal::moment(shift(spared.until));
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
                WarningKind::Disk => (
                    Rule::DiskFilling,
                    format!("{node} data"),
                    format!("extend node show {node}; make room on {node}"),
                ),
                WarningKind::Probe => continue,
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
        use super::super::view::PortalState;
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

    fn find_outside(&self, now: Timestamp, findings: &mut Findings) {
        use crate::whitelist::State;
        for kind in self.enforcers() {
            let name = kind.name();
            let of = |what: String| Subject {
                what,
                node: None,
                name: None,
                role: None,
            };
            let result = self.outside.rounds.get(&kind).map(|round| &round.result);
            let seen = match result {
                Some(Ok(seen)) => seen,
                other => {
                    let hidden = self.alerts.places.keys();
                    let ours = |what: &String| what.starts_with(&format!("{name} "));
                    findings
                        .unseen
                        .extend(hidden.filter(|(_, what)| ours(what)).cloned());
                    match other {
                        None => findings.hide(&[Rule::EnforcerFailing], &name),
                        Some(Err(problem)) => findings.add(
                            Rule::EnforcerFailing,
                            failing(of(name), &problem.sentence, &problem.hint, problem.since),
                        ),
                        Some(Ok(_)) => {}
                    }
                    continue;
                }
            };
            if let Some(problem) = &seen.trouble {
                findings.add(
                    Rule::EnforcerFailing,
                    failing(
                        of(name.clone()),
                        &problem.sentence,
                        &problem.hint,
                        problem.since,
                    ),
                );
            }
            for standing in &seen.standings {
                let (rule, words) = match standing.state {
                    State::Missing => (Rule::WhitelistMissing, "is not let in"),
                    State::Denied => (Rule::WhitelistDenied, "is kept out by an entry"),
                    State::Expiring => (
                        Rule::WhitelistExpiring,
                        "is let in by an entry that lapses soon",
                    ),
                    State::InForce | State::Leaving => continue,
                };
                let holder = &standing.holder;
                let address = standing.address;
                findings.add(
                    rule,
                    Finding {
                        subject: Subject {
                            what: format!("{name} {address}"),
                            node: Some(holder.node),
                            name: Some(holder.name.clone()),
                            role: Some(holder.role.clone()),
                        },
                        since: now,
                        what: format!(
                            "{kind}: {address} of {} ({}) {words}",
                            holder.name, holder.role
                        ),
                        done: cut(&standing.note, WORDS),
                        todo: "extend whitelist sync; extend whitelist list".to_owned(),
                    },
                );
            }
        }
        let look = self.outside.look.as_ref().map(|look| &look.result);
        if let Some(Err(problem)) = look {
            let subject = Subject {
                what: "portal".to_owned(),
                node: None,
                name: None,
                role: None,
            };
            findings.add(
                Rule::EnforcerFailing,
                failing(subject, &problem.sentence, &problem.hint, now),
            );
        } else if look.is_none() && self.settings.outside.portal {
            findings.hide(&[Rule::EnforcerFailing], "portal");
        }
    }
}

fn failing(subject: Subject, sentence: &str, hint: &str, since: Timestamp) -> Finding {
    Finding {
        what: format!("{}: {}", subject.what, cut(sentence, WORDS)),
        subject,
        since,
        done: "it is tried again, with growing pauses; what is in force stays".to_owned(),
        todo: match hint.is_empty() {
            true => "extend whitelist list".to_owned(),
            false => cut(hint, WORDS),
        },
    }
}

/// File systems of a node that fill up.
fn find_disks(
    node: NodeAddr,
    entry: &Node,
    (subject, now): (&Subject, Timestamp),
    findings: &mut Findings,
) {
    for disk in entry.host.iter().flat_map(|host| &host.figures.disks) {
        if disk.total > 0 && disk.free < disk.total / 10 {
            let free = extend_common::size::show(disk.free);
            let what = format!(
                "{free} of {} are free on {} of node {node}",
                extend_common::size::show(disk.total),
                disk.path
            );
            let mut finding = Finding {
                subject: subject.clone(),
                since: now,
                what,
                done: String::new(),
                todo: format!("on {node}: du -xh -d2 {} | sort -h", disk.path),
            };
            finding.subject.what = format!("{node} {}", disk.path);
            findings.add(Rule::DiskFilling, finding);
        }
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
