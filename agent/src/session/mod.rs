//! The agent's side of a session: dials, says hello, tells what changed, takes assignments, and
//! comes back with patience when the stream ends.
//!
//! Decides nothing about the server: it reads the reconciler's view and gives it commands. What it
//! dials through is a [`Dial`], so that a simulated network can stand in for TCP and TLS.

pub mod controllers;
pub mod dial;
pub mod questions;
mod talk;

use std::sync::Arc;
use std::time::Duration;

use extend_common::backoff::{Backoff, jitter};
use extend_common::ids::{NodeAddr, RoleName};
use extend_common::roles::Digest;
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;

pub use dial::Dial;

use crate::host::Host;
use crate::host::figures::Figures;
use crate::journal::Journal;
use crate::logs::Sources;
use crate::preflight::Examiner;
use crate::reconciler::Handle;
use crate::watchdog::Link;

/// Between sessions. The most keeps a fleet's return after an outage of the controller short; the
/// jitter keeps it from coming in step.
const AGAIN: Backoff = Backoff {
    first: Duration::from_millis(250),
    most: Duration::from_secs(5),
};

/// What the agent says of itself.
#[derive(Debug, Clone)]
pub struct About {
    /// Its node.
    pub node: NodeAddr,
    /// Its own version.
    pub version: String,
    /// The role definitions it renders from.
    pub definitions: Vec<(RoleName, Digest)>,
    /// How its machine does.
    pub figures: Figures,
}

/// What a session tells from, and whom it tells what it hears.
#[derive(Clone)]
pub struct Tells {
    /// The reconciler.
    pub handle: Handle,
    /// The events that wait to be told.
    pub journal: Journal,
    /// What is read for operators.
    pub logs: Sources,
    /// The host whose firewalld is asked about.
    pub host: Arc<dyn Host>,
    /// Looks whether the node is as the guide wants it.
    pub examiner: Examiner,
    /// Whether there is a session.
    pub link: watch::Sender<Link>,
}

/// Holds a session for as long as `stop` allows.
pub async fn run(tells: Tells, dial: Arc<dyn Dial>, about: About, stop: CancellationToken) {
    let mut attempt = 0;
    while !stop.is_cancelled() {
        let mut welcomed = false;
        let outcome = tokio::select! {
            () = stop.cancelled() => return,
            outcome = once(&tells, dial.as_ref(), &about, &mut welcomed) => outcome,
        };
        attempt = if welcomed { 0 } else { attempt };
        let wait = AGAIN.wait(attempt, jitter());
        attempt = attempt.saturating_add(1);
        let why = match outcome {
            Ok(()) => {
                tracing::info!(?wait, "session ended");
                "the controller has ended it".to_owned()
            }
            Err(error) => {
                let error = format!("{error:#}");
                tracing::warn!(error, ?wait, "no session");
                error
            }
        };
        Link::Away(why).tell(&tells.link);
        tokio::select! {
            () = stop.cancelled() => return,
            () = tokio::time::sleep(wait) => {}
        }
    }
}

async fn once(
    tells: &Tells,
    dial: &dyn Dial,
    about: &About,
    welcomed: &mut bool,
) -> anyhow::Result<()> {
    let channel = dial.channel().await?;
    tokio::select! {
        outcome = talk::talk(tells, dial, channel.clone(), about, welcomed) => outcome,
        // Never ends: it keeps the certificate good for as long as there is a connection.
        () = dial.keep_identity(channel.clone()) => Ok(()),
    }
}
