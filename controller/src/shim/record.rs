//! What root remembers about the shim: in which directories it is, and what the controller has not
//! been told yet.
//!
//! ```text
//! /var/lib/extend-shim/
//!   lock              one at a time
//!   directories.json  where it was put, and is to be kept
//!   untold-….json     PortSIP's that took our place, and was put in its own: an event to be told
//! ```
//!
//! What is to be told is written before it is done, under a name made of directory and content: a
//! run that is cut short tells it later, once.

use std::fs;
use std::os::unix::fs::DirBuilderExt;
use std::path::{Path, PathBuf};

use extend_common::files;
use extend_common::hash::{encode, sha256};
use jiff::Timestamp;
use nix::fcntl::{Flock, FlockArg};
use serde::{Deserialize, Serialize};

use super::ShimError;

/// Where the record is.
pub const DEFAULT_RECORD: &str = "/var/lib/extend-shim";

const DIRECTORIES: &str = "directories.json";
const UNTOLD: &str = "untold-";
/// The record is root's alone: it says what root will do.
const MODE: u32 = 0o600;
/// Nobody has so many; a file with more is none of ours.
const MOST_UNTOLD: usize = 100;

/// PortSIP's script took the place of ours, and ours took it back.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Mended {
    /// Where.
    pub directory: PathBuf,
    /// When that was seen.
    pub seen: Timestamp,
    /// SHA-256 of PortSIP's, in hexadecimal digits.
    pub sha256: String,
}

#[derive(Debug, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Directories {
    directories: Vec<PathBuf>,
}

/// The record, held by one process at a time.
#[derive(Debug)]
pub struct Record {
    path: PathBuf,
    _lock: Flock<fs::File>,
}

impl Record {
    /// Opens the record at `path`, made if there is none; `None` while somebody else has it.
    ///
    /// # Errors
    /// Fails if it cannot be made or locked.
    pub fn open(path: &Path) -> Result<Option<Self>, ShimError> {
        fs::DirBuilder::new()
            .recursive(true)
            .mode(0o700)
            .create(path)
            .map_err(ShimError::io("create", path))?;
        let lock = path.join("lock");
        let file = fs::OpenOptions::new()
            .create(true)
            .truncate(false)
            .write(true)
            .open(&lock)
            .map_err(ShimError::io("open", &lock))?;
        match Flock::lock(file, FlockArg::LockExclusiveNonblock) {
            Ok(held) => Ok(Some(Self {
                path: path.to_owned(),
                _lock: held,
            })),
            Err((_, nix::Error::EWOULDBLOCK)) => Ok(None),
            Err((_, errno)) => Err(ShimError::io("lock", &lock)(errno.into())),
        }
    }

    /// Where the shim is to be kept.
    ///
    /// # Errors
    /// Fails if that cannot be read.
    pub fn directories(&self) -> Result<Vec<PathBuf>, ShimError> {
        directories(&self.path)
    }

    /// Notes that the shim is to be kept in `directory`.
    ///
    /// # Errors
    /// Fails if that cannot be written.
    pub fn add(&self, directory: &Path) -> Result<(), ShimError> {
        let mut directories = self.directories()?;
        if directories.iter().any(|known| known == directory) {
            return Ok(());
        }
        directories.push(directory.to_owned());
        self.write(DIRECTORIES, &Directories { directories })
    }

    /// Notes that it is not.
    ///
    /// # Errors
    /// Fails if that cannot be written.
    pub fn forget(&self, directory: &Path) -> Result<(), ShimError> {
        let mut directories = self.directories()?;
        let before = directories.len();
        directories.retain(|known| known != directory);
        if directories.len() == before {
            return Ok(());
        }
        self.write(DIRECTORIES, &Directories { directories })
    }

    /// Notes what is to be told. The first sight counts.
    ///
    /// # Errors
    /// Fails if that cannot be written.
    pub fn note(&self, mended: &Mended) -> Result<(), ShimError> {
        let name = Self::name(mended);
        if self.path.join(&name).exists() || self.untold()?.len() >= MOST_UNTOLD {
            return Ok(());
        }
        self.write(&name, mended)
    }

    /// What has not been told yet, oldest first.
    ///
    /// # Errors
    /// Fails if the record cannot be read. A note that cannot be understood is passed over.
    pub fn untold(&self) -> Result<Vec<Mended>, ShimError> {
        let entries = fs::read_dir(&self.path).map_err(ShimError::io("list", &self.path))?;
        let mut untold: Vec<Mended> = entries
            .filter_map(Result::ok)
            .filter(|entry| entry.file_name().to_string_lossy().starts_with(UNTOLD))
            .filter_map(|entry| serde_json::from_slice(&fs::read(entry.path()).ok()?).ok())
            .collect();
        untold.sort_by_key(|mended| mended.seen);
        Ok(untold)
    }

    /// Notes that it was told.
    ///
    /// # Errors
    /// Fails if the note cannot be removed.
    pub fn told(&self, mended: &Mended) -> Result<(), ShimError> {
        let path = self.path.join(Self::name(mended));
        fs::remove_file(&path).map_err(ShimError::io("remove", &path))
    }

    fn name(mended: &Mended) -> String {
        let place = encode(&sha256(mended.directory.as_os_str().as_encoded_bytes()));
        let (place, content) = (place.get(..8), mended.sha256.get(..16));
        let (place, content) = (place.unwrap_or_default(), content.unwrap_or_default());
        format!("{UNTOLD}{place}-{content}.json")
    }

    fn write(&self, name: &str, value: &impl Serialize) -> Result<(), ShimError> {
        let path = self.path.join(name);
        let text = serde_json::to_vec(value)
            .map_err(|error| ShimError::io("write", &path)(error.into()))?;
        files::write_atomic(&path, &text, MODE).map_err(|error| {
            let kind = error.kind().unwrap_or(std::io::ErrorKind::Other);
            ShimError::io("write", &path)(std::io::Error::new(kind, error))
        })
    }
}

/// Where the shim is to be kept, by the record at `path`; nowhere if there is none.
///
/// # Errors
/// Fails if the record cannot be read.
pub fn directories(path: &Path) -> Result<Vec<PathBuf>, ShimError> {
    let path = path.join(DIRECTORIES);
    match fs::read(&path) {
        Ok(text) => serde_json::from_slice::<Directories>(&text)
            .map(|known| known.directories)
            .map_err(|error| ShimError::io("understand", &path)(error.into())),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(Vec::new()),
        Err(error) => Err(ShimError::io("read", &path)(error)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn mended(second: i64, sha256: &str) -> Mended {
        Mended {
            directory: "/opt/portsip-pbx-ha-guide".into(),
            seen: Timestamp::from_second(second).unwrap(),
            sha256: sha256.repeat(32),
        }
    }

    #[test]
    fn one_at_a_time_and_directories_are_known_once() {
        let place = tempfile::tempdir().unwrap();
        let path = place.path().join("shim");
        assert!(directories(&path).unwrap().is_empty());
        let record = Record::open(&path).unwrap().unwrap();
        assert!(Record::open(&path).unwrap().is_none());
        record.add(Path::new("/opt/a")).unwrap();
        record.add(Path::new("/opt/b")).unwrap();
        record.add(Path::new("/opt/a")).unwrap();
        record.forget(Path::new("/opt/c")).unwrap();
        record.forget(Path::new("/opt/b")).unwrap();
        drop(record);
        assert_eq!(directories(&path).unwrap(), [Path::new("/opt/a")]);
    }

    #[test]
    fn what_is_to_be_told_is_there_until_it_was_and_once() {
        let place = tempfile::tempdir().unwrap();
        let record = Record::open(place.path()).unwrap().unwrap();
        record.note(&mended(20, "bb")).unwrap();
        record.note(&mended(10, "aa")).unwrap();
        record.note(&mended(30, "aa")).unwrap();
        let untold = record.untold().unwrap();
        assert_eq!(untold, [mended(10, "aa"), mended(20, "bb")]);
        record.told(&mended(10, "aa")).unwrap();
        assert_eq!(record.untold().unwrap(), [mended(20, "bb")]);
    }
}
