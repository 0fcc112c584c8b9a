//! `extend alert` from the side of the controller.

use std::time::Duration;

use extend_common::wire::shown_text;
use extend_proto::v1;
use jiff::Timestamp;
use tonic::Status;

use super::{parsed, wire};
use crate::core::alerts::{AlertView, AlertsView, SilenceRow};
use crate::core::request::SelectorWords;
use crate::notify::Posts;

/// Nobody means to be quiet for longer.
const LONGEST: u32 = 30 * 24 * 60 * 60;

/// Everything about alerts as it travels.
pub(super) fn view(view: AlertsView) -> v1::AlertsView {
    let receivers = view.receivers.into_iter().map(|one| v1::AlertReceiver {
        name: one.name,
        waiting: u32::try_from(one.waiting).unwrap_or(u32::MAX),
        trouble_since_ms: one
            .trouble
            .as_ref()
            .map_or(0, |trouble| trouble.since.as_millisecond()),
        attempts: one.trouble.as_ref().map_or(0, |trouble| trouble.attempts),
        trouble: one
            .trouble
            .map(|trouble| trouble.sentence)
            .unwrap_or_default(),
    });
    v1::AlertsView {
        firing: view.firing.into_iter().map(alert).collect(),
        pending: view.pending.into_iter().map(alert).collect(),
        receivers: receivers.collect(),
        silences: view.silences.into_iter().map(silence).collect(),
        open_windows: u32::try_from(view.open_windows).unwrap_or(u32::MAX),
        dropped: view.dropped,
        warming_up: view.warming_up,
    }
}

fn alert(alert: AlertView) -> v1::Alert {
    let AlertView {
        finding,
        acknowledged,
        ..
    } = alert;
    let text = |value: Option<String>| value.unwrap_or_default();
    v1::Alert {
        id: alert.id.unwrap_or_default(),
        rule: alert.rule.to_string(),
        severity: alert.severity.to_string(),
        node: text(finding.subject.node.map(|node| node.to_string())),
        name: text(finding.subject.name.map(|name| name.to_string())),
        role: text(finding.subject.role.map(|role| role.to_string())),
        since_ms: finding.since.as_millisecond(),
        fires_ms: alert.fires.as_millisecond(),
        what: finding.what,
        done: finding.done,
        todo: finding.todo,
        acknowledged_ms: acknowledged
            .as_ref()
            .map_or(0, |one| one.at.as_millisecond()),
        acknowledged_note: text(acknowledged.as_ref().map(|one| one.note.clone())),
        acknowledged_by: text(acknowledged.map(|one| one.by)),
        silenced: alert.silenced,
    }
}

/// A silence as it travels.
pub(super) fn silence(row: SilenceRow) -> v1::AlertSilence {
    v1::AlertSilence {
        id: row.id,
        selector: row.selector.to_string(),
        since_ms: row.since.as_millisecond(),
        until_ms: row.until.as_millisecond(),
        by: row.by,
        note: row.note,
    }
}

/// Which servers nobody is to be told of, for how long, and why.
pub(super) fn read_silence(
    request: v1::SilenceAlertsRequest,
) -> Result<(SelectorWords, Duration, String), Status> {
    let words = parsed(wire::selector(request.selector))?;
    if request.seconds == 0 || request.seconds > LONGEST {
        return Err(Status::invalid_argument(
            "a silence lasts from a second to 30 days",
        ));
    }
    let lasts = Duration::from_secs(request.seconds.into());
    Ok((words, lasts, shown_text(request.note)))
}

/// Sends messages on trial.
pub(super) async fn test(
    posts: &Posts,
    receiver: &str,
    by: &str,
    now: Timestamp,
) -> Result<v1::TestAlertsResponse, Status> {
    let name = Some(receiver).filter(|name| !name.is_empty());
    if name.is_some_and(|name| posts.names().all(|known| known != name)) {
        let known: Vec<_> = posts.names().collect();
        return Err(Status::not_found(format!(
            "there is no such receiver; there are: {}",
            known.join(", ")
        )));
    }
    let trials = posts.test(name, by, now).await.into_iter();
    let trials = trials.map(|(receiver, result)| v1::AlertTrial {
        receiver,
        problem: result
            .err()
            .map(|failed| failed.sentence)
            .unwrap_or_default(),
    });
    Ok(v1::TestAlertsResponse {
        trials: trials.collect(),
    })
}
