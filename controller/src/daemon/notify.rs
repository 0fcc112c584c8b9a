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

/// Feeds the watchdog for as long as the engine answers; without a watchdog it only waits. It does
/// not return.
pub(super) async fn feed_watchdog(engine: EngineHandle) {
    let Some(limit) = sd_notify::watchdog_enabled().filter(|limit| *limit > Duration::ZERO) else {
        return std::future::pending().await;
    };
    // A late feed costs a controller: three chances within the limit.
    let every = limit / 3;
    loop {
        if health::engine_answers(&engine, every).await {
            tell(&[NotifyState::Watchdog]);
        } else {
            tracing::error!(
                ?every,
                "the engine does not answer; the watchdog is not fed"
            );
        }
        tokio::time::sleep(every).await;
    }
}

fn tell(states: &[NotifyState<'_>]) {
    if let Err(error) = sd_notify::notify(states) {
        tracing::warn!(%error, "cannot tell systemd");
    }
}
