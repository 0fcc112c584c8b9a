//! The controller, as a bootstrap asks it: now and then, over minutes in which it may be started
//! anew.
//!
//! Each question has a connection of its own, and is asked again while the controller is away, for
//! as long as `--patience` says. Both questions may be asked twice: a newer token takes the place
//! of an older one.

use extend_common::backoff::jitter;
use extend_common::ids::NodeAddr;
use extend_proto::v1;
use tokio::time::Instant;
use tonic::{Code, Response, Status};
use zeroize::Zeroizing;

use crate::cli::args::ConnectionArgs;
use crate::cli::client::{Client, Rpc, bounded};
use crate::cli::failure::{Failure, is_lost};
use crate::cli::patience::Patience;
use crate::cli::view::node::Node;

/// A token is used seconds after it was made.
const TOKEN_LIFE: u32 = 600;

/// The way to it.
#[derive(Debug, Clone, Copy)]
pub(super) struct Controller<'a>(pub(super) &'a ConnectionArgs);

impl Controller<'_> {
    /// How it sees a node; none when it does not know it.
    pub(super) async fn seen(self, node: NodeAddr) -> Result<Option<Node>, Failure> {
        let request = v1::ListNodesRequest {
            node: node.to_string(),
        };
        let what = format!("ask for node {node}");
        let asked = async |rpc: &mut Rpc| rpc.list_nodes(request.clone()).await;
        let answer = self.ask(&what, asked).await?;
        let view = answer.and_then(|answer| answer.nodes.into_iter().next());
        view.map(Node::try_from).transpose()
    }

    /// A token for a node: its line, with the end of the line.
    pub(super) async fn token(self, node: NodeAddr) -> Result<Zeroizing<Vec<u8>>, Failure> {
        let request = v1::MintTokenRequest {
            node: node.to_string(),
            ttl_seconds: TOKEN_LIFE,
        };
        let what = format!("make a join token for {node}");
        let asked = async |rpc: &mut Rpc| rpc.mint_token(request.clone()).await;
        let answer = self.ask(&what, asked).await?.unwrap_or_default();
        let token = Zeroizing::new(answer.token);
        Ok(Zeroizing::new(format!("{}\n", *token).into_bytes()))
    }

    /// None: what was asked for is not there.
    async fn ask<T>(
        self,
        what: &str,
        call: impl AsyncFn(&mut Rpc) -> Result<Response<T>, Status>,
    ) -> Result<Option<T>, Failure> {
        let mut patience = Patience::new(self.0.patience);
        loop {
            let lost = match Client::connect(&self.0.socket).await {
                Ok(mut client) => match bounded(call(client.rpc())).await {
                    Ok(answer) => return Ok(Some(answer)),
                    Err(status) if is_lost(&status) => Failure::lost(what, &status),
                    Err(status) if status.code() == Code::NotFound => return Ok(None),
                    Err(status) => return Err(Failure::from_status(what, &status)),
                },
                Err(error) if error.is_lasting() => return Err(error.into()),
                Err(error) => error.into(),
            };
            match patience.next(Instant::now(), jitter()) {
                Some(wait) => tokio::time::sleep(wait.wait).await,
                None => return Err(lost),
            }
        }
    }
}
