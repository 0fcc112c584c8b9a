//! The controller and the operator's command line, as a library: the binary `extend` is a few
//! lines over it, and the system tests start it in their own process.

pub mod config;
pub mod core;
pub mod engine;
pub mod store;
