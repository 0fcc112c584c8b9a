//! How much disk a directory takes, for the report of a removal.

use std::fs;
use std::os::unix::fs::MetadataExt;
use std::path::Path;
use std::time::{Duration, Instant};

use super::HostError;

/// A recordings directory may hold millions of files; the report does not wait for more than this.
const TIME_LIMIT: Duration = Duration::from_secs(5);
/// The unit of `st_blocks`, whatever the file system's own is.
const BLOCK: u64 = 512;
const OPERATION: &str = "measuring";

/// How much disk a directory takes with all below it, as `du` counts; 0 when there is none.
/// Symbolic links are counted and not followed.
///
/// # Errors
/// When it cannot be read, or takes longer than five seconds.
pub fn directory_size(path: &Path) -> Result<u64, HostError> {
    measure(path, TIME_LIMIT)
}

pub(super) fn measure(path: &Path, limit: Duration) -> Result<u64, HostError> {
    let failed = |path: &Path, error: std::io::Error| HostError::new(OPERATION, path, error);
    let started = Instant::now();
    let top = match fs::symlink_metadata(path) {
        Ok(metadata) => metadata,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(0),
        Err(error) => return Err(failed(path, error)),
    };
    let mut bytes = top.blocks().saturating_mul(BLOCK);
    let mut waiting = if top.is_dir() {
        vec![path.to_owned()]
    } else {
        Vec::new()
    };
    while let Some(directory) = waiting.pop() {
        let entries = match fs::read_dir(&directory) {
            Ok(entries) => entries,
            // A running service may remove what was seen a moment ago.
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => continue,
            Err(error) => return Err(failed(&directory, error)),
        };
        for entry in entries {
            if started.elapsed() >= limit {
                let cause = format!("there is more than can be counted in {limit:?}");
                return Err(HostError::new(OPERATION, path, cause));
            }
            let entry = entry.map_err(|error| failed(&directory, error))?;
            // Of the entry itself: a link's target is somebody else's disk space.
            let Ok(metadata) = entry.metadata() else {
                continue;
            };
            bytes = bytes.saturating_add(metadata.blocks().saturating_mul(BLOCK));
            if metadata.is_dir() {
                waiting.push(entry.path());
            }
        }
    }
    Ok(bytes)
}
