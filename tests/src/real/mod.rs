//! A fleet of real processes on a real Docker Engine: the programs `extend` and `extend-agent`, a
//! stand-in for the PBX image, and containers of other people that must not change.
//!
//! Everything a fleet makes it takes away again when it is dropped, also when a test fails; the
//! ends of its logs are then printed. Nothing here waits for a time to pass: [`wait::until`] waits
//! for what is to be seen, and says what was seen instead.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::print_stderr,
    reason = "everything here is part of tests"
)]

pub mod bystanders;
pub mod disk;
pub mod engine;
pub mod fleet;
pub mod images;
mod official;
pub mod process;
pub mod servers;
pub mod wait;

pub use disk::SmallDisk;
pub use engine::{Engine, Instance, PrivateEngine};
pub use fleet::{Fleet, Setup};
pub use process::Output;
pub use servers::{IVR, MEDIA, MEETING, Probing, QUEUE, SERVERS, Server, Times};
pub use wait::until;
