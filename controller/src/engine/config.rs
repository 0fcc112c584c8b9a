//! What the engine is started with.

use std::fmt;
use std::net::SocketAddrV4;
use std::sync::Arc;
use std::time::Duration;

use extend_common::clock::Clock;
use extend_common::record::PullPolicy;
use extend_common::roles::RoleSet;

use super::crash::CrashHook;
use crate::core::alerts::AlertSettings;
use crate::core::{Kept, OutsideSettings, Settings};

/// The configuration of the engine; filled in by the daemon.
#[derive(Clone)]
pub struct EngineConfig {
    /// The role definitions of this controller.
    pub roles: RoleSet,
    /// The image of a first `run` without `-i`.
    pub default_image: String,
    /// When nodes ask the registry.
    pub pull: PullPolicy,
    /// The PBX address given to the binaries; `run` is refused without.
    pub pbx_address: Option<String>,
    /// How often agents send a heartbeat.
    pub heartbeat: Duration,
    /// Where agents dial this controller, and then those that it may be restored at.
    pub controllers: Arc<[SocketAddrV4]>,
    /// The store was made just now, and the certificate authority was there already: nodes may
    /// know more than the store, and are let in to be taken back.
    pub recovering: bool,
    /// How much of the past stays in memory.
    pub kept: Kept,
    /// Who is told of servers, outside their nodes.
    pub outside: OutsideSettings,
    /// Who is told of what is wrong.
    pub alerts: Arc<AlertSettings>,
    /// How long the archive is kept.
    pub keep: Duration,
    /// The time.
    pub clock: Clock,
    /// Where to die, in tests.
    pub crash: Arc<dyn CrashHook>,
}

impl EngineConfig {
    pub(super) fn settings(&self) -> Settings {
        Settings {
            roles: self.roles.clone(),
            default_image: self.default_image.clone(),
            pull: self.pull,
            pbx_address: self.pbx_address.clone(),
            heartbeat_interval: self.heartbeat,
            controllers: self.controllers.clone(),
            kept: self.kept,
            outside: self.outside.clone(),
            alerts: Arc::clone(&self.alerts),
        }
    }
}

impl fmt::Debug for EngineConfig {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("EngineConfig")
            .field("default_image", &self.default_image)
            .field("pbx_address", &self.pbx_address)
            .field("heartbeat", &self.heartbeat)
            .field("recovering", &self.recovering)
            .finish_non_exhaustive()
    }
}
