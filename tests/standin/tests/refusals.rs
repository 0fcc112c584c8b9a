//! The binary as a process of its own, as far as it goes without the image: names, usage, user.
//!
//! What comes after the user check needs uid 888 and `/var/lib/portsip/pbx`, which only the image
//! has; the system tests run it there.

use std::os::unix::fs::symlink;
use std::os::unix::process::CommandExt;
use std::process::{Command, Output};

const OFFICIAL: [&str; 10] = [
    "-D",
    "/var/lib/portsip/pbx",
    "-E",
    "-a",
    "54.151.30.9",
    "-x",
    "127.0.0.1",
    "-n",
    "media1",
    "start",
];

fn run(argv0: &str, arguments: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_pbx-standin"))
        .arg0(argv0)
        .args(arguments)
        .output()
        .unwrap_or_else(|error| panic!("the binary does not start: {error}"))
}

fn stderr(output: &Output) -> String {
    String::from_utf8_lossy(&output.stderr).into_owned()
}

#[test]
fn an_unknown_name_is_refused() {
    let output = run("pbx-standin", &OFFICIAL);
    assert_eq!(output.status.code(), Some(2));
    assert_eq!(
        stderr(&output),
        "pbx-standin: pbx-standin is none of the image's programs\n"
    );
}

#[test]
fn other_arguments_are_refused_with_the_usage_line() {
    for binary in ["mediaserver", "callqueue", "conf", "vr"] {
        let output = run(binary, &["serve"]);
        assert_eq!(output.status.code(), Some(2), "{binary}");
        let usage = format!(
            "{binary}: these are not the official arguments\nusage: {binary} -D \
             /var/lib/portsip/pbx -E -a PBX_ADDRESS -x LOCAL_PRIVATE_IP -n NAME start\n"
        );
        assert_eq!(stderr(&output), usage);
    }
}

#[test]
fn another_user_than_portsip_is_refused() {
    let output = run("/usr/local/bin/mediaserver", &OFFICIAL);
    assert_eq!(output.status.code(), Some(3));
    assert!(
        stderr(&output).contains("instead of portsip (888:888)"),
        "{}",
        stderr(&output)
    );
}

#[test]
fn the_entrypoint_becomes_the_command() {
    let dir = std::env::temp_dir().join(format!("pbx-standin-entry-{}", std::process::id()));
    std::fs::create_dir_all(&dir).expect("a temporary directory");
    let server = dir.join("mediaserver");
    symlink(env!("CARGO_BIN_EXE_pbx-standin"), &server).expect("a link to the binary");
    let server = server.to_str().expect("a path in UTF-8");
    let official = run("entrypoint", &[&[server], &OFFICIAL[..]].concat());
    assert_eq!(
        official.status.code(),
        Some(3),
        "the server is in its place: wrong user"
    );
    assert_eq!(run("entrypoint", &[]).status.code(), Some(2));
    let missing = run("entrypoint", &["/no/such/program"]);
    assert_eq!(missing.status.code(), Some(127));
    assert!(stderr(&missing).starts_with("entrypoint: cannot run /no/such/program"));
    std::fs::remove_dir_all(&dir).expect("the temporary directory is removed");
}
