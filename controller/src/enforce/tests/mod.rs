//! The loop of enforcers in a time that is made.

mod always;
mod going;
mod pbx;
mod portal;
mod rig;
