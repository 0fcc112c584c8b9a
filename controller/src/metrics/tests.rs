use std::collections::BTreeSet;
use std::path::PathBuf;

use super::page::{Page, Value};
use super::table::{self, Definition, Kind};
use super::*;
use crate::core::figures::{
    EACH, FleetFigures, HostFigures, ProbeFigures, RoleFigures, ServerFigures,
};

fn repository() -> PathBuf {
    PathBuf::from(concat!(env!("CARGO_MANIFEST_DIR"), "/.."))
}

fn read(path: &str) -> String {
    std::fs::read_to_string(repository().join(path)).unwrap()
}

#[test]
fn whatever_a_label_holds_the_text_is_one_that_can_be_read() {
    let mut page = Page::default();
    let evil = "a\"b\\c\nextend_fake 1";
    page.gauge(&table::SERVER_STATE, [evil, "n", "r", "healthy"], 1.0);
    let text = encode::text(page).unwrap();
    let samples: Vec<_> = text.lines().filter(|l| !l.starts_with('#')).collect();
    let expected = "extend_server_state{server=\"a\\\"b\\\\c\\nextend_fake 1\",node=\"n\",\
                    role=\"r\",health=\"healthy\"} 1.0";
    assert_eq!(samples, [expected]);
}

#[test]
fn names_follow_the_conventions() {
    let mut seen = BTreeSet::new();
    for Definition {
        name, kind, help, ..
    } in table::ALL
    {
        assert!(seen.insert(name), "{name} twice");
        assert!(name.starts_with("extend_") || name.starts_with("process_"));
        assert_eq!(*kind == Kind::Counter, name.ends_with("_total"), "{name}");
        assert!(help.ends_with('.'), "{name}: {help}");
        let units = [
            ("_seconds", "econds"),
            ("_bytes", "ytes"),
            ("_ratio", "0 to 1"),
        ];
        for (ending, word) in units {
            let is_so = name.trim_end_matches("_total").ends_with(ending);
            assert!(!is_so || help.contains(word), "{name}: {help}");
        }
    }
}

/// A fleet as large as may be, each value as long as may be.
fn largest() -> FleetFigures {
    let server = |number: usize| ServerFigures {
        name: format!("{number:0>63}").parse().unwrap(),
        node: std::net::Ipv4Addr::new(172, 31, 116, 139)
            .try_into()
            .unwrap(),
        role: Some("media-server-only".parse().unwrap()),
        health: extend_common::status::Health::Quarantined,
        agent_restarts: Some(u64::MAX >> 12),
        docker_restarts: Some(u64::MAX >> 12),
        sessions: [Some(u64::MAX >> 12); 2],
        memory: Some(u64::MAX >> 12),
        dumps: Some((u64::MAX >> 12, u64::MAX >> 12)),
        probes: [
            "tcp", "udp", "http", "https", "sip-udp", "sip-tcp", "disk", "memory", "portal",
        ]
        .map(|kind| {
            (
                kind,
                ProbeFigures {
                    failing: 9,
                    slowest: Some(Duration::MAX / 7),
                },
            )
        })
        .into(),
        host: Some(HostFigures {
            processor_permille: Some(999),
            load: Some(12_345),
            memory: Some(extend_common::host::Memory {
                total: u64::MAX >> 12,
                used: u64::MAX >> 12,
            }),
            disk: Some((u64::MAX >> 12, u64::MAX >> 12)),
        }),
        clock_ahead: Some(jiff::SignedDuration::from_millis(-123_456_789)),
    };
    FleetFigures {
        roles: [(None, RoleFigures::default())].into(),
        each: (0..EACH).map(server).collect(),
        left_out: 9_500,
        ..FleetFigures::default()
    }
}

#[test]
fn the_largest_fleet_fits_into_three_megabytes() {
    let mut page = Page::default();
    fleet::show(&mut page, &largest());
    let text = encode::text(page).unwrap();
    assert!(text.contains("extend_servers_without_series 9500"));
    assert!(text.len() > 256 * 1024, "every server is there");
    assert!(text.len() < 3 * 1024 * 1024, "{}", text.len());
}

#[test]
fn the_documentation_tells_of_every_metric_and_of_no_other() {
    let rows = table::ALL.iter().map(|definition| {
        let Definition {
            name,
            kind,
            labels,
            help,
        } = definition;
        let kind = format!("{kind:?}").to_lowercase();
        let labels: Vec<_> = labels.iter().map(|label| format!("`{label}`")).collect();
        format!("| `{name}` | {kind} | {} | {help} |", labels.join(", "))
    });
    let text = read("docs/metrics.md");
    let told = |line: &&str| line.starts_with("| `extend_") || line.starts_with("| `process_");
    let told: Vec<_> = text.lines().filter(told).collect();
    assert_eq!(told, rows.collect::<Vec<_>>());
}

/// Every word of a text that could be a metric's name.
fn words(text: &str) -> BTreeSet<&str> {
    let is_part = |c: char| c.is_ascii_alphanumeric() || c == '_';
    text.split(|c| !is_part(c))
        .filter(|word| word.starts_with("extend_") || word.starts_with("process_"))
        .collect()
}

#[test]
fn rules_and_dashboard_name_what_there_is_and_only_that() {
    let known: BTreeSet<String> = table::ALL
        .iter()
        .flat_map(|definition| {
            let name = definition.name;
            match definition.kind {
                Kind::Histogram => ["_bucket", "_sum", "_count"]
                    .map(|ending| format!("{name}{ending}"))
                    .to_vec(),
                _ => vec![name.to_owned()],
            }
        })
        .collect();
    let dashboard = read("packaging/grafana/extend.json");
    for (file, text) in [
        ("extend.json", &dashboard),
        ("rules", &read("packaging/prometheus/extend.rules.yml")),
        ("tests", &read("packaging/prometheus/tests.yml")),
    ] {
        let named = words(text);
        assert!(named.len() > 3, "{file}");
        for word in named {
            assert!(known.contains(word), "{file} names {word}");
        }
    }
    // What nobody looks at is not worth its series.
    let unseen = ["process_start_time_seconds"];
    for definition in table::ALL.iter().filter(|d| !unseen.contains(&d.name)) {
        let endings = ["", "_bucket", "_sum", "_count"];
        let shown = words(&dashboard);
        let is_shown = endings
            .iter()
            .any(|ending| shown.contains(format!("{}{ending}", definition.name).as_str()));
        assert!(is_shown, "the dashboard does not show {}", definition.name);
    }
}

#[test]
fn rules_say_how_bad_it_is_and_what_to_do_and_the_documentation_lists_them() {
    let (rules, documentation) = (
        read("packaging/prometheus/extend.rules.yml"),
        read("docs/metrics.md"),
    );
    let mut alerts = rules.split("- alert: ").skip(1).peekable();
    assert!(alerts.peek().is_some());
    for alert in alerts {
        let name = alert.lines().next().unwrap();
        for part in [
            "expr: ",
            "for: ",
            "severity: ",
            "summary: ",
            "description: ",
        ] {
            assert_eq!(alert.matches(part).count(), 1, "{name}: {part}");
        }
        let is_known = ["severity: warning", "severity: critical"];
        assert!(is_known.iter().any(|known| alert.contains(known)), "{name}");
        assert!(documentation.contains(&format!("| `{name}` |")), "{name}");
    }
}

#[test]
fn a_histogram_is_shown_with_all_its_parts() {
    let meter = crate::engine::Meter::default();
    meter.commits.observe(0.003);
    let mut page = Page::default();
    page.put(&table::COMMITS, [], Value::Histogram(meter.commits.clone()));
    let text = encode::text(page).unwrap();
    for line in [
        "# TYPE extend_store_commit_duration_seconds histogram",
        "extend_store_commit_duration_seconds_bucket{le=\"0.002\"} 0",
        "extend_store_commit_duration_seconds_bucket{le=\"0.005\"} 1",
        "extend_store_commit_duration_seconds_bucket{le=\"+Inf\"} 1",
        "extend_store_commit_duration_seconds_count 1",
    ] {
        assert!(text.lines().any(|found| found == line), "{line} in\n{text}");
    }
}

#[tokio::test(start_paused = true)]
async fn many_scrapers_are_one_question_and_silence_is_never_old_figures() {
    use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
    let asked = Arc::new(AtomicUsize::new(0));
    let silent = Arc::new(AtomicBool::new(false));
    let counted = (Arc::clone(&asked), Arc::clone(&silent));
    let metrics = Metrics::made_by(move |_| {
        let number = counted.0.fetch_add(1, Ordering::SeqCst);
        let silent = counted.1.load(Ordering::SeqCst);
        Box::pin(async move {
            tokio::time::sleep(Duration::from_millis(10)).await;
            (!silent).then(|| Arc::from(format!("answer {number}")))
        })
    });
    let limit = Duration::from_secs(2);
    let answers = futures_util::future::join_all((0..100).map(|_| metrics.text(limit))).await;
    assert!(
        answers
            .iter()
            .all(|answer| answer.as_deref() == Some("answer 0"))
    );
    tokio::time::sleep(Duration::from_millis(990)).await;
    assert_eq!(metrics.text(limit).await.as_deref(), Some("answer 0"));
    tokio::time::sleep(Duration::from_millis(20)).await;
    silent.store(true, Ordering::SeqCst);
    assert_eq!(metrics.text(limit).await, None, "and not the answer before");
    assert_eq!(metrics.text(limit).await, None);
    assert_eq!(asked.load(Ordering::SeqCst), 2);
}
