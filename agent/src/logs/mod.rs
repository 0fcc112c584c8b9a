//! What the server writes, read for an operator: the output of its container, and the files in
//! its role's log directory.
//!
//! ```text
//! session: LogsWanted ──► Desk ──► one task each: source ──► Out ──► SendLogs ──► controller
//!                                                             waits while nobody takes
//! ```
//!
//! Called by the session with what the controller asks for, which is hostile until it has been
//! through here: only the server of the agent's own record can be named, and only files below the
//! log directory, or the directory of dumps, that the node's own definition names. Changes nothing on
//! the node. Everything a session began ends with it.

mod desk;
mod file;
mod inspection;
mod out;
mod output;

use std::fmt;
use std::sync::Arc;

use extend_common::ids::RoleName;
use extend_common::logs::{LogFault, LogFaultKind, LogQuery, LogSource};
use extend_common::roles::RoleDefinition;
use tokio::sync::watch;

use crate::core::observed::{Owner, Place};
use crate::docker::Docker;
use crate::execute::Settings;
use crate::reconciler::AgentView;

pub use desk::Desk;
pub(crate) use file::{Kept, LogDirectory};
use out::{Out, Stop};

/// What reading needs of the agent.
#[derive(Clone)]
pub struct Sources {
    /// The Engine.
    pub docker: Arc<dyn Docker>,
    /// What this node allows and knows.
    pub settings: Arc<Settings>,
    /// Which record the agent holds.
    pub view: watch::Receiver<AgentView>,
}

impl fmt::Debug for Sources {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Sources").finish_non_exhaustive()
    }
}

impl Sources {
    /// Reads what is asked for, to its end or for as long as somebody takes it.
    async fn read(&self, role: &RoleName, query: LogQuery, out: &Out) -> Result<(), Stop> {
        let definition = self.definition(role)?;
        let place = match &query.source {
            LogSource::Output => Place::Current,
            LogSource::FailedOutput => Place::Failed,
            LogSource::File(path) => {
                let directory = self.directory(definition, Kept::Logs)?;
                return file::read(directory, path.clone(), &query, out).await;
            }
            LogSource::List => {
                return file::list(self.directory(definition, Kept::Logs)?, out).await;
            }
            LogSource::Dump(path) => {
                let directory = self.directory(definition, Kept::Dumps)?;
                return file::read_whole(directory, path.clone(), out).await;
            }
            LogSource::DumpList => {
                return file::list(self.directory(definition, Kept::Dumps)?, out).await;
            }
            LogSource::Inspection => {
                let name = Place::Current.name(&definition.main_container().name);
                return inspection::read(self.docker.as_ref(), &name, &self.owner(role), out).await;
            }
        };
        let container = output::Named {
            docker: self.docker.as_ref(),
            name: place.name(&definition.main_container().name),
            owner: self.owner(role),
        };
        container.read(&query, out).await
    }

    /// Whose containers may be read.
    fn owner(&self, role: &RoleName) -> Owner {
        Owner {
            node: self.settings.facts.node,
            role: role.clone(),
            adopted: self.view.borrow().adopted.clone(),
        }
    }

    /// The definition of the server that the agent's own record is about.
    fn definition(&self, role: &RoleName) -> Result<&RoleDefinition, LogFault> {
        let view = self.view.borrow();
        let held = view.record.as_ref().map(|record| &record.desired.role);
        if held != Some(role) {
            let words = match held {
                Some(held) => format!("the node's server is a {held}"),
                None => "the node has no server".to_owned(),
            };
            return Err(LogFault::new(LogFaultKind::NoServer, words));
        }
        let words = || format!("the node has no definition of {role}");
        let definition = self.settings.roles.get(role);
        definition.ok_or_else(|| LogFault::new(LogFaultKind::NoServer, words()))
    }

    fn directory(&self, definition: &RoleDefinition, kept: Kept) -> Result<LogDirectory, LogFault> {
        let words = || match kept {
            Kept::Logs => format!("the role {} keeps no log files", definition.role),
            Kept::Dumps => format!("the role {} keeps no crash dumps", definition.role),
        };
        LogDirectory::of(definition, &self.settings.facts.data, kept)
            .ok_or_else(|| LogFault::new(LogFaultKind::NoDirectory, words()))
    }
}

#[cfg(test)]
mod tests;
