//! What operators are shown of alerts, and what a notifier tells.

use jiff::Timestamp;

use super::Finding;
use super::row::{Acknowledged, SilenceRow};
use super::rule::{Rule, Severity};

/// An alert, or what may become one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AlertView {
    /// Its number; none while it is pending.
    pub id: Option<u64>,
    /// Its rule.
    pub rule: Rule,
    /// How bad it is.
    pub severity: Severity,
    /// What is wrong.
    pub finding: Finding,
    /// When it fired, or will.
    pub fires: Timestamp,
    /// Who knows of it.
    pub acknowledged: Option<Acknowledged>,
    /// A silence or a window keeps it quiet.
    pub silenced: bool,
}

/// A receiver, and how telling it goes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ReceiverView {
    /// Its name.
    pub name: String,
    /// So many notices wait for it.
    pub waiting: usize,
    /// Why it does not take them.
    pub trouble: Option<ReceiverTrouble>,
}

/// Why a receiver does not take its notices.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ReceiverTrouble {
    /// Since when.
    pub since: Timestamp,
    /// How often it was tried.
    pub attempts: u64,
    /// What came of the last try.
    pub sentence: String,
}

/// Everything about alerts.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct AlertsView {
    /// What fires, the worst first.
    pub firing: Vec<AlertView>,
    /// What may.
    pub pending: Vec<AlertView>,
    /// Who is told.
    pub receivers: Vec<ReceiverView>,
    /// Who asked for quiet.
    pub silences: Vec<SilenceRow>,
    /// Windows that are open.
    pub open_windows: usize,
    /// Alerts that wait for a place.
    pub dropped: u64,
    /// Nothing is judged yet: agents are coming back.
    pub warming_up: bool,
}

/// What came of sending a notice.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Delivery {
    /// To whom.
    pub receiver: String,
    /// Which.
    pub notice: u64,
    /// Taken, or why not.
    pub result: Result<(), String>,
}
