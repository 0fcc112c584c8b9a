//! What agents can do beyond what every agent can. They name it in their hello, so that a controller
//! does not ask an older one for what it would leave out unread.

/// Waits for sessions before it ends a process: not to know how must not become not to wait.
pub const DRAIN: &str = "drain";

/// Refuses an image that is newer than its record allows: not to know the bound must not become to
/// have none.
pub const NEWEST: &str = "newest";

/// Is asked for firewalld on a node of the PBX, and answers.
pub const FIREWALL: &str = "firewall";

/// Looks at its host and tells whether it is as the guide wants it.
pub const CHECKUP: &str = "checkup";

/// Everything that the agent of this version can do.
pub const ALL: [&str; 4] = [DRAIN, NEWEST, FIREWALL, CHECKUP];
