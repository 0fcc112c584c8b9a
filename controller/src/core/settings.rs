//! What an administrator has decided, as far as the core needs it.

use std::net::SocketAddrV4;
use std::sync::Arc;
use std::time::Duration;

use extend_common::ids::NodeAddr;
use extend_common::record::PullPolicy;
use extend_common::roles::RoleSet;

use super::alerts::AlertSettings;
use super::archive::Kept;

/// A node that has said nothing for so many heartbeats is suspect.
const SUSPECT_HEARTBEATS: u32 = 3;
/// Below this, a few lost packets would raise an alarm. TCP repeats what is lost about every 200 ms
/// (`common::tls` has it not double that while there is little under way), so that for a silence of
/// this length nine copies have to be lost in a row.
const LEAST_SUSPECT: Duration = Duration::from_millis(2_500);
/// A node that has been suspect for half as long again is given up: with the default heartbeat
/// after four and a half seconds, so that it is seen within five.
const LOST_PERCENT: u32 = 150;
/// Agents dial again every five seconds at the latest, and a fleet of thousands needs a while for
/// its handshakes.
const LEAST_WARM_UP: Duration = Duration::from_secs(15);

/// The settings of the core. Fixed for the life of a controller.
#[derive(Debug, Clone)]
pub struct Settings {
    /// The role definitions of this controller.
    pub roles: RoleSet,
    /// The image of a first `run` without `-i`.
    pub default_image: String,
    /// When nodes ask the registry.
    pub pull: PullPolicy,
    /// The PBX address given to the binaries; `run` is refused without.
    pub pbx_address: Option<String>,
    /// How often agents send a heartbeat.
    pub heartbeat_interval: Duration,
    /// Where agents dial this controller, and then those that it may be restored at.
    pub controllers: Arc<[SocketAddrV4]>,
    /// How much of the past stays in memory.
    pub kept: Kept,
    /// Who is told of servers, outside their nodes.
    pub outside: OutsideSettings,
    /// Who is told of what is wrong.
    pub alerts: Arc<AlertSettings>,
}

/// Who is told of servers, outside their nodes.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct OutsideSettings {
    /// The PBX's API can be used: servers are registered in the portal, and its IP whitelist is
    /// kept.
    pub portal: bool,
    /// The security group of the PBX's nodes is kept.
    pub security_group: bool,
    /// The PBX's own nodes: no server is deployed there, and firewalld is kept where it runs.
    pub pbx_nodes: Arc<[NodeAddr]>,
    /// Where its API is, host and port: checkups try it from nodes.
    pub pbx_api: Option<(String, u16)>,
}

impl Settings {
    /// Whether it is one of the PBX's own nodes.
    pub(super) fn is_of_the_pbx(&self, node: NodeAddr) -> bool {
        self.outside.pbx_nodes.contains(&node)
    }

    /// After how much silence a node is suspect.
    pub(super) fn suspect_after(&self) -> Duration {
        (self.heartbeat_interval * SUSPECT_HEARTBEATS).max(LEAST_SUSPECT)
    }

    /// After how much silence its session is given up.
    pub(super) fn lost_after(&self) -> Duration {
        self.suspect_after() * LOST_PERCENT / 100
    }

    /// How long after the controller's start nothing is said about nodes that are not back.
    pub(super) fn warm_up(&self) -> Duration {
        self.lost_after().max(LEAST_WARM_UP)
    }
}
