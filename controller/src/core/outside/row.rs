//! What has to be remembered of what lies outside a node.

use std::net::Ipv4Addr;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use extend_common::ids::{OperationId, RoleName, ServerName};

use super::Site;
use crate::portal::Limits;

/// So many things that have to go are remembered for one node; of more, the oldest is given up.
pub(super) const MOST_LEFT: usize = 32;

/// What lies outside one node, as far as the records do not tell.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(in crate::core) struct OutsideRow {
    /// What has to go.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub(in crate::core) left: Vec<Left>,
    /// What the server may carry, as its `run` said.
    #[serde(default)]
    pub(in crate::core) limits: Limits,
    /// It was disabled in the portal by us.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(in crate::core) disabled: Option<Disabled>,
    /// When it was enabled again by itself, within the last hour.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub(in crate::core) enabled: Vec<Timestamp>,
}

/// A server, or some addresses of one, that is there no longer.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(in crate::core) struct Left {
    /// Its name.
    pub(in crate::core) name: ServerName,
    /// Its role.
    pub(in crate::core) role: RoleName,
    /// Its Elastic IP, if it had one.
    pub(in crate::core) public: Option<Ipv4Addr>,
    /// Its node's address is let in for it no longer either; otherwise only the Elastic IP is
    /// another one now.
    pub(in crate::core) whole: bool,
    /// It is to be registered no longer, at the addresses that it had.
    pub(in crate::core) registered: bool,
    /// Since when.
    pub(in crate::core) since: Timestamp,
}

/// That, why and since when a server was disabled in the portal.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(in crate::core) struct Disabled {
    /// Why.
    pub(in crate::core) why: Why,
    /// Why it was already, before an operation took it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(in crate::core) before: Option<Why>,
    /// Since when it is to be disabled; then, since when it is to be enabled again.
    pub(in crate::core) since: Timestamp,
    /// It was seen to be disabled.
    #[serde(default)]
    pub(in crate::core) seen: bool,
    /// It is to be enabled again.
    #[serde(default)]
    pub(in crate::core) over: bool,
}

/// Why a server is disabled.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(in crate::core) enum Why {
    /// `extend drain`
    Drained,
    /// An operation is about to end its process.
    Operation(OperationId),
    /// It was stopped on purpose.
    Stopped,
    /// It failed, and another one takes over.
    Failed,
    /// It does not answer and carries calls: it is to get no more.
    Spared,
}

impl Left {
    /// A server that is gone from its node.
    pub(super) fn whole(site: &Site, registered: bool, since: Timestamp) -> Self {
        Self {
            name: site.name.clone(),
            role: site.role.clone(),
            public: site.public,
            whole: true,
            registered,
            since,
        }
    }
}

impl OutsideRow {
    /// Whether there is nothing to remember.
    pub(in crate::core) fn is_empty(&self) -> bool {
        *self == Self::default()
    }
}
