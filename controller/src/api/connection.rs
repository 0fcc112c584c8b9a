//! A connection as the handlers meet it: who is at the other end, and how it is cut.
//!
//! Owns the identities that tonic hands to every request, and the list of the connections that
//! stand. The daemon carries each accepted stream through [`Connections::carry`]; a simulation does
//! the same with its own streams. Identity is set here, from what was verified, and nowhere else.

use std::collections::HashMap;
use std::fmt;
use std::io;
use std::net::Ipv4Addr;
use std::pin::Pin;
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll};

use extend_common::guarded::{Guard, Guarded};
use extend_common::ids::NodeAddr;
use extend_common::tls::PeerInfo;
use jiff::Timestamp;
use tokio_util::sync::{CancellationToken, WaitForCancellationFutureOwned};

use crate::core::request::KeyHash;

/// A node, as its verified certificate names it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AgentPeer {
    /// Which node.
    pub node: NodeAddr,
    /// Its public key.
    pub spki_hash: KeyHash,
    /// When its certificate ends.
    pub leaf_not_after: Timestamp,
}

impl AgentPeer {
    /// The node behind a connection of the agents' face; none if nobody was identified.
    #[must_use]
    pub fn of(peer: &PeerInfo) -> Option<Self> {
        let node = peer.node.as_ref()?;
        Some(Self {
            node: NodeAddr::try_from(node.node).ok()?,
            spki_hash: KeyHash::of(&node.spki),
            leaf_not_after: node.not_after,
        })
    }
}

/// Somebody of whom only the address is known.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct StrangerPeer {
    /// Where the connection came from.
    pub source: Ipv4Addr,
}

/// Whoever opened the operators' socket, as the kernel names them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct OperatorPeer {
    /// The user; none if the kernel would not say.
    pub uid: Option<u32>,
}

impl OperatorPeer {
    /// Whether it is the superuser.
    #[must_use]
    pub fn is_root(self) -> bool {
        self.uid == Some(0)
    }
}

/// The connections of one face that stand.
#[derive(Debug, Clone, Default)]
pub struct Connections {
    table: Arc<Mutex<Table>>,
    all: CancellationToken,
}

#[derive(Debug, Default)]
struct Table {
    next: u64,
    standing: HashMap<u64, (Option<Ipv4Addr>, CancellationToken)>,
}

impl Connections {
    /// None yet. All of them are cut when `all` is cancelled.
    #[must_use]
    pub fn new(all: CancellationToken) -> Self {
        Self {
            table: Arc::default(),
            all,
        }
    }

    /// Takes a connection in: its requests will bear `peer`. `source` is its address, if it has one.
    pub fn carry<S, P>(&self, stream: S, peer: P, source: Option<Ipv4Addr>) -> Carried<S, P> {
        let cut = self.all.child_token();
        let number = self.with(|table| {
            table.next += 1;
            table.standing.insert(table.next, (source, cut.clone()));
            table.next
        });
        let entry = Entry {
            number,
            connections: self.clone(),
        };
        let guard = Cuttable {
            peer,
            cut: Box::pin(cut.cancelled_owned()),
            _entry: entry,
        };
        Carried::new(stream, guard)
    }

    /// Cuts the connections from addresses that are no longer `expected`.
    pub fn cut_unexpected(&self, expected: impl Fn(Ipv4Addr) -> bool) {
        let unexpected = |source: &Option<Ipv4Addr>| source.is_some_and(|ip| !expected(ip));
        self.with(|table| {
            let standing = table.standing.values();
            standing
                .filter(|(source, _)| unexpected(source))
                .for_each(|(_, cut)| cut.cancel());
        });
    }

    /// How many there are.
    #[must_use]
    pub fn count(&self) -> usize {
        self.with(|table| table.standing.len())
    }

    fn with<T>(&self, f: impl FnOnce(&mut Table) -> T) -> T {
        f(&mut self.table.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

struct Entry {
    number: u64,
    connections: Connections,
}

impl Drop for Entry {
    fn drop(&mut self) {
        self.connections
            .with(|table| table.standing.remove(&self.number));
    }
}

/// A stream with an identity, that can be cut from outside.
pub type Carried<S, P> = Guarded<S, Cuttable<P>>;

/// The identity, and the way to cut the connection.
pub struct Cuttable<P> {
    peer: P,
    cut: Pin<Box<WaitForCancellationFutureOwned>>,
    _entry: Entry,
}

impl<P: fmt::Debug> fmt::Debug for Cuttable<P> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Cuttable")
            .field("peer", &self.peer)
            .finish_non_exhaustive()
    }
}

impl<P: Clone + Send + Sync + Unpin + 'static> Guard for Cuttable<P> {
    type Peer = P;

    fn peer(&self) -> P {
        self.peer.clone()
    }

    fn check(&mut self, cx: &mut Context<'_>) -> io::Result<()> {
        match self.cut.as_mut().poll(cx) {
            Poll::Ready(()) => Err(io::ErrorKind::ConnectionAborted.into()),
            Poll::Pending => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests {
    use tokio::io::{AsyncReadExt, AsyncWriteExt, duplex};

    use super::*;

    const NODE: Ipv4Addr = Ipv4Addr::new(10, 0, 0, 7);
    const OTHER: Ipv4Addr = Ipv4Addr::new(10, 0, 0, 8);

    #[tokio::test]
    async fn connections_from_an_address_no_longer_expected_are_cut_and_the_others_stay() {
        let connections = Connections::default();
        let (near, mut far) = duplex(64);
        let mut good = connections.carry(near, (), Some(NODE));
        let (near, _held) = duplex(64);
        let mut bad = connections.carry(near, (), Some(OTHER));
        let reading = tokio::spawn(async move { bad.read_u8().await });
        tokio::task::yield_now().await;

        connections.cut_unexpected(|ip| ip == NODE);
        let error = reading.await.unwrap().unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::ConnectionAborted);
        far.write_u8(7).await.unwrap();
        assert_eq!(good.read_u8().await.unwrap(), 7);

        assert_eq!(connections.count(), 1, "who is gone is forgotten");
        drop(good);
        assert_eq!(connections.count(), 0);
    }

    #[tokio::test]
    async fn all_are_cut_at_once() {
        let all = CancellationToken::new();
        let connections = Connections::new(all.clone());
        let (near, _held) = duplex(64);
        let mut socket = connections.carry(near, (), None);
        connections.cut_unexpected(|_| false);
        let reading = tokio::spawn(async move { socket.read_u8().await });
        tokio::task::yield_now().await;
        assert!(
            !reading.is_finished(),
            "a connection without an address is not judged by it"
        );
        all.cancel();
        assert!(reading.await.unwrap().is_err());
    }
}
