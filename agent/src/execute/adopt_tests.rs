//! A controller that lies: whatever a record says, only what the node itself has seen to be the
//! role's official container is taken over.

use std::sync::Arc;

use extend_common::ids::NodeAddr;
use extend_common::record::{
    Deployment, Desired, Drain, ImageRequest, Parameters, PullPolicy, RunState, ServerRecord, Stamp,
};
use extend_common::roles::RoleSet;

use super::super::{Executor, Settings, StepError};
use crate::core::entry::Entry;
use crate::core::observed::Observed;
use crate::core::spec::NodeFacts;
use crate::core::step::{Done, Step};
use crate::docker::memory::{MemoryDocker, Official};
use crate::docker::{Docker as _, Image};
use crate::host::MemoryHost;

const IMAGE: &str = "portsip/pbx:22";

fn node() -> NodeAddr {
    "172.31.16.139".parse().unwrap()
}

struct Bench {
    docker: MemoryDocker,
    executor: Executor,
    facts: NodeFacts,
    roles: RoleSet,
}

fn bench() -> Bench {
    let roles = RoleSet::built_in().unwrap();
    let docker = MemoryDocker::new(roles.clone());
    for (reference, product) in [
        (IMAGE, "PBX"),
        ("evil/pbx:22", "PBX"),
        ("portsip/sbc:11", "SBC"),
    ] {
        let labels = [("product", product), ("version", "22.3.0")];
        let image = Image {
            id: format!("sha256:{reference}"),
            repo_digests: Vec::new(),
            labels: labels
                .map(|(name, value)| (name.to_owned(), value.to_owned()))
                .into(),
            size: 0,
        };
        docker.add_image(reference, image);
    }
    let facts = NodeFacts {
        node: node(),
        data: "/var/lib/portsip".into(),
    };
    let settings = Settings {
        facts: facts.clone(),
        roles: Arc::new(roles.clone()),
        repositories: vec!["portsip/*".to_owned()],
        credentials: "/nowhere/registry.json".into(),
    };
    let executor = Executor::new(
        Arc::new(docker.clone()),
        Arc::new(MemoryHost::new()),
        Arc::new(settings),
    );
    Bench {
        docker,
        executor,
        facts,
        roles,
    }
}

impl Bench {
    /// A record that has this container taken over.
    fn desired(&self, id: &str) -> Desired {
        let role = self.roles.find("media-server-only").unwrap().unwrap();
        Desired {
            node: node(),
            name: "media-server-1".parse().unwrap(),
            role: role.role.clone(),
            definition: role.digest(),
            run_state: RunState::Running,
            deployment: Deployment(1),
            image: ImageRequest {
                reference: IMAGE.to_owned(),
                pull: PullPolicy::Always,
                allow_older: false,
                pin: None,
                newest: None,
            },
            parameters: Parameters {
                pbx_address: "54.151.30.9".to_owned(),
                public_address: None,
            },
            replace: None,
            secrets: Vec::new(),
            operation: None,
            adopted: Some(id.to_owned()),
            staged: None,
            drain: Drain::Off,
        }
    }

    async fn adopt(&self, desired: Desired) -> Result<Done, StepError> {
        let stamp = Stamp {
            epoch: 1,
            generation: 1,
        };
        let step = Step::Adopt {
            id: desired.adopted.clone().unwrap(),
            restart_count: 0,
        };
        let entry = Entry::new(ServerRecord::seal(stamp, desired));
        let (progress, _) = tokio::sync::watch::channel(String::new());
        let before = self.docker.history().len();
        let observed = Observed::default();
        let done = self.executor.execute(&step, &entry, &observed, &progress);
        let done = done.await;
        assert_eq!(self.docker.history().len(), before, "nothing is done");
        done
    }

    async fn refused(&self, desired: Desired, why: &str) {
        match self.adopt(desired).await {
            Err(StepError::Refused(words) | StepError::Permanent(words)) => {
                assert!(words.contains(why), "{words}");
            }
            other => panic!("{why}: {other:?}"),
        }
    }
}

#[tokio::test(start_paused = true)]
async fn the_official_container_is_taken_over_with_what_the_node_has_read_itself() {
    let bench = bench();
    let id = bench
        .docker
        .official(&bench.facts, &Official::media(node(), IMAGE))
        .unwrap();
    let done = bench.adopt(bench.desired(&id)).await.unwrap();
    let Done::Resolved(served) = done else {
        panic!("{done:?}");
    };
    assert_eq!(served.image.version, "22.3.0");
    assert_eq!(served.spec.labels.len(), 4, "made again it would be ours");
    assert_eq!(served.spec.stop_timeout_seconds, 300);
}

#[tokio::test(start_paused = true)]
async fn other_peoples_containers_are_not_taken_over_whatever_the_record_says() {
    let bench = bench();
    let nginx = bench.docker.foreign("nginx").unwrap();
    bench.refused(bench.desired(&nginx), "is gone").await;
    bench.refused(bench.desired("nginx"), "is gone").await;
    bench
        .refused(bench.desired("portsip.mediaserver"), "is gone")
        .await;
    // The official name alone is not enough.
    let bare = bench.docker.foreign("portsip.mediaserver").unwrap();
    bench.refused(bench.desired(&bare), "cannot be read").await;
}

#[tokio::test(start_paused = true)]
async fn another_roles_container_is_not_taken_over_as_this_one() {
    let bench = bench();
    let queue = Official {
        role: "queue-server-only".parse().unwrap(),
        ..Official::media(node(), IMAGE)
    };
    let id = bench.docker.official(&bench.facts, &queue).unwrap();
    bench.refused(bench.desired(&id), "is gone").await;
}

#[tokio::test(start_paused = true)]
async fn images_from_elsewhere_and_of_other_products_are_not_taken_over() {
    for (image, why) in [
        ("evil/pbx:22", "not allowed"),
        ("portsip/sbc:11", "PBX image"),
    ] {
        let bench = bench();
        let official = Official::media(node(), image);
        let id = bench.docker.official(&bench.facts, &official).unwrap();
        let mut desired = bench.desired(&id);
        image.clone_into(&mut desired.image.reference);
        bench.refused(desired, why).await;
    }
}

#[tokio::test(start_paused = true)]
async fn identity_and_parameters_are_those_of_the_container() {
    let bench = bench();
    let id = bench
        .docker
        .official(&bench.facts, &Official::media(node(), IMAGE))
        .unwrap();
    let mut other_name = bench.desired(&id);
    other_name.name = "media-server-9".parse().unwrap();
    bench
        .refused(other_name, "its name is media-server-1")
        .await;
    let mut other_pbx = bench.desired(&id);
    other_pbx.parameters.pbx_address = "10.9.9.9".to_owned();
    bench.refused(other_pbx, "its PBX address is").await;
    let mut other_image = bench.desired(&id);
    other_image.image.reference = "portsip/pbx:23".to_owned();
    bench.refused(other_image, "its image is").await;
    let mut other_definition = bench.desired(&id);
    other_definition.definition = extend_common::roles::Digest([0; 32]);
    bench.refused(other_definition, "differs from").await;
    let mut stopped = bench.desired(&id);
    stopped.run_state = RunState::Stopped;
    bench.refused(stopped, "started meanwhile").await;
    let shown = bench.docker.container("portsip.mediaserver").await.unwrap();
    assert!(shown.unwrap().is_up());
}

#[tokio::test(start_paused = true)]
async fn one_of_two_roles_is_not_taken_over() {
    let bench = bench();
    let media = Official::media(node(), IMAGE);
    let id = bench.docker.official(&bench.facts, &media).unwrap();
    let queue = Official {
        role: "queue-server-only".parse().unwrap(),
        ..media
    };
    bench.docker.official(&bench.facts, &queue).unwrap();
    bench.refused(bench.desired(&id), "carries one role").await;
}
