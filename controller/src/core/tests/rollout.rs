//! The order in which targets begin, as a table.

use extend_common::operation::{Target, TargetState, Verb};

use crate::core::rollout::{Advance, next};

/// Targets from letters: `m`edia, `q`ueue; then their states.
fn targets(text: &str) -> Vec<Target> {
    let one = |(number, word): (usize, &str)| {
        let role = if word.starts_with('m') {
            "media-server-only"
        } else {
            "queue-server-only"
        };
        let state = match word.get(2..).unwrap_or_default() {
            "queued" => TargetState::Queued,
            "waiting" => TargetState::Waiting,
            "running" => TargetState::Running,
            "succeeded" => TargetState::Succeeded,
            "failed" => TargetState::Failed,
            "skipped" => TargetState::Skipped,
            other => panic!("{other}"),
        };
        Target {
            node: format!("10.0.0.{}", number + 1).parse().unwrap(),
            name: format!("server-{}", number + 1).parse().unwrap(),
            role: role.parse().unwrap(),
            state,
            detail: String::new(),
            reason: if state == TargetState::Failed {
                "it broke".to_owned()
            } else {
                String::new()
            },
            evidence: None,
            stamp: None,
            begun: None,
            ended: None,
            phases: Vec::new(),
            summary: String::new(),
            image_before: String::new(),
            image_after: String::new(),
            late: String::new(),
            warning: String::new(),
            identity_before: String::new(),
            identity_after: String::new(),
            wave: 0,
        }
    };
    text.split_whitespace().enumerate().map(one).collect()
}

fn words(verb: Verb, text: &str) -> String {
    let advances = next(verb, targets(text).iter());
    let word = |advance: &Advance| match advance {
        Advance::Begin(node) => format!("begin {}", node.ip().octets()[3]),
        Advance::Skip(node, reason) => {
            assert!(reason.ends_with(" failed"), "{reason}");
            format!("skip {}", node.ip().octets()[3])
        }
    };
    advances.iter().map(word).collect::<Vec<_>>().join(", ")
}

#[test]
fn targets_begin_in_order() {
    for (verb, before, then) in [
        (
            Verb::Stop,
            "m:queued m:queued q:queued",
            "begin 1, begin 2, begin 3",
        ),
        (Verb::Stop, "m:failed m:queued q:running", "begin 2"),
        (Verb::Rm, "m:succeeded m:succeeded", ""),
        (
            Verb::Restart,
            "m:queued m:queued q:queued q:queued",
            "begin 1, begin 3",
        ),
        (
            Verb::Restart,
            "m:running m:queued q:succeeded q:queued",
            "begin 4",
        ),
        (Verb::Restart, "m:waiting m:queued", ""),
        (Verb::Upgrade, "m:succeeded m:queued q:running", "begin 2"),
        (
            Verb::Upgrade,
            "m:failed m:queued q:running q:queued",
            "skip 2, skip 4",
        ),
        (Verb::Upgrade, "m:failed m:skipped q:succeeded", ""),
    ] {
        assert_eq!(words(verb, before), then, "{verb} {before}");
    }
}
