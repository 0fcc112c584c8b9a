//! What lies outside the nodes and has to follow the fleet: the portal's registrations, and the
//! entries that let the servers in.
//!
//! What is wanted is derived from the records and from the targets that are about to become some;
//! nobody can take an entry away by losing rows. What has to go is durable ([`row::Left`]) until
//! every enforcer has told that nothing of it is there.
//!
//! ```text
//! records, targets ──► wanted ──► enforcers, portal ──► seen ──► gates of targets   (gate)
//!       │                                                 ├────► what is left goes  (leave)
//!       └── removed, moved ──► left ─────────────────────┘└────► failures           (failed)
//! ```

mod after;
mod enabled;
mod failed;
mod gate;
mod leave;
mod listing;
mod row;
mod seen;
mod shown;
mod version;
mod wanted;
mod why;

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use jiff::Timestamp;

use extend_common::ids::{NodeAddr, OperationId};

use crate::portal::{Portal, PortalSeen};
use crate::whitelist::{Drift, EnforcerKind, Round};

pub(super) use gate::Gate;
pub(super) use row::OutsideRow;
#[cfg(test)]
pub(super) use row::Why;
pub(super) use wanted::Site;

/// What the controller knows of it. Everything beside `rows` is lost at a restart, and comes back
/// with the first looks.
#[derive(Debug, Default)]
pub(super) struct Outside {
    /// What has to be remembered, by node.
    pub(super) rows: BTreeMap<NodeAddr, OutsideRow>,
    /// The last look at the portal, whether anything was seen or not.
    pub(super) look: Option<PortalSeen>,
    /// The last one that showed it, and when that was begun.
    pub(super) portal: Option<(Timestamp, Portal)>,
    /// What each enforcer told last.
    pub(super) rounds: BTreeMap<EnforcerKind, Round>,
    /// What people had changed and was put right, the last ones of each enforcer.
    pub(super) drift: BTreeMap<EnforcerKind, VecDeque<Drift>>,
    /// Since when servers have been ill here and there.
    pub(super) ill: BTreeMap<NodeAddr, failed::Ill>,
    /// Why nodes do not reach the PBX, as they were found when that was asked for.
    pub(super) unreachable: BTreeMap<NodeAddr, String>,
    /// Operations with targets that wait at a gate.
    pub(super) gated: BTreeSet<OperationId>,
}
