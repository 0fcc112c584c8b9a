//! Whether the ports of a role are free before its first deployment, and who holds one that is not.
//!
//! Called by the parent.

use extend_common::hint::with_hint;
use extend_common::roles::{ProbeDefinition, RoleDefinition};

use super::{Executor, StepError, blocking};
use crate::host::Holder;

impl Executor {
    pub(super) async fn check_ports(&self, definition: &RoleDefinition) -> Result<(), StepError> {
        let probes = definition.probes.iter();
        let ports: Vec<_> = probes.filter_map(ProbeDefinition::tcp_ports).collect();
        let (host, node) = (self.host.clone(), self.settings.facts.node);
        let busy = blocking(move || host.busy_port(&ports, node)).await?;
        let Some(busy) = busy.map_err(|error| StepError::Refused(error.to_string()))? else {
            return Ok(());
        };
        let words = format!(
            "port {}/tcp of the {} is in use by {}",
            busy.port,
            definition.title,
            self.holder_words(busy.holder).await
        );
        let hint = format!("on {node}: ss -ltnp 'sport = :{}'", busy.port);
        Err(StepError::Permanent(with_hint(words, hint)))
    }

    /// Who holds a port: the container by the name that Docker has for it.
    async fn holder_words(&self, holder: Option<Holder>) -> String {
        let Some(holder) = holder else {
            return "another process on this node".to_owned();
        };
        let Holder {
            process,
            program,
            container,
        } = holder;
        let Some(id) = container else {
            return format!("{program} (process {process})");
        };
        // It is a help, not a condition.
        let names = self.docker.names().await.unwrap_or_default();
        let named = names.into_iter().find(|container| container.id == id);
        let name = named.map_or_else(|| id.chars().take(12).collect(), |found| found.name);
        format!("the container {name} ({program}, process {process})")
    }
}
