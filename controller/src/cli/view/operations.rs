//! Operations for people: the tables of `extend op`, and what is told beside them.

use extend_common::hint::split_hint;
use extend_common::operation::{self, Operation, TargetState};
use extend_common::status::Phase;
use jiff::Timestamp;

use super::node::until;
use super::operation::{entered, some};
use super::progress::{has_waves, phase_word, remark, state_word, tone, took};
use super::strategy;
use crate::cli::output::Tone;
use crate::cli::output::plan::exactly;
use crate::cli::output::summary;
use crate::cli::output::table::{Cell, Table};
use crate::cli::output::text::{age, local_times, moment, span};

/// What a narrow terminal has no room for, the least needed first.
const SPARE_OF_LISTS: &[&str] = &["TOOK", "BY", "SERVERS"];
const SPARE_OF_TARGETS: &[&str] = &["TYPE", "TOOK", "WAVE", "ADDRESS"];

/// Operations as a table.
pub(crate) fn operations_table(operations: &[Operation], wide: bool, now: Timestamp) -> Table {
    let heading = vec![
        "ID", "VERB", "SERVERS", "STATE", "BY", "BEGUN", "TOOK", "MESSAGE",
    ];
    let spare = if wide { &[] } else { SPARE_OF_LISTS };
    let mut table = Table::new(heading).sparing(spare);
    for operation in operations {
        let id = if wide {
            operation.id.to_string()
        } else {
            operation.id.short()
        };
        let state = state_of(operation);
        let tone = match (operation.ended, state.as_str()) {
            (None, _) => Tone::Busy,
            (Some(_), "succeeded") => Tone::Good,
            (Some(_), _) => Tone::Bad,
        };
        table.row(vec![
            id.into(),
            operation.verb.to_string().into(),
            operation.selector.to_string().into(),
            Cell::toned(state, tone),
            operation.by.clone().into(),
            format!("{} ago", age(operation.begun, now)).into(),
            age(operation.begun, operation.ended.unwrap_or(now)).into(),
            operation.message.clone().into(),
        ]);
    }
    table
}

/// How far an operation is, or how it ended. One that waits for others has not begun.
fn state_of(operation: &Operation) -> String {
    let waits = |target: &operation::Target| {
        target.state == TargetState::Queued && target.begun.is_none() && !target.reason.is_empty()
    };
    let all = operation.targets.len();
    if operation.ended.is_none() && all > 0 && operation.targets.iter().all(waits) {
        return format!("queued 0/{all}");
    }
    operation.summary()
}

/// The servers of one operation as a table.
pub(crate) fn targets_table(operation: &Operation, wide: bool, now: Timestamp) -> Table {
    let mut heading = vec!["NAME", "TYPE", "ADDRESS"];
    let in_waves = has_waves(operation);
    if in_waves {
        heading.push("WAVE");
    }
    heading.extend(["STATE", "TOOK"]);
    if wide {
        heading.extend(["RECORD", "IMAGE BEFORE", "IMAGE AFTER", "PHASES"]);
    }
    heading.push("REASON");
    let spare = if wide { &[] } else { SPARE_OF_TARGETS };
    let mut table = Table::new(heading).sparing(spare);
    for target in in_order(operation) {
        let mut cells = vec![
            Cell::from(target.name.as_str()),
            target.role.as_str().into(),
            target.node.to_string().into(),
        ];
        if in_waves {
            cells.push(target.wave.saturating_add(1).to_string().into());
        }
        cells.extend([
            Cell::toned(state_word(target), tone(target.state)),
            took(target, now).into(),
        ]);
        if wide {
            cells.push(
                target
                    .stamp
                    .map(|stamp| stamp.to_string())
                    .unwrap_or_default()
                    .into(),
            );
            cells.push(exactly(&target.image_before, &target.identity_before).into());
            cells.push(exactly(&target.image_after, &target.identity_after).into());
            cells.push(phases(target, now).into());
        }
        cells.push(remark(target, now).into());
        table.row(cells);
    }
    table
}

/// The targets in the order of their turns.
pub(crate) fn in_order(operation: &Operation) -> Vec<&operation::Target> {
    let mut targets: Vec<&operation::Target> = operation.targets.iter().collect();
    targets.sort_by_key(|target| target.wave);
    targets
}

/// The facts of an operation above its table.
pub(crate) fn heading(operation: &Operation, now: Timestamp) -> String {
    let ended = operation
        .ended
        .map(|at| format!("{} (after {})", moment(at, now), age(operation.begun, at)));
    let deadline = operation.ended.is_none().then(|| {
        format!(
            "{} ({})",
            moment(operation.deadline, now),
            until(operation.deadline, now)
        )
    });
    let waits = some(&local_times(&operation.note, now)).filter(|_| operation.ended.is_none());
    let several = operation.targets.len() > 1;
    let rollout = several.then(|| strategy::in_words(operation.verb, &operation.strategy));
    let sessions = operation.drain.map(|limit| {
        let limit = span(limit);
        format!("waited for, up to {limit} on each server")
    });
    let accepted: Vec<_> = operation.accepted.iter().map(ToString::to_string).collect();
    let facts = [
        ("Operation", Some(operation.id.to_string())),
        ("Verb", Some(operation.verb.to_string())),
        ("Servers", Some(operation.selector.to_string())),
        ("State", Some(state_of(operation))),
        ("Waits", waits),
        ("By", Some(operation.by.clone())),
        (
            "From",
            operation.from.map(|from| format!("{from} (as they say)")),
        ),
        ("Message", some(&operation.message)),
        ("Retry of", operation.retry_of.map(|first| first.short())),
        ("Rollout", rollout),
        ("Sessions", sessions),
        ("Accepted", some(&accepted.join("; "))),
        ("Begun", Some(moment(operation.begun, now))),
        ("Ended", ended),
        ("Ends by", deadline),
    ];
    let lines = facts
        .into_iter()
        .filter_map(|(what, value)| Some(format!("{what:<10} {}\n", value?)));
    lines.collect()
}

/// What is told of one server below the table: its phases with their times, its images, what it was
/// warned of, and what was seen of it; nothing where there is nothing.
pub(crate) fn story(target: &operation::Target, now: Timestamp) -> Vec<String> {
    let begun = target.phases.iter().find(|entry| is_told(entry.phase));
    let phases = begun.map(|first| format!("{} {}", moment(first.at, now), phases(target, now)));
    let (before, after) = images(target);
    let before_what = if after.is_some() { "from" } else { "image" };
    let facts = [
        ("phases", phases),
        (before_what, before),
        ("to", after),
        ("warning", some(&local_times(&target.warning, now))),
    ];
    let told = facts.into_iter();
    let mut lines: Vec<String> = told
        .filter_map(|(what, value)| Some(format!("    {what:<8} {}", value?)))
        .collect();
    lines.extend(target.evidence.iter().flat_map(summary::evidence));
    let hint = split_hint(&target.reason).1;
    lines.extend(hint.map(|hint| format!("    hint: {hint}")));
    lines.extend(some(&local_times(&target.late, now)).map(|late| format!("    {late}")));
    lines
}

/// The images before and after, as exactly as they are known; the second only where it is another.
fn images(target: &operation::Target) -> (Option<String>, Option<String>) {
    let before = exactly(&target.image_before, &target.identity_before);
    let after = exactly(&target.image_after, &target.identity_after);
    let after = some(&after).filter(|after| *after != before);
    (some(&before), after)
}

/// The others say nothing that the states do not.
fn is_told(phase: Phase) -> bool {
    !matches!(phase, Phase::Pending | Phase::Settled)
}

/// How long each phase took: `stopping 3s, starting 1s`.
fn phases(target: &operation::Target, now: Timestamp) -> String {
    let told = entered(target).filter(|entry| is_told(entry.phase));
    let words = told.map(|entry| {
        let until = entry.until.unwrap_or(now);
        format!(
            "{} {}",
            phase_word(target, entry.phase),
            age(entry.at, until)
        )
    });
    words.collect::<Vec<_>>().join(", ")
}
