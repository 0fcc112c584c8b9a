//! Files that must survive a crash, and files nobody else may read.
//!
//! Owns: replacing a file so that a reader sees the old contents or the new, never a part; refusing
//! a secret that other users could have read. Called for keys, certificates and the agent's ledger.
//! It must not know what is in a file. Everything here blocks on the disk, fsync included: call it
//! from a blocking thread, not from an async task.

use std::fs::{self, DirBuilder, File, OpenOptions, Permissions};
use std::io::{self, Read, Write};
use std::os::unix::fs::{DirBuilderExt, MetadataExt, OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};

use zeroize::Zeroizing;

/// The mode of a file only its owner may read.
pub const SECRET: u32 = 0o600;
/// The mode of a file everybody may read and its owner may change.
pub const PUBLIC: u32 = 0o644;

/// A secret here is a key or a token: more than this is some other file, named by mistake.
const MAX_SECRET_LEN: u64 = 64 * 1024;

/// What marks a file as being written. It cannot be the start of a name we write to.
const ASIDE: &str = ".aside-";

/// Why a file could not be read or written.
#[derive(Debug, thiserror::Error)]
pub enum FileError {
    /// The system refused.
    #[error("cannot {operation} {}", path.display())]
    Io {
        /// What was tried, as a verb.
        operation: &'static str,
        /// On what.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// Group or others have access to something secret.
    #[error("{} is open to other users (mode {mode:04o})", path.display())]
    Exposed {
        /// The file or directory.
        path: PathBuf,
        /// Its permission bits.
        mode: u32,
        /// The permission bits it should have.
        wanted: u32,
    },
    /// The file is too long to be what it should be.
    #[error("{} is longer than {limit} bytes", path.display())]
    TooLong {
        /// The file.
        path: PathBuf,
        /// The longest that is read.
        limit: u64,
    },
    /// The path names no regular file, or has no name to write to.
    #[error("{} is not a regular file", path.display())]
    NotAFile {
        /// The path.
        path: PathBuf,
    },
}

impl FileError {
    /// The command that mends it, where one does.
    #[must_use]
    pub fn hint(&self) -> Option<String> {
        match self {
            Self::Exposed { path, wanted, .. } => {
                Some(format!("chmod {wanted:o} {}", path.display()))
            }
            Self::Io { .. } | Self::TooLong { .. } | Self::NotAFile { .. } => None,
        }
    }

    /// What kind of refusal it was, when it was the system's: a full disk, a missing file.
    #[must_use]
    pub fn kind(&self) -> Option<io::ErrorKind> {
        match self {
            Self::Io { source, .. } => Some(source.kind()),
            Self::Exposed { .. } | Self::TooLong { .. } | Self::NotAFile { .. } => None,
        }
    }

    /// True if there is no such file.
    #[must_use]
    pub fn is_missing(&self) -> bool {
        self.kind() == Some(io::ErrorKind::NotFound)
    }

    fn io<'a>(operation: &'static str, path: &'a Path) -> impl FnOnce(io::Error) -> Self + 'a {
        move |source| Self::Io {
            operation,
            path: path.to_owned(),
            source,
        }
    }
}

/// Replaces `path`: written aside in the same directory, fsynced, renamed, the directory fsynced.
/// When this returns the new contents survive a power cut; if it fails the old ones are still there.
///
/// # Errors
/// Fails if any of these steps does; the file written aside is removed again.
pub fn write_atomic(path: &Path, contents: &[u8], mode: u32) -> Result<(), FileError> {
    let aside = write_aside(path, contents, mode)?;
    aside
        .persist(path)
        .map_err(|e| FileError::io("replace", path)(e.error))?;
    sync_directory(path)
}

/// Like [`write_atomic`], but refuses to replace anything: the guard of what must be made only once.
///
/// # Errors
/// Fails with the kind `AlreadyExists` if there is such a file, and as [`write_atomic`] does.
pub fn write_new(path: &Path, contents: &[u8], mode: u32) -> Result<(), FileError> {
    let aside = write_aside(path, contents, mode)?;
    aside
        .persist_noclobber(path)
        .map_err(|e| FileError::io("create", path)(e.error))?;
    sync_directory(path)
}

/// Removes what a writer killed half-way left beside `path`, and says how many files it was. For
/// the start of the process that owns the directory: a writer at work would lose its file.
///
/// # Errors
/// Fails if the directory cannot be read or a leftover cannot be removed.
pub fn remove_leftovers(path: &Path) -> Result<usize, FileError> {
    let (directory, prefix) = aside_of(path)?;
    let mut removed = 0;
    for entry in fs::read_dir(directory).map_err(FileError::io("list", directory))? {
        let entry = entry.map_err(FileError::io("list", directory))?;
        if entry
            .file_name()
            .to_str()
            .is_some_and(|name| name.starts_with(&prefix))
        {
            fs::remove_file(entry.path()).map_err(FileError::io("remove", &entry.path()))?;
            removed += 1;
        }
    }
    Ok(removed)
}

/// Reads a file that only its owner may have had access to. What is read is wiped when it is
/// dropped.
///
/// # Errors
/// Refuses a file that group or others can reach, one that is not a regular file, and one too long
/// for a secret: whoever could read it may have, so using it silently would hide that.
pub fn read_secret(path: &Path) -> Result<Zeroizing<Vec<u8>>, FileError> {
    // The checks are on the open file, not on the name, which could be exchanged in between. Without
    // O_NONBLOCK opening a pipe would wait for its writer.
    let file = OpenOptions::new()
        .read(true)
        .custom_flags(nix::fcntl::OFlag::O_NONBLOCK.bits())
        .open(path)
        .map_err(FileError::io("open", path))?;
    let metadata = file.metadata().map_err(FileError::io("inspect", path))?;
    if !metadata.is_file() {
        return Err(FileError::NotAFile {
            path: path.to_owned(),
        });
    }
    refuse_exposed(path, metadata.mode(), SECRET)?;
    // As large as it can become: a vector that grows leaves copies of the secret behind.
    let most = usize::try_from(MAX_SECRET_LEN + 2).unwrap_or(usize::MAX);
    let mut contents = Zeroizing::new(Vec::with_capacity(most));
    file.take(MAX_SECRET_LEN + 1)
        .read_to_end(&mut contents)
        .map_err(FileError::io("read", path))?;
    if contents.len() as u64 > MAX_SECRET_LEN {
        return Err(FileError::TooLong {
            path: path.to_owned(),
            limit: MAX_SECRET_LEN,
        });
    }
    Ok(contents)
}

/// Makes sure that `path` is a directory of mode 0700, creating it and its parents if need be.
///
/// # Errors
/// Refuses a directory that is there and open to others. It is not closed behind the operator's
/// back: what lies in it may have been read or exchanged already.
pub fn private_directory(path: &Path) -> Result<(), FileError> {
    DirBuilder::new()
        .recursive(true)
        .mode(0o700)
        .create(path)
        .map_err(FileError::io("create directory", path))?;
    require_private_directory(path)
}

/// Refuses a directory that group or others have access to.
///
/// # Errors
/// Fails if it is open to others or is not there.
pub fn require_private_directory(path: &Path) -> Result<(), FileError> {
    let metadata = fs::metadata(path).map_err(FileError::io("inspect", path))?;
    refuse_exposed(path, metadata.mode(), 0o700)
}

fn refuse_exposed(path: &Path, mode: u32, wanted: u32) -> Result<(), FileError> {
    let mode = mode & 0o7777;
    if mode & 0o077 != 0 {
        return Err(FileError::Exposed {
            path: path.to_owned(),
            mode,
            wanted,
        });
    }
    Ok(())
}

fn write_aside(
    path: &Path,
    contents: &[u8],
    mode: u32,
) -> Result<tempfile::NamedTempFile, FileError> {
    let (directory, prefix) = aside_of(path)?;
    let mut aside = tempfile::Builder::new()
        .prefix(&prefix)
        .tempfile_in(directory)
        .map_err(FileError::io("create a file in", directory))?;
    // It is created 0600 and given its mode by fchmod, so that no umask has a say in it.
    aside
        .as_file()
        .set_permissions(Permissions::from_mode(mode))
        .and_then(|()| aside.write_all(contents))
        .and_then(|()| aside.as_file().sync_all())
        .map_err(FileError::io("write", path))?;
    Ok(aside)
}

/// The directory that `path` lies in, and how the names of files being written for it begin.
fn aside_of(path: &Path) -> Result<(&Path, String), FileError> {
    let not_a_file = || FileError::NotAFile {
        path: path.to_owned(),
    };
    let name = path
        .file_name()
        .and_then(|name| name.to_str())
        .ok_or_else(not_a_file)?;
    let directory = match path.parent() {
        Some(parent) if !parent.as_os_str().is_empty() => parent,
        _ => Path::new("."),
    };
    Ok((directory, format!("{ASIDE}{name}.")))
}

/// A rename is durable once the directory is.
fn sync_directory(path: &Path) -> Result<(), FileError> {
    let (directory, _) = aside_of(path)?;
    File::open(directory)
        .and_then(|d| d.sync_all())
        .map_err(FileError::io("sync", directory))
}

#[cfg(test)]
#[path = "files_tests.rs"]
mod tests;
