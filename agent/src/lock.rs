//! One agent for each state directory: two would share a ledger and throw each other out. And one
//! writer of the identity in it at a time: a join may come while the agent runs.

use std::fs::{File, OpenOptions};
use std::path::{Path, PathBuf};

use nix::fcntl::{Flock, FlockArg};

/// Why the state directory cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum LockError {
    /// Somebody else uses it.
    #[error("an agent is running on {0}")]
    Taken(PathBuf),
    /// Somebody else is writing the identity.
    #[error("the identity in {0} is being written by another command")]
    Writing(PathBuf),
    /// The lock's file cannot be opened.
    #[error("opening {path}")]
    Open {
        /// The file.
        path: PathBuf,
        /// Why.
        source: std::io::Error,
    },
}

/// Held for as long as the directory, or the identity in it, is used; the kernel gives it back when
/// the process ends, however it ends.
#[derive(Debug)]
pub struct StateLock {
    _file: Flock<File>,
}

impl StateLock {
    /// Takes the lock of a state directory.
    ///
    /// # Errors
    /// When an agent runs on it, or the file cannot be made.
    pub fn take(directory: &Path) -> Result<Self, LockError> {
        Self::of(&directory.join("lock"), || {
            LockError::Taken(directory.to_owned())
        })
    }

    /// Takes the lock of the identity in a state directory, to write it.
    ///
    /// # Errors
    /// When another writes it, or the file cannot be made.
    pub fn of_identity(directory: &Path) -> Result<Self, LockError> {
        let path = directory.join("identity.lock");
        Self::of(&path, || LockError::Writing(directory.to_owned()))
    }

    fn of(path: &Path, taken: impl FnOnce() -> LockError) -> Result<Self, LockError> {
        let file = OpenOptions::new()
            .create(true)
            .truncate(false)
            .write(true)
            .open(path)
            .map_err(|source| LockError::Open {
                path: path.to_owned(),
                source,
            })?;
        match Flock::lock(file, FlockArg::LockExclusiveNonblock) {
            Ok(file) => Ok(Self { _file: file }),
            Err(_) => Err(taken()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_directory_has_one_agent_at_a_time() {
        let directory = tempfile::tempdir().unwrap();
        let held = StateLock::take(directory.path()).unwrap();
        assert!(matches!(
            StateLock::take(directory.path()),
            Err(LockError::Taken(_))
        ));
        let writing = StateLock::of_identity(directory.path()).expect("while an agent runs");
        assert!(matches!(
            StateLock::of_identity(directory.path()),
            Err(LockError::Writing(_))
        ));
        drop((held, writing));
        assert!(StateLock::take(directory.path()).is_ok());
    }
}
