//! How the service does, in figures: put together by the reconciler, told by the session.
//!
//! Nothing here decides anything. What is measured beside the reconciler (memory, crash dumps) comes
//! in through [`Gauges`].

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use crate::latest::{self, Latest};
use extend_common::record::Instance;
use extend_common::service::{AgedService, Dumps, ServiceFigures};

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

/// Where the reconciler puts its samples.
#[derive(Debug)]
pub struct Teller(latest::Teller<ServiceFigures>);

/// What a session tells. Clones see the same samples.
#[derive(Debug, Clone)]
pub struct ServiceNews(Latest<ServiceFigures>);

/// Both ends.
pub fn channel() -> (Teller, ServiceNews) {
    let (to, from) = latest::channel();
    (Teller(to), ServiceNews(from))
}

impl Teller {
    /// Whether it is time for another sample.
    pub fn is_due(&self) -> bool {
        self.0.age().is_none_or(|age| age >= EVERY)
    }

    /// Puts a sample where sessions find it.
    pub fn tell(&self, figures: ServiceFigures) {
        self.0.tell(figures);
    }
}

impl ServiceNews {
    /// The last sample, if it was not taken here before.
    pub fn take(&mut self) -> Option<AgedService> {
        let (figures, age) = self.0.take()?;
        Some(AgedService { age, figures })
    }

    /// The same samples for a new session, which has told none of them.
    #[must_use]
    pub fn anew(&self) -> Self {
        Self(self.0.anew())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn the_next_sample_is_due_after_a_while() {
        let (teller, _news) = channel();
        assert!(teller.is_due());
        teller.tell(ServiceFigures::default());
        assert!(!teller.is_due());
        tokio::time::advance(EVERY).await;
        assert!(teller.is_due());
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
