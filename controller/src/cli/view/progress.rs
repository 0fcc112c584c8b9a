//! Operations for people: how states are worded, and the tables of `extend op`.

use extend_common::hint::split_hint;
use extend_common::operation::{self, Operation, TargetState};
use extend_common::status::Phase;
use jiff::Timestamp;

use super::node::until;
use super::operation::some;
use crate::cli::output::Tone;
use crate::cli::output::table::{Cell, Table};
use crate::cli::output::text::{age, local_times, moment};

/// How a state is meant.
pub(crate) fn tone(state: TargetState) -> Tone {
    match state {
        TargetState::Succeeded => Tone::Good,
        TargetState::Running | TargetState::Waiting => Tone::Busy,
        TargetState::Queued => Tone::Faint,
        TargetState::Failed
        | TargetState::RolledBack
        | TargetState::Skipped
        | TargetState::Cancelled
        | TargetState::TimedOut => Tone::Bad,
    }
}

/// Where a target is, in one or two words: the phase while its agent works on it.
pub(crate) fn state_word(target: &operation::Target) -> String {
    match (target.state, target.phase()) {
        (TargetState::Running, Phase::Pending | Phase::Settled) => "running".to_owned(),
        (TargetState::Running, phase) => phase_word(target, phase),
        (state, _) => state.to_string(),
    }
}

/// A phase in words. Whoever gives up before the old container was touched puts nothing back.
pub(crate) fn phase_word(target: &operation::Target, phase: Phase) -> String {
    let touches = |phase| !matches!(phase, Phase::Pending | Phase::Preparing | Phase::Pulling);
    let before = target.phases.iter().map(|entry| entry.phase);
    let mut before = before.take_while(|phase| *phase != Phase::RollingBack);
    if phase == Phase::RollingBack && !before.any(touches) {
        return "giving up".to_owned();
    }
    phase.to_string()
}

/// What there is to say about a target at this moment; what helps against a failure is said apart.
pub(crate) fn remark(target: &operation::Target, now: Timestamp) -> String {
    let (first, second) = match target.state {
        TargetState::Running => (&target.detail, &target.reason),
        _ => (&target.reason, &target.detail),
    };
    let said = if first.is_empty() { second } else { first };
    local_times(split_hint(said).0, now)
}

/// How long a target has taken, or is taking.
pub(crate) fn took(target: &operation::Target, now: Timestamp) -> String {
    target
        .begun
        .map(|begun| age(begun, target.ended.unwrap_or(now)))
        .unwrap_or_default()
}

/// What a narrow terminal has no room for, the least needed first.
const SPARE_OF_LISTS: &[&str] = &["TOOK", "BY", "SERVERS"];
const SPARE_OF_TARGETS: &[&str] = &["TOOK", "TYPE", "ADDRESS"];

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
        let state = operation.summary();
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

/// The servers of one operation as a table.
pub(crate) fn targets_table(operation: &Operation, wide: bool, now: Timestamp) -> Table {
    let mut heading = vec!["NAME", "TYPE", "ADDRESS", "STATE", "TOOK"];
    if wide {
        heading.extend(["RECORD", "IMAGE BEFORE", "IMAGE AFTER", "PHASES"]);
    }
    heading.push("REASON");
    let spare = if wide { &[] } else { SPARE_OF_TARGETS };
    let mut table = Table::new(heading).sparing(spare);
    for target in &operation.targets {
        let mut cells = vec![
            Cell::from(target.name.as_str()),
            target.role.as_str().into(),
            target.node.to_string().into(),
            Cell::toned(state_word(target), tone(target.state)),
            took(target, now).into(),
        ];
        if wide {
            cells.push(
                target
                    .stamp
                    .map(|stamp| stamp.to_string())
                    .unwrap_or_default()
                    .into(),
            );
            cells.push(target.image_before.clone().into());
            cells.push(target.image_after.clone().into());
            cells.push(phases(target).into());
        }
        cells.push(remark(target, now).into());
        table.row(cells);
    }
    table
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
    let facts = [
        ("Operation", Some(operation.id.to_string())),
        ("Verb", Some(operation.verb.to_string())),
        ("Servers", Some(operation.selector.to_string())),
        ("State", Some(operation.summary())),
        ("By", Some(operation.by.clone())),
        ("Message", some(&operation.message)),
        ("Begun", Some(moment(operation.begun, now))),
        ("Ended", ended),
        ("Ends by", deadline),
    ];
    let lines = facts
        .into_iter()
        .filter_map(|(what, value)| Some(format!("{what:<10} {}\n", value?)));
    lines.collect()
}

/// How long each phase took: `stopping 3s, starting 1s`.
fn phases(target: &operation::Target) -> String {
    let ends = target
        .phases
        .iter()
        .skip(1)
        .map(|entry| Some(entry.at))
        .chain([target.ended]);
    let spans = target
        .phases
        .iter()
        .zip(ends)
        .filter(|(entry, _)| entry.phase != Phase::Settled);
    let words = spans.map(|(entry, end)| match end {
        Some(end) => format!("{} {}", phase_word(target, entry.phase), age(entry.at, end)),
        None => phase_word(target, entry.phase),
    });
    words.collect::<Vec<_>>().join(", ")
}
