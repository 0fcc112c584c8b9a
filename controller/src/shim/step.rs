//! Does one step: a `match`. Every change is a rename or an exchange within the directory.

use std::fs;
use std::io;
use std::path::Path;

use extend_common::files;
use nix::fcntl::{AT_FDCWD, RenameFlags, renameat2};

use super::plan::Step;
use super::{EDITED, KEPT, NAME, NEXT, Place, ShimError};

/// As PortSIP's scripts are.
const MODE: u32 = 0o755;

impl Place {
    pub(super) fn take(&self, step: &Step) -> Result<(), ShimError> {
        match step {
            Step::Keep => self.rename(NEXT, KEPT),
            Step::DropNext => self.remove(NEXT),
            Step::DropKept | Step::DropOlder => self.remove(KEPT),
            Step::Put => self.write(NAME),
            Step::Exchange { .. } => {
                self.write(NEXT)?;
                self.exchange(NEXT, NAME)
            }
            Step::SetAside => {
                self.write(NEXT)?;
                self.exchange(NEXT, NAME)?;
                self.rename(NEXT, EDITED)
            }
            Step::Restore => self.rename(KEPT, NAME),
            Step::Remove => self.remove(NAME),
        }
    }

    fn write(&self, name: &str) -> Result<(), ShimError> {
        let path = self.file(name);
        files::write_atomic(&path, &self.ours, MODE).map_err(|error| {
            let source = io::Error::new(error.kind().unwrap_or(io::ErrorKind::Other), error);
            ShimError::io("write", &path)(source)
        })
    }

    fn rename(&self, from: &str, to: &str) -> Result<(), ShimError> {
        let (from, to) = (self.file(from), self.file(to));
        fs::rename(&from, &to)
            .and_then(|()| self.sync())
            .map_err(ShimError::io("rename", &from))
    }

    fn exchange(&self, one: &str, other: &str) -> Result<(), ShimError> {
        let (one, other) = (self.file(one), self.file(other));
        let flags = RenameFlags::RENAME_EXCHANGE;
        renameat2(AT_FDCWD, &one, AT_FDCWD, &other, flags)
            .map_err(io::Error::from)
            .and_then(|()| self.sync())
            .map_err(ShimError::io("exchange", &other))
    }

    fn remove(&self, name: &str) -> Result<(), ShimError> {
        let path = self.file(name);
        fs::remove_file(&path)
            .and_then(|()| self.sync())
            .map_err(ShimError::io("remove", &path))
    }

    /// A rename is durable once the directory is.
    fn sync(&self) -> io::Result<()> {
        let directory: &Path = self.directory();
        fs::File::open(directory).and_then(|directory| directory.sync_all())
    }
}
