//! The Docker Engine, by way of its ordinary client: what is asked here does not pass through
//! what is tested.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use serde_json::Value;
use tempfile::TempDir;

use super::disk::SmallDisk;
use super::process::{Daemon, Output, Running};
use super::wait::until;

/// The Engine that `make test` starts.
const SOCKET: &str = "/var/run/docker.sock";
/// A cold dockerd needs a few seconds, and more on a busy machine.
const STARTS: Duration = Duration::from_secs(60);

/// One run of a container.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Instance {
    /// Docker's id.
    pub id: String,
    /// Since when it runs.
    pub started_at: String,
    /// Its first process.
    pub pid: i64,
}

/// A Docker Engine.
#[derive(Debug, Clone)]
pub struct Engine {
    socket: PathBuf,
}

impl Engine {
    /// The Engine of this machine, or the one that `EXTEND_TEST_DOCKER` names the socket of.
    ///
    /// # Panics
    /// When it does not answer.
    #[must_use]
    pub fn of_this_machine() -> Self {
        let socket = std::env::var_os("EXTEND_TEST_DOCKER");
        let engine = Self::at(socket.map_or_else(|| SOCKET.into(), PathBuf::from));
        let version = engine.ask(&["version", "--format", "{{.Server.Version}}"]);
        version.expect(
            0,
            "no Docker Engine answers: `make test` starts one (scripts/docker.sh up)",
        );
        engine
    }

    fn at(socket: PathBuf) -> Self {
        Self { socket }
    }

    /// Its socket.
    #[must_use]
    pub fn socket(&self) -> &Path {
        &self.socket
    }

    /// A command of the ordinary client.
    #[must_use]
    pub fn command(&self, words: &[&str]) -> Command {
        let mut command = Command::new("docker");
        command
            .env_remove("DOCKER_CONTEXT")
            .env("DOCKER_HOST", format!("unix://{}", self.socket.display()))
            .args(words);
        command
    }

    /// Runs the ordinary client.
    #[must_use]
    pub fn ask(&self, words: &[&str]) -> Output {
        Running::start(self.command(words), "").end()
    }

    /// Runs the ordinary client; the words it answers.
    ///
    /// # Panics
    /// When it fails.
    #[track_caller]
    pub fn docker(&self, words: &[&str]) -> String {
        let output = self.ask(words).expect(0, &format!("docker {words:?}"));
        output.stdout.trim().to_owned()
    }

    /// All that the Engine says about a container, if there is one.
    ///
    /// # Panics
    /// When the answer is no document.
    #[must_use]
    pub fn find(&self, container: &str) -> Option<Value> {
        let found = self.ask(&["container", "inspect", container]);
        if found.code != 0 {
            assert!(found.stderr.contains("No such container"), "{found}");
            return None;
        }
        let all: Vec<Value> = serde_json::from_str(&found.stdout).unwrap();
        all.into_iter().next()
    }

    /// All that the Engine says about a container.
    ///
    /// # Panics
    /// When there is none.
    #[track_caller]
    #[must_use]
    pub fn inspect(&self, container: &str) -> Value {
        self.find(container)
            .unwrap_or_else(|| panic!("there is no container {container}"))
    }

    /// Which run of a container there is.
    ///
    /// # Panics
    /// When there is no such container.
    #[track_caller]
    #[must_use]
    pub fn instance(&self, container: &str) -> Instance {
        let seen = self.inspect(container);
        Instance {
            id: seen["Id"].as_str().unwrap().to_owned(),
            started_at: seen["State"]["StartedAt"].as_str().unwrap().to_owned(),
            pid: seen["State"]["Pid"].as_i64().unwrap(),
        }
    }

    /// The names of all containers that bear the label of one of our nodes, and their states.
    #[must_use]
    pub fn ours(&self) -> Vec<(String, String)> {
        let format = "{{.Names}} {{.State}} {{.Label \"io.extend.node\"}}";
        let words = [
            "ps",
            "--all",
            "--filter",
            "label=io.extend.node",
            "--format",
            format,
        ];
        let text = self.docker(&words);
        let mut found: Vec<_> = text
            .lines()
            .filter_map(|line| {
                let (name, rest) = line.split_once(' ')?;
                let (state, node) = rest.split_once(' ')?;
                node.starts_with(OUR_NODES)
                    .then(|| (name.to_owned(), state.to_owned()))
            })
            .collect();
        found.sort();
        found
    }

    /// Removes all containers that bear the label of one of our nodes.
    pub(super) fn remove_ours(&self) {
        let ours = self.ours();
        let names: Vec<&str> = ours.iter().map(|(name, _)| name.as_str()).collect();
        self.remove(&names);
        super::official::remove(self);
    }

    /// Removes containers, whatever becomes of it.
    pub(super) fn remove(&self, names: &[&str]) {
        if !names.is_empty() {
            drop(self.ask(&[&["rm", "--force", "--volumes"], names].concat()));
        }
    }
}

/// The addresses of this fleet's nodes begin so.
const OUR_NODES: &str = "127.0.2.";

/// A Docker Engine that only this test knows, to be stopped, frozen and killed.
#[derive(Debug)]
pub struct PrivateEngine {
    daemon: Option<Daemon>,
    engine: Engine,
    disk: Option<SmallDisk>,
    // Last: everything above lives in it.
    dir: TempDir,
}

impl PrivateEngine {
    /// Starts one.
    ///
    /// # Panics
    /// When it does not answer.
    #[must_use]
    pub fn start() -> Self {
        Self::start_with(|_| None)
    }

    /// Starts one that keeps everything on a disk of so many bytes.
    ///
    /// # Panics
    /// When it does not answer.
    #[must_use]
    pub fn start_on(bytes: u64) -> Self {
        Self::start_with(|data| Some(SmallDisk::over(data, bytes)))
    }

    fn start_with(disk: impl FnOnce(&Path) -> Option<SmallDisk>) -> Self {
        let dir = tempfile::Builder::new().prefix("xd").tempdir().unwrap();
        let mut engine = Self {
            daemon: None,
            engine: Engine::at(dir.path().join("docker.sock")),
            disk: disk(&dir.path().join("data")),
            dir,
        };
        engine.up();
        engine
    }

    /// The disk of an Engine that has one of its own.
    ///
    /// # Panics
    /// When it has none.
    #[must_use]
    pub fn disk(&self) -> &SmallDisk {
        self.disk.as_ref().expect("it was started on a small disk")
    }

    /// Its client.
    #[must_use]
    pub fn engine(&self) -> &Engine {
        &self.engine
    }

    /// Starts the daemon, and waits until it answers.
    ///
    /// # Panics
    /// When it does not.
    pub fn up(&mut self) {
        let path = |name: &str| self.dir.path().join(name).display().to_string();
        let mut command = Command::new("dockerd");
        command
            .arg(format!("--host=unix://{}", path("docker.sock")))
            .arg(format!("--data-root={}", path("data")))
            .arg(format!("--exec-root={}", path("exec")))
            .arg(format!("--pidfile={}", path("pid")))
            // The host's network is all that is used; the tables of the other Engine stay.
            .args(["--iptables=false", "--ip6tables=false", "--bridge=none"]);
        let log = self.dir.path().join("dockerd.log");
        self.daemon = Some(Daemon::start("dockerd", command, &log));
        until("a dockerd of our own should answer", STARTS, || {
            let daemon = self.daemon.as_mut().unwrap();
            assert!(
                daemon.ended().is_none(),
                "dockerd has ended\n{}",
                daemon.tail()
            );
            let version = self
                .engine
                .ask(&["version", "--format", "{{.Server.Version}}"]);
            if version.code == 0 {
                Ok(())
            } else {
                Err(version.to_string())
            }
        });
    }

    /// Freezes the daemon until the guard is dropped.
    ///
    /// # Panics
    /// When it does not run.
    #[must_use]
    pub fn freeze(&self) -> Frozen {
        let pid = i32::try_from(self.daemon.as_ref().unwrap().pid()).unwrap();
        let frozen = Frozen(Pid::from_raw(pid));
        kill(frozen.0, Signal::SIGSTOP).unwrap();
        frozen
    }

    /// SIGTERM to the daemon: it ends its containers and goes.
    ///
    /// # Panics
    /// When it does not.
    pub fn down(&mut self) {
        let mut daemon = self.daemon.take().unwrap();
        daemon.signal(Signal::SIGTERM);
        daemon.wait("end after SIGTERM", STARTS);
    }
}

/// A daemon that hangs. It goes on when this is dropped, also when a test fails: the fleet's own
/// end needs an Engine that answers.
#[derive(Debug)]
pub struct Frozen(Pid);

impl Drop for Frozen {
    fn drop(&mut self) {
        // One that has ended needs nothing any more.
        let _ = kill(self.0, Signal::SIGCONT);
    }
}

impl Drop for PrivateEngine {
    fn drop(&mut self) {
        let Some(mut daemon) = self.daemon.take() else {
            return;
        };
        // It takes its containerd along only when it ends in order.
        let all = self.engine.ask(&["ps", "--all", "--quiet"]).stdout;
        self.engine
            .remove(&all.split_whitespace().collect::<Vec<_>>());
        daemon.signal(Signal::SIGTERM);
        if std::thread::panicking() {
            eprintln!("{}", daemon.tail());
        }
        daemon.wait("end after SIGTERM", STARTS);
        let mounts = fs::read_to_string("/proc/self/mounts").unwrap_or_default();
        let own = self.dir.path().display().to_string();
        for mount in mounts.lines().filter_map(|line| line.split(' ').nth(1)) {
            if mount.starts_with(&own) {
                drop(Running::start(umount(mount), "").end());
            }
        }
    }
}

fn umount(path: &str) -> Command {
    let mut command = Command::new("umount");
    command.args(["--lazy", path]);
    command
}
