//! Putting a backup back.
//!
//! ```text
//! open ── become the directory's owner ── lock ── unpack beside ── verify ── move the old aside ── ca.crt ── store.db ── ca.key
//! ```
//!
//! Called by `extend controller restore`, with no controller running. The private key leaves first
//! and arrives last: wherever this is cut short, a controller finds a certificate without its key
//! and refuses to start, so that half a restore is never taken for a state.

use std::fs::File;
use std::path::{Path, PathBuf};

use extend_common::owner;
use extend_common::tls::Authority;
use jiff::Timestamp;

use super::{BackupError, Manifest, WorkDir, archive, place};
use crate::daemon::state::StateLock;
use crate::store::{SqliteStore, Store, StoreId};

/// How to restore.
#[derive(Debug, Clone, Copy)]
pub struct RestoreOptions {
    /// Move aside what is there.
    pub force: bool,
    /// Names the directory that it is moved to.
    pub now: Timestamp,
}

/// What was put back.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Restored {
    /// Which store.
    pub store: String,
    /// Its epoch.
    pub epoch: u64,
    /// When the backup was taken.
    pub taken: Timestamp,
    /// Where the state before is now.
    pub moved_aside: Option<PathBuf>,
}

/// Puts the backup at `file` into `state_dir`. Blocks. A process of root's is afterwards one of the
/// directory's owner, and so is everything that was put there; the backup itself may be one that
/// only root can read.
///
/// # Errors
/// Fails, and changes nothing, if the archive is not whole, if a controller runs on the directory,
/// or if something is in it and `force` is not set.
pub fn restore(
    file: &Path,
    state_dir: &Path,
    options: RestoreOptions,
) -> Result<Restored, BackupError> {
    let archive = File::open(file).map_err(BackupError::io("open", file))?;
    owner::become_owner(state_dir)?;
    let lock = StateLock::take(state_dir)?;
    let occupied = place::occupants(state_dir)?;
    if let Some(found) = occupied.first().filter(|_| !options.force) {
        return Err(BackupError::NotEmpty {
            directory: state_dir.to_owned(),
            found: found.to_string_lossy().into_owned(),
        });
    }
    let work = WorkDir::new(state_dir, ".restore-")?;
    let manifest = archive::unpack(file, archive, &work)?;
    verify(file, &work, &manifest)?;
    let moved_aside = place::move_aside(state_dir, &occupied, options.now)?;
    place::move_in(state_dir, &work)?;
    drop(lock);
    let Manifest {
        store,
        epoch,
        time: taken,
        ..
    } = manifest;
    Ok(Restored {
        store,
        epoch,
        taken,
        moved_aside,
    })
}

/// Whether what was unpacked is of use: hashes say that it is what was written, not that what was
/// written is sound.
fn verify(file: &Path, work: &WorkDir, manifest: &Manifest) -> Result<(), BackupError> {
    let no_backup = |problem: String| BackupError::NotABackup {
        path: file.to_owned(),
        problem,
    };
    Authority::load(&work.path).map_err(|error| no_backup(error.to_string()))?;
    let store = SqliteStore::open(&work.store()).map_err(|error| no_backup(error.to_string()))?;
    let named: Option<StoreId> = manifest.store.parse().ok();
    if named != Some(store.identity()) {
        return Err(no_backup("its manifest names another store".to_owned()));
    }
    Ok(())
}
