//! What a node's cloud says of it, as its agent has read it from the instance metadata.

use crate::ids::NodeAddr;

/// An instance as its cloud knows it. What it does not tell is empty.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct CloudFacts {
    /// The address by which the Internet reaches it: its Elastic IP, if it has one.
    pub public: Option<NodeAddr>,
    /// The primary private address of its first interface: it stays for the instance's life.
    pub private: Option<NodeAddr>,
    /// `i-…`
    pub instance: String,
    /// `vpc-…`
    pub vpc: String,
    /// `subnet-…`
    pub subnet: String,
    /// `sg-…`, of that interface, in order.
    pub security_groups: Vec<String>,
}

/// More groups than an interface can have.
pub const MAX_GROUPS: usize = 16;
/// The longest id.
pub const MAX_ID: usize = 64;

/// Whether a text can be an id of the cloud's: what comes from there is shown and compared.
pub fn is_id(text: &str) -> bool {
    let plain = |c: char| c.is_ascii_alphanumeric() || c == '-';
    !text.is_empty() && text.len() <= MAX_ID && text.chars().all(plain)
}
