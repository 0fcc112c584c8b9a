use std::collections::BTreeMap;
use std::path::Path;
use std::time::{Duration, Instant};

use extend_common::roles::RestartPolicy;
use extend_common::status::ContainerState;
use serde_json::{Value, json};

use super::fake::{Fake, Reply, quick};
use crate::core::spec::{ContainerSpec, Mount};
use crate::docker::engine::Engine;
use crate::docker::{Docker, DockerError};

fn spec() -> ContainerSpec {
    ContainerSpec {
        name: "portsip.mediaserver".to_owned(),
        image: "sha256:aa".to_owned(),
        user: "portsip".to_owned(),
        command: vec!["/usr/local/bin/mediaserver".to_owned(), "start".to_owned()],
        environment: vec!["LD_LIBRARY_PATH=/usr/local/lib".to_owned()],
        network: "host".to_owned(),
        capabilities: vec!["SYS_PTRACE".to_owned()],
        mounts: vec![
            Mount {
                source: "/data".to_owned(),
                target: "/pbx".to_owned(),
                read_only: false,
            },
            Mount {
                source: "/etc/localtime".to_owned(),
                target: "/etc/localtime".to_owned(),
                read_only: true,
            },
        ],
        policy: RestartPolicy::UnlessStopped,
        stop_timeout_seconds: 300,
        labels: BTreeMap::from([("io.extend.node".to_owned(), "127.0.9.1".to_owned())]),
        log_max_size: "50m".to_owned(),
        log_max_files: 5,
        directories: Vec::new(),
    }
}

fn error(status: u16, message: &str) -> Reply {
    Reply::With(status, json!({ "message": message }).to_string())
}

fn words<T: std::fmt::Debug>(answer: Result<T, DockerError>) -> String {
    match answer.unwrap_err() {
        DockerError::Unavailable(words) => words,
        other => panic!("it answered: {other:?}"),
    }
}

#[tokio::test]
async fn a_container_is_asked_for_as_specified_and_nothing_more() {
    let fake = Fake::new(Reply::With(
        201,
        json!({ "Id": "abc", "Warnings": [] }).to_string(),
    ));
    assert_eq!(fake.engine().create(&spec()).await.unwrap(), "abc");
    let asked = fake.asked();
    assert!(
        asked.line.starts_with("POST /containers/create?"),
        "{}",
        asked.line
    );
    assert!(
        asked.line.contains("name=portsip.mediaserver"),
        "{}",
        asked.line
    );
    let expected = json!({
        "Image": "sha256:aa",
        "User": "portsip",
        "Cmd": ["/usr/local/bin/mediaserver", "start"],
        "Env": ["LD_LIBRARY_PATH=/usr/local/lib"],
        "Labels": { "io.extend.node": "127.0.9.1" },
        "StopTimeout": 300,
        "HostConfig": {
            "NetworkMode": "host",
            "CapAdd": ["SYS_PTRACE"],
            "Mounts": [
                { "Type": "bind", "Source": "/data", "Target": "/pbx" },
                {
                    "Type": "bind",
                    "Source": "/etc/localtime",
                    "Target": "/etc/localtime",
                    "ReadOnly": true,
                },
            ],
            "RestartPolicy": { "Name": "unless-stopped" },
            "LogConfig": {
                "Type": "json-file",
                "Config": { "max-size": "50m", "max-file": "5" },
            },
        },
    });
    assert_eq!(
        serde_json::from_str::<Value>(&asked.body).unwrap(),
        expected
    );
}

#[tokio::test]
async fn an_image_decides_what_the_specification_leaves_open() {
    let fake = Fake::new(Reply::With(
        201,
        json!({ "Id": "abc", "Warnings": [] }).to_string(),
    ));
    let bare = ContainerSpec {
        user: String::new(),
        command: Vec::new(),
        environment: Vec::new(),
        capabilities: Vec::new(),
        ..spec()
    };
    fake.engine().create(&bare).await.unwrap();
    let body: Value = serde_json::from_str(&fake.asked().body).unwrap();
    for key in ["User", "Cmd", "Env"] {
        assert_eq!(body.get(key), None, "{key}");
    }
    assert_eq!(body["HostConfig"].get("CapAdd"), None);
}

#[tokio::test]
async fn each_call_asks_for_one_thing() {
    let fake = Fake::new(Reply::With(204, String::new()));
    let engine = fake.engine();
    engine.start("aa").await.unwrap();
    assert_eq!(fake.asked().line, "POST /containers/aa/start");
    engine.signal("aa", "SIGTERM").await.unwrap();
    assert_eq!(fake.asked().line, "POST /containers/aa/kill?signal=SIGTERM");
    engine.rename("aa", "bb").await.unwrap();
    assert_eq!(fake.asked().line, "POST /containers/aa/rename?name=bb");
    engine.remove("aa").await.unwrap();
    assert_eq!(
        fake.asked().line,
        "DELETE /containers/aa?v=false&force=false&link=false"
    );
    engine.set_policy("aa", RestartPolicy::No).await.unwrap();
    assert_eq!(fake.asked().line, "POST /containers/aa/update");
    assert_eq!(fake.asked().body, r#"{"RestartPolicy":{"Name":"no"}}"#);
}

#[tokio::test]
async fn a_name_is_that_name_and_nothing_that_begins_so() {
    let inspected = json!({
        "Id": "aabb", "Name": "/portsip.mediaserver", "Image": "sha256:aa", "RestartCount": 3,
        "State": {
            "Status": "restarting", "ExitCode": 137, "OOMKilled": true, "Error": "",
            "StartedAt": "2026-11-22T10:23:03.480324876Z",
            "Health": { "Status": "none", "Log": [
                { "ExitCode": 0, "Output": "long ago" },
                { "ExitCode": 0, "Output": "" },
                { "ExitCode": 1, "Output": "curl: (7) Failed\n to connect\n" },
                { "ExitCode": -1, "Output": "x".repeat(5000) },
            ] },
        },
        "Config": { "Labels": { "io.extend.node": "127.0.9.1" }, "StopSignal": "SIGQUIT" },
        "HostConfig": { "RestartPolicy": { "Name": "on-failure" } },
    });
    let fake = Fake::new(Reply::With(200, inspected.to_string()));
    assert_eq!(fake.engine().container("aabb").await, Ok(None), "an id");
    let found = fake
        .engine()
        .container("portsip.mediaserver")
        .await
        .unwrap()
        .unwrap();
    assert_eq!(
        fake.asked().line,
        "GET /containers/portsip.mediaserver/json"
    );
    assert_eq!(
        (found.id.as_str(), found.state),
        ("aabb", ContainerState::Restarting)
    );
    assert_eq!(
        found.started_at, "2026-11-22T10:23:03.480324876Z",
        "word for word"
    );
    assert_eq!(
        (found.exit_code, found.oom_killed, found.restart_count),
        (137, true, 3)
    );
    assert_eq!(
        (found.stop_signal.as_str(), found.health),
        ("SIGQUIT", None)
    );
    let log: Vec<&str> = found.health_log.iter().map(String::as_str).collect();
    assert_eq!(log.len(), 3, "the last ones: {log:?}");
    assert_eq!(log[0], "docker's health check: exit code 0");
    assert!(log[1].starts_with("docker's health check: exit code 1: curl: (7) Failed to connect"));
    assert!(log[2].len() < 1100, "{}", log[2].len());
    assert_eq!(found.owner, None, "half our labels are none");
    assert_eq!(
        found.policy,
        RestartPolicy::Always,
        "Docker may start it again"
    );
    let gone = Fake::new(error(404, "No such container: aa"));
    assert_eq!(gone.engine().container("aa").await, Ok(None));
    assert_eq!(gone.engine().image("aa").await, Ok(None));
    assert_eq!(gone.engine().remove("aa").await, Ok(()), "gone is gone");
}

#[tokio::test]
async fn names_are_listed_without_links() {
    let listed = json!([
        { "Id": "aa", "Names": ["/web/db", "/db"], "Labels": {} },
        { "Id": "bb", "Names": [] },
    ]);
    let fake = Fake::new(Reply::With(200, listed.to_string()));
    let names = fake.engine().names().await.unwrap();
    assert!(
        fake.asked().line.contains("all=true"),
        "{}",
        fake.asked().line
    );
    let names: Vec<_> = names
        .iter()
        .map(|name| (name.id.as_str(), name.name.as_str()))
        .collect();
    assert_eq!(names, [("aa", "db")]);
}

#[tokio::test]
async fn refusals_keep_the_engines_words() {
    let conflict = Fake::new(error(409, "Container aa is not running"));
    let refused = |status, message: &str| {
        Err(DockerError::Refused {
            status,
            message: message.to_owned(),
        })
    };
    let answer = conflict.engine().signal("aa", "SIGTERM").await;
    assert_eq!(answer, refused(409, "Container aa is not running"));
    let long = Fake::new(error(500, &"x".repeat(100_000)));
    let message = long.engine().start("aa").await.unwrap_err().to_string();
    assert!(message.len() < 2_000, "{}", message.len());
    let already = Fake::new(Reply::With(304, String::new()));
    assert_eq!(already.engine().start("aa").await, Ok(()));
    // The Engine's 404 for a container that waits for its restart is not about the container.
    let sandbox = Fake::new(error(404, "sandbox 12ab not found"));
    assert_eq!(
        sandbox.engine().rename("aa", "bb").await,
        refused(409, "sandbox 12ab not found")
    );
    let gone = Fake::new(error(404, "No such container: aa"));
    assert!(
        gone.engine()
            .rename("aa", "bb")
            .await
            .unwrap_err()
            .is_missing()
    );
}

#[tokio::test]
async fn a_silent_engine_is_given_up_on_in_time() {
    let fake = Fake::new(Reply::Silence);
    let engine = fake.engine();
    let begun = Instant::now();
    let text = words(engine.container("portsip.mediaserver").await);
    assert_eq!(
        text,
        "docker did not answer in 200ms (inspecting portsip.mediaserver)"
    );
    assert_eq!(
        words(engine.names().await),
        "docker did not answer in 200ms (listing containers)"
    );
    assert_eq!(
        words(engine.start("aa").await),
        "docker did not answer in 300ms (starting aa)"
    );
    let text = words(engine.signal("aa", "SIGKILL").await);
    assert_eq!(
        text,
        "docker did not answer in 250ms (sending SIGKILL to aa)"
    );
    let text = words(engine.log_tail("aa", 20).await);
    assert_eq!(
        text,
        "docker did not answer in 200ms (reading the output of aa)"
    );
    assert!(begun.elapsed() < Duration::from_secs(5));
    // What was given up on does not stay connected: a daemon that hangs for hours costs nothing.
    let hung_up = fake.hung_up.acquire_many(5);
    tokio::time::timeout(Duration::from_secs(5), hung_up)
        .await
        .expect("hung up")
        .unwrap()
        .forget();
}

#[tokio::test]
async fn a_daemon_may_come_later_than_the_agent() {
    let directory = tempfile::tempdir().unwrap();
    let socket = directory.path().join("later.sock");
    let engine = Engine::connect(&socket, quick()).unwrap();
    let text = words(engine.names().await);
    assert!(
        text.starts_with("docker cannot be reached (listing containers): "),
        "{text}"
    );
    assert!(text.ends_with("(hint: systemctl status docker)"), "{text}");
    let fake = Fake::new(Reply::With(200, "[]".to_owned()));
    std::fs::rename(fake.socket(), &socket).unwrap();
    assert_eq!(engine.names().await, Ok(Vec::new()));
    std::fs::remove_file(&socket).unwrap();
    let text = words(engine.names().await);
    assert!(text.contains("No such file"), "{text}");
    // A socket that a daemon has left behind.
    drop(std::os::unix::net::UnixListener::bind(&socket).unwrap());
    let text = words(engine.container("aa").await);
    assert!(
        text.contains("(inspecting aa): Connection refused"),
        "{text}"
    );
    assert!(text.ends_with("(hint: systemctl status docker)"), "{text}");
}

#[tokio::test]
async fn answers_that_make_no_sense_tell_nothing() {
    for body in ["", "{", "[]", "{}", r#"{"Id":"aa","State":{"Status":""}}"#] {
        let fake = Fake::new(Reply::With(200, body.to_owned()));
        let text = words(fake.engine().container("aa").await);
        assert!(
            text.contains("docker's answer was not understood (inspecting aa)"),
            "{text}"
        );
    }
}

#[tokio::test]
async fn names_do_not_lead_elsewhere() {
    let fake = Fake::new(Reply::With(204, String::new()));
    let engine = fake.engine();
    for name in [
        "",
        "..",
        "a/../b",
        "a/b",
        "a?force=1",
        "a#",
        "a b",
        "-a",
        "ä",
        &"x".repeat(600),
    ] {
        let refused = [
            engine.start(name).await,
            engine.remove(name).await,
            engine.rename("aa", name).await,
            engine.container(name).await.map(drop),
        ];
        for answer in refused {
            assert!(
                matches!(answer, Err(DockerError::Refused { status: 400, .. })),
                "{name}"
            );
        }
    }
    for reference in ["", "../x", "a/../../containers/b", "a?b", "a b", "/a"] {
        let answer = engine.image(reference).await;
        assert!(
            matches!(answer, Err(DockerError::Refused { status: 400, .. })),
            "{reference}"
        );
    }
    assert_eq!(fake.asked().line, "", "nothing was asked");
}

#[tokio::test]
async fn images_are_found_by_reference_digest_and_id() {
    let inspected = json!({
        "Id": "sha256:aa",
        "RepoDigests": ["portsip/pbx@sha256:dd"],
        "Config": { "Labels": { "version": "22.3.0" } },
    });
    let fake = Fake::new(Reply::With(200, inspected.to_string()));
    for reference in [
        "portsip/pbx:22",
        "portsip/pbx@sha256:dd",
        "sha256:aa",
        "host:5000/pbx",
    ] {
        let found = fake.engine().image(reference).await.unwrap().unwrap();
        assert_eq!(fake.asked().line, format!("GET /images/{reference}/json"));
        assert_eq!(found.repo_digests, ["portsip/pbx@sha256:dd"]);
        assert_eq!(found.labels["version"], "22.3.0");
    }
}

#[test]
fn a_socket_must_have_a_name_that_is_text() {
    use std::os::unix::ffi::OsStrExt;
    let path = Path::new(std::ffi::OsStr::from_bytes(b"/run/\xff.sock"));
    assert!(Engine::connect(path, quick()).is_err());
}

#[tokio::test]
async fn a_registry_is_asked_through_the_engine_and_its_digest_believed_only_if_it_is_one() {
    let digest = format!("sha256:{}", "0a".repeat(32));
    let told = |digest: &str| {
        let descriptor = json!({ "mediaType": "x", "digest": digest, "size": 7 });
        Reply::With(
            200,
            json!({ "Descriptor": descriptor, "Platforms": [] }).to_string(),
        )
    };
    let fake = Fake::new(told(&digest));
    let auth = crate::docker::RegistryAuth {
        server: "host:5000".to_owned(),
        username: "anna".to_owned(),
        password: "secret".to_owned(),
    };
    let found = fake
        .engine()
        .leads_to("host:5000/pbx:22", Some(&auth))
        .await;
    assert_eq!(found.unwrap(), digest);
    assert_eq!(fake.asked().line, "GET /distribution/host:5000/pbx:22/json");
    assert!(fake.asked().header("x-registry-auth").is_some());
    for wrong in ["", "sha256:dd", "latest"] {
        let fake = Fake::new(told(wrong));
        let refused = fake.engine().leads_to("portsip/pbx:22", None).await;
        assert!(refused.is_err(), "{wrong}");
    }
    let fake = Fake::new(Reply::Silence);
    let silent = fake.engine().leads_to("portsip/pbx:22", None).await;
    assert!(silent.is_err());
    let escaping = fake.engine().leads_to("portsip/../pbx", None).await;
    assert!(escaping.is_err());
}

#[tokio::test]
async fn memory_is_what_the_processes_have_in_both_versions_of_cgroups() {
    for (stats, expected) in [
        (
            json!({ "usage": 900, "stats": { "total_rss": 500, "total_shmem": 100, "rss": 1 } }),
            Some(600),
        ),
        (
            json!({ "usage": 900, "stats": { "active_file": 200, "anon": 600, "shmem": 100 } }),
            Some(700),
        ),
        (json!({ "usage": 900, "stats": { "anon": 0 } }), Some(0)),
        (json!({ "usage": 900 }), Some(900)),
        // A container that does not run.
        (json!({}), None),
    ] {
        let fake = Fake::new(Reply::With(
            200,
            json!({ "memory_stats": stats }).to_string(),
        ));
        assert_eq!(fake.engine().memory("abc").await.unwrap(), expected);
        let line = fake.asked().line;
        assert!(line.starts_with("GET /containers/abc/stats?"), "{line}");
        assert!(line.contains("stream=false") && line.contains("one-shot=true"));
    }
    let silent = Fake::new(Reply::Silence);
    let words = words(silent.engine().memory("abc").await);
    assert!(words.contains("asking for the memory of abc"), "{words}");
    assert!(silent.engine().memory("../a").await.is_err());
}
