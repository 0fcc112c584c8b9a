//! The simulated network: byte streams between agents and whatever controller listens.

use std::collections::BTreeSet;
use std::io;
use std::net::SocketAddrV4;
use std::sync::{Arc, Mutex, PoisonError};

use async_trait::async_trait;
use extend_agent::session::Dial;
use extend_agent::session::dial::endpoint;
use extend_common::ids::NodeAddr;
use extend_controller::api::connection::{AgentPeer, Carried, Connections};
use hyper_util::rt::TokioIo;
use tokio::io::DuplexStream;
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;
use tonic::transport::{Channel, Uri};
use tower::service_fn;

/// A stream as the controller's server accepts it.
pub type Accepted = Carried<DuplexStream, AgentPeer>;

/// A connection's buffer, each way.
const BUFFER: usize = 64 * 1024;
/// Connections that wait to be accepted.
const BACKLOG: usize = 64;

#[derive(Default)]
struct State {
    listener: Option<(mpsc::Sender<io::Result<Accepted>>, Connections)>,
    away: BTreeSet<NodeAddr>,
}

/// The network. Clones are the same one.
#[derive(Clone, Default)]
pub struct Net(Arc<Mutex<State>>);

impl Net {
    fn state(&self) -> std::sync::MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A controller listens; all its connections break when `life` is cancelled.
    pub fn listen(&self, life: CancellationToken) -> mpsc::Receiver<io::Result<Accepted>> {
        let (accept, accepted) = mpsc::channel(BACKLOG);
        self.state().listener = Some((accept, Connections::new(life)));
        accepted
    }

    /// Nobody listens any more.
    pub fn close(&self) {
        self.state().listener = None;
    }

    /// Cuts a node off, or lets it back.
    pub fn set_away(&self, node: NodeAddr, away: bool) {
        let mut state = self.state();
        if away {
            state.away.insert(node);
        } else {
            state.away.remove(&node);
        }
        let gone = state.away.clone();
        if let Some((_, connections)) = &state.listener {
            connections.cut_unexpected(|ip| !gone.iter().any(|node| node.ip() == ip));
        }
    }

    fn connect(&self, peer: AgentPeer) -> io::Result<DuplexStream> {
        let state = self.state();
        if state.away.contains(&peer.node) {
            return Err(io::ErrorKind::HostUnreachable.into());
        }
        let (accept, connections) = state
            .listener
            .as_ref()
            .ok_or(io::ErrorKind::ConnectionRefused)?;
        let (ours, theirs) = tokio::io::duplex(BUFFER);
        let source = peer.node.ip();
        let carried = connections.carry(theirs, peer, Some(source));
        accept
            .try_send(Ok(carried))
            .map_err(|_| io::ErrorKind::ConnectionRefused)?;
        Ok(ours)
    }
}

/// An agent's way through the network.
pub struct NetDial {
    /// Through which.
    pub net: Net,
    /// As whom.
    pub peer: AgentPeer,
}

#[async_trait]
impl Dial for NetDial {
    async fn channel(&self) -> anyhow::Result<Channel> {
        let (net, peer) = (self.net.clone(), self.peer.clone());
        let connect = service_fn(move |_: Uri| {
            let stream = net.connect(peer.clone());
            async move { stream.map(TokioIo::new) }
        });
        Ok(endpoint().connect_with_connector(connect).await?)
    }

    async fn welcomed(&self, _: Vec<SocketAddrV4>) {}

    async fn keep_identity(&self, _: Channel) {
        std::future::pending().await
    }
}
