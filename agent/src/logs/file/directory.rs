//! A role's directory of logs, or of crash dumps: which it is, what is in it, and how a file in it is
//! opened.
//!
//! The service owns what lies below its data directory and can put links and pipes there, and the
//! name comes from elsewhere. So every step from the node's data directory on is taken from the
//! directory before it, follows no link, and ends at a regular file.

use std::ffi::CStr;
use std::fs::File;
use std::os::fd::{AsFd, OwnedFd};
use std::path::{Path, PathBuf};

use extend_common::logs::{LogFileEntry, LogPath, MAX_DEPTH, MAX_FILES};
use extend_common::roles::RoleDefinition;
use jiff::Timestamp;
use nix::dir::Dir;
use nix::errno::Errno;
use nix::fcntl::{AtFlags, OFlag, open, openat};
use nix::sys::stat::{FileStat, Mode, SFlag, fstat, fstatat};

/// The beginning of every path below the node's data directory, in definitions.
const DATA: &str = "{data}/";
/// Directories and files are looked at until there were so many: what is no log costs too.
const MAX_LOOKED_AT: usize = 10_000;

/// Why there is no file or no list.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Trouble {
    NoFile,
    NotAFile,
    NoDirectory(String),
    Io(String),
}

/// Which of a role's directories.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kept {
    /// What the service writes about itself.
    Logs,
    /// What the kernel, or the service, leaves of a process that crashed.
    Dumps,
}

impl Kept {
    /// The last name of the directory, in every definition.
    fn name(self) -> &'static str {
        match self {
            Self::Logs => "log",
            Self::Dumps => "dump",
        }
    }
}

/// A role's directory of logs or of dumps on this node.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct LogDirectory {
    /// The node's data directory, which its administrator chose.
    data: PathBuf,
    /// From there on.
    below: Vec<String>,
}

impl LogDirectory {
    /// The directory that a definition names: the one of that name below the data directory.
    pub(crate) fn of(definition: &RoleDefinition, data: &Path, kept: Kept) -> Option<Self> {
        let below = definition.directories.iter().find_map(|directory| {
            let below = directory.path.strip_prefix(DATA)?;
            let plain = |name: &str| !matches!(name, "" | "." | "..");
            let last = below.rsplit('/').next();
            let is_it = last == Some(kept.name()) && below.split('/').all(plain);
            is_it.then(|| below.split('/').map(str::to_owned).collect())
        })?;
        let data = data.to_owned();
        Some(Self { data, below })
    }

    pub(super) fn shown(&self) -> String {
        self.data.join(self.below.join("/")).display().to_string()
    }

    fn enter(&self) -> Result<OwnedFd, Trouble> {
        let missing = |error: Errno| {
            let words = format!("{}: {}", self.shown(), error.desc());
            Trouble::NoDirectory(words)
        };
        let mut directory = open(&self.data, directory_flags(), Mode::empty()).map_err(missing)?;
        for name in &self.below {
            directory = enter(&directory, name.as_str()).map_err(missing)?;
        }
        Ok(directory)
    }

    /// Opens a file for reading.
    pub(super) fn open(&self, path: &LogPath) -> Result<File, Trouble> {
        let mut directory = self.enter()?;
        let mut names = path.components().peekable();
        while let Some(name) = names.next() {
            if names.peek().is_some() {
                directory = enter(&directory, name).map_err(of_file)?;
                continue;
            }
            // Before it is opened too: opening is not without effect on everything there is.
            regular(fstatat(&directory, name, AtFlags::AT_SYMLINK_NOFOLLOW))?;
            let flags = OFlag::O_RDONLY
                | OFlag::O_NOFOLLOW
                | OFlag::O_NONBLOCK
                | OFlag::O_NOCTTY
                | OFlag::O_CLOEXEC;
            let file = openat(&directory, name, flags, Mode::empty()).map_err(of_file)?;
            regular(fstat(&file))?;
            return Ok(File::from(file));
        }
        Err(Trouble::NoFile)
    }

    /// The files there are, in the order of their paths, and whether there are more. Names that
    /// cannot be asked for are left out.
    pub(crate) fn list(&self) -> Result<(Vec<LogFileEntry>, bool), Trouble> {
        let mut list = List::default();
        let directory = self.enter()?;
        list.add(directory, "", 1)
            .map_err(|error| Trouble::Io(error.desc().to_owned()))?;
        // The newest of too many: what is looked for is among them.
        if list.files.len() > MAX_FILES {
            let newest = |file: &LogFileEntry| std::cmp::Reverse(file.modified);
            list.files.sort_by_key(newest);
            list.files.truncate(MAX_FILES);
            list.cut = true;
        }
        list.files.sort_by(|one, other| one.path.cmp(&other.path));
        Ok((list.files, list.cut))
    }
}

#[derive(Default)]
struct List {
    files: Vec<LogFileEntry>,
    looked_at: usize,
    cut: bool,
}

impl List {
    fn add(&mut self, directory: OwnedFd, prefix: &str, depth: usize) -> Result<(), Errno> {
        let mut directory = Dir::from_fd(directory)?;
        let mut inner = Vec::new();
        let again = directory.as_fd().try_clone_to_owned();
        let again = again.map_err(|error| Errno::from_raw(error.raw_os_error().unwrap_or(0)))?;
        for entry in directory.iter() {
            let entry = entry?;
            let Some(name) = plain(entry.file_name()) else {
                continue;
            };
            self.looked_at += 1;
            if self.looked_at > MAX_LOOKED_AT {
                self.cut = true;
                return Ok(());
            }
            // Gone since, or nothing to be read.
            let Ok(found) = fstatat(&again, name, AtFlags::AT_SYMLINK_NOFOLLOW) else {
                continue;
            };
            let path = format!("{prefix}{name}");
            match kind(&found) {
                SFlag::S_IFREG => self.files.extend(listed(&path, &found)),
                SFlag::S_IFDIR => inner.push((name.to_owned(), path)),
                _ => {}
            }
        }
        if depth == MAX_DEPTH {
            self.cut |= !inner.is_empty();
            return Ok(());
        }
        for (name, path) in inner {
            // One that cannot be entered is not listed, and the others are.
            if let Ok(below) = enter(&again, name.as_str()) {
                let _ = self.add(below, &format!("{path}/"), depth + 1);
            }
        }
        Ok(())
    }
}

fn plain(name: &CStr) -> Option<&str> {
    let name = name.to_str().ok()?;
    name.parse::<LogPath>().ok().map(|_| name)
}

fn listed(path: &str, found: &FileStat) -> Option<LogFileEntry> {
    Some(LogFileEntry {
        path: path.parse().ok()?,
        size: u64::try_from(found.st_size).unwrap_or_default(),
        modified: Timestamp::from_second(found.st_mtime).ok()?,
    })
}

fn directory_flags() -> OFlag {
    OFlag::O_RDONLY | OFlag::O_DIRECTORY | OFlag::O_CLOEXEC
}

fn enter(directory: &OwnedFd, name: &str) -> Result<OwnedFd, Errno> {
    let flags = directory_flags() | OFlag::O_NOFOLLOW;
    openat(directory, name, flags, Mode::empty())
}

fn kind(found: &FileStat) -> SFlag {
    SFlag::from_bits_truncate(found.st_mode) & SFlag::S_IFMT
}

fn regular(found: Result<FileStat, Errno>) -> Result<(), Trouble> {
    match found {
        Ok(found) if kind(&found) == SFlag::S_IFREG => Ok(()),
        Ok(_) => Err(Trouble::NotAFile),
        Err(error) => Err(of_file(error)),
    }
}

fn of_file(error: Errno) -> Trouble {
    match error {
        Errno::ENOENT => Trouble::NoFile,
        // A link where a directory should be, or a file.
        Errno::ELOOP | Errno::ENOTDIR => Trouble::NotAFile,
        other => Trouble::Io(other.desc().to_owned()),
    }
}
