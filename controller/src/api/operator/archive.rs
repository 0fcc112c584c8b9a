//! A backup on its way to the operator, in pieces.
//!
//! The archive is made while it is read: a reader that is slow slows it down, one that goes away
//! ends it. The snapshot lies in a private directory that goes with the last piece.

use std::io::{self, Write};

use extend_proto::v1;
use tokio::sync::{OwnedSemaphorePermit, mpsc};
use tokio_stream::wrappers::ReceiverStream;
use tonic::Status;

use super::OperatorSettings;
use crate::backup::{self, BackupError, Facts, WorkDir};
use crate::engine::EngineHandle;

/// The size of a piece: well below the bound of a message, well above its overhead.
const PIECE_BYTES: usize = 64 * 1024;
/// Pieces that wait for their reader.
const QUEUED: usize = 4;

/// The stream of pieces.
pub(super) type Chunks = ReceiverStream<Result<v1::BackupChunk, Status>>;

/// Takes a snapshot and starts to archive it.
pub(super) async fn begin(
    engine: &EngineHandle,
    settings: &OperatorSettings,
    place: OwnedSemaphorePermit,
) -> Result<Chunks, Status> {
    let state_dir = settings.state_dir.clone();
    let time = settings.clock.now();
    let made = tokio::task::spawn_blocking({
        let state_dir = state_dir.clone();
        move || WorkDir::for_backup(&state_dir)
    });
    let work = made
        .await
        .map_err(|error| failed(&error))?
        .map_err(|error| failed(&error))?;
    engine
        .snapshot(&work.store())
        .await
        .map_err(|error| failed(&error))?;
    let facts = Facts {
        store: engine.store_id().to_string(),
        time,
    };

    let (sender, pieces) = mpsc::channel(QUEUED);
    tokio::task::spawn_blocking(move || {
        let mut out = Pieces {
            piece: Vec::with_capacity(PIECE_BYTES),
            sender,
        };
        match backup::write(&state_dir, &work, facts, &mut out) {
            Ok(()) => tracing::info!("backup taken"),
            // The reader has gone: there is nobody to tell.
            Err(BackupError::Write(error)) => tracing::warn!(%error, "backup given up"),
            Err(error) => {
                let _ = out.sender.blocking_send(Err(failed(&error)));
            }
        }
        drop(place);
    });
    Ok(ReceiverStream::new(pieces))
}

fn failed(error: &dyn std::error::Error) -> Status {
    let causes = std::iter::successors(error.source(), |error| error.source());
    let text = causes.fold(error.to_string(), |text, cause| format!("{text}: {cause}"));
    tracing::error!(error = text, "backup failed");
    Status::internal(format!("cannot take a backup: {text}"))
}

/// Collects what is written into pieces. Writing blocks for as long as the reader is slow.
struct Pieces {
    piece: Vec<u8>,
    sender: mpsc::Sender<Result<v1::BackupChunk, Status>>,
}

impl Pieces {
    fn send(&mut self) -> io::Result<()> {
        let data = std::mem::replace(&mut self.piece, Vec::with_capacity(PIECE_BYTES));
        self.sender
            .blocking_send(Ok(v1::BackupChunk { data }))
            .map_err(|_| io::Error::new(io::ErrorKind::BrokenPipe, "its reader has gone"))
    }
}

impl Write for Pieces {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let taken = bytes.len().min(PIECE_BYTES - self.piece.len());
        self.piece
            .extend_from_slice(bytes.get(..taken).unwrap_or_default());
        if self.piece.len() == PIECE_BYTES {
            self.send()?;
        }
        Ok(taken)
    }

    fn flush(&mut self) -> io::Result<()> {
        if self.piece.is_empty() {
            Ok(())
        } else {
            self.send()
        }
    }
}
