//! Small texts about what agents tell, for targets.

use extend_common::operation::{TargetState, Verb};
use extend_common::status::{Outcome, OutcomeKind, ResolvedImage, ServerStatus};

/// What stays on the node after a removal; otherwise nothing: the target has ended.
pub(super) fn left_behind(verb: Option<Verb>, state: TargetState, status: &ServerStatus) -> String {
    let removed = verb == Some(Verb::Rm) && state == TargetState::Succeeded;
    if !removed || status.data_directory.is_empty() {
        return String::new();
    }
    match status.data_bytes {
        Some(bytes) => format!("data kept in {} ({})", status.data_directory, size(bytes)),
        None => format!("data kept in {}", status.data_directory),
    }
}

/// Why a target ended: the agent's own words, or at least what its outcome says.
pub(super) fn reason(outcome: &Outcome, state: TargetState) -> String {
    match (outcome.reason.as_str(), state) {
        ("", TargetState::Failed) => "the agent gave no reason".to_owned(),
        ("", TargetState::RolledBack) => "the deployment before serves again".to_owned(),
        (reason, _) => reason.to_owned(),
    }
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

/// An amount of data, as disks are sold: powers of ten, one digit after the point.
pub(super) fn size(bytes: u64) -> String {
    const UNITS: [&str; 5] = ["kB", "MB", "GB", "TB", "PB"];
    if bytes < 1_000 {
        return format!("{bytes} bytes");
    }
    let mut tenths = bytes / 100;
    let mut unit = 0;
    while tenths >= 10_000 && unit + 1 < UNITS.len() {
        tenths /= 1_000;
        unit += 1;
    }
    format!(
        "{}.{} {}",
        tenths / 10,
        tenths % 10,
        UNITS.get(unit).copied().unwrap_or_default()
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_are_told_with_one_digit_after_the_point() {
        for (bytes, text) in [
            (0, "0 bytes"),
            (999, "999 bytes"),
            (1_000, "1.0 kB"),
            (1_234_567, "1.2 MB"),
            (999_999_999, "999.9 MB"),
            (1_200_000_000, "1.2 GB"),
            (u64::MAX, "18446.7 PB"),
        ] {
            assert_eq!(size(bytes), text);
        }
    }
}
