//! The agents' face: sessions, new leaves for the keys that connections have proved, and logs.
//!
//! Owns the bounds of a session: how soon it must say who it is, how often it may speak, how long it
//! may be silent. Handlers take the node from the connection ([`AgentPeer`]) and from nowhere else;
//! [`service`] works on anything that carries one, so that a simulated network can stand in for TCP
//! and TLS.

mod logs;
mod outgoing;
mod session;

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use extend_common::clock::Clock;
use extend_common::ids::NodeAddr;
use extend_common::wire::MAX_MESSAGE_BYTES;
use extend_proto::v1;
use extend_proto::v1::agent_server::{Agent, AgentServer};
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;
use tonic::{Request, Response, Status, Streaming};

pub use self::logs::LogsTaken;
use self::outgoing::Outgoing;
use self::session::Session;
use super::connection::AgentPeer;
use super::pace::{Paces, Rate};
use crate::ca::LeafIssuer;
use crate::engine::EngineHandle;
use crate::logs::Broker;

/// A node opens so many sessions: an agent that is started again and again by hand comes in, one in
/// a loop does not keep the engine busy.
const SESSIONS: Rate = Rate {
    every: Duration::from_secs(1),
    burst: 10,
};
/// A node renews twice in the life of a leaf, the shortest of which is ten seconds.
const RENEWALS: Rate = Rate {
    every: Duration::from_secs(1),
    burst: 5,
};
/// Calls with logs that nobody waits for. What operators wait for has no pace but theirs: a diagnosis
/// asks for one part after the other.
const SENDINGS: Rate = Rate {
    every: Duration::from_millis(200),
    burst: 20,
};
/// Nodes whose pace is remembered: more than any fleet, and every entry is a proved identity.
const MAX_NODES: usize = 20_000;
/// A session is closed after three heartbeats that did not come, and this much more. The core, which
/// warns before it gives a node up, has decided by then; this frees what is left of a connection.
const IDLE_MARGIN: Duration = Duration::from_secs(10);

/// What the agents' face is told by the daemon.
#[derive(Debug, Clone)]
pub struct AgentSettings {
    /// The interval that the welcome names.
    pub heartbeat: Duration,
    /// The time, for the end of certificates.
    pub clock: Clock,
    /// Ends every session.
    pub shutdown: CancellationToken,
    /// Who waits for logs.
    pub logs: Broker,
}

/// The handlers of the agents' face.
#[derive(Debug, Clone)]
pub struct AgentApi {
    engine: EngineHandle,
    issuer: LeafIssuer,
    settings: AgentSettings,
    sessions: Arc<Mutex<Paces<NodeAddr>>>,
    renewals: Arc<Mutex<Paces<NodeAddr>>>,
    sendings: Arc<Mutex<Paces<NodeAddr>>>,
}

/// The agents' face, for a server of any kind of connection whose requests bear an [`AgentPeer`].
#[must_use]
pub fn service(
    engine: EngineHandle,
    issuer: LeafIssuer,
    settings: AgentSettings,
) -> AgentServer<AgentApi> {
    let paces = |rate| Arc::new(Mutex::new(Paces::new(rate, MAX_NODES)));
    let (sessions, renewals) = (paces(SESSIONS), paces(RENEWALS));
    let sendings = paces(SENDINGS);
    AgentServer::new(AgentApi {
        engine,
        issuer,
        settings,
        sessions,
        renewals,
        sendings,
    })
    .max_decoding_message_size(MAX_MESSAGE_BYTES)
    .max_encoding_message_size(MAX_MESSAGE_BYTES)
}

#[tonic::async_trait]
impl Agent for AgentApi {
    type SessionStream = Outgoing;
    type SendLogsStream = LogsTaken;

    async fn session(
        &self,
        request: Request<Streaming<v1::AgentMessage>>,
    ) -> Result<Response<Outgoing>, Status> {
        let peer = peer(&request)?;
        within_pace(&self.sessions, peer.node)?;
        let (engine, settings) = (self.engine.clone(), self.settings.clone());
        Ok(Response::new(Session::begin(
            engine,
            settings,
            peer,
            request.into_inner(),
        )))
    }

    async fn renew_leaf(
        &self,
        request: Request<v1::RenewLeafRequest>,
    ) -> Result<Response<v1::RenewLeafResponse>, Status> {
        let peer = peer(&request)?;
        within_pace(&self.renewals, peer.node)?;
        let leaf = self
            .issuer
            .issue(peer.node, &request.into_inner().csr_der)
            .map_err(|error| super::enrolment::not_issued(peer.node, &error))?;
        // Whoever took over a connection, and not the key, must not come to a leaf of its own.
        if leaf.spki_hash != peer.spki_hash {
            tracing::warn!(node = %peer.node, "renewal refused: the request is for another key");
            return Err(super::status::not_enrolled(peer.node));
        }
        self.engine
            .renewal_allowed(peer.node, leaf.spki_hash)
            .await?;
        self.engine.renewed(peer.node, leaf.facts()).await?;
        tracing::info!(node = %peer.node, serial = %leaf.serial, "certificate renewed");
        let ca_der = self.issuer.authority().to_vec();
        Ok(Response::new(v1::RenewLeafResponse {
            leaf_der: leaf.der,
            ca_der,
        }))
    }

    async fn send_logs(
        &self,
        request: Request<Streaming<v1::LogPiece>>,
    ) -> Result<Response<LogsTaken>, Status> {
        let peer = peer(&request)?;
        let node = peer.node;
        match logs::receive(&self.settings, peer, request.into_inner()).await {
            Ok(taken) => Ok(Response::new(taken)),
            Err(status) => {
                within_pace(&self.sendings, node)?;
                Err(status)
            }
        }
    }
}

/// Who it is, as the connection has proved it.
fn peer<T>(request: &Request<T>) -> Result<AgentPeer, Status> {
    let peer = request.extensions().get::<AgentPeer>();
    peer.cloned()
        .ok_or_else(|| Status::permission_denied("nobody knows who is calling"))
}

fn stopping() -> Status {
    Status::unavailable("the controller is stopping")
}

fn within_pace(paces: &Mutex<Paces<NodeAddr>>, node: NodeAddr) -> Result<(), Status> {
    let mut paces = paces.lock().unwrap_or_else(PoisonError::into_inner);
    if paces.allows(node, Instant::now()) {
        return Ok(());
    }
    Err(Status::resource_exhausted(
        "this node comes too often; wait a few seconds",
    ))
}

#[cfg(test)]
mod tests;
