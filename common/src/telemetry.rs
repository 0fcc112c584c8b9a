//! Logging of the daemons. Under systemd each event goes to the journal with its fields, so that
//! `journalctl EXTEND_SERVER=media-server-1` finds what concerns a server; elsewhere it is a line
//! on stderr.

mod journal;

use std::fs;
use std::io::{IsTerminal as _, stderr};
use std::os::fd::AsFd as _;
use std::os::unix::fs::MetadataExt as _;

use tracing_subscriber::layer::SubscriberExt as _;
use tracing_subscriber::util::SubscriberInitExt as _;
use tracing_subscriber::{EnvFilter, fmt, registry};

pub use journal::of_node;

/// systemd's word for where standard output or standard error go: device and inode.
const STREAM: &str = "JOURNAL_STREAM";

/// Starts logging at `info`, or as the variable `EXTEND_LOG` says. Colours only on a terminal,
/// and not where `NO_COLOR` is set.
pub fn start() {
    let filter = EnvFilter::try_from_env("EXTEND_LOG").unwrap_or_else(|_| EnvFilter::new("info"));
    let journal = is_journals().then(journal::Journal::open).flatten();
    // Never both: stderr goes to the journal too, and every line would stand there twice.
    let lines = journal.is_none().then(|| {
        let colour = stderr().is_terminal() && std::env::var_os("NO_COLOR").is_none();
        fmt::layer()
            .with_writer(stderr)
            .with_ansi(colour)
            .with_target(false)
    });
    // A second start (tests in one process) keeps the first subscriber.
    let started = registry().with(filter).with(journal).with(lines).try_init();
    drop(started);
}

/// Whether stderr is what systemd gave us: a program that was started by a service has its
/// variable, and perhaps another stderr.
fn is_journals() -> bool {
    let Some(named) = std::env::var_os(STREAM) else {
        return false;
    };
    let own = stderr().as_fd().try_clone_to_owned().map(fs::File::from);
    let own = own.and_then(|file| file.metadata());
    own.is_ok_and(|own| named.to_str() == Some(format!("{}:{}", own.dev(), own.ino()).as_str()))
}
