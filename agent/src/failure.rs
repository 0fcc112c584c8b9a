//! Why a command of `extend-agent` did not do what was asked, or why there is no session: one
//! sentence, its causes, what to do next, and the exit code that goes with it.
//!
//! Made at the edges (dialling, joining, renewing, the command line); printed by `cli`, logged by
//! `session`. It must not word what a library or the controller has words for.

use std::error::Error;
use std::fmt;
use std::io::ErrorKind;

use extend_common::config_file::ConfigError;
use extend_common::exit::Exit;
use extend_common::files::FileError;
use extend_common::roles::RoleSetError;
use extend_common::tls::token::ParseTokenError;
use extend_common::tls::{DialError, PeerRefusal};
use extend_common::wire::{RefusalText, shown_text};
use jiff::Timestamp;
use tonic::{Code, Status};

use crate::docker::credentials::CredentialsError;
use crate::identity::{IdentityError, Validity};
use crate::ledger::LedgerError;
use crate::lock::LockError;

/// How something ends that does not end well.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Failure {
    /// What the process tells its caller.
    pub exit: Exit,
    /// Operation and object, and what became of it.
    pub sentence: String,
    /// What led to it, nearest first.
    pub causes: Vec<String>,
    /// The command to run next; empty when none helps.
    pub hint: String,
}

impl fmt::Display for Failure {
    /// On one line, for a log.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.sentence)?;
        self.causes
            .iter()
            .try_for_each(|cause| write!(f, ": {cause}"))?;
        if self.hint.is_empty() {
            return Ok(());
        }
        write!(f, " (hint: {})", self.hint)
    }
}

impl Error for Failure {}

impl Failure {
    /// A failure without causes.
    pub fn new(exit: Exit, sentence: impl Into<String>, hint: impl Into<String>) -> Self {
        Self {
            exit,
            sentence: sentence.into(),
            causes: Vec::new(),
            hint: hint.into(),
        }
    }

    /// What dialling ended in; tonic wraps what a connector says. `leaf` is the life of the
    /// certificate that was shown, and `now` the time here: of its refusal TLS tells one word.
    pub fn dialled(
        error: &tonic::transport::Error,
        leaf: Option<Validity>,
        now: Timestamp,
    ) -> Self {
        let Some(dial) = DialError::find(error) else {
            let mut chain = chain(error);
            let sentence = chain.remove(0);
            let failure = Self::new(Exit::Unreachable, sentence, "");
            return Self {
                causes: chain,
                ..failure
            };
        };
        let mut chain = chain(dial);
        let sentence = chain.remove(0);
        let exit = match dial {
            DialError::Local { .. } => Exit::Usage,
            DialError::Rejected { .. } => Exit::Refused,
            _ => Exit::Unreachable,
        };
        let mut failure = Self::new(exit, sentence, dial.hint().unwrap_or_default());
        failure.causes = chain;
        if let (DialError::Rejected { source, .. }, Some(leaf)) = (dial, leaf)
            && *source == PeerRefusal::NotValidNow
        {
            failure.causes.push(dates(leaf, now));
        }
        failure
    }

    /// What the controller answered instead of doing what was asked: its own words where it sent
    /// them.
    pub fn refused(status: &Status) -> Self {
        if let Some(refusal) = RefusalText::of(status) {
            return Self {
                exit: Exit::Refused,
                sentence: refusal.sentence,
                causes: refusal.causes,
                hint: refusal.hint,
            };
        }
        let words = shown_text(status.message().to_owned());
        let (exit, hint) = match status.code() {
            Code::Unavailable | Code::Unknown | Code::Cancelled | Code::DeadlineExceeded => (
                Exit::Unreachable,
                "try again; on the primary: systemctl status extend-controller",
            ),
            Code::ResourceExhausted => (Exit::Refused, "wait some seconds, and try again"),
            Code::Unimplemented => (
                Exit::Failed,
                "are controller and agent of the same release? extend --version",
            ),
            _ => (
                Exit::Refused,
                "on the primary: journalctl -u extend-controller",
            ),
        };
        Self::new(exit, format!("the controller refused: {words}"), hint)
    }

    /// An error with everything that is known about it further in.
    pub fn of(error: &anyhow::Error) -> Self {
        let mut sentences = Vec::new();
        for cause in error.chain() {
            if let Some(inner) = cause.downcast_ref::<Self>() {
                sentences.push(inner.sentence.clone());
                sentences.extend(inner.causes.iter().cloned());
                return Self::told(sentences, inner.exit, &inner.hint);
            }
            let words = shown_text(cause.to_string());
            // A transparent error says what is inside it.
            if sentences.last() != Some(&words) {
                sentences.push(words);
            }
        }
        let (exit, hint) = error
            .chain()
            .find_map(known)
            .unwrap_or((Exit::Failed, String::new()));
        Self::told(sentences, exit, &hint)
    }

    fn told(mut sentences: Vec<String>, exit: Exit, hint: &str) -> Self {
        let causes = sentences.split_off(sentences.len().min(1));
        let sentence = sentences.pop().unwrap_or_default();
        Self {
            exit,
            sentence,
            causes,
            hint: hint.to_owned(),
        }
    }
}

/// When our own certificate is good, by the clock here.
fn dates(leaf: Validity, now: Timestamp) -> String {
    let Validity {
        not_before,
        not_after,
    } = leaf;
    if now >= not_after {
        format!("our certificate expired at {not_after}, and it is {now} here")
    } else if now < not_before {
        format!("our certificate is valid from {not_before} on, and it is {now} here")
    } else {
        format!(
            "our certificate is valid from {not_before} to {not_after}, and it is {now} here: \
             the clock of the controller says something else"
        )
    }
}

/// Exit code and hint of the errors that have them.
fn known(error: &(dyn Error + 'static)) -> Option<(Exit, String)> {
    if let Some(error) = error.downcast_ref::<ConfigError>() {
        return Some((Exit::Usage, error.hint().to_owned()));
    }
    if let Some(error) = error.downcast_ref::<RoleSetError>() {
        return Some((Exit::Usage, error.hint().to_owned()));
    }
    if error.downcast_ref::<ParseTokenError>().is_some() {
        let hint = "on the primary: extend node token -a THIS_NODE, and paste the whole line";
        return Some((Exit::Usage, hint.to_owned()));
    }
    if let Some(error) = error.downcast_ref::<FileError>() {
        return Some((Exit::Failed, file_hint(error)));
    }
    if error.downcast_ref::<CredentialsError>().is_some() {
        let hint = "docker login REGISTRY, then: install -m 600 ~/.docker/config.json FILE";
        return Some((Exit::Failed, hint.to_owned()));
    }
    if let Some(LockError::Taken(_)) = error.downcast_ref() {
        let hint = "systemctl stop extend-agent, then try again";
        return Some((Exit::Failed, hint.to_owned()));
    }
    if let Some(LockError::Writing(_)) = error.downcast_ref() {
        return Some((Exit::Failed, "wait a moment, then try again".to_owned()));
    }
    if let Some(error) = error.downcast_ref::<IdentityError>() {
        return Some((Exit::Failed, error.hint()));
    }
    let error = error.downcast_ref::<LedgerError>()?;
    Some((Exit::Failed, error.hint()?))
}

fn file_hint(error: &FileError) -> String {
    let of_kind = || match error.kind()? {
        ErrorKind::PermissionDenied => Some("run it as root, or as the agent's own user"),
        ErrorKind::StorageFull => Some("df -h    (the disk is full)"),
        _ => None,
    };
    let hint = error.hint().or_else(|| of_kind().map(str::to_owned));
    hint.unwrap_or_default()
}

/// An error and its sources, without those that only repeat the one before.
fn chain(error: &(dyn Error + 'static)) -> Vec<String> {
    let mut words = vec![shown_text(error.to_string())];
    let mut next = error.source();
    while let Some(error) = next {
        let text = shown_text(error.to_string());
        if words.last() != Some(&text) {
            words.push(text);
        }
        next = error.source();
    }
    words
}

#[cfg(test)]
mod tests {
    use extend_proto::v1;
    use prost::Message as _;

    use super::*;

    #[test]
    fn a_refusal_keeps_its_cause_and_its_hint() {
        let told = v1::Refusal {
            code: "node-refused".to_owned(),
            sentence: "the controller gives no certificate to 172.31.16.139".to_owned(),
            causes: vec!["a newer token was made".to_owned()],
            hint: "on the controller: extend node token -a 172.31.16.139".to_owned(),
        };
        let details = told.encode_to_vec().into();
        let status = Status::with_details(Code::PermissionDenied, "short", details);
        let failure = Failure::refused(&status);
        assert_eq!(failure.exit, Exit::Refused);
        assert_eq!(failure.sentence, told.sentence);
        assert_eq!(failure.causes, told.causes);
        assert_eq!(failure.hint, told.hint);
        for bare in [
            Status::unavailable("busy"),
            Status::with_details(Code::Unavailable, "busy", vec![0xff; 3].into()),
        ] {
            let failure = Failure::refused(&bare);
            assert_eq!(failure.exit, Exit::Unreachable);
            assert_eq!(failure.sentence, "the controller refused: busy");
        }
    }
}
