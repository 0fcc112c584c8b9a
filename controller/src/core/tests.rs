//! Tests of the core: a bench that commits every turn, agents that do as they are told (or not),
//! and the guide's fleet.

mod adoption;
pub(crate) mod agent;
mod archive;
pub(crate) mod bench;
mod breaker;
mod deployments;
mod door;
mod ending;
mod enrol;
mod events;
mod flow;
mod hello;
mod history;
mod invariants;
mod leads;
mod liveness;
mod logs;
mod model;
mod outside;
mod own_events;
mod plans;
mod provoked;
mod recover;
mod refusals;
mod reports;
mod rollout;
pub(super) mod scale;
mod staging;
pub(crate) mod told;
mod waiting;
