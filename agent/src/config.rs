//! `agent.toml`: what this node's administrator decides. Everything has a default.

use std::net::SocketAddrV4;
use std::path::{Path, PathBuf};

pub use extend_common::config_file::ConfigError;
use extend_common::config_file::ConfigFile;
use serde::{Deserialize, Serialize};

use crate::cloud::Base;

/// Where the configuration is looked for.
pub const DEFAULT_PATH: &str = "/etc/extend/agent.toml";

/// The node's configuration.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Config {
    /// Where the agent keeps its key, its certificate and its ledger (0700).
    pub state_dir: PathBuf,
    /// Where services keep their data: `<data_dir>/<role>`.
    pub data_dir: PathBuf,
    /// The Docker Engine's socket.
    pub docker_socket: PathBuf,
    /// The repositories that images may come from; `portsip/*` means all directly below.
    pub repositories: Vec<String>,
    /// Role definitions of this node's own. Read as root's: whoever can write here decides what
    /// runs.
    pub roles_dir: PathBuf,
    /// Registry credentials in the format of Docker's `config.json` (0600).
    pub registry_credentials: PathBuf,
    /// Whether kernel parameters are set and firewalld's ports opened as the role definitions say
    /// (and put back by `extend rm`). Directories are made in any case.
    pub host_changes: bool,
    /// Whether firewalld on this node, one of the PBX's own, lets in what the controller says: the
    /// servers' addresses through its trusted zone, and nodes to the controller's ports.
    pub firewall: bool,
    /// Where the instance metadata is asked what the cloud says of this node.
    pub instance_metadata: Base,
    /// Controllers' agent listeners; empty means the one that the node joined.
    pub controllers: Vec<SocketAddrV4>,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            state_dir: "/var/lib/extend-agent".into(),
            data_dir: "/var/lib/portsip".into(),
            docker_socket: "/var/run/docker.sock".into(),
            repositories: vec!["portsip/*".to_owned()],
            roles_dir: "/etc/extend/roles.d".into(),
            registry_credentials: "/etc/extend/registry.json".into(),
            host_changes: true,
            firewall: false,
            instance_metadata: Base::default(),
            controllers: Vec::new(),
        }
    }
}

impl Config {
    /// Reads the file. A missing file at the default place means the defaults; a missing file
    /// that was named is an error.
    ///
    /// # Errors
    /// When the file cannot be read, or says something that it must not.
    pub fn load(named: Option<&Path>) -> Result<Self, ConfigError> {
        let file = ConfigFile {
            what: "the configuration",
            path: named.unwrap_or(Path::new(DEFAULT_PATH)),
        };
        let text = match file.read() {
            Ok(text) => text,
            Err(error) if error.is_missing() && named.is_none() => return Ok(Self::default()),
            Err(error) => return Err(error),
        };
        let config: Self = file.parse(&text)?;
        let absolute = [
            ("state_dir", &config.state_dir),
            ("data_dir", &config.data_dir),
            ("docker_socket", &config.docker_socket),
            ("roles_dir", &config.roles_dir),
            ("registry_credentials", &config.registry_credentials),
        ];
        let relative = absolute.iter().find(|(_, path)| !path.is_absolute());
        match relative {
            Some((key, path)) => {
                let cause = format!("`{}` is not an absolute path", path.display());
                Err(file.broken_at_key(&text, key, cause, "begin it with /"))
            }
            None => Ok(config),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_packaged_file_says_the_defaults() {
        let packaged: Config = toml::from_str(include_str!("../../packaging/agent.toml")).unwrap();
        assert_eq!(packaged, Config::default());
    }

    #[test]
    fn unknown_keys_and_relative_paths_are_refused() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("agent.toml");
        for (text, line, key, cause, hint) in [
            (
                "# ours\nstate_dri = '/x'",
                2,
                "state_dri",
                "unknown field `state_dri`",
                "did you mean `state_dir`?",
            ),
            (
                "state_dir = 'x'",
                1,
                "state_dir",
                "`x` is not an absolute path",
                "begin it with /",
            ),
            (
                "repositories = 'portsip/*'",
                1,
                "repositories",
                "invalid type",
                "example",
            ),
            (
                "controllers = ['172.31.16.133']",
                1,
                "controllers",
                "invalid IPv4 socket address",
                "address and port",
            ),
        ] {
            std::fs::write(&path, text).unwrap();
            let error = Config::load(Some(&path)).unwrap_err();
            assert_eq!(
                (error.line(), error.key()),
                (Some(line), Some(key)),
                "{error}"
            );
            assert!(error.to_string().contains(cause), "{error}");
            assert!(error.hint().contains(hint), "{error}: {}", error.hint());
        }
        std::fs::write(&path, "state_dir = '/var/lib/ext").unwrap();
        let cut_short = Config::load(Some(&path)).unwrap_err();
        assert_eq!(cut_short.line(), Some(1), "{cut_short}");
        assert!(Config::load(Some(&directory.path().join("missing"))).is_err());
    }
}
