//! The options that say how a verb goes from server to server and what it does about sessions:
//! what reaches the controller, and what is wrong in itself.

use extend_proto::v1;

use crate::harness::Place;

/// The submission of a command line, without what every one has.
fn submitted(words: &str) -> v1::SubmitRequest {
    let place = Place::new();
    let ran = place.run(words);
    assert_eq!(ran.code, 0, "{words}: {}", ran.err);
    let mut submit = place.script.only_submit();
    submit.request_id = String::new();
    submit
}

fn refused(words: &str, sentence: &str) {
    let place = Place::new();
    let ran = place.run(words);
    assert_eq!(ran.code, 2, "{words}: {}", ran.err);
    assert!(ran.err.contains(sentence), "{words}: {}", ran.err);
    assert!(place.script.submits().is_empty(), "{words}");
}

#[test]
fn strategies_reach_the_controller() {
    let bake_seconds = 120;
    let table = [
        (
            "restart --max-unavailable 2",
            v1::Strategy {
                max_unavailable: "2".to_owned(),
                bake_seconds,
                ..v1::Strategy::default()
            },
        ),
        (
            "upgrade --max-unavailable=25% --serial",
            v1::Strategy {
                max_unavailable: "25%".to_owned(),
                bake_seconds,
                serial: true,
                ..v1::Strategy::default()
            },
        ),
        (
            "upgrade --canary 1",
            v1::Strategy {
                canary: 1,
                bake_seconds,
                ..v1::Strategy::default()
            },
        ),
        (
            "restart --canary 2 --bake 5m --max-failures 1",
            v1::Strategy {
                canary: 2,
                bake_seconds: 300,
                max_failures: 1,
                ..v1::Strategy::default()
            },
        ),
        (
            "start --serial",
            v1::Strategy {
                bake_seconds,
                serial: true,
                ..v1::Strategy::default()
            },
        ),
        (
            "stop --max-failures 3",
            v1::Strategy {
                bake_seconds,
                max_failures: 3,
                ..v1::Strategy::default()
            },
        ),
        (
            // Said, though it is the default.
            "stop --max-failures 0",
            v1::Strategy {
                bake_seconds,
                ..v1::Strategy::default()
            },
        ),
    ];
    for (words, strategy) in table {
        assert_eq!(submitted(words).strategy, Some(strategy), "{words}");
    }
    assert_eq!(submitted("upgrade --force").strategy, None);
}

#[test]
fn strategies_that_are_none_never_reach_the_controller() {
    for (words, sentence) in [
        ("restart --max-unavailable 0", "write a number of servers"),
        (
            "restart --max-unavailable 101%",
            "write a number of servers",
        ),
        (
            "restart --max-unavailable half",
            "write a number of servers",
        ),
        ("restart --canary 0", "is not in 1..=10000"),
        ("upgrade --bake 2m", "--canary <N>"),
        ("upgrade --canary 1 --bake 0s", "one second or more"),
        ("upgrade --canary 1 --bake 5", "is no duration"),
        ("upgrade --max-failures -1", "unexpected argument"),
        // What takes all servers at once has no share and nobody who goes first.
        ("stop --max-unavailable 1", "unexpected argument"),
        ("start --canary 1", "unexpected argument"),
        ("rm --serial", "unexpected argument"),
        ("start --drain", "unexpected argument"),
        ("stop --force", "unexpected argument"),
    ] {
        refused(words, sentence);
    }
}

/// Whether, how long, and not at all.
type Sessions = (bool, u32, bool);

#[test]
fn each_spelling_of_drain_means_what_it_says() {
    const NODE: &str = "172.31.16.139";
    let table: [(&str, Sessions); 9] = [
        ("stop -a 172.31.16.139", (false, 0, false)),
        ("stop --drain -a 172.31.16.139", (true, 0, false)),
        ("restart -a 172.31.16.139 --drain", (true, 0, false)),
        ("restart --drain 30m -a 172.31.16.139", (false, 1800, false)),
        ("upgrade --drain=30m -a 172.31.16.139", (false, 1800, false)),
        (
            "upgrade --drain 90s --plan -a 172.31.16.139",
            (false, 90, false),
        ),
        ("rm --drain --detach -a 172.31.16.139", (true, 0, false)),
        ("rm --now -a 172.31.16.139", (false, 0, true)),
        (
            "run --drain -s media-server-only -n media-server-1 -a 172.31.16.139",
            (true, 0, false),
        ),
    ];
    for (words, sessions) in table {
        let place = Place::new();
        place.run(words);
        let submit = place.script.only_submit();
        let said = (submit.drain, submit.drain_seconds, submit.now);
        assert_eq!(said, sessions, "{words}");
        assert_eq!(submit.selector.unwrap().nodes, [NODE], "{words}");
    }
}

#[test]
fn what_contradicts_itself_about_sessions_never_reaches_the_controller() {
    for (words, sentence) in [
        ("stop --drain --now", "cannot be used with"),
        ("stop --now --drain 30m", "cannot be used with"),
        ("stop --drain 30", "is no duration"),
        ("stop --drain 0s", "one second or more"),
        ("stop --drain=", "is no duration"),
        // A name is no time: it wants its option.
        ("stop --drain media-server-1", "is no duration"),
        ("stop --drain 30m 172.31.16.139", "unexpected argument"),
        ("drain --now", "unexpected argument"),
        ("undrain --limit 5m", "unexpected argument"),
    ] {
        refused(words, sentence);
    }
}

#[test]
fn servers_are_drained_and_take_sessions_again() {
    for (words, verb, seconds) in [
        ("drain", v1::Verb::Drain, 0),
        ("drain --limit 1h", v1::Verb::Drain, 3600),
        ("drain --drain 1h", v1::Verb::Drain, 3600),
        ("undrain", v1::Verb::Undrain, 0),
    ] {
        let submit = submitted(&format!("{words} -s media-server-only -a 172.31.16.139"));
        let wanted = v1::SubmitRequest {
            verb: verb.into(),
            drain_seconds: seconds,
            selector: submit.selector.clone(),
            ..v1::SubmitRequest::default()
        };
        assert_eq!(submit, wanted, "{words}");
        assert_eq!(submit.selector.unwrap().role, "media-server-only");
    }
}

#[test]
fn the_other_options_reach_the_controller() {
    assert!(submitted("restart --force").force);
    assert!(submitted("upgrade --to-previous").to_previous);
    refused(
        "upgrade --to-previous -i portsip/pbx:22",
        "cannot be used with",
    );
    for verb in [
        "start",
        "stop",
        "restart",
        "upgrade",
        "drain",
        "undrain",
        "rm --yes",
        "adopt --all",
        "run -s media-server-only -n m -a 172.31.16.139",
    ] {
        assert!(submitted(&format!("{verb} --queue")).queue, "{verb}");
        assert!(!submitted(verb).queue, "{verb}");
    }
}

#[test]
fn the_guides_lines_take_the_new_options_through_the_shim() {
    let place = Place::new();
    let line = "upgrade -s media-server-only --canary 1 --bake 5m --drain -a 172.31.16.139 --queue";
    let ran = place.shim(line);
    assert_eq!(ran.code, 0, "{}", ran.err);
    let submit = place.script.only_submit();
    assert_eq!(submit.strategy.unwrap().canary, 1);
    assert!(submit.drain && submit.queue);
    // An option without a value does not hide whose command it is.
    let ran = place.shim("run --drain -s disk-only");
    assert!(ran.err.contains("cannot run disk-only"), "{}", ran.err);
}

#[test]
fn help_is_grouped_and_every_verb_says_how_it_exits() {
    let place = Place::empty();
    let ran = place.run("upgrade --help");
    let at = |heading: &str| {
        ran.out
            .find(heading)
            .unwrap_or_else(|| panic!("no {heading}: {}", ran.out))
    };
    assert!(at("\nOptions:") < at("\nRollout:"));
    assert!(at("\nRollout:") < at("\nSessions:"));
    assert!(at("\nSessions:") < at("\nConnection:"));
    assert!(at("--canary <N>") > at("\nRollout:") && at("--canary <N>") < at("\nSessions:"));
    let flat = ran.out.split_whitespace().collect::<Vec<_>>().join(" ");
    assert!(
        flat.contains("or of a newer one than the PBX, and when the type has other servers"),
        "{flat}"
    );
    let retry = place.run("op retry --help").out;
    assert!(retry.contains("[default: as the first time]"), "{retry}");
    assert!(!retry.contains("30m"), "{retry}");
}
