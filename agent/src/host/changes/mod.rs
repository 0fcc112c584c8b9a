//! What is changed on the host for a role and put back when its server is removed: kernel
//! parameters and the firewall's ports. Each change is noted before it is made, with what was
//! there before, so that whoever is killed in between leaves nothing that cannot be undone.
//!
//! Called by the parent's `system`, as root. Data is not its business.

mod firewalld;
mod notes;
mod parameters;
mod run;
#[cfg(test)]
mod tests;

pub(super) use firewalld::Firewall;
pub(super) use notes::{Notes, told};
pub(super) use parameters::Parameters;
pub(super) use run::{Said, run};
