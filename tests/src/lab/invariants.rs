//! What must hold whatever went wrong: looked at before a fault, and judged after it by what the
//! nodes' own Engines say.

use std::collections::{BTreeMap, BTreeSet};

use jiff::Timestamp;
use serde_json::Value;

use super::bystanders::Bystanders;
use super::node::Node;
use super::{Lab, SERVERS};
use crate::real::{Instance, Server, until};

/// What may have happened to a server meanwhile.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum May {
    /// Nothing: the same process serves (I7).
    NotBeTouched,
    /// The same container runs in another process.
    BeRestarted,
    /// Another container serves.
    BeReplaced,
}

/// How everything was at some moment.
#[derive(Debug)]
pub struct Before {
    at: Timestamp,
    instances: BTreeMap<&'static str, Instance>,
    stamps: BTreeMap<Node, (u64, u64)>,
    operations: BTreeSet<String>,
    bystanders: Vec<Bystanders>,
    reborn: BTreeSet<Node>,
}

impl Before {
    /// Looks at a healthy fleet.
    ///
    /// # Panics
    /// When something cannot be looked at.
    #[must_use]
    pub fn look(lab: &Lab) -> Self {
        let instance = |server: &Server| (server.name, node_of(*server).instance(server.container));
        let nodes = SERVERS.map(node_of);
        Self {
            at: Timestamp::now(),
            instances: SERVERS.iter().map(instance).collect(),
            stamps: nodes
                .iter()
                .map(|node| (*node, stamp(lab, *node)))
                .collect(),
            operations: ids(lab),
            bystanders: nodes.iter().map(|node| Bystanders::of(*node)).collect(),
            reborn: BTreeSet::new(),
        }
    }

    /// When that was.
    #[must_use]
    pub fn at(&self) -> Timestamp {
        self.at
    }

    /// Which run of a server's container there was.
    #[must_use]
    pub fn instance(&self, server: Server) -> &Instance {
        &self.instances[server.name]
    }

    /// The node or its Engine was started anew meanwhile, and with it whatever runs there.
    pub fn was_reborn(&mut self, node: Node) {
        self.reborn.insert(node);
    }

    /// Judges: every invariant of the design, with what may have happened to the servers that are
    /// named; the others must not have been touched.
    ///
    /// # Panics
    /// When one does not hold.
    pub fn check(&self, lab: &Lab, named: &[(Server, May)]) {
        for server in SERVERS {
            let may = named.iter().find(|(one, _)| *one == server);
            let may = may.map_or(May::NotBeTouched, |(_, may)| *may);
            lab.await_healthy(server);
            self.check_server(server, may);
            self.check_history(server);
        }
        for bystanders in &self.bystanders {
            if self.reborn.contains(&bystanders.node()) {
                bystanders.check_identity();
            } else {
                bystanders.check();
            }
        }
        self.check_operations(lab);
        for (node, before) in &self.stamps {
            let now = stamp(lab, *node);
            let address = node.address();
            assert!(
                now >= *before,
                "I2: {address} had {before:?} and has {now:?}"
            );
        }
    }

    fn check_server(&self, server: Server, may: May) {
        let (node, name) = (node_of(server), server.name);
        let (before, now) = (self.instance(server), node.instance(server.container));
        match may {
            May::NotBeTouched => assert_eq!(&now, before, "I7: {name} was touched"),
            May::BeRestarted => assert_eq!(now.id, before.id, "{name} was made anew"),
            May::BeReplaced => {}
        }
        let ours = ours(node);
        let running: Vec<_> = ours
            .iter()
            .filter(|(_, state)| state == "running")
            .collect();
        assert_eq!(
            running.len(),
            1,
            "I6: one container serves {name}: {ours:?}"
        );
        assert_eq!(running[0].0, server.container, "{name}: {ours:?}");
    }

    /// I6: never two of a server's containers ran at the same time, as far as the Engine remembers.
    fn check_history(&self, server: Server) {
        let node = node_of(server);
        let mut running = BTreeSet::new();
        for event in history(node, self.at) {
            let id = event["Actor"]["ID"].as_str().unwrap_or_default().to_owned();
            match event["Action"].as_str().unwrap_or_default() {
                "start" => {
                    running.insert(id);
                }
                "die" => {
                    running.remove(&id);
                }
                _ => {}
            }
            assert!(
                running.len() <= 1,
                "I6: two containers of {} ran at the same time\n{:#?}",
                server.name,
                history(node, self.at)
            );
        }
    }

    /// I3: what was acknowledged is there. I4: it has come to an end, each target of it too.
    fn check_operations(&self, lab: &Lab) {
        for id in &self.operations {
            lab.extend(&["op", "show", id])
                .expect(0, "I3: no operation is lost");
        }
        until(
            "I4: every operation should come to an end",
            super::SOON,
            || {
                let open: Vec<_> = lab
                    .operations()
                    .into_iter()
                    .filter(|one| one["ended_at"].is_null())
                    .collect();
                if open.is_empty() {
                    Ok(())
                } else {
                    Err(format!("{open:#?}"))
                }
            },
        );
    }
}

/// The node of a server.
#[must_use]
pub fn node_of(server: Server) -> Node {
    Node::at(server.node)
}

/// What a node's Engine remembers of our containers since a moment, oldest first.
#[must_use]
pub fn history(node: Node, since: Timestamp) -> Vec<Value> {
    let text = node.docker(&[
        "events",
        "--since",
        &since.to_string(),
        "--until",
        &Timestamp::now().to_string(),
        "--filter",
        "type=container",
        "--filter",
        &format!("label=io.extend.node={}", node.address()),
        "--format",
        "{{json .}}",
    ]);
    let line = |line: &str| serde_json::from_str(line).ok();
    text.lines().filter_map(line).collect()
}

/// How often one of our containers was started on a node since a moment.
#[must_use]
pub fn starts(node: Node, since: Timestamp) -> usize {
    let all = history(node, since);
    all.iter()
        .filter(|event| event["Action"] == "start")
        .count()
}

/// The names and states of our containers on a node.
#[must_use]
pub fn ours(node: Node) -> Vec<(String, String)> {
    let label = format!("label=io.extend.node={}", node.address());
    let text = node.docker(&[
        "ps",
        "--all",
        "--filter",
        &label,
        "--format",
        "{{.Names}} {{.State}}",
    ]);
    let pair = |line: &str| {
        line.split_once(' ')
            .map(|(a, b)| (a.to_owned(), b.to_owned()))
    };
    text.lines().filter_map(pair).collect()
}

fn stamp(lab: &Lab, node: Node) -> (u64, u64) {
    let shown = lab.node(node);
    let record = &shown["record"];
    let part = |key: &str| record[key].as_u64().unwrap_or_default();
    (part("epoch"), part("generation"))
}

fn ids(lab: &Lab) -> BTreeSet<String> {
    let id = |one: Value| one["id"].as_str().unwrap_or_default().to_owned();
    lab.operations().into_iter().map(id).collect()
}
