//! Verdicts, by table.

use std::time::Duration;

use extend_common::record::Instance;
use extend_common::roles::{ProbeDefinition, ProbeKind};

use super::*;

fn definition() -> ProbeDefinition {
    ProbeDefinition {
        kind: ProbeKind::Tcp,
        ports: "8840-8841".parse().unwrap(),
        interval: Duration::from_secs(5),
        timeout: Duration::from_secs(2),
        failures: 3,
        successes: 2,
    }
}

fn health() -> Health {
    let now = jiff::Timestamp::UNIX_EPOCH;
    let instance = Instance {
        container_id: "c".to_owned(),
        started_at: "t".to_owned(),
    };
    Health::of(instance, now)
}

/// Each character is a round: for the two ports, `+` passes and `-` fails.
fn after(rounds: &[&str]) -> Verdict {
    let mut health = health();
    for round in rounds {
        let results = round
            .chars()
            .zip(8840..)
            .map(|(c, port)| {
                (
                    port,
                    if c == '+' {
                        Ok(())
                    } else {
                        Err("refused".to_owned())
                    },
                )
            })
            .collect();
        health.note(&definition(), results);
    }
    health.verdict(None)
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
    assert_eq!(after(&["++", "-+", "-+"]), Verdict::Healthy);
    let Verdict::Unhealthy(why) = after(&["++", "-+", "-+", "-+"]) else {
        panic!("unhealthy")
    };
    assert_eq!(why, "no answer on tcp/8840 for 3 probes: refused");
    assert!(matches!(
        after(&["++", "-+", "-+", "-+", "++"]),
        Verdict::Unhealthy(_)
    ));
    assert_eq!(
        after(&["++", "-+", "-+", "-+", "++", "++"]),
        Verdict::Healthy
    );
    assert_eq!(
        after(&["++", "-+", "-+", "++", "-+", "-+"]),
        Verdict::Healthy
    );
}

#[test]
fn dockers_own_health_check_has_a_say() {
    let mut health = health();
    assert_eq!(
        health.verdict(Some(DockerHealth::Healthy)),
        Verdict::Healthy
    );
    health.note(&definition(), vec![(8840, Ok(()))]);
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
    let mut health = health();
    assert_eq!(health.words(), Vec::<String>::new());
    let refused = || Err("connection refused".to_owned());
    health.note(&definition(), vec![(8840, Ok(())), (8841, refused())]);
    assert_eq!(
        health.words(),
        [
            "tcp/8840: it answers",
            "tcp/8841: connection refused (it has never answered)"
        ]
    );
    for _ in 0..2 {
        health.note(&definition(), vec![(8840, refused())]);
    }
    assert_eq!(
        health.words()[0],
        "tcp/8840: connection refused (2 in a row)"
    );
}
