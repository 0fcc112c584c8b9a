//! What may stand in a path of the Engine's API. bollard puts names and references there as they
//! are, so that `../` or `?` in one would make another call of it.

use crate::docker::DockerError;

/// Docker itself sets no limit; ours only keeps nonsense out of paths and messages.
const MAX_LENGTH: usize = 512;

/// A container's name or id.
pub(super) fn check_container(name: &str) -> Result<(), DockerError> {
    let allowed = |c: char| c.is_ascii_alphanumeric() || "_.-".contains(c);
    check(name, allowed, "container name")
}

/// An image's reference, digest or id.
pub(super) fn check_image(reference: &str) -> Result<(), DockerError> {
    let allowed = |c: char| c.is_ascii_alphanumeric() || "_.-/:@".contains(c);
    check(reference, allowed, "image reference")
}

fn check(text: &str, allowed: impl Fn(char) -> bool, what: &str) -> Result<(), DockerError> {
    let begins = text.starts_with(|c: char| c.is_ascii_alphanumeric());
    if begins && text.len() <= MAX_LENGTH && text.chars().all(allowed) && !text.contains("..") {
        return Ok(());
    }
    let shown: String = text
        .chars()
        .take(80)
        .flat_map(char::escape_default)
        .collect();
    Err(DockerError::Refused {
        status: 400,
        message: format!("`{shown}` is no {what}"),
    })
}
