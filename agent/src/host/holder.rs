//! Who listens on a port: the process, and the container that it runs in.
//!
//! The kernel's table gives a socket's inode, and the processes' descriptors lead from there to
//! its owner. Only root sees those of other users: without the right nobody is named.

use std::fs;
use std::path::Path;

use super::ports;

/// No node has so many processes; more is not looked at.
const MOST_PROCESSES: usize = 65_536;
/// A table of descriptors that is longer than this is not looked through to its end.
const MOST_DESCRIPTORS: usize = 65_536;
/// Docker's ids are so many hexadecimal digits long.
const CONTAINER_ID: usize = 64;

/// A port that is taken.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BusyPort {
    /// Which.
    pub port: u16,
    /// By whom, if it can be told.
    pub holder: Option<Holder>,
}

/// A process.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Holder {
    /// Its id.
    pub process: u32,
    /// Its program's name.
    pub program: String,
    /// The id of the container that it runs in.
    pub container: Option<String>,
}

/// The process that listens on a TCP port.
pub(super) fn of_port(port: u16) -> Option<Holder> {
    let inodes = ports::listening_inodes(port).ok()?;
    let wanted: Vec<String> = inodes
        .iter()
        .map(|inode| format!("socket:[{inode}]"))
        .collect();
    let processes = fs::read_dir("/proc").ok()?.flatten().take(MOST_PROCESSES);
    for entry in processes {
        let name = entry.file_name();
        let Some(process) = name.to_str().and_then(|name| name.parse().ok()) else {
            continue;
        };
        if has_open(&entry.path(), &wanted) {
            return Some(holder(process, &entry.path()));
        }
    }
    None
}

fn has_open(process: &Path, wanted: &[String]) -> bool {
    // Somebody else's process, or one that has just ended.
    let Ok(descriptors) = fs::read_dir(process.join("fd")) else {
        return false;
    };
    let mut targets = descriptors
        .flatten()
        .take(MOST_DESCRIPTORS)
        .filter_map(|descriptor| fs::read_link(descriptor.path()).ok());
    targets.any(|target| {
        wanted
            .iter()
            .any(|wanted| target.as_os_str() == wanted.as_str())
    })
}

fn holder(process: u32, path: &Path) -> Holder {
    let text = |name: &str| fs::read_to_string(path.join(name)).unwrap_or_default();
    Holder {
        process,
        program: text("comm").trim().escape_debug().take(64).collect(),
        container: container_id(&text("cgroup")),
    }
}

/// Whichever way cgroups are laid out, the container's id stands in the path:
/// `/docker/ID`, `/system.slice/docker-ID.scope`.
pub(super) fn container_id(cgroups: &str) -> Option<String> {
    cgroups
        .split(|c: char| !c.is_ascii_hexdigit())
        .find(|word| word.len() == CONTAINER_ID)
        .map(str::to_owned)
}
