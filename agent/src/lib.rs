//! The agent: manages the Docker services of one node, by records that a controller keeps.
//!
//! `core` decides (pure), `execute` does, `reconciler` joins the two with what it observes,
//! `session` speaks with the controller, `logs` reads for operators what the server writes, and
//! `registry` asks where an image's reference leads,
//! `preflight` looks whether the host is as the guide wants it, and `cloud` asks what the cloud says of
//! the instance.

pub mod cli;
pub mod cloud;
pub mod config;
pub mod core;
pub mod daemon;
pub mod docker;
pub mod dumps;
pub mod execute;
pub mod failure;
pub mod faults;
pub mod firewall;
pub mod host;
pub mod identity;
pub mod journal;
pub mod latest;
pub mod ledger;
pub mod lock;
pub mod logs;
pub mod preflight;
pub mod probe;
pub mod reconciler;
pub mod registry;
pub mod service;
pub mod session;
pub mod sessions;
pub mod watchdog;
