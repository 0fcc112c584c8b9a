//! What a contract needs of an implementation beside its calls.

use std::path::Path;
use std::time::Duration;

use async_trait::async_trait;
use extend_agent::core::spec::{ContainerSpec, NodeFacts, render};
use extend_agent::docker::{Container, Docker, DockerError};
use extend_common::record::{
    Deployment, Desired, Drain, ImageRequest, Parameters, PullPolicy, RunState,
};
use extend_common::roles::RoleSet;
use extend_common::status::ContainerState;

/// The image that both benches have under this reference.
pub(crate) const REFERENCE: &str = "extend.test/pbx:22";
/// Its `version` label.
pub(crate) const VERSION: &str = "22.3.0";
/// What Docker says of a container that was never started.
pub(crate) const NEVER: &str = "0001-01-01T00:00:00Z";
const LOOK: Duration = Duration::from_millis(50);
const LOOKS: u32 = 600;

/// An implementation under test.
#[async_trait]
pub(crate) trait Bench: Send + Sync {
    fn docker(&self) -> &dyn Docker;

    /// A media server with a name of its own.
    fn spec(&self) -> ContainerSpec;

    /// Ends the process of a container without asking the Engine: exit code 137.
    async fn kill_process(&self, name: &str);

    /// Lets a container's processes crash at their start with this code, from now on.
    fn crash_at_start(&self, spec: &ContainerSpec, code: Option<i64>);

    /// Lets a container's process ignore SIGTERM.
    fn ignore_sigterm(&self, spec: &ContainerSpec);

    /// Changes a specification such that its container cannot be started.
    fn break_start(&self, spec: &mut ContainerSpec);

    /// As `docker pause`.
    async fn pause(&self, name: &str);
}

/// The container of a role as the agent renders it.
pub(crate) fn rendered(role: &str, node: &str, data: &Path, image: &str) -> ContainerSpec {
    let roles = RoleSet::built_in().unwrap();
    let role = roles.find(role).unwrap().unwrap();
    let desired = Desired {
        node: node.parse().unwrap(),
        name: "server-1".parse().unwrap(),
        role: role.role.clone(),
        definition: role.digest(),
        run_state: RunState::Running,
        deployment: Deployment(7),
        image: ImageRequest {
            reference: REFERENCE.to_owned(),
            pull: PullPolicy::Missing,
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
    render(
        role,
        &desired,
        &NodeFacts {
            node: desired.node,
            data: data.to_owned(),
        },
        image,
    )
}

/// The container of a name, which must be there.
pub(crate) async fn seen(bench: &dyn Bench, name: &str) -> Container {
    bench
        .docker()
        .container(name)
        .await
        .unwrap()
        .unwrap_or_else(|| panic!("there is no {name}"))
}

/// Looks until a container is as wanted.
pub(crate) async fn until(
    bench: &dyn Bench,
    name: &str,
    wanted: impl Fn(&Container) -> bool,
) -> Container {
    let mut last = None;
    for _ in 0..LOOKS {
        let container = seen(bench, name).await;
        if wanted(&container) {
            return container;
        }
        last = Some(container);
        tokio::time::sleep(LOOK).await;
    }
    panic!("it stays otherwise: {last:#?}");
}

pub(crate) async fn until_state(bench: &dyn Bench, name: &str, state: ContainerState) -> Container {
    until(bench, name, |container| container.state == state).await
}

/// Looks for longer than Docker waits before a first restart, and wants nothing to change.
pub(crate) async fn stays(bench: &dyn Bench, name: &str, state: ContainerState) -> Container {
    let first = seen(bench, name).await;
    for _ in 0..20 {
        let container = seen(bench, name).await;
        assert_eq!(container.state, state, "{container:#?}");
        assert_eq!(container, first);
        tokio::time::sleep(LOOK).await;
    }
    first
}

pub(crate) fn refused<T: std::fmt::Debug>(answer: Result<T, DockerError>) -> (u16, String) {
    match answer {
        Err(DockerError::Refused { status, message }) => (status, message),
        other => panic!("it was not refused: {other:?}"),
    }
}

/// Makes and starts a container, and waits until its process has begun to listen for signals.
pub(crate) async fn running(bench: &dyn Bench) -> (ContainerSpec, String) {
    let spec = bench.spec();
    let id = bench.docker().create(&spec).await.unwrap();
    bench.docker().start(&id).await.unwrap();
    up(bench, &id).await;
    (spec, id)
}

/// Process 1 of a container is deaf to signals until it has asked for them; it says so.
pub(crate) async fn up(bench: &dyn Bench, id: &str) {
    for _ in 0..200 {
        if !bench.docker().log_tail(id, 1).await.unwrap().is_empty() {
            return;
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    panic!("it says nothing");
}
