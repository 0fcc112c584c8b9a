//! `/metrics`: the controller in numbers, for Prometheus.
//!
//! ```text
//! scrape ──► text, younger than a second? ──► that one
//!                └─ no ──► engine: figures (one pass) ──► page ──► text
//!                               └─ silent ──► nothing: the scrape fails, and Prometheus shows it
//! ```
//!
//! Owns what is asked and how long an answer is good. What there is and what it is called stands in
//! [`table`]; docs/metrics.md tells the same, and a test holds both together.

mod encode;
mod fleet;
mod own;
mod page;
mod process;
pub mod table;

use std::fmt;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use futures_util::future::BoxFuture;
use jiff::Timestamp;
use tokio::sync::Mutex;
use tokio::time::{Instant, timeout};

use extend_common::clock::Clock;
use extend_common::tls::LiveCertificate;

use crate::ca::LeafIssuer;
use crate::daemon::Tallies;
use crate::engine::EngineHandle;
use page::Page;

pub use encode::CONTENT_TYPE;

/// Who asks within so long of another gets the same answer: scrapers cannot load the engine.
const GOOD_FOR: Duration = Duration::from_secs(1);

/// Where the numbers come from.
#[derive(Debug)]
pub struct Sources {
    /// The fleet, and what was counted.
    pub engine: EngineHandle,
    /// When the authority ends.
    pub issuer: LeafIssuer,
    /// The controller's own certificate.
    pub live: Arc<LiveCertificate>,
    /// What became of connections.
    pub tallies: Tallies,
    /// The store's file.
    pub store: PathBuf,
    /// The time.
    pub clock: Clock,
}

/// Makes the text anew; none when the engine did not answer within the time.
type Make = Box<dyn Fn(Duration) -> BoxFuture<'static, Option<Arc<str>>> + Send + Sync>;

/// The metrics, made at most once a second.
pub struct Metrics {
    make: Make,
    last: Mutex<Option<(Instant, Option<Arc<str>>)>>,
}

impl fmt::Debug for Metrics {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Metrics").finish_non_exhaustive()
    }
}

impl Metrics {
    /// Of a controller that starts now.
    pub fn new(sources: Sources) -> Self {
        let (started, sources) = (sources.clock.now(), Arc::new(sources));
        Self::made_by(move |limit| Box::pin(make(Arc::clone(&sources), started, limit)))
    }

    /// Made by whatever it is.
    pub(crate) fn made_by(
        make: impl Fn(Duration) -> BoxFuture<'static, Option<Arc<str>>> + Send + Sync + 'static,
    ) -> Self {
        Self {
            make: Box::new(make),
            last: Mutex::default(),
        }
    }

    /// The text, at most a second old; none when the engine did not answer within `limit`.
    pub async fn text(&self, limit: Duration) -> Option<Arc<str>> {
        // Whoever comes meanwhile waits for the same answer.
        let mut last = self.last.lock().await;
        if let Some((at, text)) = &*last
            && at.elapsed() < GOOD_FOR
        {
            return text.clone();
        }
        let text = (self.make)(limit).await;
        *last = Some((Instant::now(), text.clone()));
        text
    }
}

async fn make(sources: Arc<Sources>, started: Timestamp, limit: Duration) -> Option<Arc<str>> {
    let asked = timeout(limit, sources.engine.figures()).await;
    let figures = asked.ok()?.ok()?;
    // Some megabytes at the most, and some files: not on the runtime.
    let made = tokio::task::spawn_blocking(move || {
        let mut page = Page::default();
        fleet::show(&mut page, &figures);
        own::show(&mut page, &sources, &figures);
        process::show(&mut page, started);
        encode::text(page)
    });
    made.await.ok()?.ok().map(Arc::from)
}

#[cfg(test)]
mod tests;
