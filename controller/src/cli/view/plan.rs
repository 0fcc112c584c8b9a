//! Plans: what would happen, or why nothing has to.

use extend_common::checkup::Check;
use extend_common::ids::{NodeAddr, RoleName, ServerName};
use extend_common::operation::{PlannedTarget, Strategy, Verb};
use extend_common::status::Difference;
use extend_common::wire::shown_text;
use extend_proto::v1;
use serde::Serialize;

use super::operation::some;
use super::{not_understood, strategy};
use crate::cli::failure::Failure;

/// The document of `--plan`, and of a verb that found every server already so.
#[derive(Debug, Clone, Serialize)]
pub(crate) struct Document {
    /// What was asked for.
    pub(crate) verb: Verb,
    /// Whether anything would change.
    pub(crate) changes: bool,
    /// How it would go from server to server.
    pub(crate) strategy: strategy::Document,
    /// Server by server.
    pub(crate) plan: Vec<Planned>,
}

/// One server within a plan.
#[derive(Debug, Clone, Serialize)]
pub(crate) struct Planned {
    /// Its portal name.
    pub(crate) name: ServerName,
    /// Its role.
    pub(crate) r#type: RoleName,
    /// Its node.
    pub(crate) address: NodeAddr,
    /// Nothing to do: it was observed to be so.
    pub(crate) already_so: bool,
    /// What would happen, in words.
    pub(crate) summary: String,
    /// The image before.
    pub(crate) image_before: Option<String>,
    /// The image after.
    pub(crate) image_after: Option<String>,
    /// The image before, exactly: `repo@sha256:…` or an image id.
    pub(crate) identity_before: Option<String>,
    /// The same of the image after; null when only its registry knows.
    pub(crate) identity_after: Option<String>,
    /// What is to be known before.
    pub(crate) warning: Option<String>,
    /// Within a type, servers of a lower wave end before this one begins; with a serial strategy,
    /// whatever their types.
    pub(crate) wave: u32,
    /// It is one of those that go first.
    pub(crate) canary: bool,
    /// What is made on the host for the role, or undone with it, unless it is so already.
    pub(crate) host_changes: Vec<String>,
    /// Where a container that is taken over is not as the role's definition would make it.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub(crate) differences: Vec<Difference>,
    /// What the checkup of the node came to, apart from what is as it should be.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub(crate) checks: Vec<Check>,
}

impl Document {
    /// The document of a plan.
    pub(crate) fn new(verb: Verb, strategy: &Strategy, plan: &[PlannedTarget]) -> Self {
        let planned = plan.iter().map(|target| Planned {
            name: target.name.clone(),
            r#type: target.role.clone(),
            address: target.node,
            already_so: target.already_so,
            summary: target.summary.clone(),
            image_before: some(&target.image_before),
            image_after: some(&target.image_after),
            identity_before: some(&target.identity_before),
            identity_after: some(&target.identity_after),
            warning: some(&target.warning),
            wave: target.wave,
            canary: target.canary,
            host_changes: target.host_changes.clone(),
            differences: target.differences.clone(),
            checks: target.checks.clone(),
        });
        Self {
            verb,
            changes: changes(plan) > 0,
            strategy: strategy.into(),
            plan: planned.collect(),
        }
    }
}

/// Reads a plan off the wire, with every text made fit to be shown.
pub(crate) fn read(plan: Vec<v1::PlannedTarget>) -> Result<Vec<PlannedTarget>, Failure> {
    let read = |planned: v1::PlannedTarget| {
        let mut planned = PlannedTarget::try_from(planned).map_err(|e| not_understood(&e))?;
        for text in [
            &mut planned.summary,
            &mut planned.image_before,
            &mut planned.image_after,
            &mut planned.identity_before,
            &mut planned.identity_after,
            &mut planned.warning,
        ] {
            *text = shown_text(std::mem::take(text));
        }
        for line in &mut planned.host_changes {
            *line = shown_text(std::mem::take(line));
        }
        Ok(planned)
    };
    plan.into_iter().map(read).collect()
}

/// How many servers would change.
pub(crate) fn changes(plan: &[PlannedTarget]) -> usize {
    plan.iter().filter(|target| !target.already_so).count()
}
