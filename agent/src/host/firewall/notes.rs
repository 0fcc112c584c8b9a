//! Root's notes of the sources that Extend has added to the trusted zone.

use std::collections::BTreeSet;
use std::fs::{File, OpenOptions};
use std::io::ErrorKind;
use std::net::Ipv4Addr;
use std::path::{Path, PathBuf};

use extend_common::files::{self, SECRET};
use extend_common::firewall::ZoneSource;
use nix::fcntl::{Flock, FlockArg};
use serde::{Deserialize, Serialize};

use super::TRUSTED;
use crate::host::HostError;
use crate::host::changes::told;

/// Beside the notes of roles, with a name that no role has.
const FILE: &str = "trusted.sources.json";
const LOCK: &str = "trusted.sources.lock";
const NOTING: &str = "noting what is added to firewalld in";
const READING: &str = "reading what was added to firewalld from";

/// What is ours. Held, nobody else changes anything.
#[derive(Debug)]
pub(super) struct Notes {
    path: PathBuf,
    ours: Ours,
    _lock: Option<Flock<File>>,
}

#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Ours {
    sources: BTreeSet<Ipv4Addr>,
}

impl Notes {
    /// To be changed.
    pub(super) fn open(directory: &Path) -> Result<Self, HostError> {
        files::private_directory(directory).map_err(|e| told(NOTING, directory, &e))?;
        let lock = directory.join(LOCK);
        let file = OpenOptions::new()
            .create(true)
            .truncate(false)
            .write(true)
            .open(&lock)
            .map_err(|error| HostError::new("opening", &lock, error))?;
        let held = Flock::lock(file, FlockArg::LockExclusiveNonblock).map_err(|_| {
            let cause = "another change of firewalld is under way";
            HostError::new("taking the lock", &lock, cause)
        })?;
        Ok(Self {
            _lock: Some(held),
            ..Self::read(directory)?
        })
    }

    /// To be read.
    pub(super) fn read(directory: &Path) -> Result<Self, HostError> {
        let path = directory.join(FILE);
        let ours = match files::read_secret(&path) {
            Ok(text) => serde_json::from_slice(&text)
                .map_err(|error| HostError::new(READING, &path, error))?,
            Err(error) if error.is_missing() => Ours::default(),
            Err(error) => return Err(told(READING, &path, &error)),
        };
        Ok(Self {
            path,
            ours,
            _lock: None,
        })
    }

    pub(super) fn has(&self, address: Ipv4Addr) -> bool {
        self.ours.sources.contains(&address)
    }

    /// Notes addresses before they are added.
    pub(super) fn add(&mut self, addresses: &BTreeSet<Ipv4Addr>) -> Result<(), HostError> {
        if addresses.is_subset(&self.ours.sources) {
            return Ok(());
        }
        self.ours.sources.extend(addresses);
        self.write()
    }

    /// Forgets those of which nothing is left.
    pub(super) fn keep_only(&mut self, left: impl Fn(Ipv4Addr) -> bool) -> Result<(), HostError> {
        let before = self.ours.sources.len();
        self.ours.sources.retain(|address| left(*address));
        if self.ours.sources.len() == before {
            return Ok(());
        }
        self.write()
    }

    /// What they say, where firewalld cannot be asked.
    pub(super) fn sources(&self) -> Vec<ZoneSource> {
        let ours = self.ours.sources.iter();
        ours.map(|address| ZoneSource {
            zone: TRUSTED.to_owned(),
            address: *address,
            prefix: 32,
            accepts: true,
            first: false,
            runtime: false,
            permanent: true,
            ours: true,
        })
        .collect()
    }

    fn write(&self) -> Result<(), HostError> {
        if self.ours.sources.is_empty() {
            return match std::fs::remove_file(&self.path) {
                Err(error) if error.kind() != ErrorKind::NotFound => {
                    Err(HostError::new("removing", &self.path, error))
                }
                _ => Ok(()),
            };
        }
        let text = serde_json::to_vec_pretty(&self.ours)
            .map_err(|error| HostError::new(NOTING, &self.path, error))?;
        files::write_atomic(&self.path, &text, SECRET).map_err(|e| told(NOTING, &self.path, &e))
    }
}
