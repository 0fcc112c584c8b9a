//! Root's notes: what was changed for a role, and what was there before. A file for each role.

use std::collections::BTreeMap;
use std::fs::{File, OpenOptions};
use std::path::{Path, PathBuf};

use extend_common::files::{self, SECRET};
use extend_common::ids::RoleName;
use nix::fcntl::{Flock, FlockArg};
use serde::{Deserialize, Serialize};

use crate::host::HostError;

const NOTING: &str = "noting what is changed in";
const READING: &str = "reading what was changed from";

/// What was changed for one role. Held, nobody else changes anything.
#[derive(Debug)]
pub(in crate::host) struct Notes {
    path: PathBuf,
    pub(super) changes: Changes,
    _lock: Flock<File>,
}

#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(super) struct Changes {
    /// Kernel parameters by name.
    pub(super) parameters: BTreeMap<String, Parameter>,
    /// firewalld.
    pub(super) firewall: Option<Opened>,
}

/// A kernel parameter.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Parameter {
    /// What it was.
    pub(super) before: String,
    /// What it was set to.
    pub(super) set: String,
}

/// What was opened in firewalld.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Opened {
    /// In which zone.
    pub(super) zone: String,
    /// The service that was made.
    pub(super) service: String,
    /// Ports that were let through until the next reload, when the service takes over.
    pub(super) until_reload: Vec<String>,
}

impl Notes {
    /// The notes of a role, to be added to.
    pub(in crate::host) fn open(directory: &Path, role: &RoleName) -> Result<Self, HostError> {
        files::private_directory(directory).map_err(|e| told(NOTING, directory, &e))?;
        Self::locked(directory, role)
    }

    /// The notes of a role for which something was changed; none when nothing was.
    pub(in crate::host) fn of_before(
        directory: &Path,
        role: &RoleName,
    ) -> Result<Option<Self>, HostError> {
        let path = path(directory, role);
        match path.symlink_metadata() {
            Ok(_) => Self::locked(directory, role).map(Some),
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(None),
            Err(error) => Err(HostError::new(READING, &path, error)),
        }
    }

    fn locked(directory: &Path, role: &RoleName) -> Result<Self, HostError> {
        let lock = directory.join("lock");
        let file = OpenOptions::new()
            .create(true)
            .truncate(false)
            .write(true)
            .open(&lock)
            .map_err(|error| HostError::new("opening", &lock, error))?;
        let lock = Flock::lock(file, FlockArg::LockExclusiveNonblock).map_err(|_| {
            let cause = "another change of this host is under way";
            HostError::new("taking the lock", &lock, cause)
        })?;
        let path = path(directory, role);
        let changes = match files::read_secret(&path) {
            Ok(text) => serde_json::from_slice(&text)
                .map_err(|error| HostError::new(READING, &path, error))?,
            Err(error) if error.is_missing() => Changes::default(),
            Err(error) => return Err(told(READING, &path, &error)),
        };
        Ok(Self {
            path,
            changes,
            _lock: lock,
        })
    }

    /// Puts the notes on disk; notes of nothing are removed.
    pub(super) fn keep(&self) -> Result<(), HostError> {
        if self.changes == Changes::default() {
            return match std::fs::remove_file(&self.path) {
                Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
                    Err(HostError::new("removing", &self.path, error))
                }
                _ => Ok(()),
            };
        }
        let text = serde_json::to_vec_pretty(&self.changes)
            .map_err(|error| HostError::new(NOTING, &self.path, error))?;
        files::write_atomic(&self.path, &text, SECRET).map_err(|e| told(NOTING, &self.path, &e))
    }
}

fn path(directory: &Path, role: &RoleName) -> PathBuf {
    directory.join(format!("{role}.json"))
}

/// A file's error with what is behind it.
pub(in crate::host) fn told(
    operation: &'static str,
    path: &Path,
    error: &files::FileError,
) -> HostError {
    let behind = std::error::Error::source(error).map(|source| format!(": {source}"));
    let cause = format!("{error}{}", behind.unwrap_or_default());
    HostError {
        hint: error.hint(),
        ..HostError::new(operation, path, cause)
    }
}
