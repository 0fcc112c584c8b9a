//! Targets and operations for the tests of both views.

use extend_common::ids::{OperationId, ServerName};
use extend_common::operation::{Operation, Selector, Strategy, Target, TargetState, Verb};
use jiff::Timestamp;
use ulid::Ulid;

/// A media server.
pub(super) fn target(index: u8, state: TargetState) -> Target {
    Target {
        node: format!("172.31.16.{index}").parse().unwrap(),
        name: format!("media-server-{index}")
            .parse::<ServerName>()
            .unwrap(),
        role: "media-server-only".parse().unwrap(),
        state,
        detail: String::new(),
        reason: String::new(),
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
}

/// A restart of these.
pub(super) fn operation(targets: Vec<Target>) -> Operation {
    Operation {
        id: OperationId(Ulid::nil()),
        verb: Verb::Restart,
        selector: Selector::default(),
        by: String::new(),
        message: String::new(),
        begun: Timestamp::UNIX_EPOCH,
        ended: None,
        deadline: Timestamp::UNIX_EPOCH,
        targets,
        strategy: Strategy::default(),
        drain: None,
        retry_of: None,
        next_steps: Vec::new(),
        from: None,
        note: String::new(),
        accepted: Vec::new(),
    }
}
