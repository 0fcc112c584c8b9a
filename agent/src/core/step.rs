//! What the agent can do: the closed list of steps. One at a time is in flight for a server.
//!
//! `plan` decides on them, `execute` does them. Every step may be repeated, and may have taken
//! effect without the agent having heard of it: the next look decides.

use std::collections::BTreeSet;

use extend_common::record::{ImageRequest, Instance};
use extend_common::roles::{Point, RestartPolicy};
use extend_common::status::{Evidence, OutcomeKind};
use jiff::Timestamp;

use super::entry::{Ailment, Served};
use super::observed::Place;
use super::spec::ContainerSpec;
use crate::docker::Death;

/// One thing to do.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Step {
    /// Note that a stop in flight is over.
    EndStop,
    /// Fetch and check the image of the record's deployment, and render its container.
    Resolve {
        /// Whether the host must be free for it: nothing serves yet.
        first: bool,
    },
    /// Fetch and check an image ahead, for a deployment to come. What serves goes on serving.
    Stage {
        /// Which image.
        request: ImageRequest,
    },
    /// Take the container that is there as the serving one: the ledger does not know it, because
    /// the ledger was lost.
    Recall,
    /// Take somebody else's container over as it is: look at it once more, and remember it.
    /// Nothing is done to it.
    Adopt {
        /// Which container, by the record's word.
        id: String,
        /// Docker's count of restarts by its own policy: those are nothing new.
        restart_count: u64,
    },
    /// Write until when the sessions of what serves are waited for.
    Drain {
        /// Until when.
        until: Timestamp,
    },
    /// Change a container's restart policy.
    SetPolicy {
        /// Which container.
        id: String,
        /// The policy.
        policy: RestartPolicy,
    },
    /// Ask a container to end, by its stop signal.
    Stop {
        /// Which run of which container.
        instance: Instance,
        /// By which signal.
        signal: String,
        /// When it is killed.
        deadline: Timestamp,
        /// Set when the agent restarts it by itself: charged to the budget at this time.
        restart: Option<Timestamp>,
    },
    /// Kill a container whose time to end is over.
    Kill {
        /// Which container.
        id: String,
        /// When to try again, should it still be there.
        again: Timestamp,
    },
    /// Give a container another of the server's names.
    Rename {
        /// Which container.
        id: String,
        /// The place whose name it gets.
        to: Place,
    },
    /// Make the directories and the container of a deployment.
    Create {
        /// From what.
        spec: Box<ContainerSpec>,
    },
    /// Start a container.
    Start {
        /// The container as it is before.
        before: Instance,
        /// Set when the agent starts it by itself: charged to the budget at this time.
        restart: Option<Timestamp>,
    },
    /// Remove a container that does not run.
    Remove {
        /// Which container.
        id: String,
    },
    /// Remove an image that the agent has fetched and that no deployment needs any more. It is not
    /// forced: one that somebody uses stays.
    RemoveImage {
        /// Which image, by its identity.
        identity: String,
    },
    /// Give the record's deployment up: look at what failed, and write that it is spent.
    Spend {
        /// Why, in words.
        reason: String,
        /// Whose output and exit code are the evidence.
        container: Option<String>,
    },
    /// Make the candidate the deployment that serves.
    Promote {
        /// It needed no new container.
        unchanged: bool,
        /// It has been seen healthy.
        proven: bool,
        /// Where it answers, or is to answer once it runs.
        answered: BTreeSet<Point>,
    },
    /// Note that the serving container has been seen healthy, and where it has answered.
    MarkProven {
        /// All of it.
        answered: BTreeSet<Point>,
    },
    /// Look at a run that failed before anything is done about it, and write what is seen.
    Witness {
        /// What is wrong.
        ailment: Ailment,
        /// The run; the one after it when Docker has started it again already.
        instance: Instance,
        /// Docker's count of restarts by its own policy.
        restart_count: u64,
        /// Why, in words.
        reason: String,
        /// How the Engine said that it ended; an inspection does not show it any more once
        /// Docker has started it again.
        death: Option<Death>,
    },
    /// Begin no more restarts.
    Quarantine {
        /// What is wrong, in words.
        reason: String,
    },
    /// Leave a run that does not answer alone, because it carries calls.
    Spare {
        /// Which.
        instance: Instance,
        /// Until then at most.
        until: Timestamp,
    },
    /// It answers again, or is gone.
    Unspare,
    /// It has been healthy for long enough: restarts may be begun again.
    Release,
    /// Write the record's end.
    Settle {
        /// Which end.
        kind: OutcomeKind,
        /// Why, in words; a warning when it succeeded.
        reason: String,
        /// Whose output and exit code are the evidence.
        container: Option<String>,
    },
}

/// The kinds of [`Step`], for fault sweeps: each is a place where the agent may be killed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[expect(missing_docs, reason = "named after the steps")]
pub enum StepKind {
    EndStop,
    Resolve,
    Stage,
    Recall,
    Adopt,
    Drain,
    SetPolicy,
    Stop,
    Kill,
    Rename,
    Create,
    Start,
    Remove,
    RemoveImage,
    Spend,
    Promote,
    MarkProven,
    Witness,
    Spare,
    Unspare,
    Quarantine,
    Release,
    Settle,
}

impl StepKind {
    /// Every kind. The match in [`Step::kind`] and the test beside it keep this complete.
    pub const ALL: [Self; 23] = [
        Self::EndStop,
        Self::Resolve,
        Self::Stage,
        Self::Recall,
        Self::Adopt,
        Self::Drain,
        Self::SetPolicy,
        Self::Stop,
        Self::Kill,
        Self::Rename,
        Self::Create,
        Self::Start,
        Self::Remove,
        Self::RemoveImage,
        Self::Spend,
        Self::Promote,
        Self::MarkProven,
        Self::Witness,
        Self::Spare,
        Self::Unspare,
        Self::Quarantine,
        Self::Release,
        Self::Settle,
    ];
}

impl Step {
    /// Which kind of step it is.
    pub fn kind(&self) -> StepKind {
        match self {
            Self::EndStop => StepKind::EndStop,
            Self::Resolve { .. } => StepKind::Resolve,
            Self::Stage { .. } => StepKind::Stage,
            Self::Recall => StepKind::Recall,
            Self::Adopt { .. } => StepKind::Adopt,
            Self::Drain { .. } => StepKind::Drain,
            Self::SetPolicy { .. } => StepKind::SetPolicy,
            Self::Stop { .. } => StepKind::Stop,
            Self::Kill { .. } => StepKind::Kill,
            Self::Rename { .. } => StepKind::Rename,
            Self::Create { .. } => StepKind::Create,
            Self::Start { .. } => StepKind::Start,
            Self::Remove { .. } => StepKind::Remove,
            Self::RemoveImage { .. } => StepKind::RemoveImage,
            Self::Spend { .. } => StepKind::Spend,
            Self::Promote { .. } => StepKind::Promote,
            Self::MarkProven { .. } => StepKind::MarkProven,
            Self::Witness { .. } => StepKind::Witness,
            Self::Spare { .. } => StepKind::Spare,
            Self::Unspare => StepKind::Unspare,
            Self::Quarantine { .. } => StepKind::Quarantine,
            Self::Release => StepKind::Release,
            Self::Settle { .. } => StepKind::Settle,
        }
    }

    /// The container that the step changes in Docker, if there is one already.
    pub fn changes(&self) -> Option<&str> {
        match self {
            Self::SetPolicy { id, .. }
            | Self::Kill { id, .. }
            | Self::Rename { id, .. }
            | Self::Remove { id } => Some(id),
            Self::Stop { instance, .. } => Some(&instance.container_id),
            Self::Start { before, .. } => Some(&before.container_id),
            Self::EndStop
            | Self::Resolve { .. }
            | Self::Stage { .. }
            | Self::Recall
            | Self::Adopt { .. }
            | Self::Drain { .. }
            | Self::Create { .. }
            | Self::RemoveImage { .. }
            | Self::Spend { .. }
            | Self::Promote { .. }
            | Self::MarkProven { .. }
            | Self::Witness { .. }
            | Self::Spare { .. }
            | Self::Unspare
            | Self::Quarantine { .. }
            | Self::Release
            | Self::Settle { .. } => None,
        }
    }

    /// Whether it does not wait for a disk that is full: the agent begins it by itself, or what
    /// was begun before would stay half done.
    pub fn goes_on_without_disk(&self) -> bool {
        matches!(
            self,
            Self::Stop {
                restart: Some(_),
                ..
            } | Self::Start { .. }
                | Self::Kill { .. }
                | Self::Witness { .. }
                | Self::Spare { .. }
                | Self::Unspare
                | Self::Quarantine { .. }
                | Self::Release
        )
    }

    /// Whether the step may take minutes and is given up when a newer record comes.
    pub fn is_long(&self) -> bool {
        matches!(self, Self::Resolve { .. } | Self::Stage { .. })
    }
}

/// What a step brought to light.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Done {
    /// Nothing that the next look would not show.
    Effect,
    /// The deployment's image and container.
    Resolved(Box<Served>),
    /// The same, of an image that was looked for.
    Obtained {
        /// Image and container.
        served: Box<Served>,
        /// The image was not on the node before.
        fetched: bool,
    },
    /// Docker has refused, and it stays as it is.
    Kept,
    /// What was seen of the container that a step was about.
    Seen(Seen),
}

/// What was seen before an end was written.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Seen {
    /// Of the container.
    pub evidence: Option<Evidence>,
    /// The size of the role's data, for a tombstone.
    pub data_bytes: Option<u64>,
    /// What went well and yet has to be told, for an end that is a success.
    pub warning: Option<String>,
}
