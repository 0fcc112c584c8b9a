//! The Engine's event stream, reduced to ends of processes and hints that something may have
//! happened.

use std::collections::HashMap;
use std::time::Duration;

use bollard::errors::Error;
use bollard::models::EventMessage;
use bollard::query_parameters::EventsOptionsBuilder;
use futures_util::StreamExt;
use futures_util::stream::{self, BoxStream};

use super::trouble::{explain, silent};
use crate::docker::{Death, DockerError, Happening};

/// What an error of the stream names.
pub(super) const DOING: &str = "listening to events";

/// The events that can change what an inspection shows. With a health check the Engine tells of
/// two `exec_*` every few seconds, which change nothing.
const ACTIONS: [&str; 13] = [
    "create",
    "start",
    "die",
    "stop",
    "kill",
    "oom",
    "pause",
    "unpause",
    "rename",
    "destroy",
    "update",
    "restart",
    "health_status",
];

/// A hint for each event, until the connection breaks: then one error, and the end. A daemon that
/// hangs afterwards is not noticed here; nothing ever tells on this stream that it is alive.
pub(super) fn happenings(
    client: &bollard::Docker,
    open_limit: Duration,
) -> BoxStream<'static, Result<Happening, DockerError>> {
    let filters = HashMap::from([("type", vec!["container"]), ("event", ACTIONS.to_vec())]);
    let options = EventsOptionsBuilder::default().filters(&filters).build();
    // bollard's time-out ends with the head of the answer, which the Engine sends at once.
    let limit = Duration::from_secs(open_limit.as_secs().max(1));
    let events = client.clone().with_timeout(limit).events(Some(options));
    let hints = events.filter_map(move |item| async move {
        match item {
            Ok(event) => {
                let action = event.action.as_deref().unwrap_or_default();
                (!action.starts_with("exec_")).then(|| Ok(happening(&event)))
            }
            // Something happened that a newer Engine has a word for.
            Err(Error::JsonDataError { .. }) => Some(Ok(Happening::Changed)),
            Err(Error::RequestTimeoutError) => Some(Err(silent(limit, DOING))),
            Err(error) => Some(Err(explain(DOING, error))),
        }
    });
    let closed = DockerError::Unavailable(format!("docker closed the connection ({DOING})"));
    let with_end = hints.chain(stream::iter([Err(closed)]));
    // Nothing follows an error.
    Box::pin(with_end.scan(false, |over, item| {
        let item = (!*over).then_some(item);
        *over = matches!(item, Some(Err(_)));
        async move { item }
    }))
}

fn happening(event: &EventMessage) -> Happening {
    let actor = event.actor.as_ref();
    let Some(id) = actor.and_then(|actor| actor.id.clone()) else {
        return Happening::Changed;
    };
    let code = actor
        .and_then(|actor| actor.attributes.as_ref()?.get("exitCode"))
        .and_then(|code| code.parse().ok());
    match (event.action.as_deref(), code) {
        (Some("oom"), _) => Happening::OutOfMemory(id),
        (Some("die"), Some(exit_code)) => Happening::Died(Death {
            container_id: id,
            exit_code,
            oom_killed: false,
        }),
        _ => Happening::Changed,
    }
}
