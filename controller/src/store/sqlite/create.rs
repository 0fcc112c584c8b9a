//! Making database files: each is written under another name and appears under its own only when
//! it is complete and on the disk, so that half a store is never found.
//!
//! Called when a store is opened for the first time and for snapshots. Must never replace a file.

use std::ffi::OsString;
use std::fs::{self, File, OpenOptions};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

use nix::errno::Errno;
use nix::fcntl::{AT_FDCWD, RenameFlags, renameat2};
use rusqlite::backup::{Backup, StepResult};
use rusqlite::{Connection, params};
use ulid::Ulid;

use super::connect::{connect, set_mode};
use super::format::{
    APPLICATION_ID, META_EPOCH, META_IDENTITY, META_REVISION, PAGE_BYTES, SCHEMA, SCHEMA_VERSION,
    inspect,
};
use super::integer;
use crate::store::StoreError;
use crate::store::image::Image;

/// The store holds what is worth guarding: whitelists, tokens' hashes, who did what.
pub(super) const PRIVATE: u32 = 0o600;

/// Writes `image` into the new database file `path`.
pub(in crate::store) fn write_image(path: &Path, image: &Image) -> Result<(), StoreError> {
    let draft = Draft::new(path)?;
    let failed = |source| StoreError::sqlite("write", path, source);
    let mut connection = connect(&draft.path)?;
    fill(&mut connection, image).map_err(failed)?;
    connection.close().map_err(|(_, source)| failed(source))?;
    draft.publish(path)
}

/// Copies the database behind `source` into the new file `path`, and opens the copy before calling
/// it one.
pub(super) fn copy(source: &Connection, path: &Path) -> Result<(), StoreError> {
    let draft = Draft::new(path)?;
    let failed = |source| StoreError::sqlite("copy to", path, source);
    let mut target = connect(&draft.path)?;
    {
        let backup = Backup::new(source, &mut target).map_err(failed)?;
        // All pages in one step: nothing else can be written meanwhile, since whoever could is
        // waiting for this call.
        if backup.step(-1).map_err(failed)? != StepResult::Done {
            return Err(StoreError::InUse {
                path: path.to_owned(),
            });
        }
    }
    // The copy inherits its source's mode, and with it a log. A snapshot is a single file.
    set_mode(&target, path, "journal_mode", "delete")?;
    inspect(&target, path)?;
    target.close().map_err(|(_, source)| failed(source))?;
    draft.publish(path)
}

fn fill(connection: &mut Connection, image: &Image) -> Result<(), rusqlite::Error> {
    connection.pragma_update(None, "page_size", PAGE_BYTES)?;
    let transaction = connection.transaction()?;
    transaction.execute_batch(SCHEMA)?;
    transaction.pragma_update(None, "application_id", APPLICATION_ID)?;
    transaction.pragma_update(None, "user_version", SCHEMA_VERSION)?;
    {
        let mut meta = transaction.prepare("INSERT INTO meta (name, value) VALUES (?1, ?2)")?;
        meta.execute(params![META_IDENTITY, image.identity.to_string()])?;
        meta.execute(params![META_EPOCH, integer(image.epoch.0)?])?;
        meta.execute(params![META_REVISION, integer(image.revision.0)?])?;
        let mut put =
            transaction.prepare("INSERT INTO kv (key, value, revision) VALUES (?1, ?2, ?3)")?;
        for (key, record) in &image.records {
            put.execute(params![key, record.value, integer(record.revision.0)?])?;
        }
    }
    transaction.commit()
}

/// A file in the making, beside the one it is to become. Removed unless it is published.
struct Draft {
    path: PathBuf,
}

impl Draft {
    /// Creates the draft of `path`, empty and readable by nobody else.
    fn new(path: &Path) -> Result<Self, StoreError> {
        if path.symlink_metadata().is_ok() {
            return Err(StoreError::AlreadyExists {
                path: path.to_owned(),
            });
        }
        let mut name = OsString::from(path);
        // A name of its own: two controllers that start at once must not share a draft.
        name.push(format!(".{}.draft", Ulid::generate()));
        let draft = PathBuf::from(name);
        OpenOptions::new()
            .write(true)
            .create_new(true)
            .mode(PRIVATE)
            .open(&draft)
            .map_err(|error| StoreError::file("create", &draft, error))?;
        Ok(Self { path: draft })
    }

    /// Gives the draft its name, durably, unless something has that name by now. A file system that
    /// cannot do so in one step (NFS) is refused; SQLite's locks are not to be trusted there.
    fn publish(self, path: &Path) -> Result<(), StoreError> {
        let sync = |path: &Path| {
            File::open(path)
                .and_then(|file| file.sync_all())
                .map_err(|error| StoreError::file("sync", path, error))
        };
        sync(&self.path)?;
        let renamed = renameat2(
            AT_FDCWD,
            &self.path,
            AT_FDCWD,
            path,
            RenameFlags::RENAME_NOREPLACE,
        );
        match renamed {
            Ok(()) => sync(directory_of(path)),
            Err(Errno::EEXIST) => Err(StoreError::AlreadyExists {
                path: path.to_owned(),
            }),
            Err(errno) => Err(StoreError::file("create", path, errno.into())),
        }
    }
}

impl Drop for Draft {
    fn drop(&mut self) {
        // After publishing there is nothing left under this name. Otherwise this is the clean-up
        // of an error that is already on its way; it must not hide that one.
        let _ = fs::remove_file(&self.path);
    }
}

/// The directory of a file; a bare name is in the present one.
fn directory_of(path: &Path) -> &Path {
    match path.parent() {
        Some(parent) if !parent.as_os_str().is_empty() => parent,
        _ => Path::new("."),
    }
}
