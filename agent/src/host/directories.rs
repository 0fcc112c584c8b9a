//! Makes directories with exactly the mode, owner and group that a role wants.
//!
//! Some of them lie inside others that belong to the service's own user, and this may run as
//! root: a service that was broken into must not be able to point it elsewhere. So each path is
//! walked by file descriptors, and a symbolic link on the way is followed only where nobody but
//! root or ourselves could have put it; the last component is never one.

use std::ffi::{OsStr, OsString};
use std::os::fd::OwnedFd;
use std::path::{Component, Path, PathBuf};

use extend_common::roles::DirectoryDefinition;
use nix::errno::Errno;
use nix::fcntl::{AtFlags, OFlag, open, openat};
use nix::sys::stat::{FileStat, Mode, SFlag, fchmod, fstat, fstatat, mkdirat};
use nix::unistd::{Gid, Uid, fchown, geteuid};

use super::HostError;

const MAKING: &str = "making the directory";
const CHANGING: &str = "changing the mode and owner of";
/// The bits that `mode` names: those of `chmod`.
const PERMISSIONS: u32 = 0o7777;
/// For directories on the way that nobody has named.
const PARENT_MODE: Mode = Mode::from_bits_truncate(0o755);
/// Nobody else may enter a directory before its owner and mode are right.
const UNFINISHED_MODE: Mode = Mode::S_IRWXU;

/// Makes the directories that are missing, in order, and gives each its mode, owner and group.
/// What lies in them is not touched. Says which were changed.
///
/// # Errors
/// At the first that cannot be brought into that state; the ones before it are.
pub fn ensure_directories(directories: &[DirectoryDefinition]) -> Result<Vec<String>, HostError> {
    let mut changed = Vec::new();
    for wanted in directories {
        if ensure(wanted)? {
            changed.push(format!("directory {}", wanted.path));
        }
    }
    Ok(changed)
}

/// Whether anything had to be changed.
fn ensure(wanted: &DirectoryDefinition) -> Result<bool, HostError> {
    let path = Path::new(&wanted.path);
    let directory = open_or_make(path)?;
    let failed =
        |errno: Errno| explain(HostError::new(CHANGING, path, errno.desc()), wanted, errno);
    let now = fstat(&directory).map_err(failed)?;
    // Owner first: changing it may clear bits of the mode.
    let uid = wanted
        .uid
        .filter(|uid| *uid != now.st_uid)
        .map(Uid::from_raw);
    let gid = wanted
        .gid
        .filter(|gid| *gid != now.st_gid)
        .map(Gid::from_raw);
    if uid.is_some() || gid.is_some() {
        fchown(&directory, uid, gid).map_err(failed)?;
    }
    let mode = wanted.mode & PERMISSIONS;
    let is_wrong = now.st_mode & PERMISSIONS != mode || uid.is_some() || gid.is_some();
    if is_wrong {
        fchmod(&directory, Mode::from_bits_truncate(mode)).map_err(failed)?;
    }
    Ok(is_wrong)
}

/// Somebody who is not root is told the command that root would use.
fn explain(error: HostError, wanted: &DirectoryDefinition, errno: Errno) -> HostError {
    let denied = matches!(errno, Errno::EPERM | Errno::EACCES);
    if !denied || geteuid().is_root() {
        return error;
    }
    let owner = wanted
        .uid
        .map(|uid| format!(" -o {uid}"))
        .unwrap_or_default();
    let group = wanted
        .gid
        .map(|gid| format!(" -g {gid}"))
        .unwrap_or_default();
    let hint = format!(
        "sudo install -d -m {:o}{owner}{group} {}",
        wanted.mode, wanted.path
    );
    HostError {
        hint: Some(hint),
        ..error
    }
}

/// Opens the directory at a path, which must be absolute and is made if it is missing.
fn open_or_make(path: &Path) -> Result<OwnedFd, HostError> {
    let failed = |errno: Errno| HostError::new(MAKING, path, errno.desc());
    let names = components(path)?;
    let mut directory = open("/", DIRECTORY, Mode::empty()).map_err(failed)?;
    let mut reached = PathBuf::from("/");
    for (index, name) in names.iter().enumerate() {
        reached.push(name);
        let is_last = index + 1 == names.len();
        let step = enter(&directory, name, is_last);
        directory = step.map_err(|cause| match cause {
            Stop::Errno(errno) => {
                let wanted = DirectoryDefinition {
                    path: reached.to_string_lossy().into_owned(),
                    mode: PARENT_MODE.bits(),
                    uid: None,
                    gid: None,
                };
                explain(
                    HostError::new(MAKING, path, at(&reached, path, errno)),
                    &wanted,
                    errno,
                )
            }
            Stop::Link(why) => HostError::new(MAKING, path, format!("{} {why}", reached.display())),
        })?;
    }
    Ok(directory)
}

/// The cause, with the component that it is about when that is not the path itself.
fn at(reached: &Path, path: &Path, errno: Errno) -> String {
    if reached == path {
        return errno.desc().to_owned();
    }
    format!("{} ({})", errno.desc(), reached.display())
}

fn components(path: &Path) -> Result<Vec<OsString>, HostError> {
    let refuse = |cause: &str| Err(HostError::new(MAKING, path, cause));
    if !path.is_absolute() {
        return refuse("the path is not absolute");
    }
    let mut names = Vec::new();
    for component in path.components() {
        match component {
            Component::RootDir | Component::CurDir => {}
            Component::Normal(name) => names.push(name.to_owned()),
            Component::ParentDir | Component::Prefix(_) => {
                return refuse("the path must not contain `..`");
            }
        }
    }
    if names.is_empty() {
        refuse("the root directory is nobody's to change")
    } else {
        Ok(names)
    }
}

const DIRECTORY: OFlag = OFlag::O_RDONLY
    .union(OFlag::O_DIRECTORY)
    .union(OFlag::O_CLOEXEC);
/// Only to look things up from: needs no right to list it.
const PASSAGE: OFlag = OFlag::O_PATH
    .union(OFlag::O_DIRECTORY)
    .union(OFlag::O_CLOEXEC);

enum Stop {
    Errno(Errno),
    Link(&'static str),
}

impl From<Errno> for Stop {
    fn from(errno: Errno) -> Self {
        Self::Errno(errno)
    }
}

fn enter(parent: &OwnedFd, name: &OsStr, is_last: bool) -> Result<OwnedFd, Stop> {
    let flags = if is_last { DIRECTORY } else { PASSAGE };
    let open_it = || openat(parent, name, flags | OFlag::O_NOFOLLOW, Mode::empty());
    let error = match open_it() {
        Ok(directory) => return Ok(directory),
        Err(errno) => errno,
    };
    if error == Errno::ENOENT {
        let mode = if is_last {
            UNFINISHED_MODE
        } else {
            PARENT_MODE
        };
        return match mkdirat(parent, name, mode) {
            Ok(()) => {
                let made = openat(parent, name, DIRECTORY | OFlag::O_NOFOLLOW, Mode::empty())?;
                // Whatever our umask took away: the service has to get through it.
                fchmod(&made, mode)?;
                Ok(made)
            }
            // Somebody else made it meanwhile.
            Err(Errno::EEXIST) => Ok(open_it()?),
            Err(errno) => Err(errno.into()),
        };
    }
    let found = fstatat(parent, name, AtFlags::AT_SYMLINK_NOFOLLOW)?;
    if !is_kind(&found, SFlag::S_IFLNK) {
        return Err(error.into());
    }
    if is_last {
        return Err(Stop::Link(
            "is a symbolic link: name the directory that it leads to",
        ));
    }
    if !is_trusted(&fstat(parent)?, &found) {
        return Err(Stop::Link(
            "is a symbolic link that is not root's, and is not followed",
        ));
    }
    Ok(openat(parent, name, PASSAGE, Mode::empty())?)
}

fn is_kind(stat: &FileStat, kind: SFlag) -> bool {
    SFlag::from_bits_truncate(stat.st_mode) & SFlag::S_IFMT == kind
}

/// Whether nobody but root or ourselves can have put a link where it is.
fn is_trusted(parent: &FileStat, link: &FileStat) -> bool {
    let ours = |uid: u32| uid == 0 || uid == geteuid().as_raw();
    let mode = Mode::from_bits_truncate(parent.st_mode);
    let writable = mode.intersects(Mode::S_IWGRP | Mode::S_IWOTH);
    ours(link.st_uid) && ours(parent.st_uid) && (!writable || mode.contains(Mode::S_ISVTX))
}
