//! Plans: each reads as the list of what would be done.

use super::super::facts::tests::{asked, lines};
use super::*;

const OURS: Fingerprint = Fingerprint([0xab; 32]);
const OTHERS: Fingerprint = Fingerprint([0xcd; 32]);

/// A node as the guide asks for, with these further facts.
fn node_with(more: &str) -> Facts {
    let bare = "os ubuntu 24.04 Ubuntu 24.04.1 LTS\narchitecture amd64\nmachine x86_64\nsystemd 1\n\
                address 127.0.0.1\naddress 172.31.16.139\ndisk 125829120 104857600\n\
                synchronized yes\nunit inactive\n";
    Facts::read(&lines(&format!("{bare}{more}\nend 1")), asked()).unwrap()
}

fn wanted() -> Wanted {
    Wanted {
        node: "172.31.16.139".parse().unwrap(),
        authority: OURS,
        version: "0.2.0".to_owned(),
        architecture: "amd64".to_owned(),
        credentials: None,
        rejoin: false,
        known: None,
    }
}

fn joined(authority: Fingerprint) -> String {
    let hex = extend_common::hash::encode(&authority.0);
    format!("joined {hex} 172.31.16.139")
}

/// A node on which everything is done.
fn done() -> String {
    let joined = joined(OURS);
    format!("docker answers 28.1\nagent installed 0.2.0\nunit active\n{joined}\n")
}

fn steps(more: &str, wanted: &Wanted) -> String {
    let plan = plan(&node_with(more), wanted).unwrap();
    let steps: Vec<String> = plan.steps.iter().map(ToString::to_string).collect();
    steps.join(" · ")
}

fn with(known: NodeState) -> Wanted {
    Wanted {
        known: Some(known),
        ..wanted()
    }
}

#[test]
fn from_bare_to_done() {
    let online = with(NodeState::Online);
    for (facts, wanted, expected) in [
        (
            String::new(),
            wanted(),
            "install a Docker Engine (docker.io) · install extend-agent 0.2.0 · join · wait until it is online",
        ),
        (
            "docker answers 20.10".to_owned(),
            with(NodeState::Pending),
            "install extend-agent 0.2.0 · join · wait until it is online",
        ),
        (
            "docker silent Cannot connect".to_owned(),
            wanted(),
            "install extend-agent 0.2.0 · join · wait until it is online",
        ),
        (
            "docker answers 28.1\nagent installed 0.2.0\nunit active".to_owned(),
            wanted(),
            "join · wait until it is online",
        ),
        (done(), online.clone(), ""),
        (
            done().replace("0.2.0", "0.1.0"),
            online.clone(),
            "replace extend-agent 0.1.0 by 0.2.0 · wait until it is online",
        ),
        (
            done().replace("0.2.0", "0.3.0"),
            online.clone(),
            "replace extend-agent 0.3.0 by 0.2.0 · wait until it is online",
        ),
        (
            done().replace("installed", "half-configured"),
            online,
            "finish installing extend-agent 0.2.0 · wait until it is online",
        ),
    ] {
        assert_eq!(steps(&facts, &wanted), expected, "{facts}");
    }
}

#[test]
fn what_does_not_run_is_started_and_what_hangs_is_started_anew() {
    let stopped = done().replace("unit active", "unit failed");
    for (facts, known, expected) in [
        (
            &stopped,
            NodeState::Offline,
            "start the agent · wait until it is online",
        ),
        // The controller has not noticed yet.
        (
            &stopped,
            NodeState::Online,
            "start the agent · wait until it is online",
        ),
        (
            &done(),
            NodeState::Offline,
            "start the agent · wait until it is online",
        ),
        (&done(), NodeState::Suspect, "wait until it is online"),
    ] {
        assert_eq!(steps(facts, &with(known)), expected, "{facts} {known:?}");
    }
}

#[test]
fn credentials_are_put_where_they_are_missing_other_or_open() {
    let hash = [7; 32];
    let hex = extend_common::hash::encode(&hash);
    let wanted = Wanted {
        credentials: Some(hash),
        ..with(NodeState::Online)
    };
    let put = "put the registry credentials in place · start the agent · wait until it is online";
    assert_eq!(steps(&done(), &wanted), put);
    let there = |owner: &str, mode: &str| format!("{}registry {hex} {owner} {mode}", done());
    assert_eq!(steps(&there("extend-agent", "600"), &wanted), "");
    assert_eq!(steps(&there("root", "600"), &wanted), put);
    assert_eq!(steps(&there("extend-agent", "644"), &wanted), put);
    let other = there("extend-agent", "600").replace(&hex, &"08".repeat(32));
    assert_eq!(steps(&other, &wanted), put);
    assert_eq!(steps(&other, &with(NodeState::Online)), "", "nobody asked");
    let bare = Wanted {
        known: None,
        ..wanted
    };
    assert!(steps("", &bare).contains("0.2.0 · put the registry credentials in place · join ·"));
}

#[test]
fn who_has_joined_whom_decides() {
    let rejoin = |known| Wanted {
        rejoin: true,
        known,
        ..wanted()
    };
    let anew = "join anew · wait until it is online";
    // Removed at the controller, or its store is another.
    assert_eq!(steps(&done(), &wanted()), anew);
    let others = done().replace("abab", "cdcd");
    assert_eq!(steps(&others, &rejoin(None)), anew);
    assert_eq!(steps(&done(), &rejoin(Some(NodeState::Revoked))), anew);
    assert_eq!(steps(&done(), &rejoin(Some(NodeState::Online))), "");
    // The controller knows it, and the node has lost itself.
    let lost = done().replace("joined", "parted");
    assert_eq!(
        steps(&lost, &with(NodeState::Offline)),
        "join · wait until it is online"
    );

    let refused = |facts: &str, wanted: &Wanted| *plan(&node_with(facts), wanted).unwrap_err();
    let other = refused(&others, &with(NodeState::Online));
    assert_eq!(
        other.sentence,
        "cannot set up node 172.31.16.139: it has joined another controller"
    );
    assert!(other.causes[0].contains(&OTHERS.to_string()), "{other:?}");
    assert_eq!(
        other.hint,
        "extend node bootstrap -a 172.31.16.139 --rejoin"
    );
    let revoked = refused(&done(), &with(NodeState::Revoked));
    assert!(revoked.sentence.ends_with("it is revoked"), "{revoked:?}");
    let ahead = refused(&done(), &with(NodeState::Ahead));
    assert_eq!(ahead.hint, "extend controller recover");
    let copy = done().replace("172.31.16.139", "172.31.16.140");
    for wanted in [wanted(), rejoin(None)] {
        let copy = refused(&copy, &wanted);
        assert!(
            copy.sentence.ends_with("it has joined as 172.31.16.140"),
            "{copy:?}"
        );
    }
}

#[test]
fn what_cannot_work_is_refused_before_anything_is_changed() {
    let refused = |facts: Facts| *plan(&facts, &wanted()).unwrap_err();
    let elsewhere = Facts {
        addresses: vec!["10.0.0.1".parse().unwrap()],
        ..node_with("")
    };
    let not_debian = Facts {
        architecture: None,
        ..node_with("os amzn 2023 Amazon Linux 2023")
    };
    let no_systemd = Facts {
        systemd: false,
        ..node_with("")
    };
    let late = "clock 1796036401";
    for (facts, why) in [
        (
            elsewhere,
            "the host that answers there does not have this address",
        ),
        (not_debian, "it has no dpkg and apt-get"),
        (
            node_with("architecture arm64"),
            "it is arm64, and the package is for amd64",
        ),
        (no_systemd, "systemd does not run it"),
        (node_with(late), "its clock is 59m 58s behind ours"),
    ] {
        let refusal = refused(facts);
        assert_eq!(
            refusal.sentence,
            format!("cannot set up node 172.31.16.139: {why}")
        );
        assert_eq!(refusal.exit, Exit::Refused);
        assert!(
            !refusal.hint.is_empty() && !refusal.causes.is_empty(),
            "{refusal:?}"
        );
    }
}

#[test]
fn what_the_guide_asks_for_is_told_and_stands_in_nobodys_way() {
    let warned = |facts: &str| plan(&node_with(facts), &wanted()).unwrap().warnings;
    assert_eq!(warned(""), Vec::<String>::new());
    let all = warned(
        "os debian 12 Debian GNU/Linux 12 (bookworm)\ndisk 20000000 5000000\n\
         postgres postgresql-15\nclock 1796039901\ndocker silent Is the docker daemon running?\n\
         official portsip.mediaserver",
    );
    assert_eq!(
        all,
        [
            "it runs Debian GNU/Linux 12 (bookworm); the guide asks for Ubuntu 24.04 LTS",
            "the disk of /var has 20 GB; the guide asks for 64 GB, and 128 GB for media",
            "the disk of /var has 5 GB left: images may not fit",
            "a PostgreSQL is installed (postgresql-15); the guide asks for none",
            "its clock is 1m 38s behind ours",
            "its Docker Engine does not answer, and is left as it is: Is the docker daemon running?",
            "portsip.mediaserver is there, from the official script, and is left as it is",
        ]
    );
    assert_eq!(warned("synchronized no").len(), 1);
}

#[test]
fn a_plan_tells_its_changes() {
    let steps = vec![Step::StartAgent, Step::AwaitOnline];
    let plan = Plan {
        steps,
        ..Plan::default()
    };
    assert_eq!(plan.changes(), ["start the agent"]);
    let steps = vec![Step::AwaitOnline];
    let plan = Plan {
        steps,
        ..Plan::default()
    };
    assert_eq!(plan.changes(), ["wait until it is online"]);
}
