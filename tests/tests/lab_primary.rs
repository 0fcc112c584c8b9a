//! The primary is lost with everything on it, and another takes its place. In the lab:
//! `make test-lab`.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    reason = "everything here is a test, also what is not marked as one"
)]

use extend_tests::lab::{Before, Lab, MEDIA, May, NODES, Node, PRIMARY, SPARE, lab_script};
use serde_json::{Value, json};

/// What a node keeps from its enrolment to the end.
fn enrolments(lab: &Lab) -> Vec<Value> {
    let keys = ["address", "enrolled_at", "certificate_expires_at"];
    let of = |node: Node| {
        let shown = lab.node(node);
        json!(keys.map(|key| shown[key].clone()))
    };
    NODES.map(of).into_iter().collect()
}

/// Destroys the primary and puts its backup on another node: what the install guide says.
fn move_primary(lab: &mut Lab, to: Node) {
    let from = lab.primary;
    lab.primary
        .shell("rm -f /root/extend.backup && extend controller backup /root/extend.backup");
    // A backup is kept elsewhere.
    let backup = lab.primary.shell("base64 -w 0 /root/extend.backup");
    lab_script(&["destroy", &from.0.to_string()]).expect(0, "the primary is destroyed");
    lab_script(&["node", &to.0.to_string(), "--bare"]).expect(0, "an instance is launched");
    lab_script(&["primary", &to.0.to_string()]).expect(0, "the package is installed");
    lab.primary = to;
    to.write("/root/extend.backup.base64", &backup);
    to.shell(
        "set -e; umask 077; base64 -d /root/extend.backup.base64 >/root/extend.backup; \
         rm /root/extend.backup.base64; systemctl stop extend-controller; \
         extend controller restore --force /root/extend.backup; systemctl start extend-controller",
    );
}

#[test]
fn a_primary_that_is_lost_is_restored_elsewhere_and_no_server_notices() {
    let mut lab = Lab::healthy_fleet();
    let before = Before::look(&lab);
    let enrolled = enrolments(&lab);
    let agents = NODES.map(|node| node.main_pid("extend-agent"));
    for to in [SPARE, PRIMARY] {
        move_primary(&mut lab, to);
        for node in NODES {
            lab.await_online(node);
        }
        assert_eq!(enrolments(&lab), enrolled, "nobody had to join again");
        assert_eq!(
            NODES.map(|node| node.main_pid("extend-agent")),
            agents,
            "nor to restart"
        );
        before.check(&lab, &[]);
    }
    // And it is in charge.
    lab.extend(&["restart", "-n", MEDIA.name])
        .expect(0, "a restart");
    before.check(&lab, &[(MEDIA, May::BeRestarted)]);
}
