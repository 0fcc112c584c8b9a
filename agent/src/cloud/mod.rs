//! What the cloud says of this instance: asked of the instance metadata (IMDSv2) at the start and
//! every few minutes, and kept where the session finds it.
//!
//! `daemon` starts [`keep`]; nothing waits for it. No credentials are asked for. Whatever answers is
//! hostile until it is parsed, and where nobody answers nothing is known: that is no instance, or one
//! that has its metadata turned off.

mod http;
mod imds;

use std::sync::Arc;
use std::time::Duration;

use extend_common::cloud::CloudFacts;
use tokio::sync::watch;
use tokio::time::timeout;

pub use http::Base;

/// An Elastic IP may be associated, or taken away, at any time.
const EVERY: Duration = Duration::from_secs(180);
/// While nobody has ever answered: an instance's network may come up after its agent.
const AGAIN: Duration = Duration::from_secs(20);
/// So many times; after that this is no instance, and seldom asked.
const EAGER: u32 = 3;
/// All that is asked at one time.
const LIMIT: Duration = Duration::from_secs(5);

/// What the cloud says, for whoever wants to tell it. Clones see the same.
#[derive(Debug, Clone)]
pub struct Cloud(watch::Receiver<Option<Arc<CloudFacts>>>);

impl Cloud {
    /// Where there is no cloud.
    pub fn none() -> Self {
        Self(watch::channel(None).1)
    }

    /// For simulations: what is sent is what the cloud says.
    pub fn told_by(facts: &watch::Sender<Option<Arc<CloudFacts>>>) -> Self {
        Self(facts.subscribe())
    }

    /// What it says, for a session that has told nothing of it.
    pub fn news(&self) -> CloudNews {
        CloudNews {
            cloud: self.clone(),
            told: None,
        }
    }

    /// What it said last; none where it has said nothing.
    pub fn facts(&self) -> Option<Arc<CloudFacts>> {
        self.0.borrow().clone()
    }
}

/// What a session has told of the cloud, and what is news to it.
#[derive(Debug)]
pub struct CloudNews {
    cloud: Cloud,
    told: Option<Arc<CloudFacts>>,
}

impl CloudNews {
    /// What the cloud says, if it was not taken here before.
    pub fn take(&mut self) -> Option<CloudFacts> {
        let present = self.cloud.facts();
        if present == self.told {
            return None;
        }
        self.told.clone_from(&present);
        present.as_deref().cloned()
    }
}

/// Begins to ask. The future does so for as long as it is polled.
pub fn keep(base: Base) -> (Cloud, impl Future<Output = ()>) {
    let (to, facts) = watch::channel(None);
    (Cloud(facts), ask_for_ever(base, to))
}

async fn ask_for_ever(base: Base, to: watch::Sender<Option<Arc<CloudFacts>>>) {
    let mut tries = 0;
    loop {
        match timeout(LIMIT, imds::ask(&base)).await {
            Ok(Ok(facts)) => {
                let new = to.borrow().as_deref() != Some(&facts);
                if new {
                    tracing::info!(?facts, "what the cloud says of this instance");
                    to.send_replace(Some(Arc::new(facts)));
                }
            }
            // What it said before stands: that it is silent for a while takes no address away.
            Ok(Err(why)) => tracing::debug!(why, "the cloud says nothing"),
            Err(_) => tracing::debug!(limit = ?LIMIT, "the cloud does not answer"),
        }
        tries += 1;
        let eager = to.borrow().is_none() && tries <= EAGER;
        tokio::time::sleep(if eager { AGAIN } else { EVERY }).await;
    }
}

#[cfg(test)]
mod tests;
