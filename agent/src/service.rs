//! How the service does, in figures: put together by the reconciler, told by the session.
//!
//! Nothing here decides anything. What is measured beside the reconciler (memory, crash dumps) comes
//! in through [`Gauges`].

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use extend_common::record::Instance;
use extend_common::service::{AgedService, Dumps, ServiceFigures};
use tokio::sync::watch;
use tokio::time::Instant;

/// Often enough for a person who looks; a status tells at once what matters.
const EVERY: Duration = Duration::from_secs(10);

/// What others measure of the service. Clones share it.
#[derive(Debug, Clone, Default)]
pub struct Gauges(Arc<Mutex<Measured>>);

#[derive(Debug, Default)]
struct Measured {
    memory: Option<(Instance, u64)>,
    dumps: Option<Dumps>,
}

impl Gauges {
    /// The memory of a run's container, in bytes.
    pub fn set_memory(&self, of: Instance, bytes: u64) {
        self.held().memory = Some((of, bytes));
    }

    /// The crash dumps as they are now; none when they cannot be looked at.
    pub fn set_dumps(&self, dumps: Option<Dumps>) {
        self.held().dumps = dumps;
    }

    /// The crash dumps as they were seen last.
    pub fn dumps(&self) -> Option<Dumps> {
        self.held().dumps.clone()
    }

    /// The memory of this run, as it was measured last.
    pub fn memory(&self, of: &Instance) -> Option<u64> {
        let held = self.held();
        let (instance, bytes) = held.memory.as_ref()?;
        (instance == of).then_some(*bytes)
    }

    fn held(&self) -> MutexGuard<'_, Measured> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A sample and when it was put together.
#[derive(Debug, Clone)]
struct Sample {
    figures: ServiceFigures,
    at: Instant,
}

/// Where the reconciler puts its samples.
#[derive(Debug)]
pub struct Teller {
    samples: watch::Sender<Option<Arc<Sample>>>,
}

/// What a session tells. Clones see the same samples.
#[derive(Debug, Clone)]
pub struct ServiceNews {
    samples: watch::Receiver<Option<Arc<Sample>>>,
}

/// Both ends.
pub fn channel() -> (Teller, ServiceNews) {
    let (samples, read) = watch::channel(None);
    (Teller { samples }, ServiceNews { samples: read })
}

impl Teller {
    /// Whether it is time for another sample.
    pub fn is_due(&self) -> bool {
        let held = self.samples.borrow();
        held.as_ref()
            .is_none_or(|sample| sample.at.elapsed() >= EVERY)
    }

    /// Puts a sample where sessions find it.
    pub fn tell(&self, figures: ServiceFigures) {
        let at = Instant::now();
        self.samples
            .send_replace(Some(Arc::new(Sample { figures, at })));
    }
}

impl ServiceNews {
    /// The last sample, if it was not taken here before.
    pub fn take(&mut self) -> Option<AgedService> {
        if !self.samples.has_changed().unwrap_or(false) {
            return None;
        }
        let sample = self.samples.borrow_and_update().clone()?;
        Some(AgedService {
            age: sample.at.elapsed(),
            figures: sample.figures.clone(),
        })
    }

    /// The same samples for a new session, which has told none of them.
    #[must_use]
    pub fn anew(&self) -> Self {
        let mut new = self.clone();
        new.samples.mark_changed();
        new
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn a_sample_is_told_once_in_every_session_and_the_next_is_due_after_a_while() {
        let (teller, news) = channel();
        let mut first = news.anew();
        assert!(first.take().is_none() && teller.is_due());
        teller.tell(ServiceFigures::default());
        assert!(!teller.is_due());
        tokio::time::advance(EVERY).await;
        assert_eq!(first.take().unwrap().age, EVERY);
        assert!(first.take().is_none() && teller.is_due());
        assert!(news.anew().take().is_some());
    }

    #[test]
    fn memory_is_that_of_the_run_that_it_was_measured_of() {
        let run = |id: &str| Instance {
            container_id: id.to_owned(),
            started_at: "t".to_owned(),
        };
        let gauges = Gauges::default();
        gauges.clone().set_memory(run("a"), 5);
        assert_eq!(gauges.memory(&run("a")), Some(5));
        assert_eq!(gauges.memory(&run("b")), None);
    }
}
