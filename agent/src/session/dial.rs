//! How a session reaches its controller: over TLS from the node's own address.

use std::net::{SocketAddr, SocketAddrV4};
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use extend_common::backoff::jitter;
use extend_common::clock::Clock;
use extend_common::tls::{DialError, Time, agent_client_config, dial};
use extend_common::wire::MAX_HEADER_LIST_BYTES;
use hyper_util::rt::TokioIo;
use tokio::sync::Mutex;
use tonic::transport::{Channel, Endpoint, Uri};
use tower::service_fn;

use crate::identity::{Identity, renew};

/// TCP and TLS together.
const LIMIT: Duration = Duration::from_secs(5);
/// A controller that is silent for twice this is gone.
const KEEPALIVE: Duration = Duration::from_secs(5);

/// A way to the controller.
#[async_trait]
pub trait Dial: Send + Sync + 'static {
    /// Connects.
    async fn channel(&self) -> anyhow::Result<Channel>;

    /// Keeps what the next connection needs good while this one lasts; does not return.
    async fn keep_identity(&self, channel: Channel);
}

/// Dials controllers over mTLS with the node's identity.
pub struct TlsDial {
    identity: Mutex<Identity>,
    controllers: Vec<SocketAddrV4>,
    time: Time,
    clock: Clock,
}

impl TlsDial {
    /// Dials the given controllers one after the other, or the one that the node joined when
    /// there are none.
    pub fn new(identity: Identity, controllers: &[SocketAddrV4], time: Time, clock: Clock) -> Self {
        let controllers = match controllers {
            [] => vec![identity.enrolment.agents],
            some => some.to_vec(),
        };
        Self {
            identity: Mutex::new(identity),
            controllers,
            time,
            clock,
        }
    }

    async fn reach(&self, identity: &Identity) -> anyhow::Result<Channel> {
        let mut last = anyhow::anyhow!("no controller is configured");
        for controller in &self.controllers {
            let config = agent_client_config(
                &identity.authority,
                identity.leaf.clone(),
                &identity.key,
                self.time.clone(),
            )?;
            let (local, remote) = (identity.enrolment.node.ip(), SocketAddr::V4(*controller));
            let connect = service_fn(move |_: Uri| {
                let config = Arc::clone(&config);
                async move {
                    dial(Some(local), remote, config, LIMIT)
                        .await
                        .map(TokioIo::new)
                }
            });
            match endpoint().connect_with_connector(connect).await {
                Ok(channel) => return Ok(channel),
                Err(error) => {
                    last = dialled(&error).context(format!("reaching the controller {controller}"));
                }
            }
        }
        Err(last)
    }
}

/// The HTTP/2 settings of a session, for every kind of dial.
pub fn endpoint() -> Endpoint {
    Endpoint::from_static("https://controller.extend")
        .http2_keep_alive_interval(KEEPALIVE)
        .keep_alive_timeout(KEEPALIVE)
        .keep_alive_while_idle(true)
        .http2_max_header_list_size(MAX_HEADER_LIST_BYTES)
}

#[async_trait]
impl Dial for TlsDial {
    async fn channel(&self) -> anyhow::Result<Channel> {
        let mut identity = self.identity.lock().await;
        if renew::has_expired(identity.valid, jiff::Timestamp::now()) {
            tracing::warn!("the certificate has expired: renewing it by proof of its key");
            // A clock that is wrong here must not lock the node out: whatever comes of it, the
            // controller is tried.
            match renew::renew_expired(&mut identity, self.time.clone()).await {
                Ok(()) => tracing::info!(until = %identity.valid.not_after, "certificate renewed"),
                Err(error) => {
                    tracing::warn!(error = format!("{error:#}"), "certificate not renewed");
                }
            }
        }
        self.reach(&identity).await
    }

    async fn keep_identity(&self, channel: Channel) {
        let (mut failures, mut tried) = (0, None);
        loop {
            let due = renew::due(self.identity.lock().await.valid, failures, tried, jitter());
            tokio::time::sleep(self.clock.until(due)).await;
            let mut identity = self.identity.lock().await;
            match renew::renew_live(&mut identity, channel.clone()).await {
                Ok(()) => {
                    tracing::info!(until = %identity.valid.not_after, "certificate renewed");
                    (failures, tried) = (0, None);
                }
                Err(error) => {
                    tracing::warn!(error = format!("{error:#}"), "certificate not renewed");
                    (failures, tried) = (failures.saturating_add(1), Some(self.clock.now()));
                }
            }
        }
    }
}

/// What a dial ended in, with its hint; tonic wraps what a connector says.
pub fn dialled(error: &tonic::transport::Error) -> anyhow::Error {
    match DialError::find(error) {
        Some(dial) => {
            let mut words = dial.to_string();
            let mut source = std::error::Error::source(dial);
            while let Some(cause) = source {
                words = format!("{words}: {cause}");
                source = cause.source();
            }
            match dial.hint() {
                Some(hint) => anyhow::anyhow!("{words} (hint: {hint})"),
                None => anyhow::anyhow!(words),
            }
        }
        None => anyhow::anyhow!("{error}: {}", source_words(error)),
    }
}

fn source_words(error: &dyn std::error::Error) -> String {
    error.source().map(ToString::to_string).unwrap_or_default()
}
