//! Debian's firewalld on the three nodes of a PBX, each with an agent without a role: the servers
//! are let in everywhere, wherever the PBX's virtual address is; and the controller's ports are for
//! the fleet's nodes. In the lab: `make test-lab`.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    reason = "everything here is a test, also what is not marked as one"
)]

use std::time::Duration;

use extend_tests::lab::{Lab, MEDIA, Node, PRIMARY, QUEUE, SPARE, lab_script, node_of};
use extend_tests::real::until;

/// The PBX's nodes: the primary is one of them.
const PBX: [Node; 3] = [PRIMARY, SPARE, Node(135)];
/// The address that goes from node to node.
const VIRTUAL: &str = "172.31.16.136";
/// Not in the fleet: the lab's registry.
const STRANGER: Node = Node(132);
/// Something of the PBX's.
const SIP: u16 = 5060;
const AGENTS: u16 = 7443;
/// What a person takes out is back by then, and whatever was started anew.
const MENDED: Duration = Duration::from_secs(60);
const FOREIGN: &str = "10.77.0.0/16";

/// Whether a connection comes about.
fn reaches(from: Node, to: &str, port: u16) -> bool {
    let line = format!("import socket; socket.create_connection(('{to}', {port}), 2)");
    from.ask(&["timeout", "5", "python3", "-c", &line]).code == 0
}

#[track_caller]
fn until_reaches(from: Node, to: &str, port: u16) {
    until(
        &format!("{} should reach {to}:{port}", from.name()),
        MENDED,
        || {
            if reaches(from, to, port) {
                Ok(())
            } else {
                Err(Node::at(if to == VIRTUAL { "172.31.16.134" } else { to })
                .ask_shell("firewall-cmd --list-all-zones; firewall-cmd --permanent --zone=trusted --list-all")
                .stdout)
            }
        },
    );
}

fn sources(node: Node, layer: &str) -> String {
    node.shell(&format!(
        "firewall-cmd {layer} --zone=trusted --list-sources"
    ))
}

/// The cluster; taken apart when it is dropped, also when the test fails.
struct Cluster<'a>(&'a Lab);

impl<'a> Cluster<'a> {
    fn make(lab: &'a Lab) -> Self {
        let cluster = Self(lab);
        for node in &PBX[1..] {
            lab_script(&["node", &node.0.to_string()]).expect(0, "an instance is launched");
            // What the hint says of an instance that was made anew.
            PRIMARY.shell(&format!(
                "ssh-keygen -R {} >/dev/null 2>&1 || true",
                node.address()
            ));
        }
        // Two over SSH, and the primary by hand.
        lab.bootstrap(&PBX[1..], &[])
            .expect(0, "two should be in the fleet");
        PRIMARY.shell(
            "set -e; DEBIAN_FRONTEND=noninteractive apt-get -q -y --no-install-recommends \
             -o Dpkg::Options::=--force-confold install /usr/share/extend/agent/*.deb >/tmp/apt.log 2>&1 || { tail /tmp/apt.log; exit 1; }; \
             extend node token -a 172.31.16.133 | extend-agent join",
        );
        for node in PBX {
            lab.await_online(node);
            node.shell(&format!(
                "sed -i '/^firewall = /d' /etc/extend/agent.toml; \
                 echo 'firewall = true' >>/etc/extend/agent.toml; systemctl restart extend-agent; \
                 systemd-run --quiet --unit=sip python3 -m http.server {SIP}; \
                 DEBIAN_FRONTEND=noninteractive apt-get -q -y --no-install-recommends install \
                 firewalld >/dev/null 2>&1; \
                 for layer in '' --permanent; do \
                 firewall-cmd $layer --zone=trusted --add-source={FOREIGN} >/dev/null; done"
            ));
        }
        cluster
    }

    /// The controller is told which nodes are the PBX's.
    fn name_nodes(&self) {
        let addresses = PBX.map(|node| format!("\"{}\"", node.address())).join(", ");
        PRIMARY.shell(&format!(
            "cp /etc/extend/controller.toml /root/controller.toml.before; \
             sed -i 's/^#nodes = .*/nodes = [{addresses}]/' /etc/extend/controller.toml; \
             grep -q '^nodes = ' /etc/extend/controller.toml; systemctl restart extend-controller"
        ));
    }
}

impl Drop for Cluster<'_> {
    fn drop(&mut self) {
        drop(PRIMARY.ask_shell(
            "systemctl stop sip; DEBIAN_FRONTEND=noninteractive apt-get -q -y purge firewalld \
             extend-agent >/dev/null 2>&1; sed -i '/^firewall = /d' /etc/extend/agent.toml; \
             rm -rf /etc/firewalld /var/lib/extend-agent \
             /var/lib/extend-agent-host; [ ! -e /root/controller.toml.before ] || \
             mv /root/controller.toml.before /etc/extend/controller.toml; \
             systemctl restart extend-controller",
        ));
        for node in PBX {
            let address = node.address();
            drop(
                self.0
                    .extend(&["node", "remove", &address, "--force", "--yes"]),
            );
            if node != PRIMARY {
                drop(lab_script(&["destroy", &node.0.to_string()]));
            }
        }
    }
}

/// Gives the virtual address to a node, and takes it from the other.
fn move_virtual(from: Option<Node>, to: Node) {
    if let Some(from) = from {
        from.shell(&format!("ip address del {VIRTUAL}/20 dev eth0"));
    }
    to.shell(&format!("ip address add {VIRTUAL}/20 dev eth0"));
    // What the cluster's own software announces.
    node_of(MEDIA).shell(&format!("ip neigh flush to {VIRTUAL}"));
}

#[test]
fn servers_are_let_in_on_all_nodes_of_the_pbx_and_strangers_nowhere() {
    let lab = Lab::healthy_fleet();
    let media = node_of(MEDIA);
    let cluster = Cluster::make(&lab);
    for node in PBX {
        assert!(!reaches(media, &node.address(), SIP), "{}", node.name());
    }
    cluster.name_nodes();
    for node in PBX {
        until_reaches(media, &node.address(), SIP);
        until_reaches(node_of(QUEUE), &node.address(), SIP);
        for layer in ["", "--permanent"] {
            assert!(sources(node, layer).contains(MEDIA.node));
        }
        assert!(!reaches(STRANGER, &node.address(), SIP));
    }
    // The controller's port: for nodes without a server too, and nothing else of it for them.
    until_reaches(SPARE, PRIMARY.address().as_str(), AGENTS);
    assert!(!reaches(STRANGER, &PRIMARY.address(), AGENTS));
    assert!(!reaches(SPARE, &PRIMARY.address(), SIP));

    // The PBX fails over.
    move_virtual(None, SPARE);
    until_reaches(media, VIRTUAL, SIP);
    move_virtual(Some(SPARE), PBX[2]);
    until_reaches(media, VIRTUAL, SIP);

    // Somebody reloads or restarts firewalld: it is as permanent as it is in force.
    PBX[2].shell("firewall-cmd --reload");
    assert!(reaches(media, VIRTUAL, SIP));
    PBX[2].shell("systemctl restart firewalld");
    assert!(reaches(media, VIRTUAL, SIP));

    // Somebody takes our entry out: for now, for ever, or both.
    for layers in ["''", "--permanent", "'' --permanent"] {
        PBX[2].shell(&format!(
            "for layer in {layers}; do \
             firewall-cmd $layer --zone=trusted --remove-source={} >/dev/null; done",
            MEDIA.node
        ));
        until(&format!("{layers} should be mended"), MENDED, || {
            let both = ["", "--permanent"].map(|layer| sources(PBX[2], layer));
            let there = both.iter().all(|sources| sources.contains(MEDIA.node));
            there.then_some(()).ok_or_else(|| both.join("\n"))
        });
        assert!(reaches(media, VIRTUAL, SIP));
    }
    let refused = lab.extend(&[
        "run",
        "-s",
        "media-server-only",
        "-n",
        "media-server-2",
        "-a",
        "172.31.16.134",
    ]);
    refused
        .expect(4, "no server on a node of the PBX")
        .says("PBX's own", "it says why");

    // The server goes, and with it what let it in; the others' stays, and what is not ours.
    lab.extend(&["rm", "-n", MEDIA.name, "--yes"])
        .expect(0, "the server is removed");
    for node in PBX {
        until(
            &format!("{} should let it in no more", node.name()),
            MENDED,
            || {
                let both = ["", "--permanent"].map(|layer| sources(node, layer));
                let gone = both.iter().all(|sources| !sources.contains(MEDIA.node));
                gone.then_some(()).ok_or_else(|| both.join("\n"))
            },
        );
        assert!(!reaches(media, &node.address(), SIP), "{}", node.name());
        assert!(
            reaches(node_of(QUEUE), &node.address(), SIP),
            "{}",
            node.name()
        );
        for layer in ["", "--permanent"] {
            assert!(sources(node, layer).contains(FOREIGN), "{}", node.name());
        }
    }
    // Its node is still the fleet's.
    assert!(reaches(media, &PRIMARY.address(), AGENTS));
    drop(cluster);
    for node in extend_tests::lab::NODES {
        lab.await_online(node);
    }
}
