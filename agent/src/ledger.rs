//! The ledger on disk: one file, written aside, fsynced and renamed, with a checksum. A damaged
//! file is kept aside and said, never used.
//!
//! Called by the reconciler only, on blocking threads. What the content means is `core::entry`'s.

use std::io;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use extend_common::files::{self, FileError};
use extend_common::hash;

use crate::core::entry::{LEDGER_VERSION, Ledger};

const FILE: &str = "ledger.json";
const RESERVE: &str = "reserve";
const MAGIC: &str = "extend-ledger";
/// Given back to a full disk so that the ledger can be written once more.
const RESERVE_BYTES: usize = 1024 * 1024;
/// A ledger holds one server; a file that is larger is something else.
const MAX_BYTES: u64 = 1024 * 1024;

/// Why the ledger could not be read or written.
#[derive(Debug, thiserror::Error)]
pub enum LedgerError {
    /// The file system's word.
    #[error("{0}")]
    File(#[from] FileError),
    /// The file cannot be read.
    #[error("reading the ledger {path}")]
    Read {
        /// The file.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// The content cannot be put into text.
    #[error("encoding the ledger")]
    Encode(#[from] serde_json::Error),
    /// The file is a newer agent's: using it in part would lose what it says.
    #[error("the ledger {path} was written by a newer agent (format {version}); install that one")]
    Newer {
        /// The file.
        path: PathBuf,
        /// Its format.
        version: u32,
    },
    /// The damaged file cannot be put aside.
    #[error("putting the damaged ledger {path} aside")]
    Aside {
        /// The file.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
}

impl LedgerError {
    /// What to do next.
    pub fn hint(&self) -> Option<String> {
        match self {
            Self::File(error) => error.hint(),
            Self::Newer { .. } => {
                Some("install the extend-agent that was here before, or a later one".to_owned())
            }
            Self::Aside { path, .. } => Some(format!("mv {0} {0}.damaged", path.display())),
            Self::Read { .. } | Self::Encode(_) => None,
        }
    }

    /// Whether the disk is full.
    pub fn is_disk_full(&self) -> bool {
        match self {
            Self::File(error) => error.kind() == Some(io::ErrorKind::StorageFull),
            _ => false,
        }
    }
}

/// The file, and where it lies.
#[derive(Debug, Clone)]
pub struct LedgerFile {
    directory: PathBuf,
    /// The turn that was written last: a write that was given up on may still be under way, and
    /// must not put an older ledger over a newer one.
    written: Arc<Mutex<u64>>,
    turns: Arc<AtomicU64>,
}

/// What was found at the start.
#[derive(Debug)]
pub struct Opened {
    /// The file.
    pub file: LedgerFile,
    /// Its content; empty when there was none, or a damaged one.
    pub ledger: Ledger,
    /// What was wrong with the file that was found, and where it is now.
    pub damage: Option<String>,
}

impl LedgerFile {
    /// Reads the ledger of a state directory.
    ///
    /// # Errors
    /// When the file cannot be read, or a damaged one cannot be put aside.
    pub fn open(directory: &Path, now: jiff::Timestamp) -> Result<Opened, LedgerError> {
        let file = Self {
            directory: directory.to_owned(),
            written: Arc::default(),
            turns: Arc::default(),
        };
        let path = file.path();
        files::remove_leftovers(&path)?;
        file.fill_reserve();
        let bytes = match std::fs::metadata(&path) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                return Ok(Opened {
                    file,
                    ledger: Ledger::default(),
                    damage: None,
                });
            }
            Ok(metadata) if metadata.len() > MAX_BYTES => Err("it is too large".to_owned()),
            _ => Ok(read(&path)?),
        };
        if let Some(version) = bytes.as_ref().ok().and_then(|bytes| format_of(bytes))
            && version > LEDGER_VERSION
        {
            return Err(LedgerError::Newer { path, version });
        }
        match bytes.and_then(|bytes| decode(&bytes)) {
            Ok(ledger) => Ok(Opened {
                file,
                ledger,
                damage: None,
            }),
            Err(why) => {
                let aside = directory.join(format!("{FILE}.damaged-{}", now.as_millisecond()));
                std::fs::rename(&path, &aside)
                    .map_err(|source| LedgerError::Aside { path, source })?;
                let damage = format!(
                    "the ledger was damaged ({why}); it is kept as {} and was not used",
                    aside.display()
                );
                Ok(Opened {
                    file,
                    ledger: Ledger::default(),
                    damage: Some(damage),
                })
            }
        }
    }

    fn path(&self) -> PathBuf {
        self.directory.join(FILE)
    }

    /// The place of a write among all writes; taken where the ledger is decided on.
    pub fn turn(&self) -> u64 {
        self.turns.fetch_add(1, Ordering::Relaxed) + 1
    }

    /// Writes the ledger, unless a later turn has been written; on a full disk the reserve is given up for it.
    ///
    /// # Errors
    /// When it is not on the disk; the old one still is.
    pub fn write(&self, ledger: &Ledger, turn: u64) -> Result<(), LedgerError> {
        let bytes = encode(ledger)?;
        let mut written = self.written.lock().unwrap_or_else(PoisonError::into_inner);
        if turn <= *written {
            return Ok(());
        }
        let result = files::write_atomic(&self.path(), &bytes, 0o600).map_err(LedgerError::from);
        let result = match result {
            Err(error) if error.is_disk_full() && self.give_up_reserve() => {
                files::write_atomic(&self.path(), &bytes, 0o600).map_err(LedgerError::from)
            }
            other => other,
        };
        if result.is_ok() {
            *written = turn;
        }
        result
    }

    /// Puts the reserve back once there is room; failing to is no error, only a smaller safety.
    pub fn fill_reserve(&self) {
        let path = self.directory.join(RESERVE);
        let size = u64::try_from(RESERVE_BYTES).unwrap_or(u64::MAX);
        if std::fs::metadata(&path).is_ok_and(|metadata| metadata.len() == size) {
            return;
        }
        if let Err(error) = files::write_atomic(&path, &vec![0x20; RESERVE_BYTES], 0o600) {
            tracing::warn!(%error, "the ledger's reserve could not be made");
        }
    }

    fn give_up_reserve(&self) -> bool {
        std::fs::remove_file(self.directory.join(RESERVE)).is_ok()
    }
}

fn read(path: &Path) -> Result<Vec<u8>, LedgerError> {
    std::fs::read(path).map_err(|source| LedgerError::Read {
        path: path.to_owned(),
        source,
    })
}

fn checksum(text: &[u8]) -> String {
    hash::encode(&hash::sha256(text))
}

fn encode(ledger: &Ledger) -> Result<Vec<u8>, serde_json::Error> {
    let text = serde_json::to_vec_pretty(ledger)?;
    let mut bytes = format!("{MAGIC} {LEDGER_VERSION} sha256:{}\n", checksum(&text)).into_bytes();
    bytes.extend(text);
    Ok(bytes)
}

/// The format that the first line names, if it is whole.
fn format_of(bytes: &[u8]) -> Option<u32> {
    let line = bytes.split(|byte| *byte == b'\n').next()?;
    let mut words = std::str::from_utf8(line).ok()?.split(' ');
    (words.next()? == MAGIC)
        .then(|| words.next()?.parse().ok())
        .flatten()
}

fn decode(bytes: &[u8]) -> Result<Ledger, String> {
    let end = bytes
        .iter()
        .position(|byte| *byte == b'\n')
        .ok_or("it is cut short")?;
    let (head, text) = bytes.split_at(end);
    let text = text.get(1..).unwrap_or_default();
    let head = std::str::from_utf8(head).map_err(|_| "its first line is damaged")?;
    let mut words = head.split(' ');
    if words.next() != Some(MAGIC) {
        return Err("it is no ledger".to_owned());
    }
    let version: u32 = words
        .next()
        .and_then(|word| word.parse().ok())
        .ok_or("its first line is damaged")?;
    if version > LEDGER_VERSION {
        return Err(format!(
            "it was written by a newer agent (format {version})"
        ));
    }
    if words.next() != Some(&format!("sha256:{}", checksum(text))) {
        return Err("its checksum does not match".to_owned());
    }
    serde_json::from_slice(text).map_err(|error| error.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn now() -> jiff::Timestamp {
        jiff::Timestamp::from_second(1_800_000_000).unwrap()
    }

    fn written(directory: &Path) -> Ledger {
        let ledger = Ledger {
            epoch: 7,
            store: Some("s".to_owned()),
            ..Ledger::default()
        };
        let file = LedgerFile::open(directory, now()).unwrap().file;
        file.write(&ledger, file.turn()).unwrap();
        ledger
    }

    #[test]
    fn what_was_written_is_read() {
        let directory = tempfile::tempdir().unwrap();
        let ledger = written(directory.path());
        let opened = LedgerFile::open(directory.path(), now()).unwrap();
        assert_eq!((opened.ledger, opened.damage), (ledger, None));
    }

    #[test]
    fn no_flipped_bit_and_no_cut_goes_unnoticed() {
        let directory = tempfile::tempdir().unwrap();
        let ledger = written(directory.path());
        let good = encode(&ledger).unwrap();
        for index in 0..good.len() {
            let mut flipped = good.clone();
            flipped[index] ^= 1 << (index % 8);
            assert!(decode(&flipped).is_err(), "byte {index}");
            assert!(decode(&good[..index]).is_err(), "cut at {index}");
        }
    }

    #[test]
    fn a_damaged_ledger_is_kept_aside_and_not_used() {
        let directory = tempfile::tempdir().unwrap();
        written(directory.path());
        let path = directory.path().join(FILE);
        let mut bytes = std::fs::read(&path).unwrap();
        let last = bytes.len() - 2;
        bytes[last] ^= 1;
        std::fs::write(&path, &bytes).unwrap();
        let opened = LedgerFile::open(directory.path(), now()).unwrap();
        assert_eq!(opened.ledger, Ledger::default());
        assert!(opened.damage.unwrap().contains("checksum"));
        let aside = directory
            .path()
            .join(format!("{FILE}.damaged-{}", now().as_millisecond()));
        assert_eq!(std::fs::read(aside).unwrap(), bytes);
    }
}
