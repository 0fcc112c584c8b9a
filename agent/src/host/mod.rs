//! What the agent needs of its host beside Docker: what a role wants of it before its container
//! and back after it, ports that must be free, and the size of what a removed server leaves behind.
//!
//! `execute` calls the [`Host`], on blocking threads: every function of it is synchronous and bounded.
//! [`figures`] samples how the machine does, on its own.
//! Three implementations ship: [`SystemHost`] for the machine, [`HelperHost`] for an agent that is
//! not root and asks for it, [`MemoryHost`] for tests and simulations. Nothing here knows records.

mod changes;
mod clock;
mod directories;
pub mod figures;
mod firewall;
pub mod helper;
mod holder;
mod memory;
mod needs;
mod ports;
mod size;
mod system;

use std::borrow::Cow;
use std::net::SocketAddrV4;
use std::path::{Path, PathBuf};
use std::sync::Mutex;
use std::time::Duration;

use extend_common::firewall::{FirewallChange, FirewallTold};
use extend_common::ids::NodeAddr;
use extend_common::roles::PortRange;
use serde::{Deserialize, Serialize};

use crate::preflight::{Facts, Look, NotReached};

pub use directories::ensure_directories;
pub use helper::client::HelperHost;
pub use holder::{BusyPort, Holder};
pub use memory::MemoryHost;
pub use needs::RoleNeeds;
pub use ports::{PortUse, listening_ports, ports_below};
pub use size::directory_size;
pub use system::{Places, SystemHost};

/// Why something could not be done to or learnt from the host.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, thiserror::Error)]
#[error("{operation} {}: {cause}{}", path.display(), hint.as_deref().map(|hint| format!(" (hint: {hint})")).unwrap_or_default())]
pub struct HostError {
    /// What was attempted: `making the directory`.
    pub operation: Cow<'static, str>,
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
            operation: operation.into(),
            path: path.to_owned(),
            cause: cause.to_string(),
            hint: None,
        }
    }
}

/// What can be asked of a host for a role. The list is closed: the root helper takes nothing else.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum HostVerb {
    /// Make the role's directories that are missing, in order, and give each its mode, owner and
    /// group. What lies in them is not touched.
    MakeDirectories,
    /// Set the role's kernel parameters, now and for the next boot.
    SetParameters,
    /// Let the role's ports through firewalld, where that runs.
    OpenFirewall,
    /// Put back what the two before have changed. Directories stay.
    Undo,
    /// How much disk the role's data directory takes with all below it; 0 when there is none.
    MeasureData,
}

impl HostVerb {
    /// What a role needs before its container is made, in order.
    pub const PREPARE: [Self; 3] = [
        Self::MakeDirectories,
        Self::SetParameters,
        Self::OpenFirewall,
    ];
}

/// What came of it.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct HostAnswer {
    /// What was changed, in words; nothing when all was as it should be.
    #[serde(default)]
    pub changed: Vec<String>,
    /// The size of the data, where that was asked for.
    #[serde(default)]
    pub bytes: u64,
}

/// The host that the agent runs on.
pub trait Host: Send + Sync + 'static {
    /// Does what a verb says for a role. What is right already is not touched.
    ///
    /// # Errors
    /// At the first thing that cannot be done; what was done before it stays, and doing it again is
    /// harmless.
    fn act(&self, verb: HostVerb, needs: &RoleNeeds) -> Result<HostAnswer, HostError>;

    /// The first TCP port of the ranges that somebody listens on, at the node's address or at
    /// every address, and who that is.
    ///
    /// # Errors
    /// When the host does not tell.
    fn busy_port(&self, tcp: &[PortRange], node: NodeAddr) -> Result<Option<BusyPort>, HostError>;

    /// Does what `change` says with firewalld on a node of the PBX, where its administrator allows
    /// that, and tells what is there then. What cannot be done of it is told, too.
    ///
    /// # Errors
    /// When nothing could be seen.
    fn firewall(&self, change: &FirewallChange) -> Result<FirewallTold, HostError>;

    /// Looks whether it is as the guide wants it, and puts into `found` what it learns, as it learns
    /// it: something that hangs takes nothing away that was learnt before.
    fn examine(&self, look: &Look, found: &Mutex<Facts>);

    /// Whether a TCP port somewhere else takes connections from here.
    ///
    /// # Errors
    /// When it does not come to a connection.
    fn reach(&self, to: SocketAddrV4, limit: Duration) -> Result<(), NotReached>;

    /// How many bytes can still be written on the file system that holds a path, whether the path
    /// itself is there or not; none when the host does not tell.
    fn free_space(&self, path: &Path) -> Option<u64>;
}

#[cfg(test)]
mod tests;
