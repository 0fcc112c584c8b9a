//! Where a session's requests for logs are taken: so many at once, each answered by a call of its
//! own on the session's connection.

use std::sync::Arc;
use std::time::Duration;

use extend_common::ids::RoleName;
use extend_common::logs::{LogFault, LogFaultKind, LogQuery};
use extend_common::wire::{MAX_MESSAGE_BYTES, WireError};
use extend_proto::v1;
use extend_proto::v1::agent_client::AgentClient;
use futures_util::StreamExt;
use tokio::sync::{Semaphore, mpsc};
use tokio::task::JoinSet;
use tokio_stream::wrappers::ReceiverStream;
use tonic::Status;
use tonic::transport::Channel;

use super::Sources;
use super::out::{Out, QUEUED, Stop};

/// Logs that are read at once.
const MAX_READ: usize = 4;
/// Requests that are known at once, the read ones included. More are not even answered: the
/// controller gives up waiting by itself.
const MAX_KNOWN: usize = 8;
/// One that ends makes room for the next within this time, or the next is refused.
const WAIT: Duration = Duration::from_secs(1);
/// The longest id that is sent back: a ULID has 26 characters.
const MAX_ID: usize = 64;

/// The requests of one session. Dropping it ends all that it began.
pub struct Desk {
    sources: Sources,
    channel: Channel,
    room: Arc<Semaphore>,
    calls: JoinSet<()>,
}

impl Desk {
    /// A desk on a session's connection.
    pub fn new(sources: Sources, channel: Channel) -> Self {
        Self {
            sources,
            channel,
            room: Arc::new(Semaphore::new(MAX_READ)),
            calls: JoinSet::new(),
        }
    }

    /// Takes a request; never waits.
    pub fn take(&mut self, wanted: v1::LogsWanted) {
        while self.calls.try_join_next().is_some() {}
        if self.calls.len() >= MAX_KNOWN || wanted.id.is_empty() || wanted.id.len() > MAX_ID {
            tracing::warn!(
                "a request for logs is not answered: there are too many, or it has no id"
            );
            return;
        }
        let (sources, channel) = (self.sources.clone(), self.channel.clone());
        let room = Arc::clone(&self.room);
        self.calls.spawn(async move {
            match call(sources, channel, wanted, room).await {
                Ok(()) => tracing::debug!("logs sent"),
                Err(status) => tracing::info!(reason = status.message(), "logs not sent"),
            }
        });
    }
}

/// Answers one request. The end of the controller's answer means that nobody reads any more.
async fn call(
    sources: Sources,
    channel: Channel,
    wanted: v1::LogsWanted,
    room: Arc<Semaphore>,
) -> Result<(), Status> {
    let (sender, pieces) = mpsc::channel(QUEUED);
    let first = v1::LogPiece {
        kind: Some(v1::log_piece::Kind::Id(wanted.id.clone())),
    };
    let first = tokio_stream::once(first);
    let outbound = first.chain(ReceiverStream::new(pieces).map(v1::LogPiece::from));
    let read = async {
        let out = Out(sender);
        if let Err(Stop::Fault(fault)) = read(&sources, wanted, &room, &out).await {
            // Whoever has gone does not need to know.
            let _ = out.fault(fault).await;
        }
    };
    let answered = async {
        let mut client = AgentClient::new(channel)
            .max_decoding_message_size(MAX_MESSAGE_BYTES)
            .max_encoding_message_size(MAX_MESSAGE_BYTES);
        let mut answer = client.send_logs(outbound).await?.into_inner();
        while answer.message().await?.is_some() {}
        Ok(())
    };
    tokio::pin!(answered);
    tokio::select! {
        ended = &mut answered => return ended,
        () = read => {}
    }
    // What is on its way goes as fast as it is taken.
    answered.await
}

async fn read(
    sources: &Sources,
    wanted: v1::LogsWanted,
    room: &Semaphore,
    out: &Out,
) -> Result<(), Stop> {
    let (role, query) = parse(wanted)
        .map_err(|error| LogFault::new(LogFaultKind::NotUnderstood, error.to_string()))?;
    let place = tokio::time::timeout(WAIT, room.acquire()).await;
    let Ok(Ok(_place)) = place else {
        return Err(LogFault::from(LogFaultKind::Busy).into());
    };
    tracing::info!(%role, source = ?query.source, follow = query.follow, "logs are read");
    sources.read(&role, query, out).await
}

fn parse(wanted: v1::LogsWanted) -> Result<(RoleName, LogQuery), WireError> {
    let role = wanted.role.parse();
    let role = role.map_err(|error| WireError::new("role", error))?;
    let query = wanted
        .query
        .ok_or_else(|| WireError::new("query", "it is missing"))?;
    Ok((role, query.try_into()?))
}
