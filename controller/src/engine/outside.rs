//! What lies outside the nodes, between the engine and those who look after it.

use std::sync::Arc;

use tokio::sync::watch;

use super::command::{OutsideCommand, Question};
use super::{EngineError, EngineHandle};
use crate::core::Fleet;
use crate::portal::{PortalSeen, PortalWanted};
use crate::whitelist::{LetIn, Overview, Round};

/// What is wanted outside the nodes, as it is committed.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Wanted {
    /// Which addresses are to be let in, and which no longer.
    pub let_in: Arc<LetIn>,
    /// What the portal is to be.
    pub portal: Arc<PortalWanted>,
}

impl Wanted {
    pub(super) fn of(fleet: &Fleet) -> Self {
        Self {
            let_in: Arc::new(fleet.let_in()),
            portal: Arc::new(fleet.portal_wanted()),
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

    /// Tells what an enforcer has come to.
    ///
    /// # Errors
    /// When the engine has stopped.
    pub async fn enforced(&self, round: Round) -> Result<(), EngineError> {
        self.tell(OutsideCommand::Enforced(Box::new(round))).await
    }
}
