//! What lies outside the nodes, between the engine and those who look after it.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use extend_common::backoff::{Backoff, jitter};
use tokio::sync::watch;

use super::command::{AlertCommand, OutsideCommand, Question};
use super::{EngineError, EngineHandle};
use crate::core::Fleet;
use crate::core::alerts::{AlertsView, Delivery, Notice, SilenceRow};
use crate::core::request::SelectorWords;
use crate::portal::{PortalSeen, PortalWanted};
use crate::whitelist::{LetIn, Overview, Round};

/// Between two tries to tell of a delivery.
const AGAIN: Backoff = Backoff {
    first: Duration::from_millis(100),
    most: Duration::from_secs(5),
};

/// What is wanted outside the nodes, as it is committed.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Wanted {
    /// Which addresses are to be let in, and which no longer.
    pub let_in: Arc<LetIn>,
    /// What the portal is to be.
    pub portal: Arc<PortalWanted>,
    /// What is to be told, by receiver, the oldest first.
    pub notices: Arc<BTreeMap<String, Vec<Arc<Notice>>>>,
}

impl Wanted {
    pub(super) fn of(fleet: &Fleet) -> Self {
        Self {
            let_in: Arc::new(fleet.let_in()),
            portal: Arc::new(fleet.portal_wanted()),
            notices: Arc::new(fleet.notices()),
        }
    }
}

impl EngineHandle {
    /// What is wanted outside the nodes, at every moment. Changed only after the commit that
    /// changes it; woken also when it comes out the same.
    pub fn wanted(&self) -> watch::Receiver<Wanted> {
        self.outside.clone()
    }

    /// Tells what a look at the portal has shown.
    ///
    /// # Errors
    /// When the engine has stopped.
    pub async fn portal_seen(&self, seen: PortalSeen) -> Result<(), EngineError> {
        self.tell(OutsideCommand::Portal(Box::new(seen))).await
    }

    /// How every address stands with every enforcer.
    ///
    /// # Errors
    /// When the engine has stopped.
    pub async fn whitelist(&self) -> Result<Overview, EngineError> {
        self.ask(|reply| Question::Whitelist { reply }).await
    }

    /// Tells what came of sending a notice, again and again until that is committed: a notice that
    /// was taken must not stand in the store as one that was not. Told twice it is told once.
    ///
    /// # Errors
    /// When the engine has stopped.
    pub async fn delivered(&self, delivery: Delivery) -> Result<(), EngineError> {
        let mut attempt = 0;
        loop {
            let delivery = Box::new(delivery.clone());
            let told = self.ask(|reply| AlertCommand::Delivered { delivery, reply });
            match told.await {
                Err(error @ EngineError::StoreFailed(_)) => {
                    tracing::warn!(%error, "a delivery is told again: it was not committed");
                    tokio::time::sleep(AGAIN.wait(attempt, jitter())).await;
                    attempt = attempt.saturating_add(1);
                }
                told => return told,
            }
        }
    }

    /// Everything about alerts.
    ///
    /// # Errors
    /// When the engine has stopped.
    pub async fn alerts(&self) -> Result<AlertsView, EngineError> {
        self.ask(|reply| AlertCommand::List { reply }).await
    }

    /// Somebody knows of an alert, or of all of them. Answers of how many nobody did before.
    ///
    /// # Errors
    /// When no such alert fires.
    pub async fn acknowledge(
        &self,
        id: Option<u64>,
        note: String,
        by: String,
    ) -> Result<usize, EngineError> {
        self.ask(|reply| AlertCommand::Acknowledge {
            id,
            note,
            by,
            reply,
        })
        .await
    }

    /// Nobody is told of the servers that are meant, for so long.
    ///
    /// # Errors
    /// When the selector means nothing, or there are too many already.
    pub async fn silence(
        &self,
        words: SelectorWords,
        lasts: Duration,
        note: String,
        by: String,
    ) -> Result<SilenceRow, EngineError> {
        self.ask(|reply| AlertCommand::Silence {
            words,
            lasts,
            note,
            by,
            reply,
        })
        .await
    }

    /// Ends a silence before its time.
    ///
    /// # Errors
    /// When there is none with this number.
    pub async fn unsilence(&self, id: u64, by: String) -> Result<(), EngineError> {
        self.ask(|reply| AlertCommand::Unsilence { id, by, reply })
            .await
    }

    /// Tells what an enforcer has come to.
    ///
    /// # Errors
    /// When the engine has stopped.
    pub async fn enforced(&self, round: Round) -> Result<(), EngineError> {
        self.tell(OutsideCommand::Enforced(Box::new(round))).await
    }
}
