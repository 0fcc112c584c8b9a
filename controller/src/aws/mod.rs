//! EC2, as far as one security group needs it: five calls of its Query API, signed by
//! `aws-sigv4` with what the official chain of credentials finds.
//!
//! ```text
//! Ec2 ── call ──► query (pure: form)  ──► sign ──► HTTPS ──► answer (pure: XML) ──► rules | Ec2Error
//!                                          ▲ aws-config: environment, profile, role of the instance
//! ```
//!
//! Why not the SDK: decision 0015. TLS is rustls with ring, here as everywhere. Nothing is repeated
//! here: whoever calls looks first ([`crate::enforce`]).

mod answer;
mod client;
mod error;
mod query;

#[cfg(test)]
mod tests;

pub use answer::Rule;
pub use client::{Ec2, Ec2Settings};
pub use error::{Ec2Error, Means};
