//! The archive, written and read as a stream.
//!
//! Called by the operators' face to write one, by the restore to read one. It must never act on a
//! name, a type or a size that stands in the archive: it compares them with the few that it knows.

use std::fs::{File, OpenOptions};
use std::io::{self, Read, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;

use data_encoding::HEXLOWER;
use extend_common::files;
use extend_common::tls::authority::{CERTIFICATE_FILE, KEY_FILE};
use ring::digest::{Context, SHA256};
use rusqlite::{Connection, OpenFlags};
use tar::{Archive, Builder, Entry, EntryType, Header};

use super::{
    BackupError, CONTENTS, Facts, FileEntry, MANIFEST_FILE, MAX_MANIFEST_BYTES, Manifest, VERSION,
    WorkDir,
};

/// Writes the archive of the snapshot in `work` and of the authority in `state_dir` to `out`.
/// Blocks.
///
/// # Errors
/// Fails if a file cannot be read, or if `out` takes no more.
pub fn write(
    state_dir: &Path,
    work: &WorkDir,
    facts: Facts,
    out: impl Write,
) -> Result<(), BackupError> {
    let sources = [
        (CERTIFICATE_FILE, state_dir.join(CERTIFICATE_FILE)),
        (KEY_FILE, state_dir.join(KEY_FILE)),
        (super::STORE_FILE, work.store()),
    ];
    let mut entries = Vec::with_capacity(sources.len());
    for (name, path) in &sources {
        let mut file = File::open(path).map_err(BackupError::io("open", path))?;
        let (bytes, sha256) =
            copy_hashed(&mut file, &mut io::sink()).map_err(BackupError::io("read", path))?;
        entries.push(FileEntry {
            name: (*name).to_owned(),
            bytes,
            sha256,
        });
    }
    let epoch = epoch_of(&work.store()).map_err(BackupError::Snapshot)?;
    let Facts { store, time } = facts;
    let manifest = Manifest {
        version: VERSION,
        store,
        epoch,
        time,
        files: entries,
    };
    let text = serde_json::to_vec_pretty(&manifest).map_err(|e| BackupError::Write(e.into()))?;

    let mut archive = Builder::new(out);
    let mut append = |name: &str, bytes: u64, from: &mut dyn Read| {
        let mut header = Header::new_ustar();
        header.set_entry_type(EntryType::Regular);
        header.set_mode(files::SECRET);
        header.set_size(bytes);
        header.set_mtime(u64::try_from(time.as_second()).unwrap_or_default());
        // Exactly as many bytes as announced, whatever has become of the file since.
        archive
            .append_data(&mut header, name, from.take(bytes))
            .map_err(BackupError::Write)
    };
    append(
        MANIFEST_FILE,
        text.len().try_into().unwrap_or(u64::MAX),
        &mut text.as_slice(),
    )?;
    for ((name, path), entry) in sources.iter().zip(&manifest.files) {
        let mut file = File::open(path).map_err(BackupError::io("open", path))?;
        append(name, entry.bytes, &mut file)?;
    }
    let mut out = archive.into_inner().map_err(BackupError::Write)?;
    out.flush().map_err(BackupError::Write)
}

/// The epoch of a snapshot, for the manifest: people compare it with what agents have seen.
fn epoch_of(snapshot: &Path) -> Result<u64, rusqlite::Error> {
    let flags = OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let connection = Connection::open_with_flags(snapshot, flags)?;
    let read = "SELECT value FROM meta WHERE name = 'epoch'";
    let epoch: i64 = connection.query_row(read, [], |row| row.get(0))?;
    u64::try_from(epoch).map_err(|_| rusqlite::Error::IntegralValueOutOfRange(0, epoch))
}

/// Reads the archive `file`, which is at `path`: every file into `work`, mode 0600, each checked
/// against the manifest.
pub(super) fn unpack(path: &Path, file: File, work: &WorkDir) -> Result<Manifest, BackupError> {
    let no_backup = |problem: String| BackupError::NotABackup {
        path: path.to_owned(),
        problem,
    };
    let mut archive = Archive::new(io::BufReader::new(file));
    // Raw: extensions for long names and the like are not obeyed but found to be no file of ours.
    let mut entries = archive
        .entries()
        .map_err(BackupError::io("read", path))?
        .raw(true);
    let mut next = |name: &str, most: u64| {
        let entry = entries
            .next()
            .ok_or_else(|| no_backup(format!("it ends before {name}")))?
            .map_err(|error| no_backup(error.to_string()))?;
        check(&entry, name, most).map_err(no_backup)?;
        Ok::<_, BackupError>(entry)
    };

    let mut text = Vec::new();
    next(MANIFEST_FILE, MAX_MANIFEST_BYTES)?
        .take(MAX_MANIFEST_BYTES)
        .read_to_end(&mut text)
        .map_err(|error| no_backup(error.to_string()))?;
    let manifest: Manifest = serde_json::from_slice(&text)
        .map_err(|error| no_backup(format!("its manifest cannot be read: {error}")))?;
    check_manifest(&manifest).map_err(no_backup)?;

    for ((name, most), expected) in CONTENTS.iter().zip(&manifest.files) {
        let mut entry = next(name, *most)?;
        let target = work.file(name);
        let mut file = OpenOptions::new()
            .write(true)
            .create_new(true)
            .mode(files::SECRET)
            .open(&target)
            .map_err(BackupError::io("create", &target))?;
        let (bytes, sha256) =
            copy_hashed(&mut entry, &mut file).map_err(BackupError::io("write", &target))?;
        if (bytes, &sha256) != (expected.bytes, &expected.sha256) {
            return Err(no_backup(format!(
                "{name} is not what the manifest says: it is damaged"
            )));
        }
        file.sync_all().map_err(BackupError::io("sync", &target))?;
    }
    if entries.next().is_some() {
        return Err(no_backup(
            "there is more in it than a backup has".to_owned(),
        ));
    }
    Ok(manifest)
}

fn check<R: Read>(entry: &Entry<'_, R>, name: &str, most: u64) -> Result<(), String> {
    if *entry.path_bytes() != *name.as_bytes() {
        let found = String::from_utf8_lossy(&entry.path_bytes())
            .chars()
            .take(80)
            .collect::<String>();
        return Err(format!(
            "found `{}` in place of {name}",
            found.escape_debug()
        ));
    }
    if entry.header().entry_type() != EntryType::Regular {
        return Err(format!("{name} is not a plain file"));
    }
    if entry.size() > most {
        return Err(format!("{name} is larger than {most} bytes"));
    }
    Ok(())
}

fn check_manifest(manifest: &Manifest) -> Result<(), String> {
    if manifest.version != VERSION {
        return Err(format!(
            "it has version {}, this release reads version {VERSION}",
            manifest.version
        ));
    }
    let named: Vec<&str> = manifest
        .files
        .iter()
        .map(|entry| entry.name.as_str())
        .collect();
    let wanted: Vec<&str> = CONTENTS.iter().map(|(name, _)| *name).collect();
    if named != wanted {
        return Err(format!("its manifest does not name {}", wanted.join(", ")));
    }
    Ok(())
}

/// Copies everything, and says how much it was and its SHA-256.
fn copy_hashed(from: &mut dyn Read, to: &mut dyn Write) -> io::Result<(u64, String)> {
    let mut hash = Context::new(&SHA256);
    let mut buffer = vec![0; 64 * 1024];
    let mut bytes = 0;
    loop {
        let read = match from.read(&mut buffer) {
            Ok(0) => return Ok((bytes, HEXLOWER.encode(hash.finish().as_ref()))),
            Ok(read) => read,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
            Err(error) => return Err(error),
        };
        let part = buffer.get(..read).unwrap_or_default();
        hash.update(part);
        to.write_all(part)?;
        bytes += u64::try_from(read).unwrap_or_default();
    }
}
