//! The client side of the two faces, as rustls configurations.
//!
//! Owns what a node demands of the controller: the fixed name [`super::CONTROLLER_NAME`], in a
//! certificate of the one authority it trusts. Built by the agent, used with [`super::dial`]. A
//! configuration has one identity for its life: after a renewal, build another.

use std::sync::Arc;

use rustls::client::Resumption;
use rustls::{ClientConfig, ConfigBuilder, RootCertStore, WantsVerifier};
use rustls_pki_types::CertificateDer;

use super::fingerprint::Fingerprint;
use super::key::NodeKey;
use super::pin::PinnedAuthority;
use super::{ALPN_H2, Time, provider};

/// Why a configuration could not be built.
#[derive(Debug, thiserror::Error)]
pub enum ClientConfigError {
    /// The authority's certificate is not one.
    #[error("cannot trust the authority's certificate")]
    Authority(#[source] rustls::Error),
    /// The node's certificate is unusable or not for the node's key.
    #[error("the node's certificate does not fit its key")]
    Identity(#[source] rustls::Error),
    /// rustls refused what it was given.
    #[error("cannot configure TLS for the agent")]
    Config(#[source] rustls::Error),
}

/// For an enrolled node: it shows its certificate and trusts `authority` alone.
///
/// # Errors
/// Fails if `authority` cannot be trusted or `leaf` is not for `key`.
pub fn agent_client_config(
    authority: &CertificateDer<'static>,
    leaf: CertificateDer<'static>,
    key: &NodeKey,
    time: Time,
) -> Result<Arc<ClientConfig>, ClientConfigError> {
    let mut roots = RootCertStore::empty();
    roots
        .add(authority.clone())
        .map_err(ClientConfigError::Authority)?;
    let config = builder(time)?
        .with_root_certificates(roots)
        .with_client_auth_cert(vec![leaf], key.to_rustls())
        .map_err(ClientConfigError::Identity)?;
    Ok(finish(config))
}

/// For a node that joins, or whose certificate has expired: it shows none, and trusts the authority
/// with this fingerprint alone.
///
/// # Errors
/// Fails if rustls has no TLS 1.3 to offer.
pub fn pinned_client_config(
    authority: Fingerprint,
    time: Time,
) -> Result<Arc<ClientConfig>, ClientConfigError> {
    let config = builder(time)?
        .dangerous()
        .with_custom_certificate_verifier(Arc::new(PinnedAuthority::new(authority)))
        .with_no_client_auth();
    Ok(finish(config))
}

fn builder(time: Time) -> Result<ConfigBuilder<ClientConfig, WantsVerifier>, ClientConfigError> {
    ClientConfig::builder_with_details(provider(), time)
        .with_protocol_versions(&[&rustls::version::TLS13])
        .map_err(ClientConfigError::Config)
}

fn finish(mut config: ClientConfig) -> Arc<ClientConfig> {
    config.alpn_protocols = vec![ALPN_H2.to_vec()];
    config.resumption = Resumption::disabled();
    config.enable_early_data = false;
    Arc::new(config)
}
