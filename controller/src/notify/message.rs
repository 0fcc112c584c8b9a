//! What a receiver reads: one message in the forms that receivers take. The JSON is stable.

use std::fmt::Write as _;

use jiff::Timestamp;
use serde_json::{Value, json};

use crate::core::alerts::{Notice, Told};

/// One message.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Message {
    /// The same however often it is sent.
    pub(super) id: String,
    /// One line.
    pub(super) subject: String,
    /// The whole, for people.
    pub(super) text: String,
    /// The whole, for programs.
    pub(super) json: Value,
    /// How it stands: `firing`, `resolved`, `test`.
    pub(super) status: &'static str,
}

/// The message of a notice.
pub(super) fn of(notice: &Notice) -> Message {
    let firing = notice
        .alerts
        .iter()
        .filter(|told| told.resolved.is_none())
        .count() as u64
        + notice.more_firing;
    let resolved = notice
        .alerts
        .iter()
        .filter(|told| told.resolved.is_some())
        .count() as u64
        + notice.more_resolved;
    let status = if firing > 0 { "firing" } else { "resolved" };
    let subject = subject(notice, firing, resolved);
    let mut text = subject.clone();
    for told in &notice.alerts {
        write_told(&mut text, told);
    }
    let more = notice.more_firing + notice.more_resolved;
    if more > 0 {
        let _ = write!(
            text,
            "\n\n… and {} more that fire, {} more that are over (extend alert list)",
            notice.more_firing, notice.more_resolved
        );
    }
    let _ = write!(text, "\n\nmessage {}", notice.id);
    let json = json!({
        "version": 1,
        "id": notice.id,
        "status": status,
        "receiver": notice.receiver,
        "at": notice.at.to_string(),
        "summary": subject,
        "firing": firing,
        "resolved": resolved,
        "alerts": notice.alerts.iter().map(told_json).collect::<Vec<_>>(),
        "more_firing": notice.more_firing,
        "more_resolved": notice.more_resolved,
    });
    Message {
        id: notice.id.clone(),
        subject,
        text,
        json,
        status,
    }
}

/// A message that says that it means nothing.
pub(super) fn trial(receiver: &str, by: &str, now: Timestamp) -> Message {
    let subject = "[Extend] TEST: nothing is wrong".to_owned();
    let text =
        format!("{subject}\n\nThis is a test of the receiver {receiver}, sent by {by} at {now}.");
    let id = format!("test-{}", now.as_millisecond());
    let json = json!({
        "version": 1, "id": id, "status": "test", "receiver": receiver, "at": now.to_string(),
        "summary": subject, "firing": 0, "resolved": 0, "alerts": [], "more_firing": 0, "more_resolved": 0,
    });
    Message {
        id,
        subject,
        text,
        json,
        status: "test",
    }
}

fn subject(notice: &Notice, firing: u64, resolved: u64) -> String {
    let first = notice.alerts.first();
    let line = match (first, firing + resolved) {
        (Some(told), 1) => {
            let state = if told.resolved.is_some() {
                "over".to_owned()
            } else {
                told.severity.to_string()
            };
            format!("{state}: {}: {}", told.rule, told.finding.what)
        }
        (Some(told), _) if firing > 0 => {
            format!(
                "{firing} alerts fire, {resolved} are over; first: {}: {}",
                told.rule, told.finding.what
            )
        }
        _ => format!("{resolved} alerts are over"),
    };
    let line: String = line.chars().take(200).collect();
    format!("[Extend] {line}")
}

fn write_told(text: &mut String, told: &Told) {
    let finding = &told.finding;
    let state = match (told.resolved, told.again) {
        (Some(_), true) => "over",
        // Its end came before anybody could be told.
        (Some(_), false) => "fired and is over",
        (None, true) => "still firing",
        (None, false) => "firing",
    };
    let _ = write!(
        text,
        "\n\n{} alert {} {state}: {}\n  {}\n  since {}",
        told.severity,
        told.id,
        told.rule,
        finding.what,
        seconds(finding.since)
    );
    if let Some(at) = told.resolved {
        let _ = write!(text, ", over at {}", seconds(at));
        return;
    }
    if !finding.done.is_empty() {
        let _ = write!(text, "\n  done: {}", finding.done);
    }
    let _ = write!(
        text,
        "\n  to do: {}\n  acknowledge: extend alert ack {}",
        finding.todo, told.id
    );
}

fn seconds(at: Timestamp) -> Timestamp {
    Timestamp::from_second(at.as_second()).unwrap_or(at)
}

fn told_json(told: &Told) -> Value {
    let (finding, subject) = (&told.finding, &told.finding.subject);
    json!({
        "id": told.id,
        "rule": told.rule.name(),
        "severity": told.severity.to_string(),
        "status": if told.resolved.is_some() { "resolved" } else { "firing" },
        "repeated": told.again && told.resolved.is_none(),
        "node": subject.node.map(|node| node.to_string()),
        "server": subject.name.as_ref().map(ToString::to_string),
        "role": subject.role.as_ref().map(ToString::to_string),
        "subject": subject.what,
        "since": finding.since.to_string(),
        "fired": told.fired.to_string(),
        "resolved": told.resolved.map(|at| at.to_string()),
        "what": finding.what,
        "done": finding.done,
        "todo": finding.todo,
    })
}
