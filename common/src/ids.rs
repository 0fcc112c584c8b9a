//! Typed identifiers. Each is parsed once, at the edge, and correct from then on.

use std::fmt;
use std::net::Ipv4Addr;
use std::str::FromStr;

use serde::{Deserialize, Serialize};
use ulid::Ulid;

/// Why a text is no identifier.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum IdError {
    /// Not four numbers with dots between them.
    #[error("`{0}` is no IPv4 address")]
    NotIpv4(String),
    /// An IPv4 address that no host can have.
    #[error("`{0}` cannot be the address of a node")]
    NotAHost(Ipv4Addr),
    /// A portal name outside the rule.
    #[error("`{0}` is no server name: 1 to 64 letters, digits, `_` or `-`")]
    Name(String),
    /// A role name outside the rule.
    #[error("`{0}` is no role name: 1 to 64 lower-case letters, digits or `-`")]
    Role(String),
    /// Not a ULID.
    #[error("`{0}` is no {1} id")]
    Ulid(String, &'static str),
}

/// A node, identified by its private IPv4 address.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct NodeAddr(Ipv4Addr);

impl NodeAddr {
    /// The address as the standard library has it.
    pub fn ip(self) -> Ipv4Addr {
        self.0
    }
}

impl TryFrom<Ipv4Addr> for NodeAddr {
    type Error = IdError;

    fn try_from(ip: Ipv4Addr) -> Result<Self, IdError> {
        if ip.is_unspecified() || ip.is_broadcast() || ip.is_multicast() {
            return Err(IdError::NotAHost(ip));
        }
        Ok(Self(ip))
    }
}

impl FromStr for NodeAddr {
    type Err = IdError;

    fn from_str(text: &str) -> Result<Self, IdError> {
        let ip: Ipv4Addr = text.parse().map_err(|_| IdError::NotIpv4(clip(text)))?;
        Self::try_from(ip)
    }
}

impl fmt::Display for NodeAddr {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // `pad` so that tables can align it.
        f.pad(&self.0.to_string())
    }
}

/// The name of a server as it was entered in the PBX Web Portal: 1 to 64 letters, digits, `_`
/// or `-`.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct ServerName(String);

impl ServerName {
    /// The name as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromStr for ServerName {
    type Err = IdError;

    fn from_str(text: &str) -> Result<Self, IdError> {
        let allowed = |c: char| c.is_ascii_alphanumeric() || c == '_' || c == '-';
        if text.is_empty() || text.len() > 64 || !text.chars().all(allowed) {
            return Err(IdError::Name(clip(text)));
        }
        Ok(Self(text.to_owned()))
    }
}

impl fmt::Display for ServerName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&self.0)
    }
}

/// The canonical name of a role: the word after `-s`, for example `media-server-only`. Aliases
/// are resolved by [`crate::roles::RoleSet`] before a value of this type is made.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct RoleName(String);

impl RoleName {
    /// The name as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromStr for RoleName {
    type Err = IdError;

    fn from_str(text: &str) -> Result<Self, IdError> {
        let allowed = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-';
        if text.is_empty() || text.len() > 64 || !text.chars().all(allowed) {
            return Err(IdError::Role(clip(text)));
        }
        Ok(Self(text.to_owned()))
    }
}

impl fmt::Display for RoleName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&self.0)
    }
}

macro_rules! through_text {
    ($($name:ident),*) => {$(
        impl TryFrom<String> for $name {
            type Error = IdError;
            fn try_from(text: String) -> Result<Self, IdError> {
                text.parse()
            }
        }
        impl From<$name> for String {
            fn from(id: $name) -> String {
                id.to_string()
            }
        }
    )*};
}
through_text!(NodeAddr, ServerName, RoleName, OperationId, RequestId);

macro_rules! ulid_id {
    ($(#[$doc:meta])* $name:ident, $what:literal) => {
        $(#[$doc])*
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
        #[serde(try_from = "String", into = "String")]
        pub struct $name(pub Ulid);

        impl FromStr for $name {
            type Err = IdError;
            fn from_str(text: &str) -> Result<Self, IdError> {
                Ulid::from_string(text)
                    .map(Self)
                    .map_err(|_| IdError::Ulid(clip(text), $what))
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.pad(&self.0.to_string())
            }
        }
    };
}

ulid_id!(
    /// An operation. Sorts by the time of its submission.
    OperationId,
    "operation"
);

impl OperationId {
    /// The ending that people type and that progress lines show: enough to tell apart the
    /// operations of a fleet's lifetime, and matched unambiguously by the controller.
    pub fn short(self) -> String {
        let text = self.0.to_string().to_lowercase();
        text.get(text.len().saturating_sub(6)..)
            .unwrap_or(&text)
            .to_owned()
    }
}

ulid_id!(
    /// A submission, named by the command line: sending it again returns the same operation.
    RequestId,
    "request"
);

/// A hostile text may be long: errors repeat only its beginning.
fn clip(text: &str) -> String {
    let mut out: String = text
        .chars()
        .take(80)
        .flat_map(char::escape_default)
        .collect();
    if text.chars().count() > 80 {
        out.push('…');
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_node_is_a_unicast_ipv4_address() {
        assert_eq!(
            "172.31.16.139".parse::<NodeAddr>().unwrap().to_string(),
            "172.31.16.139"
        );
        for wrong in [
            "",
            "172.31.16",
            "172.31.16.256",
            "::1",
            "0.0.0.0",
            "224.0.0.1",
            "host",
        ] {
            assert!(wrong.parse::<NodeAddr>().is_err(), "{wrong}");
        }
    }

    #[test]
    fn a_server_name_keeps_to_the_portals_rule() {
        for right in ["media-server-1", "a", "A_9", &"x".repeat(64)] {
            assert!(right.parse::<ServerName>().is_ok(), "{right}");
        }
        for wrong in ["", "a b", "ä", "a/b", "a.b", &"x".repeat(65)] {
            assert!(wrong.parse::<ServerName>().is_err(), "{wrong}");
        }
    }

    #[test]
    fn errors_repeat_hostile_text_escaped_and_clipped() {
        let error = "\u{1b}[31m"
            .repeat(100)
            .parse::<ServerName>()
            .unwrap_err()
            .to_string();
        assert!(!error.contains('\u{1b}') && error.len() < 700, "{error}");
    }
}
