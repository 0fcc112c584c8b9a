//! Of what anybody can tell at present how it stands. What nobody can tell is neither wrong nor
//! right: what fires goes on firing, and what is pending stays so.

use jiff::Timestamp;

use extend_common::clock::since;
use extend_common::ids::NodeAddr;
use extend_common::record::{Desired, RunState};
use extend_common::status::NodeState;

use super::super::super::fleet::Fleet;
use super::super::super::node::Node;
use super::super::super::view::PortalState;
use super::super::restarts::HOUR;
use super::super::{Rule, Subject};

impl Fleet {
    /// Whether it can be told how that stands which an alert of a rule is about. Asked only of what
    /// was found before and is not now.
    pub(in crate::core::alerts) fn can_tell(
        &self,
        rule: Rule,
        subject: &Subject,
        now: Timestamp,
    ) -> bool {
        match rule {
            Rule::NodeOffline
            | Rule::CertificateExpiring
            | Rule::RestartsHeld
            | Rule::RestartsRepeated
            | Rule::OperationFailed => true,
            // How often Docker did it before this memory is not known.
            Rule::CrashLoop => since(self.started, now) >= HOUR || self.meant_by(subject).is_none(),
            Rule::DockerUnresponsive | Rule::AgentTrouble | Rule::ClockSkew => {
                self.is_heard(subject)
            }
            Rule::DiskFilling => self.is_disk_seen(subject),
            Rule::ServerUnhealthy
            | Rule::ServerQuarantined
            | Rule::ServerCarryingCalls
            | Rule::MemoryGrowing
            | Rule::ProbeWarning => self.is_server_seen(subject),
            Rule::PortalOffline => self.is_server_seen(subject) && self.is_portal_seen(subject),
            Rule::WhitelistMissing
            | Rule::WhitelistDenied
            | Rule::WhitelistExpiring
            | Rule::EnforcerFailing => self.is_outside_seen(&subject.what),
        }
    }

    /// The node of a subject, while it is one of ours.
    fn site(&self, subject: &Subject) -> Option<(NodeAddr, &Node)> {
        let node = subject.node?;
        let entry = self.nodes.get(&node).filter(|entry| is_ours(entry))?;
        Some((node, entry))
    }

    /// The server of a subject, while it should run.
    fn meant_by(&self, subject: &Subject) -> Option<(NodeAddr, &Node)> {
        let (node, entry) = self.site(subject)?;
        let name = subject.name.as_ref();
        should_run(entry)
            .filter(|desired| name.is_none_or(|name| *name == desired.name))
            .map(|_| (node, entry))
    }

    fn is_heard(&self, subject: &Subject) -> bool {
        let heard = |entry: &Node| entry.session.as_ref().is_some_and(|one| !one.suspect);
        self.site(subject).is_none_or(|(_, entry)| heard(entry))
    }

    fn is_server_seen(&self, subject: &Subject) -> bool {
        let seen = self.meant_by(subject);
        seen.is_none_or(|(node, entry)| self.sees_server(node, entry))
    }

    /// Whether what an agent tells of its server says anything about it: an operation that works on
    /// it is answerable for it, and for a minute after.
    pub(super) fn sees_server(&self, node: NodeAddr, entry: &Node) -> bool {
        entry.observation().is_some()
            && entry.state() == NodeState::Online
            && !self.alerts.targets.contains_key(&node)
    }

    /// What a node samples, and what the agent says of the disk of its server's data.
    fn is_disk_seen(&self, subject: &Subject) -> bool {
        let sampled = self
            .site(subject)
            .is_none_or(|(_, entry)| entry.host.is_some());
        sampled && self.is_heard(subject) && self.is_server_seen(subject)
    }

    fn is_portal_seen(&self, subject: &Subject) -> bool {
        let standing = subject.node.and_then(|node| self.portal_standing(node));
        standing.is_none_or(|standing| standing.state != PortalState::Unknown)
    }

    fn is_outside_seen(&self, what: &str) -> bool {
        if what == super::outside::PORTAL {
            return !self.settings.outside.portal || self.outside.look.is_some();
        }
        let of = |name: &str| {
            let rest = what.strip_prefix(name);
            rest.is_some_and(|rest| rest.is_empty() || rest.starts_with(' '))
        };
        let kind = self.enforcers().into_iter().find(|kind| of(&kind.name()));
        let Some(kind) = kind else {
            return true;
        };
        let round = self.outside.rounds.get(&kind);
        round.is_some_and(|round| round.result.is_ok() || what == kind.name())
    }
}

/// Whether alerts tell of a node.
pub(super) fn is_ours(entry: &Node) -> bool {
    entry.row.enrolment.is_some() && entry.revoked().is_none()
}

/// The server of a node, if it should run.
pub(super) fn should_run(entry: &Node) -> Option<&Desired> {
    let desired = entry.intended()?;
    (desired.run_state == RunState::Running).then_some(desired)
}
