//! The security group's enforcer against moto's server, with faults on the way to it.
//! `scripts/moto.sh cargo nextest run -p extend-controller --features failpoints,aws --test aws`

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    reason = "helpers of tests are tests too"
)]

#[path = "aws/going.rs"]
mod going;
#[path = "aws/moto.rs"]
mod moto;
#[path = "aws/proxy.rs"]
mod proxy;
#[path = "aws/rig.rs"]
mod rig;
