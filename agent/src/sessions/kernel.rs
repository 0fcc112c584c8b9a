//! The kernel's own tables, as this process sees them.

use std::fs::File;
use std::io::{BufReader, ErrorKind};
use std::path::{Path, PathBuf};

use extend_common::roles::SessionsDefinition;

use super::SessionSource;
use super::table::{Socket, sockets};

/// Reads `/proc`.
#[derive(Debug, Clone)]
pub struct KernelSessions {
    proc: PathBuf,
}

impl Default for KernelSessions {
    fn default() -> Self {
        Self::below("/proc")
    }
}

impl KernelSessions {
    /// The same from files below another directory.
    pub fn below(proc: impl Into<PathBuf>) -> Self {
        Self { proc: proc.into() }
    }

    /// With a map of its own a process sees other numbers for users, and would find no socket.
    fn check_users(&self) -> Result<(), String> {
        let path = self.proc.join("self/uid_map");
        let map = std::fs::read_to_string(&path).map_err(|error| told(&path, &error))?;
        let words: Vec<&str> = map.split_whitespace().collect();
        match words.as_slice() {
            ["0", "0", "4294967295"] => Ok(()),
            _ => Err("this agent sees other numbers for users than the host".to_owned()),
        }
    }
}

fn told(path: &Path, error: &dyn std::fmt::Display) -> String {
    format!("{}: {error}", path.display())
}

/// The figure below a word in the two lines that begin with `group`.
///
/// Source: the kernel's `snmp_seq_show`. UDP's `InDatagrams` is raised when a process takes a datagram
/// (`udp_recvmsg`), not when it comes in.
fn column(text: &str, group: &str, word: &str) -> Option<u64> {
    let mut lines = text.lines().filter(|line| line.starts_with(group));
    let (head, figures) = (lines.next()?, lines.next()?);
    let at = head.split_whitespace().position(|name| name == word)?;
    figures.split_whitespace().nth(at)?.parse().ok()
}

/// The figure beside a word.
fn row(text: &str, word: &str) -> Option<u64> {
    let line = text
        .lines()
        .find(|line| line.split_whitespace().next() == Some(word))?;
    line.split_whitespace().nth(1)?.parse().ok()
}

impl SessionSource for KernelSessions {
    fn look(&self, how: &SessionsDefinition) -> Result<Vec<Socket>, String> {
        self.check_users()?;
        let mut all = Vec::new();
        for (name, is_optional) in [("net/udp", false), ("net/udp6", true)] {
            let path = self.proc.join(name);
            let file = match File::open(&path) {
                // A kernel without IPv6.
                Err(error) if is_optional && error.kind() == ErrorKind::NotFound => continue,
                other => other.map_err(|error| told(&path, &error))?,
            };
            let found = sockets(BufReader::new(file), how);
            all.extend(found.map_err(|error| told(&path, &error))?);
        }
        Ok(all)
    }

    fn read(&self) -> Result<u64, String> {
        let path = self.proc.join("net/snmp");
        let text = std::fs::read_to_string(&path).map_err(|error| told(&path, &error))?;
        let v4 = column(&text, "Udp:", "InDatagrams");
        let v4 = v4.ok_or_else(|| told(&path, &"it does not tell of UDP as the kernel does"))?;
        let path = self.proc.join("net/snmp6");
        let v6 = match std::fs::read_to_string(&path) {
            Ok(text) => row(&text, "Udp6InDatagrams"),
            // A kernel without IPv6.
            Err(error) if error.kind() == ErrorKind::NotFound => Some(0),
            Err(error) => return Err(told(&path, &error)),
        };
        let v6 = v6.ok_or_else(|| told(&path, &"it does not tell of UDP as the kernel does"))?;
        Ok(v4.saturating_add(v6))
    }
}
