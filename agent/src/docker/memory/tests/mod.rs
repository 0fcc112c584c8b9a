//! What only the simulated Engine can be made to do. What it has in common with the real one is
//! held by the contract in the system tests.

mod daemon;
mod life;
mod pulls;

use extend_common::record::{
    Deployment, Desired, Drain, ImageRequest, Parameters, PullPolicy, RunState,
};
use extend_common::status::ContainerState;

use super::*;
use crate::core::spec::{NodeFacts, render};

const NAME: &str = "portsip.mediaserver";
const NODE: &str = "127.0.9.1";
const IMAGE_ID: &str = "sha256:aa";

fn image(id: &str) -> Image {
    Image {
        id: id.to_owned(),
        repo_digests: vec![format!("portsip/pbx@{id}")],
        labels: [("version".to_owned(), "22.3.0".to_owned())].into(),
        size: 0,
    }
}

/// An Engine with one image.
fn engine() -> MemoryDocker {
    let docker = MemoryDocker::new(RoleSet::built_in().unwrap());
    docker.add_image("portsip/pbx:22", image(IMAGE_ID));
    docker
}

fn spec(deployment: u64) -> ContainerSpec {
    let roles = RoleSet::built_in().unwrap();
    let role = roles.find("media-server-only").unwrap().unwrap();
    let desired = Desired {
        node: NODE.parse().unwrap(),
        name: "media-server-1".parse().unwrap(),
        role: role.role.clone(),
        definition: role.digest(),
        run_state: RunState::Running,
        deployment: Deployment(deployment),
        image: ImageRequest {
            reference: "portsip/pbx:22".to_owned(),
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
        adopted: None,
        staged: None,
        drain: Drain::Off,
    };
    let facts = NodeFacts {
        node: desired.node,
        data: "/var/lib/portsip".into(),
    };
    render(role, &desired, &facts, "portsip/pbx:22")
}

/// The exit code of the end that the Engine told of.
fn died(item: Option<Result<Happening, DockerError>>) -> i64 {
    match item {
        Some(Ok(Happening::Died(death))) => death.exit_code,
        other => panic!("no end was told: {other:?}"),
    }
}

/// A container that runs.
async fn running() -> (MemoryDocker, String) {
    let docker = engine();
    let id = docker.create(&spec(1)).await.unwrap();
    docker.start(&id).await.unwrap();
    (docker, id)
}

async fn seen(docker: &MemoryDocker) -> Container {
    docker.container(NAME).await.unwrap().unwrap()
}

async fn state(docker: &MemoryDocker) -> ContainerState {
    seen(docker).await.state
}

async fn pass(milliseconds: u64) {
    tokio::time::sleep(Duration::from_millis(milliseconds)).await;
}

fn unavailable<T: std::fmt::Debug>(answer: Result<T, DockerError>) -> String {
    match answer.unwrap_err() {
        DockerError::Unavailable(words) => words,
        other => panic!("it answered: {other:?}"),
    }
}

fn refused<T: std::fmt::Debug>(answer: Result<T, DockerError>) -> (u16, String) {
    match answer.unwrap_err() {
        DockerError::Refused { status, message } => (status, message),
        other => panic!("it did not answer: {other:?}"),
    }
}

fn kinds(docker: &MemoryDocker) -> Vec<EffectKind> {
    docker
        .history()
        .into_iter()
        .map(|effect| effect.kind)
        .collect()
}
