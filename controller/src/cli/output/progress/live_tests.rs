//! The lines, without a terminal.

use extend_common::ids::{OperationId, ServerName};
use extend_common::operation::{PhaseEntry, Selector, Strategy, Verb};
use extend_common::status::Phase;
use ulid::Ulid;

use super::*;

fn target(index: u8, state: TargetState) -> Target {
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

fn operation(targets: Vec<Target>) -> Operation {
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
        note: String::new(),
    }
}

const PLAIN: Look = Look {
    colour: false,
    roles: true,
    most: MAX_LINES,
};

#[test]
fn a_line_tells_name_role_address_phase_time_and_detail() {
    let mut one = target(9, TargetState::Running);
    one.begun = Some(Timestamp::UNIX_EPOCH);
    one.phases = vec![PhaseEntry {
        phase: Phase::Stopping,
        at: Timestamp::UNIX_EPOCH,
    }];
    one.detail = "3m 20s left".to_owned();
    let operation = operation(vec![one, target(10, TargetState::Queued)]);
    let now = Timestamp::from_second(65).unwrap();
    assert_eq!(
        lines(&operation, now, PLAIN),
        [
            "media-server-9   media-server-only  172.31.16.9   stopping        1m 5s  3m 20s left",
            "media-server-10  media-server-only  172.31.16.10  queued",
        ]
    );
    assert_eq!(
        lines(
            &operation,
            now,
            Look {
                colour: false,
                roles: false,
                most: MAX_LINES,
            }
        )[1],
        "media-server-10  172.31.16.10  queued"
    );
}

#[test]
fn of_many_targets_those_at_work_are_shown_and_the_rest_is_counted() {
    let mut targets: Vec<Target> = (1..=60)
        .map(|index| target(index, TargetState::Queued))
        .collect();
    targets[40].state = TargetState::Running;
    targets[41].state = TargetState::Failed;
    targets[0].state = TargetState::Succeeded;
    let lines = lines(&operation(targets), Timestamp::UNIX_EPOCH, PLAIN);
    assert_eq!(lines.len(), MAX_LINES + 1);
    assert!(lines[0].starts_with("media-server-41 "), "{}", lines[0]);
    assert!(lines[1].starts_with("media-server-42 "), "{}", lines[1]);
    assert_eq!(
        lines[MAX_LINES],
        "and 36 servers more: 35 queued, 1 succeeded"
    );
}
