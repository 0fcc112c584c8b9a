//! What became of the connections that came in: counted, and said in the log without flooding it.
//!
//! Owns the counters of one face and the silence between two warnings of a kind. Written by the
//! acceptor, read for the metrics. A stranger decides how often this is called, so nothing here may
//! grow or block.

use std::net::SocketAddr;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use tokio::time::Instant;

use super::connection::TurnedAway;

/// At most one warning of a kind in this time; the others are counted and told with the next.
const SILENCE: Duration = Duration::from_secs(10);

/// What became of the connections of one face since its start.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct AcceptCounts {
    /// Handed on after a good handshake.
    pub established: u64,
    /// Closed before or in the handshake: nobody is expected from there.
    pub refused_at_door: u64,
    /// Closed before the handshake: too many from this address already.
    pub crowded: u64,
    /// Closed because the handshake took too long.
    pub timed_out: u64,
    /// Closed because the handshake failed, certificates included.
    pub failed: u64,
    /// Closed after the handshake: the certificate is no node's, or not of the node that lives there.
    pub wrong_identity: u64,
}

/// The counters of one face.
#[derive(Debug, Default)]
pub struct AcceptTally {
    established: AtomicU64,
    refused_at_door: Kind,
    crowded: Kind,
    timed_out: Kind,
    failed: Kind,
    wrong_identity: Kind,
}

impl AcceptTally {
    /// The counts at this moment.
    #[must_use]
    pub fn counts(&self) -> AcceptCounts {
        AcceptCounts {
            established: self.established.load(Ordering::Relaxed),
            refused_at_door: self.refused_at_door.count(),
            crowded: self.crowded.count(),
            timed_out: self.timed_out.count(),
            failed: self.failed.count(),
            wrong_identity: self.wrong_identity.count(),
        }
    }

    pub(super) fn established(&self) {
        self.established.fetch_add(1, Ordering::Relaxed);
    }

    pub(super) fn turned_away(&self, remote: SocketAddr, reason: &TurnedAway) {
        let kind = match reason {
            TurnedAway::AtDoor | TurnedAway::ShutMeanwhile => &self.refused_at_door,
            TurnedAway::Crowded(_) => &self.crowded,
            TurnedAway::TimedOut(_) => &self.timed_out,
            TurnedAway::Certificate(_) | TurnedAway::Handshake(_) => &self.failed,
            TurnedAway::NoNode(_) | TurnedAway::OtherNode(_) => &self.wrong_identity,
        };
        match kind.record(Instant::now()) {
            Some(unsaid) => tracing::warn!(%remote, %reason, unsaid, "connection closed"),
            None => tracing::debug!(%remote, %reason, "connection closed"),
        }
    }
}

/// One counter, and when it was last spoken of.
#[derive(Debug, Default)]
struct Kind {
    count: AtomicU64,
    said: Mutex<Option<Said>>,
}

#[derive(Debug, Clone, Copy)]
struct Said {
    at: Instant,
    count: u64,
}

impl Kind {
    fn count(&self) -> u64 {
        self.count.load(Ordering::Relaxed)
    }

    /// Counts one more. `Some(n)` if it is time for a warning, with n others unsaid since the last.
    fn record(&self, now: Instant) -> Option<u64> {
        let count = self.count.fetch_add(1, Ordering::Relaxed) + 1;
        let mut said = self.said.lock().unwrap_or_else(PoisonError::into_inner);
        if said.is_some_and(|said| now.duration_since(said.at) < SILENCE) {
            return None;
        }
        let before = said.map_or(0, |said| said.count);
        *said = Some(Said { at: now, count });
        Some(count.saturating_sub(before + 1))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_of_a_flood_is_said_and_the_rest_are_counted() {
        let kind = Kind::default();
        let start = Instant::now();
        assert_eq!(kind.record(start), Some(0));
        for _ in 0..999 {
            assert_eq!(kind.record(start + SILENCE / 2), None);
        }
        assert_eq!(kind.record(start + SILENCE), Some(999));
        assert_eq!(kind.record(start + SILENCE + SILENCE), Some(0));
        assert_eq!(kind.count(), 1002);
    }
}
