//! The containers of the four cluster roles on a real Engine, field by field. What is expected
//! stands here in full, from the description of the official ones and the differences that are
//! wanted; it is not taken from the role definitions.

use std::collections::BTreeMap;

use bollard::models::{ContainerCreateBody, HostConfig};
use bollard::query_parameters::CreateContainerOptionsBuilder;
use extend_agent::core::spec::{ContainerSpec, Mount};
use serde_json::{Value, json};

use crate::bench::{Bench, refused, rendered};
use crate::real::{RealBench, SOCKET, docker_text};

/// Role, container name, binary.
const OFFICIAL: [(&str, &str, &str); 4] = [
    (
        "media-server-only",
        "portsip.mediaserver",
        "/usr/local/bin/mediaserver",
    ),
    (
        "queue-server-only",
        "portsip.callqueue",
        "/usr/local/bin/callqueue",
    ),
    (
        "meeting-server-only",
        "portsip.conference",
        "/usr/local/bin/conf",
    ),
    (
        "vr-server-only",
        "portsip.virtualreceptionist",
        "/usr/local/bin/vr",
    ),
];

fn inspect(id: &str) -> Value {
    let text = docker_text(&["inspect", "--format", "{{json .}}", id]);
    serde_json::from_str(&text).unwrap()
}

/// Where two objects differ, and what the second has there.
fn differences(bare: &Value, ours: &Value) -> BTreeMap<String, Value> {
    let (bare, ours) = (bare.as_object().unwrap(), ours.as_object().unwrap());
    let keys = bare.keys().chain(ours.keys());
    keys.filter(|key| bare.get(*key) != ours.get(*key))
        .map(|key| (key.clone(), ours.get(key).cloned().unwrap_or_default()))
        .collect()
}

/// A container of which nothing is said but its image: what Docker makes of it by itself.
async fn bare(bench: &RealBench, like: &ContainerSpec) -> Value {
    let client =
        bollard::Docker::connect_with_unix(SOCKET, 30, bollard::API_DEFAULT_VERSION).unwrap();
    let name = format!("{}-bare", like.name);
    let options = CreateContainerOptionsBuilder::default().name(&name).build();
    let body = ContainerCreateBody {
        image: Some(bench.image_id().to_owned()),
        labels: Some(like.labels.clone().into_iter().collect()),
        host_config: Some(HostConfig::default()),
        ..ContainerCreateBody::default()
    };
    inspect(
        &client
            .create_container(Some(options), body)
            .await
            .unwrap()
            .id,
    )
}

#[tokio::test]
async fn each_role_is_the_official_container() {
    for (role, name, binary) in OFFICIAL {
        let bench = RealBench::new();
        let spec = bench.spec_of(role);
        let node = spec.labels["io.extend.node"].clone();
        let data = spec.directories[0].path.clone();
        let official = rendered(role, &node, data.as_ref(), bench.image_id());
        assert_eq!(
            official,
            ContainerSpec {
                name: name.to_owned(),
                ..spec.clone()
            }
        );

        let ours = inspect(&bench.docker().create(&spec).await.unwrap());
        let bare = bare(&bench, &spec).await;
        let command = json!([
            binary,
            "-D",
            "/var/lib/portsip/pbx",
            "-E",
            "-a",
            "54.151.30.9",
            "-x",
            node,
            "-n",
            "server-1",
            "start"
        ]);
        let host_name = docker_text(&["info", "--format", "{{.Name}}"]);
        let mut environment = vec![json!("LD_LIBRARY_PATH=/usr/local/lib")];
        environment.extend(bare["Config"]["Env"].as_array().unwrap().iter().cloned());
        let config = differences(&bare["Config"], &ours["Config"]);
        let expected = json!({
            "Cmd": command,
            "Env": environment,
            "Hostname": host_name,
            "StopTimeout": 300,
            "User": "portsip",
        });
        assert_eq!(json!(config), expected, "{role}: Config");

        let source = format!("{data}/{role}");
        let host_config = differences(&bare["HostConfig"], &ours["HostConfig"]);
        let expected = json!({
            "CapAdd": ["SYS_PTRACE"],
            "LogConfig": { "Type": "json-file", "Config": { "max-size": "50m", "max-file": "5" } },
            "Mounts": [
                { "Type": "bind", "Source": source, "Target": "/var/lib/portsip/pbx" },
                {
                    "Type": "bind",
                    "Source": "/etc/localtime",
                    "Target": "/etc/localtime",
                    "ReadOnly": true,
                },
            ],
            "NetworkMode": "host",
            "RestartPolicy": { "Name": "unless-stopped", "MaximumRetryCount": 0 },
        });
        assert_eq!(json!(host_config), expected, "{role}: HostConfig");

        assert_eq!(ours["Image"], bench.image_id(), "{role}");
        assert_eq!(ours["Path"], bare["Path"], "the image's entrypoint stays");
        assert_eq!(ours["Args"], command, "{role}");
        assert_eq!(ours["State"], bare["State"]);
        let labels = ours["Config"]["Labels"].as_object().unwrap();
        let own: BTreeMap<_, _> = labels
            .iter()
            .filter(|(key, _)| key.starts_with("io.extend."))
            .collect();
        let expected = json!({
            "io.extend.deployment": "7",
            "io.extend.node": node,
            "io.extend.role": role,
            "io.extend.server": "server-1",
        });
        assert_eq!(json!(own), expected);
        assert_eq!(
            labels.len(),
            4 + 2,
            "ours, and the image's version and product: {labels:?}"
        );
    }
}

#[tokio::test]
async fn a_missing_directory_is_an_error_and_is_not_made() {
    let bench = RealBench::new();
    let mut spec = bench.spec();
    let missing = format!("{}/not-there", spec.mounts[0].source);
    spec.mounts[0] = Mount {
        source: missing.clone(),
        ..spec.mounts[0].clone()
    };
    let (status, words) = refused(bench.docker().create(&spec).await);
    assert_eq!(status, 400);
    assert!(words.contains("bind source path does not exist"), "{words}");
    assert!(!std::path::Path::new(&missing).exists());
}

#[tokio::test]
async fn output_comes_in_order() {
    let bench = RealBench::new();
    let (spec, docker) = (bench.spec(), bench.docker());
    let id = docker.create(&spec).await.unwrap();
    docker.start(&id).await.unwrap();
    let mut lines = Vec::new();
    for _ in 0..100 {
        lines = docker.log_tail(&id, 100).await.unwrap();
        if lines.last().is_some_and(|line| line.ends_with("ready")) {
            break;
        }
        tokio::time::sleep(std::time::Duration::from_millis(50)).await;
    }
    assert!(lines.len() >= 3, "{lines:?}");
    assert!(
        lines[0].contains("mediaserver 22.3.0 (stand-in), server name server-1"),
        "{lines:?}"
    );
    assert_eq!(
        docker.log_tail(&id, 2).await.unwrap(),
        lines[lines.len() - 2..]
    );
}
