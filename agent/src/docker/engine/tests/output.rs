//! Output as the Engine sends it, read along.

use std::time::Duration;

use futures_util::StreamExt;
use serde_json::json;
use tokio::time::timeout;

use super::fake::{End, Fake, Reply};
use super::streams::frame;
use crate::docker::{Docker, DockerError, OutputQuery};

fn stamped(kind: u8, second: u8, text: &[u8]) -> (Duration, Vec<u8>) {
    let mut line = format!("2026-11-22T10:13:{second:02}.500000000Z ").into_bytes();
    line.extend(text);
    frame(kind, &line)
}

fn wanted(follow: bool, since: Option<&str>) -> OutputQuery {
    OutputQuery {
        tail: 7,
        since: since.map(|at| at.parse().unwrap()),
        follow,
    }
}

#[tokio::test]
async fn output_is_read_along_with_dockers_times_taken_off() {
    let frames = vec![
        stamped(1, 1, b"seen already\n"),
        stamped(2, 2, b"to stderr\n"),
        stamped(1, 3, b"a part of a"),
        stamped(1, 3, b" line \xff\n"),
        frame(1, b"no time at all\n"),
    ];
    let fake = Fake::new(Reply::Stream(frames, End::Proper));
    let since = Some("2026-11-22T10:13:01.5Z");
    let parts: Vec<_> = fake
        .engine()
        .output("aa", wanted(false, since))
        .map(|part| part.map(|part| (part.at.map(|at| at.as_second() % 60), part.bytes)))
        .collect()
        .await;
    let expected: [(Option<i64>, &[u8]); 4] = [
        (Some(2), b"to stderr\n"),
        (Some(3), b"a part of a"),
        (Some(3), b" line \xff\n"),
        (None, b"no time at all\n"),
    ];
    assert_eq!(parts, expected.map(|(at, bytes)| Ok((at, bytes.to_vec()))));
    let line = fake.asked().line;
    for word in [
        "stdout=true",
        "stderr=true",
        "timestamps=true",
        "tail=7",
        "follow=false",
    ] {
        assert!(line.contains(word), "{line}");
    }
    assert!(line.contains("since=1795342381"), "{line}");
}

#[tokio::test]
async fn silence_ends_an_output_unless_it_is_followed() {
    let fake = Fake::new(Reply::Stream(vec![stamped(1, 1, b"a\n")], End::Silent));
    let mut output = fake.engine().output("aa", wanted(false, None));
    assert!(output.next().await.unwrap().is_ok());
    let end = timeout(Duration::from_secs(10), output.next())
        .await
        .unwrap();
    let words = "docker did not answer in 1s (reading the output of aa)".to_owned();
    assert_eq!(end, Some(Err(DockerError::Unavailable(words.clone()))));
    assert_eq!(output.next().await, None);

    let mut output = fake.engine().output("aa", wanted(true, None));
    assert!(output.next().await.unwrap().is_ok());
    let silence = timeout(Duration::from_millis(1_500), output.next()).await;
    assert!(silence.is_err(), "quiet is not broken: {silence:?}");
    let before = fake.hung_up.available_permits();
    drop(output);
    let hung_up = fake
        .hung_up
        .acquire_many(u32::try_from(before).unwrap() + 1);
    let hung_up = timeout(Duration::from_secs(10), hung_up).await;
    assert!(hung_up.is_ok(), "whoever stops reading hangs up");

    let mute = Fake::new(Reply::Silence);
    let mut output = mute.engine().output("aa", wanted(true, None));
    let first = timeout(Duration::from_secs(10), output.next())
        .await
        .unwrap();
    assert_eq!(first, Some(Err(DockerError::Unavailable(words))));
}

#[tokio::test]
async fn an_output_that_breaks_off_or_is_refused_ends_with_one_error() {
    let fake = Fake::new(Reply::Stream(vec![stamped(1, 1, b"a\n")], End::Broken));
    let items: Vec<_> = fake
        .engine()
        .output("aa", wanted(true, None))
        .collect()
        .await;
    assert!(
        matches!(items.as_slice(), [Ok(_), Err(DockerError::Unavailable(_))]),
        "{items:?}"
    );
    let missing = json!({ "message": "No such container: aa" }).to_string();
    let fake = Fake::new(Reply::With(404, missing));
    let items: Vec<_> = fake
        .engine()
        .output("aa", wanted(true, None))
        .collect()
        .await;
    let [Err(error)] = items.as_slice() else {
        panic!("{items:?}");
    };
    assert!(error.is_missing());
    let items: Vec<_> = fake
        .engine()
        .output("a/../b", wanted(true, None))
        .collect()
        .await;
    assert!(matches!(items.as_slice(), [Err(_)]), "{items:?}");
}
