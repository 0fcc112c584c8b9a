//! Alerts, silences and notices as the store keeps them.

use std::collections::{BTreeMap, BTreeSet};

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use extend_common::operation::Selector;

use super::Finding;
use super::rule::{Rule, Severity};

/// What is counted over the life of a store.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(in crate::core) struct AlertCounter {
    /// The last number that an alert, a silence or a notice got.
    pub(in crate::core) last: u64,
}

/// An alert that fires, or has and somebody is still to be told of its end.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(in crate::core) struct AlertRow {
    pub(in crate::core) id: u64,
    pub(in crate::core) rule: Rule,
    pub(in crate::core) severity: Severity,
    pub(in crate::core) finding: Finding,
    pub(in crate::core) fired: Timestamp,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(in crate::core) resolved: Option<Timestamp>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(in crate::core) acknowledged: Option<Acknowledged>,
    /// When each receiver was told last that it fires.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub(in crate::core) told: BTreeMap<String, Timestamp>,
    /// Once it is over: who is still to be told so.
    #[serde(default, skip_serializing_if = "BTreeSet::is_empty")]
    pub(in crate::core) owed: BTreeSet<String>,
}

/// Who knows of it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Acknowledged {
    /// Who.
    pub by: String,
    /// When.
    pub at: Timestamp,
    /// In his words; may be empty.
    pub note: String,
}

/// A time in which nobody is told, made by an operator.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SilenceRow {
    /// Which.
    pub id: u64,
    /// Of which servers.
    pub selector: Selector,
    /// Since when.
    pub since: Timestamp,
    /// Until when.
    pub until: Timestamp,
    /// Who has made it.
    pub by: String,
    /// In his words; may be empty.
    pub note: String,
}

/// A message for one receiver: a row until it was taken.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Notice {
    /// Its number.
    pub number: u64,
    /// The same however often it is sent: a receiver tells a duplicate by it.
    pub id: String,
    /// For whom.
    pub receiver: String,
    /// When it was made.
    pub at: Timestamp,
    /// What it tells, the worst first.
    pub alerts: Vec<Told>,
    /// Of so many more it tells only that they fire.
    pub more_firing: u64,
    /// And of so many more that they are over.
    pub more_resolved: u64,
}

/// An alert as a notice tells it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Told {
    /// Which.
    pub id: u64,
    /// Its rule.
    pub rule: Rule,
    /// How bad it is.
    pub severity: Severity,
    /// What is wrong.
    pub finding: Finding,
    /// When it fired.
    pub fired: Timestamp,
    /// When it was over.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub resolved: Option<Timestamp>,
    /// The receiver was told before.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub again: bool,
}
