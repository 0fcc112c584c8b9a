//! The controller's configuration file.
//!
//! Owns reading `/etc/extend/controller.toml` and saying where it is wrong. Read once at the start,
//! and by `extend controller --check-config`. It must not look at the system: whether a port is free
//! or a group exists is for the start to find out, so that a check gives the same answer anywhere.

mod locate;
mod values;

use std::fmt;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::time::Duration;

use extend_common::ids::NodeAddr;
use extend_common::record::PullPolicy;
use extend_common::tls::LEAF_LIFETIME;
use serde::Deserialize;

use self::locate::Place;

/// Where the file is unless the command line says otherwise.
pub const DEFAULT_PATH: &str = "/etc/extend/controller.toml";

/// No configuration is anywhere near so long; a file that is, is something else.
const MAX_FILE_BYTES: u64 = 64 * 1024;

/// Everything an administrator decides about the controller.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Config {
    /// The private address by which nodes reach this controller; join tokens name it.
    pub address: NodeAddr,
    /// The store and the certificate authority.
    #[serde(default = "values::state_dir", deserialize_with = "values::absolute")]
    pub state_dir: PathBuf,
    /// The operators' socket.
    #[serde(default = "values::socket", deserialize_with = "values::absolute")]
    pub socket: PathBuf,
    /// The group whose members may use the socket.
    #[serde(default = "values::socket_group", deserialize_with = "values::group")]
    pub socket_group: String,
    /// Role definitions that replace or add to the built-in ones.
    #[serde(default = "values::roles_dir", deserialize_with = "values::absolute")]
    pub roles_dir: PathBuf,
    /// The image of a first deployment that names none.
    #[serde(default = "values::image", deserialize_with = "values::reference")]
    pub image: String,
    /// When nodes ask the registry.
    #[serde(default)]
    pub image_pull: PullPolicy,
    /// The PBX.
    #[serde(default)]
    pub pbx: Pbx,
    /// Where to listen.
    #[serde(default)]
    pub listen: Listen,
    /// How often and how long.
    #[serde(default)]
    pub timing: Timing,
}

/// The table `[pbx]`.
#[derive(Debug, Clone, PartialEq, Eq, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Pbx {
    /// The address that servers are started with; needed before the first `run`.
    #[serde(deserialize_with = "values::pbx_address")]
    pub address: Option<String>,
}

/// The table `[listen]`.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Listen {
    /// Agents, with certificates.
    #[serde(deserialize_with = "values::listen")]
    pub agents: SocketAddr,
    /// Joining nodes, and those whose certificate has expired.
    #[serde(deserialize_with = "values::listen")]
    pub enrolment: SocketAddr,
    /// `/healthz`.
    #[serde(deserialize_with = "values::listen")]
    pub http: SocketAddr,
}

impl Default for Listen {
    fn default() -> Self {
        Self {
            agents: SocketAddr::from(([0, 0, 0, 0], 7443)),
            enrolment: SocketAddr::from(([0, 0, 0, 0], 7444)),
            http: SocketAddr::from(([127, 0, 0, 1], 7480)),
        }
    }
}

/// The table `[timing]`.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Timing {
    /// How often an agent says that it is there.
    #[serde(deserialize_with = "values::heartbeat")]
    pub heartbeat: Duration,
    /// How long a node's certificate lives, and the controller's own.
    #[serde(deserialize_with = "values::leaf_lifetime")]
    pub leaf_lifetime: Duration,
}

impl Default for Timing {
    fn default() -> Self {
        Self {
            heartbeat: Duration::from_secs(1),
            leaf_lifetime: LEAF_LIFETIME,
        }
    }
}

impl Config {
    /// Reads the file at `path`.
    ///
    /// # Errors
    /// Says which key on which line is wrong, and what to write instead.
    pub fn load(path: &Path) -> Result<Self, ConfigError> {
        let text = read(path).map_err(|problem| problem.at(path, None))?;
        Self::parse(path, &text)
    }

    /// Reads `text`, which stands in the file at `path`.
    ///
    /// # Errors
    /// As [`Config::load`].
    pub fn parse(path: &Path, text: &str) -> Result<Self, ConfigError> {
        let config: Self = toml::from_str(text).map_err(|error| {
            let place = error.span().and_then(|span| locate::at_offset(text, span));
            let (cause, hint) = explain(error.message());
            Problem { cause, hint }.at(path, place)
        })?;
        config
            .check_ports()
            .map_err(|(key, problem)| problem.at(path, locate::key(text, key)))?;
        Ok(config)
    }

    /// Two faces on one port: the second could not be bound, and the error would name neither key.
    fn check_ports(&self) -> Result<(), (&'static str, Problem)> {
        let Listen {
            agents,
            enrolment,
            http,
        } = &self.listen;
        for (key, one, other_key, other) in [
            ("listen.enrolment", enrolment, "listen.agents", agents),
            ("listen.http", http, "listen.agents", agents),
            ("listen.http", http, "listen.enrolment", enrolment),
        ] {
            let ports_equal = one.port() == other.port() && one.port() != 0;
            let overlap =
                one.ip() == other.ip() || one.ip().is_unspecified() || other.ip().is_unspecified();
            if ports_equal && overlap {
                let cause = format!("{one} is taken by `{other_key}` ({other})");
                return Err((
                    key,
                    Problem {
                        cause,
                        hint: "give each its own port".to_owned(),
                    },
                ));
            }
        }
        Ok(())
    }
}

/// For `extend controller --check-config`: what would be used, or what is wrong.
///
/// # Errors
/// As [`Config::load`].
pub fn check(path: &Path) -> Result<Config, ConfigError> {
    Config::load(path)
}

/// What is wrong with a configuration file, and where.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ConfigError {
    path: PathBuf,
    place: Option<Place>,
    problem: Problem,
}

impl ConfigError {
    /// What to write instead, or what to do.
    #[must_use]
    pub fn hint(&self) -> &str {
        &self.problem.hint
    }

    /// The key that is wrong, such as `listen.agents`, if it is one key.
    #[must_use]
    pub fn key(&self) -> Option<&str> {
        self.place.as_ref().and_then(|place| place.key.as_deref())
    }

    /// The line, counted from 1.
    #[must_use]
    pub fn line(&self) -> Option<usize> {
        self.place.as_ref().map(|place| place.line)
    }
}

impl fmt::Display for ConfigError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "reading the configuration {}", self.path.display())?;
        if let Some(line) = self.line() {
            write!(f, ", line {line}")?;
        }
        if let Some(key) = self.key() {
            write!(f, ", key `{key}`")?;
        }
        write!(f, ": {}", self.problem.cause)
    }
}

impl std::error::Error for ConfigError {}

#[derive(Debug, Clone, PartialEq, Eq)]
struct Problem {
    cause: String,
    hint: String,
}

impl Problem {
    fn at(self, path: &Path, place: Option<Place>) -> ConfigError {
        ConfigError {
            path: path.to_owned(),
            place,
            problem: self,
        }
    }
}

fn read(path: &Path) -> Result<String, Problem> {
    let failed = |error: std::io::Error| Problem {
        hint: match error.kind() {
            std::io::ErrorKind::NotFound => {
                "create it with at least one line: address = \"THE CONTROLLER'S PRIVATE ADDRESS\""
            }
            std::io::ErrorKind::PermissionDenied => "run the command as root",
            _ => "every key is described in the example that ships with the package",
        }
        .to_owned(),
        cause: error.to_string(),
    };
    let size = std::fs::metadata(path).map_err(failed)?.len();
    if size > MAX_FILE_BYTES {
        let cause = format!("it has {size} bytes, more than {MAX_FILE_BYTES}");
        return Err(Problem {
            cause,
            hint: "is this the right file?".to_owned(),
        });
    }
    std::fs::read_to_string(path).map_err(failed)
}

/// The parser's message as a cause, and what helps. Our own values bring their hint with them.
fn explain(message: &str) -> (String, String) {
    if let Some((cause, hint)) = message.split_once(values::HINT) {
        return (cause.to_owned(), hint.to_owned());
    }
    let cause = message.split_whitespace().collect::<Vec<_>>().join(" ");
    let hint = if cause.starts_with("unknown field") {
        "is it misspelt, or in the wrong [table]?"
    } else if cause.starts_with("missing field") {
        "add it to the file"
    } else if cause.starts_with("unknown variant") || cause.starts_with("invalid type") {
        "write the value as the example that ships with the package does"
    } else {
        "texts stand in quotes, and a [table] ends where the next begins"
    };
    (cause, hint.to_owned())
}

#[cfg(test)]
mod tests;
