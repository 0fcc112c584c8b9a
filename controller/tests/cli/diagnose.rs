//! `extend diagnose` when something goes wrong half-way: it is stopped, the node is lost, the disk is
//! full, the agent sends what it should not.

use std::fs::{self, File};
use std::io::Read as _;
use std::path::Path;

use extend_proto::v1;
use flate2::read::GzDecoder;
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

use crate::harness::{Place, finish, until};
use crate::stub::{OnLogs, refusal_as};

fn data(text: &str) -> v1::LogPiece {
    let data = v1::LogData {
        data: text.as_bytes().to_vec(),
        position: None,
    };
    v1::LogPiece {
        kind: Some(v1::log_piece::Kind::Data(data)),
    }
}

fn list(files: &[(&str, u64)]) -> OnLogs {
    let files = files.iter().map(|(path, size)| v1::LogFileEntry {
        path: (*path).to_owned(),
        size: *size,
        modified_ms: 1_000,
    });
    let list = v1::LogFiles {
        files: files.collect(),
        cut: false,
    };
    OnLogs::all([v1::LogPiece {
        kind: Some(v1::log_piece::Kind::Files(list)),
    }])
}

fn none() -> OnLogs {
    OnLogs::refuse(refusal_as(
        "no-container",
        "no failed container is kept",
        "",
    ))
}

/// The names in an archive, without the directory, and what is in them.
fn unpacked(file: &Path) -> Vec<(String, String)> {
    let mut archive = tar::Archive::new(GzDecoder::new(File::open(file).unwrap()));
    let entries = archive.entries().unwrap().map(|entry| {
        let mut entry = entry.unwrap();
        let path = entry.path().unwrap().to_str().unwrap().to_owned();
        let (_, name) = path.split_once('/').unwrap();
        let mut bytes = Vec::new();
        entry.read_to_end(&mut bytes).unwrap();
        (name.to_owned(), String::from_utf8(bytes).unwrap())
    });
    entries.collect()
}

fn read<'a>(parts: &'a [(String, String)], name: &str) -> &'a str {
    let part = parts.iter().find(|(of, _)| of == name);
    &part.unwrap_or_else(|| panic!("{name}: {parts:?}")).1
}

#[test]
fn what_came_before_the_node_was_lost_is_kept_and_the_rest_is_not_asked_for() {
    let place = Place::new();
    let lost = refusal_as("broken", "the connection to its node was lost", "");
    place.script.on_logs([
        OnLogs::all([data("state: running\n")]),
        OnLogs::ending([data("first\nsec")], lost),
    ]);
    let file = place.path("a.tar.gz");
    let ran = place.run(&format!(
        "diagnose meeting-server-1 --to {}",
        file.display()
    ));
    assert_eq!(ran.code, 3, "{}", ran.err);
    let parts = unpacked(&file);
    assert_eq!(read(&parts, "container/inspection.txt"), "state: running\n");
    assert_eq!(read(&parts, "container/output.log"), "first\nsec\n");
    let told = read(&parts, "README.txt");
    let has = |text: &str| assert!(told.contains(text), "{text}: {told}");
    has("container/output.log: not all of it: the connection to its node was lost");
    has("not here  logs/: the connection to its node was lost");
    assert_eq!(place.script.reads.lock().unwrap().len(), 2);
}

#[test]
fn nothing_that_a_node_sends_brings_a_secret_or_takes_the_place_of_another_part() {
    let place = Place::new();
    // As an agent of an older version, or somebody in its place, might.
    let key = "AbCdEfGhIjKlMnOpQrStUvWxYz0123456789AbCdEfGh";
    let other = "BbCdEfGhIjKlMnOpQrStUvWxYz0123456789AbCdEfGh";
    place.script.on_logs([
        OnLogs::all([data("command: --password hun"), data("ter2 -v\n")]),
        OnLogs::all([data(
            "-----BEGIN PRIVATE KEY-----\nhunter2\n-----END PRIVATE KEY-----\nz\n",
        )]),
        none(),
        list(&[(key, 5), (other, 5), ("password=hunter2.log", 5)]),
        OnLogs::all([data("one\n")]),
        OnLogs::all([data("two\n")]),
        OnLogs::all([data("three\n")]),
        list(&[("core.token=hunter2", 5)]),
    ]);
    let file = place.path("a.tar.gz");
    let ran = place.run(&format!(
        "diagnose meeting-server-1 --to {}",
        file.display()
    ));
    assert_eq!(ran.code, 0, "{}", ran.err);
    let parts = unpacked(&file);
    let all = format!("{parts:?}");
    for secret in ["hunter2", key, other] {
        assert!(!all.contains(secret), "{secret}: {all}");
    }
    assert_eq!(
        read(&parts, "container/inspection.txt"),
        "command: --password [redacted] -v\n"
    );
    assert!(read(&parts, "container/output.log").ends_with("[redacted]\nz\n"));
    let logs = [
        "logs/[redacted]",
        "logs/[redacted]~2",
        "logs/password=[redacted]",
    ];
    let mut found = logs.map(|name| read(&parts, name));
    found.sort_unstable();
    assert_eq!(found, ["one\n", "three\n", "two\n"]);
    assert!(read(&parts, "README.txt").contains("not here  dumps/core.token=[redacted]: 5 bytes"));
}

#[test]
fn on_a_full_disk_it_says_so_and_leaves_no_file() {
    let place = Place::new();
    // No two lines are alike: nothing of it is compressed away.
    let mut state = 7_u64;
    let mut lines = String::new();
    for _ in 0..20_000 {
        state = state
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1);
        lines.push_str(&format!("{:x}\n", state >> 16));
    }
    let pieces = lines.as_bytes().chunks(16_000);
    let pieces = pieces.map(|piece| data(std::str::from_utf8(piece).unwrap()));
    place.script.on_logs([OnLogs::all(pieces)]);
    let target = tempfile::tempdir().unwrap();
    // A limit of the shell on the size of files is as near to a full disk as one gets without root.
    let child = place
        .command(Path::new("/bin/bash"))
        .args([
            "-c",
            "trap '' XFSZ; ulimit -f 100; exec \"$0\" diagnose meeting-server-1 --to \"$1\"",
        ])
        .arg(env!("CARGO_BIN_EXE_extend"))
        .arg(target.path().join("a.tar.gz"))
        .stdout(std::process::Stdio::piped())
        .stderr(std::process::Stdio::piped())
        .spawn()
        .unwrap();
    let ran = finish(child);
    assert_eq!(ran.code, 1, "{}", ran.err);
    assert!(ran.err.contains("cannot write "), "{}", ran.err);
    assert!(ran.err.contains("File too large"), "{}", ran.err);
    assert_eq!(fs::read_dir(target.path()).unwrap().count(), 0);
}

#[test]
fn stopped_in_the_middle_it_leaves_no_file() {
    let place = Place::new();
    place
        .script
        .on_logs([OnLogs::open([data("state: running\n")])]);
    let target = tempfile::tempdir().unwrap();
    let file = target.path().join("a.tar.gz");
    let child = place
        .command(Path::new(env!("CARGO_BIN_EXE_extend")))
        .args(["diagnose", "meeting-server-1", "--to"])
        .arg(&file)
        .stdout(std::process::Stdio::piped())
        .stderr(std::process::Stdio::piped())
        .spawn()
        .unwrap();
    until("the node is read", || {
        !place.script.reads.lock().unwrap().is_empty()
    });
    assert_eq!(fs::read_dir(target.path()).unwrap().count(), 1, "a part");
    kill(
        Pid::from_raw(child.id().try_into().unwrap()),
        Signal::SIGINT,
    )
    .unwrap();
    let ran = finish(child);
    assert_eq!(ran.code, 1, "{}", ran.err);
    assert!(ran.err.contains("no archive was made"), "{}", ran.err);
    assert_eq!(fs::read_dir(target.path()).unwrap().count(), 0);
}
