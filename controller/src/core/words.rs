//! Small texts about what agents tell, for targets.

use extend_common::hint::with_hint;
use extend_common::operation::{Target, TargetState, Verb};
use extend_common::record::Instance;
use extend_common::size;
use extend_common::status::{Outcome, OutcomeKind, ResolvedImage, ServerStatus};

use super::row::OperationRow;

/// What stays on the node after a removal; otherwise nothing: the target has ended.
pub(super) fn left_behind(verb: Option<Verb>, state: TargetState, status: &ServerStatus) -> String {
    let removed = verb == Some(Verb::Rm) && state == TargetState::Succeeded;
    if !removed || status.data_directory.is_empty() {
        return String::new();
    }
    match status.data_bytes {
        Some(bytes) => format!(
            "data kept in {} ({})",
            status.data_directory,
            size::show(bytes)
        ),
        None => format!("data kept in {}", status.data_directory),
    }
}

/// Why a target ended: the agent's own words, or at least what its outcome says. `found` is the
/// container as it was when the target began.
pub(super) fn reason(outcome: &Outcome, status: &ServerStatus, found: Option<&Instance>) -> String {
    let reason = outcome.reason.as_str();
    match outcome.kind {
        OutcomeKind::Failed if reason.is_empty() => "the agent gave no reason".to_owned(),
        OutcomeKind::Succeeded | OutcomeKind::Failed => reason.to_owned(),
        OutcomeKind::RolledBack => {
            let back = gone_back(status, found);
            if reason.is_empty() {
                return back;
            }
            format!("{back}: {reason}")
        }
        OutcomeKind::Declined if reason.is_empty() => "sessions were left".to_owned(),
        OutcomeKind::Declined => reason.to_owned(),
    }
}

/// What became of the deployment before. An image that cannot be had fails before anything is
/// touched: then nothing had to be put back, and calls went on.
fn gone_back(status: &ServerStatus, found: Option<&Instance>) -> String {
    let now = status.current.as_ref().map(|current| &current.instance);
    let untouched = found.is_some() && found == now;
    let serving = status.serving_image.as_ref().map(|image| &image.version);
    match serving.filter(|version| !version.is_empty()) {
        Some(version) if untouched => format!("kept {version}"),
        Some(version) => format!("{version} serves again"),
        None if untouched => "kept what serves".to_owned(),
        None => "the deployment before serves again".to_owned(),
    }
}

/// Why nothing was touched.
pub(super) fn kept(status: &ServerStatus, why: &str) -> String {
    let serving = status.serving_image.as_ref().map(|image| &image.version);
    let kept = match serving.filter(|version| !version.is_empty()) {
        Some(version) => format!("kept {version}"),
        None => "kept what serves".to_owned(),
    };
    match why.is_empty() {
        true => kept,
        false => format!("{kept}: {why}"),
    }
}

/// Why a server was left running: the sessions it still had, and the line that would cut them.
pub(super) fn declined(operation: &OperationRow, target: &Target, reason: &str) -> String {
    let words = format!("{reason}; it takes sessions again");
    if operation.verb == Verb::Drain {
        return words;
    }
    with_hint(
        words,
        format!("to cut them: {}", without_waiting(operation, target)),
    )
}

/// The same again for one server, with its options, and not waiting for sessions.
fn without_waiting(operation: &OperationRow, target: &Target) -> String {
    let (verb, options, node) = (operation.verb, &operation.options, target.node);
    let mut line = match verb {
        Verb::Run => format!("extend run -s {} -n {} -a {node}", target.role, target.name),
        _ => format!("extend {verb} -a {node}"),
    };
    if let Some(address) = options.public_address {
        line.push_str(&format!(" -A {address}"));
    }
    if let Some(image) = &options.image {
        line.push_str(&format!(" -i {image}"));
    }
    for (option, given) in [
        (" --to-previous", options.to_previous),
        (" --force", options.force),
    ] {
        line.push_str(if given { option } else { "" });
    }
    line + " --now"
}

/// What a node tells about a target that had ended without it, or about the record that was to
/// put its server back.
pub(super) fn late(outcome: &Outcome, put_back: bool) -> String {
    let kind = match outcome.kind {
        OutcomeKind::Succeeded if put_back => "the server is as it was",
        OutcomeKind::Succeeded => "it was done",
        _ if put_back => "the server could not be put back",
        OutcomeKind::Failed => "it failed",
        OutcomeKind::RolledBack => "it failed, and the deployment before serves again",
        OutcomeKind::Declined => "it was not begun",
    };
    if outcome.reason.is_empty() {
        return format!("the node told afterwards: {kind}");
    }
    format!("the node told afterwards: {kind}: {}", outcome.reason)
}

/// An image for people.
pub(super) fn image(image: &ResolvedImage) -> String {
    if image.version.is_empty() {
        return image.reference.clone();
    }
    format!("{} ({})", image.reference, image.version)
}
