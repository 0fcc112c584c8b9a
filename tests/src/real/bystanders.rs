//! Containers of other people on the same Engine: nothing about them may ever change (I5).

use std::fs;
use std::path::Path;

use nix::unistd::{Gid, Uid, chown};
use serde_json::Value;

use super::engine::Engine;
use super::images::IMAGE;
use super::process::Running;

/// Their names. One bears a PortSIP name that is no server's of ours, one a label like ours.
const NAMES: [&str; 5] = ["other-1", "other-2", "other-3", "other-4", "portsip.sbc"];
const PORTSIP: u32 = 888;
/// What could change. The rest the Engine writes on by itself, about its own network.
const FACTS: [&str; 9] = [
    "Id",
    "Name",
    "Created",
    "Image",
    "State",
    "RestartCount",
    "Config",
    "HostConfig",
    "Mounts",
];

/// Containers of other people.
#[derive(Debug)]
pub(super) struct Bystanders {
    engine: Engine,
    before: Vec<Value>,
}

impl Bystanders {
    /// Starts them. They have a network of their own, so that their ports are in nobody's way.
    pub(super) fn start(engine: &Engine, dir: &Path) -> Self {
        engine.remove(&NAMES);
        let begun: Vec<_> = NAMES
            .iter()
            .map(|name| {
                let data = dir.join(name);
                make_directories(&data);
                let data = format!("{}:/var/lib/portsip/pbx", data.display());
                let label = if *name == "other-4" {
                    "io.extend.node=10.9.9.9"
                } else {
                    "somebody=else"
                };
                let mut words = vec!["run", "--detach", "--name", name, "--network", "none"];
                words.extend(["--user", "portsip", "--label", label, "--volume", &data]);
                words.extend(["--restart", "unless-stopped", IMAGE]);
                words.extend([
                    "/usr/local/bin/mediaserver",
                    "-D",
                    "/var/lib/portsip/pbx",
                    "-E",
                ]);
                words.extend(["-a", "54.151.30.9", "-x", "127.0.0.1", "-n", name, "start"]);
                Running::start(engine.command(&words), "")
            })
            .collect();
        let mut bystanders = Self {
            engine: engine.clone(),
            before: Vec::new(),
        };
        for running in begun {
            running
                .end()
                .expect(0, "a container of somebody else should start");
        }
        bystanders.before = bystanders.look();
        bystanders
    }

    fn look(&self) -> Vec<Value> {
        let found = self
            .engine
            .ask(&[&["container", "inspect"], NAMES.as_slice()].concat());
        let all: Vec<Value> = serde_json::from_str(&found.stdout).unwrap();
        let facts = |one: &Value| FACTS.map(|fact| one[fact].clone()).into_iter().collect();
        all.iter().map(facts).collect()
    }

    /// Nothing about them may have changed.
    pub(super) fn check(&self) {
        assert_eq!(
            self.look(),
            self.before,
            "I5: containers that are not ours have changed"
        );
    }

    /// The Engine itself was restarted: they are still the same containers.
    pub(super) fn check_ids(&mut self) {
        let ids = |all: &[Value]| all.iter().map(|one| one[0].clone()).collect::<Vec<_>>();
        let now = self.look();
        assert_eq!(
            ids(&now),
            ids(&self.before),
            "I5: containers that are not ours are gone"
        );
        self.before = now;
    }
}

impl Drop for Bystanders {
    fn drop(&mut self) {
        self.engine.remove(&NAMES);
    }
}

pub(super) fn make_directories(data: &Path) {
    let own = |path: &Path| {
        fs::create_dir_all(path).unwrap();
        let (user, group) = (Uid::from_raw(PORTSIP), Gid::from_raw(PORTSIP));
        chown(path, Some(user), Some(group)).unwrap();
    };
    own(data);
    for path in ["callqueue", "dump", "log", "mcu", "mcu/record"] {
        own(&data.join(path));
    }
}
