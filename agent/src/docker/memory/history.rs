//! What has happened to simulated containers, in order: the ground truth that invariants are
//! checked against.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use extend_common::ids::{NodeAddr, RoleName};
use extend_common::roles::RestartPolicy;

use crate::docker::Ownership;

/// One thing that happened to one container.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Effect {
    /// When, since the Engine was made.
    pub at: Duration,
    /// Whose doing: the name of a handle, `docker` for the daemon's own, `process` for an end.
    pub actor: String,
    /// To which container.
    pub container_id: String,
    /// Its name afterwards.
    pub name: String,
    /// What our labels on it say.
    pub owner: Option<Ownership>,
    /// Which role's ports it opens, and on which node: also of a container without our labels.
    pub serves: Option<(NodeAddr, RoleName)>,
    /// What.
    pub kind: EffectKind,
}

/// What can happen to a container. Refusals and calls that changed nothing are no effects.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum EffectKind {
    /// It was made.
    Created {
        /// The id of its image.
        image_id: String,
    },
    /// A process began.
    Started {
        /// Docker's text for this run.
        started_at: String,
    },
    /// It could not be started.
    StartFailed,
    /// Its process ended.
    Exited {
        /// The exit code.
        code: i64,
    },
    /// A signal was sent through the Engine.
    Signalled {
        /// Its full name.
        signal: String,
    },
    /// Its restart policy was set, perhaps to what it was.
    PolicySet {
        /// The policy now.
        policy: RestartPolicy,
    },
    /// It got another name.
    Renamed {
        /// The name before.
        from: String,
    },
    /// It was removed.
    Removed,
}

/// The first moment at which two containers of one server ran at once, in words.
pub fn overlap(history: &[Effect]) -> Option<String> {
    let mut running: BTreeMap<_, BTreeSet<&str>> = BTreeMap::new();
    for effect in history {
        let Some((node, role)) = &effect.serves else {
            continue;
        };
        let ids = running.entry((*node, role)).or_default();
        match effect.kind {
            EffectKind::Started { .. } => ids.insert(&effect.container_id),
            EffectKind::Exited { .. } => ids.remove(effect.container_id.as_str()),
            _ => continue,
        };
        if ids.len() > 1 {
            let ids: Vec<&str> = ids.iter().filter_map(|id| id.get(..12)).collect();
            return Some(format!(
                "at {:?} {} containers of {} on {} run at once: {}",
                effect.at,
                ids.len(),
                role,
                node,
                ids.join(", ")
            ));
        }
    }
    None
}
