//! Each rule of the controller's as a table.

use extend_common::checkup::Verdict;

use super::*;

fn is(check: &Check, verdict: Verdict, words: &str) {
    assert_eq!((check.verdict, check.found.as_str()), (verdict, words));
    let has_fix = matches!(verdict, Verdict::Fail | Verdict::Warn);
    assert!(!has_fix || !check.fix.is_empty(), "{check:?}");
}

fn cloud(public: Option<&str>, place: (&str, &str, &[&str])) -> CloudFacts {
    let (vpc, subnet, groups) = place;
    CloudFacts {
        public: public.map(|address| address.parse().unwrap()),
        private: None,
        instance: "i-1".to_owned(),
        vpc: vpc.to_owned(),
        subnet: subnet.to_owned(),
        security_groups: groups.iter().map(|group| (*group).to_owned()).collect(),
    }
}

#[test]
fn clocks_agree_or_not() {
    for (seconds, verdict, words) in [
        (0, Verdict::Ok, "it agrees with the controller's"),
        (-2, Verdict::Ok, "it agrees with the controller's"),
        (20, Verdict::Warn, "20s ahead of the controller's"),
        (-40, Verdict::Fail, "40s behind the controller's"),
    ] {
        is(
            &clock_skew(Some(SignedDuration::from_secs(seconds))),
            verdict,
            words,
        );
    }
    is(
        &clock_skew(None),
        Verdict::Unknown,
        "the node has not told its time",
    );
}

#[test]
fn the_public_address_is_the_one_that_is_meant() {
    let place = ("vpc-1", "subnet-1", &[][..]);
    let (one, other) = ("54.215.234.52", "54.215.234.53");
    let meant = |text: &str| Some(text.parse().unwrap());
    let with = |public| Some(cloud(public, place));
    for (told, said, verdict, words) in [
        (with(Some(one)), None, Verdict::Ok, one),
        (with(Some(one)), meant(one), Verdict::Ok, one),
        (
            with(Some(one)),
            meant(other),
            Verdict::Fail,
            "the instance's public address is 54.215.234.52, and 54.215.234.53 was said",
        ),
        (
            with(None),
            None,
            Verdict::Fail,
            "the instance has no public address",
        ),
        (
            with(None),
            meant(one),
            Verdict::Warn,
            "the instance has no public address, and 54.215.234.52 was said",
        ),
        (
            None,
            None,
            Verdict::Unknown,
            "no cloud tells a public address",
        ),
        (
            None,
            meant(one),
            Verdict::Unknown,
            "54.215.234.52 was said, and no cloud says so",
        ),
    ] {
        is(&elastic_address(told.as_ref(), said), verdict, words);
    }
}

#[test]
fn the_network_is_the_pbxs() {
    let pbx = cloud(None, ("vpc-1", "subnet-1", &["sg-1", "sg-2"]));
    for (place, verdict, words) in [
        (
            ("vpc-1", "subnet-1", &["sg-2"][..]),
            Verdict::Ok,
            "vpc-1, subnet-1, as the PBX",
        ),
        (
            ("vpc-2", "subnet-1", &["sg-1"]),
            Verdict::Fail,
            "it is in vpc-2, and the PBX in vpc-1",
        ),
        (
            ("vpc-1", "subnet-1", &["sg-3"]),
            Verdict::Fail,
            "its security groups (sg-3) are none of the PBX's (sg-1, sg-2)",
        ),
        (
            ("vpc-1", "subnet-2", &["sg-1"]),
            Verdict::Warn,
            "it is in subnet-2, and the PBX in subnet-1",
        ),
        (("", "", &[]), Verdict::Unknown, "the cloud names no VPC"),
    ] {
        is(&network(Some(&cloud(None, place)), &[&pbx]), verdict, words);
    }
    assert_eq!(network(None, &[&pbx]).verdict, Verdict::Unknown);
    assert_eq!(network(Some(&pbx), &[]).verdict, Verdict::Unknown);
}

#[test]
fn a_pbx_node_carries_no_server() {
    let none = Tenants {
        is_pbx: false,
        server: None,
        role: None,
        unclaimed: Vec::new(),
    };
    is(
        &one_role(&none),
        Verdict::Ok,
        "no other server is known there",
    );
    let pbx = Tenants {
        is_pbx: true,
        ..none
    };
    is(
        &one_role(&pbx),
        Verdict::Fail,
        "it is one of the PBX's own nodes",
    );
}
