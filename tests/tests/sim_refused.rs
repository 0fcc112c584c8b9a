//! What a node refuses, and what is missing on it: the operation ends with a reason that names the
//! cause and the command to run next, and the service that was there serves on.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    reason = "helpers of tests fail their test"
)]

use std::time::Duration;

use extend_agent::docker::memory::RegistryAnswer;
use extend_agent::docker::{Docker as _, DockerError, Image};
use extend_agent::host::Holder;
use extend_common::hint::split_hint;
use extend_common::ids::NodeAddr;
use extend_common::operation::{Operation, TargetState, Verb};
use extend_common::roles::RoleSet;
use extend_common::status::{Health, NodeState};
use extend_tests::sim::Fleet;
use extend_tests::sim::fleet::{IMAGE, image};
use extend_tests::sim::invariants::untouched_since;

const MEDIA: &str = "media-server-only";
const CONTAINER: &str = "portsip.mediaserver";

fn target() -> NodeAddr {
    "172.31.16.139".parse().unwrap()
}

/// A target that failed, with this reason and this command to run next.
#[track_caller]
fn failed(operation: &Operation, reason: &str, hint: &str) {
    let target = &operation.targets[0];
    assert!(target.state.is_failure(), "{target:?}");
    // An upgrade says too what it has kept.
    let (told, helps) = split_hint(&target.reason);
    let told = told.strip_prefix("kept 22.3.0: ").unwrap_or(told);
    assert_eq!((told, helps), (reason, Some(hint)), "{target:?}");
}

#[tokio::test(start_paused = true)]
async fn a_busy_port_is_named_with_who_holds_it() {
    let mut fleet = Fleet::new(&["172.31.16.139"]).await;
    let (docker, host) = {
        let node = &fleet.nodes[&target()];
        (node.docker.clone(), node.host.clone())
    };
    let hint = "on 172.31.16.139: ss -ltnp 'sport = :8842'";
    let holder = |program: &str, container| Holder {
        process: 1234,
        program: program.to_owned(),
        container,
    };
    let other = docker.foreign("callmanager").unwrap();
    for (holder, by) in [
        (None, "another process on this node"),
        (Some(holder("nginx", None)), "nginx (process 1234)"),
        (
            Some(holder("callmanager", Some(other))),
            "the container callmanager (callmanager, process 1234)",
        ),
        (
            Some(holder("x", Some("feed".repeat(16)))),
            "the container feedfeedfeed (x, process 1234)",
        ),
    ] {
        match holder {
            None => host.occupy(8842),
            Some(holder) => host.occupy_as(8842, holder),
        }
        let operation = fleet.deploy(target(), MEDIA, "media-server-1").await;
        let reason = format!("port 8842/tcp of the media server is in use by {by}");
        failed(&operation, &reason, hint);
        assert!(docker.container(CONTAINER).await.unwrap().is_none());
    }
    host.release(8842);
    let operation = fleet.deploy(target(), MEDIA, "media-server-1").await;
    assert_eq!(operation.targets[0].state, TargetState::Succeeded);
}

#[tokio::test(start_paused = true)]
async fn a_definition_that_is_gone_from_the_node_is_told_and_the_service_left_as_it_is() {
    let mut fleet = Fleet::new(&["172.31.16.139"]).await;
    fleet.deploy(target(), MEDIA, "media-server-1").await;
    let mark = fleet.mark(target());
    let node = fleet.nodes.get_mut(&target()).unwrap();
    node.set_roles(RoleSet::default());
    fleet.restart_agent(target()).await;
    tokio::time::sleep(Duration::from_secs(120)).await;
    let status = fleet.server(target()).await.unwrap().status.unwrap();
    assert_eq!(status.health, Health::Unknown, "{status:?}");
    let words = "this node has no definition of the role media-server-only";
    assert!(status.reason.contains(words), "{status:?}");
    let no_definition = "no definition of";
    for verb in [
        Verb::Restart,
        Verb::Stop,
        Verb::Start,
        Verb::Rm,
        Verb::Upgrade,
    ] {
        let submission = fleet.submission(verb, MEDIA, &[]);
        let refused = fleet.submit(&submission).await.unwrap_err().to_string();
        assert!(refused.contains(no_definition), "{verb}: {refused}");
    }
    // An operation that was accepted before anybody knew ends as well.
    fleet.net.set_away(target(), true);
    until_away(&fleet).await;
    let stop = fleet.submission(Verb::Stop, MEDIA, &[]);
    let id = fleet.submit(&stop).await.unwrap().operation.unwrap().id;
    fleet.net.set_away(target(), false);
    let ended = fleet.ended(id).await;
    let told = &ended.targets[0];
    assert_eq!(told.state, TargetState::Failed, "{told:?}");
    assert!(told.reason.contains(words), "{told:?}");
    untouched_since(&fleet.history(target()), mark);

    let node = fleet.nodes.get_mut(&target()).unwrap();
    node.set_roles(RoleSet::built_in().unwrap());
    fleet.restart_agent(target()).await;
    fleet.settled().await;
    let restart = fleet.submission(Verb::Restart, MEDIA, &[]);
    let restarted = fleet.perform(&restart).await;
    assert_eq!(restarted.targets[0].state, TargetState::Succeeded);
}

/// Waits until the controller knows that the node is away.
async fn until_away(fleet: &Fleet) {
    for _ in 0..6000 {
        let nodes = fleet.engine().nodes(Some(target())).await.unwrap();
        if nodes[0].state == NodeState::Offline {
            return;
        }
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    panic!("the node should be offline");
}

/// Upgrades to `reference`.
async fn upgrade(fleet: &mut Fleet, reference: &str) -> Operation {
    let mut submission = fleet.submission(Verb::Upgrade, MEDIA, &[]);
    submission.image = Some(reference.to_owned());
    fleet.perform(&submission).await
}

#[tokio::test(start_paused = true)]
async fn images_that_will_not_do_are_told_with_what_helps() {
    let mut fleet = Fleet::new(&["172.31.16.139"]).await;
    fleet.deploy(target(), MEDIA, "media-server-1").await;
    let mark = fleet.mark(target());
    let docker = fleet.nodes[&target()].docker.clone();
    let labelled = |version: Option<&str>, product: &str| {
        let mut image = image(version.unwrap_or_default());
        image.id = format!("sha256:{product}{version:?}");
        image
            .labels
            .insert("product".to_owned(), product.to_owned());
        if version.is_none() {
            image.labels.remove("version");
        }
        image
    };
    let look = |reference: &str| {
        format!(
            "on 172.31.16.139: docker image inspect -f '{{{{json .Config.Labels}}}}' {reference}, \
             and name another image with -i"
        )
    };
    for (tag, image, reason) in [
        (
            "none",
            labelled(None, "PBX"),
            "portsip/pbx:none has no usable label `version`",
        ),
        (
            "word",
            labelled(Some("latest"), "PBX"),
            "portsip/pbx:word has no usable label `version`: `latest`",
        ),
        (
            "21",
            labelled(Some("21.9.4"), "PBX"),
            "portsip/pbx:21 is version 21.9.4; version 22 or newer is needed",
        ),
        (
            "sbc",
            labelled(Some("22.4.0"), "SBC"),
            "portsip/pbx:sbc is not a PBX image: its label `product` says `SBC`",
        ),
    ] {
        let reference = format!("portsip/pbx:{tag}");
        docker.add_image(&reference, image);
        let operation = upgrade(&mut fleet, &reference).await;
        failed(&operation, reason, &look(&reference));
    }
    docker.add_image("portsip/pbx:old", image("22.2.9"));
    failed(
        &upgrade(&mut fleet, "portsip/pbx:old").await,
        "portsip/pbx:old is version 22.2.9, older than the serving 22.3.0: --force accepts it",
        "extend upgrade -a 172.31.16.139 -i portsip/pbx:old --force",
    );
    failed(
        &upgrade(&mut fleet, "evil/pbx:22").await,
        "images from `evil/pbx` are not allowed on this node (agent.toml allows portsip/*)",
        "on 172.31.16.139: add \"evil/pbx\" to `repositories` in /etc/extend/agent.toml, and \
         systemctl restart extend-agent",
    );
    failed(
        &upgrade(&mut fleet, "portsip/pbx:nosuch").await,
        "pulling portsip/pbx:nosuch failed: manifest for portsip/pbx:nosuch not found: manifest \
         unknown: manifest unknown",
        "on 172.31.16.139: docker pull portsip/pbx:nosuch",
    );
    let full = "write /var/lib/docker/tmp/GetImageBlob1: no space left on device";
    let refusal = DockerError::Refused {
        status: 500,
        message: full.to_owned(),
    };
    docker.set_registry("portsip/pbx:big", Some(RegistryAnswer::Refuses(refusal)));
    failed(
        &upgrade(&mut fleet, "portsip/pbx:big").await,
        &format!("pulling portsip/pbx:big failed: {full}"),
        "on 172.31.16.139: docker system df",
    );
    untouched_since(&fleet.history(target()), mark);
    let server = fleet.server(target()).await.unwrap();
    assert_eq!(
        server.record.desired.image.reference, IMAGE,
        "what serves is recorded"
    );
}

/// An image as it was pulled: known by a digest.
fn pulled(version: &str) -> Image {
    Image {
        repo_digests: vec![format!("portsip/pbx@sha256:{}", version.replace('.', "ab"))],
        ..image(version)
    }
}

/// Waits until the service runs again, in virtual time.
async fn runs_again(fleet: &Fleet) -> bool {
    let docker = &fleet.nodes[&target()].docker;
    for _ in 0..1200 {
        let found = docker.container(CONTAINER).await.unwrap();
        if found.is_some_and(|container| container.state.is_live()) {
            return true;
        }
        tokio::time::sleep(Duration::from_millis(500)).await;
    }
    false
}

/// Somebody removes the container, and prunes the image that nothing uses any more.
async fn prune(fleet: &Fleet, image: &Image) {
    let docker = fleet.nodes[&target()].docker.acting_as("somebody");
    let id = docker.container(CONTAINER).await.unwrap().unwrap().id;
    docker
        .set_policy(&id, extend_common::roles::RestartPolicy::No)
        .await
        .unwrap();
    drop(docker.signal(&id, "SIGKILL").await);
    docker.prune_image(&image.id);
    docker.remove(&id).await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn a_pruned_image_is_fetched_again_and_is_the_same() {
    for (had, serves, comes_back) in [
        // By its digest, whatever the tag means meanwhile.
        (pulled("22.3.0"), pulled("22.3.0"), true),
        // Imported, and the registry has the very same.
        (image("22.3.0"), image("22.3.0"), true),
        // Imported, and the tag is another release now: nothing is exchanged unasked.
        (image("22.3.0"), image("22.9.0"), false),
    ] {
        let mut fleet = Fleet::new(&["172.31.16.139"]).await;
        let docker = fleet.nodes[&target()].docker.clone();
        docker.prune_image(&image("22.3.0").id);
        docker.add_image(IMAGE, had.clone());
        fleet.deploy(target(), MEDIA, "media-server-1").await;
        let answer = RegistryAnswer::Serves(serves, Duration::from_secs(20));
        let asked_for = had.repo_digests.first().map_or(IMAGE, String::as_str);
        docker.set_registry(asked_for, Some(answer));
        prune(&fleet, &had).await;
        assert_eq!(runs_again(&fleet).await, comes_back, "{had:?}");
        let asked: Vec<_> = docker
            .pulls()
            .into_iter()
            .map(|pull| pull.reference)
            .collect();
        assert!(
            asked.iter().all(|reference| reference == asked_for),
            "{asked:?}"
        );
        let now = docker.container(CONTAINER).await.unwrap();
        assert_eq!(
            now.map(|container| container.image_id),
            comes_back.then_some(had.id)
        );
        fleet.check();
    }
}
