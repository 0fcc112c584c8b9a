//! `extend doctor`, and what a `run` tells of its host.

use extend_proto::v1;

use crate::harness::Place;
use crate::stub::OnSubmit;

fn check(name: &str, verdict: v1::CheckVerdict, found: &str, fix: &str) -> v1::Check {
    v1::Check {
        name: name.to_owned(),
        verdict: verdict.into(),
        found: found.to_owned(),
        fix: fix.to_owned(),
    }
}

fn checks() -> Vec<v1::Check> {
    vec![
        check("clock", v1::CheckVerdict::Ok, "synchronised", ""),
        check(
            "updates",
            v1::CheckVerdict::Warn,
            "12 wait",
            "apt-get upgrade",
        ),
        check(
            "disk-size",
            v1::CheckVerdict::Fail,
            "8.0 GB at /data",
            "a disk of 256 GB",
        ),
        check("network", v1::CheckVerdict::Unknown, "no cloud tells", ""),
    ]
}

fn answer(checks: Vec<v1::Check>) -> v1::CheckupResponse {
    v1::CheckupResponse {
        nodes: vec![v1::NodeCheckup {
            node: "172.31.16.139".to_owned(),
            name: "media-server-1".to_owned(),
            role: "media-server-only".to_owned(),
            checks,
        }],
    }
}

#[test]
fn it_ends_with_3_when_something_fails_and_shows_each_check_with_its_fix() {
    let place = Place::new();
    *place.script.checkup.lock().unwrap() = answer(checks());
    let ran = place.run("doctor -a 172.31.16.139 -s media-server-only");
    assert_eq!(ran.code, 3, "{ran:?}");
    for row in [
        "172.31.16.139  clock      ok       synchronised",
        "172.31.16.139  updates    warn     12 wait          apt-get upgrade",
        "172.31.16.139  disk-size  fail     8.0 GB at /data  a disk of 256 GB",
        "172.31.16.139  network    unknown  no cloud tells",
    ] {
        assert!(ran.out.contains(row), "{}", ran.out);
    }
    assert!(
        ran.err.contains("1 node: 1 fail, 1 warn, 1 unknown, 1 ok"),
        "{}",
        ran.err
    );
    let asked = place.script.asked.lock().unwrap().clone();
    assert_eq!(asked, ["checkup 172.31.16.139 media-server-only"]);
    let wide = place.run("doctor -o wide");
    assert!(wide.out.contains("media-server-1"), "{}", wide.out);
    let json = place.run("doctor -o json");
    assert_eq!(json.code, 3);
    let document: serde_json::Value = serde_json::from_str(&json.out).unwrap();
    let first = &document["nodes"][0]["checks"][2];
    assert_eq!(
        (&first["name"], &first["verdict"]),
        (&"disk-size".into(), &"fail".into())
    );
}

#[test]
fn warnings_and_what_is_unknown_are_no_failure() {
    let place = Place::new();
    let all = checks().into_iter();
    let fine = all
        .filter(|check| check.verdict() != v1::CheckVerdict::Fail)
        .collect();
    *place.script.checkup.lock().unwrap() = answer(fine);
    assert_eq!(place.run("doctor").code, 0);
    let help = place.run("doctor --help");
    assert!(help.out.contains("3: something does"), "{}", help.out);
}

const RUN: &str = "run -s media-server-only -n media-server-1 -a 172.31.16.139";

#[test]
fn what_is_accepted_is_named_with_a_reason() {
    let place = Place::new();
    let words = format!("{RUN} --detach --accept disk-size=small --accept clock=ours");
    assert_eq!(place.run(&words).code, 0);
    let accepted = place.script.only_submit().accepted;
    let pairs: Vec<_> = accepted
        .iter()
        .map(|a| (a.name.as_str(), a.reason.as_str()))
        .collect();
    assert_eq!(pairs, [("disk-size", "small"), ("clock", "ours")]);
    for (option, words) in [
        ("--accept disksize=x", "did you mean `disk-size`?"),
        (
            "--accept disk-size",
            "`disk-size` gives no reason: write disk-size=REASON",
        ),
        (
            "--accept clock=x --accept clock=y",
            "--accept clock is there twice",
        ),
    ] {
        let ran = place.run(&format!("{RUN} {option}"));
        assert_eq!(ran.code, 2, "{ran:?}");
        assert!(ran.err.contains(words), "{}", ran.err);
    }
    assert_eq!(place.script.submits().len(), 1);
}

#[test]
fn a_run_tells_of_its_host_before() {
    let place = Place::new();
    let mut plan = crate::fixtures::plan();
    plan.truncate(1);
    plan[0].checks = checks().split_off(1);
    place
        .script
        .on_submit([OnSubmit::Answer(v1::SubmitResponse {
            plan,
            operation: None,
        })]);
    let ran = place.run(&format!("{RUN} --plan"));
    for line in [
        "  warn    updates: 12 wait (fix: apt-get upgrade)",
        "  fail    disk-size: 8.0 GB at /data (fix: a disk of 256 GB)",
        "  unknown network: no cloud tells",
    ] {
        assert!(ran.out.contains(line), "{}", ran.out);
    }
}
