//! Where a source puts its pieces. Putting waits for as long as nobody takes them: that is how a
//! slow reader slows the reading down.

use extend_common::logs::{
    LogFault, LogFileEntry, LogNote, LogPiece, LogPosition, MAX_PIECE_BYTES,
};
use extend_common::wire::MAX_LISTED;
use tokio::sync::mpsc;

/// Pieces between the source and the connection, which has a window of its own.
pub(super) const QUEUED: usize = 2;

/// Why a source stops before its end.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Stop {
    /// Nobody reads any more.
    Gone,
    /// There is no more, and why.
    Fault(LogFault),
}

impl From<LogFault> for Stop {
    fn from(fault: LogFault) -> Self {
        Self::Fault(fault)
    }
}

/// The way out.
#[derive(Debug)]
pub(super) struct Out(pub(super) mpsc::Sender<LogPiece>);

impl Out {
    async fn put(&self, piece: LogPiece) -> Result<(), Stop> {
        self.0.send(piece).await.map_err(|_| Stop::Gone)
    }

    /// What the server wrote, cut into pieces; `position` says where a piece ends that ends
    /// `taken` bytes into it.
    pub(super) async fn data(
        &self,
        bytes: &[u8],
        position: impl Fn(usize) -> Option<LogPosition>,
    ) -> Result<(), Stop> {
        let mut taken = 0;
        for piece in bytes.chunks(MAX_PIECE_BYTES) {
            taken += piece.len();
            self.put(LogPiece::Data {
                bytes: piece.to_vec(),
                position: position(taken),
            })
            .await?;
        }
        Ok(())
    }

    pub(super) async fn note(&self, note: LogNote) -> Result<(), Stop> {
        self.put(LogPiece::Note(note)).await
    }

    /// A whole list, in as many pieces as it needs.
    pub(super) async fn files(&self, files: &[LogFileEntry], cut: bool) -> Result<(), Stop> {
        let parts = files.len().div_ceil(MAX_LISTED).max(1);
        for part in 0..parts {
            let files = files.iter().skip(part * MAX_LISTED).take(MAX_LISTED);
            self.put(LogPiece::Files {
                files: files.cloned().collect(),
                cut: cut && part + 1 == parts,
            })
            .await?;
        }
        Ok(())
    }

    pub(super) async fn fault(&self, fault: LogFault) -> Result<(), Stop> {
        self.put(LogPiece::Fault(fault)).await
    }
}
