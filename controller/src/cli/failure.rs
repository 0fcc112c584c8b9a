//! Why a command did not do what was asked: one sentence, its causes, what to do next, and the
//! exit code that goes with it.
//!
//! Made by every command, printed by `output` alone.

use std::error::Error;

use extend_common::exit::Exit;
use extend_common::wire::{RefusalText, shown_text};
use tonic::{Code, Status};

/// The command that tells an operator whether the controller runs.
pub(crate) const LOOK_AT_CONTROLLER: &str = "systemctl status extend-controller";

/// How a command ends that does not end well.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Failure {
    /// What the process tells its caller.
    pub(crate) exit: Exit,
    /// Operation and object, and what became of it.
    pub(crate) sentence: String,
    /// What led to it, nearest first.
    pub(crate) causes: Vec<String>,
    /// The command to run next; empty when none helps.
    pub(crate) hint: String,
    /// The controller's word for the rule that refuses; empty when none does.
    pub(crate) code: String,
}

impl Failure {
    /// A failure without causes or hint.
    pub(crate) fn new(exit: Exit, sentence: impl Into<String>) -> Self {
        Self {
            exit,
            sentence: sentence.into(),
            causes: Vec::new(),
            hint: String::new(),
            code: String::new(),
        }
    }

    /// Wrong without asking the controller.
    pub(crate) fn usage(sentence: impl Into<String>) -> Self {
        Self::new(Exit::Usage, sentence)
    }

    /// Whether the controller was not reached.
    pub(crate) fn is_lost(&self) -> bool {
        self.exit == Exit::Unreachable
    }

    /// Names the command to run next.
    pub(crate) fn hint(mut self, hint: impl Into<String>) -> Self {
        self.hint = hint.into();
        self
    }

    /// Adds a cause.
    pub(crate) fn cause(mut self, cause: impl Into<String>) -> Self {
        self.causes.push(cause.into());
        self
    }

    /// Something local that failed; the error's own chain becomes the causes.
    pub(crate) fn local(sentence: impl Into<String>, error: &(dyn Error + 'static)) -> Self {
        let mut failure = Self::new(Exit::Failed, sentence);
        failure.causes = chain(error);
        failure
    }

    /// The connection was lost while the controller was asked.
    pub(crate) fn lost(what: &str, status: &Status) -> Self {
        let mut failure = Self::new(
            Exit::Unreachable,
            format!("cannot {what}: the connection to the controller was lost"),
        )
        .hint(LOOK_AT_CONTROLLER);
        failure.causes = lost_causes(status);
        failure
    }

    /// What the controller answered instead of doing what was asked.
    pub(crate) fn from_status(what: &str, status: &Status) -> Self {
        if is_lost(status) {
            return Self::lost(what, status);
        }
        let exit = exit_of(status.code());
        if let Some(refusal) = RefusalText::of(status) {
            return Self {
                exit,
                sentence: refusal.sentence,
                causes: refusal.causes,
                hint: refusal.hint,
                code: refusal.code,
            };
        }
        let message = shown_text(status.message().to_owned());
        if status.code() == Code::Unimplemented {
            return Self::new(
                exit,
                format!("cannot {what}: the controller does not know how"),
            )
            .cause("the controller that runs is of another version than this command")
            .hint("sudo systemctl restart extend-controller");
        }
        Self::new(exit, format!("cannot {what}: {message}"))
    }
}

impl From<anyhow::Error> for Failure {
    fn from(error: anyhow::Error) -> Self {
        let mut chain = error.chain().map(|cause| shown_text(cause.to_string()));
        let mut failure = Self::new(Exit::Failed, chain.next().unwrap_or_default());
        failure.causes = chain.collect();
        failure
    }
}

/// Whether the status was made here, because the connection broke or the controller is going
/// down, and says nothing about what was asked.
pub(crate) fn is_lost(status: &Status) -> bool {
    // A status that came over the wire has no source. A stream that ends without a verdict is
    // reported by the library as Unknown, or as an unexpected end.
    status.source().is_some()
        || matches!(
            status.code(),
            Code::Unavailable | Code::Unknown | Code::Cancelled | Code::DeadlineExceeded
        )
        || status.message().starts_with("Unexpected EOF")
}

/// Why a connection was lost, in words, as far as anything is known.
pub(crate) fn lost_causes(status: &Status) -> Vec<String> {
    let mut causes: Vec<String> = status.source().map(chain).unwrap_or_default();
    if causes.is_empty() && !status.message().is_empty() {
        causes.push(shown_text(status.message().to_owned()));
    }
    causes.dedup();
    causes
}

fn exit_of(code: Code) -> Exit {
    match code {
        Code::InvalidArgument => Exit::Usage,
        Code::FailedPrecondition
        | Code::NotFound
        | Code::PermissionDenied
        | Code::Unauthenticated => Exit::Refused,
        _ => Exit::Failed,
    }
}

/// An error and its sources, without those that only repeat the one before.
pub(crate) fn chain(error: &(dyn Error + 'static)) -> Vec<String> {
    let mut causes: Vec<String> = Vec::new();
    let mut next = Some(error);
    while let Some(error) = next {
        let text = shown_text(error.to_string());
        if causes.last() != Some(&text) {
            causes.push(text);
        }
        next = error.source();
    }
    causes
}

#[cfg(test)]
#[path = "failure_tests.rs"]
mod tests;
