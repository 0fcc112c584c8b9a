//! Going on over as many connections as it takes: the one loop around [`Patience`].
//!
//! What is done with a connection, what is said of its loss and what becomes of it when the
//! patience is at its end is the caller's.

use extend_common::backoff::jitter;
use tokio::time::Instant;
use tonic::Status;

use super::client::{Client, ConnectError};
use super::context::Context;
use super::failure::{Failure, chain, lost_causes};
use super::patience::{Patience, Wait};

/// Why there is no connection any more.
#[derive(Debug)]
pub(crate) enum Lost {
    /// It could not be made again.
    Connect(ConnectError),
    /// It broke, or the other side closed it.
    Broken(Status),
}

impl Lost {
    /// A stream that came to an end without having said that this is the end.
    pub(crate) fn closed() -> Self {
        Self::Broken(Status::unavailable("the controller closed it"))
    }

    /// Why, in words, as far as anything is known.
    pub(crate) fn causes(&self) -> Vec<String> {
        match self {
            Self::Connect(error) => chain(error),
            Self::Broken(status) => lost_causes(status),
        }
    }
}

/// What came of one connection.
#[derive(Debug)]
pub(crate) enum Came<T> {
    /// All there was to do.
    Done(T),
    /// Less than that: another connection may bring more.
    Lost(Lost),
    /// What no other connection would change.
    Failed(Failure),
}

/// Something that outlives the connections it is done over.
pub(crate) trait Lasting {
    /// What it comes to.
    type Done;

    /// How long is tried after each loss.
    fn patience(&mut self) -> &mut Patience;

    /// Uses a connection for as long as it holds.
    async fn use_one(&mut self, client: Client) -> Came<Self::Done>;

    /// A connection was lost, and is made again after a wait. Whoever has had enough by then ends
    /// it here.
    async fn wait_for_another(&mut self, wait: Wait) -> Option<Self::Done>;

    /// The patience is at its end, or was of no use.
    fn given_up(&self, lost: Lost) -> Failure;
}

/// Goes on until it is done, or has failed.
pub(crate) async fn over_connections<L: Lasting>(
    context: &Context,
    client: Client,
    lasting: &mut L,
) -> Result<L::Done, Failure> {
    let mut connection = Some(client);
    loop {
        let client = match connection.take() {
            Some(client) => Ok(client),
            None => Client::connect(&context.connection.socket).await,
        };
        let lost = match client {
            Ok(client) => match lasting.use_one(client).await {
                Came::Done(done) => return Ok(done),
                Came::Failed(failure) => return Err(failure),
                Came::Lost(lost) => lost,
            },
            Err(error) if error.is_lasting() => {
                return Err(lasting.given_up(Lost::Connect(error)));
            }
            Err(error) => Lost::Connect(error),
        };
        let Some(wait) = lasting.patience().next(Instant::now(), jitter()) else {
            return Err(lasting.given_up(lost));
        };
        if let Some(done) = lasting.wait_for_another(wait).await {
            return Ok(done);
        }
        tokio::time::sleep(wait.wait).await;
    }
}
