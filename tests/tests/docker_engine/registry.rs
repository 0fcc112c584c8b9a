//! Pulls by a real Engine, from a registry that is a few lines in this process: Docker speaks
//! plain HTTP with registries on the loopback.

use std::process::Command;
use std::sync::{Arc, Mutex};

use data::Pieces;
use extend_agent::docker::{DockerError, PullProgress, RegistryAuth};
use tokio::io::{AsyncBufReadExt, AsyncWriteExt, BufReader};
use tokio::net::{TcpListener, TcpStream};

use crate::bench::{Bench, refused};
use crate::real::{RealBench, docker};

/// `reader:pass??>>~~` in base 64: a password that the two alphabets write differently.
const BASIC: &str = "Basic cmVhZGVyOnBhc3M/Pz4+fn4=";
const PASSWORD: &str = "pass??>>~~";

mod data {
    use super::Command;

    /// The parts of an image with one layer.
    pub(super) struct Pieces {
        pub(super) manifest: String,
        pub(super) manifest_digest: String,
        pub(super) config: String,
        pub(super) config_digest: String,
        pub(super) layer: Vec<u8>,
        pub(super) layer_digest: String,
    }

    pub(super) fn digest(bytes: &[u8]) -> String {
        let directory = tempfile::tempdir().unwrap();
        let file = directory.path().join("bytes");
        std::fs::write(&file, bytes).unwrap();
        let sum = Command::new("sha256sum").arg(&file).output().unwrap();
        let text = String::from_utf8(sum.stdout).unwrap();
        format!("sha256:{}", text.split_whitespace().next().unwrap())
    }

    impl Pieces {
        pub(super) fn new(version: &str) -> Self {
            let directory = tempfile::tempdir().unwrap();
            std::fs::write(directory.path().join("version"), version).unwrap();
            let tar = Command::new("tar")
                .args(["-c", "-C"])
                .arg(directory.path())
                .arg("version")
                .output()
                .unwrap();
            let layer = tar.stdout;
            let layer_digest = digest(&layer);
            let config = serde_json::json!({
                "architecture": "amd64",
                "os": "linux",
                "config": { "Labels": { "product": "PBX", "version": version } },
                "rootfs": { "type": "layers", "diff_ids": [layer_digest] },
            })
            .to_string();
            let config_digest = digest(config.as_bytes());
            let manifest = serde_json::json!({
                "schemaVersion": 2,
                "mediaType": "application/vnd.docker.distribution.manifest.v2+json",
                "config": {
                    "mediaType": "application/vnd.docker.container.image.v1+json",
                    "size": config.len(),
                    "digest": config_digest,
                },
                "layers": [{
                    "mediaType": "application/vnd.docker.image.rootfs.diff.tar.gzip",
                    "size": layer.len(),
                    "digest": layer_digest,
                }],
            })
            .to_string();
            let manifest_digest = digest(manifest.as_bytes());
            Self {
                manifest,
                manifest_digest,
                config,
                config_digest,
                layer,
                layer_digest,
            }
        }
    }
}

/// A registry with one image; whoever has not the password gets nothing.
struct Registry {
    address: String,
    asked: Arc<Mutex<Vec<String>>>,
}

impl Registry {
    async fn new(pieces: Pieces) -> Self {
        let listener = TcpListener::bind("127.0.9.4:0").await.unwrap();
        let address = listener.local_addr().unwrap().to_string();
        let asked: Arc<Mutex<Vec<String>>> = Arc::default();
        let (pieces, kept) = (Arc::new(pieces), asked.clone());
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                let (pieces, kept) = (pieces.clone(), kept.clone());
                tokio::spawn(async move { serve(stream, &pieces, &kept).await });
            }
        });
        Self { address, asked }
    }
}

async fn serve(stream: TcpStream, pieces: &Pieces, asked: &Mutex<Vec<String>>) -> Option<()> {
    let mut stream = BufReader::new(stream);
    loop {
        let (mut first, mut is_known) = (String::new(), false);
        stream
            .read_line(&mut first)
            .await
            .ok()
            .filter(|read| *read > 0)?;
        loop {
            let mut line = String::new();
            stream.read_line(&mut line).await.ok()?;
            is_known |= line.trim().to_lowercase()
                == format!("authorization: {BASIC}").to_lowercase()
                && line.contains(BASIC);
            if line.trim().is_empty() {
                break;
            }
        }
        let mut words = first.split_whitespace();
        let (method, path) = (words.next()?, words.next()?);
        asked
            .lock()
            .unwrap()
            .push(format!("{method} {path} {is_known}"));
        let (status, kind, digest, body) = answer(path, is_known, pieces);
        let head = format!(
            "HTTP/1.1 {status}\r\ncontent-type: {kind}\r\ncontent-length: {}\r\n\
             docker-distribution-api-version: registry/2.0\r\n\
             www-authenticate: Basic realm=\"test\"\r\ndocker-content-digest: {digest}\r\n\r\n",
            body.len()
        );
        stream.write_all(head.as_bytes()).await.ok()?;
        if method != "HEAD" {
            stream.write_all(body).await.ok()?;
        }
    }
}

fn answer<'a>(
    path: &str,
    is_known: bool,
    pieces: &'a Pieces,
) -> (&'static str, &'static str, &'a str, &'a [u8]) {
    const JSON: &str = "application/json";
    let manifest = "application/vnd.docker.distribution.manifest.v2+json";
    if !is_known {
        let body = br#"{"errors":[{"code":"UNAUTHORIZED","message":"who are you"}]}"#;
        return ("401 Unauthorized", JSON, "", body);
    }
    let is_blob = |digest: &str| path == format!("/v2/pbx/blobs/{digest}");
    let is_manifest = |name: &str| path == format!("/v2/pbx/manifests/{name}");
    if path == "/v2/" {
        ("200 OK", JSON, "", b"{}")
    } else if is_manifest("22") || is_manifest(&pieces.manifest_digest) {
        (
            "200 OK",
            manifest,
            &pieces.manifest_digest,
            pieces.manifest.as_bytes(),
        )
    } else if is_blob(&pieces.config_digest) {
        (
            "200 OK",
            "application/octet-stream",
            &pieces.config_digest,
            pieces.config.as_bytes(),
        )
    } else if is_blob(&pieces.layer_digest) {
        (
            "200 OK",
            "application/octet-stream",
            &pieces.layer_digest,
            &pieces.layer,
        )
    } else {
        let body = br#"{"errors":[{"code":"MANIFEST_UNKNOWN","message":"manifest unknown"}]}"#;
        ("404 Not Found", JSON, "", body)
    }
}

/// Removes an image by its id when the test is over.
struct Pulled(String);

impl Drop for Pulled {
    fn drop(&mut self) {
        docker(&["image", "rm", "--force", &self.0]);
    }
}

fn auth(registry: &Registry, password: &str) -> RegistryAuth {
    RegistryAuth {
        username: "reader".to_owned(),
        password: password.to_owned(),
        server: registry.address.clone(),
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_image_is_pulled_with_credentials_and_has_a_digest() {
    let bench = RealBench::new();
    let pieces = Pieces::new(&format!("22.9.{}", std::process::id()));
    let manifest_digest = pieces.manifest_digest.clone();
    let registry = Registry::new(pieces).await;
    let reference = format!("{}/pbx:22", registry.address);
    let docker = bench.docker();
    let progress = PullProgress::new(String::new());
    let pull = async |password: &str| {
        docker
            .pull(&reference, Some(&auth(&registry, password)), &progress)
            .await
    };
    for denied in [
        docker.pull(&reference, None, &progress).await,
        pull("wrong").await,
    ] {
        let (_, words) = refused(denied);
        assert!(
            words.contains("who are you") || words.contains("basic auth"),
            "{words}"
        );
    }
    assert_eq!(docker.image(&reference).await, Ok(None));

    let _cleanup = Pulled(reference.clone());
    pull(PASSWORD)
        .await
        .unwrap_or_else(|e| panic!("{e}: {:?}", registry.asked.lock().unwrap()));
    let words = progress.borrow().clone();
    assert!(
        words.ends_with(" MB") || words == "asking the registry",
        "{words}"
    );
    let image = docker.image(&reference).await.unwrap().unwrap();
    let id = image.id.clone();
    let identity = format!("{}/pbx@{manifest_digest}", registry.address);
    assert_eq!(image.repo_digests, [identity.as_str()]);
    assert_eq!(docker.image(&identity).await, Ok(Some(image)));
    // Pulled again by its identity, as a reference of its own.
    docker
        .pull(&identity, Some(&auth(&registry, PASSWORD)), &progress)
        .await
        .unwrap();
    let mut spec = bench.spec();
    spec.image.clone_from(&identity);
    docker.create(&spec).await.unwrap();
    let made = docker.container(&spec.name).await.unwrap().unwrap();
    assert_eq!(made.image_id, id);
    docker.remove(&made.id).await.unwrap();

    // Nobody uses it: it goes with all of its names, and a pin brings it back.
    docker.remove_image(&id).await.unwrap();
    for name in [&reference, &identity, &id] {
        assert_eq!(docker.image(name).await, Ok(None), "{name}");
    }
    let root = docker.data_root().await.unwrap();
    assert!(root.is_dir(), "{}", root.display());
    docker
        .pull(&identity, Some(&auth(&registry, PASSWORD)), &progress)
        .await
        .unwrap();
    let image = docker.image(&identity).await.unwrap().unwrap();
    assert_eq!((&image.id, &image.repo_digests), (&id, &vec![identity]));
    assert!(image.size > 0);
    docker.remove_image(&id).await.unwrap();

    let missing = format!("{}/pbx:99", registry.address);
    let answer = docker
        .pull(&missing, Some(&auth(&registry, PASSWORD)), &progress)
        .await;
    let (_, words) = refused(answer);
    assert!(words.contains("manifest unknown"), "{words}");
}

#[tokio::test]
async fn a_registry_that_is_not_there_is_an_error() {
    let bench = RealBench::new();
    let progress = PullProgress::new(String::new());
    let answer = bench
        .docker()
        .pull("127.0.9.4:1/pbx:22", None, &progress)
        .await;
    assert!(
        matches!(answer, Err(DockerError::Refused { .. })),
        "{answer:?}"
    );
}
