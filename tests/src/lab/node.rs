//! A node of the lab, seen from outside: what runs in it is asked through `docker exec`, which
//! passes through nothing that is tested.

use std::process::Command;
use std::time::Duration;

use serde_json::Value;

use crate::real::process::{BOUND, Running};
use crate::real::{Instance, Output, until};

/// A node has booted in 3 to 8 s; on a machine that has other things to do it takes longer.
pub const BOOTS: Duration = Duration::from_secs(90);

/// A node, by the last number of its address.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Node(pub u8);

impl Node {
    /// The node at an address of the lab.
    ///
    /// # Panics
    /// When it is no such address.
    #[must_use]
    pub fn at(address: &str) -> Self {
        let number = address.strip_prefix("172.31.16.").expect("of the lab");
        Self(number.parse().unwrap())
    }

    /// Its private address.
    #[must_use]
    pub fn address(self) -> String {
        format!("172.31.16.{}", self.0)
    }

    /// Its host name, which its container bears too.
    #[must_use]
    pub fn name(self) -> String {
        format!("ip-172-31-16-{}", self.0)
    }

    /// A command in it, as root.
    #[must_use]
    pub fn command(self, words: &[&str]) -> Command {
        let mut command = Command::new("docker");
        let name = self.name();
        command.args(["exec", "--interactive", "--env", "NO_COLOR=1"]);
        command.arg(name).args(words);
        command
    }

    /// Runs a program in it.
    #[must_use]
    pub fn ask(self, words: &[&str]) -> Output {
        Running::start(self.command(words), "").end()
    }

    /// Runs a line of shell in it.
    #[must_use]
    pub fn ask_shell(self, line: &str) -> Output {
        self.ask(&["bash", "-c", line])
    }

    /// Runs a line of shell in it, which has to succeed; what it prints.
    ///
    /// # Panics
    /// When it fails.
    #[track_caller]
    pub fn shell(self, line: &str) -> String {
        let output = self.ask_shell(line);
        let output = output.expect(0, &format!("on {}: {line}", self.name()));
        output.stdout.trim().to_owned()
    }

    /// Writes a file in it.
    ///
    /// # Panics
    /// When it cannot be written.
    #[track_caller]
    pub fn write(self, path: &str, content: &str) {
        let line = format!("cat >'{path}.new' && mv '{path}.new' '{path}'");
        let written = Running::start(self.command(&["bash", "-c", &line]), content).end();
        written.expect(0, &format!("{path} is written on {}", self.name()));
    }

    /// Whether it has a file.
    #[must_use]
    pub fn has(self, file: &str) -> bool {
        self.ask(&["test", "-e", file]).code == 0
    }

    /// Whether it is there and runs.
    #[must_use]
    pub fn is_up(self) -> bool {
        let name = self.name();
        let words = ["container", "inspect", "--format", "{{.State.Running}}"];
        let seen = host(&[&words, [name.as_str()].as_slice()].concat());
        seen.code == 0 && seen.stdout.trim() == "true"
    }

    /// An orderly reboot: everything is told to end, and the node starts anew.
    ///
    /// # Panics
    /// When it does not boot.
    pub fn reboot(self) {
        host(&["restart", &self.name()]).expect(0, "the node should reboot");
        self.await_boot();
    }

    /// The power goes: nobody is told.
    ///
    /// # Panics
    /// When it runs on.
    pub fn cut_power(self) {
        host(&["kill", &self.name()]).expect(0, "the node should lose its power");
    }

    /// The power comes back.
    ///
    /// # Panics
    /// When it does not boot.
    pub fn restore_power(self) {
        host(&["start", &self.name()]).expect(0, "the node should start");
        self.await_boot();
    }

    /// Waits until systemd has started everything.
    ///
    /// # Panics
    /// When it has not, or a unit failed.
    pub fn await_boot(self) {
        until(&format!("{} should boot", self.name()), BOOTS, || {
            let state = self.ask(&["systemctl", "is-system-running"]);
            match state.stdout.trim() {
                "running" => Ok(()),
                _ => Err(format!(
                    "{state}{}",
                    self.ask(&["systemctl", "--failed"]).stdout
                )),
            }
        });
    }

    /// The first process of a unit; 0 when there is none.
    ///
    /// # Panics
    /// When systemd does not answer.
    #[must_use]
    pub fn main_pid(self, unit: &str) -> u32 {
        let line = format!("systemctl show --property MainPID --value {unit}");
        self.shell(&line).parse().unwrap()
    }

    // Its Docker Engine.

    /// Whether it has an Engine that answers.
    #[must_use]
    pub fn has_engine(self) -> bool {
        self.ask(&["timeout", "5", "docker", "version"]).code == 0
    }

    /// Runs the ordinary client in it; what it prints.
    ///
    /// # Panics
    /// When it fails.
    #[track_caller]
    pub fn docker(self, words: &[&str]) -> String {
        let output = self.ask(&[&["docker"], words].concat());
        let output = output.expect(0, &format!("docker {words:?} on {}", self.name()));
        output.stdout.trim().to_owned()
    }

    /// All that its Engine says about some containers; nothing of those that are not there.
    ///
    /// # Panics
    /// When the answer is no document.
    #[must_use]
    pub fn inspect(self, containers: &[&str]) -> Vec<Value> {
        let words = [&["docker", "container", "inspect"], containers].concat();
        serde_json::from_str(&self.ask(&words).stdout).unwrap_or_default()
    }

    /// All that its Engine says about a container, if there is one.
    #[must_use]
    pub fn find(self, container: &str) -> Option<Value> {
        self.inspect(&[container]).pop()
    }

    /// Which run of a container there is.
    ///
    /// # Panics
    /// When there is no such container.
    #[track_caller]
    #[must_use]
    pub fn instance(self, container: &str) -> Instance {
        let seen = self.find(container);
        let seen = seen.unwrap_or_else(|| panic!("{} has no {container}", self.name()));
        Instance {
            id: seen["Id"].as_str().unwrap().to_owned(),
            started_at: seen["State"]["StartedAt"].as_str().unwrap().to_owned(),
            pid: seen["State"]["Pid"].as_i64().unwrap(),
        }
    }
}

/// A command of this machine's own Docker client.
pub(super) fn host(words: &[&str]) -> Output {
    let mut command = Command::new("docker");
    command.args(words);
    Running::start(command, "").end_within(BOUND)
}
