//! A stand-in for the PBX's REST API, for tests: strict where the real one may be lenient.
//!
//! It refuses paths, methods, query parameters and fields that are not documented, wrong types,
//! missing fields, values out of range and tokens that are over, and notes each such call as a
//! violation ([`State::violations`]), so that a test finds out also when the client got over it. It
//! keeps its state in memory, records every call ([`Call`]), and suffers from what it is told to
//! ([`Fault`]).
//!
//! ```text
//! TLS ── hyper ── serve ──► fault? ── api (pure: state, call → answer) ──► record ──► fault?
//! ```
//!
//! The library is for tests in the same process; the binary is the same behind a control port.

mod api;
pub mod control;
mod fault;
mod serve;
mod shape;
mod state;

pub use fault::{After, Fault, What};
pub use serve::{Options, StandIn};
pub use state::{Call, Filter, Kind, Server, State};
