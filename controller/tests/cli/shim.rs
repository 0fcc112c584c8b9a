//! The shim: arguments unharmed, disk-only to the vendor, and no arguments.

use std::fs;
use std::io::Write;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::Stdio;

use crate::harness::{Place, Ran, finish, ran, shim_file};

fn script(path: &Path, text: &str) {
    fs::write(path, text).unwrap();
    fs::set_permissions(path, fs::Permissions::from_mode(0o755)).unwrap();
}

const SHOW: &str = "#!/bin/bash\necho \"$(basename \"$0\"): $#\"\nprintf '[%s]\\n' \"$@\"\n";

/// A directory with a copy of the shim in it.
fn beside(files: &[&str]) -> Place {
    let place = Place::empty();
    script(
        &place.path("extend.sh"),
        &fs::read_to_string(shim_file()).unwrap(),
    );
    for file in files {
        script(&place.path(file), SHOW);
    }
    place
}

fn shim(place: &Place, words: &[&str]) -> Ran {
    ran(place
        .command(Path::new("/bin/bash"))
        .arg(place.path("extend.sh"))
        .args(words))
}

#[test]
fn arguments_arrive_as_they_were_given() {
    let place = beside(&["extend"]);
    let ran = shim(&place, &["restart", "-m", "two  words", "", "*", "$HOME"]);
    assert_eq!(
        ran.out,
        "extend: 6\n[restart]\n[-m]\n[two  words]\n[]\n[*]\n[$HOME]\n"
    );
    assert_eq!(ran.code, 0);
}

#[test]
fn it_runs_as_a_program_and_by_a_link_too() {
    let place = beside(&["extend"]);
    let link = place.path("link.sh");
    std::os::unix::fs::symlink(place.path("extend.sh"), &link).unwrap();
    for file in [place.path("extend.sh"), link] {
        assert_eq!(
            ran(place.command(&file).arg("stop")).out,
            "extend: 1\n[stop]\n"
        );
    }
}

#[test]
fn no_arguments_ask_for_help() {
    let place = beside(&["extend"]);
    assert_eq!(shim(&place, &[]).out, "extend: 1\n[--help]\n");
}

#[test]
fn disk_only_goes_to_the_vendor() {
    let place = beside(&["extend", "extend.sh.portsip"]);
    for words in [
        &["run", "-s", "disk-only"][..],
        &["run", "--type=disk-only", "-x"],
        &["run", "-x", "-sdisk-only"],
        &["run", "-n", "a b", "-s", "disk-only"],
    ] {
        let ran = shim(&place, words);
        let all: String = words.iter().map(|word| format!("[{word}]\n")).collect();
        assert_eq!(
            ran.out,
            format!("extend.sh.portsip: {}\n{all}", words.len())
        );
    }
    // These only look like it.
    for words in [
        &["run", "-s", "media-server-only", "-n", "disk-only"][..],
        &["run", "-n", "-s", "disk-only"],
        &["start", "-s", "disk-only"],
        &["run", "-m", "disk-only"],
    ] {
        assert!(shim(&place, words).out.starts_with("extend: "), "{words:?}");
    }
}

#[test]
fn disk_only_is_refused_where_the_vendors_script_is_not() {
    let place = beside(&["extend"]);
    let ran = shim(&place, &["run", "-s", "disk-only"]);
    assert_eq!((ran.code, ran.out.as_str()), (4, ""));
    assert!(
        ran.err.starts_with("error: cannot run disk-only: "),
        "{}",
        ran.err
    );
    assert!(
        ran.err.contains("\nhint: keep PortSIP's extend.sh as "),
        "{}",
        ran.err
    );
}

#[test]
fn a_missing_program_is_named() {
    let place = beside(&[]);
    let ran = shim(&place, &["status"]);
    assert_eq!(ran.code, 1);
    assert!(
        ran.err
            .starts_with("error: cannot find the program extend\n"),
        "{}",
        ran.err
    );
}

/// Lines pasted together lie in the shell's input while the first of them runs. None of them is an
/// answer to a question of another, and none is lost.
#[test]
fn pasted_lines_are_not_eaten() {
    let place = Place::new();
    let shim = format!("/bin/bash {}", shim_file().display());
    let pasted = format!(
        "{shim} rm -s media-server-only\n1\n{shim} \\\n  stop \\\n  -s queue-server-only \\\n  \
         -a 172.31.16.138\n{shim} rm -n media-server-1\n{shim} status\n"
    );
    let mut command = place.command(Path::new("/bin/bash"));
    command
        .env("EXTEND_BIN", env!("CARGO_BIN_EXE_extend"))
        .stdin(Stdio::piped());
    let mut shell = command
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    shell
        .stdin
        .take()
        .unwrap()
        .write_all(pasted.as_bytes())
        .unwrap();
    let ran = finish(shell);
    assert!(
        ran.err
            .contains("cannot rm -s media-server-only without --yes"),
        "{}",
        ran.err
    );
    assert!(ran.err.contains("1: command not found"), "{}", ran.err);
    assert!(ran.out.starts_with("NAME "), "{}", ran.out);
    let mut submits = place.script.submits();
    submits.retain(|submit| !submit.plan_only);
    assert_eq!(submits.len(), 2, "{submits:?}");
    assert_eq!(
        submits[0].selector.as_ref().unwrap().role,
        "queue-server-only"
    );
    assert_eq!(submits[1].selector.as_ref().unwrap().name, "media-server-1");
}
