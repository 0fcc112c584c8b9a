//! Whoever is killed, at whatever moment: the operation ends as it should, once, and the service
//! is what it was asked to be. Real programs, real kills, a real Docker Engine; the sweeps over
//! every moment are the simulated fleets' (`sim_faults`).
//!
//! Needs root and a Docker Engine: `make test` starts one. Without them it fails.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    reason = "everything here is a test, also what is not marked as one"
)]

#[path = "docker_faults/common.rs"]
mod common;
#[path = "docker_faults/full.rs"]
mod full;
#[path = "docker_faults/hung.rs"]
mod hung;
#[path = "docker_faults/killed.rs"]
mod killed;
#[path = "docker_faults/lost.rs"]
mod lost;
