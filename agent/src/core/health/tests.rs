//! Verdicts, by table.

use std::time::Duration;

use extend_common::record::Instance;
use extend_common::roles::{Consequence, Point, ProbeDefinition, ProbeKind, Transport};

use super::*;

fn definition() -> ProbeDefinition {
    ProbeDefinition {
        kind: ProbeKind::Tcp {
            ports: "8840-8841".parse().unwrap(),
        },
        interval: Duration::from_secs(5),
        timeout: Duration::from_secs(2),
        failures: 3,
        successes: 2,
        consequence: Consequence::Restart,
    }
}

fn at(seconds: i64) -> Timestamp {
    Timestamp::from_second(1_800_000_000 + seconds).unwrap()
}

fn health() -> Health {
    let instance = Instance {
        container_id: "c".to_owned(),
        started_at: "t".to_owned(),
    };
    Health::of(instance, at(0), at(0))
}

fn passed() -> Answer {
    Answer::after(Duration::from_millis(3))
}

fn refused() -> Answer {
    Answer::Failed("refused".to_owned())
}

fn answer(sign: char) -> Answer {
    match sign {
        '+' => passed(),
        '?' => Answer::Unsure("late".to_owned()),
        _ => refused(),
    }
}

/// Each text is a round, five seconds after the one before: for the two ports, `+` passes, `-`
/// fails, and `?` says nothing.
fn health_after(rounds: &[&str]) -> Health {
    let mut health = health();
    for (round, number) in rounds.iter().zip(0_i64..) {
        let points = [Point::Tcp(8840), Point::Tcp(8841)];
        let results = points.into_iter().zip(round.chars().map(answer));
        health.note(&definition(), results.collect(), at(5 * number));
    }
    health
}

fn after(rounds: &[&str]) -> Verdict {
    health_after(rounds).verdict(None)
}

/// The same for one port, a character each.
fn after_each(signs: &str) -> Verdict {
    let rounds: Vec<String> = signs.chars().map(|sign| format!("{sign}+")).collect();
    after(&rounds.iter().map(String::as_str).collect::<Vec<_>>())
}

fn words(verdict: Verdict) -> String {
    match verdict {
        Verdict::Unhealthy(words) => words,
        other => panic!("{other:?}"),
    }
}

#[test]
fn a_run_that_nobody_has_looked_at_is_starting() {
    assert_eq!(after(&[]), Verdict::Starting);
}

#[test]
fn a_port_counts_from_its_first_answer_on() {
    assert_eq!(after(&["--", "--", "--", "--", "--"]), Verdict::NotProven);
    assert_eq!(after(&["--", "+-"]), Verdict::Healthy);
    assert_eq!(after(&["+-", "+-", "+-", "+-", "+-"]), Verdict::Healthy);
}

#[test]
fn an_armed_port_is_given_up_after_its_threshold_and_comes_back_after_the_other() {
    assert_eq!(after_each("+--"), Verdict::Healthy);
    let why = words(after_each("+---"));
    assert_eq!(why, "no answer on tcp/8840 for 3 × 5s: refused");
    assert_eq!(words(after_each("+-------")), why, "it says so once");
    assert!(matches!(after_each("+---+"), Verdict::Unhealthy(_)));
    assert_eq!(after_each("+---++"), Verdict::Healthy);
}

#[test]
fn a_port_that_answers_now_and_then_is_given_up_until_it_has_answered_for_a_whole_window() {
    assert_eq!(after_each("++-+-+"), Verdict::Healthy);
    let why = words(after_each("++-+-+-"));
    assert_eq!(
        why,
        "no answer on tcp/8840 in 3 of the last 5 probes: refused"
    );
    assert!(matches!(after_each("++-+-+-++++"), Verdict::Unhealthy(_)));
    assert_eq!(after_each("++-+-+-+++++"), Verdict::Healthy);
    // Two failures in five are bad luck, however long it goes on.
    assert_eq!(after_each("+-++-++-++-++-"), Verdict::Healthy);
    // What then stops altogether is told as that.
    assert_eq!(
        words(after_each("++-+-+---")),
        "no answer on tcp/8840 for 3 × 5s: refused"
    );
}

#[test]
fn what_the_agent_was_too_late_to_see_says_nothing() {
    assert_eq!(after_each("+??????"), Verdict::Healthy);
    assert_eq!(after_each("+--?"), Verdict::Healthy);
    assert!(matches!(after_each("+--?-"), Verdict::Unhealthy(_)));
}

#[test]
fn until_it_has_warmed_up_no_failure_counts() {
    let point = Point::Tcp(8840);
    let mut health = Health::of(health().instance, at(0), at(10));
    health.note(&definition(), vec![(point, passed())], at(0));
    for seconds in 1..10 {
        health.note(&definition(), vec![(point, refused())], at(seconds));
    }
    assert_eq!(health.verdict(None), Verdict::Healthy);
    assert_eq!(health.signs(&[definition()], at(0)).failing, None);
    for seconds in 10..12 {
        health.note(&definition(), vec![(point, refused())], at(seconds));
    }
    assert_eq!(health.verdict(None), Verdict::Healthy);
    // The host was asleep, and has just woken up.
    health.warm_up(at(100));
    for seconds in 90..100 {
        health.note(&definition(), vec![(point, refused())], at(seconds));
    }
    assert_eq!(health.verdict(None), Verdict::Healthy);
    health.note(&definition(), vec![(point, refused())], at(100));
    assert!(matches!(health.verdict(None), Verdict::Unhealthy(_)));
}

#[test]
fn the_first_failure_is_told_at_once_and_forgotten_with_the_next_answer() {
    assert_eq!(
        health_after(&["--"]).signs(&[definition()], at(0)).failing,
        None,
        "never armed"
    );
    let signs = health_after(&["++", "++", "-+", "-+"]).signs(&[definition()], at(0));
    let failing = signs.failing.unwrap();
    assert_eq!(failing.since, at(10));
    assert_eq!(failing.reason, "no answer on tcp/8840: refused");
    assert_eq!(
        health_after(&["++", "-+", "++"])
            .signs(&[definition()], at(0))
            .failing,
        None
    );
}

#[test]
fn what_no_restart_mends_is_a_warning_and_no_verdict() {
    let disk = ProbeDefinition {
        kind: ProbeKind::Disk { minimum_free: 10 },
        consequence: Consequence::Warn,
        successes: 1,
        ..definition()
    };
    let mut health = health_after(&["++"]);
    let full = || Answer::Failed("3 % are free".to_owned());
    for seconds in 0..3 {
        health.note(&disk, vec![(Point::Disk, full())], at(seconds));
    }
    assert_eq!(health.verdict(None), Verdict::Healthy);
    let warnings = health.signs(&[definition()], at(0)).warnings;
    assert_eq!(warnings.len(), 1);
    assert_eq!(warnings[0].kind, WarningKind::Disk);
    assert_eq!(warnings[0].since, at(0));
    assert_eq!(
        warnings[0].reason,
        "the data directory's disk is filling up for 3 × 5s: 3 % are free"
    );
    assert_eq!(health.signs(&[definition()], at(0)).failing, None);
    health.note(&disk, vec![(Point::Disk, passed())], at(3));
    assert_eq!(health.signs(&[definition()], at(0)).warnings, []);
}

#[test]
fn whoever_says_503_to_sip_takes_no_new_sessions() {
    let sip = ProbeDefinition {
        kind: ProbeKind::Sip {
            transport: Transport::Udp,
            ports: "8916".parse().unwrap(),
        },
        ..definition()
    };
    let point = Point::Sip(Transport::Udp, 8916);
    let mut health = health();
    let said = |draining| Answer::Passed {
        took: None,
        draining,
    };
    for seconds in 0..3 {
        assert_eq!(
            health.signs(&[], at(0)).draining,
            None,
            "now and then is not enough"
        );
        health.note(&sip, vec![(point, said(true))], at(seconds));
    }
    assert_eq!(health.signs(&[], at(0)).draining, Some(at(0)));
    assert_eq!(health.verdict(None), Verdict::Healthy);
    health.note(&sip, vec![(point, said(false))], at(3));
    assert_eq!(health.signs(&[], at(0)).draining, None);
    for seconds in 4..7 {
        let silent = Answer::Failed("silence".to_owned());
        health.note(&sip, vec![(point, silent)], at(seconds));
    }
    assert_eq!(
        words(health.verdict(None)),
        "no answer to SIP OPTIONS on udp/8916 for 3 × 5s: silence"
    );
}

/// SIP over UDP on two ports; each text is a round.
fn sip_after(rounds: &[&str]) -> Health {
    let sip = ProbeDefinition {
        kind: ProbeKind::Sip {
            transport: Transport::Udp,
            ports: "5060-5061".parse().unwrap(),
        },
        ..definition()
    };
    let mut health = health();
    for (round, number) in rounds.iter().zip(0_i64..) {
        let points = [5060, 5061].map(|port| Point::Sip(Transport::Udp, port));
        let results = points.into_iter().zip(round.chars().map(answer));
        health.note(&sip, results.collect(), at(5 * number));
    }
    health
}

#[test]
fn sip_that_is_silent_at_one_point_and_answers_at_another_is_a_warning() {
    let health = sip_after(&["++", "-+", "-+", "-+"]);
    assert_eq!(health.verdict(None), Verdict::Healthy);
    let signs = health.signs(&[], at(0));
    assert_eq!(signs.warnings.len(), 1, "{signs:?}");
    assert_eq!(signs.warnings[0].kind, WarningKind::Probe);
    assert!(signs.warnings[0].reason.contains("udp/5060 for 3 × 5s"));
    assert_eq!(signs.failing, None, "no part of a common cause any more");
    let signs = sip_after(&["++", "-+"]).signs(&[], at(0));
    assert!(signs.failing.is_some(), "at first it may be");
    let health = sip_after(&["++", "-+", "-+", "-+", "--"]);
    assert_eq!(health.verdict(None), Verdict::Healthy, "one is none");
    // A point is no way in that fails as well, or that has never answered.
    for rounds in [
        &["++", "-+", "-+", "--", "--", "--"][..],
        &["+-", "--", "--", "--"],
        &["++", "--", "--", "--"],
    ] {
        let health = sip_after(rounds);
        assert!(
            matches!(health.verdict(None), Verdict::Unhealthy(_)),
            "{rounds:?}"
        );
    }
}

#[test]
fn what_is_asked_in_haste_arms_and_never_counts_as_a_failure() {
    let point = Point::Tcp(8840);
    let mut health = health();
    health.note_eager(&definition(), vec![(point, refused())], at(0));
    assert_eq!(
        health.words(),
        ["tcp/8840: refused (it has never answered)"]
    );
    health.note_eager(&definition(), vec![(point, passed())], at(0));
    for _ in 0..9 {
        health.note_eager(&definition(), vec![(point, refused())], at(1));
    }
    assert_eq!(health.verdict(None), Verdict::Healthy);
    assert_eq!(health.signs(&[definition()], at(0)).failing, None);
}

#[test]
fn where_it_has_answered_and_where_not_is_known_of_everything_that_counts() {
    let signs = health_after(&["+-", "--"]).signs(&[definition()], at(0));
    assert_eq!(signs.answered, [(Point::Tcp(8840), at(0))].into());
    assert_eq!(signs.silent, [Point::Tcp(8841)].into());
    let warns = ProbeDefinition {
        consequence: Consequence::Warn,
        ..definition()
    };
    let signs = health_after(&["+-"]).signs(&[warns], at(0));
    assert_eq!((signs.answered.len(), signs.silent.len()), (0, 0));
}

#[test]
fn what_nobody_could_ask_is_not_known_to_be_silent_and_is_told_after_a_while() {
    let asked = |rounds: &[&str], seconds| {
        let health = health_after(rounds);
        (
            health.verdict(None),
            health.signs(&[definition()], at(seconds)),
        )
    };
    let (verdict, signs) = asked(&["??", "??"], 5);
    assert_eq!(verdict, Verdict::Starting);
    assert_eq!((signs.silent.len(), signs.unasked.len()), (0, 2));
    assert_eq!(signs.blind.as_deref(), Some("late"));
    assert_eq!(signs.warnings, []);
    let (_, signs) = asked(&["+?", "+?"], 119);
    assert_eq!((signs.silent.len(), signs.warnings.len()), (0, 0));
    assert_eq!(signs.blind, None);
    let (_, signs) = asked(&["+?", "+?"], 120);
    let warning = &signs.warnings[0];
    assert_eq!((warning.kind, warning.since), (WarningKind::Probe, at(0)));
    assert_eq!(
        warning.reason,
        "nobody can tell whether it answers at tcp/8841: late"
    );
    let (verdict, signs) = asked(&["?-"], 0);
    assert_eq!(verdict, Verdict::NotProven);
    assert_eq!(signs.silent, [Point::Tcp(8841)].into());
}

#[test]
fn where_nothing_is_restarted_for_an_answer_one_proves_that_it_works() {
    let warns = ProbeDefinition {
        consequence: Consequence::Warn,
        ..definition()
    };
    let point = Point::Tcp(8840);
    let mut health = health();
    health.expect(std::slice::from_ref(&warns));
    health.note(&warns, vec![(point, refused())], at(0));
    assert_eq!(health.verdict(None), Verdict::NotProven);
    health.note(&warns, vec![(point, passed())], at(1));
    assert_eq!(health.verdict(None), Verdict::Healthy);
    for seconds in 2..9 {
        health.note(&warns, vec![(point, refused())], at(seconds));
    }
    assert_eq!(health.verdict(None), Verdict::Healthy);
    assert_eq!(health.signs(&[warns], at(9)).warnings.len(), 1);
}

#[test]
fn dockers_own_health_check_has_a_say() {
    let mut health = health();
    assert_eq!(
        health.verdict(Some(DockerHealth::Healthy)),
        Verdict::Healthy
    );
    health.note(&definition(), vec![(Point::Tcp(8840), passed())], at(0));
    assert!(matches!(
        health.verdict(Some(DockerHealth::Unhealthy)),
        Verdict::Unhealthy(_)
    ));
    assert_eq!(
        health.verdict(Some(DockerHealth::Starting)),
        Verdict::Starting
    );
}

#[test]
fn what_each_port_said_last_is_told() {
    assert_eq!(health().words(), Vec::<String>::new());
    assert_eq!(
        health_after(&["+-"]).words(),
        [
            "tcp/8840: it answers",
            "tcp/8841: refused (it has never answered)"
        ]
    );
    let health = health_after(&["+-", "--", "-?"]);
    assert_eq!(
        health.words(),
        [
            "tcp/8840: refused (2 in a row)",
            "tcp/8841: nobody can tell: late"
        ]
    );
    let figures = health.figures();
    assert_eq!((figures[0].passed, figures[0].armed), (false, true));
    assert_eq!((figures[1].passed, figures[1].armed), (false, false));
    let figures = health_after(&["+-"]).figures();
    assert_eq!(figures[0].took, Some(Duration::from_millis(3)));
}
