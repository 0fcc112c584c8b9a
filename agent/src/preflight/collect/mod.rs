//! Looks at a host: files that everybody may read, below a root that tests replace. Synchronous,
//! bounded in size, and without any judgement. Runs on blocking threads; whoever waits for it does
//! not wait for ever.

mod addressing;
mod packages;
mod power;
mod reach;
mod system;
mod tunnels;

use std::fs::File;
use std::io::Read as _;
use std::path::Path;
use std::sync::{Mutex, PoisonError};

use extend_common::ids::NodeAddr;

use super::facts::Facts;

pub use packages::WATCHED;
pub use reach::reach;

/// No file that is read whole is longer.
const MAX_FILE: u64 = 256 * 1024;

/// What a look needs to know.
#[derive(Debug, Clone)]
pub struct Look {
    /// The node's address.
    pub node: NodeAddr,
    /// Where services keep their data.
    pub data: std::path::PathBuf,
}

/// Looks at everything, and puts each thing into `found` as soon as it is known: one that hangs
/// does not take what was learnt before it.
pub fn look(root: &Path, look: &Look, found: &Mutex<Facts>) {
    let put =
        |put: &dyn Fn(&mut Facts)| put(&mut found.lock().unwrap_or_else(PoisonError::into_inner));
    let os = system::os(root);
    put(&|facts| facts.os = Some(os.clone()));
    let updates = system::updates(root);
    put(&|facts| facts.updates = Some(updates.clone()));
    let power = power::power(root);
    put(&|facts| facts.power = Some(power.clone()));
    let tunnels = tunnels::tunnels(root);
    put(&|facts| facts.tunnels = Some(tunnels.clone()));
    let ports = crate::host::ports_below(root).map_err(|error| error.to_string());
    put(&|facts| facts.ports = Some(ports.clone()));
    let addressing = addressing::addressing(root, look.node);
    put(&|facts| facts.addressing = Some(addressing.clone()));
    let packages = packages::installed(root);
    put(&|facts| facts.packages = Some(packages.clone()));
    let disk = system::disk(root, &look.data);
    put(&|facts| facts.disk = Some(disk.clone()));
}

/// Where a path of the host lies below the root.
fn below(root: &Path, path: &str) -> std::path::PathBuf {
    root.join(path.trim_start_matches('/'))
}

/// A small file, or why it cannot be read.
fn read(root: &Path, path: &str) -> Result<String, std::io::Error> {
    read_file(&below(root, path))
}

fn read_file(path: &Path) -> Result<String, std::io::Error> {
    let mut bytes = Vec::new();
    File::open(path)?.take(MAX_FILE).read_to_end(&mut bytes)?;
    Ok(String::from_utf8_lossy(&bytes).into_owned())
}

/// The names in a directory; none where there is no such directory or it may not be read.
fn names(path: &Path) -> Vec<String> {
    /// More entries than any of these directories has.
    const MOST: usize = 4_096;
    let Ok(entries) = std::fs::read_dir(path) else {
        return Vec::new();
    };
    let names = entries.take(MOST).filter_map(Result::ok);
    let mut names: Vec<_> = names
        .filter_map(|entry| entry.file_name().into_string().ok())
        .collect();
    names.sort_unstable();
    names
}

#[cfg(test)]
mod tests;
