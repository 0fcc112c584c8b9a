//! What a server writes, as it reaches an operator: on a terminal, in a pipe, and across a lost
//! connection.

use std::io::{BufRead as _, BufReader, Read as _};

use extend_proto::v1;
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use tonic::{Code, Status};

use crate::harness::{Place, finish};
use crate::stub::{OnLogs, refusal};

fn data(bytes: &[u8]) -> v1::LogPiece {
    piece(v1::log_piece::Kind::Data(v1::LogData {
        data: bytes.to_vec(),
        position: None,
    }))
}

fn at(bytes: &[u8], seconds: i64) -> v1::LogPiece {
    let position = v1::LogPosition {
        seconds,
        nanoseconds: 7,
        ..v1::LogPosition::default()
    };
    piece(v1::log_piece::Kind::Data(v1::LogData {
        data: bytes.to_vec(),
        position: Some(position),
    }))
}

fn note(note: v1::LogNote) -> v1::LogPiece {
    piece(v1::log_piece::Kind::Note(note.into()))
}

fn piece(kind: v1::log_piece::Kind) -> v1::LogPiece {
    v1::LogPiece { kind: Some(kind) }
}

fn reads(place: &Place) -> Vec<v1::ReadLogsRequest> {
    place.script.reads.lock().unwrap().clone()
}

fn interrupt(child: &std::process::Child) {
    kill(
        Pid::from_raw(child.id().try_into().unwrap()),
        Signal::SIGINT,
    )
    .unwrap();
}

/// Hostile, cut in the middle of a character, and not UTF-8 at the end.
const HOSTILE: [&[u8]; 3] = [
    b"caf\xc3",
    b"\xa9 \x1b]0;owned\x07\r\nprogress 1\rprogress 2\r",
    b"\n\xff\n",
];

#[test]
fn in_a_pipe_every_byte_is_passed_through() {
    let place = Place::new();
    place.script.on_logs([OnLogs::all(HOSTILE.map(data))]);
    let output = place
        .command(std::path::Path::new(env!("CARGO_BIN_EXE_extend")))
        .args(["logs", "media-server-1"])
        .output()
        .unwrap();
    assert_eq!(output.status.code(), Some(0));
    assert_eq!(output.stdout, HOSTILE.concat());
    assert!(output.stderr.is_empty(), "{:?}", output.stderr);
    let asked = reads(&place).remove(0);
    let selector = asked.selector.unwrap();
    assert_eq!(selector.name, "media-server-1");
    assert!(selector.nodes.is_empty());
    let query = asked.query.unwrap();
    assert_eq!((query.tail, query.follow, query.after), (100, false, None));
    assert_eq!(
        query.source,
        Some(v1::log_query::Source::Output(v1::LogOutput {
            failed: false
        }))
    );
}

#[test]
fn on_a_terminal_nothing_is_obeyed_unless_it_is_wanted() {
    let place = Place::new();
    place.script.on_logs([OnLogs::all(HOSTILE.map(data))]);
    let (code, shown) = place.on_terminal("logs media-server-1").ends();
    assert_eq!(code, 0, "{shown}");
    assert_eq!(
        shown,
        "caf\u{e9} \\u{1b}]0;owned\\u{7}\nprogress 1\nprogress 2\n\u{fffd}\n"
    );
    let (_, raw) = place.on_terminal("logs media-server-1 --raw").ends();
    assert!(raw.contains("\u{1b}]0;owned\u{7}"), "{raw:?}");
}

#[test]
fn what_is_asked_for_is_asked_of_the_controller() {
    use v1::log_query::Source;
    let place = Place::new();
    place.script.on_logs([OnLogs::all([data(b"x\n")])]);
    let file = |path: &str| {
        Source::File(v1::LogFile {
            path: path.to_owned(),
        })
    };
    let output = |failed| Source::Output(v1::LogOutput { failed });
    for (words, name, node, source, tail) in [
        ("logs -n m1 --tail all", "m1", "", output(false), 100_000),
        (
            "logs -a 172.31.16.139 --tail 0",
            "",
            "172.31.16.139",
            output(false),
            0,
        ),
        (
            "logs m1 -a 172.31.16.139",
            "m1",
            "172.31.16.139",
            output(false),
            100,
        ),
        (
            "logs m1 --file 2026/a.log",
            "m1",
            "",
            file("2026/a.log"),
            100,
        ),
        ("logs m1 --previous", "m1", "", output(true), 100),
    ] {
        let ran = place.run(words);
        assert_eq!(ran.code, 0, "{words}: {}", ran.err);
        let asked = reads(&place).pop().unwrap();
        let selector = asked.selector.unwrap();
        assert_eq!(
            (selector.name.as_str(), selector.nodes.concat().as_str()),
            (name, node)
        );
        let query = asked.query.unwrap();
        assert_eq!((query.source, query.tail), (Some(source), tail), "{words}");
    }
}

#[test]
fn what_is_wrong_by_itself_is_not_asked() {
    let place = Place::new();
    for words in [
        "logs",
        "logs m1 --file /etc/passwd",
        "logs m1 --file ../x",
        "logs m1 --file a/../../x",
        "logs m1 --tail 100001",
        "logs m1 --tail -5",
        "logs m1 -n m2",
        "logs m1 --list -f",
        "logs m1 --previous -f",
        "logs m1 -o json",
        "logs a/b",
        "logs -a 10.0.0.1,10.0.0.2",
    ] {
        let ran = place.run(words);
        assert_eq!(ran.code, 2, "{words}: {}", ran.err);
        assert!(ran.err.contains("hint:"), "{words}: {}", ran.err);
    }
    assert!(reads(&place).is_empty());
}

#[test]
fn a_refusal_is_4_and_a_failure_in_the_middle_is_1() {
    let place = Place::new();
    let words = "cannot show the logs of media-server-1: its node cannot be asked";
    let cause = "node 172.31.16.139 is offline: its connection was closed";
    let refused = refusal(
        Code::FailedPrecondition,
        words,
        &[cause],
        "extend node show 172.31.16.139",
    );
    place.script.on_logs([OnLogs::refuse(refused.clone())]);
    for words in [
        "logs media-server-1",
        "logs media-server-1 -f",
        "logs media-server-1 --list",
    ] {
        let ran = place.run(words);
        assert_eq!(ran.code, 4, "{words}: {}", ran.err);
        assert!(ran.err.contains(cause), "{}", ran.err);
    }
    let broken = refusal(
        Code::Aborted,
        "the connection to its node was lost",
        &[],
        "",
    );
    place
        .script
        .on_logs([OnLogs::ending([data(b"first\n")], broken)]);
    let ran = place.run("logs media-server-1");
    assert_eq!((ran.code, ran.out.as_str()), (1, "first\n"), "{}", ran.err);
}

#[test]
fn the_list_is_a_table_or_a_document() {
    let place = Place::new();
    let entry = |path: &str, size| v1::LogFileEntry {
        path: path.to_owned(),
        size,
        // On another day than today, whose time would be shown without its date.
        modified_ms: 1_577_880_780_000,
    };
    let files = |files, cut| piece(v1::log_piece::Kind::Files(v1::LogFiles { files, cut }));
    let first = files(vec![entry("2026/mediaserver.log", 12_345_678)], false);
    let second = files(vec![entry("trace.log", 0)], true);
    place.script.on_logs([OnLogs::all([first, second])]);
    let ran = place.run("logs media-server-1 --list");
    assert_eq!(ran.code, 0, "{}", ran.err);
    insta::assert_snapshot!(ran.out, @r"
    NAME                  BYTES     MODIFIED
    2026/mediaserver.log  12345678  2020-01-01 12:13:00
    trace.log             0         2020-01-01 12:13:00
    ");
    assert!(ran.err.contains("there are more"), "{}", ran.err);
    let ran = place.run("logs media-server-1 --list -o json");
    insta::assert_snapshot!(ran.out, @r#"
    {
      "files": [
        {
          "name": "2026/mediaserver.log",
          "size": 12345678,
          "modified_at": "2020-01-01T12:13:00Z"
        },
        {
          "name": "trace.log",
          "size": 0,
          "modified_at": "2020-01-01T12:13:00Z"
        }
      ],
      "cut": true
    }
    "#);
    place.script.on_logs([OnLogs::all([])]);
    let ran = place.run("logs media-server-1 --list");
    assert_eq!((ran.code, ran.out.as_str()), (0, ""));
    assert_eq!(ran.err, "media-server-1 has no log files\n");
}

#[test]
fn what_happens_to_the_server_is_said_on_stderr() {
    use v1::LogNote::{Ended, FileAwaited, FileReplaced, FileTruncated, Gap, Replaced, RunsAgain};
    let place = Place::new();
    let notes = [
        Ended,
        RunsAgain,
        Replaced,
        FileAwaited,
        FileReplaced,
        FileTruncated,
        Gap,
    ];
    let pieces: Vec<_> = std::iter::once(data(b"first\n"))
        .chain(notes.map(note))
        .collect();
    place.script.on_logs([OnLogs::open(pieces)]);
    let mut child = place.spawn("logs media-server-1 -f --file a.log");
    let said = BufReader::new(child.stderr.take().unwrap()).lines();
    let said: Vec<_> = said.take(notes.len()).map(Result::unwrap).collect();
    interrupt(&child);
    let ran = finish(child);
    assert_eq!((ran.code, ran.out.as_str()), (0, "first\n"));
    insta::assert_snapshot!(said.join("\n"), @r"
    media-server-1: its process has ended; waiting for the next one
    media-server-1 runs again; going on with its output
    media-server-1 has a new container; going on with its output
    media-server-1: there is no file a.log at present; waiting for it
    media-server-1: a.log is a new file; going on with it
    media-server-1: a.log was cut; going on from its beginning
    media-server-1: a.log is a new file; the rest of the old one is not shown
    ");
}

#[test]
fn following_goes_on_after_the_controller_has_died() {
    let mut place = Place::new();
    place.script.on_logs([
        OnLogs::open([at(b"one\n", 5), at(b"two\n", 6)]),
        // Its agents are not back yet.
        OnLogs::refuse(refusal(
            Code::FailedPrecondition,
            "its node is away",
            &[],
            "",
        )),
        OnLogs::open([at(b"three\n", 7)]),
    ]);
    let mut child = place.spawn("logs media-server-1 -f --tail 2");
    let mut seen = [0; 8];
    child
        .stdout
        .as_mut()
        .unwrap()
        .read_exact(&mut seen)
        .unwrap();
    assert_eq!(&seen, b"one\ntwo\n");
    place.kill();
    place.start();
    let mut seen = [0; 6];
    child
        .stdout
        .as_mut()
        .unwrap()
        .read_exact(&mut seen)
        .unwrap();
    assert_eq!(&seen, b"three\n");
    interrupt(&child);
    let ran = finish(child);
    assert_eq!((ran.code, ran.out.as_str()), (0, ""), "{}", ran.err);
    insta::assert_snapshot!(ran.err, @r"
    the connection was lost; trying again for 30s
    connected again; going on where it stopped
    ");
    let afters: Vec<_> = reads(&place)
        .into_iter()
        .map(|read| {
            read.query
                .unwrap()
                .after
                .map(|after| (after.seconds, after.nanoseconds))
        })
        .collect();
    assert_eq!(afters, [None, Some((6, 7)), Some((6, 7))]);
}

#[test]
fn following_that_cannot_go_on_ends_with_5() {
    let mut place = Place::new();
    place.script.on_logs([OnLogs::open([at(b"one\n", 5)])]);
    let mut child = place.spawn("logs media-server-1 -f --patience 300ms");
    let mut seen = [0; 4];
    child
        .stdout
        .as_mut()
        .unwrap()
        .read_exact(&mut seen)
        .unwrap();
    place.kill();
    let ran = finish(child);
    assert_eq!(ran.code, 5, "{}", ran.err);
    let ran = place.run("logs media-server-1");
    assert_eq!(ran.code, 5, "{}", ran.err);
}

#[test]
fn a_node_that_goes_in_the_middle_is_waited_for_by_a_follower() {
    let place = Place::new();
    let gone = Status::aborted("the connection to its node was lost");
    place.script.on_logs([
        OnLogs::ending([at(b"one\n", 5)], gone),
        OnLogs::open([at(b"two\n", 6)]),
    ]);
    let mut child = place.spawn("logs media-server-1 -f");
    let mut seen = [0; 8];
    child
        .stdout
        .as_mut()
        .unwrap()
        .read_exact(&mut seen)
        .unwrap();
    assert_eq!(&seen, b"one\ntwo\n");
    interrupt(&child);
    assert_eq!(finish(child).code, 0);
}

#[test]
fn a_reader_who_has_had_enough_is_no_failure() {
    let place = Place::new();
    let pieces: Vec<_> = (0..200).map(|_| data(&[b'x'; 16 * 1024])).collect();
    place.script.on_logs([OnLogs::open(pieces)]);
    let mut child = place.spawn("logs media-server-1 -f");
    let mut seen = [0; 4];
    child
        .stdout
        .as_mut()
        .unwrap()
        .read_exact(&mut seen)
        .unwrap();
    drop(child.stdout.take());
    assert_eq!(child.wait().unwrap().code(), Some(0));
}

#[test]
fn a_reader_who_pauses_keeps_the_connection_and_gets_everything() {
    let place = Place::new();
    // More than pipe, queues and windows hold.
    let pieces: Vec<_> = (0..400).map(|_| data(&[b'x'; 16 * 1024])).collect();
    place.script.on_logs([OnLogs::all(pieces)]);
    let mut child = place.spawn("logs media-server-1");
    let mut seen = [0; 4];
    child
        .stdout
        .as_mut()
        .unwrap()
        .read_exact(&mut seen)
        .unwrap();
    let mut rest = Vec::new();
    child
        .stdout
        .as_mut()
        .unwrap()
        .read_to_end(&mut rest)
        .unwrap();
    assert_eq!(rest.len() + 4, 400 * 16 * 1024);
    assert_eq!(child.wait().unwrap().code(), Some(0));

    place
        .script
        .on_logs([OnLogs::open((0..400).map(|_| data(&[b'x'; 16 * 1024])))]);
    let mut child = place.spawn("logs media-server-1 -f");
    child
        .stdout
        .as_mut()
        .unwrap()
        .read_exact(&mut seen)
        .unwrap();
    interrupt(&child);
    // With the pipe full and nobody reading.
    assert_eq!(child.wait().unwrap().code(), Some(0));
}
