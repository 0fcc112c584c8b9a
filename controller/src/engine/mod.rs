//! The engine: the one task that owns the fleet's state in memory.
//!
//! ```text
//! handle ──► queue ──► fleet (pure) ──► batch being gathered ──► batch being committed ──► release
//!                        ▲                                         │ one at a time          │
//!                        └── tick ──                               ▼                        ▼
//!                                                                store        door, watchers, agents,
//!                                                                             replies: in this order
//! ```
//!
//! Inputs that arrive while a batch is on its way to the disk are applied to the memory and
//! gathered into the next one. Nobody is told anything before the commit that makes it true. When
//! a commit fails, the memory is dropped and read again ([`revival`]).
//!
//! Decides nothing about servers: that is [`crate::core`].

mod apply;
mod archive;
mod batch;
mod checkups;
mod command;
mod config;
mod crash;
mod firewall;
mod handle;
pub mod meter;
mod outside;
mod prune;
mod questions;
mod release;
mod revival;
pub mod session;
mod sessions;
mod task;
mod watch;

#[cfg(test)]
mod tests;

use std::sync::Arc;

use tokio::sync::{mpsc, watch as latest};
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

use crate::core::LoadError;
use crate::store::{StoreError, StoreHandle};

pub use checkups::Checkup;
pub use config::EngineConfig;
#[cfg(feature = "failpoints")]
pub use crash::AbortAt;
pub use crash::{CrashHook, CrashPoint, InputKind, Moment, NoCrash};
pub use firewall::FirewallAnswer;
pub use handle::{EngineError, EngineHandle};
pub use meter::Meter;
pub use outside::Wanted;
pub use session::{SessionReceiver, SessionSender};

/// Why the engine cannot begin.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// The store cannot be read or written.
    #[error("taking over the store")]
    Store(#[from] StoreError),
    /// What is in it cannot be understood.
    #[error("loading the fleet")]
    Load(#[from] LoadError),
    /// The first commit failed.
    #[error("noting that the store is new: {0}")]
    Commit(String),
}

/// Why the engine ended without having been asked to.
#[derive(Debug, thiserror::Error)]
pub enum EngineFailure {
    /// Another controller has taken the store over: this one must not go on.
    #[error("another controller has taken the store over")]
    TakenOver,
    /// What is in the store cannot be understood any more.
    #[error("loading the fleet again")]
    Load(#[from] LoadError),
}

/// The engine, before it runs.
#[derive(Debug)]
pub struct Engine;

impl Engine {
    /// Raises the epoch, loads the fleet and begins. The task ends when `shutdown` is cancelled,
    /// with everything committed that was asked for, or by itself when it must not go on.
    ///
    /// # Errors
    /// When the store cannot be taken over or understood. No agent has been told anything then.
    pub async fn start(
        store: StoreHandle,
        config: EngineConfig,
        shutdown: CancellationToken,
    ) -> Result<(EngineHandle, JoinHandle<Result<(), EngineFailure>>), StartError> {
        let (commands, queue) = mpsc::channel(handle::QUEUE);
        let (door_sender, door) = latest::channel(Arc::default());
        let (events_sender, events) = latest::channel(0);
        let (outside_sender, outside) = latest::channel(outside::Wanted::default());
        let pruner = prune::Pruner {
            store: store.clone(),
            commands: commands.downgrade(),
            keep: config.keep,
            clock: config.clock,
            shutdown: shutdown.clone(),
        };
        let inputs = (queue, shutdown);
        let shown = (door_sender, events_sender);
        let task = task::Task::start(store.clone(), config, shown, outside_sender, inputs).await?;
        let meter = Arc::clone(&task.meter);
        tokio::spawn(pruner.run());
        let running = tokio::spawn(task.run());
        Ok((
            EngineHandle {
                commands,
                door,
                outside,
                events,
                questions: questions::Questions::default(),
                firewalls: questions::Questions::default(),
                checkups: questions::Questions::default(),
                archive: archive::Archive::new(store.clone()),
                store,
                meter,
            },
            running,
        ))
    }
}
