//! The spark line of the health: what has passed of a mark, and how much of it is known.

use super::*;

/// An even minute.
const BEGIN: i64 = 1_795_000_080 / 120 * 120;

fn minute(place: i64, known: u32, healthy: u32) -> Step {
    Step {
        at: Timestamp::from_second(BEGIN + place * 60).unwrap(),
        known_seconds: known,
        healthy_seconds: healthy,
        ..Step::default()
    }
}

/// The marks of the health so many seconds after the begin.
fn marks(steps: Vec<Step>, second: i64) -> String {
    let scale = Scale {
        step_seconds: 60,
        steps,
        length: 12,
    };
    let marks = Marks::of(|_| Some("C".to_owned()));
    let shown = scale.lines(marks, Timestamp::from_second(BEGIN + second).unwrap());
    let line = shown
        .lines()
        .find(|line| line.starts_with("health"))
        .unwrap();
    line.split_whitespace().nth(1).unwrap().to_owned()
}

#[test]
fn the_present_mark_is_of_what_has_passed_of_it() {
    let whole = || (-10..0).map(|place| minute(place, 60, 60));
    assert_eq!(marks(whole().collect(), 0), "?#####");
    // The answer was a second on its way, and the last look was of the second before.
    for (second, known) in [(1, 0), (2, 1), (30, 29), (61, 60)] {
        let steps = whole().chain([minute(0, known, known)]).collect();
        let expected = if known == 0 { "#####?" } else { "######" };
        assert_eq!(marks(steps, second), expected, "{second}");
    }
    // It has not been seen since the last minute.
    assert_eq!(marks(whole().collect(), 60), "#####?");
    assert_eq!(
        marks(whole().chain([minute(0, 40, 40)]).collect(), 100),
        "#####?"
    );
}

#[test]
fn what_nobody_saw_of_a_mark_was_not_healthy_and_less_than_half_is_none() {
    let steps = vec![
        minute(-10, 59, 59),
        minute(-8, 60, 60),
        minute(-6, 60, 60),
        minute(-5, 60, 0),
        minute(-4, 60, 60),
        minute(-3, 59, 59),
        minute(-2, 60, 1),
        minute(-1, 60, 0),
    ];
    assert_eq!(marks(steps, 0), "??--*.");
}
