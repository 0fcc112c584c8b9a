//! Completions, as bash gets them from the script that it was given.

use std::path::Path;
use std::time::{Duration, Instant};

use crate::harness::{Place, Ran, ran};

/// Sources the script, has bash complete a line at its end, and prints what it would offer.
const DRIVER: &str = r#"
source <(extend completion bash) || exit 9
complete -p extend >/dev/null || exit 9
function_of() { complete -p extend | sed 's/.*-F \([^ ]*\).*/\1/'; }
COMP_LINE=$1
COMP_POINT=${#COMP_LINE}
read -ra COMP_WORDS <<<"$COMP_LINE"
[[ $COMP_LINE == *" " ]] && COMP_WORDS+=("")
COMP_CWORD=$((${#COMP_WORDS[@]} - 1))
COMP_TYPE=9
"$(function_of)" extend "${COMP_WORDS[COMP_CWORD]}" "${COMP_WORDS[COMP_CWORD - 1]}"
((${#COMPREPLY[@]})) && printf '%s\n' "${COMPREPLY[@]}"
exit 0
"#;

fn press_tab(place: &Place, line: &str) -> Ran {
    let program = Path::new(env!("CARGO_BIN_EXE_extend"));
    let path = format!("{}:/usr/bin:/bin", program.parent().unwrap().display());
    let mut bash = place.command(Path::new("/bin/bash"));
    let done = ran(bash
        .env("PATH", path)
        .args(["--norc", "-c", DRIVER, "bash", line]));
    assert_eq!(
        done.err, "",
        "nothing is printed into anybody's line: {line}"
    );
    assert_eq!(done.code, 0, "{line}: {}", done.out);
    done
}

fn offered(place: &Place, line: &str) -> Vec<String> {
    let words = press_tab(place, line).out;
    words
        .lines()
        .map(|word| word.trim_end().to_owned())
        .collect()
}

#[test]
fn names_addresses_types_and_operations_are_those_of_the_moment() {
    let place = Place::new();
    for (line, words) in [
        (
            "extend restart -n me",
            vec!["meeting-server-1", "media-server-1"],
        ),
        ("extend restart -n q", vec!["queue-server-1"]),
        ("extend stop -a 172.31.16.14", vec!["172.31.16.140"]),
        (
            "extend stop -a 172.31.16.137,172.31.16.138",
            vec!["172.31.16.137,172.31.16.138"],
        ),
        (
            "extend node show 172",
            vec!["172.31.16.139", "172.31.16.141"],
        ),
        ("extend run -a 172.31.16.14", vec!["172.31.16.141"]),
        ("extend adopt -a 1", vec!["172.31.16.141"]),
        ("extend adopt --al", vec!["--all"]),
        ("extend op show 5n", vec!["5nzq8c", "5nzq8c"]),
        // What is still open cannot be submitted again.
        ("extend op retry 5n", vec!["5nzq8c"]),
        ("extend upgrade --to-p", vec!["--to-previous"]),
        (
            "extend upgrade -s me",
            vec!["media-server-only", "meeting-server-only"],
        ),
        ("extend upgrade -s iv", vec!["ivr-server-only"]),
    ] {
        assert_eq!(offered(&place, line), words, "{line}");
    }
}

#[test]
fn what_is_always_so_needs_no_controller() {
    let place = Place::empty();
    assert_eq!(offered(&place, "extend rest"), ["restart"]);
    assert_eq!(offered(&place, "extend status -o y"), ["yaml"]);
    assert_eq!(offered(&place, "extend status --wat"), ["--watch"]);
    assert_eq!(offered(&place, "extend run -s vr"), ["vr-server-only"]);
    assert!(offered(&place, "extend restart -n ").is_empty());
    assert!(offered(&place, "extend frobnicate -x ").len() < 100);
}

#[test]
fn a_controller_that_hangs_holds_up_nobody() {
    let place = Place::empty();
    // Connections are taken by the system, and nobody ever answers.
    let listener = std::os::unix::net::UnixListener::bind(place.socket()).unwrap();
    let begun = Instant::now();
    assert!(offered(&place, "extend restart -n ").is_empty());
    assert!(begun.elapsed() < Duration::from_secs(10), "it hangs");
    drop(listener);
}

#[test]
fn every_shell_gets_a_script() {
    let place = Place::empty();
    for shell in ["bash", "zsh", "fish", "elvish", "powershell"] {
        let ran = place.run(&format!("completion {shell}"));
        assert_eq!((ran.code, ran.err.as_str()), (0, ""), "{shell}");
        assert!(ran.out.contains("EXTEND_COMPLETE"), "{shell}: {}", ran.out);
    }
    for shell in ["bash", "zsh", "fish"] {
        let script = place.run(&format!("completion {shell}")).out;
        assert!(script.contains("2>/dev/null"), "{shell}: {script}");
    }
    let ran = place.run("completion tcsh");
    assert_eq!(ran.code, 2);
    assert!(ran.err.contains("zsh"), "{}", ran.err);
}

#[test]
fn the_variable_alone_changes_no_command() {
    let place = Place::new();
    let mut command = place.command(Path::new(env!("CARGO_BIN_EXE_extend")));
    let ran = ran(command.arg("status").env("EXTEND_COMPLETE", "bash"));
    assert_eq!(ran.code, 0);
    assert!(ran.out.starts_with("NAME"), "{}", ran.out);
}
