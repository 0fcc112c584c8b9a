//! Packages that are upgraded and downgraded under running services. In the lab: `make test-lab`.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    reason = "everything here is a test, also what is not marked as one"
)]

use std::path::PathBuf;
use std::process::Command;

use extend_tests::lab::{Before, CREDENTIALS, Lab, MEDIA, NODES, Node, node_of, root};
use extend_tests::real::process::Running;

/// The suffix that makes the same programs a later version.
const LATER: &str = "+lab1";

/// Where the packages are: those that were made for the lab, or others that are named.
fn packages() -> PathBuf {
    let named = std::env::var_os("EXTEND_LAB_DEBS").map(PathBuf::from);
    named.unwrap_or_else(|| {
        let target = std::env::var_os("CARGO_TARGET_DIR").map(PathBuf::from);
        target.unwrap_or_else(|| root().join("target")).join("deb")
    })
}

fn package(name: &str, suffix: &str) -> PathBuf {
    let directory = packages();
    let version = env!("CARGO_PKG_VERSION");
    directory.join(format!("{name}_{version}{suffix}_amd64.deb"))
}

/// The same programs under a later version.
fn pack_later() {
    if std::env::var_os("EXTEND_LAB_DEBS").is_some() {
        return;
    }
    let mut command = Command::new(root().join("scripts/deb.sh"));
    command.env("VERSION_SUFFIX", LATER);
    // Build scripts look at what cargo says of the package of this test, and would make everything
    // anew for it.
    for (name, _) in std::env::vars() {
        let is_of_this_test = [
            "CARGO_PKG_",
            "CARGO_MANIFEST_",
            "CARGO_BIN_",
            "CARGO_CRATE_",
        ];
        if is_of_this_test.iter().any(|start| name.starts_with(start)) {
            command.env_remove(name);
        }
    }
    let packed = Running::start(command, "").end_within(std::time::Duration::from_secs(600));
    packed.expect(0, "the packages are made");
}

/// Installs a package on a node as an administrator does.
fn install(node: Node, name: &str, suffix: &str) {
    let file = package(name, suffix);
    let target = format!("{}:/root/{name}.deb", node.name());
    let mut copy = Command::new("docker");
    copy.arg("cp").arg(&file).arg(&target);
    Running::start(copy, "")
        .end()
        .expect(0, "the package is copied");
    node.shell(&format!(
        "DEBIAN_FRONTEND=noninteractive apt-get -q -y --allow-downgrades --no-install-recommends \
         install /root/{name}.deb && rm /root/{name}.deb"
    ));
}

fn installed(node: Node, name: &str) -> String {
    node.shell(&format!("dpkg-query -W -f '${{Version}}' {name}"))
}

/// A healthy fleet of the packages as they are, whatever the test before has left.
fn fleet_as_shipped() -> Lab {
    let lab = Lab::healthy_fleet();
    pack_later();
    let is_shipped = |node, name| installed(node, name) == env!("CARGO_PKG_VERSION");
    if !is_shipped(lab.primary, "extend") {
        install(lab.primary, "extend", "");
    }
    if !NODES.iter().all(|node| is_shipped(*node, "extend-agent")) {
        lab.bootstrap(&NODES, &[])
            .expect(0, "all have the controller's version");
    }
    lab
}

#[test]
fn agents_and_controller_are_upgraded_and_downgraded_under_running_services() {
    let lab = fleet_as_shipped();
    let before = Before::look(&lab);
    for suffix in [LATER, ""] {
        let version = format!("{}{suffix}", env!("CARGO_PKG_VERSION"));
        for node in NODES {
            let old = node.main_pid("extend-agent");
            install(node, "extend-agent", suffix);
            assert_eq!(installed(node, "extend-agent"), version);
            assert_ne!(node.main_pid("extend-agent"), old, "the new agent runs");
            lab.await_online(node);
        }
        let old = lab.primary.main_pid("extend-controller");
        install(lab.primary, "extend", suffix);
        assert_eq!(installed(lab.primary, "extend"), version);
        assert_ne!(
            lab.primary.main_pid("extend-controller"),
            old,
            "the new controller runs"
        );
        for node in NODES {
            lab.await_online(node);
        }
        before.check(&lab, &[]);
    }
}

#[test]
fn a_bootstrap_with_a_later_package_upgrades_and_repairs() {
    let lab = fleet_as_shipped();
    let before = Before::look(&lab);
    install(lab.primary, "extend", LATER);
    let node = node_of(MEDIA);
    lab.bootstrap(&[node], &["--plan"])
        .expect(10, "there is an upgrade to do");
    lab.bootstrap(&[node], &[]).expect(0, "it is upgraded");
    let later = format!("{}{LATER}", env!("CARGO_PKG_VERSION"));
    assert_eq!(installed(node, "extend-agent"), later);
    before.check(&lab, &[]);

    // Somebody has broken it.
    node.shell("systemctl disable --now extend-agent; rm /etc/extend/registry.json");
    lab.bootstrap(&[node], &["--registry-credentials", CREDENTIALS])
        .expect(0, "it is repaired");
    node.shell("systemctl is-enabled extend-agent && test -e /etc/extend/registry.json");
    lab.await_online(node);
    before.check(&lab, &[]);

    install(lab.primary, "extend", "");
    lab.bootstrap(&NODES, &[])
        .expect(0, "all have the controller's version");
    assert_eq!(installed(node, "extend-agent"), env!("CARGO_PKG_VERSION"));
    before.check(&lab, &[]);
}

#[test]
fn an_agent_that_is_purged_leaves_service_and_data() {
    let lab = Lab::healthy_fleet();
    let before = Before::look(&lab);
    let node = node_of(MEDIA);
    node.shell("DEBIAN_FRONTEND=noninteractive apt-get -q -y purge extend-agent");
    assert_eq!(
        &node.instance(MEDIA.container),
        before.instance(MEDIA),
        "the service serves on"
    );
    node.shell(&format!("test -d /var/lib/portsip/{}", MEDIA.role));
    node.shell("test ! -e /var/lib/extend-agent/ledger.json");
    // Removed from the fleet and launched anew, it is a node like others again.
    lab.launch_anew(node);
    drop(lab);
    drop(Lab::healthy_fleet());
}
