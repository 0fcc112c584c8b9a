//! How much memory the service's container has, and whether that grows beyond what the same run
//! needed before. Each figure goes to the [`Gauges`] as well.

mod baseline;

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use extend_common::duration;
use extend_common::record::Instance;
use tokio::time::timeout;

use crate::docker::Docker;
use crate::service::Gauges;
use baseline::Baseline;

/// Measures one service.
pub(super) struct MemoryProber {
    docker: Arc<dyn Docker>,
    gauges: Gauges,
    /// Of the present run: another one begins anew.
    baseline: Mutex<Option<(Instance, Baseline)>>,
}

impl MemoryProber {
    pub(super) fn new(docker: Arc<dyn Docker>, gauges: Gauges) -> Self {
        Self {
            docker,
            gauges,
            baseline: Mutex::default(),
        }
    }

    /// Whether the run has grown by more than so many percent. What nobody can tell is the outer
    /// error: a Docker that does not answer says nothing of the service.
    pub(super) async fn ask(
        &self,
        of: &Instance,
        maximum: u32,
        limit: Duration,
    ) -> Result<Result<(), String>, String> {
        let asked = timeout(limit, self.docker.memory(&of.container_id)).await;
        let late = || format!("docker did not tell within {}", duration::show(limit));
        let bytes = asked
            .map_err(|_| late())?
            .map_err(|error| error.to_string())?;
        let bytes = bytes.ok_or("docker does not tell its memory")?;
        self.gauges.set_memory(of.clone(), bytes);
        let mut held = self.baseline.lock().unwrap_or_else(PoisonError::into_inner);
        let known = held.take().filter(|(run, _)| run == of);
        let (_, baseline) = held.insert(known.unwrap_or_else(|| (of.clone(), Baseline::default())));
        baseline.note(bytes).judge(maximum)
    }
}

#[cfg(test)]
mod tests {
    use extend_common::roles::RoleSet;

    use super::*;
    use crate::docker::memory::MemoryDocker;

    #[tokio::test(start_paused = true)]
    async fn what_docker_does_not_tell_says_nothing_of_the_service() {
        let docker = MemoryDocker::new(RoleSet::built_in().unwrap());
        let prober = MemoryProber::new(Arc::new(docker.clone()), Gauges::default());
        let run = Instance {
            container_id: "c".to_owned(),
            started_at: "t".to_owned(),
        };
        let limit = Duration::from_secs(1);
        let words = prober.ask(&run, 100, limit).await.unwrap_err();
        assert!(words.contains("No such container"), "{words}");
        docker.freeze_daemon(true);
        let words = prober.ask(&run, 100, limit).await.unwrap_err();
        assert_eq!(words, "docker did not tell within 1s");
    }

    #[tokio::test(start_paused = true)]
    async fn a_run_has_a_baseline_of_its_own() {
        let gauges = Gauges::default();
        let docker = MemoryDocker::new(RoleSet::built_in().unwrap());
        let prober = MemoryProber::new(Arc::new(docker.clone()), gauges.clone());
        let limit = Duration::from_secs(1);
        let id = docker.foreign("portsip.callqueue").unwrap();
        let run = |started_at: &str| Instance {
            container_id: id.clone(),
            started_at: started_at.to_owned(),
        };
        let (first, second) = (run("1"), run("2"));
        docker.set_memory("portsip.callqueue", 100 << 20);
        for _ in 0..15 {
            let _ = prober.ask(&first, 100, limit).await;
        }
        assert_eq!(gauges.memory(&first), Some(100 << 20));
        docker.set_memory("portsip.callqueue", 900 << 20);
        for _ in 0..5 {
            prober.ask(&first, 100, limit).await.unwrap().ok();
        }
        prober.ask(&first, 100, limit).await.unwrap().unwrap_err();
        prober.ask(&second, 100, limit).await.unwrap_err();
        assert_eq!(gauges.memory(&first), None);
        assert_eq!(gauges.memory(&second), Some(900 << 20));
    }
}
