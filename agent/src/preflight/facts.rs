//! What is known of a host, before anybody judges it. Whatever could not be learnt says why.

use std::collections::BTreeSet;
use std::net::SocketAddrV4;
use std::path::PathBuf;
use std::time::Duration;

use extend_common::host::ClockState;

use crate::docker::EngineFacts;
use crate::host::PortUse;

/// What was learnt, or why it cannot be.
pub type Known<T> = Result<T, String>;

/// What was learnt of a host. None: it was not looked at in time.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Facts {
    /// Which system it is.
    pub os: Option<Known<Os>>,
    /// Updates that wait.
    pub updates: Option<Known<Updates>>,
    /// Whether something keeps its clock right.
    pub clock: Option<Known<ClockState>>,
    /// How the node's address came there.
    pub addressing: Option<Known<Addressing>>,
    /// What saves power.
    pub power: Option<Known<Power>>,
    /// The file system of the services' data.
    pub disk: Option<Known<DataDisk>>,
    /// The packages among [`super::collect::WATCHED`] that are installed.
    pub packages: Option<Known<BTreeSet<String>>>,
    /// Network interfaces that belong to tunnels.
    pub tunnels: Option<Known<Vec<Tunnel>>>,
    /// The ports that are taken.
    pub ports: Option<Known<PortUse>>,
    /// The Engine, and how much is free where it keeps its images.
    pub docker: Option<Known<(EngineFacts, Option<u64>)>>,
    /// The names of all containers.
    pub containers: Option<Known<Vec<String>>>,
    /// What came of each port that the PBX should have open.
    pub reached: Vec<(Door, Result<(), NotReached>)>,
}

/// `/etc/os-release`
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Os {
    /// `ubuntu`
    pub id: String,
    /// `24.04`
    pub version: String,
    /// For people.
    pub name: String,
}

/// What update-notifier knows.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Updates {
    /// So many wait.
    pub pending: u32,
    /// So many of these mend security.
    pub security: u32,
    /// A restart of the machine is wanted.
    pub reboot: bool,
    /// How old this knowledge is.
    pub age: Duration,
}

/// How an address came to its interface, and who says so.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Addressing {
    /// By DHCP: it may be another one tomorrow.
    Leased(String),
    /// By a configuration file.
    Configured(String),
}

/// What slows a machine down, or puts it to sleep.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Power {
    /// The processors' governors; empty where the kernel changes no frequency.
    pub governors: BTreeSet<String>,
    /// The kernel can suspend.
    pub can_sleep: bool,
    /// systemd's sleep targets are masked.
    pub sleep_masked: bool,
}

/// A file system.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DataDisk {
    /// The directory that was asked for.
    pub path: PathBuf,
    /// Bytes.
    pub total: u64,
}

/// An interface of a tunnel.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Tunnel {
    /// `tun0`
    pub interface: String,
    /// `WireGuard`
    pub kind: &'static str,
}

/// Where the PBX should take connections.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Door {
    /// The address, or what was given in its place.
    pub to: Result<SocketAddrV4, String>,
    /// What listens there.
    pub purpose: String,
    /// It is known to.
    pub needed: bool,
}

/// Why a port was not reached.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum NotReached {
    /// This host did not let the agent try.
    Forbidden,
    /// Nobody can tell: it was not tried, or not to its end.
    Untried(String),
    /// It was tried.
    Failed(String),
}
