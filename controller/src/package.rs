//! The agent's package as it lies on the primary: the file that nodes install.
//!
//! Owns finding it, its name, and its hash. The enrolment port serves it, the operators' face
//! describes it, `extend node bootstrap` copies it. What is in the file is dpkg's to judge, on the
//! node; here only its name is read.

use std::fs::File;
use std::io::{self, Read, Seek};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

/// The package's name in Debian.
pub const NAME: &str = "extend-agent";
/// Ten times what it has. A file beyond that is something else.
const MAX_BYTES: u64 = 128 * 1024 * 1024;
/// A directory with more files than this is not where packages lie.
const MAX_FILES: usize = 256;
/// How much is read at a time.
const CHUNK: usize = 64 * 1024;

extend_common::hash_type!(
    /// SHA-256 of the file.
    PackageHash,
    "a package's hash"
);

/// One package file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AgentPackage {
    /// Where it lies.
    pub path: PathBuf,
    /// Its Debian version.
    pub version: String,
    /// Its Debian architecture.
    pub architecture: String,
    /// How many bytes it has.
    pub size: u64,
    /// Their hash.
    pub sha256: PackageHash,
}

/// Why there is no package to be had.
#[derive(Debug, thiserror::Error)]
pub enum PackageError {
    /// The system's word about a file or a directory.
    #[error("cannot read {}", path.display())]
    Unreadable {
        /// Which.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// Nothing in the directory is one.
    #[error("there is no agent's package in {}", directory.display())]
    Missing {
        /// Which directory.
        directory: PathBuf,
    },
    /// Nobody has said which one is meant.
    #[error("there are {count} agent's packages in {}", directory.display())]
    Several {
        /// Which directory.
        directory: PathBuf,
        /// How many.
        count: usize,
    },
    /// The name does not tell version and architecture.
    #[error("{} is not named like the agent's package", path.display())]
    OddName {
        /// Which file.
        path: PathBuf,
    },
    /// No package is that large.
    #[error("{} has {size} bytes: too many for the agent's package", path.display())]
    TooLarge {
        /// Which file.
        path: PathBuf,
        /// How many it has.
        size: u64,
    },
}

impl PackageError {
    /// What the operator can do about it.
    #[must_use]
    pub fn hint(&self) -> String {
        match self {
            Self::Missing { .. } | Self::Several { .. } => {
                "the package extend brings it: sudo apt-get install --reinstall extend".to_owned()
            }
            Self::OddName { .. } | Self::TooLarge { .. } => {
                "name it as it was built: extend-agent_VERSION_ARCHITECTURE.deb".to_owned()
            }
            Self::Unreadable { path, .. } => format!("ls -ld {}", path.display()),
        }
    }
}

/// Version and architecture, as the name of the file tells them.
fn named(path: &Path) -> Option<(String, String)> {
    let name = path.file_name()?.to_str()?.strip_suffix(".deb")?;
    let (version, architecture) = name
        .strip_prefix(NAME)?
        .strip_prefix('_')?
        .split_once('_')?;
    let clean = |text: &str, more: &str| {
        let allowed = |c: char| c.is_ascii_alphanumeric() || more.contains(c);
        !text.is_empty() && text.len() <= 64 && text.chars().all(allowed)
    };
    let good = clean(version, ".+~-") && version.starts_with(|c: char| c.is_ascii_digit());
    (good && clean(architecture, "-")).then(|| (version.to_owned(), architecture.to_owned()))
}

/// The only package in a directory.
///
/// # Errors
/// When there is none, or more than one.
fn find(directory: &Path) -> Result<PathBuf, PackageError> {
    let unreadable = |source| PackageError::Unreadable {
        path: directory.to_owned(),
        source,
    };
    let entries = match std::fs::read_dir(directory) {
        Ok(entries) => entries,
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            return Err(PackageError::Missing {
                directory: directory.to_owned(),
            });
        }
        Err(error) => return Err(unreadable(error)),
    };
    let mut found = Vec::new();
    for entry in entries.take(MAX_FILES) {
        let path = entry.map_err(unreadable)?.path();
        if named(&path).is_some() {
            found.push(path);
        }
    }
    match (found.len(), found.pop()) {
        (1, Some(path)) => Ok(path),
        (0, _) | (_, None) => Err(PackageError::Missing {
            directory: directory.to_owned(),
        }),
        (count, _) => Err(PackageError::Several {
            directory: directory.to_owned(),
            count,
        }),
    }
}

impl AgentPackage {
    /// The package at `path`, opened at its beginning.
    ///
    /// # Errors
    /// When its name tells nothing, or it cannot be read.
    pub fn open(path: &Path) -> Result<(File, Self), PackageError> {
        Shelf::default().look(path)
    }
}

/// A directory with one package in it, and what was found there last.
#[derive(Debug, Clone, Default)]
pub struct Shelf {
    directory: PathBuf,
    seen: Arc<Mutex<Option<(Stamp, AgentPackage)>>>,
}

/// A file that has the same stamp has the same contents: dpkg replaces files, and writes none anew.
type Stamp = (u64, u64, i64, i64, u64);

impl Shelf {
    /// The shelf in a directory.
    #[must_use]
    pub fn new(directory: &Path) -> Self {
        Self {
            directory: directory.to_owned(),
            seen: Arc::default(),
        }
    }

    /// The package, opened at its beginning. It is hashed only when it is another than last time.
    /// It reads the disk: not for a task that others wait for.
    ///
    /// # Errors
    /// When there is none, more than one, or it cannot be read.
    pub fn open(&self) -> Result<(File, AgentPackage), PackageError> {
        self.look(&find(&self.directory)?)
    }

    fn look(&self, path: &Path) -> Result<(File, AgentPackage), PackageError> {
        let unreadable = |source| PackageError::Unreadable {
            path: path.to_owned(),
            source,
        };
        let (version, architecture) = named(path).ok_or_else(|| PackageError::OddName {
            path: path.to_owned(),
        })?;
        let mut file = File::open(path).map_err(unreadable)?;
        let metadata = file.metadata().map_err(unreadable)?;
        if !metadata.is_file() {
            return Err(PackageError::OddName {
                path: path.to_owned(),
            });
        }
        let stamp = (
            metadata.dev(),
            metadata.ino(),
            metadata.mtime(),
            metadata.mtime_nsec(),
            metadata.len(),
        );
        let size = metadata.len();
        if size > MAX_BYTES {
            return Err(PackageError::TooLarge {
                path: path.to_owned(),
                size,
            });
        }
        let mut seen = self.seen.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some((at, package)) = &*seen
            && *at == stamp
            && package.path == path
        {
            return Ok((file, package.clone()));
        }
        let sha256 = hash(&mut file).map_err(unreadable)?;
        file.rewind().map_err(unreadable)?;
        let package = AgentPackage {
            path: path.to_owned(),
            version,
            architecture,
            size,
            sha256,
        };
        *seen = Some((stamp, package.clone()));
        Ok((file, package))
    }
}

fn hash(file: &mut File) -> io::Result<PackageHash> {
    let mut context = ring::digest::Context::new(&ring::digest::SHA256);
    let mut chunk = vec![0; CHUNK];
    loop {
        match file.read(&mut chunk)? {
            0 => break,
            read => context.update(chunk.get(..read).unwrap_or_default()),
        }
    }
    let mut hash = [0; 32];
    hash.copy_from_slice(context.finish().as_ref());
    Ok(PackageHash(hash))
}

#[cfg(test)]
mod tests {
    use std::fs;

    use extend_common::hash::sha256;

    use super::*;

    #[test]
    fn a_name_tells_version_and_architecture() {
        let read = |name: &str| named(&Path::new("/x").join(name));
        let told = |version: &str| Some((version.to_owned(), "amd64".to_owned()));
        assert_eq!(read("extend-agent_0.1.0_amd64.deb"), told("0.1.0"));
        assert_eq!(
            read("extend-agent_0.1.0+x1~2-3_amd64.deb"),
            told("0.1.0+x1~2-3")
        );
        for other in [
            "extend_0.1.0_amd64.deb",
            "extend-agent_0.1.0_amd64.deb.part",
            "extend-agent_0.1.0.deb",
            "extend-agent__amd64.deb",
            "extend-agent_x_amd64.deb",
            "extend-agent_1.0_",
            "extend-agent_1;reboot_amd64.deb",
            "extend-agent_1_amd64_b.deb",
        ] {
            assert_eq!(read(other), None, "{other}");
        }
    }

    #[test]
    fn a_shelf_holds_one_package_and_notices_another() {
        let directory = tempfile::tempdir().unwrap();
        let shelf = Shelf::new(directory.path());
        let missing = shelf.open().unwrap_err();
        assert!(matches!(missing, PackageError::Missing { .. }), "{missing}");
        fs::write(directory.path().join("README"), "x").unwrap();
        let first = directory.path().join("extend-agent_1.0_amd64.deb");
        fs::write(&first, "one").unwrap();
        let (mut file, package) = shelf.open().unwrap();
        assert_eq!((package.version.as_str(), package.size), ("1.0", 3));
        assert_eq!(package.sha256, PackageHash(sha256(b"one")));
        let mut text = String::new();
        file.read_to_string(&mut text).unwrap();
        assert_eq!(text, "one", "from its beginning");
        assert_eq!(shelf.open().unwrap().1, package);

        let second = directory.path().join("extend-agent_1.1_amd64.deb");
        fs::write(&second, "two").unwrap();
        let several = shelf.open().unwrap_err();
        assert!(
            matches!(several, PackageError::Several { count: 2, .. }),
            "{several}"
        );
        fs::remove_file(first).unwrap();
        let (_, package) = shelf.open().unwrap();
        assert_eq!(package.version, "1.1");
        assert_eq!(package.sha256, PackageHash(sha256(b"two")));
        let next = directory.path().join("next");
        fs::write(&next, "2.0").unwrap();
        fs::rename(&next, &second).unwrap();
        assert_eq!(shelf.open().unwrap().1.sha256, PackageHash(sha256(b"2.0")));
    }

    #[test]
    fn what_is_no_package_is_refused() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("extend-agent_1.0_amd64.deb");
        let gone = AgentPackage::open(&path).unwrap_err();
        assert!(matches!(gone, PackageError::Unreadable { .. }), "{gone}");
        fs::create_dir(&path).unwrap();
        assert!(AgentPackage::open(&path).is_err());
        let large = directory.path().join("extend-agent_2.0_amd64.deb");
        File::create(&large)
            .unwrap()
            .set_len(MAX_BYTES + 1)
            .unwrap();
        let large = AgentPackage::open(&large).unwrap_err();
        assert!(matches!(large, PackageError::TooLarge { .. }), "{large}");
    }
}
