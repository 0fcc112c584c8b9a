//! The listeners and what is served on them.
//!
//! Owns the bounds of HTTP/2 on each face, and that each is behind its door, its check of callers
//! and its list of connections. Called once, by the start.

use std::io;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use extend_common::tls::{Door, LiveCertificate, ServerTls, TlsConnection, serve_tls};
use extend_common::wire::MAX_HEADER_LIST_BYTES;
use futures_util::stream::{self, Stream};
use tokio::net::{TcpListener, UnixListener};
use tokio_stream::StreamExt;
use tokio_util::task::TaskTracker;
use tonic::transport::Server;
use tonic::transport::server::Router;
use tower::layer::util::{Identity, Stack};

use super::door::Standing;
use super::download::{Downloads, Stranger};
use super::{Addresses, DaemonError, DaemonOptions, Ends, Tallies, health, listen};
use crate::api::access::{AccessLayer, Face};
use crate::api::agent::AgentSettings;
use crate::api::connection::{AgentPeer, Carried, Connections, OperatorPeer, StrangerPeer};
use crate::api::operator::OperatorSettings;
use crate::api::{agent, enrolment, operator};
use crate::ca::LeafIssuer;
use crate::config::{Config, Listen};
use crate::enforce::Pokes;
use crate::engine::EngineHandle;
use crate::logs::Broker;
use crate::metrics::{Metrics, Sources};
use crate::package::Shelf;

/// A peer that is silent is asked for a sign of life so often, and given up after as long again.
const KEEPALIVE: Duration = Duration::from_secs(5);
/// A call that is answered once has its answer by then: some commits on a slow disk.
const CALL_LIMIT: Duration = Duration::from_secs(15);
/// An agent has one session, renews now and then, and sends some logs.
const STREAMS: u32 = 8;
/// An operator's tool watches some operations at once.
const OPERATOR_STREAMS: u32 = 64;
/// What a peer may have sent and nobody has read, for each stream and for all of them. Messages are
/// small; the library's default is a megabyte for every connection of a fleet. All of an agent's
/// streams together fit: logs that an operator is slow to read must not hold up its session.
const STREAM_WINDOW: u32 = 64 * 1024;
const CONNECTION_WINDOW: u32 = STREAMS * STREAM_WINDOW;
/// Who joins or renews asks two questions. A connection that lasts longer is only in the way.
const STRANGERS_STAY: Duration = Duration::from_secs(30);
const STRANGERS_GRACE: Duration = Duration::from_secs(5);
/// Operators and their tools, each with one connection.
const MAX_OPERATORS: usize = 256;
/// After a want of descriptors, trying again at once would spin.
const PAUSE: Duration = Duration::from_millis(100);

/// The TCP listeners.
#[derive(Debug)]
pub(super) struct Listeners {
    agents: TcpListener,
    enrolment: TcpListener,
    http: TcpListener,
    bound: [std::net::SocketAddr; 3],
}

impl Listeners {
    pub(super) async fn bind(config: &Listen) -> Result<Self, DaemonError> {
        let agents = listen("agents", config.agents).await?;
        let enrolment = listen("joining nodes", config.enrolment).await?;
        let http = listen("http", config.http).await?;
        let address = |what, listener: &TcpListener, address| {
            listener.local_addr().map_err(|source| DaemonError::Listen {
                what,
                address,
                source,
            })
        };
        let bound = [
            address("agents", &agents, config.agents)?,
            address("joining nodes", &enrolment, config.enrolment)?,
            address("http", &http, config.http)?,
        ];
        Ok(Self {
            agents,
            enrolment,
            http,
            bound,
        })
    }

    pub(super) fn addresses(&self, socket: &Path) -> Addresses {
        let [agents, enrolment, http] = self.bound;
        Addresses {
            agents,
            enrolment,
            http,
            socket: socket.to_owned(),
        }
    }
}

/// What the faces are made of.
pub(super) struct Faces<'a> {
    pub(super) engine: EngineHandle,
    pub(super) issuer: LeafIssuer,
    pub(super) live: Arc<LiveCertificate>,
    pub(super) config: &'a Config,
    pub(super) options: &'a DaemonOptions,
    pub(super) addresses: &'a Addresses,
    pub(super) ends: &'a Ends,
    /// Who waits for logs.
    pub(super) logs: Broker,
    /// The agent's package.
    pub(super) packages: Shelf,
    pub(super) pokes: Pokes,
    pub(super) posts: crate::notify::Posts,
}

impl Faces<'_> {
    /// Serves all of them, as tasks of `tasks`.
    pub(super) fn serve(
        self,
        listeners: Listeners,
        socket: UnixListener,
        tasks: &TaskTracker,
    ) -> Result<Tallies, DaemonError> {
        let tallies = Tallies {
            agents: self.serve_agents(listeners.agents, tasks)?,
            enrolment: self.serve_enrolment(listeners.enrolment, tasks)?,
        };
        self.serve_operators(socket, tasks);
        let metrics = Metrics::new(Sources {
            engine: self.engine.clone(),
            issuer: self.issuer.clone(),
            live: Arc::clone(&self.live),
            tallies: tallies.clone(),
            store: self.config.state_dir.join(super::state::STORE_FILE),
            clock: self.options.clock,
        });
        let face = health::Face::new(self.engine.clone(), metrics);
        tasks.spawn(face.serve(listeners.http, self.ends.soft.clone()));
        Ok(tallies)
    }

    fn serve_agents(
        &self,
        listener: TcpListener,
        tasks: &TaskTracker,
    ) -> Result<Arc<extend_common::tls::accept::AcceptTally>, DaemonError> {
        let (live, time) = (Arc::clone(&self.live), Arc::clone(&self.options.time));
        let tls = ServerTls::agents(self.issuer.authority(), live, time)?;
        let door = Door::new(self.engine.door(), |sets, source| sets.admits_agent(source));
        let soft = self.ends.soft.clone();
        let limits = self.options.limits;
        let incoming = serve_tls(listener, tls, door.clone(), limits, soft.clone());
        let tally = incoming.tally();

        let standing = Standing::behind(door, self.ends.hard.clone());
        tasks.spawn(standing.clone().keep(self.engine.door(), soft.clone()));
        let incoming = incoming.filter_map(move |accepted| {
            let carried = accepted.and_then(|accepted| carry_agent(accepted, &standing));
            carried.inspect_err(not_taken).ok().map(Ok)
        });
        let settings = AgentSettings {
            heartbeat: self.config.timing.heartbeat,
            clock: self.options.clock,
            shutdown: soft,
            logs: self.logs.clone(),
        };
        let service = agent::service(self.engine.clone(), self.issuer.clone(), settings);
        let router = server(Face::Agents, STREAMS)
            .timeout(CALL_LIMIT)
            .add_service(service);
        self.spawn(router, incoming, tasks);
        Ok(tally)
    }

    fn serve_enrolment(
        &self,
        listener: TcpListener,
        tasks: &TaskTracker,
    ) -> Result<Arc<extend_common::tls::accept::AcceptTally>, DaemonError> {
        let tls = ServerTls::enrolment(Arc::clone(&self.live), Arc::clone(&self.options.time))?;
        let door = Door::new(self.engine.door(), |sets, source| {
            sets.admits_enrolment(source)
        });
        let soft = self.ends.soft.clone();
        let limits = self.options.limits;
        let incoming = serve_tls(listener, tls, door.clone(), limits, soft.clone());
        let tally = incoming.tally();

        let standing = Standing::behind(door, self.ends.hard.clone());
        tasks.spawn(standing.clone().keep(self.engine.door(), soft));
        let downloads = Downloads::new(self.packages.clone(), self.ends.hard.clone());
        let tracker = tasks.clone();
        let incoming = incoming.filter_map(move |accepted| {
            let carried = accepted.and_then(|accepted| carry_stranger(accepted, &standing));
            let (stranger, is_http2) = carried.inspect_err(not_taken).ok()?;
            if is_http2 {
                return Some(Ok(stranger));
            }
            tracker.spawn(downloads.clone().serve(stranger));
            None
        });
        let port = self.addresses.agents.port();
        let service = enrolment::service(self.engine.clone(), self.issuer.clone(), port);
        let router = server(Face::Enrolment, STREAMS)
            .timeout(CALL_LIMIT)
            .max_connection_age(STRANGERS_STAY)
            .max_connection_age_grace(STRANGERS_GRACE)
            .add_service(service);
        self.spawn(router, incoming, tasks);
        Ok(tally)
    }

    fn serve_operators(&self, listener: UnixListener, tasks: &TaskTracker) {
        let settings = OperatorSettings {
            enrolment: super::enrolment_address(self.config, self.addresses),
            authority: self.issuer.authority().clone(),
            packages: self.packages.clone(),
            state_dir: self.config.state_dir.clone(),
            clock: self.options.clock,
            shutdown: self.ends.soft.clone(),
            logs: self.logs.clone(),
            pokes: self.pokes.clone(),
            posts: self.posts.clone(),
        };
        let service = operator::service(self.engine.clone(), settings);
        let router = server(Face::Operators, OPERATOR_STREAMS).add_service(service);
        let connections = Connections::new(self.ends.hard.clone());
        self.spawn(router, operators(listener, connections), tasks);
    }

    fn spawn<IO>(
        &self,
        router: Router<Stack<AccessLayer, Identity>>,
        incoming: impl Stream<Item = io::Result<IO>> + Send + 'static,
        tasks: &TaskTracker,
    ) where
        IO: tokio::io::AsyncRead + tokio::io::AsyncWrite,
        IO: tonic::transport::server::Connected + Unpin + Send + 'static,
    {
        let soft = self.ends.soft.clone().cancelled_owned();
        tasks.spawn(async move {
            if let Err(error) = router.serve_with_incoming_shutdown(incoming, soft).await {
                tracing::error!(%error, "a face has ended");
            }
        });
    }
}

/// A server with the bounds of every face, and the check of callers in front of its handlers.
fn server(face: Face, streams: u32) -> Server<Stack<AccessLayer, Identity>> {
    Server::builder()
        .http2_keepalive_interval(Some(KEEPALIVE))
        .http2_keepalive_timeout(Some(KEEPALIVE))
        .http2_max_header_list_size(MAX_HEADER_LIST_BYTES)
        .max_concurrent_streams(streams)
        .initial_stream_window_size(STREAM_WINDOW)
        .initial_connection_window_size(CONNECTION_WINDOW)
        .layer(AccessLayer::new(face))
}

/// A connection that came to nothing: its end is no matter of the others.
fn not_taken(error: &io::Error) {
    tracing::debug!(%error, "a connection was not taken");
}

fn carry_agent(
    accepted: TlsConnection,
    standing: &Standing,
) -> io::Result<Carried<TlsConnection, AgentPeer>> {
    let peer = AgentPeer::of(accepted.peer())
        .ok_or_else(|| io::Error::other("nobody was identified on the agents' face"))?;
    let source = peer.node.ip();
    standing.carry(accepted, peer, source)
}

/// The connection, and whether it speaks HTTP/2: what does not, can only fetch the package.
fn carry_stranger(accepted: TlsConnection, standing: &Standing) -> io::Result<(Stranger, bool)> {
    let std::net::IpAddr::V4(source) = accepted.peer().remote.ip().to_canonical() else {
        return Err(io::Error::other("nodes have IPv4 addresses"));
    };
    let is_http2 = accepted.is_http2();
    let stranger = standing.carry(accepted, StrangerPeer { source }, source)?;
    Ok((stranger, is_http2))
}

/// The operators' connections. It does not end and has no errors: the server would take them for
/// something to try again at once.
fn operators(
    listener: UnixListener,
    connections: Connections,
) -> impl Stream<Item = io::Result<Carried<tokio::net::UnixStream, OperatorPeer>>> + Send {
    stream::unfold(
        (listener, connections),
        |(listener, connections)| async move {
            loop {
                match listener.accept().await {
                    Ok(_) if connections.count() >= MAX_OPERATORS => {
                        tracing::warn!("an operator is sent away: {MAX_OPERATORS} are connected");
                    }
                    Ok((stream, _)) => {
                        let uid = stream.peer_cred().ok().map(|credentials| credentials.uid());
                        let carried = connections.carry(stream, OperatorPeer { uid }, None);
                        return Some((Ok(carried), (listener, connections)));
                    }
                    Err(error) => {
                        tracing::warn!(%error, "cannot accept an operator");
                        tokio::time::sleep(PAUSE).await;
                    }
                }
            }
        },
    )
}
