//! What controller and agent share: the domain's words as types, role definitions, conversions
//! from and to the wire, the identity layer, and small helpers.
//!
//! Nothing here decides what happens to a server: that is the cores' work, in `extend-controller`
//! and `extend-agent`.

pub mod ability;
pub mod backoff;
pub mod checkup;
pub mod clock;
pub mod cloud;
pub mod config_file;
pub mod duration;
pub mod event;
pub mod exit;
pub mod files;
pub mod firewall;
pub mod guarded;
pub mod hash;
pub mod hint;
pub mod host;
pub mod ids;
pub mod logs;
pub mod man;
pub mod nearest;
pub mod operation;
pub mod owner;
pub mod record;
pub mod redact;
pub mod roles;
pub mod service;
pub mod size;
pub mod status;
pub mod telemetry;
pub mod tls;
pub mod wire;
