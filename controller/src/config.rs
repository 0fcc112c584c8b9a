//! The controller's configuration file.
//!
//! Owns reading `/etc/extend/controller.toml` and saying where it is wrong. Read once at the start,
//! and by `extend controller --check-config`. It must not look at the system: whether a port is free
//! or a group exists is for the start to find out, so that a check gives the same answer anywhere.

pub mod alerts;
mod values;

use std::net::{SocketAddr, SocketAddrV4};
use std::path::{Path, PathBuf};
use std::time::Duration;

use extend_common::config_file::ConfigFile;
use extend_common::ids::NodeAddr;
use extend_common::record::PullPolicy;
use extend_common::tls::LEAF_LIFETIME;
use serde::Deserialize;

pub use extend_common::config_file::ConfigError;

/// Where the file is unless the command line says otherwise.
pub const DEFAULT_PATH: &str = "/etc/extend/controller.toml";

/// Everything an administrator decides about the controller.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Config {
    /// The private address by which nodes reach this controller; join tokens name it.
    pub address: NodeAddr,
    /// Where this controller may be restored from a backup, should its own address be lost.
    #[serde(default, deserialize_with = "values::standby")]
    pub standby: Vec<NodeAddr>,
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
    /// Where the agent's package lies, that nodes are given: one file.
    #[serde(
        default = "values::agent_package_dir",
        deserialize_with = "values::absolute"
    )]
    pub agent_package_dir: PathBuf,
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
    /// What is kept for an audit.
    #[serde(default)]
    pub audit: Audit,
    /// The entries that let the servers in.
    #[serde(default)]
    pub whitelist: Whitelist,
    /// The security group of the PBX's nodes.
    #[serde(default)]
    pub aws: Aws,
    /// Who is told of what is wrong.
    #[serde(default)]
    pub alerts: alerts::Alerts,
}

/// The table `[pbx]`.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Pbx {
    /// The address that servers are started with; needed before the first `run`.
    #[serde(deserialize_with = "values::pbx_address")]
    pub address: Option<String>,
    /// Where its REST API is: `https://HOST:PORT`. Without it nothing is done in the portal.
    #[serde(deserialize_with = "values::api")]
    pub api: Option<String>,
    /// The account that the controller signs in with.
    #[serde(deserialize_with = "values::username")]
    pub username: Option<String>,
    /// Where its password is, unless systemd hands it over.
    #[serde(deserialize_with = "values::absolute")]
    pub password_file: PathBuf,
    /// Where the certificate is that the PBX has to show.
    #[serde(deserialize_with = "values::absolute")]
    pub certificate: PathBuf,
    /// The PBX's own nodes.
    #[serde(deserialize_with = "values::pbx_nodes")]
    pub nodes: Vec<NodeAddr>,
    /// How often the portal is looked at.
    #[serde(deserialize_with = "values::poll")]
    pub poll: Duration,
}

impl Default for Pbx {
    fn default() -> Self {
        Self {
            address: None,
            api: None,
            username: None,
            password_file: PathBuf::from("/etc/extend/pbx.password"),
            certificate: PathBuf::from("/etc/extend/pbx.crt"),
            nodes: Vec::new(),
            poll: Duration::from_secs(5),
        }
    }
}

impl Pbx {
    /// The host and the port of its REST API.
    pub fn api_host(&self) -> Option<(String, u16)> {
        /// Of HTTPS, where none is named.
        const HTTPS: u16 = 443;
        let rest = self.api.as_deref()?.strip_prefix("https://")?;
        let authority = rest.split('/').next()?;
        let (host, port) = authority.rsplit_once(':').unwrap_or((authority, ""));
        Some((host.to_owned(), port.parse().unwrap_or(HTTPS)))
    }
}

/// The table `[whitelist]`.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Whitelist {
    /// For how long an entry of the PBX's whitelist is good; it is renewed when less than a tenth
    /// of it is left.
    #[serde(deserialize_with = "values::expiry")]
    pub expiry: Duration,
}

impl Default for Whitelist {
    fn default() -> Self {
        Self {
            expiry: Duration::from_secs(10 * 365 * 24 * 60 * 60),
        }
    }
}

/// The table `[aws]`.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Aws {
    /// The group that is attached to the PBX's nodes; none is kept where none is named.
    #[serde(deserialize_with = "values::security_group")]
    pub security_group: Option<String>,
    /// Its region; none is what the environment says.
    #[serde(deserialize_with = "values::region")]
    pub region: Option<String>,
    /// Where EC2 is asked; none is the region's own.
    #[serde(deserialize_with = "values::endpoint")]
    pub endpoint: Option<String>,
    /// So many inbound rules the group may have.
    #[serde(deserialize_with = "values::rules")]
    pub quota: usize,
}

impl Default for Aws {
    fn default() -> Self {
        Self {
            security_group: None,
            region: None,
            endpoint: None,
            quota: 60,
        }
    }
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

/// The table `[audit]`.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Audit {
    /// How long it is kept who did what and when.
    #[serde(deserialize_with = "values::audit_keep")]
    pub keep: Duration,
}

impl Default for Audit {
    fn default() -> Self {
        Self {
            keep: Duration::from_secs(365 * 24 * 60 * 60),
        }
    }
}

impl Config {
    /// Reads the file at `path`.
    ///
    /// # Errors
    /// Says which key on which line is wrong, and what to write instead.
    pub fn load(path: &Path) -> Result<Self, ConfigError> {
        let text = file(path).read().map_err(|error| {
            if error.is_missing() {
                error.with_hint(
                    "create it with at least one line: address = \"THE CONTROLLER'S PRIVATE ADDRESS\"",
                )
            } else {
                error
            }
        })?;
        Self::parse(path, &text)
    }

    /// Reads `text`, which stands in the file at `path`.
    ///
    /// # Errors
    /// As [`Config::load`].
    pub fn parse(path: &Path, text: &str) -> Result<Self, ConfigError> {
        let file = file(path);
        let config: Self = file.parse(text)?;
        match config.shared_port() {
            Some((key, cause)) => {
                Err(file.broken_at_key(text, key, cause, "give each its own port"))
            }
            None if config.pbx.api.is_some() && config.pbx.username.is_none() => {
                let cause = "`pbx.api` is set and `pbx.username` is not".to_owned();
                let hint = "name the account that the controller signs in with";
                Err(file.broken_at_key(text, "pbx.api", cause, hint))
            }
            None => Ok(config),
        }
    }

    /// Where agents may dial: this controller, then the places it may be restored at. None when
    /// the port is the system's to choose: then nobody can tell.
    pub fn controllers(&self) -> Vec<SocketAddrV4> {
        let port = self.listen.agents.port();
        if port == 0 {
            return Vec::new();
        }
        let standby = self.standby.iter().filter(|node| **node != self.address);
        std::iter::once(&self.address)
            .chain(standby)
            .map(|node| SocketAddrV4::new(node.ip(), port))
            .collect()
    }

    /// Two faces on one port: the second could not be bound, and the error would name neither key.
    fn shared_port(&self) -> Option<(&'static str, String)> {
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
                return Some((key, format!("{one} is taken by `{other_key}` ({other})")));
            }
        }
        None
    }
}

fn file(path: &Path) -> ConfigFile<'_> {
    ConfigFile {
        what: "the configuration",
        path,
    }
}

/// For `extend controller --check-config`: what would be used, or what is wrong.
///
/// # Errors
/// As [`Config::load`].
pub fn check(path: &Path) -> Result<Config, ConfigError> {
    Config::load(path)
}

#[cfg(test)]
mod tests;
