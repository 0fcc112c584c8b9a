use std::time::Duration;

use futures_util::StreamExt;
use serde_json::json;
use tokio::time::timeout;

use super::fake::{End, Fake, Reply, stream};
use crate::docker::engine::pull::options;
use crate::docker::engine::{Engine, EngineTimeouts};
use crate::docker::{Death, Docker, DockerError, Happening, PullProgress, RegistryAuth};

fn progress() -> PullProgress {
    PullProgress::new(String::new())
}

/// An Engine with its usual time-outs.
fn patient(fake: &Fake) -> Engine {
    Engine::connect(fake.socket(), EngineTimeouts::default()).unwrap()
}

fn auth(password: &str) -> RegistryAuth {
    RegistryAuth {
        username: "reader".to_owned(),
        password: password.to_owned(),
        server: "registry.example".to_owned(),
    }
}

#[tokio::test]
async fn a_pull_tells_how_far_it_is() {
    let news = |value: serde_json::Value| (Duration::ZERO, format!("{value}\r\n").into_bytes());
    let late = |value: serde_json::Value| (Duration::from_millis(600), news(value).1);
    let parts = vec![
        news(json!({ "status": "Pulling from portsip/pbx", "id": "22" })),
        late(json!({ "status": "Pulling fs layer", "progressDetail": {}, "id": "a1" })),
        news(json!({ "status": "Pulling fs layer", "progressDetail": {}, "id": "a2" })),
        news(json!({ "status": "Already exists", "progressDetail": {}, "id": "a3" })),
        late(json!({ "status": "Downloading", "id": "a1",
                     "progressDetail": { "current": 41_300_000, "total": 50_000_000 } })),
        late(json!({ "status": "Pull complete", "progressDetail": {}, "id": "a1" })),
        news(json!({ "status": "Status: Downloaded newer image for portsip/pbx:22" })),
    ];
    let fake = Fake::new(Reply::Stream(parts, End::Proper));
    let engine = patient(&fake);
    let progress = progress();
    let mut seen = progress.subscribe();
    let told = tokio::spawn(async move {
        let mut told = Vec::new();
        while seen.changed().await.is_ok() {
            told.push(seen.borrow_and_update().clone());
        }
        told
    });
    engine
        .pull("portsip/pbx:22", None, &progress)
        .await
        .unwrap();
    drop(progress);
    let told = told.await.unwrap();
    let expected = [
        "asking the registry",
        "layer 0/1, 0 MB",
        "layer 1/3, 41 MB",
        "layer 2/3, 41 MB",
    ];
    assert_eq!(told, expected);
    let line = fake.asked().line;
    assert!(line.starts_with("POST /images/create?"), "{line}");
    assert!(
        line.contains("fromImage=portsip%2Fpbx&") && line.contains("tag=22"),
        "{line}"
    );
    assert_eq!(fake.asked().header("x-registry-auth"), None);
}

#[tokio::test]
async fn credentials_go_in_the_alphabet_that_the_engine_reads() {
    let fake = Fake::new(stream(&[], End::Proper));
    // As bollard writes them, these three make a `/` and a `+`.
    for password in ["?????????", ">>>>>>>>>", "a~b~c~d~e~", "ordinary"] {
        let auth = auth(password);
        fake.engine()
            .pull("portsip/pbx:22", Some(&auth), &progress())
            .await
            .unwrap();
        let asked = fake.asked();
        let header = asked.header("x-registry-auth").unwrap();
        let decoded = data_encoding::BASE64URL
            .decode(header.as_bytes())
            .expect(header);
        let value: serde_json::Value = serde_json::from_slice(&decoded).unwrap();
        assert_eq!(value["username"], "reader");
        assert_eq!(value["password"], password);
        assert_eq!(value["serveraddress"], "registry.example");
    }
}

#[tokio::test]
async fn a_pull_that_fails_within_its_answer_has_failed() {
    let failure = json!({ "errorDetail": { "message": "unauthorized" }, "error": "unauthorized" });
    let news = json!({ "status": "Pulling from portsip/pbx", "id": "22" }).to_string();
    let fake = Fake::new(stream(
        &[&news, "\r\n", &failure.to_string(), "\r\n"],
        End::Proper,
    ));
    let answer = fake
        .engine()
        .pull("portsip/pbx:22", None, &progress())
        .await;
    let expected = DockerError::Refused {
        status: 500,
        message: "unauthorized".to_owned(),
    };
    assert_eq!(answer, Err(expected));
    let wordless = json!({ "errorDetail": { "code": 1 } }).to_string();
    let fake = Fake::new(stream(&[&wordless, "\r\n"], End::Proper));
    let answer = fake
        .engine()
        .pull("portsip/pbx:22", None, &progress())
        .await;
    assert!(
        matches!(answer, Err(DockerError::Refused { status: 500, .. })),
        "{answer:?}"
    );
    let missing = json!({ "message": "manifest unknown" }).to_string();
    let fake = Fake::new(Reply::With(404, missing));
    let answer = fake
        .engine()
        .pull("portsip/pbx:22", None, &progress())
        .await;
    assert!(answer.unwrap_err().is_missing());
}

#[tokio::test]
async fn a_pull_is_patient_with_news_only() {
    let line = json!({ "status": "Waiting", "id": "a1" }).to_string() + "\r\n";
    let more = |current: u64| {
        let detail = json!({ "current": current, "total": 4_000_000 });
        let news = json!({ "status": "Downloading", "id": "a1", "progressDetail": detail });
        let late = Duration::from_millis(250);
        (late, (news.to_string() + "\r\n").into_bytes())
    };
    let slow = (1..=4).map(|part| more(part * 1_000_000)).collect();
    let fake = Fake::new(Reply::Stream(slow, End::Proper));
    fake.engine()
        .pull("portsip/pbx:22", None, &progress())
        .await
        .unwrap();
    let fake = Fake::new(stream(&[&line], End::Silent));
    let answer = fake
        .engine()
        .pull("portsip/pbx:22", None, &progress())
        .await;
    let no_progress = "there was no progress for 400ms (pulling portsip/pbx:22: layer 0/1, 0 MB)";
    let given_up = Err(DockerError::Unavailable(no_progress.to_owned()));
    assert_eq!(answer, given_up);
    // Signs of life are no progress: the Engine counts the seconds to its next try.
    let tries = json!({ "status": "Retrying in 5 seconds", "id": "a1" }).to_string() + "\r\n";
    let alive = vec![(Duration::from_millis(100), tries.into_bytes()); 60];
    let fake = Fake::new(Reply::Stream(alive, End::Proper));
    let answer = fake
        .engine()
        .pull("portsip/pbx:22", None, &progress())
        .await;
    assert_eq!(answer, given_up);
    let fake = Fake::new(stream(&[&line], End::Broken));
    let answer = fake
        .engine()
        .pull("portsip/pbx:22", None, &progress())
        .await;
    assert!(
        matches!(answer, Err(DockerError::Unavailable(_))),
        "{answer:?}"
    );
}

#[test]
fn one_tag_is_pulled_and_never_all() {
    let cases = [
        ("portsip/pbx:22", "portsip/pbx", "22"),
        ("portsip/pbx", "portsip/pbx", "latest"),
        ("pbx", "pbx", "latest"),
        ("host:5000/pbx", "host:5000/pbx", "latest"),
        ("host:5000/a/pbx:22.3", "host:5000/a/pbx", "22.3"),
        ("portsip/pbx@sha256:dd", "portsip/pbx@sha256:dd", ""),
    ];
    for (reference, image, tag) in cases {
        let options = options(reference);
        assert_eq!(options.from_image.as_deref(), Some(image), "{reference}");
        assert_eq!(
            options.tag.as_deref().unwrap_or_default(),
            tag,
            "{reference}"
        );
    }
}

#[tokio::test]
async fn ends_are_told_and_the_rest_is_hinted_at_until_the_connection_breaks() {
    let event = |action: &str| json!({ "Type": "container", "Action": action }).to_string() + "\n";
    let parts = [
        event("start"),
        event("exec_create: /bin/sh"),
        event("die"),
        json!({
            "Type": "container", "Action": "oom", "Actor": { "ID": "c1", "Attributes": {} },
        })
        .to_string()
            + "\n",
        json!({
            "Type": "container",
            "Action": "die",
            "Actor": { "ID": "c1", "Attributes": { "exitCode": "137", "name": "x" } },
        })
        .to_string()
            + "\n",
        json!({ "Type": "newfangled", "Action": "x" }).to_string() + "\n",
    ];
    let parts: Vec<&str> = parts.iter().map(String::as_str).collect();
    let fake = Fake::new(stream(&parts, End::Broken));
    let items: Vec<_> = fake.engine().events().collect().await;
    let died = Happening::Died(Death {
        container_id: "c1".to_owned(),
        exit_code: 137,
        oom_killed: false,
    });
    let told = [
        Happening::Changed,
        Happening::Changed,
        Happening::OutOfMemory("c1".to_owned()),
        died,
        Happening::Changed,
    ];
    assert_eq!(items[..5], told.map(Ok), "{items:?}");
    assert!(
        matches!(&items[5..], [Err(DockerError::Unavailable(_))]),
        "{items:?}"
    );
    let line = fake.asked().line;
    assert!(line.starts_with("GET /events?"), "{line}");
    assert!(
        line.contains("health_status") && !line.contains("exec_"),
        "{line}"
    );
    assert!(line.contains("container"), "{line}");

    let fake = Fake::new(stream(&[&event("start")], End::Proper));
    let items: Vec<_> = fake.engine().events().collect().await;
    let words = "docker closed the connection (listening to events)".to_owned();
    assert_eq!(
        items,
        [Ok(Happening::Changed), Err(DockerError::Unavailable(words))]
    );
}

#[tokio::test]
async fn the_event_stream_opens_in_time_and_then_stays_open() {
    let fake = Fake::new(Reply::Silence);
    let items: Vec<_> = timeout(Duration::from_secs(10), fake.engine().events().collect())
        .await
        .unwrap();
    let words = "docker did not answer in 1s (listening to events)".to_owned();
    assert_eq!(items, [Err(DockerError::Unavailable(words))]);
    let fake = Fake::new(stream(&[], End::Silent));
    let mut events = fake.engine().events();
    let silence = timeout(Duration::from_millis(1_500), events.next()).await;
    assert!(silence.is_err(), "quiet is not broken: {silence:?}");
}

pub(super) fn frame(kind: u8, text: &[u8]) -> (Duration, Vec<u8>) {
    let length = u32::try_from(text.len()).unwrap().to_be_bytes();
    let mut bytes = vec![kind, 0, 0, 0];
    bytes.extend(length);
    bytes.extend(text);
    (Duration::ZERO, bytes)
}

#[tokio::test]
async fn output_is_merged_clipped_and_bounded() {
    let long = [b'x'; 16 * 1024];
    let frames = vec![
        frame(1, b"first\n"),
        frame(2, b"second\r\n"),
        frame(1, &long),
        frame(2, b"between\n"),
        frame(1, b"the rest of the long one\n"),
        frame(1, b"\xff\xfe binary\n"),
        frame(1, b"last\n"),
    ];
    let fake = Fake::new(Reply::Stream(frames, End::Proper));
    let lines = fake.engine().log_tail("aa", 20).await.unwrap();
    let x = "x".repeat(1024);
    assert_eq!(
        lines,
        [
            "first",
            "second",
            &x,
            "between",
            "\u{fffd}\u{fffd} binary",
            "last"
        ]
    );
    assert!(
        fake.asked().line.contains("tail=20"),
        "{}",
        fake.asked().line
    );
    let last = fake.engine().log_tail("aa", 2).await.unwrap();
    assert_eq!(last, ["\u{fffd}\u{fffd} binary", "last"]);

    let flood = vec![frame(1, &[b"y".repeat(1000), b"\n".to_vec()].concat()); 500];
    let fake = Fake::new(Reply::Stream(flood, End::Proper));
    let lines = patient(&fake).log_tail("aa", 1_000_000).await.unwrap();
    let bytes: usize = lines.iter().map(String::len).sum();
    assert!((60_000..=64 * 1024).contains(&bytes), "{bytes}");
    assert!(fake.asked().line.contains("tail=1000&") || fake.asked().line.ends_with("tail=1000"));
}
