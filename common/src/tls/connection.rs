//! One connection that came in: its handshake, who is at the other end, and the bytes.
//!
//! Owns the rule that a node speaks only for itself and only from its own address. Made by the
//! acceptor, carried by tonic. What the peer may ask for is decided further in, from [`PeerInfo`].

use std::io;
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use tokio::net::TcpStream;
use tokio_rustls::TlsAcceptor;
use tokio_rustls::server::TlsStream;

use super::gate::Place;
use super::peer::{PeerError, PeerNode};
use super::problem::CertificateProblem;
use super::server::{Clients, ServerTls};
use crate::guarded::{Guard, Guarded};

/// Who is at the other end. tonic puts it among the extensions of every request.
#[derive(Clone, Debug)]
pub struct PeerInfo {
    /// The address the connection came from, IPv4 also where a listener saw it mapped.
    pub remote: SocketAddr,
    /// On the agents' face the node, proved by its certificate and equal to the address; on the
    /// enrolment face nobody.
    pub node: Option<PeerNode>,
}

/// A connection with a good handshake behind it.
pub type TlsConnection = Guarded<TlsStream<TcpStream>, TlsPeer>;

/// Whoever is at the other end of such a connection.
#[derive(Debug)]
pub struct TlsPeer {
    peer: PeerInfo,
    /// Given back when the connection ends, so that one source cannot pile up connections.
    _place: Place,
}

impl Guard for TlsPeer {
    type Peer = PeerInfo;

    fn peer(&self) -> PeerInfo {
        self.peer.clone()
    }
}

/// A node that was away renews before it comes; one that shows such a certificate may not know.
const CLOCKS: &str = ": do the clocks of that node and of the controller agree (timedatectl)?";

/// Why a connection was closed before anybody saw it.
#[derive(Debug, thiserror::Error)]
pub(super) enum TurnedAway {
    #[error("nobody is expected from this address")]
    AtDoor,
    #[error("nobody is expected from this address any more")]
    ShutMeanwhile,
    #[error("this address holds {0} connections already")]
    Crowded(usize),
    #[error("the TLS handshake took longer than {0:?}")]
    TimedOut(Duration),
    #[error("{problem}{clocks}", problem = .0, clocks = if .0.is_of_time() { CLOCKS } else { "" })]
    Certificate(CertificateProblem),
    #[error("the TLS handshake failed: {0}")]
    Handshake(io::Error),
    #[error(transparent)]
    NoNode(#[from] PeerError),
    #[error("the certificate is of node {0}, which does not live at this address")]
    OtherNode(Ipv4Addr),
}

impl TlsConnection {
    /// Whether both sides agreed on HTTP/2. A peer that named no protocol did not.
    #[must_use]
    pub fn is_http2(&self) -> bool {
        self.stream.get_ref().1.alpn_protocol() == Some(super::ALPN_H2)
    }

    /// Who is at the other end.
    #[must_use]
    pub fn peer(&self) -> &PeerInfo {
        &self.guard.peer
    }

    /// Does the handshake and finds out who it is.
    pub(super) async fn establish(
        stream: TcpStream,
        port: u16,
        place: Place,
        tls: &ServerTls,
        limit: Duration,
    ) -> Result<Self, TurnedAway> {
        super::socket::tune(&stream).map_err(TurnedAway::Handshake)?;
        let handshake = TlsAcceptor::from(Arc::clone(&tls.config)).accept(stream);
        let stream = match tokio::time::timeout(limit, handshake).await {
            Ok(Ok(stream)) => stream,
            Ok(Err(error)) => {
                return Err(match CertificateProblem::find(&error) {
                    Some(problem) => TurnedAway::Certificate(problem),
                    None => TurnedAway::Handshake(error),
                });
            }
            Err(_) => return Err(TurnedAway::TimedOut(limit)),
        };
        let node = match tls.clients {
            Clients::Strangers => None,
            Clients::Nodes => Some(node_of(&stream, place.source)?),
        };
        let peer = PeerInfo {
            remote: (place.source, port).into(),
            node,
        };
        let guard = TlsPeer {
            peer,
            _place: place,
        };
        Ok(Self::new(stream, guard))
    }
}

/// The node whose certificate was shown, provided that it lives where the connection came from.
fn node_of(stream: &TlsStream<TcpStream>, source: Ipv4Addr) -> Result<PeerNode, TurnedAway> {
    let leaf = stream
        .get_ref()
        .1
        .peer_certificates()
        .and_then(<[_]>::first);
    let peer = PeerNode::from_certificate(leaf.ok_or(PeerError::NoCertificate)?)?;
    if peer.node != source {
        return Err(TurnedAway::OtherNode(peer.node));
    }
    Ok(peer)
}
