//! The operators' socket, as a command line uses it: the time that a process takes to start is not
//! in what is measured with it.

use std::io;
use std::path::Path;
use std::time::Duration;

use anyhow::{Context as _, bail, ensure};
use extend_common::ids::NodeAddr;
use extend_proto::v1;
use extend_proto::v1::operator_client::OperatorClient;
use hyper_util::rt::TokioIo;
use tokio::net::UnixStream;
use tokio::time::{Instant, timeout};
use tonic::transport::{Channel, Endpoint};
use ulid::Ulid;

/// The status of ten thousand servers is some megabytes.
const MAX_ANSWER: usize = 64 * 1024 * 1024;
/// Between two questions whether everything is over.
const PACE: Duration = Duration::from_millis(50);
/// No operation of a measurement takes so long.
const OPERATION: Duration = Duration::from_secs(120);

/// A connection to a controller. Cheap to clone.
#[derive(Debug, Clone)]
pub(crate) struct Operator(OperatorClient<Channel>);

impl Operator {
    /// Connects.
    pub(crate) async fn connect(socket: &Path) -> anyhow::Result<Self> {
        let stream = UnixStream::connect(socket)
            .await
            .with_context(|| format!("connecting to {}", socket.display()))?;
        let mut stream = Some(TokioIo::new(stream));
        let channel = Endpoint::from_static("http://controller.extend")
            .connect_with_connector(tower::service_fn(move |_| {
                let next = stream.take();
                async move { next.ok_or_else(|| io::Error::from(io::ErrorKind::NotConnected)) }
            }))
            .await?;
        let client = OperatorClient::new(channel).max_decoding_message_size(MAX_ANSWER);
        Ok(Self(client))
    }

    /// A join token for a node, as its one line.
    pub(crate) async fn token(&self, node: NodeAddr) -> anyhow::Result<String> {
        let request = v1::MintTokenRequest {
            node: node.to_string(),
            ttl_seconds: 0,
        };
        let minted = self.0.clone().mint_token(request).await?;
        Ok(minted.into_inner().token)
    }

    /// What `extend status` asks for.
    pub(crate) async fn servers(&self) -> anyhow::Result<v1::ListServersResponse> {
        let request = v1::ListServersRequest::default();
        Ok(self.0.clone().list_servers(request).await?.into_inner())
    }

    /// Every node and its state.
    pub(crate) async fn nodes(&self) -> anyhow::Result<Vec<v1::NodeView>> {
        let request = v1::ListNodesRequest::default();
        Ok(self.0.clone().list_nodes(request).await?.into_inner().nodes)
    }

    /// Submits a verb for every server, or for those that the selector names; the operation.
    pub(crate) async fn submit(
        &self,
        verb: v1::Verb,
        selector: v1::Selector,
    ) -> anyhow::Result<v1::Operation> {
        let request = v1::SubmitRequest {
            request_id: Ulid::generate().to_string(),
            verb: verb.into(),
            selector: Some(selector),
            confirmed: true,
            ..v1::SubmitRequest::default()
        };
        let answer = self.0.clone().submit(request).await?.into_inner();
        answer.operation.context("there was nothing to do")
    }

    /// Waits until no operation is open.
    pub(crate) async fn await_nothing_open(&self, bound: Duration) -> anyhow::Result<()> {
        let request = v1::ListOperationsRequest {
            limit: 1,
            open_only: true,
            ..v1::ListOperationsRequest::default()
        };
        let deadline = Instant::now() + bound;
        loop {
            let open = self
                .0
                .clone()
                .list_operations(request.clone())
                .await?
                .into_inner();
            if open.operations.is_empty() {
                return Ok(());
            }
            ensure!(
                Instant::now() < deadline,
                "operations are open for {bound:?}"
            );
            tokio::time::sleep(PACE).await;
        }
    }

    /// Watches an operation to its end.
    pub(crate) async fn end(&self, id: &str) -> anyhow::Result<v1::Operation> {
        let request = v1::OperationRequest { id: id.to_owned() };
        let mut shown = self.0.clone().watch_operation(request).await?.into_inner();
        let watching = async {
            while let Some(operation) = shown.message().await? {
                if operation.ended_ms != 0 {
                    return Ok(operation);
                }
            }
            bail!("operation {id} was not shown to its end")
        };
        timeout(OPERATION, watching)
            .await
            .with_context(|| format!("operation {id} has not ended in {OPERATION:?}"))?
    }
}
