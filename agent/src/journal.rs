//! The journal: events that no controller has kept yet, in memory and in a file beside the
//! ledger, so that what happened while a node was away is told in order when it returns.
//!
//! Filled by the reconciler, emptied by sessions. Telling is never a reason to fail or to wait:
//! a journal that cannot be written goes on in memory. Each line has a checksum; a damaged file
//! is kept aside and said, and what of it can be read is told all the same.

use std::collections::VecDeque;
use std::fs::{File, OpenOptions};
use std::io::{self, Write as _};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use data_encoding::HEXLOWER;
use extend_common::event::{Event, JournalEntry, JournalPart};
use extend_common::files;
use extend_common::hash::sha256;
use extend_common::wire::MAX_EVENTS;
use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use tokio::sync::watch;

use crate::core::news::Mark;

const FILE: &str = "journal";
/// So many events wait for a controller; the oldest are dropped first. With their evidence they
/// are about a megabyte.
const MAX_WAITING: usize = 256;
/// Evidence of one event, in bytes of output: the end of it is what tells.
const MAX_EVIDENCE: usize = 4096;
/// A file that has grown beyond this is written anew with what still waits.
const MAX_APPENDED: u64 = 1024 * 1024;
/// A file that is larger is no journal.
const MAX_BYTES: u64 = 16 * 1024 * 1024;

/// From one start of the agent to the next the numbers of events leap so far.
const LEAP: u64 = 1 << 32;

/// The first line.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Head {
    /// The name of this journal.
    journal: String,
    /// The sequence that was given last before this file was written.
    last: u64,
    /// What had been told by then.
    mark: Mark,
}

/// Every other line.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Line {
    entry: Option<JournalEntry>,
    mark: Mark,
}

#[derive(Debug)]
struct Content {
    journal: String,
    last: u64,
    mark: Mark,
    waiting: VecDeque<JournalEntry>,
    unwritten: Vec<Line>,
}

#[derive(Debug)]
struct Disk {
    path: PathBuf,
    file: Option<File>,
    bytes: u64,
    failed: bool,
}

/// A cheap handle on the journal.
#[derive(Debug, Clone)]
pub struct Journal {
    content: Arc<Mutex<Content>>,
    disk: Arc<Mutex<Disk>>,
    changed: Arc<watch::Sender<()>>,
}

impl Journal {
    /// Reads the journal of a state directory. Also says what was wrong with it.
    ///
    /// # Errors
    /// When there is one that cannot be read at all.
    pub fn open(directory: &Path, now: Timestamp) -> io::Result<(Self, Option<String>)> {
        let path = directory.join(FILE);
        let found = match std::fs::metadata(&path) {
            Ok(about) if about.len() <= MAX_BYTES => std::fs::read(&path)?,
            Ok(_) => Vec::from("too large"),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Vec::new(),
            Err(error) => return Err(error),
        };
        let (mut content, is_damaged) = read(&found);
        // What was told from memory may never have come to the disk: its numbers are not used
        // again.
        if !found.is_empty() {
            content.last = content.last.saturating_add(LEAP);
        }
        let mut damage = None;
        if is_damaged {
            let aside = directory.join(format!("{FILE}.damaged-{}", now.as_second()));
            std::fs::rename(&path, &aside)?;
            damage = Some(format!(
                "the journal was damaged: events may be missing; it is kept as {}",
                aside.display()
            ));
        }
        let journal = Self {
            content: Arc::new(Mutex::new(content)),
            disk: Arc::new(Mutex::new(Disk {
                path,
                file: None,
                bytes: 0,
                failed: false,
            })),
            changed: Arc::new(watch::Sender::new(())),
        };
        Ok((journal, damage))
    }

    /// What has been told so far.
    pub fn mark(&self) -> Mark {
        self.content().mark.clone()
    }

    /// Takes events in, with the mark that goes with them. Writing them is the caller's to begin:
    /// [`Self::flush`], on a thread that may block.
    pub fn note(&self, events: Vec<Event>, mark: Mark) {
        let mut content = self.content();
        if events.is_empty() && content.mark == mark {
            return;
        }
        content.mark = mark;
        if events.is_empty() {
            let mark = content.mark.clone();
            content.unwritten.push(Line { entry: None, mark });
        }
        for event in events {
            content.last += 1;
            let entry = JournalEntry {
                sequence: content.last,
                event: trimmed(event),
            };
            let mark = content.mark.clone();
            content.unwritten.push(Line {
                entry: Some(entry.clone()),
                mark,
            });
            content.waiting.push_back(entry);
        }
        let excess = content.waiting.len().saturating_sub(MAX_WAITING);
        content.waiting.drain(..excess);
        drop(content);
        self.changed.send_replace(());
    }

    /// Puts on disk what is not there yet. What cannot be written is tried again with the next
    /// event, and told from memory meanwhile.
    pub fn flush(&self) {
        let mut disk = self.disk.lock().unwrap_or_else(PoisonError::into_inner);
        let (head, whole, lines) = {
            let mut content = self.content();
            let lines = std::mem::take(&mut content.unwritten);
            if lines.is_empty() && !disk.failed {
                return;
            }
            let whole = Line::all(&content);
            (content.head(), whole, lines)
        };
        let anew = disk.file.is_none() || disk.failed || disk.bytes > MAX_APPENDED;
        let result = if anew {
            disk.rewrite(&head, &whole)
        } else {
            disk.append(&lines)
        };
        if let Err(error) = &result
            && !disk.failed
        {
            tracing::warn!(%error, "the journal cannot be written; events are told from memory");
        }
        disk.failed = result.is_err();
    }

    /// Told whenever there may be something new to send.
    pub fn changed(&self) -> watch::Receiver<()> {
        self.changed.subscribe()
    }

    /// The first events that no controller has kept; none when there are none.
    pub fn part(&self) -> Option<JournalPart> {
        let content = self.content();
        let entries: Vec<_> = content.waiting.iter().take(MAX_EVENTS).cloned().collect();
        (!entries.is_empty()).then(|| JournalPart {
            journal: content.journal.clone(),
            entries,
        })
    }

    /// A controller has kept the events up to this one.
    pub fn kept(&self, journal: &str, sequence: u64) {
        let mut content = self.content();
        if content.journal == journal {
            content.waiting.retain(|entry| entry.sequence > sequence);
        }
    }

    fn content(&self) -> MutexGuard<'_, Content> {
        self.content.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Content {
    fn new() -> Self {
        Self {
            journal: new_name(),
            last: 0,
            mark: Mark::default(),
            waiting: VecDeque::new(),
            unwritten: Vec::new(),
        }
    }

    fn head(&self) -> Head {
        Head {
            journal: self.journal.clone(),
            last: self.last,
            mark: self.mark.clone(),
        }
    }
}

impl Line {
    /// The lines of a file that is written anew.
    fn all(content: &Content) -> Vec<Self> {
        let line = |entry: &JournalEntry| Self {
            entry: Some(entry.clone()),
            mark: content.mark.clone(),
        };
        content.waiting.iter().map(line).collect()
    }
}

impl Disk {
    fn rewrite(&mut self, head: &Head, lines: &[Line]) -> io::Result<()> {
        let mut text = encode(head)?;
        for line in lines {
            text.push_str(&encode(line)?);
        }
        self.file = None;
        files::write_atomic(&self.path, text.as_bytes(), 0o600).map_err(io::Error::other)?;
        let file = OpenOptions::new()
            .append(true)
            .mode(0o600)
            .open(&self.path)?;
        self.bytes = text.len() as u64;
        self.file = Some(file);
        Ok(())
    }

    fn append(&mut self, lines: &[Line]) -> io::Result<()> {
        let mut text = String::new();
        for line in lines {
            text.push_str(&encode(line)?);
        }
        let Some(file) = &mut self.file else {
            return Ok(());
        };
        file.write_all(text.as_bytes())?;
        file.sync_data()?;
        self.bytes += text.len() as u64;
        Ok(())
    }
}

/// 64 random bits: another name after every loss, so that a controller does not take new events
/// for known ones.
fn new_name() -> String {
    use ring::rand::SecureRandom as _;
    let mut bytes = [0_u8; 8];
    // Without randomness the time tells journals apart well enough.
    if ring::rand::SystemRandom::new().fill(&mut bytes).is_err() {
        bytes = Timestamp::now().as_microsecond().to_le_bytes();
    }
    HEXLOWER.encode(&bytes)
}

/// The last lines of the output that fit.
fn trimmed(mut event: Event) -> Event {
    if let Some(evidence) = &mut event.evidence {
        let mut left = MAX_EVIDENCE;
        let fits = evidence.log_tail.iter().rev().take_while(|line| {
            let fits = line.len() <= left;
            left = left.saturating_sub(line.len());
            fits
        });
        let keep = fits.count();
        let drop = evidence.log_tail.len() - keep;
        evidence.log_tail.drain(..drop);
    }
    event
}

fn checksum(text: &str) -> String {
    let hash = sha256(text.as_bytes());
    HEXLOWER.encode(hash.get(..8).unwrap_or_default())
}

fn encode(line: &impl Serialize) -> io::Result<String> {
    let text = serde_json::to_string(line).map_err(io::Error::other)?;
    Ok(format!("{} {text}\n", checksum(&text)))
}

fn decode<'a, T: Deserialize<'a>>(line: &'a str) -> Option<T> {
    let (sum, text) = line.split_once(' ')?;
    (checksum(text) == sum).then(|| serde_json::from_str(text).ok())?
}

/// Reads what can be read. A last line without its end is an append that was cut off, and no
/// damage.
fn read(bytes: &[u8]) -> (Content, bool) {
    if bytes.is_empty() {
        return (Content::new(), false);
    }
    let text = String::from_utf8_lossy(bytes);
    let whole = text
        .rfind('\n')
        .map_or("", |end| text.get(..end).unwrap_or_default());
    let mut lines = whole.lines();
    let Some(head) = lines.next().and_then(decode::<Head>) else {
        return (Content::new(), true);
    };
    let mut content = Content {
        journal: head.journal,
        last: head.last,
        mark: head.mark,
        ..Content::new()
    };
    let mut is_damaged = false;
    for line in lines {
        let Some(Line { entry, mark }) = decode(line) else {
            is_damaged = true;
            continue;
        };
        content.mark = mark;
        if let Some(entry) = entry {
            content.last = content.last.max(entry.sequence);
            content.waiting.push_back(entry);
        }
    }
    if is_damaged {
        // Sequences may be missing: under this name nothing new could be told apart from the old.
        content.journal = new_name();
    }
    let excess = content.waiting.len().saturating_sub(MAX_WAITING);
    content.waiting.drain(..excess);
    (content, is_damaged)
}

#[cfg(test)]
mod tests;
