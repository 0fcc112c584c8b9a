//! A file that has its name only when it is whole, so that no half of one can be mistaken for it.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

use extend_common::files::SECRET;
use nix::fcntl::{AT_FDCWD, RenameFlags, renameat2};

use super::failure::Failure;

/// The file while it is not whole.
const PART: &str = "part";

/// Nothing that is there is written over.
pub(crate) fn refuse_existing(file: &Path) -> Result<(), Failure> {
    if file.symlink_metadata().is_err() {
        return Ok(());
    }
    Err(
        Failure::usage(format!("cannot write {}: the file exists", file.display()))
            .hint("name a file that does not exist"),
    )
}

/// The file that is being written. It goes, unless it was completed.
#[derive(Debug)]
pub(crate) struct Part {
    path: PathBuf,
    file: File,
    done: bool,
}

impl Part {
    /// A new file beside the one that it will be, for its owner alone.
    pub(crate) fn create(file: &Path) -> Result<Self, Failure> {
        let mut name = file.as_os_str().to_owned();
        name.push(format!(".{}.{PART}", std::process::id()));
        let path = PathBuf::from(name);
        let opened = OpenOptions::new()
            .write(true)
            .create_new(true)
            .mode(SECRET)
            .open(&path);
        let file = opened.map_err(|error| cannot_write(&path, &error))?;
        Ok(Self {
            path,
            file,
            done: false,
        })
    }

    /// Adds to it.
    pub(crate) fn add(&mut self, data: &[u8]) -> Result<(), Failure> {
        self.file
            .write_all(data)
            .map_err(|error| cannot_write(&self.path, &error))
    }

    /// Gives the file its name, once it is on the disk, and only if nobody has taken the name.
    pub(crate) fn complete(mut self, file: &Path) -> Result<(), Failure> {
        self.file
            .sync_all()
            .map_err(|error| cannot_write(&self.path, &error))?;
        let renamed = renameat2(
            AT_FDCWD,
            &self.path,
            AT_FDCWD,
            file,
            RenameFlags::RENAME_NOREPLACE,
        );
        match renamed {
            Ok(()) => {}
            Err(nix::Error::EEXIST) => return refuse_existing(file),
            // Not every file system can promise that; then looking before has to do.
            Err(nix::Error::EINVAL) => {
                refuse_existing(file)?;
                fs::rename(&self.path, file).map_err(|error| cannot_write(file, &error))?;
            }
            Err(error) => return Err(cannot_write(file, &error.into())),
        }
        self.done = true;
        let directory = file.parent().filter(|path| !path.as_os_str().is_empty());
        File::open(directory.unwrap_or(Path::new(".")))
            .and_then(|directory| directory.sync_all())
            .map_err(|error| cannot_write(file, &error))
    }
}

impl Write for Part {
    fn write(&mut self, data: &[u8]) -> io::Result<usize> {
        self.file.write(data)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.file.flush()
    }
}

impl Drop for Part {
    fn drop(&mut self) {
        if !self.done {
            drop(fs::remove_file(&self.path));
        }
    }
}

/// The words for a file that cannot be written.
pub(crate) fn cannot_write(path: &Path, error: &io::Error) -> Failure {
    Failure::local(format!("cannot write {}", path.display()), error)
}
