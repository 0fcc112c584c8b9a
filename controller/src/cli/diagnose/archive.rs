//! The archive of a diagnosis: a compressed tar, written as a stream, with a list of what is in it
//! and of what is not.
//!
//! A part whose size is not known before is put into a file without a name first, so that nothing
//! of it has to be in memory. Everything goes when the command ends early, and that may be at any
//! time: what is large is written piece by piece.

use std::fs::{self, File, OpenOptions};
use std::io::{Read, Seek, SeekFrom, Write, empty};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

use extend_common::files::SECRET;
use extend_common::redact::Redactor;
use extend_common::size;
use flate2::Compression;
use flate2::write::GzEncoder;
use jiff::Timestamp;
use tar::{Builder, EntryType, Header};

use crate::cli::failure::Failure;
use crate::cli::part::{Part, cannot_write};

/// The list of everything, in the archive.
const LIST: &str = "README.txt";
/// Between two pieces of a part there is a moment for Ctrl-C.
const PIECE: usize = 256 * 1024;
/// What a tar is made of.
const BLOCK: u64 = 512;

/// An archive that is being written.
pub(super) struct Archive {
    file: PathBuf,
    /// The directory that everything is in.
    root: String,
    at: Timestamp,
    tar: Builder<GzEncoder<Part>>,
    list: Vec<Entry>,
}

/// A line of the list.
struct Entry {
    name: String,
    /// None for what could not be had.
    bytes: Option<u64>,
    /// What was cut, or why it is not there.
    note: String,
}

/// A part on its way into the archive.
pub(super) struct Spool {
    file: File,
    path: PathBuf,
    bytes: u64,
}

impl Spool {
    /// Adds to it.
    pub(super) fn write(&mut self, bytes: &[u8]) -> Result<(), Failure> {
        let written = self.file.write_all(bytes);
        written.map_err(|error| cannot_write(&self.path, &error))?;
        let more = u64::try_from(bytes.len()).unwrap_or(u64::MAX);
        self.bytes = self.bytes.saturating_add(more);
        Ok(())
    }

    /// How much there is of it.
    pub(super) fn bytes(&self) -> u64 {
        self.bytes
    }
}

impl Archive {
    /// Begins one that will be this file.
    pub(super) fn begin(file: &Path, root: &str, at: Timestamp) -> Result<Self, Failure> {
        let part = Part::create(file)?;
        Ok(Self {
            file: file.to_owned(),
            root: root.to_owned(),
            at,
            tar: Builder::new(GzEncoder::new(part, Compression::default())),
            list: Vec::new(),
        })
    }

    /// A place for a part: a file that nobody else can open, and that is gone with this process.
    pub(super) fn spool(&self) -> Result<Spool, Failure> {
        let mut name = self.file.as_os_str().to_owned();
        name.push(format!(".{}.spool", std::process::id()));
        let path = PathBuf::from(name);
        let opened = OpenOptions::new()
            .read(true)
            .write(true)
            .create_new(true)
            .mode(SECRET)
            .open(&path);
        let file = opened.map_err(|error| cannot_write(&path, &error))?;
        fs::remove_file(&path).map_err(|error| cannot_write(&path, &error))?;
        Ok(Spool {
            file,
            path,
            bytes: 0,
        })
    }

    /// Adds a part.
    pub(super) async fn add(
        &mut self,
        name: &str,
        spool: Spool,
        note: &str,
    ) -> Result<(), Failure> {
        let Spool {
            mut file,
            path,
            bytes,
        } = spool;
        let unread = |error: std::io::Error| cannot_write(&path, &error);
        file.seek(SeekFrom::Start(0)).map_err(unread)?;
        let name = self.name(name);
        self.begin_entry(&name, bytes)?;
        let mut piece = vec![0; PIECE];
        let mut left = bytes;
        while left > 0 {
            let room = usize::try_from(left).unwrap_or(usize::MAX).min(PIECE);
            let room = piece.get_mut(..room).unwrap_or_default();
            file.read_exact(room).map_err(unread)?;
            self.write(room)?;
            left = left.saturating_sub(u64::try_from(room.len()).unwrap_or(u64::MAX));
            tokio::task::yield_now().await;
        }
        self.end_entry(bytes)?;
        self.note(name, Some(bytes), note);
        Ok(())
    }

    /// Adds a text.
    pub(super) fn add_text(&mut self, name: &str, text: &str) -> Result<(), Failure> {
        let bytes = u64::try_from(text.len()).unwrap_or(u64::MAX);
        self.begin_entry(name, bytes)?;
        self.write(text.as_bytes())?;
        self.end_entry(bytes)?;
        self.note(name.to_owned(), Some(bytes), "");
        Ok(())
    }

    /// Says that something is not there, and why.
    pub(super) fn leave_out(&mut self, name: &str, why: &str) {
        self.note(plain(name), None, why);
    }

    /// The name of a file as it may be told, and of no other in the archive.
    fn name(&self, name: &str) -> String {
        let told = plain(name);
        let is_taken = |name: &str| self.list.iter().any(|entry| entry.name == name);
        let mut free = told.clone();
        let mut others = 1_usize;
        while is_taken(&free) {
            others += 1;
            free = format!("{told}~{others}");
        }
        free
    }

    /// Adds the list and gives the file its name. Answers how large it is.
    pub(super) fn complete(mut self, about: &str) -> Result<u64, Failure> {
        let text = format!("{}\n\n{}", redacted(about), self.list());
        self.add_text(LIST, &text)?;
        let file = self.file.clone();
        let failed = |error: std::io::Error| cannot_write(&file, &error);
        let gzip = self.tar.into_inner().map_err(failed)?;
        let part = gzip.finish().map_err(failed)?;
        part.complete(&file)?;
        let metadata = fs::metadata(&file).map_err(failed)?;
        Ok(metadata.len())
    }

    fn begin_entry(&mut self, name: &str, bytes: u64) -> Result<(), Failure> {
        let mut header = Header::new_gnu();
        header.set_entry_type(EntryType::Regular);
        header.set_mode(SECRET);
        header.set_size(bytes);
        header.set_mtime(u64::try_from(self.at.as_second()).unwrap_or_default());
        let path = format!("{}/{name}", self.root);
        let begun = self.tar.append_data(&mut header, path, empty());
        begun.map_err(|error| cannot_write(&self.file, &error))
    }

    fn write(&mut self, bytes: &[u8]) -> Result<(), Failure> {
        let written = self.tar.get_mut().write_all(bytes);
        written.map_err(|error| cannot_write(&self.file, &error))
    }

    /// Entries end with a whole block.
    fn end_entry(&mut self, bytes: u64) -> Result<(), Failure> {
        let rest = usize::try_from(bytes.next_multiple_of(BLOCK) - bytes).unwrap_or_default();
        self.write(&vec![0; rest])
    }

    fn note(&mut self, name: String, bytes: Option<u64>, note: &str) {
        self.list.push(Entry {
            name,
            bytes,
            note: redacted(note),
        });
    }

    fn list(&self) -> String {
        let line = |entry: &Entry| {
            let size = match entry.bytes {
                Some(bytes) => size::show(bytes),
                None => "not here".to_owned(),
            };
            let line = format!("{size:>12}  {}", entry.name);
            match entry.note.is_empty() {
                true => format!("{line}\n"),
                false => format!("{line}: {}\n", entry.note),
            }
        };
        self.list.iter().map(line).collect()
    }
}

/// The name of a file without secrets, name by name of its path.
fn plain(path: &str) -> String {
    let names = path.split('/').map(redacted);
    names.collect::<Vec<_>>().join("/")
}

fn redacted(text: &str) -> String {
    let mut redactor = Redactor::default();
    let lines = text.split('\n').map(|line| redactor.line(line));
    lines.collect::<Vec<_>>().join("\n")
}
