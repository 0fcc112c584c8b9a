//! The two TLS faces of the controller, as rustls configurations.
//!
//! Owns what each demands of a client: agents must show a certificate of our authority, a joining
//! node has none yet. Built by the controller, used by [`super::accept`]. Addresses, limits and
//! admission are not its business.

use std::sync::Arc;

use rustls::server::{NoServerSessionStorage, ResolvesServerCert, WebPkiClientVerifier};
use rustls::{ConfigBuilder, RootCertStore, ServerConfig, WantsVerifier};
use rustls_pki_types::CertificateDer;

use super::live::{Leaf, LeafAndAuthority, LiveCertificate};
use super::{ALPN_H2, ALPN_HTTP1, Time, provider};

/// Why a face could not be built.
#[derive(Debug, thiserror::Error)]
pub enum ServerTlsError {
    /// rustls refused what it was given.
    #[error("cannot configure TLS for the controller")]
    Config(#[from] rustls::Error),
    /// The authority's certificate is not one.
    #[error("cannot verify clients against the authority's certificate")]
    Verifier(#[from] rustls::server::VerifierBuilderError),
}

/// One face: the configuration of its handshakes, and whether a client must be a node.
#[derive(Clone, Debug)]
pub struct ServerTls {
    pub(super) config: Arc<ServerConfig>,
    pub(super) clients: Clients,
}

/// Who may come to a face.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Clients {
    /// Those with a node's certificate, from that node's address.
    Nodes,
    /// Anybody the door lets in; who it is, the call will say and prove.
    Strangers,
}

impl ServerTls {
    /// The face for agents: mutual TLS, clients verified against `authority` and nothing else, at
    /// the time that `time` gives.
    ///
    /// # Errors
    /// Fails if `authority` is not a certificate that can be trusted.
    pub fn agents(
        authority: &CertificateDer<'static>,
        live: Arc<LiveCertificate>,
        time: Time,
    ) -> Result<Self, ServerTlsError> {
        let mut roots = RootCertStore::empty();
        roots.add(authority.clone())?;
        let verifier =
            WebPkiClientVerifier::builder_with_provider(roots.into(), provider()).build()?;
        let config = builder(time)?
            .with_client_cert_verifier(verifier)
            .with_cert_resolver(Arc::new(Leaf(live)));
        Ok(Self {
            config: finish(config, &[ALPN_H2]),
            clients: Clients::Nodes,
        })
    }

    /// The face for joining nodes and for those whose certificate has expired: only the server
    /// shows a certificate, and with it the authority's, for those who know its fingerprint.
    ///
    /// # Errors
    /// Fails if rustls has no TLS 1.3 to offer.
    pub fn enrolment(live: Arc<LiveCertificate>, time: Time) -> Result<Self, ServerTlsError> {
        let resolver: Arc<dyn ResolvesServerCert> = Arc::new(LeafAndAuthority(live));
        let config = builder(time)?
            .with_no_client_auth()
            .with_cert_resolver(resolver);
        Ok(Self {
            config: finish(config, &[ALPN_H2, ALPN_HTTP1]),
            clients: Clients::Strangers,
        })
    }
}

fn builder(time: Time) -> Result<ConfigBuilder<ServerConfig, WantsVerifier>, rustls::Error> {
    ServerConfig::builder_with_details(provider(), time)
        .with_protocol_versions(&[&rustls::version::TLS13])
}

fn finish(mut config: ServerConfig, protocols: &[&[u8]]) -> Arc<ServerConfig> {
    config.alpn_protocols = protocols.iter().map(|name| name.to_vec()).collect();
    // A resumed session skips the client's certificate, and with it expiry and revocation. So
    // nothing is handed out to resume with, and nothing is remembered to resume from.
    config.send_tls13_tickets = 0;
    config.session_storage = Arc::new(NoServerSessionStorage {});
    config.max_early_data_size = 0;
    Arc::new(config)
}
