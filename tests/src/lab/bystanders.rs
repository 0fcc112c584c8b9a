//! Twenty containers of other people, on the nodes' Engines: nothing about them may ever change
//! (I5).

use serde_json::Value;

use super::node::Node;
use crate::real::until;

/// On each of the four nodes. One bears a PortSIP name that is no server's of ours, one a label
/// like ours, one has stopped.
const NAMES: [&str; 5] = ["other-1", "other-2", "other-3", "other-4", "portsip.sbc"];
/// The one that has stopped, and stays so.
const STOPPED: &str = "other-3";
/// An image with one program that sleeps, made on the node from its own files.
const IMAGE: &str = "somebody/else:1";
/// What could change. The rest the Engine writes on by itself, about its own network.
const FACTS: [&str; 8] = [
    "Id",
    "Name",
    "Created",
    "Image",
    "RestartCount",
    "Config",
    "HostConfig",
    "Mounts",
];

/// What is known of a node's containers of other people.
#[derive(Debug)]
pub(super) struct Bystanders {
    node: Node,
    facts: Vec<Value>,
    states: Vec<Value>,
}

impl Bystanders {
    /// Where they are.
    pub(super) fn node(&self) -> Node {
        self.node
    }

    /// Looks at them, and makes them where there are none yet.
    pub(super) fn of(node: Node) -> Self {
        if node.inspect(&NAMES).len() != NAMES.len() {
            make(node);
        }
        let (facts, states) = look(node);
        Self {
            node,
            facts,
            states,
        }
    }

    /// Nothing about them may have changed.
    ///
    /// # Panics
    /// When something has.
    pub(super) fn check(&self) {
        self.check_identity();
        let (_, states) = look(self.node);
        let name = self.node.name();
        assert_eq!(
            states, self.states,
            "I5: containers of others on {name} were stopped or started"
        );
    }

    /// Their node or their Engine was started anew: they are the same, and run where they ran.
    ///
    /// # Panics
    /// When they are not.
    pub(super) fn check_identity(&self) {
        let name = self.node.name();
        let runs = |states: &[Value]| {
            let runs = states.iter().map(|state| state["Running"].clone());
            runs.collect::<Vec<_>>()
        };
        // The Engine starts them one after the other.
        let what = format!("the containers of others on {name} should run as they did");
        until(&what, super::SOON, || {
            let (_, states) = look(self.node);
            if runs(&states) == runs(&self.states) {
                Ok(())
            } else {
                Err(format!("{states:#?}"))
            }
        });
        assert_eq!(
            look(self.node).0,
            self.facts,
            "I5: containers of others on {name} have changed"
        );
    }
}

/// What they are, and how they do.
fn look(node: Node) -> (Vec<Value>, Vec<Value>) {
    let all = node.inspect(&NAMES);
    let facts = |one: &Value| FACTS.map(|fact| one[fact].clone()).into_iter().collect();
    let states = all.iter().map(|one| one["State"].clone()).collect();
    (all.iter().map(facts).collect(), states)
}

fn make(node: Node) {
    node.shell(&format!(
        "set -e; docker rm -f {} >/dev/null 2>&1 || true; \
         tar -C / -chf - bin/sleep lib64/ld-linux-x86-64.so.2 lib/x86_64-linux-gnu/libc.so.6 \
         | docker import - {IMAGE} >/dev/null",
        NAMES.join(" ")
    ));
    for name in NAMES {
        let label = if name == "other-4" {
            "io.extend.node=10.9.9.9"
        } else {
            "somebody=else"
        };
        node.docker(&[
            "run",
            "--detach",
            "--name",
            name,
            "--network",
            "none",
            "--label",
            label,
            "--volume",
            &format!("{name}:/data"),
            "--restart",
            "unless-stopped",
            "--init=false",
            "--stop-timeout",
            "1",
            IMAGE,
            "/bin/sleep",
            "infinity",
        ]);
    }
    node.docker(&["stop", "--time", "1", STOPPED]);
}
