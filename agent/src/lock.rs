//! One agent for each state directory: two would share a ledger and throw each other out.

use std::fs::{File, OpenOptions};
use std::path::{Path, PathBuf};

use nix::fcntl::{Flock, FlockArg};

/// Why the state directory cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum LockError {
    /// Somebody else uses it.
    #[error("an agent is running on {0}")]
    Taken(PathBuf),
    /// The lock's file cannot be opened.
    #[error("opening {path}")]
    Open {
        /// The file.
        path: PathBuf,
        /// Why.
        source: std::io::Error,
    },
}

/// Held for as long as the directory is used; the kernel gives it back when the process ends,
/// however it ends.
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
        let path = directory.join("lock");
        let file = OpenOptions::new()
            .create(true)
            .truncate(false)
            .write(true)
            .open(&path)
            .map_err(|source| LockError::Open { path, source })?;
        match Flock::lock(file, FlockArg::LockExclusiveNonblock) {
            Ok(file) => Ok(Self { _file: file }),
            Err(_) => Err(LockError::Taken(directory.to_owned())),
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
        drop(held);
        assert!(StateLock::take(directory.path()).is_ok());
    }
}
