//! The controller and the operator's command line, as a library: the binary `extend` is a few
//! lines over it, and the system tests start it in their own process.

pub mod api;
#[cfg(feature = "aws")]
pub mod aws;
pub mod backup;
pub mod ca;
pub mod cli;
pub mod config;
pub mod core;
pub mod daemon;
pub mod enforce;
pub mod engine;
pub mod logs;
pub mod metrics;
pub mod notify;
pub mod package;
pub mod pbx;
pub mod portal;
pub mod shim;
pub mod store;
pub mod whitelist;
