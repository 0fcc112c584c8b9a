//! How a session reaches its controller: over TLS from the node's own address.

use std::net::{SocketAddr, SocketAddrV4};
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use extend_common::backoff::jitter;
use extend_common::clock::Clock;
use extend_common::tls::{Time, agent_client_config, dial};
use extend_common::wire::MAX_HEADER_LIST_BYTES;
use hyper_util::rt::TokioIo;
use tokio::sync::Mutex;
use tonic::transport::{Channel, Endpoint, Uri};
use tower::service_fn;

use crate::failure::Failure;
use crate::identity::clocks::ClocksApart;
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
                    let now = jiff::Timestamp::now();
                    last = Failure::dialled(&error, Some(identity.valid), now).into();
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
                Ok(()) => note_renewal(&identity),
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
                    note_renewal(&identity);
                    failures = 0;
                }
                Err(error) => {
                    tracing::warn!(error = format!("{error:#}"), "certificate not renewed");
                    failures = failures.saturating_add(1);
                }
            }
            tried = Some(self.clock.now());
        }
    }
}

/// A renewed certificate tells the controller's time: that clocks disagree is said before it harms.
fn note_renewal(identity: &Identity) {
    tracing::info!(until = %identity.valid.not_after, "certificate renewed");
    if let Some(clocks) = ClocksApart::seen(identity.valid, jiff::Timestamp::now()) {
        tracing::warn!(hint = ClocksApart::HINT, "{clocks}");
    }
}
