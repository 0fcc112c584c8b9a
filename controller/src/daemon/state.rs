//! The state directory: who holds it, and what is in it.
//!
//! Owns the lock that keeps a second controller out, the names of the files, and the decision which
//! states of the disk a controller may start from. Used by the daemon's start and by a restore. It
//! must never make a new authority or a new store in place of one that is missing beside the other:
//! the one would lock out a fleet, the other is announced as `recovering`.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Read, Seek, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use extend_common::files::{self, FileError};
use extend_common::owner::{self, OwnerError};
use extend_common::tls::Authority;
use extend_common::tls::authority::{CERTIFICATE_FILE, KEY_FILE};
use jiff::Timestamp;
use nix::errno::Errno;
use nix::fcntl::{Flock, FlockArg};

use crate::ca::{self, CaError};
use crate::store::{SqliteStore, StoreError, StoreHandle};

/// The store, within the state directory.
pub const STORE_FILE: &str = "store.db";
/// The file whose lock is the right to be the controller here.
pub const LOCK_FILE: &str = "lock";

/// How the names of our own directories for work in progress begin. What a killed process left of
/// them is removed at the next start.
const WORK_PREFIXES: [&str; 2] = [".backup-", ".restore-"];
/// How the name of a half-made store ends.
const DRAFT_SUFFIX: &str = ".draft";

/// Why the state cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum StateError {
    /// The directory or the lock file cannot be used.
    #[error(transparent)]
    File(#[from] FileError),
    /// It belongs to another user.
    #[error(transparent)]
    Owner(#[from] OwnerError),
    /// Another controller is at work on it.
    #[error("another controller{} is using {}", process_text(*process), directory.display())]
    Held {
        /// The state directory.
        directory: PathBuf,
        /// Its process, as it wrote down.
        process: Option<u32>,
    },
    /// The authority cannot be used.
    #[error("opening the certificate authority in {}", directory.display())]
    Authority {
        /// The state directory.
        directory: PathBuf,
        /// Why.
        source: CaError,
    },
    /// There is a store, and no authority at all.
    #[error(
        "opening the certificate authority in {}: {KEY_FILE} and {CERTIFICATE_FILE} are missing \
         beside {STORE_FILE}; with new ones no node would be let in",
        directory.display()
    )]
    AuthorityGone {
        /// The state directory.
        directory: PathBuf,
    },
    /// The store cannot be used.
    #[error(transparent)]
    Store(#[from] StoreError),
}

fn process_text(process: Option<u32>) -> String {
    process
        .map(|id| format!(" (process {id})"))
        .unwrap_or_default()
}

impl StateError {
    /// What the operator can do about it.
    #[must_use]
    pub fn hint(&self) -> Option<String> {
        const RESTORE: &str = "extend controller restore BACKUP --force";
        match self {
            Self::File(error) => error.hint(),
            Self::Owner(_) => Some("sudo systemctl start extend-controller".to_owned()),
            Self::Held { .. } => Some("systemctl status extend-controller".to_owned()),
            Self::Authority { source, .. } => source.hint(),
            Self::AuthorityGone { .. } => Some(format!("put them back from a backup: {RESTORE}")),
            Self::Store(
                StoreError::Damaged { path, .. }
                | StoreError::NotADatabase { path }
                | StoreError::Foreign { path, .. },
            ) => Some(format!(
                "put back a backup: {RESTORE} ({} is left as it is)",
                path.display()
            )),
            Self::Store(StoreError::Newer { .. }) => {
                Some("install the release that wrote it, or a later one".to_owned())
            }
            Self::Store(StoreError::InUse { .. }) => {
                Some("systemctl status extend-controller".to_owned())
            }
            Self::Store(_) => None,
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

/// The right to use a state directory. The kernel takes it back when the process ends, however it
/// ends.
#[derive(Debug)]
pub struct StateLock {
    directory: PathBuf,
    _file: Flock<File>,
}

impl StateLock {
    /// Takes the lock of `directory`, which is made (mode 0700) if there is none.
    ///
    /// # Errors
    /// Fails if somebody else holds it, if the directory is another user's (also for root: the
    /// owner could not use what root makes there), or if it is open to other users.
    pub fn take(directory: &Path) -> Result<Self, StateError> {
        owner::require_owner(directory)?;
        files::private_directory(directory)?;
        let path = directory.join(LOCK_FILE);
        let file = OpenOptions::new()
            .read(true)
            .write(true)
            .create(true)
            .truncate(false)
            .mode(files::SECRET)
            .open(&path)
            .map_err(StateError::io("open", &path))?;
        match Flock::lock(file, FlockArg::LockExclusiveNonblock) {
            Ok(mut file) => {
                // For whoever is refused; the lock is what counts.
                let noted = file
                    .set_len(0)
                    .and_then(|()| writeln!(file, "{}", std::process::id()));
                noted.map_err(StateError::io("write", &path))?;
                Ok(Self {
                    directory: directory.to_owned(),
                    _file: file,
                })
            }
            Err((mut file, Errno::EWOULDBLOCK)) => {
                let mut text = String::new();
                let read = file
                    .rewind()
                    .and_then(|()| file.take(32).read_to_string(&mut text));
                let process = read.ok().and_then(|_| text.trim().parse().ok());
                Err(StateError::Held {
                    directory: directory.to_owned(),
                    process,
                })
            }
            Err((_, errno)) => Err(StateError::io("lock", &path)(errno.into())),
        }
    }

    /// The directory that is held.
    #[must_use]
    pub fn directory(&self) -> &Path {
        &self.directory
    }
}

/// What a controller works on.
#[derive(Debug)]
pub struct State {
    /// The authority.
    pub authority: Arc<Authority>,
    /// The store, on its thread.
    pub store: StoreHandle,
    /// The store is new and the authority is not: nodes may know more than the store.
    pub recovering: bool,
}

/// Opens what is in the directory, making both parts at the first start. Blocks on the disk.
///
/// # Errors
/// Fails if a part is damaged or missing beside the other. What is there is left as it is.
pub fn open(lock: &StateLock, now: Timestamp) -> Result<State, StateError> {
    let directory = lock.directory();
    remove_leftovers(directory)?;
    let present = |name: &str| {
        let path = directory.join(name);
        // Also a dangling link is something that was put there.
        path.symlink_metadata().is_ok()
    };
    let old_store = present(STORE_FILE);
    let old_authority = present(KEY_FILE) || present(CERTIFICATE_FILE);
    if old_store && !old_authority {
        return Err(StateError::AuthorityGone {
            directory: directory.to_owned(),
        });
    }
    let authority = ca::open_authority(directory, now).map_err(|source| StateError::Authority {
        directory: directory.to_owned(),
        source,
    })?;
    let store = SqliteStore::open(&directory.join(STORE_FILE))?;
    let recovering = old_authority && !old_store;
    Ok(State {
        authority,
        store: StoreHandle::spawn(store)?,
        recovering,
    })
}

/// Whether a name is of a directory for work in progress.
pub(crate) fn is_work(name: &str) -> bool {
    WORK_PREFIXES.iter().any(|prefix| name.starts_with(prefix))
}

/// Removes what a killed process left of work in progress.
fn remove_leftovers(directory: &Path) -> Result<(), StateError> {
    for name in [KEY_FILE, CERTIFICATE_FILE] {
        files::remove_leftovers(&directory.join(name))?;
    }
    for entry in fs::read_dir(directory).map_err(StateError::io("list", directory))? {
        let entry = entry.map_err(StateError::io("list", directory))?;
        let (path, name) = (entry.path(), entry.file_name());
        let name = name.to_string_lossy();
        let removed = if is_work(&name) {
            fs::remove_dir_all(&path)
        } else if name.starts_with(STORE_FILE) && name.ends_with(DRAFT_SUFFIX) {
            fs::remove_file(&path)
        } else {
            continue;
        };
        removed.map_err(StateError::io("remove", &path))?;
        tracing::info!(path = %path.display(), "removed what an interrupted run left behind");
    }
    Ok(())
}

#[cfg(test)]
mod tests;
