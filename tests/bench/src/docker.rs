//! The Docker Engine by way of its ordinary client: what is seen here does not pass through what is
//! measured. Its events bear the Engine's own times.

use std::process::Command;
use std::time::Duration;

use anyhow::Context as _;
use jiff::Timestamp;
use serde::Deserialize;

use crate::program::output;

/// Between two looks at the Engine's events: the events say when they happened, so that this is not
/// in any figure.
const PACE: Duration = Duration::from_millis(100);

/// Runs the client; what it says.
pub(crate) fn docker(words: &[&str]) -> anyhow::Result<String> {
    let mut command = Command::new("docker");
    command.env_remove("DOCKER_CONTEXT").args(words);
    output(&mut command, "")
}

/// Something that happened to a container.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Event {
    /// `kill`, `die`, `start` and so on.
    pub(crate) action: String,
    /// The container's name at that time.
    pub(crate) container: String,
    /// When.
    pub(crate) at: Timestamp,
}

#[derive(Deserialize)]
struct Line {
    #[serde(rename = "Action")]
    action: String,
    #[serde(rename = "Actor")]
    actor: Actor,
    #[serde(rename = "timeNano")]
    nanos: i64,
}

#[derive(Deserialize)]
struct Actor {
    #[serde(rename = "Attributes")]
    attributes: Attributes,
}

#[derive(Deserialize)]
struct Attributes {
    name: String,
}

/// What happened to containers since then, oldest first.
pub(crate) fn events(since: Timestamp) -> anyhow::Result<Vec<Event>> {
    let seconds = |at: Timestamp| format!("{}.{:09}", at.as_second(), at.subsec_nanosecond());
    let (since, until) = (seconds(since), seconds(Timestamp::now()));
    let words = ["events", "--filter", "type=container"];
    let format = ["--format", "{{json .}}"];
    let window = ["--since", &since, "--until", &until];
    let text = docker(&[words.as_slice(), &format, &window].concat())?;
    text.lines().map(parse).collect()
}

fn parse(line: &str) -> anyhow::Result<Event> {
    let line: Line = serde_json::from_str(line).context("reading an event of the Engine")?;
    Ok(Event {
        action: line.action,
        container: line.actor.attributes.name,
        at: Timestamp::from_nanosecond(line.nanos.into())?,
    })
}

/// Waits until the events since then satisfy; none when they have not by the end of `bound`.
pub(crate) async fn await_events<T>(
    since: Timestamp,
    bound: Duration,
    satisfied: impl Fn(&[Event]) -> Option<T>,
) -> anyhow::Result<Option<T>> {
    let deadline = tokio::time::Instant::now() + bound;
    loop {
        if let Some(found) = satisfied(&events(since)?) {
            return Ok(Some(found));
        }
        if tokio::time::Instant::now() > deadline {
            return Ok(None);
        }
        tokio::time::sleep(PACE).await;
    }
}

/// When an action befell a container first.
pub(crate) fn first(events: &[Event], container: &str, action: &str) -> Option<Timestamp> {
    let found = events
        .iter()
        .find(|event| event.container == container && event.action == action);
    found.map(|event| event.at)
}

/// How long after `from` something was; nothing for what was before.
pub(crate) fn since(from: Timestamp, at: Timestamp) -> Duration {
    Duration::try_from(at.duration_since(from)).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_event_is_read_with_its_own_time() {
        let line = r#"{"status":"start","id":"4c","Type":"container","Action":"start","Actor":
            {"ID":"4c","Attributes":{"image":"x","name":"portsip.mediaserver"}},"scope":"local",
            "time":1795000000,"timeNano":1795000000250000000}"#;
        let event = parse(&line.replace('\n', "")).unwrap();
        assert_eq!(event.action, "start");
        let second = Timestamp::from_second(1_795_000_000).unwrap();
        assert_eq!(since(second, event.at), Duration::from_millis(250));
        let (at, all) = (event.at, [event]);
        assert_eq!(first(&all, "portsip.mediaserver", "start"), Some(at));
        assert_eq!(first(&all, "portsip.mediaserver", "die"), None);
    }
}
