//! `agent.toml`: what this node's administrator decides. Everything has a default.

use std::net::SocketAddrV4;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

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
            controllers: Vec::new(),
        }
    }
}

/// Why the configuration cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum ConfigError {
    /// The file cannot be read.
    #[error("reading the configuration {path}")]
    Read {
        /// The file.
        path: PathBuf,
        /// Why.
        source: std::io::Error,
    },
    /// An unknown key, a wrong type, a missing quote.
    #[error("parsing the configuration {path}")]
    Parse {
        /// The file.
        path: PathBuf,
        /// Where and why.
        source: Box<toml::de::Error>,
    },
    /// A path that is not absolute.
    #[error("the configuration {path}: `{key}` must be an absolute path")]
    Relative {
        /// The file.
        path: PathBuf,
        /// Which key.
        key: &'static str,
    },
}

impl Config {
    /// Reads the file. A missing file at the default place means the defaults; a missing file
    /// that was named is an error.
    ///
    /// # Errors
    /// When the file cannot be read, or says something that it must not.
    pub fn load(named: Option<&Path>) -> Result<Self, ConfigError> {
        let path = named.unwrap_or(Path::new(DEFAULT_PATH));
        let text = match std::fs::read_to_string(path) {
            Ok(text) => text,
            Err(error) if error.kind() == std::io::ErrorKind::NotFound && named.is_none() => {
                return Ok(Self::default());
            }
            Err(source) => {
                return Err(ConfigError::Read {
                    path: path.to_owned(),
                    source,
                });
            }
        };
        let config: Self = toml::from_str(&text).map_err(|source| ConfigError::Parse {
            path: path.to_owned(),
            source: Box::new(source),
        })?;
        let absolute = [
            ("state_dir", &config.state_dir),
            ("data_dir", &config.data_dir),
            ("docker_socket", &config.docker_socket),
            ("roles_dir", &config.roles_dir),
            ("registry_credentials", &config.registry_credentials),
        ];
        let relative = absolute
            .iter()
            .find(|(_, value)| !value.is_absolute())
            .map(|(key, _)| *key);
        match relative {
            Some(key) => Err(ConfigError::Relative {
                path: path.to_owned(),
                key,
            }),
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
        for (text, wanted) in [
            ("state_dri = '/x'", "unknown field"),
            ("state_dir = 'x'", "absolute"),
            ("repositories = 'portsip/*'", "invalid type"),
        ] {
            std::fs::write(&path, text).unwrap();
            let error = Config::load(Some(&path)).unwrap_err();
            let words = format!("{:#}", anyhow::Error::from(error));
            assert!(words.contains(wanted), "{words}");
        }
        assert!(Config::load(Some(&directory.path().join("missing"))).is_err());
    }
}
