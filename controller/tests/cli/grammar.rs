//! Every line of the guide, through the shim, and what reaches the controller. And what never does:
//! lines that are wrong in themselves.

use extend_proto::v1;
use ulid::Ulid;

use crate::fixtures;
use crate::harness::Place;
use crate::stub::OnSubmit;

struct Line(
    &'static str,
    v1::Verb,
    &'static str,
    &'static [&'static str],
    &'static str,
);

/// The guide's lines: verb, type, addresses, name.
const GUIDE: [Line; 27] = {
    use v1::Verb::{Restart, Rm, Run, Start, Stop, Upgrade};
    const MEETING: &[&str] = &["172.31.16.137"];
    const QUEUE: &[&str] = &["172.31.16.138"];
    const MEDIA: &[&str] = &["172.31.16.139"];
    const IVR: &[&str] = &["172.31.16.140"];
    [
        Line(
            "run -s meeting-server-only -n meeting-server-1 -a 172.31.16.137",
            Run,
            "meeting-server-only",
            MEETING,
            "meeting-server-1",
        ),
        Line(
            "run -s queue-server-only -n queue-server-1 -a 172.31.16.138",
            Run,
            "queue-server-only",
            QUEUE,
            "queue-server-1",
        ),
        Line(
            "run -s media-server-only -n media-server-1 -a 172.31.16.139",
            Run,
            "media-server-only",
            MEDIA,
            "media-server-1",
        ),
        Line(
            "run -s vr-server-only -n ivr-server-1 -a 172.31.16.140",
            Run,
            "vr-server-only",
            IVR,
            "ivr-server-1",
        ),
        // What a role is called is the controller's to know.
        Line(
            "run -s ivr-server-only -n ivr-server-1 -a 172.31.16.140",
            Run,
            "ivr-server-only",
            IVR,
            "ivr-server-1",
        ),
        Line("start", Start, "", &[], ""),
        Line("stop", Stop, "", &[], ""),
        Line("restart", Restart, "", &[], ""),
        Line("upgrade", Upgrade, "", &[], ""),
        Line(
            "start -s media-server-only",
            Start,
            "media-server-only",
            &[],
            "",
        ),
        Line(
            "stop -s media-server-only",
            Stop,
            "media-server-only",
            &[],
            "",
        ),
        Line(
            "restart -s media-server-only",
            Restart,
            "media-server-only",
            &[],
            "",
        ),
        Line(
            "upgrade -s media-server-only",
            Upgrade,
            "media-server-only",
            &[],
            "",
        ),
        Line(
            "restart -s queue-server-only",
            Restart,
            "queue-server-only",
            &[],
            "",
        ),
        Line(
            "restart -s meeting-server-only",
            Restart,
            "meeting-server-only",
            &[],
            "",
        ),
        Line(
            "restart -s vr-server-only",
            Restart,
            "vr-server-only",
            &[],
            "",
        ),
        // The guide's own mistake: the controller refuses it, not the command line.
        Line(
            "start -s media-server-only -a 172.31.16.137",
            Start,
            "media-server-only",
            MEETING,
            "",
        ),
        Line(
            "stop -s media-server-only -a 172.31.16.137",
            Stop,
            "media-server-only",
            MEETING,
            "",
        ),
        Line(
            "restart -s media-server-only -a 172.31.16.137",
            Restart,
            "media-server-only",
            MEETING,
            "",
        ),
        Line(
            "rm -s media-server-only -a 172.31.16.137",
            Rm,
            "media-server-only",
            MEETING,
            "",
        ),
        Line(
            "stop -s media-server-only -a 172.31.16.139",
            Stop,
            "media-server-only",
            MEDIA,
            "",
        ),
        Line(
            "restart -s queue-server-only -a 172.31.16.138",
            Restart,
            "queue-server-only",
            QUEUE,
            "",
        ),
        Line(
            "upgrade -s vr-server-only -a 172.31.16.140",
            Upgrade,
            "vr-server-only",
            IVR,
            "",
        ),
        Line(
            "rm -s media-server-only -a 172.31.16.139",
            Rm,
            "media-server-only",
            MEDIA,
            "",
        ),
        // What was added to the guide's grammar.
        Line("rm -n media-server-1", Rm, "", &[], "media-server-1"),
        Line(
            "restart --type=media-server-only --address 172.31.16.139 --name media-server-1",
            Restart,
            "media-server-only",
            MEDIA,
            "media-server-1",
        ),
        Line(
            "stop -a 172.31.16.138,172.31.16.137 -a 172.31.16.137",
            Stop,
            "",
            &["172.31.16.137", "172.31.16.138"],
            "",
        ),
    ]
};

#[test]
fn every_line_of_the_guide_reaches_the_controller_as_it_is_meant() {
    for Line(words, verb, role, nodes, name) in GUIDE {
        let place = Place::new();
        let ran = place.shim(words);
        assert_eq!(ran.code, 0, "{words}: {}", ran.err);
        let submit = place.script.only_submit();
        assert_eq!(submit.verb(), verb, "{words}");
        let selector = submit.selector.clone().unwrap();
        let wanted = v1::Selector {
            role: role.to_owned(),
            nodes: nodes.iter().map(ToString::to_string).collect(),
            name: name.to_owned(),
        };
        assert_eq!(selector, wanted, "{words}");
        assert!(Ulid::from_string(&submit.request_id).is_ok(), "{words}");
        let rest = v1::SubmitRequest {
            verb: submit.verb,
            request_id: submit.request_id.clone(),
            selector: submit.selector.clone(),
            ..v1::SubmitRequest::default()
        };
        assert_eq!(
            submit, rest,
            "{words}: an option that was not given is not sent"
        );
    }
}

#[test]
fn options_reach_the_controller() {
    let place = Place::new();
    let ran = place.run_words(&[
        "run",
        "-s",
        "media-server-only",
        "-n",
        "media-server-1",
        "-a",
        "172.31.16.139",
        "-A",
        "54.215.234.52",
        "-i",
        "portsip/pbx:22.6",
        "--force",
        "--timeout",
        "1h 5s",
        "-m",
        "two words",
    ]);
    assert_eq!(ran.code, 0, "{}", ran.err);
    let submit = place.script.only_submit();
    assert_eq!(submit.public_address, "54.215.234.52");
    assert_eq!(submit.image, "portsip/pbx:22.6");
    assert_eq!(submit.message, "two words");
    assert_eq!(submit.timeout_seconds, 3605);
    assert!(submit.force && !submit.plan_only);
}

#[test]
fn who_called_sudo_is_told() {
    let place = Place::new();
    place.run("restart");
    let mut command = place.command(std::path::Path::new(env!("CARGO_BIN_EXE_extend")));
    crate::harness::ran(command.arg("restart").env("SUDO_USER", "alice"));
    assert_eq!(
        *place.script.sudo_users.lock().unwrap(),
        [None, Some("alice".to_owned())]
    );
}

/// Wrong without asking the controller: exit code 2, a sentence, a hint, and nothing is sent.
/// A letter more than a name may have.
const LONG: &str = "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa";

#[test]
fn what_is_wrong_in_itself_never_reaches_the_controller() {
    let wrong: &[(&[&str], &str)] = &[
        (
            &["restart", "-a", "172.31.16"],
            "`172.31.16` is no IPv4 address",
        ),
        (&["restart", "-a", "172.31.16.139,"], "it is empty"),
        (&["restart", "-a", ""], "it is empty"),
        (
            &["restart", "-a", "0.0.0.0"],
            "cannot be the address of a node",
        ),
        (&["restart", "-s", ""], "it is empty"),
        (
            &["restart", "-s", "media server"],
            "a server type is a word",
        ),
        (&["restart", "-n", ""], "is no server name"),
        (&["restart", "-n", "media server 1"], "is no server name"),
        (
            &["restart", "-n", "m\u{fc}nchen-1"],
            "1 to 64 letters, digits",
        ),
        (
            &["restart", "-n", "media.server"],
            "1 to 64 letters, digits",
        ),
        (&["restart", "-n", LONG], "1 to 64 letters, digits"),
        (&["run", "-n", LONG], "is no server name"),
        (&["restart", "-s", "", "-a", "", "-n", ""], "it is empty"),
        (&["restart", "-a", "media-server-1"], "is no IPv4 address"),
        (&["restart", "-a", "172.31.16.256"], "is no IPv4 address"),
        (&["restart", "-a", "fe80::1"], "is no IPv4 address"),
        (
            &["status", "-a", "172.31.16.139:7443"],
            "is no IPv4 address",
        ),
        (&["run", "-A", "elastic"], "is no IPv4 address"),
        (
            &["restart", "-s", "a", "-s", "b"],
            "cannot be used multiple times",
        ),
        (&["restart", "media-server-1"], "unexpected argument"),
        (&["restart", "--timeout", "30"], "is no duration"),
        (&["restart", "--timeout", "0s"], "one second or more"),
        (&["restart", "-m", "a\u{1b}b"], "one line of plain text"),
        (&["restart", "--plan", "--detach"], "cannot be used with"),
        (&["upgrade", "-i", "two words"], "write an image reference"),
        (
            &["run", "-s", "media-server-only", "-a", "172.31.16.139"],
            "--name <NAME>",
        ),
        (
            &["run", "-n", "m", "-s", "media-server-only"],
            "--address <PRIVATE_IP>",
        ),
        (
            &["run", "-s", "m", "-n", "m", "-a", "172.31.16.1,172.31.16.2"],
            "is no IPv4 address",
        ),
        (&["node", "revoke", "172.31.16.139"], "without --yes"),
        (&["node", "remove", "-a", "172.31.16.139"], "without --yes"),
        (
            &["node", "token", "-a", "172.31.16.139", "--ttl", "25h"],
            "24h at most",
        ),
        (&["node", "show"], "<IP>"),
        (&["op", "show", "not-an-id"], "write the id of an operation"),
        (&["op", "watch"], "<ID>"),
        (&["status", "--watch"], "no terminal"),
        (&["status", "--watch", "-o", "json"], "as a document"),
        (&["frobnicate"], "unrecognized subcommand"),
        (
            &["controller", "--check-config", "--config", "/nonexistent"],
            "No such file",
        ),
    ];
    for (words, sentence) in wrong {
        let place = Place::new();
        let ran = place.run_words(words);
        assert_eq!(ran.code, 2, "{words:?}: {}", ran.err);
        assert!(ran.err.starts_with("error: "), "{words:?}: {}", ran.err);
        assert!(ran.err.contains(sentence), "{words:?}: {}", ran.err);
        assert!(ran.err.contains("\nhint: "), "{words:?}: {}", ran.err);
        assert_eq!(ran.out, "");
        assert!(place.script.submits().is_empty(), "{words:?}");
        assert!(place.script.asked.lock().unwrap().is_empty(), "{words:?}");
    }
}

#[test]
fn a_name_may_be_as_long_as_the_portal_has_it() {
    let place = Place::new();
    let longest = &LONG[1..];
    assert_eq!(longest.len(), 64);
    place.run_words(&["restart", "-n", longest]);
    assert_eq!(place.script.only_submit().selector.unwrap().name, longest);
}

#[test]
fn several_servers_are_not_removed_off_a_terminal_without_yes() {
    for words in [
        &["rm"][..],
        &["rm", "-s", "media-server-only"],
        &["rm", "-a", "172.31.16.139,172.31.16.138"],
    ] {
        let place = Place::new();
        let ran = place.run_words(words);
        assert_eq!(ran.code, 2, "{words:?}: {}", ran.err);
        assert!(ran.err.contains("without --yes"), "{words:?}: {}", ran.err);
        let submits = place.script.submits();
        assert!(submits.iter().all(|submit| submit.plan_only), "{words:?}");
    }
}

#[test]
fn one_server_is_removed_without_a_question_however_it_was_selected() {
    let place = Place::new();
    let mut plan = fixtures::plan();
    plan.truncate(1);
    let operation = Some(fixtures::succeeded());
    let answer = |operation| {
        let plan = plan.clone();
        OnSubmit::Answer(v1::SubmitResponse { plan, operation })
    };
    place.script.on_submit([answer(None), answer(operation)]);
    let ran = place.run("rm -s meeting-server-only");
    assert_eq!(ran.code, 0, "{}", ran.err);
    let submits = place.script.submits();
    assert_eq!(submits.len(), 2);
    assert!(submits[0].plan_only && !submits[1].plan_only);
    // What was planned, and nothing that came in the meantime.
    let selector = submits[1].selector.as_ref().unwrap();
    assert_eq!(selector.nodes, ["172.31.16.137"]);
}

#[test]
fn several_servers_are_removed_with_yes_and_without_a_question() {
    let place = Place::new();
    place.script.operation.send_replace(fixtures::operation(
        v1::Verb::Rm,
        vec![fixtures::target(2, v1::TargetState::Succeeded)],
    ));
    assert_eq!(place.run("rm -s media-server-only --yes").code, 0);
    assert!(!place.script.only_submit().plan_only);
}
