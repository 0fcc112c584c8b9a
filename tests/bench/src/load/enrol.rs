//! How a simulated node comes to its identity: as a real one does, with a token and from its own
//! address. Its key is held in memory only.

use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context as _, ensure};
use extend_common::ids::NodeAddr;
use extend_common::tls::{
    Fingerprint, JoinToken, NodeKey, agent_client_config, dial, pinned_client_config, system_time,
};
use extend_proto::v1;
use extend_proto::v1::enrolment_client::EnrolmentClient;
use hyper_util::rt::TokioIo;
use rustls::ClientConfig;
use rustls_pki_types::CertificateDer;
use tonic::transport::{Channel, Endpoint, Uri};
use tower::service_fn;

use crate::operator::Operator;

/// TCP and TLS together. A controller that a whole fleet comes to at once serves it in turn.
const LIMIT: Duration = Duration::from_secs(5);

/// Who a simulated node is, and where its controller is.
#[derive(Debug, Clone)]
pub(super) struct Identity {
    source: Ipv4Addr,
    controller: SocketAddr,
    config: Arc<ClientConfig>,
}

impl Identity {
    /// Dials the agents' face from the node's address.
    pub(super) async fn connect(&self, endpoint: Endpoint) -> anyhow::Result<Channel> {
        connect(
            endpoint,
            self.source,
            self.controller,
            Arc::clone(&self.config),
        )
        .await
    }
}

/// Joins a node.
pub(super) async fn enrol(operator: &Operator, node: NodeAddr) -> anyhow::Result<Identity> {
    let token: JoinToken = operator.token(node).await?.parse()?;
    let key = NodeKey::generate()?;
    let pinned = pinned_client_config(token.ca, system_time())?;
    let endpoint = Endpoint::from_static("https://controller.extend");
    let channel = connect(endpoint, node.ip(), token.controller.into(), pinned).await?;
    let request = v1::JoinRequest {
        node: node.to_string(),
        secret: token.secret.to_vec(),
        csr_der: key.csr()?,
    };
    let answer = EnrolmentClient::new(channel)
        .join(request)
        .await?
        .into_inner();
    let authority = CertificateDer::from(answer.ca_der);
    ensure!(Fingerprint::of(&authority) == token.ca, "another authority");
    let leaf = CertificateDer::from(answer.leaf_der);
    let port = u16::try_from(answer.agents_port).context("the agents' port")?;
    Ok(Identity {
        source: node.ip(),
        controller: SocketAddr::from((*token.controller.ip(), port)),
        config: agent_client_config(&authority, leaf, &key, system_time())?,
    })
}

async fn connect(
    endpoint: Endpoint,
    source: Ipv4Addr,
    remote: SocketAddr,
    config: Arc<ClientConfig>,
) -> anyhow::Result<Channel> {
    let connect = service_fn(move |_: Uri| {
        let config = Arc::clone(&config);
        async move {
            dial(Some(source), remote, config, LIMIT)
                .await
                .map(TokioIo::new)
        }
    });
    Ok(endpoint.connect_with_connector(connect).await?)
}
