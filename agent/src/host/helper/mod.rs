//! The root helper: does what needs root for an agent that is not. One request a connection, a
//! line of JSON each way:
//!
//! ```text
//!   agent ── {"verb":"make-directories","role":"media-server-only"} ──▶ extend-agent host (root)
//!         ◀── {"done":{"changed":["directory /var/lib/portsip"]}} ─────
//! ```
//!
//! A request names a verb of the closed list and a role, and nothing else. What it comes to is
//! rendered from `agent.toml` and the role definitions by the helper itself, which takes them only
//! from files that nobody but root can have written.
//!
//! One request names addresses, because nobody on the node knows them: what firewalld on a node of
//! the PBX has to let in. It is parsed to single IPv4 addresses and ports, and done only where
//! `agent.toml` says `firewall = true` (decision 0017).

pub mod client;
pub mod server;
mod trust;

use std::io::{BufRead as _, BufReader, Read};

use extend_common::firewall::{FirewallChange, FirewallTold};
use extend_common::ids::RoleName;
use serde::{Deserialize, Serialize};

use super::{HostAnswer, HostError, HostVerb};

/// Where the helper is reached.
pub const SOCKET: &str = "/run/extend-agent/host.sock";
/// A request is a verb and a role, or as many addresses as a change of firewalld may name.
const MAX_REQUEST: u64 = 256 * 1024;
/// An answer is a line for each thing that was changed, or all that firewalld's zones have.
const MAX_ANSWER: u64 = 1024 * 1024;

/// What is asked.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(untagged)]
enum Request {
    /// Something for a role.
    Role(RoleRequest),
    /// Something of firewalld.
    Firewall(FirewallRequest),
}

/// A verb, and for which role.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct RoleRequest {
    verb: HostVerb,
    role: RoleName,
}

/// What firewalld has to let in.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct FirewallRequest {
    firewall: FirewallChange,
}

/// What came of it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
enum Answer {
    Done(HostAnswer),
    Told(FirewallTold),
    Failed(HostError),
}

/// One line, of a bounded length.
fn read_line(from: impl Read, most: u64) -> std::io::Result<String> {
    let mut line = String::new();
    BufReader::new(from.take(most)).read_line(&mut line)?;
    if line.ends_with('\n') {
        return Ok(line);
    }
    let words = if line.is_empty() {
        "nothing was said"
    } else {
        "the line has no end"
    };
    Err(std::io::Error::new(std::io::ErrorKind::InvalidData, words))
}

#[cfg(test)]
mod tests;
