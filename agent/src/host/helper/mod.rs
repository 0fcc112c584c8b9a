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

pub mod client;
pub mod server;
mod trust;

use std::io::{BufRead as _, BufReader, Read};

use extend_common::ids::RoleName;
use serde::{Deserialize, Serialize};

use super::{HostAnswer, HostError, HostVerb};

/// Where the helper is reached.
pub const SOCKET: &str = "/run/extend-agent/host.sock";
/// A request is a verb and a role.
const MAX_REQUEST: u64 = 1024;
/// An answer is a line for each thing that was changed.
const MAX_ANSWER: u64 = 64 * 1024;

/// What is asked.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Request {
    verb: HostVerb,
    role: RoleName,
}

/// What came of it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
enum Answer {
    Done(HostAnswer),
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
