//! The Engine in memory, on the bench.

use std::path::Path;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use async_trait::async_trait;
use extend_agent::core::spec::ContainerSpec;
use extend_agent::docker::memory::{Behaviour, MemoryDocker, StopBehaviour};
use extend_agent::docker::{Docker, Image};
use extend_common::roles::RoleSet;

use crate::bench::{Bench, REFERENCE, VERSION, rendered};

const IMAGE_ID: &str = "sha256:5eed";

pub(crate) struct MemoryBench {
    docker: MemoryDocker,
    named: AtomicU32,
}

impl MemoryBench {
    pub(crate) fn new() -> Self {
        let docker = MemoryDocker::new(RoleSet::built_in().unwrap());
        let labels = [("version", VERSION), ("product", "PBX")];
        let labels = labels.map(|(key, value)| (key.to_owned(), value.to_owned()));
        let id = IMAGE_ID.to_owned();
        docker.add_image(
            REFERENCE,
            Image {
                id,
                repo_digests: Vec::new(),
                labels: labels.into(),
                size: 0,
            },
        );
        Self {
            docker,
            named: AtomicU32::new(0),
        }
    }

    fn behave(&self, spec: &ContainerSpec, behaviour: Behaviour) {
        self.docker.behave(&spec.name, Some(behaviour));
    }
}

#[async_trait]
impl Bench for MemoryBench {
    fn docker(&self) -> &dyn Docker {
        &self.docker
    }

    fn spec(&self) -> ContainerSpec {
        let data = Path::new("/var/lib/portsip");
        let spec = rendered("media-server-only", "127.0.9.1", data, IMAGE_ID);
        let number = self.named.fetch_add(1, Ordering::Relaxed);
        ContainerSpec {
            name: format!("extend-test-{number}"),
            ..spec
        }
    }

    async fn kill_process(&self, name: &str) {
        assert!(self.docker.crash(name, 137));
    }

    fn crash_at_start(&self, spec: &ContainerSpec, code: Option<i64>) {
        let exits_after = code.map(|code| (Duration::from_millis(5), code));
        self.behave(
            spec,
            Behaviour {
                exits_after,
                ..Behaviour::default()
            },
        );
    }

    fn ignore_sigterm(&self, spec: &ContainerSpec) {
        self.behave(
            spec,
            Behaviour {
                stop: StopBehaviour::Ignores,
                ..Behaviour::default()
            },
        );
    }

    fn break_start(&self, spec: &mut ContainerSpec) {
        let words = Some("unable to find user nobody-at-all".to_owned());
        self.behave(
            spec,
            Behaviour {
                fails_to_start: words,
                ..Behaviour::default()
            },
        );
    }

    async fn pause(&self, name: &str) {
        assert!(self.docker.pause(name, true));
    }
}
