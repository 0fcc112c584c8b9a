//! The lines of a log: each thing once, and what changes all the time now and then.

use extend_common::operation::PhaseEntry;

use super::super::fixtures::{operation, target};
use super::*;

fn at(second: i64) -> Timestamp {
    Timestamp::from_second(second).unwrap()
}

/// The lines without their times.
fn told(plain: &mut Plain, operation: &Operation, second: i64) -> Vec<String> {
    let lines = plain.update(operation, at(second)).into_iter();
    let told = lines.map(|line| line.split_once(' ').unwrap().1.to_owned());
    told.collect()
}

fn enter(target: &mut Target, phase: Phase, second: i64) {
    let at = at(second);
    target.phases.push(PhaseEntry { phase, at });
}

#[test]
fn sessions_are_told_when_they_begin_to_end_and_then_twice_a_minute() {
    let mut one = target(9, TargetState::Running);
    enter(&mut one, Phase::Draining, 0);
    let mut plain = Plain::default();
    let mut after = |second, sessions: &str| {
        one.detail = sessions.to_owned();
        told(&mut plain, &operation(vec![one.clone()]), second)
    };
    let server = "media-server-9 (172.31.16.9) draining";
    assert_eq!(after(0, ""), [server]);
    let counting = after(0, "draining: counting sessions");
    assert_eq!(counting, [format!("{server}: counting sessions")]);
    let first = after(1, "draining: 41 sessions");
    assert_eq!(first, [format!("{server}: 41 sessions")]);
    assert!(after(2, "draining: 40 sessions").is_empty());
    assert!(after(30, "draining: 40 sessions").is_empty());
    let next = after(31, "draining: 12 sessions");
    assert_eq!(next, [format!("{server}: 12 sessions")]);
    assert!(after(90, "draining: 12 sessions").is_empty(), "no news");
}

#[test]
fn what_all_wait_for_is_told_once_however_its_numbers_change() {
    let mut plain = Plain::default();
    let mut after = |note: &str| {
        let mut waiting = operation(vec![target(9, TargetState::Queued)]);
        waiting.note = note.to_owned();
        told(&mut plain, &waiting, 0)
    };
    let fetching = "fetching the image on 4 servers, while everything serves";
    assert_eq!(after(fetching), [fetching]);
    assert!(after("fetching the image on 1 server, while everything serves").is_empty());
    let bake = "the canaries have to stay healthy for 2m: 1m 10s left";
    assert_eq!(after(bake), [bake]);
    assert!(after("the canaries have to stay healthy for 2m: 59s left").is_empty());
    assert!(after("").is_empty());
    assert_eq!(after(bake), [bake]);
}

#[test]
fn whose_turn_it_is_is_told_with_the_first_phase_of_it() {
    let mut plain = Plain::default();
    let mut second = target(10, TargetState::Running);
    second.wave = 1;
    enter(&mut second, Phase::Pulling, 0);
    enter(&mut second, Phase::Ready, 0);
    enter(&mut second, Phase::Stopping, 0);
    enter(&mut second, Phase::Starting, 0);
    let server = "media-server-10 (172.31.16.10)";
    let wanted = [
        "pulling",
        "ready: the image is there",
        "stopping (wave 2)",
        "starting",
    ];
    let lines = told(&mut plain, &operation(vec![second.clone()]), 0);
    assert_eq!(lines, wanted.map(|words| format!("{server} {words}")));
    assert!(told(&mut plain, &operation(vec![second]), 1).is_empty());
    // Where nobody waits for anybody, turns say nothing.
    let mut alone = target(11, TargetState::Running);
    enter(&mut alone, Phase::Stopping, 0);
    let lines = told(&mut plain, &operation(vec![alone]), 0);
    assert_eq!(lines, ["media-server-11 (172.31.16.11) stopping"]);
}

#[test]
fn a_target_that_another_operation_holds_says_so_once() {
    let mut plain = Plain::default();
    let mut held = target(9, TargetState::Queued);
    held.reason = "waits for restart abcdef of bob".to_owned();
    let line = "media-server-9 (172.31.16.9) queued: waits for restart abcdef of bob";
    assert_eq!(told(&mut plain, &operation(vec![held.clone()]), 0), [line]);
    assert!(told(&mut plain, &operation(vec![held.clone()]), 1).is_empty());
    held.reason.clear();
    assert!(told(&mut plain, &operation(vec![held.clone()]), 2).is_empty());
    held.reason = "waits for stop fedcba of bob".to_owned();
    assert_eq!(told(&mut plain, &operation(vec![held]), 3).len(), 1);
}

#[test]
fn what_was_skipped_stands_behind_what_it_was_skipped_for() {
    let ended = |index, state| Target {
        ended: Some(at(7)),
        ..target(index, state)
    };
    let targets = vec![
        ended(9, TargetState::Skipped),
        ended(10, TargetState::Failed),
    ];
    let lines = told(&mut Plain::default(), &operation(targets), 8);
    assert!(lines[0].ends_with("failed"), "{lines:?}");
}
