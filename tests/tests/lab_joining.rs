//! Other ways into the fleet: user data at the first boot, and servers that PortSIP's own script
//! has made. In the lab: `make test-lab`.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    reason = "everything here is a test, also what is not marked as one"
)]

use std::time::Duration;

use extend_tests::guide;
use extend_tests::lab::{Before, IMAGE, IVR, Lab, MEETING, May, SOON, node_of};
use extend_tests::real::{Server, until};

/// A first boot installs packages.
const FIRST_BOOT: Duration = Duration::from_secs(300);

#[test]
fn user_data_sets_a_node_up_at_its_first_boot() {
    let lab = Lab::healthy_fleet();
    let node = node_of(IVR);
    lab.launch_anew(node);
    let words = [
        "node",
        "token",
        "-a",
        IVR.node,
        "--cloud-init",
        "--ttl",
        "24h",
    ];
    let data = lab.extend(&words).expect(0, "user data is made").stdout;
    assert!(
        data.len() < 16 * 1024,
        "EC2 takes no more: {} bytes",
        data.len()
    );
    // As EC2 hands it over, by cloud-init's own way for machines that are not in a cloud.
    node.shell("mkdir -p /var/lib/cloud/seed/nocloud && rm /etc/cloud/cloud-init.disabled");
    node.write("/var/lib/cloud/seed/nocloud/user-data", &data);
    node.write(
        "/var/lib/cloud/seed/nocloud/meta-data",
        "instance-id: first\n",
    );
    node.reboot();
    lab.await_node(node, "be online", FIRST_BOOT, |shown| {
        shown["state"] == "online"
    });
    assert!(node.has_engine(), "an Engine is installed too");
    let said = node.shell("cat /var/log/cloud-init-output.log");
    assert!(said.contains("172.31.16.140 has joined"), "{said}");
    // The registry's password is another matter.
    lab.bootstrap(&[node], &["--registry-credentials", "/root/registry.json"])
        .expect(0, "it gets the password");
    lab.guide(guide::DEPLOY[3])
        .expect(0, "its server is deployed");
    // Booted once more, it does nothing twice.
    let mut before = Before::look(&lab);
    node.shell("cloud-init clean --logs");
    node.reboot();
    before.was_reborn(node);
    lab.await_online(node);
    before.check(&lab, &[(IVR, May::BeRestarted)]);
}

/// What PortSIP's own script makes of `run -s TYPE`, as domain.md has it.
fn official(server: Server) -> Vec<String> {
    let data = format!("/var/lib/portsip/{}:/var/lib/portsip/pbx", server.role);
    let words = [
        "run",
        "--detach",
        "--name",
        server.container,
        "--network",
        "host",
        "--user",
        "portsip",
        "--cap-add",
        "SYS_PTRACE",
        "--restart",
        "unless-stopped",
        "--env",
        "LD_LIBRARY_PATH=/usr/local/lib",
        "--volume",
        &data,
        "--volume",
        "/etc/localtime:/etc/localtime",
        IMAGE,
        server.binary,
        "-D",
        "/var/lib/portsip/pbx",
        "-E",
        "-a",
        "54.151.30.9",
        "-x",
        server.node,
        "-n",
        server.name,
        "start",
    ];
    words.map(str::to_owned).to_vec()
}

#[test]
fn a_server_that_the_official_script_made_is_adopted_as_it_is() {
    let lab = Lab::healthy_fleet();
    let node = node_of(MEETING);
    lab.extend(&["rm", "-n", MEETING.name, "--yes"])
        .expect(0, "ours goes first");
    let data = format!("/var/lib/portsip/{}", MEETING.role);
    node.shell(&format!(
        "set -e; docker --config /tmp/official login -u extend --password-stdin 172.31.16.132:5000 \
         >/dev/null 2>&1 <<<$(python3 -c 'import json, base64; print(base64.b64decode(json.load(open(\
         \"/etc/extend/registry.json\"))[\"auths\"][\"172.31.16.132:5000\"][\"auth\"]).decode()\
         .split(\":\")[1])'); docker --config /tmp/official pull -q {IMAGE}; rm -r /tmp/official; \
         mkdir -p {data}/callqueue {data}/dump {data}/log {data}/mcu/record; chown -R 888:888 {data}"
    ));
    let words = official(MEETING);
    node.docker(&words.iter().map(String::as_str).collect::<Vec<_>>());
    let before = node.instance(MEETING.container);

    until("it should be reported", SOON, || {
        let status = lab.status();
        let unclaimed = status["unclaimed"].to_string();
        if unclaimed.contains(MEETING.container) {
            Ok(())
        } else {
            Err(format!("{status:#}"))
        }
    });
    lab.extend(&["adopt", "-a", MEETING.node, "--plan"])
        .expect(10, "there is something to adopt")
        .says(MEETING.name, "it is named");
    lab.extend(&["adopt", "-a", MEETING.node])
        .expect(0, "it is adopted");
    lab.await_healthy(MEETING);
    assert_eq!(
        node.instance(MEETING.container),
        before,
        "and neither recreated nor restarted"
    );
    lab.extend(&["adopt", "-a", MEETING.node])
        .expect(0, "it is so already");

    // From now on it is a server like others; the next upgrade makes it anew.
    let fleet = Before::look(&lab);
    lab.extend(&["restart", "-n", MEETING.name])
        .expect(0, "it is restarted");
    lab.await_healthy(MEETING);
    let restarted = node.instance(MEETING.container);
    assert_eq!(restarted.id, before.id, "the same container");
    assert_ne!(restarted.pid, before.pid, "in another process");
    drop(lab.release_newer());
    lab.extend(&["upgrade", "-n", MEETING.name])
        .expect(0, "it is upgraded");
    fleet.check(&lab, &[(MEETING, May::BeReplaced)]);
    assert_ne!(node.instance(MEETING.container).id, before.id);
    let names = node.docker(&[
        "ps",
        "--all",
        "--format",
        "{{.Names}}",
        "--filter",
        "name=conference",
    ]);
    assert_eq!(names, MEETING.container, "nothing is left beside it");
}
