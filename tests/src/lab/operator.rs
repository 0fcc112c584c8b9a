//! What an operator types on the primary, and what he then sees.

use std::process::Command;
use std::time::Duration;

use serde_json::Value;

use super::node::Node;
use super::{Lab, SOON};
use crate::guide;
use crate::real::process::{BOUND, Running};
use crate::real::{Output, Server, until};
use crate::unasked::said_yes;

/// A bootstrap installs packages, an Engine too where there is none.
const BOOTSTRAP: Duration = Duration::from_secs(300);

/// A person takes so long to read a question.
const READS: Duration = Duration::from_secs(2);

impl Lab {
    /// A line of the guide as it is pasted into a shell of the primary. One that deploys has the
    /// yes behind it that is asked for where there is no PBX.
    #[must_use]
    pub fn guide(&self, line: &str) -> Output {
        self.guide_begun(line).end()
    }

    /// Begins a line of the guide, to do something meanwhile.
    #[must_use]
    pub fn guide_begun(&self, line: &str) -> Running {
        let words: Vec<_> = line.split(' ').collect();
        let line = format!("{}{}", guide::PREFIX, said_yes(&words).join(" "));
        Running::start(self.primary.command(&["bash", "-c", &line]), "")
    }

    /// A line of the guide that asks: on a terminal, where the answer is typed once the question
    /// is on the screen.
    ///
    /// # Panics
    /// When it asks nothing.
    #[must_use]
    pub fn guide_answered(&self, line: &str, question: &str, answer: &str) -> Output {
        let line = format!("{}{line}", guide::PREFIX);
        let command = [
            "script",
            "--quiet",
            "--return",
            "--command",
            &line,
            "/dev/null",
        ];
        let mut running = Running::open(self.primary.command(&command));
        until(&format!("{line} should ask"), SOON, || {
            let screen = running.so_far();
            if screen.contains(question) {
                Ok(())
            } else {
                Err(screen)
            }
        });
        // What comes sooner is taken for the next pasted line.
        std::thread::park_timeout(READS);
        running.types(&format!("{answer}\n"));
        running.end()
    }

    /// Runs `extend` on the primary.
    #[must_use]
    pub fn extend(&self, words: &[&str]) -> Output {
        self.begin(words).end()
    }

    /// Begins `extend` on the primary, to do something meanwhile.
    #[must_use]
    pub fn begin(&self, words: &[&str]) -> Running {
        let command: Command = self
            .primary
            .command(&[&["extend"], said_yes(words).as_slice()].concat());
        Running::start(command, "")
    }

    /// Gets nodes into the fleet, or repairs those that are in it; `more` are further words.
    #[must_use]
    pub fn bootstrap(&self, nodes: &[Node], more: &[&str]) -> Output {
        let addresses: Vec<_> = nodes.iter().map(|node| node.address()).collect();
        let addresses = addresses.join(",");
        let words = [&["node", "bootstrap", "-a", &addresses], more].concat();
        self.begin(&words).end_within(BOOTSTRAP)
    }

    /// `extend status`, as a document.
    #[must_use]
    pub fn status(&self) -> Value {
        self.extend(&["status", "-o", "json"])
            .expect(0, "status is shown")
            .json()
    }

    /// What `extend status` shows of a server; null when there is none.
    ///
    /// # Panics
    /// When there is no list of servers.
    #[must_use]
    pub fn server(&self, server: Server) -> Value {
        let status = self.status();
        let all = status["servers"].as_array().unwrap();
        let found = all.iter().find(|one| one["name"] == server.name);
        found.cloned().unwrap_or_default()
    }

    /// What `extend node list` shows of a node; null when the controller does not know it.
    ///
    /// # Panics
    /// When there is no list of nodes.
    #[must_use]
    pub fn node(&self, node: Node) -> Value {
        let list = self.extend(&["node", "list", "-o", "json"]);
        let list = list.expect(0, "nodes are listed").json();
        let all = list["nodes"].as_array().unwrap();
        let found = all.iter().find(|one| one["address"] == node.address());
        found.cloned().unwrap_or_default()
    }

    /// The texts of the events about a server or node since a moment, oldest first.
    ///
    /// # Panics
    /// When there is no list of events.
    #[must_use]
    pub fn events(&self, selection: &[&str], since: jiff::Timestamp) -> Vec<Value> {
        let words = [&["events", "-o", "json", "--tail", "500"], selection].concat();
        let shown = self.extend(&words).expect(0, "events are shown");
        let all = shown.json();
        let all = all["events"].as_array().unwrap();
        let is_new = |event: &&Value| {
            let at: jiff::Timestamp = event["at"].as_str().unwrap().parse().unwrap();
            at >= since
        };
        all.iter().filter(is_new).cloned().collect()
    }

    /// All operations, as `extend op list` shows them.
    ///
    /// # Panics
    /// When there is no list.
    #[must_use]
    pub fn operations(&self) -> Vec<Value> {
        let list = self.extend(&["op", "list", "-o", "json"]);
        let list = list.expect(0, "operations are listed").json();
        list["operations"].as_array().unwrap().clone()
    }

    /// What `extend op show` shows.
    #[must_use]
    pub fn operation(&self, id: &str) -> Value {
        self.extend(&["op", "show", id, "-o", "json"])
            .expect(0, "an operation is shown")
            .json()
    }

    /// Waits until an operation has ended; what `op show` then shows.
    ///
    /// # Panics
    /// When it does not end.
    #[track_caller]
    pub fn await_end(&self, id: &str) -> Value {
        until(&format!("operation {id} should end"), BOUND, || {
            let shown = self.operation(id);
            if shown["ended_at"].is_null() {
                Err(format!("{shown:#}"))
            } else {
                Ok(shown)
            }
        })
    }

    /// Waits until what is shown of a server is so.
    ///
    /// # Panics
    /// When it does not become so.
    #[track_caller]
    pub fn await_server(
        &self,
        server: Server,
        what: &str,
        bound: Duration,
        so: impl Fn(&Value) -> bool,
    ) -> Value {
        until(&format!("{} should {what}", server.name), bound, || {
            let shown = self.server(server);
            if so(&shown) {
                Ok(shown)
            } else {
                Err(format!("{shown:#}"))
            }
        })
    }

    /// Waits until a server is healthy.
    ///
    /// # Panics
    /// When it does not become so.
    #[track_caller]
    pub fn await_healthy(&self, server: Server) -> Value {
        self.await_server(server, "be healthy", BOUND, |shown| {
            shown["health"] == "healthy"
        })
    }

    /// Waits until what is shown of a node is so.
    ///
    /// # Panics
    /// When it does not become so.
    #[track_caller]
    pub fn await_node(
        &self,
        node: Node,
        what: &str,
        bound: Duration,
        so: impl Fn(&Value) -> bool,
    ) -> Value {
        until(&format!("{} should {what}", node.address()), bound, || {
            let shown = self.node(node);
            if so(&shown) {
                Ok(shown)
            } else {
                Err(format!("{shown:#}"))
            }
        })
    }

    /// Waits until a node is online.
    ///
    /// # Panics
    /// When it does not become so.
    #[track_caller]
    pub fn await_online(&self, node: Node) -> Value {
        self.await_node(node, "be online", BOUND, |shown| shown["state"] == "online")
    }
}
