//! Operations and nodes that are not there, or not there any more.

use jiff::Timestamp;

use extend_common::ids::OperationId;

use super::asked::quoted;
use super::{Action, Asked, MOST_NAMED, RefusalKind, Text, moment};

/// What cannot be found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Unfound {
    /// No operation's id ends like that.
    NoSuchOperation {
        /// What was given for an id.
        text: String,
    },
    /// Several operations' ids end like that.
    AmbiguousOperation {
        /// What was given for an id.
        text: String,
        /// Which ones; at least two.
        ids: Vec<OperationId>,
    },
    /// There is nothing left to cancel.
    OperationEnded {
        /// Which.
        operation: OperationId,
        /// How.
        summary: String,
        /// When.
        ended: Timestamp,
    },
    /// It cannot be tried again before it has ended.
    OperationOpen {
        /// Which.
        operation: OperationId,
    },
    /// It ended so long ago that it is only kept for reading.
    OperationArchived {
        /// Which.
        operation: OperationId,
    },
    /// Every target of it succeeded.
    NothingToRetry {
        /// Which.
        operation: OperationId,
    },
    /// The selector means nothing that is there, and no kept event is of anything it means.
    NoEvents {
        /// The command.
        asked: Asked,
    },
    /// No alert fires that has this number.
    NoSuchAlert {
        /// The number.
        id: u64,
    },
    /// No silence has this number.
    NoSuchSilence {
        /// The number.
        id: u64,
    },
    /// There is no place for another one.
    TooManySilences {
        /// So many there may be.
        most: usize,
    },
    /// The address is no node of the fleet.
    NoSuchNode {
        /// What was to be done.
        action: Action,
    },
}

impl Unfound {
    pub(super) fn kind(&self) -> RefusalKind {
        match self {
            Self::NoSuchOperation { .. }
            | Self::NoSuchNode { .. }
            | Self::NoSuchAlert { .. }
            | Self::NoSuchSilence { .. }
            | Self::NoEvents { .. } => RefusalKind::NotFound,
            Self::AmbiguousOperation { .. }
            | Self::OperationEnded { .. }
            | Self::OperationOpen { .. }
            | Self::OperationArchived { .. }
            | Self::TooManySilences { .. }
            | Self::NothingToRetry { .. } => RefusalKind::Rule,
        }
    }

    pub(super) fn text(&self) -> Text {
        match self {
            Self::NoSuchOperation { text } => Text::new(
                "no-such-operation",
                format!(
                    "cannot find operation {}: no id ends like that",
                    quoted(text)
                ),
                "extend op list".to_owned(),
            )
            .because(
                "operations are kept for a year, unless [audit] in controller.toml says otherwise",
            )
            .because(
                "an ending is looked for among the newest 10,000 or so; a whole id is always found",
            ),
            Self::AmbiguousOperation { text, ids } => ambiguous(text, ids),
            Self::OperationEnded {
                operation,
                summary,
                ended,
            } => Text::new(
                "operation-ended",
                format!(
                    "cannot cancel operation {}: it ended at {}",
                    operation.short(),
                    moment(*ended)
                ),
                format!("extend op show {}", operation.short()),
            )
            .because(format!("its outcome is: {summary}")),
            Self::OperationOpen { operation } => Text::new(
                "operation-open",
                format!(
                    "cannot retry operation {}: it has not ended",
                    operation.short()
                ),
                format!("extend op watch {}", operation.short()),
            ),
            Self::OperationArchived { operation } => Text::new(
                "operation-archived",
                format!(
                    "cannot retry operation {}: it is in the archive",
                    operation.short()
                ),
                format!("extend op show {}", operation.to_string().to_lowercase()),
            )
            .because("of what ended so long ago only the account is kept, not what was typed"),
            Self::NothingToRetry { operation } => Text::new(
                "nothing-to-retry",
                format!(
                    "cannot retry what failed of operation {}: every target succeeded",
                    operation.short()
                ),
                format!("extend op retry {}", operation.short()),
            )
            .because("without --failed-only all of it is done again"),
            Self::NoEvents { asked } => Text::new(
                "no-events",
                format!(
                    "cannot show events of {}: there is no such server or node",
                    asked.selector()
                ),
                "extend status".to_owned(),
            )
            .because("there is no event of one that was removed, either"),
            Self::NoSuchAlert { id } => Text::new(
                "no-such-alert",
                format!("cannot acknowledge alert {id}: no alert that fires has this number"),
                "extend alert list".to_owned(),
            ),
            Self::NoSuchSilence { id } => Text::new(
                "no-such-silence",
                format!("cannot end silence {id}: there is none with this number"),
                "extend alert list".to_owned(),
            ),
            Self::TooManySilences { most } => Text::new(
                "too-many-silences",
                format!("cannot make another silence: there are {most} already"),
                "extend alert list".to_owned(),
            ),
            Self::NoSuchNode { action } => Text::new(
                "no-such-node",
                format!("cannot {action}: it is no node of this fleet"),
                "extend node list".to_owned(),
            ),
        }
    }
}

fn ambiguous(text: &str, ids: &[OperationId]) -> Text {
    let newest = ids
        .iter()
        .max()
        .map(|id| id.to_string().to_lowercase())
        .unwrap_or_default();
    let mut refusal = Text::new(
        "ambiguous-operation",
        format!(
            "cannot tell which operation {} is: {} ids end like that",
            quoted(text),
            ids.len()
        ),
        format!("extend op show {newest}"),
    );
    for id in ids.iter().rev().take(MOST_NAMED) {
        refusal = refusal.because(format!("one is {}", id.to_string().to_lowercase()));
    }
    refusal
}
