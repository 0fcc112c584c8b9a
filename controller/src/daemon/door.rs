//! Keeps established connections to what the door allows.
//!
//! The door is asked before a handshake; this asks again for the connections that stand, whenever
//! it has changed. A node that was revoked or removed loses its connection, and with it whatever
//! stream is still open on it.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::watch;
use tokio_util::sync::CancellationToken;

use crate::api::connection::Connections;
use crate::core::view::DoorSets;

/// A session that the engine has closed says why, if its agent still listens; then it is cut. A
/// revocation is complete within two seconds.
const LAST_WORD: Duration = Duration::from_millis(800);

/// Cuts the connections of nodes that the door no longer admits, until `shutdown`.
pub(super) async fn keep(
    mut door: watch::Receiver<Arc<DoorSets>>,
    agents: Connections,
    shutdown: CancellationToken,
) {
    loop {
        tokio::select! {
            () = shutdown.cancelled() => return,
            changed = door.changed() => if changed.is_err() { return },
        }
        tokio::select! {
            () = shutdown.cancelled() => return,
            () = tokio::time::sleep(LAST_WORD) => {}
        }
        let sets = Arc::clone(&door.borrow_and_update());
        agents.cut_unexpected(|source| sets.admits_agent(source));
    }
}
