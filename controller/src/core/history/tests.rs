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
            before = health.filter(|health| step::is_known(*health));
        }
        for (scale, steps) in SCALES.iter().zip(history.steps()) {
            prop_assert_eq!(totals(&steps), (known, healthy), "steps of {} s", scale.length);
            for step in &steps {
                prop_assert!(u32::from(step.known) <= scale.length && step.healthy <= step.known);
            }
            prop_assert!(steps.is_sorted_by(|a, b| a.index < b.index));
        }
        // What a coarse step says is what its fine ones say together.
        let [fine, coarse, coarser] = history.steps();
        for (small, large, ratio) in [(&fine, &coarse, 10), (&coarse, &coarser, 12)] {
            for step in large {
                let mut together = Step::new(step.index);
                small.iter().filter(|s| s.index / ratio == step.index).for_each(|s| together.merge(s));
                prop_assert_eq!(together, *step);
            }
        }
        let read = History::read(&history.row().unwrap()).unwrap();
        prop_assert_eq!(read.steps(), history.steps());
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
        let steps = history.steps();
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
    let [fine, ..] = long(15, 1).steps();
    let whole = |step: &Step| (step.known, step.figures().processor);
    assert_eq!(fine.first().map(whole), Some((60, Some(500))));
}

#[test]
fn what_is_too_old_for_its_scale_goes_also_while_nothing_comes() {
    let (mut history, allotment) = (long(1, 1), Allotment::of(1));
    let later = at(BEGIN + 86_400 + 3 * 3_600);
    history.trim(&allotment, later);
    let [fine, coarse, _] = history.steps();
    assert_eq!(fine, []);
    assert_eq!(coarse.len(), 144 - 18);
}

#[test]
fn a_gap_is_a_gap_and_never_healthy() {
    let name = media();
    let mut history = History::default();
    let healthy = seen(&name, Some(Health::Healthy));
    for look in 0..60 {
        history.sample(&healthy, &figures(1), at(BEGIN + look * 10));
    }
    // Nobody has looked for ten minutes.
    for look in 120..180 {
        history.sample(&healthy, &figures(1), at(BEGIN + look * 10));
    }
    // Its node is away.
    for look in 180..240 {
        history.sample(&seen(&name, None), &figures(1), at(BEGIN + look * 10));
    }
    let now = at(BEGIN + 2_390);
    let recent = history.recent(7_200, 24, now);
    assert_eq!(recent.len(), 24);
    let (all, none) = (Some(100), None);
    let first = recent.iter().position(|share| *share == all).unwrap();
    assert_eq!(
        &recent[first..first + 3],
        [all, all, all].as_slice(),
        "{recent:?}"
    );
    assert_eq!(recent.last(), Some(&none));
    assert!(recent[..first].iter().all(Option::is_none));
    let [fine, ..] = history.steps();
    assert_eq!(totals(&fine), (590 + 600, 590 + 600));
    let told: Vec<_> = history
        .changes()
        .iter()
        .map(|c| (c.health, c.reason.clone()))
        .collect();
    let expected = [
        (Health::Healthy, "it is healthy".to_owned()),
        (Health::Unknown, "its node is away".to_owned()),
    ];
    assert_eq!(told, expected);
}

#[test]
fn one_bad_second_shows_on_every_scale() {
    let name = media();
    let mut history = History::default();
    history.tell(&seen(&name, Some(Health::Healthy)), at(BEGIN));
    history.tell(&seen(&name, Some(Health::Quarantined)), at(BEGIN + 5));
    history.tell(&seen(&name, Some(Health::Healthy)), at(BEGIN + 5));
    history.tell(&seen(&name, Some(Health::Healthy)), at(BEGIN + 10));
    for steps in history.steps() {
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
    for (scale, steps) in SCALES.iter().zip(history.steps()) {
        assert!(
            steps
                .iter()
                .all(|step| u32::from(step.known) <= scale.length)
        );
        assert!(totals(&steps).0 >= 1_990 - 60, "{steps:?}");
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
