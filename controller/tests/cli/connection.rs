//! What becomes of a command when the controller dies under it.

use std::fs::{self, Permissions};
use std::os::unix::fs::PermissionsExt;
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::sync::atomic::Ordering;

use extend_proto::v1;
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

use crate::fixtures::{operation, phase, succeeded, target};
use crate::harness::{Place, finish, ran, until};
use crate::stub::OnSubmit;

fn running() -> v1::Operation {
    let mut target = target(2, v1::TargetState::Running);
    phase(&mut target, v1::Phase::Stopping, 1_000);
    operation(v1::Verb::Restart, vec![target])
}

#[test]
fn nobody_there_is_said_at_once() {
    let place = Place::empty();
    for words in [
        "restart",
        "status",
        "node list",
        "op watch 5nzq8c",
        "rm -n m",
    ] {
        let ran = place.run(words);
        assert_eq!(ran.code, 5, "{words}");
        assert!(
            ran.err.contains("there is no socket"),
            "{words}: {}",
            ran.err
        );
        assert!(
            ran.err
                .ends_with("hint: systemctl status extend-controller\n"),
            "{}",
            ran.err
        );
    }
}

#[test]
fn a_socket_that_was_left_behind_is_said_to_be_that() {
    let place = Place::empty();
    drop(std::os::unix::net::UnixListener::bind(place.socket()).unwrap());
    let ran = place.run("status");
    assert_eq!(ran.code, 5);
    assert!(
        ran.err.contains("nobody answers at its socket"),
        "{}",
        ran.err
    );
}

/// A user whom no group of ours has.
const NOBODY: u32 = 65_534;

#[test]
fn who_may_not_use_the_socket_is_told_the_group() {
    let place = Place::new();
    let open = |path: &Path, mode| fs::set_permissions(path, Permissions::from_mode(mode)).unwrap();
    // Also the owner of a socket needs the right to write to it; only root does not.
    open(&place.socket(), 0o000);
    open(place.socket().parent().unwrap(), 0o755);
    let program = place.path("extend");
    fs::copy(env!("CARGO_BIN_EXE_extend"), &program).unwrap();
    for words in [
        &["status"][..],
        &["restart"],
        &["rm", "--yes"],
        &["node", "list"],
    ] {
        let mut command = place.command(&program);
        command.args(words).current_dir("/");
        if nix::unistd::geteuid().is_root() {
            command.uid(NOBODY).gid(NOBODY);
        }
        let ran = ran(&mut command);
        assert_eq!(ran.code, 5, "{words:?}: {}", ran.err);
        assert_eq!(
            ran.err,
            format!(
                "error: cannot reach the controller: you may not use its socket {}\n  \
                 cause: the socket is for root and for members of the group extend\n\
                 hint: sudo usermod -aG extend $USER    (then log in again)\n",
                place.socket().display()
            ),
            "{words:?}"
        );
    }
    assert!(place.script.submits().is_empty());
}

#[test]
fn what_is_no_socket_is_said_to_be_none() {
    let place = Place::empty();
    std::fs::write(place.path("file"), "").unwrap();
    for path in [place.path("file"), place.directory.path().to_owned()] {
        let ran = place.run_words(&["restart", "--socket", path.to_str().unwrap()]);
        assert_eq!(ran.code, 5, "{}", ran.err);
        let sentence = format!("the controller: {} is no socket\n", path.display());
        assert!(ran.err.contains(&sentence), "{}", ran.err);
        assert!(ran.err.contains("hint: unset EXTEND_SOCKET"), "{}", ran.err);
    }
}

#[test]
fn an_empty_path_is_said_to_be_empty() {
    let place = Place::empty();
    let mut command = place.command(std::path::Path::new(env!("CARGO_BIN_EXE_extend")));
    let by_variable = ran(command.arg("status").env("EXTEND_SOCKET", ""));
    for ran in [by_variable, place.run_words(&["status", "--socket", ""])] {
        assert_eq!(ran.code, 2, "{}", ran.err);
        assert!(ran.err.contains("it is empty"), "{}", ran.err);
        assert!(ran.err.contains("unset EXTEND_SOCKET"), "{}", ran.err);
    }
}

#[test]
fn a_submission_whose_answer_was_lost_is_sent_again_with_the_same_id() {
    let mut place = Place::new();
    let answer = OnSubmit::Answer(v1::SubmitResponse {
        plan: Vec::new(),
        operation: Some(succeeded()),
    });
    place.script.on_submit([OnSubmit::Hang, answer]);
    let child = place.spawn("restart");
    until("submitted", || place.script.submits().len() == 1);
    place.kill();
    place.start();
    let ran = finish(child);
    assert_eq!(ran.code, 0, "{}", ran.err);
    let submits = place.script.submits();
    assert_eq!(submits.len(), 2);
    assert_eq!(submits[0], submits[1]);
    assert!(
        ran.err.contains("sending the same request again for 30s"),
        "{}",
        ran.err
    );
}

#[test]
fn a_submission_that_nobody_acknowledges_ends_with_5() {
    let mut place = Place::new();
    place.script.on_submit([OnSubmit::Hang]);
    let child = place.spawn("restart --patience 300ms");
    until("submitted", || place.script.submits().len() == 1);
    place.kill();
    let ran = finish(child);
    assert_eq!(ran.code, 5, "{}", ran.err);
    assert!(
        ran.err
            .contains("error: the controller has not acknowledged: restart all servers")
    );
    assert!(
        ran.err
            .ends_with("hint: systemctl status extend-controller\n"),
        "{}",
        ran.err
    );
}

#[test]
fn watching_goes_on_after_the_controller_has_died() {
    let mut place = Place::new();
    place.script.operation.send_replace(running());
    let child = place.spawn("restart");
    until("watched", || {
        place.script.watches.load(Ordering::SeqCst) == 1
    });
    place.kill();
    // While nobody looks, the operation goes through a phase more and ends.
    let mut ended = succeeded();
    phase(&mut ended.targets[0], v1::Phase::Stopping, 1_000);
    phase(&mut ended.targets[0], v1::Phase::Starting, 4_000);
    place.script.operation.send_replace(ended);
    place.start();
    let ran = finish(child);
    assert_eq!(ran.code, 0, "{}", ran.err);
    insta::assert_snapshot!(ran.err, @r"
    ivr-server-1 (172.31.16.140): already stopped, nothing to do
    2026-01-15 10:13:01 media-server-1 (172.31.16.139) stopping
    the connection to the controller was lost; trying again for 30s
    connected again
    2026-01-15 10:13:04 media-server-1 (172.31.16.139) starting
    2026-01-15 10:13:12 media-server-1 (172.31.16.139) succeeded
    restart 5nzq8c: media-server-1 (172.31.16.139) succeeded in 1m 12s
    ");
    assert_eq!(
        place.script.submits().len(),
        1,
        "a lost watch submits nothing"
    );
}

#[test]
fn watching_that_cannot_go_on_ends_with_6_and_says_how_to_come_back() {
    let mut place = Place::new();
    place.script.operation.send_replace(running());
    let child = place.spawn("restart --patience 300ms");
    until("watched", || {
        place.script.watches.load(Ordering::SeqCst) == 1
    });
    place.kill();
    let ran = finish(child);
    assert_eq!(ran.code, 6, "{}", ran.err);
    assert!(
        ran.err.contains("cannot watch restart 5nzq8c"),
        "{}",
        ran.err
    );
    assert!(
        ran.err.ends_with("hint: extend op watch 5nzq8c\n"),
        "{}",
        ran.err
    );
}

#[test]
fn signals_stop_the_watching_and_nothing_else() {
    for signal in [Signal::SIGINT, Signal::SIGTERM, Signal::SIGHUP] {
        let place = Place::new();
        place.script.operation.send_replace(running());
        let child = place.spawn("restart -o json");
        until("watched", || {
            place.script.watches.load(Ordering::SeqCst) == 1
        });
        kill(Pid::from_raw(child.id().try_into().unwrap()), signal).unwrap();
        let ran = finish(child);
        assert_eq!(
            (ran.code, ran.out.as_str()),
            (6, ""),
            "{signal}: {}",
            ran.err
        );
        let end = "stopped watching restart 5nzq8c; the operation goes on\n\
                   hint: extend op watch 5nzq8c\n";
        assert!(ran.err.ends_with(end), "{signal}: {}", ran.err);
        assert!(
            place
                .script
                .asked
                .lock()
                .unwrap()
                .iter()
                .all(|q| !q.starts_with("cancel"))
        );
    }
}

#[test]
fn a_signal_before_the_acknowledgement_promises_nothing() {
    let place = Place::new();
    place.script.on_submit([OnSubmit::Hang]);
    let child = place.spawn("restart");
    until("submitted", || place.script.submits().len() == 1);
    kill(
        Pid::from_raw(child.id().try_into().unwrap()),
        Signal::SIGINT,
    )
    .unwrap();
    let ran = finish(child);
    assert_eq!(ran.code, 5, "{}", ran.err);
    assert!(
        ran.err
            .contains("it may have stored the operation all the same"),
        "{}",
        ran.err
    );
    assert!(
        ran.err.ends_with("hint: extend op list --open\n"),
        "{}",
        ran.err
    );
}

#[test]
fn the_watch_timeout_stops_the_watching_and_nothing_else() {
    let place = Place::new();
    place.script.operation.send_replace(running());
    for words in [
        "restart --watch-timeout 200ms",
        "op watch 5nzq8c --watch-timeout 200ms",
    ] {
        let ran = place.run(words);
        assert_eq!(ran.code, 6, "{words}: {}", ran.err);
        assert!(
            ran.err.ends_with("hint: extend op watch 5nzq8c\n"),
            "{}",
            ran.err
        );
    }
}

#[test]
fn a_reader_who_has_had_enough_is_no_failure() {
    let place = Place::new();
    let mut child = place.spawn("status");
    drop(child.stdout.take());
    let status = child.wait().unwrap();
    assert_eq!(status.code(), Some(0));
}
