//! Operations for people: how the states of their targets are worded.

use extend_common::hint::split_hint;
use extend_common::operation::{self, Operation, TargetState};
use extend_common::status::Phase;
use jiff::Timestamp;

use crate::cli::output::Tone;
use crate::cli::output::text::{age, local_times};

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

/// Where a target is, in one or two words: the phase while its agent works on it, or once its image
/// is there and it waits for its turn.
pub(crate) fn state_word(target: &operation::Target) -> String {
    match (target.state, target.phase()) {
        (TargetState::Running, Phase::Pending | Phase::Settled) => "running".to_owned(),
        (TargetState::Running, phase) | (TargetState::Queued, phase @ Phase::Ready) => {
            phase_word(target, phase)
        }
        (state, _) => state.to_string(),
    }
}

/// Whether an operation goes from server to server: otherwise waves say nothing.
pub(crate) fn has_waves(operation: &Operation) -> bool {
    operation.targets.iter().any(|target| target.wave > 0)
}

/// Whether a phase does anything to what serves.
pub(crate) fn touches(phase: Phase) -> bool {
    let harmless = [
        Phase::Pending,
        Phase::Registering,
        Phase::Preparing,
        Phase::Pulling,
        Phase::Ready,
        Phase::Draining,
    ];
    !harmless.contains(&phase)
}

/// A phase in words. Whoever gives up before the old container was touched puts nothing back.
pub(crate) fn phase_word(target: &operation::Target, phase: Phase) -> String {
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
    let said = split_hint(said).0;
    // The word stands before it already.
    let prefix = format!("{}: ", target.phase());
    let said = match target.state {
        TargetState::Running => said.strip_prefix(&prefix).unwrap_or(said),
        _ => said,
    };
    local_times(said, now)
}

/// The same with what a target waits for whose turn has not come; `waves` says that turns are
/// counted. People count from one.
pub(crate) fn remark_in_turn(target: &operation::Target, waves: bool, now: Timestamp) -> String {
    let said = remark(target, now);
    if target.state != TargetState::Queued {
        return said;
    }
    let turn = match waves {
        true => format!("wave {}", target.wave.saturating_add(1)),
        false => String::new(),
    };
    let waits = match target.phase() {
        Phase::Ready if said.is_empty() => "the image is there".to_owned(),
        _ => said,
    };
    let parts = [turn, waits];
    let parts: Vec<String> = parts.into_iter().filter(|part| !part.is_empty()).collect();
    parts.join("; ")
}

/// How long a target has taken, or is taking.
pub(crate) fn took(target: &operation::Target, now: Timestamp) -> String {
    target
        .begun
        .map(|begun| age(begun, target.ended.unwrap_or(now)))
        .unwrap_or_default()
}
