//! What the system tests share: simulated fleets with an in-memory Docker ([`sim`]), fleets of
//! real processes against a real Docker Engine ([`real`]), the lab of nodes that boot ([`lab`]), and the
//! guide's command lines.

#![allow(
    clippy::expect_used,
    clippy::unwrap_used,
    reason = "a harness that cannot go on fails its test"
)]

pub mod guide;
pub mod lab;
pub mod real;
pub mod sim;
pub mod unasked;
