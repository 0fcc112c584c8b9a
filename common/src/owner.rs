//! Becoming the user whom a directory belongs to.
//!
//! The daemons run as users of their own, and the commands beside them are typed by root. A file
//! that root makes in a daemon's state directory is one that the daemon cannot open. So such a
//! command becomes the directory's owner before it touches anything in it, and what it makes is the
//! owner's from the first byte. There is no way back: what only root can read is read before.

use std::fs;
use std::io;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use nix::unistd::{Gid, Uid, geteuid, setgid, setgroups, setuid};

/// The users of this host.
const USERS: &str = "/etc/passwd";

/// Why the directory's owner's work cannot be done.
#[derive(Debug, thiserror::Error)]
pub enum OwnerError {
    /// The directory is there and cannot be looked at.
    #[error("cannot inspect {}", path.display())]
    Inspect {
        /// The directory.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// We are neither root nor the owner.
    #[error("{} belongs to {owner}, and this runs as {me}", path.display())]
    Another {
        /// The directory.
        path: PathBuf,
        /// Whose it is.
        owner: String,
        /// Who we are.
        me: String,
    },
    /// Root may not become the owner: a container or a unit that took the right away.
    #[error("cannot become {owner}, whom {} belongs to", path.display())]
    Become {
        /// The directory.
        path: PathBuf,
        /// Whose it is.
        owner: String,
        /// What the system said.
        source: io::Error,
    },
}

impl OwnerError {
    /// The command to run next; `command` is what was typed.
    #[must_use]
    pub fn hint(&self, command: &str) -> Option<String> {
        match self {
            Self::Another { .. } => Some(format!("sudo {command}")),
            Self::Become { owner, .. } => Some(format!("sudo -u {owner} {command}")),
            Self::Inspect { .. } => None,
        }
    }
}

/// Who this process is from now on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Became {
    /// Who it was: the directory is its own, or there is none yet.
    Nobody,
    /// The directory's owner, with no way back.
    Owner {
        /// The user.
        uid: u32,
        /// The group.
        gid: u32,
    },
}

/// If this process is root's and `directory` is somebody else's, becomes that user for good, with
/// the directory's group and no others. To be called before anything in the directory is touched.
///
/// # Errors
/// Fails if this process is neither root's nor the owner's: what it made there would be of no use.
pub fn become_owner(directory: &Path) -> Result<Became, OwnerError> {
    become_owner_in_group_of(directory, None)
}

/// The same, and keeps the group of `file` as a further one, unless it is root's: of a socket that
/// has to be reached.
///
/// # Errors
/// As [`become_owner`].
pub fn become_owner_in_group_of(
    directory: &Path,
    file: Option<&Path>,
) -> Result<Became, OwnerError> {
    let Some((uid, gid)) = owner_of(directory)? else {
        return Ok(Became::Nobody);
    };
    match choose(geteuid().as_raw(), uid) {
        Choice::Stay => Ok(Became::Nobody),
        Choice::Refuse => Err(OwnerError::Another {
            path: directory.to_owned(),
            owner: name(uid),
            me: name(geteuid().as_raw()),
        }),
        Choice::Become => {
            let (user, group) = (Uid::from_raw(uid), Gid::from_raw(gid));
            let further = file.and_then(|file| fs::metadata(file).ok());
            let further = further.map(|metadata| Gid::from_raw(metadata.gid()));
            let groups: Vec<Gid> = std::iter::once(group)
                .chain(further.filter(|gid| gid.as_raw() != 0))
                .collect();
            // The user last: after it the right to do the others is gone.
            setgroups(&groups)
                .and_then(|()| setgid(group))
                .and_then(|()| setuid(user))
                .map_err(|errno| OwnerError::Become {
                    path: directory.to_owned(),
                    owner: name(uid),
                    source: errno.into(),
                })?;
            Ok(Became::Owner { uid, gid })
        }
    }
}

/// Refuses unless this process is the owner's: for a daemon, which is started as who it has to be.
///
/// # Errors
/// Fails if `directory` is there and somebody else's, also for root.
pub fn require_owner(directory: &Path) -> Result<(), OwnerError> {
    let me = geteuid().as_raw();
    match owner_of(directory)? {
        Some((uid, _)) if uid != me => Err(OwnerError::Another {
            path: directory.to_owned(),
            owner: name(uid),
            me: name(me),
        }),
        _ => Ok(()),
    }
}

/// The name of this process's user, or the number.
#[must_use]
pub fn own_name() -> String {
    name(geteuid().as_raw())
}

/// The name of a user of this host, or the number if it has none. Read from the host's own list: the
/// daemons' users are in it, and a static program must not load what looks further.
#[must_use]
pub fn name(uid: u32) -> String {
    let users = fs::read_to_string(USERS).unwrap_or_default();
    name_in(&users, uid).map_or_else(|| uid.to_string(), ToOwned::to_owned)
}

fn name_in(users: &str, uid: u32) -> Option<&str> {
    users.lines().find_map(|line| {
        let mut fields = line.split(':');
        let name = fields.next()?;
        (fields.nth(1)?.parse() == Ok(uid)).then_some(name)
    })
}

fn owner_of(directory: &Path) -> Result<Option<(u32, u32)>, OwnerError> {
    match fs::metadata(directory) {
        Ok(metadata) => Ok(Some((metadata.uid(), metadata.gid()))),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(source) => Err(OwnerError::Inspect {
            path: directory.to_owned(),
            source,
        }),
    }
}

#[derive(Debug, PartialEq, Eq)]
enum Choice {
    Stay,
    Become,
    Refuse,
}

fn choose(me: u32, owner: u32) -> Choice {
    match (me, owner) {
        (me, owner) if me == owner => Choice::Stay,
        (0, _) => Choice::Become,
        _ => Choice::Refuse,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn root_becomes_the_owner_and_nobody_else_does() {
        assert_eq!(choose(0, 0), Choice::Stay);
        assert_eq!(choose(991, 991), Choice::Stay);
        assert_eq!(choose(0, 991), Choice::Become);
        assert_eq!(choose(1000, 991), Choice::Refuse);
        assert_eq!(choose(1000, 0), Choice::Refuse);
    }

    #[test]
    fn ones_own_directory_and_one_that_is_not_there_change_nothing() {
        let directory = tempfile::tempdir().unwrap();
        let before = geteuid();
        assert_eq!(become_owner(directory.path()).unwrap(), Became::Nobody);
        let missing = directory.path().join("missing");
        assert_eq!(become_owner(&missing).unwrap(), Became::Nobody);
        assert!(require_owner(directory.path()).is_ok() && require_owner(&missing).is_ok());
        assert_eq!(geteuid(), before);
    }

    #[test]
    fn users_have_names_or_numbers() {
        let users = "root:x:0:0:root:/root:/bin/bash\n# a:comment\nextend:x:991:991::/:/bin/false";
        assert_eq!(name_in(users, 991), Some("extend"));
        assert_eq!(name_in(users, 99), None);
        assert_eq!(name(0), "root");
        assert_eq!(name(4_000_000_001), "4000000001");
    }

    #[test]
    fn who_is_refused_is_told_what_to_type() {
        let refused = OwnerError::Another {
            path: "/var/lib/extend".into(),
            owner: "extend".into(),
            me: "ubuntu".into(),
        };
        assert_eq!(
            refused.to_string(),
            "/var/lib/extend belongs to extend, and this runs as ubuntu"
        );
        let hint = refused.hint("extend controller restore FILE");
        assert_eq!(hint.as_deref(), Some("sudo extend controller restore FILE"));
    }
}
