//! From bare nodes to four healthy servers, with the guide's lines, and what the guide does with
//! them then. In the lab: `make test-lab`.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    reason = "everything here is a test, also what is not marked as one"
)]

use extend_tests::guide;
use extend_tests::lab::{
    Before, CREDENTIALS, Lab, MEDIA, MEETING, May, NODES, SERVERS, WITHOUT_ENGINE, invariants,
    node_of,
};

#[test]
fn bare_nodes_become_four_healthy_servers_by_the_guides_lines() {
    let lab = Lab::take();
    for node in NODES {
        let is_bare = lab.node(node).is_null() && node.ask(&["which", "extend-agent"]).code != 0;
        if !is_bare {
            lab.launch_anew(node);
        }
    }
    lab.release("22.3.0");
    assert!(!WITHOUT_ENGINE.has_engine(), "one node has no Engine yet");

    // Without having joined, the node is named, and both ways to get it into the fleet.
    let early = lab.guide(guide::DEPLOY[0]).expect(4, "no node has joined");
    let early = early.says("extend node bootstrap -a 172.31.16.137", "the first way");
    early.says("extend node token -a 172.31.16.137", "the second way");

    lab.bootstrap(&NODES, &[])
        .expect(0, "the nodes should be in the fleet");
    for node in NODES {
        lab.await_online(node);
        assert!(node.has_engine(), "{} has an Engine", node.name());
    }
    // The registry gives nothing to whoever has no password.
    let refused = lab
        .guide(guide::DEPLOY[0])
        .expect(1, "there are no credentials");
    refused.says(
        "--registry-credentials FILE",
        "it should say how to give them",
    );
    assert!(node_of(MEETING).find(MEETING.container).is_none());
    lab.bootstrap(&NODES, &["--registry-credentials", CREDENTIALS])
        .expect(0, "the nodes should have the password");

    for line in guide::DEPLOY {
        lab.guide(line).expect(0, "a server should be deployed");
    }
    for server in SERVERS {
        let shown = lab.await_healthy(server);
        assert_eq!(shown["version"], "22.3.0", "{shown:#}");
        let seen = node_of(server).find(server.container).unwrap();
        let image = seen["Config"]["Image"].as_str().unwrap();
        let pulled = image.starts_with("172.31.16.132:5000/portsip/pbx@sha256:");
        assert!(pulled, "pulled from the registry, by its digest: {image}");
    }

    // Once more is nothing.
    let before = Before::look(&lab);
    let pids = NODES.map(|node| node.main_pid("extend-agent"));
    for line in guide::DEPLOY {
        lab.guide(line).expect(0, "it is so already");
    }
    lab.bootstrap(&NODES, &["--plan"])
        .expect(0, "there is nothing to do");
    lab.bootstrap(&NODES, &[])
        .expect(0, "they are in the fleet already");
    assert_eq!(NODES.map(|node| node.main_pid("extend-agent")), pids);
    before.check(&lab, &[]);
}

#[test]
fn the_guides_other_lines_do_what_they_say() {
    let lab = Lab::healthy_fleet();
    let before = Before::look(&lab);
    for line in guide::ALL {
        lab.guide(line).expect(0, line);
    }
    let all = SERVERS.map(|server| (server, May::BeRestarted));
    before.check(&lab, &all);

    let before = Before::look(&lab);
    for line in guide::ONE_TYPE {
        lab.guide(line).expect(0, line);
    }
    // The guide's own mistake: the meeting server is there.
    for line in guide::ONE_SERVER {
        lab.guide(line)
            .expect(4, line)
            .says("the server at 172.31.16.137 is meeting-server-1", line);
    }
    before.check(&lab, &[(MEDIA, May::BeRestarted)]);

    let before = Before::look(&lab);
    let version = lab.release_newer();
    lab.guide(guide::UPGRADE[1])
        .expect(0, "one type is upgraded");
    before.check(&lab, &[(MEDIA, May::BeReplaced)]);
    assert_ne!(
        before.instance(MEDIA).id,
        node_of(MEDIA).instance(MEDIA.container).id
    );
    lab.guide(guide::UPGRADE[0]).expect(0, "all are upgraded");
    before.check(&lab, &SERVERS.map(|server| (server, May::BeReplaced)));
    for server in SERVERS {
        let shown = lab.server(server);
        assert_eq!(shown["version"], version.as_str(), "{shown:#}");
    }

    lab.guide(guide::REMOVE[0]).expect(0, "one needs no answer");
    assert_eq!(invariants::ours(node_of(MEDIA)), []);
    let removed = lab.guide_answered(guide::REMOVE[1], "Type the number", "3");
    removed.expect(0, "the others are removed");
    for server in SERVERS {
        assert_eq!(invariants::ours(node_of(server)), []);
        let data = format!("/var/lib/portsip/{}", server.role);
        node_of(server).shell(&format!("test -d {data}"));
    }
}
