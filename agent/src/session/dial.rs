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

use super::controllers::Controllers;
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

    /// The controller that the last channel reached has welcomed this node, and told where it
    /// and those after it may be dialled.
    async fn welcomed(&self, told: Vec<SocketAddrV4>);

    /// Keeps what the next connection needs good while this one lasts; does not return.
    async fn keep_identity(&self, channel: Channel);
}

/// Dials controllers over mTLS with the node's identity.
pub struct TlsDial {
    identity: Mutex<Identity>,
    controllers: Mutex<Controllers>,
    /// Whom the last channel reached.
    reached: Mutex<Option<SocketAddrV4>>,
    time: Time,
    clock: Clock,
}

impl TlsDial {
    /// Dials controllers as this identity.
    pub fn new(identity: Identity, controllers: Controllers, time: Time, clock: Clock) -> Self {
        Self {
            identity: Mutex::new(identity),
            controllers: Mutex::new(controllers),
            reached: Mutex::new(None),
            time,
            clock,
        }
    }

    async fn reach(&self, identity: &Identity) -> anyhow::Result<Channel> {
        let mut last = anyhow::anyhow!("no controller is configured");
        let order = self.controllers.lock().await.in_order();
        for controller in &order {
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
                Ok(channel) => {
                    *self.reached.lock().await = Some(*controller);
                    return Ok(channel);
                }
                Err(error) => {
                    let now = jiff::Timestamp::now();
                    last = Failure::dialled(&error, Some(identity.valid), now).into();
                }
            }
        }
        Err(last)
    }
}

impl TlsDial {
    /// Asks every controller that may be there, at the port of the enrolment that the node joined
    /// through.
    async fn renew_expired(&self, identity: &mut Identity) {
        let port = identity.enrolment.enrolment.port();
        let mut asked = Vec::new();
        for agents in self.controllers.lock().await.in_order() {
            asked.push(SocketAddrV4::new(*agents.ip(), port));
        }
        for enrolment in asked {
            match renew::renew_expired(identity, enrolment, self.time.clone()).await {
                Ok(()) => return note_renewal(identity),
                Err(error) => {
                    let error = format!("{error:#}");
                    tracing::warn!(error, controller = %enrolment, "certificate not renewed");
                }
            }
        }
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
            self.renew_expired(&mut identity).await;
        }
        self.reach(&identity).await
    }

    async fn welcomed(&self, told: Vec<SocketAddrV4>) {
        let Some(from) = *self.reached.lock().await else {
            return;
        };
        let mut controllers = self.controllers.lock().await;
        if !controllers.welcomed(from, told) {
            return;
        }
        tracing::info!(controllers = ?controllers.in_order(), "controllers of this node");
        let list = controllers.clone();
        let saved = tokio::task::spawn_blocking(move || list.save()).await;
        if let Ok(Err(error)) = saved {
            tracing::warn!(%error, "the list of controllers is not kept");
        }
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
