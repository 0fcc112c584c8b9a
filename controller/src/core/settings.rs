//! What an administrator has decided, as far as the core needs it.

use std::time::Duration;

use extend_common::record::PullPolicy;
use extend_common::roles::RoleSet;

/// A node that has said nothing for so many heartbeats is suspect.
const SUSPECT_HEARTBEATS: u32 = 4;
/// A node that has said nothing for so many heartbeats is given up.
const LOST_HEARTBEATS: u32 = 8;
/// Below this, a lost packet or two would raise an alarm: TCP repeats it after 200, 400, 800 ms …
const LEAST_SUSPECT: Duration = Duration::from_secs(4);

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
}

impl Settings {
    /// After how much silence a node is suspect.
    pub(super) fn suspect_after(&self) -> Duration {
        (self.heartbeat_interval * SUSPECT_HEARTBEATS).max(LEAST_SUSPECT)
    }

    /// After how much silence its session is given up.
    pub(super) fn lost_after(&self) -> Duration {
        (self.heartbeat_interval * LOST_HEARTBEATS).max(LEAST_SUSPECT * 2)
    }
}
