//! `extend-agent join`: spends a token. The key is made here and stays here; the controller is
//! known by the fingerprint in the token before anything is sent to it.

use std::net::{SocketAddr, SocketAddrV4};
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context as _, bail};
use extend_common::exit::Exit;
use extend_common::files;
use extend_common::ids::NodeAddr;
use extend_common::tls::{
    DialError, Fingerprint, JoinToken, NodeKey, PeerNode, Time, dial, pinned_client_config,
};
use extend_common::wire::{MAX_HEADER_LIST_BYTES, MAX_MESSAGE_BYTES};
use extend_proto::v1;
use extend_proto::v1::enrolment_client::EnrolmentClient;
use hyper_util::rt::TokioIo;
use jiff::Timestamp;
use rustls_pki_types::CertificateDer;
use tokio::time::{Instant, sleep};
use tonic::transport::{Channel, Endpoint, Uri};
use tower::service_fn;

use super::clocks::ClocksApart;
use super::{Enrolment, Identity, validity};
use crate::failure::Failure;
use crate::lock::{LockError, StateLock};
use crate::session::controllers;

/// Dialling and each call.
const LIMIT: Duration = Duration::from_secs(10);
/// A firewall on the controller's node opens to this one a moment after the token was made.
const OPENS: Duration = Duration::from_secs(10);
const AGAIN: Duration = Duration::from_millis(500);

/// A node that has joined.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Joined {
    /// Where.
    pub enrolment: Enrolment,
    /// Whether an agent runs here already: it goes on with the new identity by itself.
    pub agent_runs: bool,
    /// The clocks, if they do not agree: the certificate will be refused before its time.
    pub clocks: Option<ClocksApart>,
}

/// Joins the controller that the token names.
///
/// # Errors
/// When the token is not accepted, or nothing can be written. A node that has joined already
/// joins anew: the new identity replaces the old one only once it is whole.
pub async fn join(token: &JoinToken, state: &Path, time: Time) -> anyhow::Result<Joined> {
    let node = NodeAddr::try_from(token.node)?;
    files::private_directory(state)
        .with_context(|| format!("preparing the state directory {}", state.display()))?;
    let _lock = StateLock::of_identity(state)?;
    if let Ok(held) = Identity::load(state)
        && held.enrolment.node != node
    {
        let own = held.enrolment.node;
        let words = format!(
            "this node has joined as {own}, and the token is for {node}: one of them is another \
             node's"
        );
        let hint = format!("on the primary: extend node token -a {own}");
        return Err(Failure::new(Exit::Usage, words, hint).into());
    }
    let key = NodeKey::generate()?;
    let mut client = enrolment_client(node, token.controller, token.ca, time).await?;
    let request = v1::JoinRequest {
        node: node.to_string(),
        secret: token.secret.to_vec(),
        csr_der: key.csr()?,
    };
    let response = client
        .join(request)
        .await
        .map_err(|s| Failure::refused(&s))?
        .into_inner();
    let authority = CertificateDer::from(response.ca_der);
    if Fingerprint::of(&authority) != token.ca {
        bail!("the controller sent another authority than the one it proved to have");
    }
    let leaf = CertificateDer::from(response.leaf_der);
    let peer = PeerNode::from_certificate(&leaf).context("reading the new certificate")?;
    if peer.node != node.ip() || peer.spki != key.spki() {
        bail!("the new certificate is not for this node and its key");
    }
    let port = u16::try_from(response.agents_port).context("reading the agents' port")?;
    let enrolment = Enrolment {
        node,
        enrolment: token.controller,
        agents: SocketAddrV4::new(*token.controller.ip(), port),
    };
    let valid = validity(&leaf).map_err(anyhow::Error::msg)?;
    let directory = state.to_owned();
    let identity = Identity {
        directory,
        mark: None,
        enrolment: enrolment.clone(),
        key,
        leaf,
        valid,
        authority,
    };
    controllers::forget(state).context("forgetting the controllers of before")?;
    identity.save().context("writing the identity")?;
    let clocks = ClocksApart::seen(valid, Timestamp::now());
    let agent_runs = matches!(StateLock::take(state), Err(LockError::Taken(_)));
    Ok(Joined {
        enrolment,
        agent_runs,
        clocks,
    })
}

/// Dials the enrolment listener; the controller must show the authority with this fingerprint.
pub(super) async fn enrolment_client(
    node: NodeAddr,
    controller: SocketAddrV4,
    pin: Fingerprint,
    time: Time,
) -> anyhow::Result<EnrolmentClient<Channel>> {
    let config = pinned_client_config(pin, time)?;
    let remote = SocketAddr::V4(controller);
    let connect = service_fn(move |_: Uri| {
        let config = Arc::clone(&config);
        async move {
            let until = Instant::now() + OPENS;
            loop {
                let dialled = dial(Some(node.ip()), remote, Arc::clone(&config), LIMIT).await;
                if matches!(dialled, Err(DialError::Unreachable { .. })) && Instant::now() < until {
                    sleep(AGAIN).await;
                    continue;
                }
                return dialled.map(TokioIo::new);
            }
        }
    });
    let channel = Endpoint::from_static("https://controller.extend")
        .timeout(LIMIT)
        .http2_max_header_list_size(MAX_HEADER_LIST_BYTES)
        .connect_with_connector(connect)
        .await
        .map_err(|error| Failure::dialled(&error, None, Timestamp::now()))?;
    Ok(EnrolmentClient::new(channel)
        .max_decoding_message_size(MAX_MESSAGE_BYTES)
        .max_encoding_message_size(MAX_MESSAGE_BYTES))
}
