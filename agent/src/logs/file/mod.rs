//! A log file, read and followed across rotation.
//!
//! Two looks a second: is there more, has the file become shorter, does another one bear the
//! name. A file that was renamed is read to its end before the new one is begun. A file that was
//! cut and has grown past where it was between two looks cannot be told from one that was not.
//! All that waits for the disk happens on blocking threads.

mod directory;
mod tail;
#[cfg(test)]
mod tests;

use std::fs::File;
use std::io;
use std::os::unix::fs::{FileExt, MetadataExt};
use std::sync::Arc;
use std::time::Duration;

use extend_common::logs::{
    FilePosition, LogFault, LogFaultKind, LogNote, LogPath, LogPosition, LogQuery,
};

use directory::Trouble;
pub(crate) use directory::{Kept, LogDirectory};

use super::out::{Out, Stop};

/// How often is looked for more.
const LOOK: Duration = Duration::from_millis(500);
/// Read at once: some pieces, so that a thread is not asked for each.
const BLOCK: usize = 64 * 1024;

/// Sends the list of the files there are.
pub(super) async fn list(directory: LogDirectory, out: &Out) -> Result<(), Stop> {
    let (files, cut) = blocking(move || directory.list()).await?.map_err(fault)?;
    out.files(&files, cut).await
}

/// Reads a file.
pub(super) async fn read(
    directory: LogDirectory,
    path: LogPath,
    query: &LogQuery,
    out: &Out,
) -> Result<(), Stop> {
    let named = Named {
        directory: Arc::new(directory),
        path,
    };
    let mut follower = Follower {
        named,
        reading: None,
        told: None,
    };
    match follower.named.open().await? {
        Ok(file) => follower.begin(file, query, out).await?,
        Err(Trouble::NoFile) if query.follow => follower.tell(LogNote::FileAwaited, out).await?,
        Err(trouble) => return Err(fault(trouble).into()),
    }
    if !query.follow {
        return follower.read_to_end(out).await;
    }
    loop {
        follower.read_to_end(out).await?;
        if !follower.look(out).await? {
            tokio::time::sleep(LOOK).await;
        }
    }
}

/// A file by its name.
struct Named {
    directory: Arc<LogDirectory>,
    path: LogPath,
}

impl Named {
    async fn open(&self) -> Result<Result<File, Trouble>, Stop> {
        let (directory, path) = (Arc::clone(&self.directory), self.path.clone());
        blocking(move || directory.open(&path)).await
    }
}

/// Reads a file from its first byte to where its end is now.
pub(super) async fn read_whole(
    directory: LogDirectory,
    path: LogPath,
    out: &Out,
) -> Result<(), Stop> {
    let named = Named {
        directory: Arc::new(directory),
        path,
    };
    let file = named.open().await?.map_err(fault)?;
    let begun = blocking(move || {
        let mut reading = Reading::new(file, 0)?;
        reading.end = Some(reading.file.metadata()?.len());
        Ok(reading)
    });
    let reading = begun.await?.map_err(unreadable)?;
    let mut follower = Follower {
        named,
        reading: Some(reading),
        told: None,
    };
    follower.read_to_end(out).await
}

/// An open file, and how far it was read.
#[derive(Clone)]
struct Reading {
    file: Arc<File>,
    place: FilePosition,
    /// Where to stop; none while it is followed.
    end: Option<u64>,
}

impl Reading {
    fn new(file: File, offset: u64) -> io::Result<Self> {
        let metadata = file.metadata()?;
        Ok(Self {
            file: Arc::new(file),
            place: FilePosition {
                device: metadata.dev(),
                inode: metadata.ino(),
                offset,
            },
            end: None,
        })
    }

    /// Begins where a query wants it, and says whether something is missing before that.
    fn begin(file: File, query: &LogQuery) -> io::Result<(Self, bool)> {
        let mut reading = Self::new(file, 0)?;
        let length = reading.file.metadata()?.len();
        reading.end = (!query.follow).then_some(length);
        let mut gap = false;
        reading.place.offset = match query.after {
            Some(LogPosition::File(after)) => {
                let same = (after.device, after.inode)
                    == (reading.place.device, reading.place.inode)
                    && after.offset <= length;
                gap = !same;
                if same { after.offset } else { 0 }
            }
            _ => tail::offset(&reading.file, length, query.tail)?,
        };
        Ok((reading, gap))
    }

    fn is_same(&self, other: &Self) -> bool {
        (self.place.device, self.place.inode) == (other.place.device, other.place.inode)
    }

    fn next(&self) -> io::Result<Vec<u8>> {
        let left = self
            .end
            .map_or(u64::MAX, |end| end.saturating_sub(self.place.offset));
        let block = usize::try_from(left).unwrap_or(usize::MAX).min(BLOCK);
        let mut bytes = vec![0; block];
        let read = loop {
            match self.file.read_at(&mut bytes, self.place.offset) {
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                other => break other?,
            }
        };
        bytes.truncate(read);
        Ok(bytes)
    }
}

/// Follows a name.
struct Follower {
    named: Named,
    reading: Option<Reading>,
    /// What the reader was told last, so that it is told once.
    told: Option<LogNote>,
}

impl Follower {
    async fn tell(&mut self, note: LogNote, out: &Out) -> Result<(), Stop> {
        if self.told.replace(note) == Some(note) {
            return Ok(());
        }
        out.note(note).await
    }

    async fn begin(&mut self, file: File, query: &LogQuery, out: &Out) -> Result<(), Stop> {
        let query = query.clone();
        let begun = blocking(move || Reading::begin(file, &query)).await?;
        let (reading, gap) = begun.map_err(unreadable)?;
        self.reading = Some(reading);
        if gap {
            self.tell(LogNote::Gap, out).await?;
        }
        Ok(())
    }

    async fn read_to_end(&mut self, out: &Out) -> Result<(), Stop> {
        let Some(reading) = &mut self.reading else {
            return Ok(());
        };
        loop {
            let at = reading.clone();
            let bytes = blocking(move || at.next()).await?.map_err(unreadable)?;
            if bytes.is_empty() {
                return Ok(());
            }
            let before = reading.place;
            let place = |taken: usize| FilePosition {
                offset: before
                    .offset
                    .saturating_add(taken.try_into().unwrap_or(u64::MAX)),
                ..before
            };
            out.data(&bytes, |taken| Some(LogPosition::File(place(taken))))
                .await?;
            reading.place = place(bytes.len());
            self.told = None;
        }
    }

    /// Looks whether the name means something else by now, or the file was cut. Says whether
    /// there is something to read at once.
    async fn look(&mut self, out: &Out) -> Result<bool, Stop> {
        if let Some(reading) = &mut self.reading {
            let file = Arc::clone(&reading.file);
            let length = blocking(move || file.metadata().map(|metadata| metadata.len()));
            if length.await?.map_err(unreadable)? < reading.place.offset {
                reading.place.offset = 0;
                self.tell(LogNote::FileTruncated, out).await?;
                return Ok(true);
            }
        }
        let named = match self.named.open().await? {
            Ok(file) => Reading::new(file, 0).map_err(unreadable)?,
            // Removed, or something else was put in its place: a file may come back.
            Err(_) => {
                self.tell(LogNote::FileAwaited, out).await?;
                return Ok(false);
            }
        };
        match &self.reading {
            Some(reading) if reading.is_same(&named) => return Ok(false),
            Some(_) => {
                // What was written to the old one before it got its new name.
                self.read_to_end(out).await?;
                self.tell(LogNote::FileReplaced, out).await?;
            }
            None => {}
        }
        self.reading = Some(named);
        Ok(true)
    }
}

fn fault(trouble: Trouble) -> LogFault {
    match trouble {
        Trouble::NoFile => LogFaultKind::NoFile.into(),
        Trouble::NotAFile => LogFaultKind::NotAFile.into(),
        Trouble::NoDirectory(words) => LogFault::new(LogFaultKind::NoDirectory, words),
        Trouble::Io(words) => LogFault::new(LogFaultKind::Unreadable, words),
    }
}

fn unreadable(error: io::Error) -> LogFault {
    LogFault::new(LogFaultKind::Unreadable, error.to_string())
}

/// Runs what waits for the disk where that holds up nobody.
async fn blocking<T: Send + 'static>(work: impl FnOnce() -> T + Send + 'static) -> Result<T, Stop> {
    // It is cancelled only with the whole agent.
    tokio::task::spawn_blocking(work)
        .await
        .map_err(|_| Stop::Gone)
}
