//! The lab of `scripts/lab.sh`: nodes that boot, with systemd and a Docker Engine of their own, at
//! the guide's addresses on a network of their own. What is tested in it are the packages, the
//! units and the programs as they ship.
//!
//! A test begins with [`Lab::healthy_fleet`], whatever the one before has left behind, and ends
//! with [`invariants::Before::check`]. The lab has to be up for tests (`make test-lab` does that);
//! without it every test fails. One test at a time.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::print_stderr,
    reason = "everything here is part of tests"
)]

mod bystanders;
pub mod calls;
pub mod faults;
pub mod invariants;
pub mod node;
mod operator;

use std::fs::File;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use nix::fcntl::{Flock, FlockArg};

use crate::guide;
use crate::real::process::Running;
use crate::real::{self, Output, Server};
pub use invariants::{Before, May, node_of};
pub use node::Node;

/// What a start, a hello or the look of a status may take on a busy machine.
pub const SOON: Duration = Duration::from_secs(30);
/// `scripts/lab.sh` brings a lab up, or a node.
const LAB_SCRIPT: Duration = Duration::from_secs(600);
/// The nodes exist once: one test at a time.
const TURN: &str = "/tmp/extend-lab-tests.lock";

/// The meeting server.
pub const MEETING: Server = at(real::MEETING, "172.31.16.137");
/// The queue server.
pub const QUEUE: Server = at(real::QUEUE, "172.31.16.138");
/// The media server.
pub const MEDIA: Server = at(real::MEDIA, "172.31.16.139");
/// The IVR server.
pub const IVR: Server = at(real::IVR, "172.31.16.140");
/// All of them.
pub const SERVERS: [Server; 4] = [MEETING, QUEUE, MEDIA, IVR];
/// Their nodes.
pub const NODES: [Node; 4] = [Node(137), Node(138), Node(139), Node(140)];
/// The one that is launched without a Docker Engine.
pub const WITHOUT_ENGINE: Node = Node(140);
/// The primary of the guide.
pub const PRIMARY: Node = Node(133);
/// Where the guide's HA cluster has another node.
pub const SPARE: Node = Node(134);
/// The image that the servers are deployed from.
pub const IMAGE: &str = "172.31.16.132:5000/portsip/pbx:22";

/// Where the primary has the registry's password.
pub const CREDENTIALS: &str = "/root/registry.json";

const fn at(server: Server, node: &'static str) -> Server {
    Server { node, ..server }
}

/// How long the faults are that have a length: short in continuous integration, long in
/// `make test-lab`.
#[must_use]
pub fn length(short: Duration, long: Duration) -> Duration {
    if std::env::var_os("EXTEND_LAB_LONG").is_some() {
        long
    } else {
        short
    }
}

/// The lab, for one test.
#[derive(Debug)]
pub struct Lab {
    /// Where the controller runs.
    pub primary: Node,
    _turn: Flock<File>,
}

impl Lab {
    /// The lab as it is, with the faults of tests that were killed taken away.
    ///
    /// # Panics
    /// When there is none for tests.
    #[must_use]
    pub fn take() -> Self {
        let turn = Flock::lock(File::create(TURN).unwrap(), FlockArg::LockExclusive);
        let lab = Self {
            primary: PRIMARY,
            _turn: turn.map_err(|(_, why)| why).unwrap(),
        };
        assert_is_for_tests();
        if !lab.is_whole() {
            eprintln!("the lab is not whole: it is made anew");
            lab_script(&["down", "--for", "tests"]).expect(0, "the lab goes");
            lab_script(&["up", "--for", "tests"]).expect(0, "the lab comes");
        }
        for node in NODES.into_iter().chain([PRIMARY]) {
            if !node.is_up() {
                node.restore_power();
            }
            faults::clear(node);
        }
        lab
    }

    /// The lab with four servers of the guide, all healthy and idle.
    ///
    /// # Panics
    /// When they do not become so.
    #[must_use]
    pub fn healthy_fleet() -> Self {
        let lab = Self::take();
        let missing: Vec<_> = NODES
            .into_iter()
            .filter(|node| !lab.is_member(*node))
            .collect();
        for node in &missing {
            let is_spoilt = !lab.node(*node).is_null() && !node.has("/usr/bin/extend-agent");
            if is_spoilt {
                lab.launch_anew(*node);
            }
        }
        if !missing.is_empty() {
            lab.bootstrap(&missing, &["--registry-credentials", CREDENTIALS])
                .expect(0, "the nodes should be in the fleet");
        }
        for node in NODES {
            lab.await_online(node);
        }
        for (server, line) in SERVERS.into_iter().zip(guide::DEPLOY) {
            let shown = lab.server(server);
            if shown.is_null() {
                // One that a test had made by hand.
                drop(node_of(server).ask(&["docker", "rm", "--force", server.container]));
                lab.guide(line).expect(0, "a server should be deployed");
            } else if shown["health"] != "healthy" {
                drop(lab.extend(&["start", "-n", server.name]));
            }
            lab.await_healthy(server);
        }
        lab
    }

    /// Terminates an instance and launches another at its address, as bare as it can be: nothing
    /// of ours is on it, and on the last one there is no Engine either.
    ///
    /// # Panics
    /// When it does not come.
    pub fn launch_anew(&self, node: Node) {
        let number = node.0.to_string();
        lab_script(&["destroy", &number]).expect(0, "an instance is terminated");
        let mut words = vec!["node", &number];
        words.extend((node == WITHOUT_ENGINE).then_some("--bare"));
        lab_script(&words).expect(0, "an instance is launched");
        if !self.node(node).is_null() {
            self.extend(&["node", "remove", &node.address(), "--force", "--yes"])
                .expect(0, "a node that is gone is removed");
        }
        // What the hint says of an instance that was made anew.
        let forget = format!("ssh-keygen -R {} >/dev/null 2>&1 || true", node.address());
        self.primary.shell(&forget);
    }

    /// Whether it has joined, has the registry's password, and an agent.
    fn is_member(&self, node: Node) -> bool {
        let state = self.node(node)["state"].clone();
        let has_joined = !state.is_null() && state != "pending";
        let files = ["/etc/extend/registry.json", "/usr/bin/extend-agent"];
        has_joined && files.iter().all(|file| node.has(file))
    }

    fn is_whole(&self) -> bool {
        let listed = |node: &Node| node::host(&["container", "inspect", &node.name()]).code == 0;
        let there = NODES.iter().chain([&PRIMARY]).all(listed);
        there && !SPARE.is_up() && (!PRIMARY.is_up() || self.extend(&["node", "list"]).code == 0)
    }

    /// Puts a later version of the stand-in than any that serves under the fleet's tag; which.
    ///
    /// # Panics
    /// When the registry does not take it.
    #[must_use]
    pub fn release_newer(&self) -> String {
        let minor = |server: Server| {
            let shown = self.server(server);
            let version = shown["version"].as_str()?.strip_prefix("22.")?.to_owned();
            version.split('.').next()?.parse::<u32>().ok()
        };
        let newest = SERVERS.into_iter().filter_map(minor).max().unwrap_or(3);
        let version = format!("22.{}.0", newest + 1);
        self.release(&version);
        version
    }

    /// Puts a version of the stand-in under the fleet's tag.
    ///
    /// # Panics
    /// When the registry does not take it.
    pub fn release(&self, version: &str) {
        lab_script(&["release", version]).expect(0, "the registry takes an image");
    }
}

impl Drop for Lab {
    fn drop(&mut self) {
        if !std::thread::panicking() {
            return;
        }
        let logs = "journalctl --no-pager -o short-precise -n 25 -u";
        let shown = format!(
            "extend status; extend node list; extend events --tail 30; {logs} extend-controller"
        );
        eprintln!("-- the primary:\n{}", self.primary.ask_shell(&shown));
        for node in NODES {
            let shown = format!("docker ps --all; {logs} extend-agent");
            eprintln!("-- {}:\n{}", node.name(), node.ask_shell(&shown));
        }
    }
}

fn assert_is_for_tests() {
    let format = "{{index .Labels \"io.extend.lab.for\"}}";
    let seen = node::host(&["network", "inspect", "--format", format, "extend-lab"]);
    match seen.stdout.trim() {
        "tests" => {}
        // Whoever writes tests may keep a lab of his own for them.
        "user" if std::env::var_os("EXTEND_LAB_MINE").is_some() => {}
        "user" => panic!(
            "the lab that is up is not for tests, and they would change everything in it: \
             make lab-down, then make test-lab"
        ),
        _ => panic!("there is no lab: make test-lab brings one up and runs these tests in it"),
    }
}

/// Runs `scripts/lab.sh`.
#[must_use]
pub fn lab_script(words: &[&str]) -> Output {
    let mut command = Command::new(root().join("scripts/lab.sh"));
    command.args(words);
    Running::start(command, "").end_within(LAB_SCRIPT)
}

/// The top of the repository.
#[must_use]
pub fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("..")
}
