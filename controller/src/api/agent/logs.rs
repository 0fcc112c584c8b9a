//! Logs on their way from an agent: the id first, then pieces, each passed on when the operator
//! has taken the ones before it.
//!
//! The answer has no messages. It stays open while somebody reads, and its end tells the agent to
//! stop; that it begins before the pieces end also keeps it out of the face's limit for calls.

use std::pin::Pin;
use std::time::Duration;

use extend_common::logs::LogPiece;
use extend_proto::v1;
use extend_proto::v1::log_piece::Kind;
use futures_util::stream;
use tokio::sync::{mpsc, oneshot};
use tokio::time::{Instant, sleep_until, timeout};
use tokio_stream::Stream;
use tonic::{Status, Streaming};
use ulid::Ulid;

use super::session::LONGEST;
use super::{AgentSettings, stopping};
use crate::api::connection::AgentPeer;
use crate::api::status;
use crate::logs::Passed;

/// The id has been known before the call was made.
const ID_TIMEOUT: Duration = Duration::from_secs(5);

/// What the agent hears: the end.
pub type LogsTaken = Pin<Box<dyn Stream<Item = Result<v1::SendLogsResponse, Status>> + Send>>;

/// Takes the call of an agent, if somebody waits for it.
pub(super) async fn receive(
    settings: &AgentSettings,
    peer: AgentPeer,
    mut inbound: Streaming<v1::LogPiece>,
) -> Result<LogsTaken, Status> {
    let first = timeout(ID_TIMEOUT, inbound.message()).await;
    let first =
        first.map_err(|_| Status::deadline_exceeded("there was no id within 5 seconds"))??;
    let Some(Kind::Id(id)) = first.and_then(|first| first.kind) else {
        return Err(Status::invalid_argument("the first message must be the id"));
    };
    let id = Ulid::from_string(&id).map_err(|_| Status::invalid_argument("that is no id"))?;
    let node = peer.node;
    let Some(pieces) = settings.logs.claim(id, node) else {
        // The reader may have gone meanwhile; or somebody tries ids.
        tracing::info!(%node, %id, "logs that nobody waits for");
        return Err(Status::not_found("nobody waits for these logs"));
    };
    let passing = Passing {
        expiry: Instant::now() + settings.clock.until(peer.leaf_not_after).min(LONGEST),
        settings: settings.clone(),
        inbound,
        pieces,
    };
    let (ended, end) = oneshot::channel();
    tokio::spawn(async move {
        let verdict = passing.run().await;
        if let Err(status) = &verdict {
            tracing::info!(%node, reason = status.message(), "logs broken off");
        }
        // An agent that has gone is not told.
        let _ = ended.send(verdict);
    });
    Ok(Box::pin(stream::unfold(Some(end), |end| async move {
        match end?.await {
            Ok(Ok(())) | Err(_) => None,
            Ok(Err(status)) => Some((Err(status), None)),
        }
    })))
}

struct Passing {
    settings: AgentSettings,
    inbound: Streaming<v1::LogPiece>,
    pieces: mpsc::Sender<Passed>,
    /// When the certificate ends by which the node was known.
    expiry: Instant,
}

impl Passing {
    async fn run(mut self) -> Result<(), Status> {
        let shutdown = self.settings.shutdown.clone();
        let expiry = self.expiry;
        tokio::select! {
            ended = self.pass() => ended,
            () = shutdown.cancelled() => Err(stopping()),
            () = sleep_until(expiry) => {
                Err(Status::unauthenticated("the certificate has expired"))
            }
        }
    }

    /// Passes everything on; ends well when all was sent, and when nobody reads any more.
    async fn pass(&mut self) -> Result<(), Status> {
        loop {
            let message = tokio::select! {
                biased;
                () = self.pieces.closed() => return Ok(()),
                message = self.inbound.message() => message?,
            };
            let passed = match message {
                Some(piece) => {
                    let piece = LogPiece::try_from(piece);
                    Passed::Piece(piece.map_err(|error| status::from_wire(&error))?)
                }
                None => Passed::End,
            };
            let is_end = passed == Passed::End;
            if self.pieces.send(passed).await.is_err() || is_end {
                return Ok(());
            }
        }
    }
}
