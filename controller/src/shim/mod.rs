//! The shim where PortSIP's guide looks for `extend.sh`.
//!
//! ```text
//! extend.sh            ours: a copy, with a last line that says so
//! extend.sh.portsip    PortSIP's, as it was: content, owner and mode
//! extend.sh.edited     one of ours that somebody has changed by hand, if that ever happened
//! .extend.sh.next      on its way from one name to another
//! ```
//!
//! Looks, plans one step, does it, and looks again, until there is nothing to do: wherever it is cut
//! short, the next run goes on. Ours and PortSIP's change places in one exchange, so that there is
//! an `extend.sh` at every moment, and PortSIP's keeps its inode: a program that is still unpacking
//! it goes on writing into the file that is kept.
//!
//! Used by `extend shim`, as root. It knows nothing of the controller; what it has to tell it is
//! left in [`record`].

pub mod look;
pub mod plan;
pub mod record;
mod step;
pub mod unit;

use std::io;
use std::path::{Path, PathBuf};

pub use look::{Found, Look};
pub use plan::{Refused, Step, Wish};

/// Where the guide's lines begin with `cd`.
pub const DEFAULT_DIRECTORY: &str = "/opt/portsip-pbx-ha-guide";
/// What is put there.
pub const DEFAULT_SOURCE: &str = "/usr/share/extend/extend.sh";

/// The name in the guide.
pub const NAME: &str = "extend.sh";
/// PortSIP's.
pub const KEPT: &str = "extend.sh.portsip";
/// Ours, changed by hand.
pub const EDITED: &str = "extend.sh.edited";
/// On its way.
const NEXT: &str = ".extend.sh.next";

/// So many steps lead from anything to anything; more means that somebody works against us.
const MOST_STEPS: usize = 12;

/// Why the shim is not where it should be.
#[derive(Debug, thiserror::Error)]
pub enum ShimError {
    /// The system refused.
    #[error("cannot {operation} {}", path.display())]
    Io {
        /// What was tried.
        operation: &'static str,
        /// With what.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// What is there is left alone.
    #[error(transparent)]
    Refused(#[from] Refused),
    /// Somebody else changes the directory at the same time.
    #[error("{} does not come to rest: something else changes it", path.display())]
    Restless {
        /// The directory.
        path: PathBuf,
    },
}

impl ShimError {
    pub(crate) fn io<'a>(
        operation: &'static str,
        path: &'a Path,
    ) -> impl FnOnce(io::Error) -> Self + 'a {
        move |source| Self::Io {
            operation,
            path: path.to_owned(),
            source,
        }
    }

    /// What the operator can do about it.
    #[must_use]
    pub fn hint(&self) -> Option<String> {
        match self {
            Self::Io { path, source, .. } if source.kind() == io::ErrorKind::NotFound => {
                let missing = path.display();
                Some(format!(
                    "is {missing} the right place? --directory DIRECTORY"
                ))
            }
            Self::Io { .. } => None,
            Self::Refused(refused) => Some(refused.hint()),
            Self::Restless { path } => {
                Some(format!("what writes there? lsof +D {}", path.display()))
            }
        }
    }

    /// Whether only root may do this.
    #[must_use]
    pub fn is_permission(&self) -> bool {
        matches!(self, Self::Io { source, .. } if source.kind() == io::ErrorKind::PermissionDenied)
    }
}

/// A directory of the guide, and the script that belongs into it.
#[derive(Debug, Clone)]
pub struct Place {
    directory: PathBuf,
    /// Ours, with its last line.
    ours: Vec<u8>,
}

impl Place {
    /// The directory, with the script at `source`.
    ///
    /// # Errors
    /// Fails if the script cannot be read.
    pub fn new(directory: &Path, source: &Path) -> Result<Self, ShimError> {
        let script = std::fs::read(source).map_err(ShimError::io("read", source))?;
        Ok(Self {
            directory: directory.to_owned(),
            ours: look::sealed(&script),
        })
    }

    /// The directory.
    #[must_use]
    pub fn directory(&self) -> &Path {
        &self.directory
    }

    /// What is there now.
    ///
    /// # Errors
    /// Fails if there is no such directory, or if it cannot be read.
    pub fn look(&self) -> Result<Look, ShimError> {
        Look::at(&self.directory, &self.ours)
    }

    /// Does what is wished for, step by step, and returns the steps.
    ///
    /// # Errors
    /// Fails if a step does, or if something odd is in the way; what was done until then stays, and
    /// the next call goes on from there.
    pub fn bring_about(&self, wish: Wish) -> Result<Vec<Step>, ShimError> {
        let mut done = Vec::new();
        while done.len() < MOST_STEPS {
            let Some(step) = plan::next(&self.look()?, wish)? else {
                return Ok(done);
            };
            self.take(&step)?;
            done.push(step);
        }
        Err(ShimError::Restless {
            path: self.directory.clone(),
        })
    }

    fn file(&self, name: &str) -> PathBuf {
        self.directory.join(name)
    }
}

#[cfg(test)]
mod tests;
