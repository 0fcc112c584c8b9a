//! Dialling the controller.
//!
//! Owns the way from an address to a TLS stream, and saying in words where it ended. Used by the
//! agent for its session, for joining and for renewal. It tries once: when to try again, and which
//! address, is the caller's to decide.

use std::error::Error;
use std::io;
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use rustls::ClientConfig;
use tokio::io::AsyncBufReadExt;
use tokio::net::{TcpSocket, TcpStream};
use tokio::time::{Instant, timeout_at};
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;

use super::problem::{CertificateProblem, PeerRefusal, find_rustls};
use super::server_name;

/// Where dialling ended.
#[derive(Debug, thiserror::Error)]
pub enum DialError {
    /// The local address is not one of this machine, or no socket is to be had.
    #[error("cannot use {local} as the address to dial from")]
    Local {
        /// The address.
        local: Ipv4Addr,
        /// What the system said.
        source: io::Error,
    },
    /// Nobody listens there.
    #[error("{remote} refused the connection")]
    Refused {
        /// The address.
        remote: SocketAddr,
    },
    /// There is no way there.
    #[error("{remote} cannot be reached")]
    Unreachable {
        /// The address.
        remote: SocketAddr,
        /// What the system said.
        source: io::Error,
    },
    /// There was no answer in time.
    #[error("{remote} did not answer within {limit:?}")]
    NoAnswer {
        /// The address.
        remote: SocketAddr,
        /// The time allowed.
        limit: Duration,
    },
    /// There was a connection, but no finished handshake in time.
    #[error("{remote} did not finish the TLS handshake within {limit:?}")]
    HandshakeTimeout {
        /// The address.
        remote: SocketAddr,
        /// The time allowed.
        limit: Duration,
    },
    /// The connection was closed, before the handshake or after it: what a closed door looks like,
    /// and a certificate of another node.
    #[error("{remote} closed the connection without a word")]
    Closed {
        /// The address.
        remote: SocketAddr,
    },
    /// The server refused our certificate.
    #[error("{remote} does not accept this node")]
    Rejected {
        /// The address.
        remote: SocketAddr,
        /// What it said of the reason.
        source: PeerRefusal,
    },
    /// The server's certificate was refused.
    #[error("{}", refused_words(*remote, source))]
    Certificate {
        /// The address.
        remote: SocketAddr,
        /// What is wrong with it.
        source: CertificateProblem,
    },
    /// The handshake failed in another way.
    #[error("the TLS handshake with {remote} failed")]
    Tls {
        /// The address.
        remote: SocketAddr,
        /// What rustls said.
        source: rustls::Error,
    },
    /// The connection failed in another way.
    #[error("cannot connect to {remote}")]
    Io {
        /// The address.
        remote: SocketAddr,
        /// What the system said.
        source: io::Error,
    },
}

const CLOCKS: &str = "timedatectl    (here and on the primary: one of the clocks is wrong)";
const JOIN_AGAIN: &str = "is it this node's controller? if it was set up anew, on the primary: \
    extend node token -a THIS_NODE, and here: extend-agent join";

/// A controller that runs shows a certificate that is hours old at most, dated back by one: where
/// it is not valid, a clock is wrong.
fn refused_words(remote: SocketAddr, problem: &CertificateProblem) -> String {
    if problem.is_of_time() {
        return format!(
            "the clocks of this node and of {remote} do not agree: its certificate was refused"
        );
    }
    format!("the certificate of {remote} was refused")
}

impl DialError {
    /// Where dialling ended, if that is what is behind `error`: tonic wraps what a connector says.
    #[must_use]
    pub fn find<'a>(error: &'a (dyn Error + 'static)) -> Option<&'a Self> {
        let mut next = Some(error);
        while let Some(error) = next {
            if let Some(found) = error.downcast_ref() {
                return Some(found);
            }
            next = error.source();
        }
        None
    }

    /// What to run first.
    #[must_use]
    pub fn hint(&self) -> Option<String> {
        let fixed = match self {
            Self::Local { .. } => {
                "ip -4 address    (a token, and an identity, is for the one node it names)"
            }
            Self::Refused { .. } => {
                "on the primary: systemctl status extend-controller    (does it run, and listen on \
                 that port?)"
            }
            Self::Unreachable { remote, .. } | Self::NoAnswer { remote, .. } => {
                return Some(format!(
                    "ip route get {}    (do routing, firewall and security group let this node \
                     reach port {}?)",
                    remote.ip(),
                    remote.port()
                ));
            }
            Self::Closed { .. } => {
                "on the primary: extend node list    (does it know this node by this address, and \
                 is the token still good? a new one: extend node token -a THIS_NODE)"
            }
            Self::Rejected { source, .. } => match source {
                PeerRefusal::NotValidNow => CLOCKS,
                _ => JOIN_AGAIN,
            },
            Self::Certificate { source, .. } => match source {
                problem if problem.is_of_time() => CLOCKS,
                CertificateProblem::Pin(_) => {
                    "is it the right address? on the primary: extend node token -a THIS_NODE"
                }
                _ => JOIN_AGAIN,
            },
            Self::HandshakeTimeout { .. } | Self::Tls { .. } | Self::Io { .. } => return None,
        };
        Some(fixed.to_owned())
    }
}

/// Connects to `remote`, from the address `local` if one is given, and does the TLS handshake.
/// `limit` is for both together.
///
/// The controller is known by its name in the certificate, not by `remote`. To know that it accepts
/// our certificate too, this waits for its first byte: in TLS 1.3 the handshake is done on our side
/// before the server has seen a certificate, and the first call would fail with nothing to go by.
/// HTTP/2 servers speak first, so that nothing has to be sent for it. The byte stays in the stream.
///
/// # Errors
/// Fails with the step at which it ended.
pub async fn dial(
    local: Option<Ipv4Addr>,
    remote: SocketAddr,
    config: Arc<ClientConfig>,
    limit: Duration,
) -> Result<TlsStream<TcpStream>, DialError> {
    let deadline = Instant::now() + limit;
    let socket = socket_for(local, remote)?;
    let stream = timeout_at(deadline, socket.connect(remote))
        .await
        .map_err(|_| DialError::NoAnswer { remote, limit })?
        .map_err(|source| connect_error(remote, source))?;
    super::socket::tune(&stream).map_err(|source| DialError::Io { remote, source })?;
    timeout_at(deadline, handshake(stream, config))
        .await
        .map_err(|_| DialError::HandshakeTimeout { remote, limit })?
        .map_err(|source| handshake_error(remote, source))
}

async fn handshake(
    stream: TcpStream,
    config: Arc<ClientConfig>,
) -> io::Result<TlsStream<TcpStream>> {
    let mut stream = TlsConnector::from(config)
        .connect(server_name(), stream)
        .await?;
    if stream.fill_buf().await?.is_empty() {
        return Err(io::ErrorKind::UnexpectedEof.into());
    }
    Ok(stream)
}

fn socket_for(local: Option<Ipv4Addr>, remote: SocketAddr) -> Result<TcpSocket, DialError> {
    let socket = match remote {
        SocketAddr::V4(_) => TcpSocket::new_v4(),
        SocketAddr::V6(_) => TcpSocket::new_v6(),
    }
    .map_err(|source| DialError::Io { remote, source })?;
    if let Some(local) = local {
        socket
            .bind((local, 0).into())
            .map_err(|source| DialError::Local { local, source })?;
    }
    Ok(socket)
}

fn connect_error(remote: SocketAddr, source: io::Error) -> DialError {
    match source.kind() {
        io::ErrorKind::ConnectionRefused => DialError::Refused { remote },
        io::ErrorKind::TimedOut
        | io::ErrorKind::HostUnreachable
        | io::ErrorKind::NetworkUnreachable
        | io::ErrorKind::NetworkDown => DialError::Unreachable { remote, source },
        _ => DialError::Io { remote, source },
    }
}

fn handshake_error(remote: SocketAddr, source: io::Error) -> DialError {
    if let Some(problem) = CertificateProblem::find(&source) {
        return DialError::Certificate {
            remote,
            source: problem,
        };
    }
    if let Some(refusal) = PeerRefusal::find(&source) {
        return DialError::Rejected {
            remote,
            source: refusal,
        };
    }
    if let Some(error) = find_rustls(&source) {
        return DialError::Tls {
            remote,
            source: error.clone(),
        };
    }
    match source.kind() {
        io::ErrorKind::UnexpectedEof
        | io::ErrorKind::ConnectionReset
        | io::ErrorKind::BrokenPipe => DialError::Closed { remote },
        _ => DialError::Io { remote, source },
    }
}
