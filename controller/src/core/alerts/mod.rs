//! Alerts: what is wrong, for long enough that people have to know, and who was told of it.
//!
//! ```text
//! fleet ──► find: findings (pure) ──► life: pending ──► firing ──► resolved
//!                                                  │ group wait      │
//!                                                  ▼                 ▼
//!                                     tell: notices, a row each, until the receiver has taken it
//! ```
//!
//! A finding that has lasted for its rule's time is an alert: a row. What a receiver was told of it
//! stands in that row, written in the same transaction as the notice that tells it: a controller
//! that dies at any moment forgets no alert, and tells none twice apart from a notice that was on
//! its way, which bears the same id again. While a receiver takes nothing, alerts wait in their
//! rows, so that no more than [`MOST_NOTICES`] messages do.

mod find;
mod life;
mod load;
mod operate;
mod restarts;
mod row;
mod rule;
mod settings;
mod tell;
mod view;

use std::collections::BTreeMap;
use std::sync::Arc;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use extend_common::ids::{NodeAddr, RoleName, ServerName};

pub use row::{Acknowledged, SilenceRow};
pub(super) use row::{AlertCounter, AlertRow};
pub use row::{Notice, Told};
pub use rule::{NoRule, Rule, Severity};
pub use settings::{AlertSettings, ReceiverFilter, RuleSetting, Window};
pub use view::{AlertView, AlertsView, Delivery, ReceiverTrouble, ReceiverView};

/// So many alerts fire. More at once have a cause that these tell of already.
pub(super) const MOST_ALERTS: usize = 1_000;
/// So many that are over wait for receivers that are still to be told. Apart from what fires: a
/// receiver that takes nothing keeps no alert from the others.
pub(super) const MOST_OWED: usize = 1_000;
/// So many notices wait for one receiver; then alerts wait for it in their rows.
pub(super) const MOST_NOTICES: usize = 16;
/// One notice tells of so many alerts in full, and counts the rest.
pub(super) const MOST_NAMED: usize = 20;
/// So many silences there may be.
pub(super) const MOST_SILENCES: usize = 100;

/// What an alert is about.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Subject {
    /// What it is, apart from all others of its rule: an address, an operation, an enforcer.
    pub what: String,
    /// On which node.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub node: Option<NodeAddr>,
    /// Which server.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub name: Option<ServerName>,
    /// Of which role.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub role: Option<RoleName>,
}

/// What is wrong, in words.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Finding {
    /// What it is about.
    pub subject: Subject,
    /// Since when, as far as anybody knows.
    pub since: Timestamp,
    /// What is wrong.
    pub what: String,
    /// What Extend did about it.
    pub done: String,
    /// What a person can do.
    pub todo: String,
}

/// Which alert: the rule, and what it is about.
pub(super) type Place = (Rule, String);

/// What is wrong.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(super) struct Findings {
    pub(super) found: BTreeMap<Place, Finding>,
}

/// What is found and has not lasted long enough.
#[derive(Debug, Clone)]
pub(super) struct Pending {
    pub(super) since: Timestamp,
    pub(super) finding: Finding,
    /// Its time is over, and there is no place for it.
    pub(super) waits: bool,
}

/// Alerts, silences and notices. What is not a row is found again.
#[derive(Debug, Default)]
pub(super) struct Alerts {
    pub(super) counter: AlertCounter,
    pub(super) rows: BTreeMap<u64, AlertRow>,
    pub(super) notices: BTreeMap<u64, Arc<Notice>>,
    pub(super) silences: BTreeMap<u64, SilenceRow>,
    /// By rule and subject, which row.
    pub(super) places: BTreeMap<Place, u64>,
    pub(super) pending: BTreeMap<Place, Pending>,
    /// Since when a firing alert has not been found.
    pub(super) clear: BTreeMap<u64, Timestamp>,
    /// How often servers were restarted within the last hour.
    restarts: restarts::Restarts,
    /// Up to which event restarts were counted.
    pub(super) counted: u64,
    pub(super) troubles: BTreeMap<String, ReceiverTrouble>,
    pub(super) judged: Option<Timestamp>,
    /// Alerts wait for a place, and that was told.
    pub(super) crowded: bool,
    /// How many events the present look has brought.
    pub(super) said: usize,
    /// When an operation worked on servers last.
    pub(super) targets: BTreeMap<NodeAddr, Timestamp>,
}

#[cfg(test)]
mod tests;
