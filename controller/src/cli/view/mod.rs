//! What commands show, as documents with stable field names and as rows of tables.
//!
//! The field names are an interface: scripts read them. They are written in snake case, moments
//! are RFC 3339, words of states are those of the tables with hyphens, and what is not known is
//! null. Fields are added; none is renamed or given another meaning.
//!
//! Every text that came from elsewhere has been through `shown_text`: no node and no operator can
//! write escape sequences to somebody's terminal.

pub(crate) mod alert;
pub(crate) mod checkup;
pub(crate) mod event;
pub(crate) mod health;
pub(crate) mod host;
pub(crate) mod logs;
pub(crate) mod node;
pub(crate) mod operation;
pub(crate) mod operations;
pub(crate) mod plan;
pub(crate) mod portal;
pub(crate) mod progress;
pub(crate) mod server;
pub(crate) mod serving;
pub(crate) mod strategy;
pub(crate) mod unclaimed;
pub(crate) mod whitelist;

use std::fmt;

use extend_common::record::Stamp;
use extend_common::status::{Health, NodeState};
use extend_common::wire::{self, WireError, shown_text};
use jiff::Timestamp;
use serde::Serialize;

use super::failure::Failure;
use super::output::Tone;

/// The place of a record in the order of its node's records.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub(crate) struct Record {
    /// The life of the controller that wrote it.
    pub(crate) epoch: u64,
    /// Its number.
    pub(crate) generation: u64,
}

impl From<Stamp> for Record {
    fn from(stamp: Stamp) -> Self {
        Self {
            epoch: stamp.epoch,
            generation: stamp.generation,
        }
    }
}

impl fmt::Display for Record {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{}", self.epoch, self.generation)
    }
}

/// The answer is from a controller of another version.
pub(crate) fn not_understood(error: &WireError) -> Failure {
    Failure::local("cannot understand the answer of the controller", error)
        .cause("the controller that runs is of another version than this command")
        .hint("sudo systemctl restart extend-controller")
}

/// A text to show; none where it is empty.
fn text(text: String) -> Option<String> {
    Some(shown_text(text)).filter(|text| !text.is_empty())
}

/// Unix milliseconds as a moment; none where it is 0.
pub(crate) fn moment(field: &'static str, ms: i64) -> Result<Option<Timestamp>, Failure> {
    wire::optional_time(field, ms).map_err(|error| not_understood(&error))
}

fn health_tone(health: Health) -> Tone {
    match health {
        Health::Healthy => Tone::Good,
        Health::Starting | Health::Draining | Health::Unknown => Tone::Busy,
        Health::Unhealthy | Health::Quarantined => Tone::Bad,
        Health::Stopped | Health::Unclaimed => Tone::Faint,
    }
}

fn node_tone(state: NodeState) -> Tone {
    match state {
        NodeState::Online => Tone::Good,
        NodeState::Pending | NodeState::Suspect => Tone::Busy,
        NodeState::Offline | NodeState::Ahead => Tone::Bad,
        NodeState::Revoked => Tone::Faint,
    }
}
