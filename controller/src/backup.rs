//! Backups: store and certificate authority together, as one archive.
//!
//! ```text
//! manifest.json   version, store, epoch, time; name, size and SHA-256 of what follows
//! ca.crt  ca.key  store.db
//! ```
//!
//! Owns the form of the archive, and both ways. Written for the operators' face while the controller
//! runs; read by `extend controller restore` while it does not. An archive is untrusted until every
//! name, size and hash in it was found to be as it must.

mod archive;
mod place;
mod restore;

use std::fs::{self, DirBuilder};
use std::io;
use std::os::unix::fs::DirBuilderExt;
use std::path::{Path, PathBuf};

use extend_common::files::FileError;
use extend_common::owner::OwnerError;
use extend_common::tls::authority::{CERTIFICATE_FILE, KEY_FILE};
use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use ulid::Ulid;

use crate::daemon::state::{STORE_FILE, StateError};

pub use archive::write;
pub use restore::{RestoreOptions, Restored, restore};

/// The first file of an archive.
pub const MANIFEST_FILE: &str = "manifest.json";
/// The form that this release writes, and the only one it reads.
const VERSION: u32 = 1;

/// The files of an archive behind its manifest, in this order, and the largest of each that is read.
/// A store of a million operations is not a tenth of this.
const CONTENTS: [(&str, u64); 3] = [
    (CERTIFICATE_FILE, 64 * 1024),
    (KEY_FILE, 64 * 1024),
    (STORE_FILE, 16 * 1024 * 1024 * 1024),
];
/// A manifest has some 600 bytes.
const MAX_MANIFEST_BYTES: u64 = 16 * 1024;

/// What an archive holds.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Manifest {
    /// The form of the archive.
    pub version: u32,
    /// Which store it was taken of.
    pub store: String,
    /// The epoch of the store at that time.
    pub epoch: u64,
    /// When it was taken.
    pub time: Timestamp,
    /// The files.
    pub files: Vec<FileEntry>,
}

/// One file of an archive.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct FileEntry {
    /// Its name.
    pub name: String,
    /// Its size.
    pub bytes: u64,
    /// SHA-256, in hexadecimal digits.
    pub sha256: String,
}

/// What is written into the manifest of a new archive.
#[derive(Debug, Clone)]
pub struct Facts {
    /// Which store.
    pub store: String,
    /// Now.
    pub time: Timestamp,
}

/// Why a backup was not made or not put back.
#[derive(Debug, thiserror::Error)]
pub enum BackupError {
    /// The system refused.
    #[error(transparent)]
    File(#[from] FileError),
    /// The archive could not be written to its reader.
    #[error("cannot write the backup")]
    Write(#[source] io::Error),
    /// The archive is not what a backup of ours looks like.
    #[error("{} is no backup of a controller: {problem}", path.display())]
    NotABackup {
        /// The archive.
        path: PathBuf,
        /// What is wrong with it.
        problem: String,
    },
    /// The snapshot of the store cannot be read.
    #[error("cannot read the snapshot of the store")]
    Snapshot(#[source] rusqlite::Error),
    /// The directory belongs to another user.
    #[error(transparent)]
    Owner(#[from] OwnerError),
    /// A controller holds the directory, or it cannot be used.
    #[error(transparent)]
    State(#[from] StateError),
    /// There is something there already.
    #[error("{} is not empty: it holds {found}", directory.display())]
    NotEmpty {
        /// The state directory.
        directory: PathBuf,
        /// What was found first.
        found: String,
    },
}

impl BackupError {
    /// What the operator can do about it.
    #[must_use]
    pub fn hint(&self) -> Option<String> {
        match self {
            Self::File(error) => error.hint(),
            Self::Owner(error) => error.hint("extend controller restore FILE"),
            Self::State(StateError::Held { .. }) => {
                Some("sudo systemctl stop extend-controller".to_owned())
            }
            Self::State(error) => error.hint(),
            Self::NotEmpty { .. } => Some(
                "--force moves what is there into a directory before-restore-… beside it"
                    .to_owned(),
            ),
            Self::NotABackup { .. } => {
                Some("name a file that was written by: extend controller backup".to_owned())
            }
            Self::Write(_) | Self::Snapshot(_) => None,
        }
    }

    fn io<'a>(operation: &'static str, path: &'a Path) -> impl FnOnce(io::Error) -> Self + 'a {
        move |source| {
            FileError::Io {
                operation,
                path: path.to_owned(),
                source,
            }
            .into()
        }
    }
}

/// A private directory for work in progress, within the state directory. It goes with its value.
#[derive(Debug)]
pub struct WorkDir {
    path: PathBuf,
}

impl WorkDir {
    /// For a snapshot on its way into an archive.
    ///
    /// # Errors
    /// Fails if the directory cannot be made.
    pub fn for_backup(state_dir: &Path) -> Result<Self, BackupError> {
        Self::new(state_dir, ".backup-")
    }

    fn new(state_dir: &Path, prefix: &str) -> Result<Self, BackupError> {
        let path = state_dir.join(format!("{prefix}{}", Ulid::generate()));
        DirBuilder::new()
            .mode(0o700)
            .create(&path)
            .map_err(BackupError::io("create", &path))?;
        Ok(Self { path })
    }

    /// Where the snapshot of the store goes.
    #[must_use]
    pub fn store(&self) -> PathBuf {
        self.path.join(STORE_FILE)
    }

    fn file(&self, name: &str) -> PathBuf {
        self.path.join(name)
    }
}

impl Drop for WorkDir {
    fn drop(&mut self) {
        // What cannot be removed now is removed at the controller's next start.
        let _ = fs::remove_dir_all(&self.path);
    }
}

#[cfg(test)]
mod tests;
