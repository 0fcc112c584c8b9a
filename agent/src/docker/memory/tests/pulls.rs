//! Images and the registry.

use super::*;

fn progress() -> PullProgress {
    PullProgress::new(String::new())
}

#[tokio::test(start_paused = true)]
async fn a_pull_moves_the_tag_and_keeps_what_had_it() {
    let docker = engine();
    let takes = Duration::from_secs(40);
    docker.set_registry(
        "portsip/pbx:22",
        Some(RegistryAnswer::Serves(image("sha256:bb"), takes)),
    );
    let auth = RegistryAuth {
        username: "reader".to_owned(),
        password: "secret".to_owned(),
        server: "docker.io".to_owned(),
    };
    let (begun, progress) = (Instant::now(), progress());
    docker
        .pull("portsip/pbx:22", Some(&auth), &progress)
        .await
        .unwrap();
    assert_eq!(begun.elapsed(), takes);
    assert_eq!(progress.borrow().as_str(), "layer 4/4, 40 MB");
    let found = docker.image("portsip/pbx:22").await.unwrap().unwrap();
    assert_eq!(found.id, "sha256:bb");
    for old in [IMAGE_ID, "portsip/pbx@sha256:aa"] {
        assert_eq!(
            docker.image(old).await.unwrap().unwrap().id,
            IMAGE_ID,
            "{old}"
        );
    }
    let pulls = docker.pulls();
    assert_eq!(pulls.len(), 1);
    assert_eq!(
        (pulls[0].reference.as_str(), pulls[0].username.as_deref()),
        ("portsip/pbx:22", Some("reader"))
    );
    docker
        .pull("portsip/pbx:22", None, &progress)
        .await
        .unwrap();
    assert_eq!(
        begun.elapsed(),
        takes,
        "what is there is not transferred again"
    );
}

#[tokio::test(start_paused = true)]
async fn a_pull_fails_as_the_registry_likes() {
    let docker = engine();
    let (status, words) = refused(docker.pull("portsip/pbx:99", None, &progress()).await);
    assert_eq!(status, 404);
    assert!(words.contains("manifest unknown"), "{words}");
    let denied = DockerError::Refused {
        status: 500,
        message: "unauthorized".to_owned(),
    };
    docker.set_registry("portsip/pbx", Some(RegistryAnswer::Refuses(denied.clone())));
    assert_eq!(
        docker.pull("portsip/pbx:latest", None, &progress()).await,
        Err(denied)
    );
    docker.set_registry("portsip/pbx", Some(RegistryAnswer::Hangs));
    let begun = Instant::now();
    let words = unavailable(docker.pull("portsip/pbx", None, &progress()).await);
    assert_eq!(
        words,
        "there was no progress for 2m (pulling portsip/pbx: asking the registry)"
    );
    assert_eq!(begun.elapsed(), Duration::from_secs(120));
}

#[tokio::test(start_paused = true)]
async fn a_pull_breaks_off_with_the_daemon() {
    let docker = engine();
    let slow = RegistryAnswer::Serves(image("sha256:bb"), Duration::from_secs(600));
    docker.set_registry("portsip/pbx:22", Some(slow));
    let pull = tokio::spawn({
        let docker = docker.clone();
        async move { docker.pull("portsip/pbx:22", None, &progress()).await }
    });
    pass(10_000).await;
    docker.restart_daemon(Duration::ZERO);
    unavailable(pull.await.unwrap());
    assert_eq!(
        docker.image("portsip/pbx:22").await.unwrap().unwrap().id,
        IMAGE_ID
    );
}
