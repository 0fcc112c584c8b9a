//! Moving files out of and into a state directory, in the order that keeps half a restore from being
//! taken for a state.
//!
//! Called by the restore, which holds the directory's lock. See there for the order.

use std::ffi::OsString;
use std::fs::{self, DirBuilder, File};
use std::io;
use std::os::unix::fs::DirBuilderExt;
use std::path::{Path, PathBuf};

use extend_common::tls::authority::{CERTIFICATE_FILE, KEY_FILE};
use jiff::Timestamp;

use super::{BackupError, STORE_FILE, WorkDir};
use crate::daemon::state::{LOCK_FILE, is_work};

/// How the name of a directory with a former state begins.
const ASIDE_PREFIX: &str = "before-restore-";
/// Restores within one second.
const MOST_A_SECOND: usize = 10;

/// The names in the directory that are somebody's state.
pub(super) fn occupants(state_dir: &Path) -> Result<Vec<OsString>, BackupError> {
    let mut names = Vec::new();
    for entry in fs::read_dir(state_dir).map_err(BackupError::io("list", state_dir))? {
        let name = entry
            .map_err(BackupError::io("list", state_dir))?
            .file_name();
        let text = name.to_string_lossy();
        if text != LOCK_FILE && !text.starts_with(ASIDE_PREFIX) && !is_work(&text) {
            names.push(name);
        }
    }
    names.sort();
    Ok(names)
}

/// Moves the old state into a directory of its own, the private key first. The certificate stays as
/// well, until [`move_in`] replaces it.
pub(super) fn move_aside(
    state_dir: &Path,
    occupants: &[OsString],
    now: Timestamp,
) -> Result<Option<PathBuf>, BackupError> {
    if occupants.is_empty() {
        return Ok(None);
    }
    let aside = new_directory(state_dir, now)?;
    let key = occupants.iter().filter(|name| *name == KEY_FILE);
    let certificate = occupants.iter().filter(|name| *name == CERTIFICATE_FILE);
    let rest = occupants
        .iter()
        .filter(|name| *name != KEY_FILE && *name != CERTIFICATE_FILE);
    for name in key.chain(rest) {
        let from = state_dir.join(name);
        fs::rename(&from, aside.join(name)).map_err(BackupError::io("move aside", &from))?;
        // A store without its log would be an older store: no two moves may change places.
        sync(state_dir)?;
    }
    for name in certificate {
        let from = state_dir.join(name);
        fs::hard_link(&from, aside.join(name)).map_err(BackupError::io("move aside", &from))?;
    }
    sync(&aside)?;
    Ok(Some(aside))
}

/// Moves the unpacked files in, the private key last.
pub(super) fn move_in(state_dir: &Path, work: &WorkDir) -> Result<(), BackupError> {
    for name in [CERTIFICATE_FILE, STORE_FILE, KEY_FILE] {
        let (from, to) = (work.file(name), state_dir.join(name));
        fs::rename(&from, &to).map_err(BackupError::io("replace", &to))?;
        sync(state_dir)?;
    }
    Ok(())
}

fn new_directory(state_dir: &Path, now: Timestamp) -> Result<PathBuf, BackupError> {
    let base = format!("{ASIDE_PREFIX}{}", now.strftime("%Y%m%dT%H%M%SZ"));
    let mut path = state_dir.join(&base);
    for number in 2..=MOST_A_SECOND {
        match DirBuilder::new().mode(0o700).create(&path) {
            Ok(()) => break,
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {
                path = state_dir.join(format!("{base}-{number}"));
            }
            Err(error) => return Err(BackupError::io("create", &path)(error)),
        }
    }
    Ok(path)
}

/// A rename is durable once the directory is.
fn sync(directory: &Path) -> Result<(), BackupError> {
    File::open(directory)
        .and_then(|directory| directory.sync_all())
        .map_err(BackupError::io("sync", directory))
}
