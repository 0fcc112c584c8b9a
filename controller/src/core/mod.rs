//! The pure core: the state of the fleet, and every decision about it.
//!
//! Synchronous and without a clock: each method of [`Fleet`] takes its input and `now`, changes
//! the memory, and returns a [`Turn`]: the answer, the rows that have to be committed, and the
//! effects that may happen once they are. The engine is its only caller. Nothing here knows
//! tokio, tonic or the store's engine room; nothing here may be told to anybody before the commit.
//!
//! ```text
//! submission ──► admit ──► rollout ──► begin ─────────► record, target   (submit, advance)
//! hello ───────► ahead? ─► abandoned? ─► welcome, assignment             (hello)
//! status ──────► image fetched ahead, in turn ──► begin              (stage, rollout)
//! status ──────► outcome of a target, of a reversal, or told late        (report)
//! deadline, cancel ──► reversal ──► end                                  (ending)
//! looks at the portal, rounds of enforcers ──► gates, what is left           (outside)
//! many that fail at once ──► hold                                        (breaker)
//! whatever of it people want to know ──► event                           (event, presence)
//! ```

pub mod admit;
mod advance;
pub mod alerts;
pub mod archive;
mod begin;
mod breaker;
pub mod checkup;
pub mod counted;
mod door;
mod ending;
mod enrol;
mod event;
pub mod figures;
mod firewall;
mod fleet;
mod hello;
pub mod history;
mod key;
mod leads;
mod liveness;
mod load;
mod logs;
mod node;
mod operation;
mod outside;
mod presence;
mod recover;
pub mod refusal;
mod remove;
mod report;
pub mod request;
mod retry;
pub mod rollout;
mod row;
mod settings;
mod show;
mod stage;
mod standing;
mod submit;
mod tick;
mod turn;
pub mod view;
mod words;

#[cfg(test)]
pub(crate) mod tests;

pub use archive::{ArchiveKey, Kept};
pub use firewall::Reach;
pub use fleet::Fleet;
pub use key::Key;
pub use load::{LoadError, Loading, PREFIXES};
pub use settings::{OutsideSettings, Settings};
pub use tick::TICK;
pub use turn::{CloseReason, Effect, Turn};
