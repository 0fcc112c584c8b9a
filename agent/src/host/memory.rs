//! A host that exists in memory only: for tests and simulations.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use extend_common::ids::NodeAddr;
use extend_common::roles::{DirectoryDefinition, PortRange};

use super::{BusyPort, Holder, Host, HostError};

#[derive(Debug, Default)]
struct State {
    directories: BTreeMap<PathBuf, DirectoryDefinition>,
    occupied: BTreeMap<u16, Option<Holder>>,
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
        self.state().occupied.insert(port, None);
    }

    /// Lets a process that can be named listen on a TCP port.
    pub fn occupy_as(&self, port: u16, holder: Holder) {
        self.state().occupied.insert(port, Some(holder));
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

    fn busy_port(&self, tcp: &[PortRange], _: NodeAddr) -> Result<Option<BusyPort>, HostError> {
        let state = self.state();
        let mut occupied = state.occupied.iter();
        let taken = occupied.find(|(port, _)| tcp.iter().any(|range| range.contains(**port)));
        Ok(taken.map(|(port, holder)| BusyPort {
            port: *port,
            holder: holder.clone(),
        }))
    }

    fn directory_size(&self, path: &Path) -> Result<u64, HostError> {
        Ok(self.state().sizes.get(path).copied().unwrap_or(0))
    }
}
