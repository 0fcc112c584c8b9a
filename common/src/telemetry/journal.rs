//! Events for journald, in its own protocol: a datagram of fields for each.
//!
//! Every field of an event is a field there, with `EXTEND_` in front; `node`, `server` and
//! `operation` are the ones that people look for. `MESSAGE` is what stderr would show, fields
//! included: most people read nothing else. (The crate tracing-journald leaves them out of it.)

use std::fmt::{self, Write as _};
use std::io::ErrorKind;
use std::os::unix::net::UnixDatagram;
use std::path::{Path, PathBuf};
use std::sync::{PoisonError, RwLock};

use tracing::field::{Field, Visit};
use tracing::{Event, Level, Subscriber};
use tracing_subscriber::Layer;
use tracing_subscriber::layer::Context;

const SOCKET: &str = "/run/systemd/journal/socket";
/// A datagram has to fit into the kernel's buffers (some 200 KiB), whatever an event says.
const MAX_MESSAGE: usize = 16 * 1024;
/// Of one field; with [`MAX_FIELDS`] they stay within the same bound.
const MAX_VALUE: usize = 2 * 1024;
const MAX_FIELDS: usize = 24;

/// The node that this process is on, once it is known.
static NODE: RwLock<String> = RwLock::new(String::new());

/// From now on every event concerns this node, unless it says otherwise itself.
pub fn of_node(node: &str) {
    node.clone_into(&mut NODE.write().unwrap_or_else(PoisonError::into_inner));
}

/// The way to journald.
#[derive(Debug)]
pub(super) struct Journal {
    socket: UnixDatagram,
    to: PathBuf,
    identifier: String,
}

impl Journal {
    /// None when journald is not there.
    pub(super) fn open() -> Option<Self> {
        Self::to(Path::new(SOCKET))
    }

    fn to(path: &Path) -> Option<Self> {
        let socket = UnixDatagram::unbound().ok()?;
        socket.set_nonblocking(true).ok()?;
        // Said now, so that the other way is taken when this one leads nowhere.
        socket.send_to(&[], path).ok()?;
        let program = std::env::args_os().next().map(PathBuf::from);
        let name = program.as_ref().and_then(|path| path.file_name()?.to_str());
        Some(Self {
            socket,
            to: path.to_owned(),
            identifier: name.unwrap_or("extend").to_owned(),
        })
    }
}

impl<S: Subscriber> Layer<S> for Journal {
    fn on_event(&self, event: &Event<'_>, _: Context<'_, S>) {
        let entry = entry(event, &self.identifier);
        if let Err(error) = self.socket.send_to(&entry.datagram(), &self.to) {
            if error.kind() == ErrorKind::WouldBlock {
                // A journald that hangs must not hold up whoever logs: what it does not take is
                // lost, and stderr would wait for the same journald.
                return;
            }
            // stderr leads to the journal by another way, which waits for a journald that restarts.
            eprint_lossy(format_args!("{} (unsent: {error})", entry.message));
        }
    }
}

#[expect(clippy::print_stderr, reason = "the way that is left")]
fn eprint_lossy(words: fmt::Arguments<'_>) {
    eprintln!("{words}");
}

/// An event as journald will have it.
struct Entry {
    message: String,
    fields: Vec<(String, String)>,
}

impl Entry {
    fn add(&mut self, name: impl Into<String>, value: impl Into<String>) {
        self.fields.push((name.into(), value.into()));
    }

    /// `NAME=value` lines; a value of several lines is preceded by its length instead.
    fn datagram(&self) -> Vec<u8> {
        let mut bytes = Vec::with_capacity(self.message.len() + 512);
        let message = ("MESSAGE", self.message.as_str());
        let fields = self
            .fields
            .iter()
            .map(|(name, value)| (name.as_str(), value.as_str()));
        for (name, value) in [message].into_iter().chain(fields) {
            bytes.extend(name.as_bytes());
            if value.contains('\n') {
                bytes.push(b'\n');
                bytes.extend((value.len() as u64).to_le_bytes());
            } else {
                bytes.push(b'=');
            }
            bytes.extend(value.as_bytes());
            bytes.push(b'\n');
        }
        bytes
    }
}

fn entry(event: &Event<'_>, identifier: &str) -> Entry {
    let mut entry = Entry {
        message: String::new(),
        fields: Vec::new(),
    };
    let mut said = Said::default();
    event.record(&mut said);
    for (name, value) in said.fields {
        entry.add(format!("EXTEND_{}", name.to_ascii_uppercase()), value);
    }
    entry.message = shortened(said.message + &said.behind, MAX_MESSAGE);
    if !entry.fields.iter().any(|(name, _)| name == "EXTEND_NODE") {
        let node = NODE.read().unwrap_or_else(PoisonError::into_inner);
        if !node.is_empty() {
            entry.add("EXTEND_NODE", node.as_str());
        }
    }
    let metadata = event.metadata();
    entry.add("PRIORITY", priority(*metadata.level()));
    entry.add("SYSLOG_IDENTIFIER", identifier);
    entry.add("CODE_MODULE", metadata.target());
    if let (Some(file), Some(line)) = (metadata.file(), metadata.line()) {
        entry.add("CODE_FILE", file);
        entry.add("CODE_LINE", line.to_string());
    }
    entry
}

/// syslog's levels.
fn priority(level: Level) -> &'static str {
    match level {
        Level::ERROR => "3",
        Level::WARN => "4",
        Level::INFO => "6",
        _ => "7",
    }
}

/// What an event says.
#[derive(Default)]
struct Said {
    message: String,
    /// The fields as they stand behind the message.
    behind: String,
    fields: Vec<(String, String)>,
}

impl Said {
    fn note(&mut self, field: &Field, value: String, shown: &dyn fmt::Debug) {
        if field.name() == "message" {
            self.message = value;
            return;
        }
        // Writing to a text cannot fail.
        let _ = write!(self.behind, " {}={shown:?}", field.name());
        let is_name = |c: char| c.is_ascii_alphanumeric() || c == '_';
        let is_useful = !value.is_empty() && field.name().chars().all(is_name);
        if is_useful && self.fields.len() < MAX_FIELDS {
            let value = shortened(value, MAX_VALUE);
            self.fields.push((field.name().to_owned(), value));
        }
    }
}

impl Visit for Said {
    fn record_str(&mut self, field: &Field, value: &str) {
        self.note(field, value.to_owned(), &value);
    }

    fn record_debug(&mut self, field: &Field, value: &dyn fmt::Debug) {
        self.note(field, format!("{value:?}"), value);
    }
}

fn shortened(mut text: String, most: usize) -> String {
    if text.len() > most {
        let end = (0..=most).rev().find(|at| text.is_char_boundary(*at));
        text.truncate(end.unwrap_or(0));
        text.push('…');
    }
    text
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use tracing_subscriber::layer::SubscriberExt as _;

    use super::*;

    /// What a journald that reads as the protocol says would have.
    fn fields(datagram: &[u8]) -> BTreeMap<String, String> {
        let mut found = BTreeMap::new();
        let mut rest = datagram;
        while !rest.is_empty() {
            let end = rest.iter().position(|b| *b == b'\n').unwrap();
            let line = std::str::from_utf8(&rest[..end]).unwrap();
            rest = &rest[end + 1..];
            let (name, value) = match line.split_once('=') {
                Some((name, value)) => (name, value.to_owned()),
                None => {
                    let (length, after) = rest.split_at(8);
                    let length = u64::from_le_bytes(length.try_into().unwrap());
                    let (value, after) = after.split_at(usize::try_from(length).unwrap());
                    assert_eq!(after[0], b'\n');
                    rest = &after[1..];
                    (line, std::str::from_utf8(value).unwrap().to_owned())
                }
            };
            assert_eq!(found.insert(name.to_owned(), value), None, "{name} twice");
        }
        found
    }

    #[test]
    fn an_event_has_its_fields_for_machines_and_in_its_message_for_people() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("socket");
        let journald = UnixDatagram::bind(&path).unwrap();
        journald
            .set_read_timeout(Some(std::time::Duration::from_secs(10)))
            .unwrap();
        let journal = Journal::to(&path).unwrap();
        let subscriber = tracing_subscriber::registry().with(journal);
        let next = || {
            let mut buffer = vec![0; 64 * 1024];
            let length = journald.recv(&mut buffer).unwrap();
            fields(&buffer[..length])
        };
        assert!(next().is_empty(), "the greeting");
        tracing::subscriber::with_default(subscriber, || {
            let operation = Some(tracing::field::display("01J"));
            tracing::warn!(server = %"media-server-1", operation, error = "a\nb", "step refused");
            tracing::info!(node = %"172.31.16.139", huge = "x".repeat(100_000), "told");
            of_node("172.31.16.137");
            tracing::error!("of this node");
        });
        let first = next();
        let of = |entry: &BTreeMap<String, String>, name: &str| entry.get(name).cloned();
        assert_eq!(of(&first, "EXTEND_SERVER").unwrap(), "media-server-1");
        assert_eq!(of(&first, "EXTEND_OPERATION").unwrap(), "01J");
        assert_eq!(of(&first, "EXTEND_ERROR").unwrap(), "a\nb");
        assert_eq!(of(&first, "PRIORITY").unwrap(), "4");
        assert_eq!(
            of(&first, "MESSAGE").unwrap(),
            "step refused server=media-server-1 operation=01J error=\"a\\nb\""
        );
        assert_eq!(of(&first, "EXTEND_NODE"), None);
        let second = next();
        assert_eq!(of(&second, "EXTEND_NODE").unwrap(), "172.31.16.139");
        assert!(of(&second, "MESSAGE").unwrap().len() < MAX_MESSAGE + 8);
        let third = next();
        assert_eq!(of(&third, "EXTEND_NODE").unwrap(), "172.31.16.137");
        assert_eq!(of(&third, "MESSAGE").unwrap(), "of this node");
        assert!(Journal::to(&directory.path().join("missing")).is_none());
    }
}
