//! One node in memory: its row, its session, and what was last seen of it.

use std::time::Duration;

use jiff::{SignedDuration, Timestamp};

use extend_common::clock::since;
use extend_common::cloud::CloudFacts;
use extend_common::ids::{NodeAddr, OperationId, RoleName};
use extend_common::record::{Desired, Drain, RunState, Stamp};
use extend_common::roles::Digest;
use extend_common::status::{
    Health, NodeState, OutcomeKind, ResolvedImage, ServerStatus, Unclaimed,
};

use super::counted::ByDocker;
use super::history::History;
use super::refusal::{Known, moment};
use super::request::{Hello, PeerFacts, SessionNumber};
use super::row::{Away, NodeRow, Revoked};
use super::view::{HostSample, ServiceSample};

/// So many ended targets of one node are remembered for what the node may still tell about them.
const LATE: usize = 8;
/// Agents look at their machine and their service every ten seconds: what is older than this is of
/// the past, and is not told as what is.
const FRESH: Duration = Duration::from_secs(60);

/// A node. Everything beside `row` is lost at a restart and comes back with the next hello.
#[derive(Debug, Clone, Default)]
pub(super) struct Node {
    pub(super) row: NodeRow,
    /// The present connection.
    pub(super) session: Option<Session>,
    /// What the agent told last, in whichever session.
    pub(super) status: Option<ServerStatus>,
    /// Whether `status` was told in the present session.
    pub(super) fresh: bool,
    pub(super) unclaimed: Vec<Unclaimed>,
    /// Whether its agent has looked at its containers: what is not unclaimed then is not there.
    pub(super) looked: bool,
    pub(super) docker_trouble: String,
    pub(super) ledger_trouble: String,
    pub(super) agent_version: String,
    /// How its machine does.
    pub(super) host: Option<HostSample>,
    /// How its service does.
    pub(super) service: Option<ServiceSample>,
    /// What its cloud says of it, as it was told last.
    pub(super) cloud: Option<CloudFacts>,
    /// How far its clock is ahead of ours, by the present session's last word.
    pub(super) clock_ahead: Option<SignedDuration>,
    /// When it was last heard, since the controller's start.
    pub(super) last_seen: Option<Timestamp>,
    /// The open operations that mean its server, in the order in which they have it: the first
    /// one holds it, the others wait for its end.
    pub(super) wanted_by: Vec<OperationId>,
    /// Targets that ended without the node's word, and have not got it since.
    pub(super) untold: Vec<(Stamp, OperationId)>,
    /// It has gone and is not back.
    pub(super) away: Option<Away>,
    /// It was here before the controller's start, and may still come back by itself.
    pub(super) expected: bool,
    /// It was told that the node is ahead.
    pub(super) said_ahead: bool,
    /// How its server was.
    pub(super) history: History,
    /// Docker's restarts of its server that were counted.
    pub(super) by_docker: Option<ByDocker>,
}

/// A connection of a node's agent.
#[derive(Debug, Clone)]
pub(super) struct Session {
    pub(super) number: SessionNumber,
    /// When it last said something.
    pub(super) heard: Timestamp,
    /// Silent for a while.
    pub(super) suspect: bool,
    /// What its certificate says.
    pub(super) facts: PeerFacts,
    /// How it introduced itself. For a node that is ahead it stays true: nothing is sent there.
    pub(super) hello: Hello,
    /// Why the node is ahead of this store, if it is.
    pub(super) ahead: Option<String>,
}

impl Node {
    /// The open operation that holds its server.
    pub(super) fn open(&self) -> Option<OperationId> {
        self.wanted_by.first().copied()
    }

    /// Whether records may be sent: connected, and not ahead.
    pub(super) fn is_commandable(&self) -> bool {
        self.session
            .as_ref()
            .is_some_and(|session| session.ahead.is_none())
    }

    /// Why it is ahead, if it is.
    pub(super) fn ahead(&self) -> Option<&str> {
        self.session
            .as_ref()
            .and_then(|session| session.ahead.as_deref())
    }

    /// Since when and by whom it is revoked.
    pub(super) fn revoked(&self) -> Option<&Revoked> {
        self.row
            .enrolment
            .as_ref()
            .and_then(|enrolment| enrolment.revoked.as_ref())
    }

    /// How it is; none for a node that nobody has ever enrolled.
    pub(super) fn state(&self) -> NodeState {
        if self.revoked().is_some() {
            return NodeState::Revoked;
        }
        match &self.session {
            Some(session) if session.ahead.is_some() => NodeState::Ahead,
            Some(session) if session.suspect => NodeState::Suspect,
            Some(_) => NodeState::Online,
            None if self.row.enrolment.is_none() => NodeState::Pending,
            None if self.expected => NodeState::Suspect,
            None => NodeState::Offline,
        }
    }

    /// What its server should be once everything that ended is put back: the record, or what an
    /// abandoned operation left. None without a server, and when the server is to go.
    pub(super) fn intended(&self) -> Option<&Desired> {
        let desired = match &self.row.abandoned {
            Some(abandoned) => abandoned.prior.as_ref(),
            None => self.row.record.as_ref().map(|record| &record.desired),
        };
        desired.filter(|desired| !desired.run_state.is_tombstone())
    }

    /// What stands at this address for a selector: what is intended; else what is about to go or
    /// to come.
    pub(super) fn server(&self) -> Option<&Desired> {
        if let Some(intended) = self.intended() {
            return Some(intended);
        }
        let record = self.row.record.as_ref().map(|record| &record.desired)?;
        let counts = !self.wanted_by.is_empty() || record.run_state.is_tombstone();
        counts.then_some(record)
    }

    /// Its server as sentences name it.
    pub(super) fn known(&self) -> Option<Known> {
        self.server().map(known)
    }

    /// The status of the present session, when it tells anything about containers.
    pub(super) fn observation(&self) -> Option<&ServerStatus> {
        let usable = self.fresh && self.is_commandable() && self.docker_trouble.is_empty();
        self.status
            .as_ref()
            .filter(|status| usable && status.health != Health::Unknown)
    }

    /// Whether the server was observed, in the present session, to have come to what its record
    /// says, with the record saying `wanted`.
    pub(super) fn is_settled_at(&self, wanted: RunState) -> bool {
        let (Some(record), Some(seen)) = (&self.row.record, self.observation()) else {
            return false;
        };
        let succeeded = seen
            .outcome
            .as_ref()
            .is_some_and(|outcome| outcome.kind == OutcomeKind::Succeeded);
        let live = seen
            .current
            .as_ref()
            .is_some_and(|container| container.state.is_live());
        let as_wanted = match wanted {
            RunState::Running => live && seen.serving == Some(record.desired.deployment),
            RunState::Stopped => !live,
            RunState::Removed | RunState::Withdrawn => false,
        };
        self.state() == NodeState::Online
            && self.row.abandoned.is_none()
            && record.desired.run_state == wanted
            && seen.record == record.id
            && succeeded
            && as_wanted
    }

    /// The image of the deployment before the one that serves, as its node told last.
    pub(super) fn previous_image(&self) -> Option<&ResolvedImage> {
        self.status.as_ref()?.previous_image.as_ref()
    }

    /// Whether its agent is connected and lacks an ability.
    pub(super) fn lacks(&self, ability: &str) -> bool {
        let hello = self.session.as_ref().map(|session| &session.hello);
        hello.is_some_and(|hello| hello.abilities.iter().all(|known| known != ability))
    }

    /// Whether its server is to take no new sessions.
    pub(super) fn is_drained(&self) -> bool {
        let drain = self.intended().map(|desired| desired.drain);
        matches!(drain, Some(Drain::Hold { .. }))
    }

    /// How its machine does at this moment, as far as that was told lately.
    pub(super) fn host_now(&self, now: Timestamp) -> Option<&HostSample> {
        self.host
            .as_ref()
            .filter(|sample| since(sample.at, now) <= FRESH)
    }

    /// How its service does, likewise.
    pub(super) fn service_now(&self, now: Timestamp) -> Option<&ServiceSample> {
        self.service
            .as_ref()
            .filter(|sample| since(sample.at, now) <= FRESH)
    }

    /// The containers there that nobody claims. What is being taken over, or has just been, is
    /// claimed by the record before the agent says so.
    pub(super) fn unclaimed(&self) -> impl Iterator<Item = &Unclaimed> {
        let record = self.row.record.as_ref();
        let record = record.filter(|record| !record.desired.run_state.is_tombstone());
        let claimed = record.and_then(|record| record.desired.adopted.as_ref());
        self.unclaimed
            .iter()
            .filter(move |unclaimed| Some(&unclaimed.container_id) != claimed)
    }

    /// Whether what it tells of its containers is of the present.
    pub(super) fn is_seen(&self) -> bool {
        self.is_commandable() && self.looked && self.docker_trouble.is_empty()
    }

    /// What the agent renders a role's containers from; none when it is not connected.
    pub(super) fn definition(&self, role: &RoleName) -> Option<Option<Digest>> {
        let session = self.session.as_ref()?;
        let known = session
            .hello
            .definitions
            .iter()
            .find(|(name, _)| name == role);
        Some(known.map(|(_, digest)| *digest))
    }

    /// Why nothing can be sent, in words for a target that waits.
    pub(super) fn away(&self, node: NodeAddr) -> String {
        if let Some(revoked) = self.revoked() {
            return format!("node {node} is revoked since {}", moment(revoked.at));
        }
        match (&self.session, &self.away) {
            (Some(_), _) => format!("node {node} is ahead of this controller's store"),
            (None, Some(away)) => {
                let since = moment(away.since);
                format!("node {node} is offline since {since}: {}", away.reason)
            }
            (None, None) => format!("node {node} has not been heard since the controller's start"),
        }
    }

    /// Since when it has been suspect or offline.
    pub(super) fn away_since(&self) -> Option<Timestamp> {
        match (self.state(), &self.session, &self.away) {
            (NodeState::Suspect, Some(session), _) => Some(session.heard),
            (NodeState::Offline, None, Some(away)) => Some(away.since),
            _ => None,
        }
    }

    /// When it was last heard, as far as anybody knows.
    pub(super) fn last_heard(&self) -> Option<Timestamp> {
        let before = self.away.as_ref().and_then(|away| away.heard);
        self.last_seen.or(before)
    }

    /// Remembers that the agent holds a record of ours.
    pub(super) fn note_held(&mut self, status: &ServerStatus) {
        if self.row.held != Some(status.record) && self.row.chain.contains(&status.record) {
            self.row.held = Some(status.record);
        }
    }

    /// Remembers a target that ended without the node's word.
    pub(super) fn note_untold(&mut self, stamp: Stamp, operation: OperationId) {
        self.untold.push((stamp, operation));
        if self.untold.len() > LATE {
            self.untold.remove(0);
        }
    }

    /// How long it has been silent.
    pub(super) fn silence(&self, now: Timestamp) -> Option<Duration> {
        self.session
            .as_ref()
            .map(|session| since(session.heard, now))
    }
}

/// A server as sentences name it.
pub(super) fn known(desired: &Desired) -> Known {
    Known {
        name: desired.name.clone(),
        role: desired.role.clone(),
        node: desired.node,
    }
}
