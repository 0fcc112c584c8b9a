//! What stands in a directory of the guide, and whose it is.
//!
//! Ours is known by its last line, which has the SHA-256 of everything before it: not by its name,
//! not by what it does. A script with our mark that does not match is ours too, and was changed; it
//! must never be kept as PortSIP's, since it would hand its work to itself.

use std::fs::{File, OpenOptions};
use std::io::{self, Read};
use std::os::unix::fs::{MetadataExt, OpenOptionsExt};
use std::path::Path;

use extend_common::hash::{encode, sha256};

use super::{KEPT, NAME, NEXT, ShimError};

/// A line of the script that only ours has.
const MARK: &str = "# This is Extend's extend.sh, not PortSIP's.";
/// How the last line of a script that was put there begins.
const SEAL: &str = "# extend-shim sha256:";
/// No script is longer. What is, is not ours.
const MAX_SCRIPT: u64 = 1024 * 1024;

/// What stands at a name.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Found {
    /// Nothing.
    Nothing,
    /// A file of no bytes: somebody has only begun to write it.
    Empty,
    /// The script that belongs there.
    Ours,
    /// Ours, as another release put it, or as somebody copied or linked it.
    OursOfOld,
    /// Ours, changed by hand.
    OursEdited,
    /// Not ours, and so PortSIP's.
    Theirs {
        /// Which one.
        sha256: [u8; 32],
    },
    /// A directory or a device: nothing that anybody means.
    Odd,
}

impl Found {
    /// Whether it bears our mark.
    #[must_use]
    pub fn is_ours(&self) -> bool {
        matches!(self, Self::Ours | Self::OursOfOld | Self::OursEdited)
    }
}

/// What stands in a directory.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Look {
    /// At `extend.sh`.
    pub script: Found,
    /// At `extend.sh.portsip`.
    pub kept: Found,
    /// On its way.
    pub next: Found,
    /// Tells one state of `extend.sh` from the next, also while it has the same content.
    pub version: Version,
}

/// Changes whenever somebody writes to a file or puts another in its place.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Version {
    inode: u64,
    size: u64,
    changed: (i64, i64),
}

impl Look {
    /// Looks into `directory`, where `ours` is what belongs there.
    ///
    /// # Errors
    /// Fails if there is no such directory, or if a file in it cannot be read.
    pub fn at(directory: &Path, ours: &[u8]) -> Result<Self, ShimError> {
        std::fs::read_dir(directory).map_err(ShimError::io("look into", directory))?;
        let found = |name: &str| {
            let path = directory.join(name);
            found(&path, ours).map_err(ShimError::io("read", &path))
        };
        let (script, version) = found(NAME)?;
        Ok(Self {
            script,
            kept: found(KEPT)?.0,
            next: found(NEXT)?.0,
            version,
        })
    }
}

fn found(path: &Path, ours: &[u8]) -> io::Result<(Found, Version)> {
    // A pipe would have us wait for its writer; the checks are on the open file.
    let opened = OpenOptions::new()
        .read(true)
        .custom_flags(nix::fcntl::OFlag::O_NONBLOCK.bits())
        .open(path);
    let file = match opened {
        Ok(file) => file,
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            // A link to nowhere is something that was put there, and kept as it is.
            return Ok(match path.symlink_metadata() {
                Ok(_) => (
                    Found::Theirs {
                        sha256: sha256(b""),
                    },
                    Version::default(),
                ),
                Err(_) => (Found::Nothing, Version::default()),
            });
        }
        // A socket, or a device without a driver.
        Err(error) if error.raw_os_error() == Some(nix::libc::ENXIO) => {
            return Ok((Found::Odd, Version::default()));
        }
        Err(error) => return Err(error),
    };
    let metadata = file.metadata()?;
    if !metadata.is_file() {
        return Ok((Found::Odd, Version::default()));
    }
    let version = Version {
        inode: metadata.ino(),
        size: metadata.size(),
        changed: (metadata.ctime(), metadata.ctime_nsec()),
    };
    let content = read(file)?;
    let is_link = path.symlink_metadata()?.is_symlink();
    Ok((recognise(&content, ours, is_link), version))
}

/// Reads as much as a script may have, and a byte more.
fn read(file: File) -> io::Result<Vec<u8>> {
    let mut content = Vec::new();
    file.take(MAX_SCRIPT + 1).read_to_end(&mut content)?;
    Ok(content)
}

fn recognise(content: &[u8], ours: &[u8], is_link: bool) -> Found {
    if content == ours {
        // What writes through a link writes into the package's own file.
        return if is_link {
            Found::OursOfOld
        } else {
            Found::Ours
        };
    }
    if content.is_empty() {
        return Found::Empty;
    }
    let is_source = unsealed(ours) == Some(content);
    if is_source || unsealed(content).is_some() {
        return Found::OursOfOld;
    }
    let marked = content
        .split(|byte| *byte == b'\n')
        .any(|line| line == MARK.as_bytes() || line.starts_with(SEAL.as_bytes()));
    if marked {
        return Found::OursEdited;
    }
    Found::Theirs {
        sha256: sha256(content),
    }
}

/// The script with the line that says whose it is.
#[must_use]
pub(super) fn sealed(script: &[u8]) -> Vec<u8> {
    let mut sealed = script.to_vec();
    if !sealed.ends_with(b"\n") {
        sealed.push(b'\n');
    }
    let seal = format!("{SEAL}{}\n", encode(&sha256(&sealed)));
    sealed.extend(seal.as_bytes());
    sealed
}

/// What stands before the seal, if it is whole and true.
fn unsealed(content: &[u8]) -> Option<&[u8]> {
    let lines = content.strip_suffix(b"\n")?;
    let start = lines.iter().rposition(|byte| *byte == b'\n')? + 1;
    let (before, seal) = content.split_at_checked(start)?;
    let named = seal.strip_prefix(SEAL.as_bytes())?.strip_suffix(b"\n")?;
    (named == encode(&sha256(before)).as_bytes()).then_some(before)
}

#[cfg(test)]
mod tests {
    use super::*;

    const SCRIPT: &[u8] =
        b"#!/bin/bash\n# This is Extend's extend.sh, not PortSIP's.\nexec extend \"$@\"\n";

    fn seen(content: &[u8]) -> Found {
        recognise(content, &sealed(SCRIPT), false)
    }

    #[test]
    fn ours_is_known_by_its_seal_and_theirs_by_nothing_of_ours() {
        assert_eq!(seen(&sealed(SCRIPT)), Found::Ours);
        assert_eq!(seen(SCRIPT), Found::OursOfOld, "copied by hand");
        assert_eq!(seen(&sealed(b"#!/bin/sh\nold\n")), Found::OursOfOld);
        assert_eq!(seen(b""), Found::Empty);
        let theirs = b"#!/bin/bash\n# extend.sh of PortSIP\n";
        let sha256 = sha256(theirs);
        assert_eq!(seen(theirs), Found::Theirs { sha256 });
    }

    #[test]
    fn ours_that_was_changed_is_never_taken_for_theirs() {
        let mut edited = sealed(SCRIPT);
        edited.extend(b"echo hello\n");
        assert_eq!(seen(&edited), Found::OursEdited);
        let text = String::from_utf8(sealed(SCRIPT)).unwrap();
        let inner = text.replace("exec extend", "exec sudo extend");
        assert_eq!(seen(inner.as_bytes()), Found::OursEdited);
        let half = text.get(..text.len() - 10).unwrap();
        assert_eq!(seen(half.as_bytes()), Found::OursEdited);
        let of_old_copied = "#!/bin/bash\n# This is Extend's extend.sh, not PortSIP's.\nold\n";
        assert_eq!(seen(of_old_copied.as_bytes()), Found::OursEdited);
    }

    #[test]
    fn a_link_to_ours_is_to_become_a_copy() {
        let ours = sealed(SCRIPT);
        assert_eq!(recognise(&ours, &ours, true), Found::OursOfOld);
        assert_eq!(recognise(SCRIPT, &ours, true), Found::OursOfOld);
    }

    /// The mark is in the script that ships; without it a copy made by hand would be kept as
    /// PortSIP's.
    #[test]
    fn the_script_that_ships_bears_the_mark() {
        let ships = include_str!("../../../packaging/extend.sh");
        assert_eq!(ships.lines().filter(|line| *line == MARK).count(), 1);
    }
}
