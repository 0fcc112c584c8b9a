//! What an operator types, what he then sees, and what has to hold.

use std::fs;
use std::process::Command;

use serde_json::Value;

use super::{Fleet, SOON};
use crate::real::engine::Instance;
use crate::real::process::{BOUND, Output, Running};
use crate::real::servers::Server;
use crate::real::wait::until;
use crate::unasked::said_yes;

impl Fleet {
    /// Runs `extend` to its end.
    #[must_use]
    pub fn extend(&self, words: &[&str]) -> Output {
        self.begin(words).end()
    }

    /// Begins `extend`, to do something meanwhile.
    #[must_use]
    pub fn begin(&self, words: &[&str]) -> Running {
        let mut command = Command::new(self.bin.join("extend"));
        command
            .env("EXTEND_SOCKET", self.path("controller.sock"))
            .env_remove("EXTEND_CRASH_AT")
            .env("NO_COLOR", "1")
            .args(said_yes(words));
        Running::start(command, "")
    }

    /// Runs a command of the daemon's own side, which needs its configuration.
    #[must_use]
    pub fn controller_command(&self, words: &[&str]) -> Output {
        let config = self.path("controller.toml").display().to_string();
        self.extend(&[&["controller", "--config", &config], words].concat())
    }

    /// `extend run` for a server, with further words.
    #[must_use]
    pub fn run(&self, server: Server, more: &[&str]) -> Output {
        let words = [
            "run",
            "-s",
            server.role,
            "-n",
            server.name,
            "-a",
            server.node,
        ];
        self.extend(&[&words, more].concat())
    }

    /// Deploys a server.
    ///
    /// # Panics
    /// When it is not healthy then.
    #[track_caller]
    pub fn deploy(&self, server: Server) -> Instance {
        self.run(server, &[])
            .expect(0, &format!("{} should be deployed", server.name));
        self.await_health(server, "healthy");
        self.engine.instance(server.container)
    }

    /// `extend status`, as a document.
    #[must_use]
    pub fn status(&self) -> Value {
        self.extend(&["status", "-o", "json"])
            .expect(0, "status is shown")
            .json()
    }

    /// What `extend status` shows of a server.
    #[must_use]
    pub fn server(&self, server: Server) -> Option<Value> {
        let status = self.status();
        let all = status["servers"].as_array().unwrap();
        all.iter().find(|one| one["name"] == server.name).cloned()
    }

    /// What `extend node show` shows; null when the controller knows no such node.
    #[must_use]
    pub fn node(&self, node: &str) -> Value {
        let shown = self.extend(&["node", "show", node, "-o", "json"]);
        // A store that is new knows no node until its agent comes.
        if shown.code == 4 {
            return Value::Null;
        }
        shown.expect(0, "a node is shown").json()
    }

    /// What `extend op show` shows.
    #[must_use]
    pub fn operation(&self, id: &str) -> Value {
        self.extend(&["op", "show", id, "-o", "json"])
            .expect(0, "an operation is shown")
            .json()
    }

    /// The operation that was begun last.
    ///
    /// # Panics
    /// When there has been none.
    #[must_use]
    pub fn last_operation(&self) -> Value {
        let list = self
            .extend(&["op", "list", "-o", "json"])
            .expect(0, "operations are listed");
        list.json()["operations"][0].clone()
    }

    /// Waits until a server is so.
    ///
    /// # Panics
    /// When it does not become so.
    #[track_caller]
    pub fn await_health(&self, server: Server, health: &str) {
        let what = format!("{} should be {health}", server.name);
        until(&what, SOON, || {
            let shown = self.server(server).unwrap_or_default();
            if shown["health"] == health {
                Ok(())
            } else {
                Err(format!("{shown:#}"))
            }
        });
    }

    /// Waits until a node is so.
    ///
    /// # Panics
    /// When it does not become so.
    #[track_caller]
    pub fn await_node(&self, node: &str, state: &str) {
        until(&format!("{node} should be {state}"), SOON, || {
            let shown = self.node(node);
            if shown["state"] == state {
                Ok(())
            } else {
                Err(format!("{shown:#}"))
            }
        });
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

    /// Waits until a container is seen to be so.
    ///
    /// # Panics
    /// When it is not in time.
    #[track_caller]
    pub fn await_container(&self, name: &str, what: &str, so: impl Fn(&Value) -> bool) -> Value {
        until(&format!("{name} should {what}"), SOON, || {
            let seen = self.engine.find(name).unwrap_or_default();
            if so(&seen) {
                Ok(seen)
            } else {
                Err(format!("{:#}", seen["State"]))
            }
        })
    }

    /// Writes what a server's stand-in is to suffer from, at once and whole. May come before its
    /// first deployment.
    ///
    /// # Panics
    /// When it cannot be written.
    pub fn control(&self, server: Server, text: &str) {
        let directory = self.data(server.node).join(server.role);
        fs::create_dir_all(&directory).unwrap();
        let aside = directory.join("standin.control.new");
        fs::write(&aside, text).unwrap();
        fs::rename(aside, directory.join("standin.control")).unwrap();
    }

    // What has to hold.

    /// A server runs in one container, under its official name, and nothing is left beside it.
    ///
    /// # Panics
    /// When that is not so.
    #[track_caller]
    pub fn assert_serves_alone(&self, server: Server) {
        let ours: Vec<_> = self
            .engine
            .ours()
            .into_iter()
            .filter(|(name, _)| name.starts_with(server.container))
            .collect();
        let expected = [(server.container.to_owned(), "running".to_owned())];
        assert_eq!(
            ours, expected,
            "I6: one container of {} and nothing beside it",
            server.name
        );
    }

    /// Nothing of other people has changed. Also looked at when the fleet is dropped.
    pub fn check_bystanders(&self) {
        self.bystanders.check();
    }

    /// The Engine was restarted: what other people have is looked at anew.
    pub fn bystanders_saw_a_restart(&mut self) {
        self.bystanders.check_ids();
    }
}
