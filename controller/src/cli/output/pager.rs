//! Stdout for what has no end: written by a thread of its own, since a reader that pauses (`less`,
//! Ctrl-S) must not keep the connection to the controller from showing that it lives.
//!
//! What is said about the data goes the same way, so that it comes in its place. Whoever puts
//! something waits for as long as nobody reads.

use std::io::{self, Write};
use std::thread;

use tokio::sync::{mpsc, oneshot};

use super::Output;
use super::visible::Visible;
use crate::cli::failure::Failure;

/// Pieces that wait to be written.
const QUEUED: usize = 4;

enum Item {
    Data(Vec<u8>),
    Say(String),
}

/// The way to the thread.
#[derive(Debug)]
pub(crate) struct Pager {
    items: mpsc::Sender<Item>,
    ended: oneshot::Receiver<io::Result<()>>,
}

/// The thread has ended: nobody reads any more, or the disk is full.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Closed;

impl Pager {
    /// Begins to write; with `visible`, to a terminal.
    pub(crate) fn start(output: Output, visible: Option<Visible>) -> Result<Self, Failure> {
        let (items, queue) = mpsc::channel(QUEUED);
        let (end, ended) = oneshot::channel();
        // Not one of the runtime's threads: the process need not wait for it at its end.
        thread::Builder::new()
            .name("stdout".to_owned())
            .spawn(move || {
                let written = write(queue, output, visible);
                // Whoever pressed Ctrl-C has gone.
                let _ = end.send(written);
            })
            .map_err(|error| Failure::local("cannot write to standard output", &error))?;
        Ok(Self { items, ended })
    }

    pub(crate) async fn data(&self, bytes: Vec<u8>) -> Result<(), Closed> {
        self.items.send(Item::Data(bytes)).await.map_err(|_| Closed)
    }

    pub(crate) async fn say(&self, text: String) -> Result<(), Closed> {
        self.items.send(Item::Say(text)).await.map_err(|_| Closed)
    }

    /// Waits until everything is written. A reader who has had enough is no failure.
    pub(crate) async fn finish(self) -> Result<(), Failure> {
        drop(self.items);
        match self.ended.await {
            Ok(Err(error)) if error.kind() != io::ErrorKind::BrokenPipe => {
                Err(Failure::local("cannot write to standard output", &error))
            }
            _ => Ok(()),
        }
    }
}

fn write(
    mut items: mpsc::Receiver<Item>,
    output: Output,
    mut visible: Option<Visible>,
) -> io::Result<()> {
    let mut stdout = io::stdout();
    let mut within_line = false;
    while let Some(item) = items.blocking_recv() {
        match (item, &mut visible) {
            (Item::Say(text), _) => {
                // What was written is not the beginning of what is said.
                if std::mem::take(&mut within_line) {
                    writeln!(stdout)?;
                    stdout.flush()?;
                }
                output.say(&text);
            }
            (Item::Data(bytes), None) => stdout.write_all(&bytes)?,
            (Item::Data(bytes), Some(visible)) => {
                let shown = visible.show(&bytes);
                within_line = !shown.ends_with('\n');
                stdout.write_all(shown.as_bytes())?;
            }
        }
        stdout.flush()?;
    }
    if let Some(visible) = &mut visible {
        let newline = if within_line { "\n" } else { "" };
        write!(stdout, "{}{newline}", visible.end())?;
    }
    stdout.flush()
}
