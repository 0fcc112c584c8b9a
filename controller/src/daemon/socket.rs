//! The operators' socket in the file system.
//!
//! Owns its name, mode and group, and its removal. A socket somebody answers on is never taken away;
//! one that nobody does is a leftover. It appears under its name only with its final permissions.

use std::fs::{self, Permissions};
use std::io;
use std::os::unix::fs::{FileTypeExt, MetadataExt, PermissionsExt};
use std::os::unix::net::{UnixListener as StdListener, UnixStream as StdStream};
use std::path::{Path, PathBuf};

use nix::unistd::{Group, chown};
use tokio::net::UnixListener;

/// Owner and group may connect, which needs the right to write.
const SHARED: u32 = 0o660;
/// The owner alone may.
const ALONE: u32 = 0o600;

/// Why the socket cannot be made.
#[derive(Debug, thiserror::Error)]
pub enum SocketError {
    /// Somebody answers on it.
    #[error("another process answers on the socket {}", path.display())]
    InUse {
        /// The socket.
        path: PathBuf,
    },
    /// Something else has its name.
    #[error("{} is in the way: it is not a socket", path.display())]
    InTheWay {
        /// The path.
        path: PathBuf,
    },
    /// The system refused.
    #[error("cannot {operation} the socket {}", path.display())]
    Io {
        /// What was tried.
        operation: &'static str,
        /// The socket.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
}

impl SocketError {
    /// What the operator can do about it.
    #[must_use]
    pub fn hint(&self) -> Option<String> {
        match self {
            Self::InUse { path } => Some(format!("who has it? ss -xlp src {}", path.display())),
            Self::InTheWay { path } => Some(format!(
                "look what it is, and move it away: ls -l {}",
                path.display()
            )),
            Self::Io { .. } => None,
        }
    }
}

/// The socket, for as long as the controller runs.
#[derive(Debug)]
pub(super) struct OperatorSocket {
    path: PathBuf,
    /// Which file it is: a successor may have put another in its place.
    inode: u64,
    listener: StdListener,
}

impl OperatorSocket {
    /// Makes the socket at `path`, for root and the members of `group`.
    pub(super) async fn bind(path: &Path, group: &str) -> Result<Self, SocketError> {
        let (path, group) = (path.to_owned(), group.to_owned());
        // Groups may be looked up over a network.
        let binding = tokio::task::spawn_blocking(move || Self::bind_blocking(&path, &group));
        binding
            .await
            .unwrap_or_else(|error| std::panic::resume_unwind(error.into_panic()))
    }

    fn bind_blocking(path: &Path, group: &str) -> Result<Self, SocketError> {
        let failed = |operation: &'static str| {
            let path = path.to_owned();
            move |source| SocketError::Io {
                operation,
                path,
                source,
            }
        };
        if let Some(directory) = path.parent() {
            fs::create_dir_all(directory).map_err(failed("make the directory of"))?;
        }
        refuse_living(path)?;
        let mut draft = path.as_os_str().to_owned();
        draft.push(format!(".{}", std::process::id()));
        let draft = PathBuf::from(draft);
        // Left by a process of the same number.
        let _ = fs::remove_file(&draft);
        let listener = StdListener::bind(&draft).map_err(failed("bind"))?;
        let published = listener
            .set_nonblocking(true)
            .and_then(|()| permit(&draft, group))
            .and_then(|()| fs::metadata(&draft))
            .and_then(|metadata| fs::rename(&draft, path).map(|()| metadata.ino()));
        match published {
            Ok(inode) => Ok(Self {
                path: path.to_owned(),
                inode,
                listener,
            }),
            Err(error) => {
                let _ = fs::remove_file(&draft);
                Err(failed("set the permissions of")(error))
            }
        }
    }

    pub(super) fn path(&self) -> &Path {
        &self.path
    }

    /// What to accept connections on.
    pub(super) fn listener(&self) -> Result<UnixListener, SocketError> {
        self.listener
            .try_clone()
            .and_then(UnixListener::from_std)
            .map_err(|source| SocketError::Io {
                operation: "listen on",
                path: self.path.clone(),
                source,
            })
    }

    /// Takes the name away, if it is still ours.
    fn remove(&self) {
        let ours = fs::symlink_metadata(&self.path).is_ok_and(|now| now.ino() == self.inode);
        if ours && let Err(error) = fs::remove_file(&self.path) {
            tracing::warn!(%error, socket = %self.path.display(), "cannot remove the socket");
        }
    }
}

impl Drop for OperatorSocket {
    fn drop(&mut self) {
        self.remove();
    }
}

/// Refuses a socket that somebody answers on, and anything that is not a socket.
fn refuse_living(path: &Path) -> Result<(), SocketError> {
    match fs::symlink_metadata(path) {
        Err(_) => return Ok(()),
        Ok(found) if !found.file_type().is_socket() => {
            return Err(SocketError::InTheWay {
                path: path.to_owned(),
            });
        }
        Ok(_) => {}
    }
    match StdStream::connect(path) {
        Err(error) if error.kind() == io::ErrorKind::ConnectionRefused => Ok(()),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        // Answered, or too busy to, or not ours to ask: in each case somebody's.
        _ => Err(SocketError::InUse {
            path: path.to_owned(),
        }),
    }
}

fn permit(socket: &Path, group: &str) -> io::Result<()> {
    let found = Group::from_name(group).ok().flatten();
    let Some(found) = found else {
        tracing::warn!(
            group,
            "there is no such group: only root may use the operators' socket"
        );
        return fs::set_permissions(socket, Permissions::from_mode(ALONE));
    };
    // The group first: the mode would for a moment be meant for another. Where it is the process's
    // own there is nothing to give.
    if fs::metadata(socket)?.gid() != found.gid.as_raw() {
        chown(socket, None, Some(found.gid))?;
    }
    fs::set_permissions(socket, Permissions::from_mode(SHARED))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn bind(path: &Path, group: &str) -> Result<OperatorSocket, SocketError> {
        OperatorSocket::bind_blocking(path, group)
    }

    fn mode(path: &Path) -> u32 {
        fs::metadata(path).unwrap().permissions().mode() & 0o7777
    }

    #[test]
    fn it_is_for_its_owner_and_the_group_and_without_a_group_for_its_owner() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("run/controller.sock");
        let own_group = Group::from_gid(nix::unistd::getgid()).unwrap().unwrap();
        let socket = bind(&path, &own_group.name).unwrap();
        assert_eq!(
            (mode(&path), fs::metadata(&path).unwrap().gid()),
            (0o660, own_group.gid.as_raw())
        );
        socket.remove();
        assert!(!path.exists());
        let _socket = bind(&path, "no-such-group-here").unwrap();
        assert_eq!(mode(&path), 0o600);
        let left = fs::read_dir(path.parent().unwrap()).unwrap().count();
        assert_eq!(left, 1, "the draft is gone");
    }

    #[test]
    fn a_leftover_is_replaced_and_a_living_one_is_not() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("controller.sock");
        let first = bind(&path, "no-such-group-here").unwrap();
        let error = bind(&path, "no-such-group-here").unwrap_err();
        assert!(matches!(error, SocketError::InUse { .. }), "{error}");
        // As after a crash: nobody listens, and the name is still there.
        drop(first);
        let second = bind(&path, "no-such-group-here").unwrap();
        assert!(StdStream::connect(&path).is_ok());
        second.remove();
    }

    #[test]
    fn what_is_no_socket_is_left_alone() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("controller.sock");
        fs::write(&path, "somebody's").unwrap();
        let error = bind(&path, "no-such-group-here").unwrap_err();
        assert!(
            matches!(error, SocketError::InTheWay { .. }) && error.hint().is_some(),
            "{error}"
        );
        assert_eq!(fs::read(&path).unwrap(), b"somebody's");
    }

    #[test]
    fn a_successors_socket_is_not_removed() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("controller.sock");
        let first = bind(&path, "no-such-group-here").unwrap();
        fs::remove_file(&path).unwrap();
        let _second = bind(&path, "no-such-group-here").unwrap();
        first.remove();
        assert!(path.exists());
    }
}
