//! A real Docker Engine, on the bench. Whatever was made on it is removed at the end, also when a
//! test fails.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};
use std::sync::OnceLock;
use std::sync::atomic::{AtomicU32, Ordering};

use async_trait::async_trait;
use extend_agent::core::spec::ContainerSpec;
use extend_agent::docker::engine::{Engine, EngineTimeouts};
use extend_agent::docker::{Docker, LABEL_NODE};
use extend_agent::host::ensure_directories;
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use tempfile::TempDir;

use crate::bench::{Bench, REFERENCE, VERSION, rendered, seen};

pub(crate) const SOCKET: &str = "/var/run/docker.sock";

pub(crate) struct RealBench {
    docker: Engine,
    image_id: String,
    node: String,
    data: TempDir,
}

/// Runs the ordinary client: what is asked this way does not pass through what is tested.
pub(crate) fn docker(words: &[&str]) -> Output {
    let mut client = Command::new("docker");
    client
        .env("DOCKER_HOST", format!("unix://{SOCKET}"))
        .args(words);
    client
        .output()
        .expect("no docker client: make test starts an Engine: scripts/docker.sh up")
}

pub(crate) fn docker_text(words: &[&str]) -> String {
    let output = docker(words);
    let errors = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "docker {words:?}: {errors}");
    String::from_utf8(output.stdout).unwrap().trim().to_owned()
}

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("..")
}

/// The stand-in's image id; makes the image when it is not there.
fn image_id() -> &'static str {
    static ID: OnceLock<String> = OnceLock::new();
    ID.get_or_init(|| {
        let format = "{{.Id}} {{index .Config.Labels \"version\"}}";
        let there = docker(&["image", "inspect", "--format", format, REFERENCE]);
        let there = String::from_utf8_lossy(&there.stdout).trim().to_owned();
        if let Some((id, VERSION)) = there.split_once(' ') {
            return id.to_owned();
        }
        let made = Command::new(root().join("scripts/standin-image.sh"))
            .args(["--print-id", VERSION, REFERENCE])
            .output()
            .unwrap();
        let errors = String::from_utf8_lossy(&made.stderr);
        assert!(made.status.success(), "no stand-in image: {errors}");
        String::from_utf8(made.stdout).unwrap().trim().to_owned()
    })
}

impl RealBench {
    /// # Panics
    /// Without root or an Engine that answers.
    pub(crate) fn new() -> Self {
        assert!(
            nix::unistd::geteuid().is_root(),
            "this test gives directories to 888: run it as root"
        );
        let version = docker(&["version", "--format", "{{.Server.Version}}"]);
        assert!(
            version.status.success(),
            "no Docker Engine answers: make test starts one: scripts/docker.sh up\n{}",
            String::from_utf8_lossy(&version.stderr)
        );
        remove_leftovers();
        Self {
            docker: Engine::connect(Path::new(SOCKET), EngineTimeouts::default()).unwrap(),
            image_id: image_id().to_owned(),
            node: node(),
            data: tempfile::tempdir().unwrap(),
        }
    }

    pub(crate) fn image_id(&self) -> &str {
        &self.image_id
    }

    /// A role's container, as rendered but for its name.
    pub(crate) fn spec_of(&self, role: &str) -> ContainerSpec {
        let data = self.data.path().join(unique());
        let spec = rendered(role, &self.node, &data, &self.image_id);
        ensure_directories(&spec.directories).unwrap();
        ContainerSpec {
            name: format!("{PREFIX}{}", unique()),
            ..spec
        }
    }

    fn control(&self, spec: &ContainerSpec, text: &str) {
        let directory = Path::new(&spec.mounts[0].source);
        fs::write(directory.join("new.control"), text).unwrap();
        fs::rename(
            directory.join("new.control"),
            directory.join("standin.control"),
        )
        .unwrap();
    }
}

/// How the names of these tests' containers begin; the id of the test's process follows.
const PREFIX: &str = "extend-test-";

/// Removes what a run that was killed has left behind: its process is gone, and nobody else's
/// containers bear such names.
fn remove_leftovers() {
    let filter = format!("name=^{PREFIX}");
    let names = docker_text(&["ps", "--all", "--filter", &filter, "--format", "{{.Names}}"]);
    let is_left = |name: &&str| {
        let process = name
            .strip_prefix(PREFIX)
            .and_then(|rest| rest.split('-').next());
        let process = process.and_then(|text| text.parse::<u32>().ok());
        process.is_some_and(|id| !Path::new(&format!("/proc/{id}")).exists())
    };
    let left: Vec<&str> = names.lines().filter(is_left).collect();
    if !left.is_empty() {
        // Another test may be doing the same.
        docker(&[&["rm", "--force"], left.as_slice()].concat());
    }
}

/// An address that no other test uses at the same time.
fn node() -> String {
    static GIVEN: AtomicU32 = AtomicU32::new(0);
    let number = std::process::id() * 24 + GIVEN.fetch_add(1, Ordering::Relaxed);
    format!("127.0.9.{}", 10 + number % 240)
}

fn unique() -> String {
    static GIVEN: AtomicU32 = AtomicU32::new(0);
    format!(
        "{}-{}",
        std::process::id(),
        GIVEN.fetch_add(1, Ordering::Relaxed)
    )
}

impl Drop for RealBench {
    fn drop(&mut self) {
        let filter = format!("label={LABEL_NODE}={}", self.node);
        let made = docker(&["ps", "--all", "--quiet", "--filter", &filter]);
        let made = String::from_utf8_lossy(&made.stdout).into_owned();
        let ids: Vec<&str> = made.split_whitespace().collect();
        if !ids.is_empty() {
            docker(&[&["rm", "--force"], ids.as_slice()].concat());
        }
    }
}

#[async_trait]
impl Bench for RealBench {
    fn docker(&self) -> &dyn Docker {
        &self.docker
    }

    fn spec(&self) -> ContainerSpec {
        self.spec_of("media-server-only")
    }

    async fn kill_process(&self, name: &str) {
        let before = seen(self, name).await;
        let pid = docker_text(&["inspect", "--format", "{{.State.Pid}}", &before.id]);
        kill(Pid::from_raw(pid.parse().unwrap()), Signal::SIGKILL).unwrap();
        crate::bench::until(self, name, |now| {
            (&now.state, now.restart_count) != (&before.state, before.restart_count)
        })
        .await;
    }

    fn crash_at_start(&self, spec: &ContainerSpec, code: Option<i64>) {
        let text = code
            .map(|code| format!("crash-at-start={code}\n"))
            .unwrap_or_default();
        self.control(spec, &text);
    }

    fn ignore_sigterm(&self, spec: &ContainerSpec) {
        self.control(spec, "ignore-sigterm=true\n");
    }

    fn break_start(&self, spec: &mut ContainerSpec) {
        "nobody-at-all".clone_into(&mut spec.user);
    }

    async fn pause(&self, name: &str) {
        docker_text(&["pause", name]);
    }
}
