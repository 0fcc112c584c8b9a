//! What a server wants of its host: made before its container, undone when it is removed.
//!
//! Called by the parent. What it comes to is the host's to know.

use std::sync::Arc;

use extend_common::hint::with_hint;
use extend_common::record::Desired;
use extend_common::roles::RoleDefinition;

use super::{Executor, StepError, blocking};
use crate::host::{HostAnswer, HostError, HostVerb, RoleNeeds};

impl Executor {
    /// Makes the host ready for a role. What is so already is not touched.
    pub(super) async fn prepare_host(&self, role: &RoleDefinition) -> Result<(), StepError> {
        for verb in HostVerb::PREPARE {
            self.demand_of_host(verb, role).await?;
        }
        Ok(())
    }

    /// Makes the directories alone: firewalld is slow to answer, and when a container is made its
    /// service may be waiting for it. All else was seen to with the deployment's image.
    pub(super) async fn make_directories(&self, role: &RoleDefinition) -> Result<(), StepError> {
        self.demand_of_host(HostVerb::MakeDirectories, role).await
    }

    async fn demand_of_host(&self, verb: HostVerb, role: &RoleDefinition) -> Result<(), StepError> {
        self.ask_host(verb, role).await?.map(drop).map_err(|error| {
            let HostError { hint, .. } = &error;
            let words = format!(
                "{} {}: {}",
                error.operation,
                error.path.display(),
                error.cause
            );
            StepError::Refused(match hint {
                Some(hint) => with_hint(words, format!("on {}: {hint}", self.settings.facts.node)),
                None => words,
            })
        })
    }

    /// Undoes what was made for a server that is gone; says what could not be.
    pub(super) async fn leave_host(&self, desired: &Desired) -> Option<String> {
        let role = self.settings.roles.get(&desired.role)?;
        let error = match self.ask_host(HostVerb::Undo, role).await {
            Ok(Ok(_)) => return None,
            Ok(Err(error)) => error.to_string(),
            Err(error) => error.to_string(),
        };
        tracing::warn!(%error, "the host's settings are not as they were before");
        Some(format!(
            "removed; the host's settings are not as they were before: {error}"
        ))
    }

    /// How much data a server leaves behind. It is a help, not a condition.
    pub(super) async fn data_size(&self, desired: &Desired) -> Option<u64> {
        let role = self.settings.roles.get(&desired.role)?;
        let answer = self.ask_host(HostVerb::MeasureData, role).await;
        Some(answer.ok()?.ok()?.bytes)
    }

    async fn ask_host(
        &self,
        verb: HostVerb,
        role: &RoleDefinition,
    ) -> Result<Result<HostAnswer, HostError>, StepError> {
        let needs = RoleNeeds::of(role, &self.settings.facts.data);
        let host = Arc::clone(&self.host);
        blocking(move || host.act(verb, &needs)).await
    }
}
