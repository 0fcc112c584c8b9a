//! The lines, without a terminal.

use extend_common::operation::PhaseEntry;
use extend_common::status::Phase;

use super::super::fixtures::{operation, target};
use super::*;

const PLAIN: Look = Look {
    colour: false,
    roles: true,
    waves: false,
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
                waves: false,
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

#[test]
fn what_all_wait_for_stands_below_and_turns_are_counted() {
    let mut ready = target(10, TargetState::Queued);
    ready.phases = vec![PhaseEntry {
        phase: Phase::Ready,
        at: Timestamp::UNIX_EPOCH,
    }];
    ready.wave = 1;
    let mut operation = operation(vec![target(9, TargetState::Running), ready]);
    operation.note = "the canaries have to stay healthy for 2m: 1m 10s left".to_owned();
    let shown = lines(&operation, Timestamp::UNIX_EPOCH, PLAIN);
    assert!(
        shown[1].ends_with("wave 2; the image is there"),
        "{shown:?}"
    );
    assert_eq!(shown[2], operation.note);
    operation.ended = Some(Timestamp::UNIX_EPOCH);
    assert_eq!(lines(&operation, Timestamp::UNIX_EPOCH, PLAIN).len(), 2);
}
