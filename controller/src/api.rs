//! The controller's faces: what comes in over a connection, in the words of the inside.
//!
//! A handler identifies its caller, parses, makes one call of the engine and maps the answer. The
//! generated protobuf types end here. Nothing in here decides what happens to a server.

pub mod access;
pub mod agent;
pub mod connection;
pub mod enrolment;
pub mod operator;
mod pace;
mod show;
mod status;
mod wire;
