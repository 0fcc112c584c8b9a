//! Servers as PortSIP's own script makes them, from their description and from nothing of ours: a
//! compose volume bound to the data directory, labels of Docker Compose, no log limit, and Docker's
//! own stop timeout.

use super::Instance;
use super::bystanders::make_directories;
use super::engine::Engine;
use super::fleet::{Fleet, PBX};
use super::images::IMAGE;
use super::process::Running;
use super::servers::Server;

/// By its project everything is found again that a test has left behind.
const PROJECT: &str = "com.docker.compose.project=extend-test";

impl Fleet {
    /// Lets the official script deploy a server.
    ///
    /// # Panics
    /// When it cannot.
    #[track_caller]
    pub fn script(&self, server: Server) -> Instance {
        self.script_with(server, &[])
    }

    /// The same with further options of `docker run`.
    ///
    /// # Panics
    /// When it cannot.
    #[track_caller]
    pub fn script_with(&self, server: Server, more: &[&str]) -> Instance {
        let data = self.data(server.node).join(server.role);
        make_directories(&data);
        let volume = format!("extend-test_{}", server.role);
        let device = format!("device={}", data.display());
        let mut words = vec!["volume", "create", "--driver", "local", "--label", PROJECT];
        words.extend(["--opt", "type=none", "--opt", "o=bind", "--opt", &device]);
        self.engine().docker(&[&words[..], &[&volume]].concat());
        let volume = format!("{volume}:/var/lib/portsip/pbx");
        let service = format!("com.docker.compose.service={}", server.role);
        let mut words = vec!["run", "--detach", "--name", server.container];
        words.extend(["--user", "portsip", "--network", "host"]);
        words.extend(["--cap-add", "SYS_PTRACE", "--restart", "unless-stopped"]);
        words.extend(["--env", "LD_LIBRARY_PATH=/usr/local/lib"]);
        words.extend(["--volume", &volume]);
        words.extend(["--volume", "/etc/localtime:/etc/localtime"]);
        words.extend(["--label", PROJECT, "--label", &service]);
        words.extend(more);
        words.extend([IMAGE, server.binary, "-D", "/var/lib/portsip/pbx", "-E"]);
        words.extend(["-a", PBX, "-x", server.node, "-n", server.name, "start"]);
        self.engine().docker(&words);
        self.engine().instance(server.container)
    }
}

/// Removes everything that the official script has made in a test.
pub(super) fn remove(engine: &Engine) {
    let filter = format!("label={PROJECT}");
    let list = |words: &[&str]| {
        let words = [words, &["--quiet", "--filter", &filter]].concat();
        let found = engine.ask(&words).stdout;
        found
            .split_whitespace()
            .map(str::to_owned)
            .collect::<Vec<_>>()
    };
    let remove = |how: &[&str], found: Vec<String>| {
        if !found.is_empty() {
            let found: Vec<&str> = found.iter().map(String::as_str).collect();
            drop(Running::start(engine.command(&[how, &found].concat()), "").end());
        }
    };
    remove(&["rm", "--force"], list(&["ps", "--all"]));
    remove(&["volume", "rm"], list(&["volume", "ls"]));
}
