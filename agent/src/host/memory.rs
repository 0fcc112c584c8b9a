//! A host that exists in memory only: for tests and simulations.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use extend_common::ids::NodeAddr;
use extend_common::roles::{DirectoryDefinition, PortRange};

use super::{Host, HostError};

#[derive(Debug, Default)]
struct State {
    directories: BTreeMap<PathBuf, DirectoryDefinition>,
    occupied: BTreeSet<u16>,
    sizes: BTreeMap<PathBuf, u64>,
    trouble: Option<String>,
}

/// A host in memory. Clones are handles to the same one.
#[derive(Debug, Clone, Default)]
pub struct MemoryHost(Arc<Mutex<State>>);

impl MemoryHost {
    /// A host with nothing on it.
    pub fn new() -> Self {
        Self::default()
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Lets some other process listen on a TCP port.
    pub fn occupy(&self, port: u16) {
        self.state().occupied.insert(port);
    }

    /// Ends what [`Self::occupy`] began.
    pub fn release(&self, port: u16) {
        self.state().occupied.remove(&port);
    }

    /// Says how large a directory is.
    pub fn set_size(&self, path: impl Into<PathBuf>, bytes: u64) {
        self.state().sizes.insert(path.into(), bytes);
    }

    /// Lets every change of the host fail with these words; `None` ends that.
    pub fn set_trouble(&self, cause: Option<&str>) {
        self.state().trouble = cause.map(str::to_owned);
    }

    /// The directories that were made, by path.
    pub fn directories(&self) -> Vec<DirectoryDefinition> {
        self.state().directories.values().cloned().collect()
    }
}

impl Host for MemoryHost {
    fn ensure_directories(&self, directories: &[DirectoryDefinition]) -> Result<(), HostError> {
        let mut state = self.state();
        for directory in directories {
            let path = PathBuf::from(&directory.path);
            if let Some(cause) = &state.trouble {
                return Err(HostError::new("making the directory", &path, cause));
            }
            state.directories.insert(path, directory.clone());
        }
        Ok(())
    }

    fn busy_port(&self, tcp: &[PortRange], _: NodeAddr) -> Result<Option<u16>, HostError> {
        let state = self.state();
        let taken = |port: &&u16| tcp.iter().any(|range| range.contains(**port));
        Ok(state.occupied.iter().find(taken).copied())
    }

    fn directory_size(&self, path: &Path) -> Result<u64, HostError> {
        Ok(self.state().sizes.get(path).copied().unwrap_or(0))
    }
}
