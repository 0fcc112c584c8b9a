//! Plans of upgrades that know where a tag leads.

use std::collections::BTreeMap;

use extend_common::operation::{PlannedTarget, Verb};

use super::bench::{Bench, node, submission};
use crate::core::request::{Lead, Submission};

const REFERENCE: &str = "portsip/pbx:22";

fn upgrade(line: &str, lead: Option<Lead>) -> Submission {
    let mut wanted = submission(Verb::Upgrade, line);
    wanted.plan_only = true;
    let reference = wanted.image.clone().unwrap_or(REFERENCE.to_owned());
    wanted.leads = lead.map(|lead| (reference, lead)).into_iter().collect();
    wanted
}

fn planned(bench: &mut Bench, line: &str, lead: Option<Lead>) -> Vec<PlannedTarget> {
    let submitted = bench.submit(upgrade(line, lead)).unwrap();
    assert_eq!(submitted.operation, None);
    submitted.plan
}

fn serving(bench: &mut Bench) -> String {
    let plan = planned(bench, "-a 172.31.16.139", None);
    assert!(!plan[0].identity_before.is_empty());
    plan[0].identity_before.clone()
}

#[test]
fn what_serves_and_is_the_newest_is_already_so() {
    let mut bench = Bench::guide();
    let lead = Lead::To(serving(&mut bench));
    let plan = planned(&mut bench, "", Some(lead.clone()));
    assert_eq!(plan.len(), 4);
    for target in &plan {
        assert!(target.already_so, "{target:?}");
        assert_eq!(target.identity_after, target.identity_before);
        assert_eq!(target.image_after, target.image_before);
        let words = "the build that its reference leads to serves already";
        assert_eq!(target.summary, words);
        assert_eq!(
            (target.warning.as_str(), target.host_changes.len()),
            ("", 0)
        );
    }
    // The same build under another name is another record: its agent decides.
    let other = planned(&mut bench, "-i portsip/pbx:22.3", Some(lead.clone()));
    assert!(other.iter().all(|target| !target.already_so));
    // What does not run, or is not seen, is not so.
    bench.accept(Verb::Stop, "-a 172.31.16.139");
    bench.succeed(node("172.31.16.139"));
    bench.disconnect(node("172.31.16.138"));
    let plan = planned(&mut bench, "", Some(lead));
    let so = |at| {
        let mut targets = plan.iter();
        targets
            .find(|target| target.node == node(at))
            .unwrap()
            .already_so
    };
    assert!(!so("172.31.16.139") && !so("172.31.16.138") && so("172.31.16.137"));
}

#[test]
fn another_build_is_named_and_replaces_what_serves() {
    let mut bench = Bench::guide();
    let newer = "portsip/pbx@sha256:99".to_owned();
    let plan = planned(&mut bench, "", Some(Lead::To(newer.clone())));
    for target in &plan {
        assert!(!target.already_so);
        assert_eq!(target.identity_after, newer);
        assert!(
            target
                .summary
                .starts_with("fetch portsip/pbx:22, then replace")
        );
    }
}

#[test]
fn what_nobody_can_tell_is_said() {
    let mut bench = Bench::guide();
    let why = "172.31.16.139 was asked: no such host".to_owned();
    let plan = planned(&mut bench, "-a 172.31.16.139", Some(Lead::Unknown(why)));
    let target = &plan[0];
    assert!(!target.already_so && target.identity_after.is_empty());
    assert!(
        target
            .summary
            .starts_with("ask the registry for portsip/pbx:22")
    );
    assert!(
        target.warning.contains(
            "where portsip/pbx:22 leads is not known: 172.31.16.139 was asked: no such host"
        ),
        "{}",
        target.warning
    );
}

#[test]
fn each_reference_is_asked_of_one_node_that_is_there() {
    let mut bench = Bench::guide();
    let wanted = |bench: &Bench, line: &str| bench.fleet.leads_wanted(&upgrade(line, None));
    let one =
        |reference: &str, at: Option<&str>| BTreeMap::from([(reference.to_owned(), at.map(node))]);
    assert_eq!(wanted(&bench, ""), one(REFERENCE, Some("172.31.16.137")));
    bench.disconnect(node("172.31.16.137"));
    assert_eq!(wanted(&bench, ""), one(REFERENCE, Some("172.31.16.138")));
    assert_eq!(wanted(&bench, "-a 172.31.16.137"), one(REFERENCE, None));
    assert_eq!(
        wanted(&bench, "-s media-server-only -i portsip/pbx:23"),
        one("portsip/pbx:23", Some("172.31.16.139"))
    );
    for nothing in [
        Submission {
            plan_only: false,
            ..upgrade("", None)
        },
        Submission {
            to_previous: true,
            ..upgrade("", None)
        },
        Submission {
            plan_only: true,
            ..submission(Verb::Restart, "")
        },
        upgrade("-a 10.0.0.9", None),
    ] {
        assert_eq!(bench.fleet.leads_wanted(&nothing), BTreeMap::new());
    }
}
