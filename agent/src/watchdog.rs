//! What the service manager is told: that the agent is ready, how it does, and that its loop
//! turns. Without systemd nothing happens here.
//!
//! Nothing here has a timer: whoever owns a loop tells of its turns.

use std::time::Duration;

use extend_common::status::Health;
use sd_notify::NotifyState;
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;

use crate::core::pulse::Pulse;
use crate::reconciler::AgentView;

/// Whoever ends the agent when its loop no longer turns.
pub trait Watchdog: Send + Sync + 'static {
    /// After how long without being fed; none when nobody minds.
    fn limit(&self) -> Option<Duration>;

    /// The loop has turned.
    fn feed(&self);

    /// How the agent does, for people.
    fn status(&self, words: &str);
}

/// Nobody minds.
#[derive(Debug, Clone, Copy, Default)]
pub struct NoWatchdog;

impl Watchdog for NoWatchdog {
    fn limit(&self) -> Option<Duration> {
        None
    }

    fn feed(&self) {}

    fn status(&self, _: &str) {}
}

/// systemd.
#[derive(Debug, Clone, Copy, Default)]
pub struct ServiceManager;

impl Watchdog for ServiceManager {
    fn limit(&self) -> Option<Duration> {
        sd_notify::watchdog_enabled()
    }

    fn feed(&self) {
        tell(&[NotifyState::Watchdog]);
    }

    fn status(&self, words: &str) {
        tell(&[NotifyState::Status(words)]);
    }
}

impl ServiceManager {
    /// The agent does what it is there for, or waits for what it needs for that.
    pub fn ready(self) {
        tell(&[NotifyState::Ready]);
    }

    /// The agent ends.
    pub fn stopping(self) {
        tell(&[NotifyState::Stopping]);
    }

    /// The pulse of a loop that this watchdog is fed by.
    pub fn pulse(self) -> Pulse {
        Pulse::of(self.limit())
    }
}

fn tell(state: &[NotifyState<'_>]) {
    if let Err(error) = sd_notify::notify(state) {
        tracing::debug!(%error, "the service manager could not be told");
    }
}

/// Whether there is a session.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub enum Link {
    /// Not tried yet.
    #[default]
    Dialling,
    /// A controller has welcomed the agent.
    Welcomed,
    /// There is none, and why.
    Away(String),
}

impl Link {
    /// Tells whoever wants to know, if it is news.
    pub fn tell(self, to: &watch::Sender<Self>) {
        to.send_if_modified(|held| {
            let changed = *held != self;
            *held = self;
            changed
        });
    }
}

/// Tells how the agent does whenever that changes, until `stop`.
pub async fn tell_status(
    watchdog: &dyn Watchdog,
    mut view: watch::Receiver<AgentView>,
    mut link: watch::Receiver<Link>,
    stop: &CancellationToken,
) {
    let mut told = String::new();
    loop {
        let words = status_line(&view.borrow_and_update(), &link.borrow_and_update());
        if words != told {
            watchdog.status(&words);
            told = words;
        }
        tokio::select! {
            () = stop.cancelled() => return,
            Ok(()) = view.changed() => {}
            Ok(()) = link.changed() => {}
            // Both have ended with what they told of.
            else => return,
        }
    }
}

/// How the agent does, on one line.
pub fn status_line(view: &AgentView, link: &Link) -> String {
    let server = view.status.as_ref().map(|status| {
        let desired = view.record.as_ref().map(|record| &record.desired);
        let name = desired.map_or("its server", |desired| desired.name.as_str());
        let health = status.health;
        if status.reason.is_empty() || health == Health::Healthy {
            format!("{name} is {health}")
        } else {
            format!("{name} is {health}: {}", status.reason)
        }
    });
    let mut parts = vec![server.unwrap_or_else(|| "no server".to_owned())];
    parts.push(match link {
        Link::Dialling => "dialling the controller".to_owned(),
        Link::Welcomed => "connected".to_owned(),
        Link::Away(why) => format!("no session: {why}"),
    });
    for trouble in [&view.docker_trouble, &view.ledger_trouble] {
        // What is wrong with the server has said it already.
        if !trouble.is_empty() && !parts.iter().any(|part| part.contains(trouble.as_str())) {
            parts.push(trouble.clone());
        }
    }
    parts.join("; ").replace('\n', " ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_status_is_one_line_that_says_what_is_wrong() {
        let mut view = AgentView::default();
        assert_eq!(
            status_line(&view, &Link::Dialling),
            "no server; dialling the controller"
        );
        view.docker_trouble = "docker unresponsive: no answer".to_owned();
        let away = Link::Away("the controller\nis gone".to_owned());
        assert_eq!(
            status_line(&view, &away),
            "no server; no session: the controller is gone; docker unresponsive: no answer"
        );
        assert_eq!(
            status_line(&AgentView::default(), &Link::Welcomed),
            "no server; connected"
        );
    }
}
