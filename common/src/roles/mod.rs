//! Roles are data: what containers a server role consists of, how they are probed and timed.
//!
//! The four cluster roles are built in and reproduce the official containers field by field.
//! Files in a directory of the administrator's (`/etc/extend/roles.d`) replace or add roles.

mod definition;
mod host;
mod ports;
mod probe;
mod set;

pub use definition::{
    ContainerDefinition, Digest, DirectoryDefinition, FirewallDefinition, ImageRules, LogLimits,
    MountDefinition, PreflightLimits, Resource, RestartPolicy, RoleDefinition, SessionsDefinition,
    Timing,
};
pub use host::HostDefinition;
pub use ports::PortRange;
pub use probe::{Consequence, Point, ProbeDefinition, ProbeKind, Transport};
pub use set::{RoleSet, RoleSetError};

#[cfg(test)]
mod tests;
