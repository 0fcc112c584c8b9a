//! Waiting for the node to be joined, and for being joined anew: the package starts the agent, and
//! `extend-agent join` is all that comes after.
//!
//! The state directory is looked at about once a second. That costs nothing, and needs no second
//! way for the two programs to speak.

use std::path::Path;
use std::time::Duration;

use extend_common::clock::Clock;
use tokio_util::sync::CancellationToken;

use super::{Identity, IdentityError, Mark};
use crate::failure::Failure;
use crate::watchdog::{ServiceManager, Watchdog as _};

/// A person who has just typed `join` does not notice it.
const EVERY: Duration = Duration::from_secs(1);

/// The node's identity, as soon as there is one; none when `stop` came first.
pub async fn for_identity(
    state: &Path,
    manager: ServiceManager,
    clock: Clock,
    stop: &CancellationToken,
) -> Option<Identity> {
    let mut pulse = manager.pulse();
    let mut told = String::new();
    while !stop.is_cancelled() {
        let error = match Identity::load(state) {
            Ok(identity) => return Some(identity),
            Err(error) => error,
        };
        let words = in_words(error);
        if words != told {
            tracing::warn!("{words}");
            manager.status(&words);
            told = words;
        }
        let beat = pulse.turn(clock.now(), None);
        if beat.feed {
            manager.feed();
        }
        let again = beat
            .again
            .map_or(EVERY, |again| clock.until(again).min(EVERY));
        tokio::select! {
            () = stop.cancelled() => {}
            () = tokio::time::sleep(again) => {}
        }
    }
    None
}

fn in_words(error: IdentityError) -> String {
    let waits = match error {
        IdentityError::NotJoined => "waiting to be joined",
        _ => "waiting to be joined anew",
    };
    format!("{waits}: {}", Failure::of(&error.into()))
}

/// Ends the life of an agent when a join has put another identity in the place of its own.
pub async fn for_another(state: &Path, own: Option<Mark>, life: &CancellationToken) {
    loop {
        tokio::select! {
            () = life.cancelled() => return,
            () = tokio::time::sleep(EVERY) => {}
        }
        let there = Mark::of(state);
        if there.is_some() && there != own {
            tracing::info!("the node was joined anew: going on with the new identity");
            life.cancel();
        }
    }
}
