//! From the store to a memory: at the start, and after a commit that failed.
//!
//! After a failed commit nobody knows whether it was written, and the memory already says it was.
//! So the epoch is raised, which makes final whatever the store shows from then on, and the memory
//! is read anew. Every session is closed: agents come back with a hello and are told what holds.

use std::time::Duration;

use extend_common::backoff::{Backoff, jitter};

use super::batch::{Gathering, Revisions};
use super::config::EngineConfig;
use super::crash::CrashPoint;
use super::task::{Task, with_sources};
use super::{EngineError, EngineFailure, StartError};
use crate::core::{CloseReason, Fleet, Loading, PREFIXES};
use crate::store::{Epoch, StoreHandle};

/// How long to wait before a store that failed is tried again.
const RETRY: Backoff = Backoff {
    first: Duration::from_millis(50),
    most: Duration::from_secs(2),
};

/// A memory as it was just read.
pub(super) struct Memory {
    pub(super) fleet: Fleet,
    pub(super) epoch: Epoch,
    pub(super) revisions: Revisions,
}

/// Takes the store over and reads it.
pub(super) async fn load(
    store: &StoreHandle,
    config: &EngineConfig,
    last_session: u64,
    at_start: bool,
) -> Result<Memory, StartError> {
    let epoch = store.raise_epoch(0).await?;
    if at_start {
        config.crash.at(CrashPoint::EpochRaised).await;
    }
    // One picture, though read in pieces: nobody else may write under this epoch.
    let mut entries = Vec::new();
    for prefix in PREFIXES {
        entries.extend(store.load(&format!("{prefix}/")).await?);
    }
    let loading = Loading {
        settings: config.settings(),
        store: store.identity(),
        epoch: epoch.0,
        last_session,
    };
    let rows = entries
        .iter()
        .map(|entry| (entry.key.as_str(), entry.value.as_slice()));
    let fleet = Fleet::load(loading, rows, config.clock.now())?;
    let mut revisions = Revisions::default();
    for entry in &entries {
        if let Ok(key) = entry.key.parse() {
            revisions.note(key, entry.revision);
        }
    }
    if at_start {
        config.crash.at(CrashPoint::Loaded).await;
    }
    Ok(Memory {
        fleet,
        epoch,
        revisions,
    })
}

impl Task {
    /// Drops the memory and reads it again, however long the store takes to answer. Meanwhile
    /// whoever asks is told that it failed.
    pub(super) async fn revive(&mut self, failure: EngineError) -> Result<(), EngineFailure> {
        tracing::error!(%failure, "dropping the memory and reading the store again");
        std::mem::take::<Gathering>(&mut self.gathering).fail(&failure);
        self.sessions.close_all(CloseReason::StoreFailed);
        let loading = load_again(
            self.store.clone(),
            self.config.clone(),
            self.fleet.last_session(),
        );
        let mut loading = Box::pin(loading);
        let memory = loop {
            // Dropping the read of the queue half-way loses nothing, and the loading goes on.
            tokio::select! {
                biased;
                memory = &mut loading => break memory?,
                () = self.shutdown.cancelled() => return Ok(()),
                command = self.queue.recv() => match command {
                    Some(command) => command.fail(failure.clone()),
                    None => return Ok(()),
                },
            }
        };
        self.fleet = memory.fleet;
        self.epoch = memory.epoch;
        self.revisions = memory.revisions;
        self.fleet.say_read_again(self.clock().now());
        self.publish_door();
        self.publish_outside();
        self.events.send_replace(self.fleet.last_event());
        self.show_again();
        tracing::info!(epoch = %self.epoch, "the memory was read again");
        Ok(())
    }

    /// Shows watchers what holds now; those of an operation that was never committed are left.
    fn show_again(&mut self) {
        for id in self.watchers.all() {
            match self.fleet.operation(id) {
                Some(operation) => self.watchers.publish(std::sync::Arc::new(operation)),
                None => self.watchers.drop_operation(id),
            }
        }
    }
}

/// Loads until the store answers.
async fn load_again(
    store: StoreHandle,
    config: EngineConfig,
    last_session: u64,
) -> Result<Memory, EngineFailure> {
    let mut attempt = 0;
    loop {
        match load(&store, &config, last_session, false).await {
            Ok(memory) => return Ok(memory),
            Err(StartError::Load(error)) => return Err(error.into()),
            Err(error) => {
                tracing::error!(reason = with_sources(&error), "the store does not answer");
                tokio::time::sleep(RETRY.wait(attempt, jitter())).await;
                attempt = attempt.saturating_add(1);
            }
        }
    }
}
