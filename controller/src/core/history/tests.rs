//! Steps of three lengths, told in whatever pieces: their totals agree, and there is an end to them.

use proptest::prelude::*;

use super::*;

const BEGIN: i64 = 1_795_000_000;

fn at(second: i64) -> Timestamp {
    Timestamp::from_second(second).unwrap()
}

fn media() -> ServerName {
    "media-server-1".parse().unwrap()
}

fn seen(name: &ServerName, health: Option<Health>) -> Seen<'_> {
    let reason = Some(match health {
        Some(health) => format!("it is {health}"),
        None => "its node is away".to_owned(),
    });
    Seen {
        name,
        health,
        refusing: false,
        reason,
    }
}

fn figures(processor: u16) -> Figures {
    Figures {
        processor: Some(processor),
        memory: Some(612),
        disk_free: Some(455),
        sessions: Some(processor / 10),
        service_memory: Some(1_234),
        slowest: Some(processor % 40),
    }
}

fn totals(steps: &[Step]) -> (u64, u64) {
    let sum = |get: fn(&Step) -> u16| steps.iter().map(|step| u64::from(get(step))).sum();
    (sum(|step| step.known), sum(|step| step.healthy))
}

/// A history of looks: how long after the one before, and what is seen then.
fn looks() -> impl Strategy<Value = Vec<(i64, Option<Health>, u16)>> {
    let health = prop_oneof![
        4 => Just(Some(Health::Healthy)),
        2 => Just(Some(Health::Unhealthy)),
        1 => Just(Some(Health::Stopped)),
        1 => Just(Some(Health::Unknown)),
        1 => Just(None),
    ];
    let pause = prop_oneof![8 => 0_i64..20, 1 => 20_i64..5_000];
    prop::collection::vec((pause, health, 0_u16..1_000), 1..400)
}

proptest! {
    #[test]
    fn the_scales_agree_however_time_is_cut(looks in looks()) {
        let name = media();
        let mut history = History::default();
        let (mut second, mut known, mut healthy) = (BEGIN, 0_u64, 0_u64);
        let mut before: Option<Health> = None;
        for (pause, health, processor) in looks {
            if let Some(state) = before.filter(|_| pause <= MOST_HELD) {
                known += pause.unsigned_abs();
                healthy += if state == Health::Healthy { pause.unsigned_abs() } else { 0 };
            }
            second += pause;
            history.sample(&seen(&name, health), &figures(processor), at(second));
            before = health.filter(|health| State::of(*health, false).is_some());
        }
        for (scale, steps) in SCALES.iter().zip(history.steps(at(second))) {
            prop_assert_eq!(totals(&steps), (known, healthy), "steps of {} s", scale.length);
            for step in &steps {
                prop_assert!(u32::from(step.known) <= scale.length && step.healthy <= step.known);
            }
            prop_assert!(steps.is_sorted_by(|a, b| a.index < b.index));
        }
        // What a coarse step says is what its fine ones say together.
        let [fine, coarse, coarser] = history.steps(at(second));
        for (small, large, ratio) in [(&fine, &coarse, 10), (&coarse, &coarser, 12)] {
            for step in large {
                let mut together = Step::new(step.index);
                small.iter().filter(|s| s.index / ratio == step.index).for_each(|s| together.merge(s));
                prop_assert_eq!(together, *step);
            }
        }
        let read = History::read(&history.row().unwrap()).unwrap();
        prop_assert_eq!(read.steps(at(second)), history.steps(at(second)));
        prop_assert_eq!(read.changes(), history.changes());
        prop_assert_eq!(read.row(), history.row());
    }

    #[test]
    fn a_row_that_says_anything_is_read_or_refused(row in prop::collection::vec(any::<u8>(), 0..400)) {
        drop(History::read(&row));
    }
}

/// A server that is looked at for so many days, in a fleet of so many nodes.
fn long(days: i64, nodes: usize) -> History {
    let (name, allotment) = (media(), Allotment::of(nodes));
    let mut history = History::default();
    for look in 0..days * 8_640 {
        let health = match look % 1_000 {
            0..3 => Health::Unhealthy,
            _ => Health::Healthy,
        };
        let now = at(BEGIN + look * 10);
        history.sample(&seen(&name, Some(health)), &figures(500), now);
        history.trim(&allotment, now);
    }
    history
}

#[test]
fn a_server_has_so_much_and_no_more_and_a_large_fleet_shares() {
    for (nodes, lengths, changes) in [
        (1, [120, 144, 168], 32),
        (2_000, [120, 144, 168], 32),
        (10_000, [27, 33, 38], 8),
        (1_000_000, [12, 12, 12], 8),
    ] {
        let history = long(15, nodes);
        let steps = history.steps(at(BEGIN));
        assert_eq!(steps.each_ref().map(Vec::len), lengths, "{nodes} nodes");
        assert_eq!(history.changes().len(), changes);
        let bytes = history.row().unwrap().len();
        assert!(bytes <= history.weight(), "{bytes} bytes, {nodes} nodes");
        // A fleet up to ten thousand nodes has less than 30 MB of rows.
        assert!(
            bytes * nodes.min(10_000) < 30_000_000,
            "{bytes} bytes, {nodes} nodes"
        );
    }
    let [fine, ..] = long(15, 1).steps(at(BEGIN));
    let whole = |step: &Step| (step.known, step.figures().processor);
    assert_eq!(fine.first().map(whole), Some((60, Some(500))));
}

#[test]
fn what_is_too_old_for_its_scale_goes_also_while_nothing_comes() {
    let (mut history, allotment) = (long(1, 1), Allotment::of(1));
    let later = at(BEGIN + 86_400 + 3 * 3_600);
    history.trim(&allotment, later);
    let [fine, coarse, _] = history.steps(at(BEGIN));
    assert_eq!(fine, []);
    assert_eq!(coarse.len(), 144 - 18);
}

/// How it was: looks every ten seconds, from a minute of it on and before another.
fn look(history: &mut History, minutes: std::ops::Range<i64>, health: Option<Health>) {
    let name = media();
    for second in (minutes.start * 60..minutes.end * 60).step_by(10) {
        history.sample(&seen(&name, health), &figures(1), at(HOUR + second));
    }
}

/// An hour begins.
const HOUR: i64 = BEGIN - BEGIN % 3_600;

#[test]
fn time_that_nobody_saw_is_a_gap_or_takes_from_the_share_and_is_never_healthy() {
    let mut history = History::default();
    look(&mut history, 0..10, Some(Health::Healthy));
    // Nobody has looked for ten minutes; then four of five are known, and two of five.
    look(&mut history, 20..24, Some(Health::Healthy));
    look(&mut history, 28..30, Some(Health::Healthy));
    look(&mut history, 30..35, None);
    look(&mut history, 35..36, Some(Health::Unhealthy));
    look(&mut history, 36..40, Some(Health::Healthy));
    let recent = |history: &History, second| history.recent(7_200, 24, at(HOUR + second));
    let shares = recent(&history, 40 * 60);
    assert_eq!(shares.len(), 24);
    let (all, gap) = (Some(100), None);
    // What was told last is taken to have gone on for half a minute, as everywhere.
    let expected = [all, Some(96), gap, gap, Some(76), gap, gap, Some(80)];
    assert_eq!(shares[16..], expected);
    assert!(shares[..16].iter().all(Option::is_none), "{shares:?}");

    // A piece that has begun is measured by what has passed of it, up to this second.
    look(&mut history, 40..41, Some(Health::Healthy));
    for (second, share) in [(41 * 60 - 1, all), (41 * 60 + 9, all), (43 * 60, gap)] {
        assert_eq!(recent(&history, second).last(), Some(&share), "{second}");
    }
    assert_eq!(recent(&history, 40 * 60).len(), 24);
    let told: Vec<_> = history
        .changes()
        .iter()
        .map(|c| (c.health, c.reason.clone()))
        .collect();
    let healthy = (Health::Healthy, "it is healthy".to_owned());
    let away = (Health::Unknown, "its node is away".to_owned());
    let unhealthy = (Health::Unhealthy, "it is unhealthy".to_owned());
    assert_eq!(told, [healthy.clone(), away, unhealthy, healthy]);
}

#[test]
fn what_a_large_fleet_has_no_minutes_of_is_told_by_ten_of_them() {
    let allotment = Allotment::of(10_000);
    let mut history = History::default();
    look(&mut history, 0..61, Some(Health::Healthy));
    look(&mut history, 61..66, None);
    look(&mut history, 66..120, Some(Health::Healthy));
    let now = at(HOUR + 7_200);
    let whole = history.recent(7_200, 24, now);
    assert_eq!(
        whole.iter().filter(|share| **share == Some(100)).count(),
        22
    );
    history.trim(&allotment, now);
    let [minutes, tens, _] = history.steps(now);
    assert!(minutes.len() < 30 && tens.len() >= 12);
    let coarse = history.recent(7_200, 24, now);
    // The five minutes of which nobody knows are halves of two pieces now, and nothing else differs.
    let mut expected = vec![Some(100); 24];
    expected[12..14].fill(Some(50));
    assert_eq!(coarse, expected, "{whole:?}");
}

#[test]
fn one_bad_second_shows_on_every_scale() {
    let name = media();
    let mut history = History::default();
    history.tell(&seen(&name, Some(Health::Healthy)), at(BEGIN));
    history.tell(&seen(&name, Some(Health::Quarantined)), at(BEGIN + 5));
    history.tell(&seen(&name, Some(Health::Healthy)), at(BEGIN + 5));
    history.tell(&seen(&name, Some(Health::Healthy)), at(BEGIN + 10));
    for steps in history.steps(at(BEGIN)) {
        assert_eq!(totals(&steps), (10, 10));
        assert_eq!(steps[0].worst(), Some(Health::Quarantined));
    }
    assert_eq!(history.changes().len(), 3);
}

#[test]
fn a_clock_that_is_put_back_counts_nothing_twice_and_stops_nothing() {
    let name = media();
    let healthy = seen(&name, Some(Health::Healthy));
    let mut history = History::default();
    for look in (0..100).chain(0..200) {
        history.sample(&healthy, &figures(1), at(BEGIN + look * 10));
    }
    for (scale, steps) in SCALES.iter().zip(history.steps(at(BEGIN))) {
        assert!(
            steps
                .iter()
                .all(|step| u32::from(step.known) <= scale.length)
        );
        assert!(totals(&steps).0 >= 1_990 - 60, "{steps:?}");
    }
}

#[test]
fn a_clock_that_was_ahead_stops_nothing_however_far_it_was() {
    let name = media();
    for ahead in [90, 1_000, 20_000, 15 * 86_400, 4_000 * 86_400] {
        let mut history = History::default();
        let tell = |history: &mut History, health, second| {
            history.sample(&seen(&name, Some(health)), &figures(1), at(second));
            history.trim(&Allotment::of(1), at(second));
        };
        tell(&mut history, Health::Healthy, BEGIN);
        tell(&mut history, Health::Unhealthy, BEGIN + ahead);
        // A row that was written then is what a controller with a true clock reads.
        let mut history = History::read(&history.row().unwrap()).unwrap();
        for look in 0..=100 {
            tell(&mut history, Health::Healthy, BEGIN + look * 10);
        }
        let now = BEGIN + 1_000;
        for (scale, steps) in SCALES.iter().zip(history.steps(at(now))) {
            assert!(totals(&steps).0 >= 1_000 - 60, "{ahead}: {steps:?}");
            assert!(steps.is_sorted_by(|a, b| a.index < b.index));
            let last = steps.last().unwrap().index;
            assert!(last <= index(now, scale.length) + 1, "{ahead}: {steps:?}");
        }
        assert_eq!(history.recent(7_200, 24, at(now)).last(), Some(&Some(100)));
        let changes = history.changes();
        assert!(changes.is_sorted_by_key(|change| change.at), "{changes:?}");
        assert!(changes.iter().all(|change| change.at <= at(now)));
    }
}

#[test]
fn draining_is_healthy_where_it_is_meant() {
    let name = media();
    for (refusing, healthy) in [(false, 20), (true, 0)] {
        let mut history = History::default();
        let draining = Seen {
            refusing,
            ..seen(&name, Some(Health::Draining))
        };
        history.tell(&draining, at(BEGIN));
        history.tell(&draining, at(BEGIN + 20));
        for steps in history.steps(at(BEGIN + 20)) {
            assert_eq!(totals(&steps), (20, healthy));
            assert_eq!(steps[0].worst(), Some(Health::Draining));
        }
    }
}

#[test]
fn another_server_begins_anew_and_a_long_reason_is_cut() {
    let (name, other) = (media(), "media-server-2".parse().unwrap());
    let mut history = History::default();
    history.tell(&seen(&name, Some(Health::Healthy)), at(BEGIN));
    let long = Seen {
        reason: Some("ä".repeat(500)),
        ..seen(&other, Some(Health::Unhealthy))
    };
    history.tell(&long, at(BEGIN + 1));
    assert!(history.is_of(&other));
    let changes = history.changes();
    assert_eq!(changes.len(), 1);
    assert_eq!(
        changes[0].reason,
        format!("{}…", "ä".repeat(MOST_REASON / 2))
    );
}

#[test]
fn a_step_stays_small() {
    assert!(size_of::<Step>() <= 28, "{}", size_of::<Step>());
    let mut step = Step::new(1);
    step.note(&Figures {
        sessions: Some(0),
        disk_free: Some(0),
        slowest: Some(u16::MAX),
        ..Figures::default()
    });
    let figures = step.figures();
    assert_eq!((figures.sessions, figures.disk_free), (Some(0), Some(0)));
    assert_eq!(
        (figures.memory, figures.slowest),
        (None, Some(u16::MAX - 1))
    );
}
