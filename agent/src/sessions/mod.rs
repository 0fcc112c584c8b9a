//! Counts a server's sessions: one task that looks now and then, and every second while somebody waits
//! for them to end or the server does not answer. What it means is `core::plan`'s.
//!
//! ```text
//!   /proc/net/udp ── table: sockets of the role's user in its range
//!                      └ two looks ── count: those that are read, divided by a session's
//!                                       └ tally: known, unknown and why, or none three times
//!   /proc/net/snmp ── datagrams that were read ── two looks ── media flows, or none for three looks
//! ```
//!
//! Unknown is never zero: a table that cannot be read to its last line, a role whose sessions nobody
//! knows how to count, and a first look alone say nothing.

mod count;
mod kernel;
mod memory;
mod table;

use std::sync::Arc;
use std::time::Duration;

use extend_common::record::{Instance, Stamp};
use extend_common::roles::SessionsDefinition;
use extend_common::status::SessionCount;
use tokio::sync::watch;
use tokio::time::{Instant, sleep_until};

pub use count::{Flow, QUIET, Tally, sessions, unknown};
pub use kernel::KernelSessions;
pub use memory::MemorySessions;
pub use table::{Bound, Socket, bound, sockets};

/// From the start of one look to the start of the next while somebody waits for what it shows.
pub const SOON: Duration = Duration::from_secs(1);
/// The same for figures that people look at.
pub const SELDOM: Duration = Duration::from_secs(15);
/// So many datagrams a second are read where media flows: one stream has 16 to 100. What else a node
/// reads (names, time, answers to the agent's own questions) is less.
const MEDIA: u64 = 10;

/// Knows of the sockets that sessions have.
pub trait SessionSource: Send + Sync + 'static {
    /// The sockets of a role as they are now. Called on a blocking thread.
    ///
    /// # Errors
    /// When nobody can tell; why, in words.
    fn look(&self, how: &SessionsDefinition) -> Result<Vec<Socket>, String>;

    /// How many datagrams the processes of this network have read from their UDP sockets so far;
    /// what waits unread is not counted.
    ///
    /// # Errors
    /// When nobody can tell; why, in words.
    fn read(&self) -> Result<u64, String>;
}

/// What is to be counted.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Counted {
    /// For which record: another one begins anew.
    pub stamp: Stamp,
    /// Of which run.
    pub instance: Instance,
    /// How.
    pub how: SessionsDefinition,
    /// From the start of one look to the start of the next.
    pub every: Duration,
}

/// What was found, of what.
pub type Found = Option<(Counted, Tally)>;

/// Counts whatever `wanted` holds until its sender is gone; nothing while it holds nothing.
pub async fn run(
    source: Arc<dyn SessionSource>,
    mut wanted: watch::Receiver<Option<Counted>>,
    found: watch::Sender<Found>,
) {
    loop {
        let of = wanted.borrow_and_update().clone();
        let counting = async {
            match of {
                Some(of) => repeat(&source, of, &found).await,
                None => std::future::pending().await,
            }
        };
        tokio::select! {
            () = counting => return,
            changed = wanted.changed() => if changed.is_err() { return },
        }
    }
}

/// Look after look, until nobody takes what is found.
async fn repeat(source: &Arc<dyn SessionSource>, of: Counted, found: &watch::Sender<Found>) {
    let mut tally = Tally::begun();
    let mut before = None;
    let mut read_before = None;
    loop {
        let started = Instant::now();
        let (source, how) = (Arc::clone(source), of.how.clone());
        let looked = tokio::task::spawn_blocking(move || (source.look(&how), source.read())).await;
        let (looked, read) = looked.unwrap_or_else(|error| {
            let why = error.to_string();
            (Err(why.clone()), Err(why))
        });
        if let Some(count) = compare(before.as_deref(), looked.as_deref(), of.how.sockets) {
            tally = tally.after(count);
        }
        let read = read.ok().map(|total| (total, started));
        if before.is_some() {
            tally = tally.and_media(flow(read_before, read));
        }
        before = looked.ok();
        read_before = read;
        if found.send(Some((of.clone(), tally.clone()))).is_err() {
            return;
        }
        sleep_until(started + of.every).await;
    }
}

/// Whether media was read between two looks.
fn flow(before: Option<(u64, Instant)>, now: Option<(u64, Instant)>) -> Flow {
    let (Some((before, then)), Some((total, now))) = (before, now) else {
        return Flow::Unknown;
    };
    let millis = now.saturating_duration_since(then).as_millis();
    let read = u128::from(total.saturating_sub(before));
    if total < before || millis == 0 {
        Flow::Unknown
    } else if read * 1000 >= u128::from(MEDIA) * millis {
        Flow::Flows
    } else {
        Flow::Still
    }
}

/// What a look shows beside the one before; none when there was none before.
fn compare(
    before: Option<&[Socket]>,
    now: Result<&[Socket], &String>,
    per_session: u32,
) -> Option<SessionCount> {
    match (before, now) {
        (_, Err(why)) => Some(unknown(why)),
        (None, Ok(_)) => None,
        (Some(before), Ok(now)) => Some(sessions(before, now, per_session)),
    }
}

#[cfg(test)]
mod tests;
