//! What systemd is told. Without systemd nothing happens here.

use std::time::Duration;

use sd_notify::NotifyState;

use super::health;
use crate::engine::EngineHandle;

/// The controller can be reached.
pub(super) fn ready() {
    tell(&[NotifyState::Ready]);
}

/// The controller is going down.
pub(super) fn stopping() {
    tell(&[NotifyState::Stopping]);
}

/// Feeds the watchdog for as long as the controller gets on with its work; without a watchdog it
/// only waits. It does not return.
pub(super) async fn feed_watchdog(engine: EngineHandle) {
    let Some(limit) = sd_notify::watchdog_enabled().filter(|limit| *limit > Duration::ZERO) else {
        return std::future::pending().await;
    };
    feed(&engine, limit, || tell(&[NotifyState::Watchdog])).await;
}

/// Who has answered a question that was put to it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Pulse {
    /// The engine's loop has turned and released a batch.
    engine: bool,
    /// The store's thread has been to its file.
    store: bool,
}

/// Why the watchdog is not fed; none when it is. A clock has no say in it: a controller whose timers
/// run and whose work stands still is killed, and one that has nothing to do is not.
fn standstill(pulse: Pulse) -> Option<&'static str> {
    match pulse {
        Pulse {
            engine: true,
            store: true,
        } => None,
        // The engine may only be waiting for it.
        Pulse { store: false, .. } => Some("the store does not answer"),
        Pulse { engine: false, .. } => Some("the engine does not answer"),
    }
}

async fn feed(engine: &EngineHandle, limit: Duration, fed: impl Fn()) {
    // A late feed costs a controller. A quarter of the limit is slept after each, so that what is
    // asked then has three quarters of it to be answered, in one question or in several.
    let every = limit / 4;
    loop {
        let (engine, store) = tokio::join!(
            health::engine_answers(engine, every),
            health::store_answers(engine, every)
        );
        match standstill(Pulse { engine, store }) {
            None => {
                fed();
                tokio::time::sleep(every).await;
            }
            // Asked again at once: an answer that is late is an answer.
            Some(reason) => {
                tracing::error!(?every, reason, "the watchdog is not fed");
                tokio::task::yield_now().await;
            }
        }
    }
}

fn tell(states: &[NotifyState<'_>]) {
    if let Err(error) = sd_notify::notify(states) {
        tracing::warn!(%error, "cannot tell systemd");
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_is_fed_by_both_or_not_at_all() {
        let said = |engine, store| standstill(Pulse { engine, store });
        assert_eq!(said(true, true), None);
        assert_eq!(said(false, true), Some("the engine does not answer"));
        for engine in [true, false] {
            assert_eq!(said(engine, false), Some("the store does not answer"));
        }
    }
}
