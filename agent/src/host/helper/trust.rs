//! Whether a file can be taken for root's word: nobody else may have written it, or have put
//! another one in its place.

use std::fs;
use std::os::unix::fs::MetadataExt as _;
use std::path::Path;

use crate::host::HostError;

const TRUSTING: &str = "trusting";
/// Write permission of group and others.
const WRITABLE: u32 = 0o022;

/// Refuses a path that is not root's, or that others can change: itself, or a directory that leads
/// to it. One that does not exist is nobody's word, and fine.
pub(super) fn require_roots(path: &Path) -> Result<(), HostError> {
    let whole = match fs::canonicalize(path) {
        Ok(whole) => whole,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(()),
        Err(error) => return Err(HostError::new(TRUSTING, path, error)),
    };
    // The links on the way lie in directories too: those are asked as they are written.
    for part in whole.ancestors().chain(path.ancestors().skip(1)) {
        let metadata = fs::symlink_metadata(part);
        let metadata = metadata.map_err(|error| HostError::new(TRUSTING, part, error))?;
        if metadata.is_symlink() {
            continue;
        }
        let mode = metadata.mode() & 0o7777;
        if metadata.uid() != 0 {
            let cause = format!("it belongs to user {} and not to root", metadata.uid());
            return Err(refused(
                part,
                cause,
                format!("chown root: {}", part.display()),
            ));
        }
        if mode & WRITABLE != 0 {
            let cause = format!("others than root can write it (mode {mode:04o})");
            return Err(refused(
                part,
                cause,
                format!("chmod go-w {}", part.display()),
            ));
        }
    }
    Ok(())
}

fn refused(path: &Path, cause: String, hint: String) -> HostError {
    HostError {
        hint: Some(hint),
        ..HostError::new(TRUSTING, path, cause)
    }
}
