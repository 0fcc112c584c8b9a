//! Keeps established connections to what the door allows.
//!
//! The door is asked before a handshake, and by the acceptor until its end; this asks again for the
//! connections that stand, whenever the list has changed. A node that was revoked or removed loses
//! its connection, and with it whatever stream is still open on it; a stranger whose token was
//! spent, replaced or has expired loses its own.

use std::io;
use std::net::Ipv4Addr;
use std::sync::Arc;
use std::time::Duration;

use extend_common::tls::Door;
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;

use crate::api::connection::{Carried, Connections};
use crate::core::view::DoorSets;

/// A session that the engine has closed says why, if its agent still listens, and whoever has just
/// spent a token gets its certificate; then it is cut. Whatever changes, it is in force within a
/// second.
const LAST_WORD: Duration = Duration::from_millis(500);

/// The connections of one face that stand, and the door they came through.
#[derive(Clone, Debug)]
pub(super) struct Standing {
    door: Door,
    connections: Connections,
}

impl Standing {
    /// None yet. All of them are cut when `all` is cancelled.
    pub(super) fn behind(door: Door, all: CancellationToken) -> Self {
        Self {
            door,
            connections: Connections::new(all),
        }
    }

    /// Takes a connection in, unless the door has been shut to it since its handshake.
    pub(super) fn carry<S, P>(
        &self,
        stream: S,
        peer: P,
        source: Ipv4Addr,
    ) -> io::Result<Carried<S, P>> {
        let carried = self.connections.carry(stream, peer, Some(source));
        // Asked when it stands already: a change from here on finds it among the others.
        if !self.door.admits(source) {
            return Err(io::ErrorKind::ConnectionAborted.into());
        }
        Ok(carried)
    }

    /// Cuts those that the door no longer admits, until `shutdown`.
    pub(super) async fn keep(
        self,
        mut list: watch::Receiver<Arc<DoorSets>>,
        shutdown: CancellationToken,
    ) {
        loop {
            tokio::select! {
                () = shutdown.cancelled() => return,
                changed = list.changed() => if changed.is_err() { return },
            }
            tokio::select! {
                () = shutdown.cancelled() => return,
                () = tokio::time::sleep(LAST_WORD) => {}
            }
            // What changes from here on has its own turn.
            list.borrow_and_update();
            self.connections
                .cut_unexpected(|source| self.door.admits(source));
        }
    }
}
