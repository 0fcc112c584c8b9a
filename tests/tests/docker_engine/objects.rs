//! What both implementations do with containers and images as things: names, removal, lists,
//! output.

use std::time::Duration;

use extend_agent::core::spec::ContainerSpec;
use extend_agent::docker::{DockerError, OutputQuery};
use extend_common::roles::RestartPolicy;
use extend_common::status::ContainerState::{Exited, Running};
use futures_util::StreamExt;
use tokio::time::timeout;

use crate::bench::{Bench, REFERENCE, VERSION, refused, running, seen, stays, until_state, up};

pub(crate) async fn a_name_belongs_to_one_container(bench: &dyn Bench) {
    let docker = bench.docker();
    let (first, second) = (bench.spec(), bench.spec());
    let id = docker.create(&first).await.unwrap();
    let (status, words) = refused(docker.create(&first).await);
    let conflict = format!(
        "Conflict. The container name \"/{}\" is already in use by container \"{id}\". You have to \
         remove (or rename) that container to be able to reuse that name.",
        first.name
    );
    assert_eq!((status, &words), (409, &conflict));
    let other = docker.create(&second).await.unwrap();
    let (status, words) = refused(docker.rename(&other, &first.name).await);
    assert_eq!(
        (status, words),
        (409, format!("Error when allocating new name: {conflict}"))
    );
    assert_eq!(refused(docker.rename(&id, &first.name).await).0, 400);

    // A name is a name, whatever it is the beginning of.
    assert_eq!(docker.container(&id).await, Ok(None));
    assert_eq!(docker.container(&id[..12]).await, Ok(None));
    docker.start(&id).await.unwrap();
    let before = seen(bench, &first.name).await;
    let aside = format!("{}.previous", first.name);
    docker.rename(&id, &aside).await.unwrap();
    assert_eq!(docker.container(&first.name).await, Ok(None));
    let after = seen(bench, &aside).await;
    assert_eq!(
        (after.instance(), after.state),
        (before.instance(), Running)
    );
    docker.create(&first).await.unwrap();
}

pub(crate) async fn what_does_not_exist_is_missing(bench: &dyn Bench) {
    let docker = bench.docker();
    let nothing = "extend-test-nothing";
    let missing = |answer: Result<(), DockerError>, what: &str| {
        let error = answer.unwrap_err();
        assert!(error.is_missing(), "{what}: {error:?}");
    };
    missing(docker.start(nothing).await, "start");
    missing(docker.signal(nothing, "SIGTERM").await, "signal");
    missing(
        docker.set_policy(nothing, RestartPolicy::No).await,
        "set_policy",
    );
    missing(
        docker.rename(nothing, "extend-test-nothing-2").await,
        "rename",
    );
    missing(docker.log_tail(nothing, 3).await.map(drop), "log_tail");
    assert_eq!(docker.remove(nothing).await, Ok(()));
    assert_eq!(docker.container(nothing).await, Ok(None));
    assert_eq!(docker.image("extend.test/nothing:1").await, Ok(None));
    let spec = ContainerSpec {
        image: "extend.test/nothing:1".to_owned(),
        ..bench.spec()
    };
    let (status, words) = refused(docker.create(&spec).await);
    assert_eq!(
        (status, words.as_str()),
        (404, "No such image: extend.test/nothing:1")
    );
}

pub(crate) async fn only_what_does_not_run_is_removed(bench: &dyn Bench) {
    let docker = bench.docker();
    let (spec, id) = running(bench).await;
    let (status, words) = refused(docker.remove(&id).await);
    assert_eq!(status, 409);
    assert!(
        words.starts_with(&format!("You cannot remove a running container {id}.")),
        "{words}"
    );
    docker.signal(&id, "SIGKILL").await.unwrap();
    let ended = until_state(bench, &spec.name, Exited).await;
    assert_eq!(ended.exit_code, 137);
    docker.remove(&id).await.unwrap();
    assert_eq!(docker.container(&spec.name).await, Ok(None));
    docker.remove(&id).await.unwrap();
    assert!(docker.start(&id).await.unwrap_err().is_missing());
}

pub(crate) async fn every_container_is_listed(bench: &dyn Bench) {
    let docker = bench.docker();
    let (spec, id) = running(bench).await;
    let still = bench.spec();
    docker.create(&still).await.unwrap();
    let names = docker.names().await.unwrap();
    let found = |name: &str| names.iter().find(|found| found.name == name).unwrap();
    assert_eq!(found(&spec.name).id, id);
    assert_eq!(
        found(&still.name).owner.as_ref().unwrap().to_labels(),
        still.labels
    );
}

pub(crate) async fn output_has_an_end(bench: &dyn Bench) {
    let (docker, spec) = (bench.docker(), bench.spec());
    let id = docker.create(&spec).await.unwrap();
    assert_eq!(docker.log_tail(&id, 10).await, Ok(Vec::new()));
    docker.start(&id).await.unwrap();
    up(bench, &id).await;
    let lines = docker.log_tail(&id, 1).await.unwrap();
    assert_eq!(lines.len(), 1);
    assert!(
        !lines[0].is_empty() && !lines[0].ends_with('\n'),
        "{lines:?}"
    );
    assert_eq!(docker.log_tail(&id, 0).await, Ok(Vec::new()));
}

pub(crate) async fn output_is_read_along_to_the_end_of_the_process(bench: &dyn Bench) {
    let docker = bench.docker();
    let (spec, id) = running(bench).await;
    let query = |tail, since, follow| OutputQuery {
        tail,
        since,
        follow,
    };
    let mut along = docker.output(&id, query(1, None, true));
    let last = along.next().await.unwrap().unwrap();
    assert!(
        last.bytes.ends_with(b"\n") && last.bytes.len() > 1,
        "{last:?}"
    );
    // Quiet is no end.
    let quiet = timeout(Duration::from_millis(300), async {
        while let Some(item) = along.next().await {
            item.unwrap();
        }
    });
    assert!(quiet.await.is_err(), "it goes on");
    docker.signal(&id, "SIGTERM").await.unwrap();
    let end = timeout(Duration::from_secs(10), async {
        while let Some(item) = along.next().await {
            item.unwrap();
        }
    });
    end.await.expect("its end is the output's");
    until_state(bench, &spec.name, Exited).await;

    let whole = async |since| {
        let parts = docker.output(&id, query(1_000, since, false));
        parts.map(Result::unwrap).collect::<Vec<_>>().await
    };
    let first_run = whole(None).await;
    assert!(first_run.contains(&last));
    assert!(
        first_run
            .iter()
            .all(|part| part.bytes.ends_with(b"\n") && part.at.is_some())
    );
    assert!(first_run.is_sorted_by_key(|part| part.at));
    let seen = first_run.last().unwrap().at;
    assert_eq!(whole(seen).await, [], "nothing has come since");
    docker.start(&id).await.unwrap();
    let mut again = docker.output(&id, query(1_000, seen, true));
    let next = again.next().await.unwrap().unwrap();
    assert!(next.at > seen, "{next:?}");
    assert!(!first_run.contains(&next));

    let mut missing = docker.output(&"ab".repeat(32), query(1, None, true));
    assert!(missing.next().await.unwrap().unwrap_err().is_missing());
    assert!(missing.next().await.is_none());
}

pub(crate) async fn an_image_has_several_names(bench: &dyn Bench) {
    let docker = bench.docker();
    let image = docker.image(REFERENCE).await.unwrap().unwrap();
    assert_eq!(image.labels["version"], VERSION);
    assert_eq!(
        image.repo_digests,
        Vec::<String>::new(),
        "it was never pulled"
    );
    assert_eq!(docker.image(&image.id).await, Ok(Some(image.clone())));
    for name in [REFERENCE, &image.id] {
        let spec = ContainerSpec {
            image: name.to_owned(),
            ..bench.spec()
        };
        docker.create(&spec).await.unwrap();
        assert_eq!(seen(bench, &spec.name).await.image_id, image.id);
    }
    // It is not taken from under them.
    let (status, words) = refused(docker.remove_image(&image.id).await);
    assert_eq!(status, 409, "{words}");
    assert!(words.contains("forced"), "{words}");
    assert_eq!(docker.image(REFERENCE).await, Ok(Some(image)));
    assert_eq!(docker.remove_image("extend.test/nothing:1").await, Ok(()));
}

pub(crate) async fn nonsense_is_refused(bench: &dyn Bench) {
    let docker = bench.docker();
    let (spec, id) = running(bench).await;
    let (status, words) = refused(docker.signal(&id, "SIGNONSENSE").await);
    assert_eq!(
        (status, words.as_str()),
        (400, "Invalid signal: SIGNONSENSE")
    );
    let named = ContainerSpec {
        name: "x".to_owned(),
        ..bench.spec()
    };
    assert_eq!(refused(docker.create(&named).await).0, 400);
    assert_eq!(refused(docker.rename(&id, "y").await).0, 400);
    stays(bench, &spec.name, Running).await;
}
