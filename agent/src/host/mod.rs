//! What the agent needs of its host beside Docker: directories made before a container, ports
//! that must be free, and the size of what a removed server leaves behind.
//!
//! `execute` calls the [`Host`], on blocking threads: every function of it is synchronous and bounded.
//! [`figures`] samples how the machine does, on its own.
//! Two implementations ship: [`SystemHost`] for the machine, [`MemoryHost`] for tests and
//! simulations. Nothing here knows roles or records.

mod clock;
mod directories;
pub mod figures;
mod holder;
mod memory;
mod ports;
mod size;

use std::path::{Path, PathBuf};

use extend_common::ids::NodeAddr;
use extend_common::roles::{DirectoryDefinition, PortRange};

pub use directories::ensure_directories;
pub use holder::{BusyPort, Holder};
pub use memory::MemoryHost;
pub use ports::{PortUse, listening_ports};
pub use size::directory_size;

/// Why something could not be done to or learnt from the host.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{operation} {}: {cause}{}", path.display(), hint.as_deref().map(|hint| format!(" (hint: {hint})")).unwrap_or_default())]
pub struct HostError {
    /// What was attempted: `making the directory`.
    pub operation: &'static str,
    /// On what.
    pub path: PathBuf,
    /// Why it failed.
    pub cause: String,
    /// What an administrator can do about it.
    pub hint: Option<String>,
}

impl HostError {
    fn new(operation: &'static str, path: &Path, cause: impl ToString) -> Self {
        Self {
            operation,
            path: path.to_owned(),
            cause: cause.to_string(),
            hint: None,
        }
    }
}

/// The host that the agent runs on.
pub trait Host: Send + Sync + 'static {
    /// Makes the directories that are missing, in order, and gives each its mode, owner and
    /// group. What lies in them is not touched.
    ///
    /// # Errors
    /// At the first that cannot be brought into that state; the ones before it are.
    fn ensure_directories(&self, directories: &[DirectoryDefinition]) -> Result<(), HostError>;

    /// The first TCP port of the ranges that somebody listens on, at the node's address or at
    /// every address, and who that is.
    ///
    /// # Errors
    /// When the host does not tell.
    fn busy_port(&self, tcp: &[PortRange], node: NodeAddr) -> Result<Option<BusyPort>, HostError>;

    /// How much disk a directory takes with all below it, in bytes; 0 when there is none.
    ///
    /// # Errors
    /// When it cannot be read, or not within a few seconds.
    fn directory_size(&self, path: &Path) -> Result<u64, HostError>;
}

/// The machine.
#[derive(Debug, Clone, Copy, Default)]
pub struct SystemHost;

impl Host for SystemHost {
    fn ensure_directories(&self, directories: &[DirectoryDefinition]) -> Result<(), HostError> {
        ensure_directories(directories)
    }

    fn busy_port(&self, tcp: &[PortRange], node: NodeAddr) -> Result<Option<BusyPort>, HostError> {
        let busy = listening_ports()?.busy(tcp, node);
        Ok(busy.map(|port| BusyPort {
            port,
            holder: holder::of_port(port),
        }))
    }

    fn directory_size(&self, path: &Path) -> Result<u64, HostError> {
        directory_size(path)
    }
}

#[cfg(test)]
mod tests;
