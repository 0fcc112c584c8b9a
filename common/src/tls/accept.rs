//! Accepting TLS connections for tonic, in place of its own acceptor, which can neither exchange its
//! certificate nor bound its handshakes.
//!
//! ```text
//! accept ── door ── place ── handshake (own task) ── identity ── queue ── tonic
//!            └─────────┴──────────┴─────────────────────┴──▶ closed, counted, logged
//! ```
//!
//! Owns the accepting task and the handshakes in flight. The controller starts one for each face.
//! Invariants: a source the door does not know gets no byte of TLS, and one that it no longer knows
//! gets no further one; a slow handshake holds up nobody else; whoever sends what, there are at most so many handshakes at once, each for at most so long.

use std::io;
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{OwnedSemaphorePermit, Semaphore, mpsc};
use tokio::task::JoinSet;
use tokio_stream::Stream;
use tokio_util::sync::CancellationToken;
use tokio_util::task::AbortOnDropHandle;

use super::connection::{TlsConnection, TurnedAway};
use super::door::Door;
use super::gate::{Gate, Place};
use super::server::ServerTls;
pub use super::tally::{AcceptCounts, AcceptTally};

/// What an acceptor allows.
#[derive(Clone, Copy, Debug)]
pub struct AcceptLimits {
    /// Handshakes at once. Further connections wait in the kernel's queue, so that a fleet coming
    /// back together is served in turn and not sent away. Also how many finished ones may wait.
    pub handshakes: usize,
    /// Connections of one address, in handshake or established: one node gone wild must not take
    /// the places of the others. A good one holds one, and some dead ones after a lost network.
    pub per_source: usize,
    /// How long a handshake may take. An honest one takes two round trips.
    pub handshake_timeout: Duration,
}

impl Default for AcceptLimits {
    fn default() -> Self {
        Self {
            handshakes: 256,
            per_source: 32,
            handshake_timeout: Duration::from_secs(5),
        }
    }
}

/// The connections of one face, for `serve_with_incoming`. It ends when the acceptor is shut down;
/// dropping it closes the listener and every handshake in flight.
#[derive(Debug)]
pub struct TlsIncoming {
    ready: mpsc::Receiver<TlsConnection>,
    tally: Arc<AcceptTally>,
    _accepting: AbortOnDropHandle<()>,
}

impl TlsIncoming {
    /// What became of the connections so far, for the metrics.
    #[must_use]
    pub fn tally(&self) -> Arc<AcceptTally> {
        Arc::clone(&self.tally)
    }
}

impl Stream for TlsIncoming {
    type Item = io::Result<TlsConnection>;

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        self.ready.poll_recv(cx).map(|next| next.map(Ok))
    }
}

/// Starts accepting on `listener` until `shutdown`.
///
/// # Panics
/// Panics outside a tokio runtime.
#[must_use]
pub fn serve_tls(
    listener: TcpListener,
    tls: ServerTls,
    door: Door,
    limits: AcceptLimits,
    shutdown: CancellationToken,
) -> TlsIncoming {
    let (sender, ready) = mpsc::channel(limits.handshakes.max(1));
    let tally = Arc::new(AcceptTally::default());
    let acceptor = Acceptor {
        gate: Gate::new(door, limits.per_source),
        tls,
        timeout: limits.handshake_timeout,
        tally: Arc::clone(&tally),
        ready: sender,
    };
    let permits = Arc::new(Semaphore::new(limits.handshakes.max(1)));
    let accepting = tokio::spawn(async move {
        tokio::select! {
            () = shutdown.cancelled() => {}
            // Nobody takes the connections any more.
            () = acceptor.ready.closed() => {}
            () = acceptor.run(&listener, &permits) => {}
        }
    });
    TlsIncoming {
        ready,
        tally,
        _accepting: AbortOnDropHandle::new(accepting),
    }
}

/// What the accepting task and the handshakes share.
#[derive(Clone)]
struct Acceptor {
    gate: Gate,
    tls: ServerTls,
    timeout: Duration,
    tally: Arc<AcceptTally>,
    ready: mpsc::Sender<TlsConnection>,
}

impl Acceptor {
    /// Accepts for ever. The handshakes live in a set of this function, so that they end with it.
    async fn run(&self, listener: &TcpListener, permits: &Arc<Semaphore>) {
        let mut handshakes = JoinSet::new();
        let mut pause = Duration::ZERO;
        loop {
            let accepted = tokio::select! {
                Some(ended) = handshakes.join_next() => {
                    if let Err(error) = ended {
                        tracing::error!(%error, "a TLS handshake did not end by itself");
                    }
                    continue;
                }
                accepted = accept(listener, permits, pause) => accepted,
            };
            match accepted {
                Ok((stream, remote, permit)) => {
                    pause = Duration::ZERO;
                    match self.gate.enter(remote.ip()) {
                        Ok(place) => {
                            let acceptor = self.clone();
                            handshakes.spawn(async move {
                                acceptor.establish(stream, remote, place).await;
                                drop(permit);
                            });
                        }
                        Err(reason) => self.tally.turned_away(remote, &reason),
                    }
                }
                Err(error) => {
                    pause = pause_after(&error, pause);
                    if pause.is_zero() {
                        tracing::debug!(%error, "a connection was lost before it was accepted");
                    } else {
                        tracing::warn!(%error, ?pause, "cannot accept connections");
                    }
                }
            }
        }
    }

    async fn establish(&self, stream: TcpStream, remote: SocketAddr, place: Place) {
        let source = place.source;
        let handshake =
            TlsConnection::establish(stream, remote.port(), place, &self.tls, self.timeout);
        let connection = tokio::select! {
            // First: who is no longer expected must not slip through at the last moment.
            biased;
            () = self.gate.shut_to(source) => Err(TurnedAway::ShutMeanwhile),
            connection = handshake => connection,
        };
        match connection {
            Ok(connection) => {
                self.tally.established();
                // An error means that nobody takes connections any more: this one is closed too.
                let _ = self.ready.send(connection).await;
            }
            Err(reason) => self.tally.turned_away(remote, &reason),
        }
    }
}

/// The next connection, with the leave to begin its handshake. May be dropped at any point.
async fn accept(
    listener: &TcpListener,
    permits: &Arc<Semaphore>,
    pause: Duration,
) -> io::Result<(TcpStream, SocketAddr, OwnedSemaphorePermit)> {
    if !pause.is_zero() {
        tokio::time::sleep(pause).await;
    }
    let permit = Arc::clone(permits)
        .acquire_owned()
        .await
        .map_err(io::Error::other)?;
    let (stream, remote) = listener.accept().await?;
    Ok((stream, remote, permit))
}

/// How long to wait after accepting failed. What is wrong with one connection does not matter to the
/// next; a want of descriptors or memory stays for a while, and trying again at once would spin.
fn pause_after(error: &io::Error, previous: Duration) -> Duration {
    const SHORTEST: Duration = Duration::from_millis(5);
    const LONGEST: Duration = Duration::from_secs(1);
    match error.kind() {
        io::ErrorKind::ConnectionAborted
        | io::ErrorKind::ConnectionReset
        | io::ErrorKind::ConnectionRefused
        | io::ErrorKind::Interrupted => Duration::ZERO,
        _ => (previous * 2).clamp(SHORTEST, LONGEST),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_want_of_descriptors_is_waited_out_and_a_lost_connection_is_not() {
        let no_descriptors = io::Error::from_raw_os_error(nix::libc::EMFILE);
        let mut pause = Duration::ZERO;
        let pauses: Vec<_> = std::iter::repeat_with(|| {
            pause = pause_after(&no_descriptors, pause);
            pause.as_millis()
        })
        .take(10)
        .collect();
        assert_eq!(pauses, [5, 10, 20, 40, 80, 160, 320, 640, 1000, 1000]);

        let lost = io::Error::from_raw_os_error(nix::libc::ECONNABORTED);
        assert_eq!(pause_after(&lost, Duration::from_secs(1)), Duration::ZERO);
    }
}
