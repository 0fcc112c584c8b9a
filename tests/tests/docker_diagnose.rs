//! A server on a real Docker Engine crashes and leaves a dump: the event tells of it, and an archive
//! has it, with everything else and without the secrets.
//!
//! Needs root and a Docker Engine: `make test` starts one. Without them it fails.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    reason = "everything here is a test, also what is not marked as one"
)]

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use extend_tests::real::{Fleet, MEDIA, Setup, until};

/// The event is told at once, and a machine has other things to do.
const TOLD: Duration = Duration::from_secs(60);
/// In the dump, in a log file, and nowhere in an archive without dumps.
const CANARY: &str = "hunter2";

/// Makes an archive and unpacks it with the system's tar; gives the one directory in it.
fn diagnose(fleet: &Fleet, name: &str, more: &[&str]) -> PathBuf {
    let file = fleet.path(&format!("{name}.tar.gz"));
    let place = fleet.path(name);
    let words = ["diagnose", MEDIA.name, "--to", file.to_str().unwrap()];
    let done = fleet.extend(&[&words, more].concat());
    done.expect(0, "an archive with everything is made");
    fs::create_dir(&place).unwrap();
    let mut tar = Command::new("tar");
    let unpacked = tar.arg("-xzf").arg(&file).arg("-C").arg(&place).status();
    assert!(unpacked.unwrap().success());
    fs::read_dir(&place)
        .unwrap()
        .next()
        .unwrap()
        .unwrap()
        .path()
}

fn has(root: &Path, words: &str) -> bool {
    let mut grep = Command::new("grep");
    grep.arg("-rqaF").arg(words).arg(root);
    grep.status().unwrap().success()
}

#[test]
fn a_crash_leaves_a_dump_that_its_event_tells_and_its_archive_has() {
    let fleet = Setup::of(&[MEDIA]).up();
    let before = fleet.deploy(MEDIA);
    let data = fleet.data(MEDIA.node).join(MEDIA.role);
    assert!(data.join("dump").is_dir(), "the role has one");
    let log = data.join("log/secrets.log");
    fs::write(&log, format!("db password={CANARY}\nthe last line\n")).unwrap();
    // The second run finds the file empty and lives.
    fleet.control(
        MEDIA,
        &format!("dump=memory with password={CANARY}\ncrash=139\n"),
    );
    until("a crash dump", TOLD, || {
        let is_there = data.join("dump/core.1").exists();
        is_there.then_some(()).ok_or_else(|| "none".to_owned())
    });
    fleet.control(MEDIA, "");
    let shown = until("an event with the dump", TOLD, || {
        let words = ["events", "--kind", "crash", "-n", MEDIA.name, "-o", "wide"];
        let shown = fleet.extend(&words).expect(0, "events are shown").stdout;
        match shown.contains("crash dump core.1 (") {
            true => Ok(shown),
            false => Err(shown),
        }
    });
    assert!(shown.contains("exit code 139"), "{shown}");
    fleet.await_health(MEDIA, "healthy");
    assert_eq!(fleet.engine().instance(MEDIA.container).id, before.id);

    let root = diagnose(&fleet, "safe", &[]);
    assert!(!has(&root, CANARY), "a secret is in {}", root.display());
    for (name, words) in [
        ("README.txt", "not here  dumps/core.1: "),
        ("container/inspection.txt", "name: portsip.mediaserver\n"),
        ("container/inspection.txt", "environment: LD_LIBRARY_PATH=/"),
        ("container/output.log", "crashes, exit code 139"),
        (
            "logs/secrets.log",
            "db password=[redacted]\nthe last line\n",
        ),
        ("controller/events.json", "\"name\": \"core.1\""),
        ("controller/health.json", "\"history\""),
        ("controller/node.json", MEDIA.node),
        ("controller/operations.json", "\"run\""),
    ] {
        let text = fs::read_to_string(root.join(name)).unwrap();
        assert!(text.contains(words), "{name}: {words}: {text}");
    }
    let root = diagnose(&fleet, "whole", &["--dumps"]);
    let dump = fs::read_to_string(root.join("dumps/core.1")).unwrap();
    assert_eq!(dump, format!("memory with password={CANARY}"));
    fleet.check_bystanders();
}
