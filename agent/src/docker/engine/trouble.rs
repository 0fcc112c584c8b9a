//! What becomes of bollard's errors: the Engine refused, or nobody knows what became of the call.

use std::error::Error as _;
use std::io;
use std::time::Duration;

use bollard::errors::Error;
use extend_common::hint::with_hint;

use crate::docker::DockerError;

/// Runtimes put whole configurations into their errors; this much goes into records and reports.
const MAX_MESSAGE: usize = 1024;

/// What to look at when nobody listens.
const RUNS: &str = "systemctl status docker";

/// The error of one call.
pub(super) fn explain(doing: &str, error: Error) -> DockerError {
    match error {
        Error::DockerResponseServerError {
            status_code,
            message,
        } => DockerError::Refused {
            status: status_code,
            message: clip(message.trim()),
        },
        // Told within an answer that had begun with 200.
        Error::DockerStreamError { error } => DockerError::Refused {
            status: 500,
            message: clip(error.trim()),
        },
        Error::JsonDataError { .. } | Error::JsonSerdeError { .. } => {
            let words = format!("docker's answer was not understood ({doing}): {error}");
            DockerError::Unavailable(clip(&words))
        }
        other => unreachable(doing, &other),
    }
}

/// There is no connection, or there is none any more.
pub(super) fn unreachable(doing: &str, error: &Error) -> DockerError {
    // The outer layers only repeat that a client had an error.
    let mut cause = error.source();
    let mut words = error.to_string();
    let mut kind = None;
    while let Some(inner) = cause {
        words = inner.to_string();
        kind = inner.downcast_ref::<io::Error>().map(io::Error::kind);
        cause = inner.source();
    }
    let reason = clip(&format!("docker cannot be reached ({doing}): {words}"));
    let hint = match kind {
        Some(io::ErrorKind::PermissionDenied) => "is this user in the group docker? id",
        Some(io::ErrorKind::NotFound | io::ErrorKind::ConnectionRefused) => RUNS,
        _ if matches!(error, Error::SocketNotFoundError(_)) => RUNS,
        _ => return DockerError::Unavailable(reason),
    };
    DockerError::Unavailable(with_hint(reason, hint))
}

/// There was no answer in time.
pub(in crate::docker) fn silent(limit: Duration, doing: &str) -> DockerError {
    DockerError::Unavailable(format!("docker did not answer in {limit:?} ({doing})"))
}

/// The Engine answers 404 to the renaming of a container that is between two restarts, because
/// its network sandbox is missing. The container is not, and callers must not believe so.
pub(super) fn of_rename(error: DockerError) -> DockerError {
    match error {
        DockerError::Refused {
            status: 404,
            message,
        } if !message.contains("No such container") => DockerError::Refused {
            status: 409,
            message,
        },
        other => other,
    }
}

/// Runtimes put whole configurations into their errors.
pub(super) fn clip(text: &str) -> String {
    match text.char_indices().nth(MAX_MESSAGE) {
        Some((end, _)) => format!("{}…", &text[..end]),
        None => text.to_owned(),
    }
}
