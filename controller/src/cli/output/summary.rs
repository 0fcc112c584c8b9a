//! The last words about an operation: how it ended, and what was seen of those that failed.
//!
//! How each target ended, and why, stands in the progress above: it is not said again.

use extend_common::hint::split_hint;
use extend_common::operation::{Operation, Target, TargetState};
use extend_common::status::Evidence;
use jiff::Timestamp;

use super::Tone;
use super::text::{age, count, local_times, short_hash};

/// The failures in the order in which they are counted.
const FAILURES: [TargetState; 5] = [
    TargetState::Failed,
    TargetState::RolledBack,
    TargetState::TimedOut,
    TargetState::Cancelled,
    TargetState::Skipped,
];

/// The summary of an ended operation, as lines.
pub(crate) fn render(operation: &Operation, now: Timestamp, colour: bool) -> String {
    let mut lines = vec![headline(operation, colour)];
    for target in &operation.targets {
        let mut seen: Vec<String> = target.evidence.iter().flat_map(evidence).collect();
        // The node says what helps; what an operator runs next stands on a line of its own.
        let (_, hint) = split_hint(&target.reason);
        seen.extend(hint.map(|hint| format!("    {}", super::error::hint(hint, colour))));
        if target.state.is_failure() && !seen.is_empty() {
            lines.push(format!("  {}:", server(target)));
            lines.extend(seen);
        }
        if !target.late.is_empty() {
            let late = local_times(&target.late, now);
            lines.push(format!("  {}: {late}", server(target)));
        }
    }
    let next = operation.next_steps.iter();
    lines.extend(next.map(|step| format!("next, by hand: {step}")));
    lines.join("\n")
}

fn headline(operation: &Operation, colour: bool) -> String {
    let took = operation
        .ended
        .map(|end| age(operation.begun, end))
        .unwrap_or_default();
    let what = format!("{} {}", operation.verb, operation.id.short());
    let all = operation.targets.len();
    let done = operation.count(TargetState::Succeeded);
    let told = if let [target] = operation.targets.as_slice() {
        format!("{} {}", server(target), target.state)
    } else if done == all {
        format!("all {} succeeded", count(all, "server"))
    } else {
        let failures = FAILURES
            .iter()
            .filter_map(|state| match operation.count(*state) {
                0 => None,
                some => Some(format!(", {some} {state}")),
            });
        let failures: String = failures.collect();
        format!("{done} of {} succeeded{failures},", count(all, "server"))
    };
    let tone = if done == all { Tone::Good } else { Tone::Bad };
    tone.paint(&format!("{what}: {told} in {took}"), colour)
}

/// What was seen of the container, as lines.
pub(crate) fn evidence(evidence: &Evidence) -> Vec<String> {
    let mut facts = Vec::new();
    if !evidence.container_id.is_empty() {
        facts.push(format!("container {}", short_hash(&evidence.container_id)));
    }
    facts.extend(evidence.exit_code.map(|code| format!("exit code {code}")));
    if evidence.oom_killed {
        facts.push("killed by the kernel for lack of memory".to_owned());
    }
    let mut lines = Vec::new();
    if !facts.is_empty() {
        lines.push(format!("    {}", facts.join(", ")));
    }
    if !evidence.health_output.is_empty() {
        lines.push("    what its health checks said last:".to_owned());
        let said = evidence.health_output.iter();
        lines.extend(said.map(|line| format!("    | {line}")));
    }
    lines.extend(evidence.dumps.iter().map(|dump| format!("    {dump}")));
    if !evidence.log_tail.is_empty() {
        lines.push("    the last lines of its output:".to_owned());
        lines.extend(evidence.log_tail.iter().map(|line| format!("    | {line}")));
    }
    lines
}

fn server(target: &Target) -> String {
    format!("{} ({})", target.name, target.node)
}
