//! The controller's own certificate, exchanged while connections go on.
//!
//! Owns which certificate new handshakes get. The controller publishes into it when it renews; both
//! TLS faces read from it. A certificate is validated before it is published: a bad one must leave
//! the good one in place, not close the door to a whole fleet.

use std::sync::Arc;

use arc_swap::ArcSwap;
use jiff::Timestamp;
use rustls::RootCertStore;
use rustls::client::WebPkiServerVerifier;
use rustls::client::danger::ServerCertVerifier;
use rustls::server::{ClientHello, ResolvesServerCert};
use rustls::sign::CertifiedKey;
use rustls_pki_types::{CertificateDer, UnixTime};

use super::issue::KeyAndCert;
use super::serial::Serial;
use super::{provider, server_name};

/// Why a certificate was not published. The one before it stays.
#[derive(Debug, thiserror::Error)]
pub enum PublishError {
    /// The authority's certificate itself cannot be used.
    #[error("cannot trust the authority's certificate")]
    Authority(#[source] rustls::Error),
    /// Key and certificate do not belong together, or one is unusable.
    #[error("cannot publish a certificate that does not fit its key")]
    Key(#[source] rustls::Error),
    /// No agent would accept it.
    #[error("cannot publish a certificate that agents would refuse")]
    Refused(#[source] rustls::Error),
    /// The given time is before 1970.
    #[error("cannot judge a certificate at {0}")]
    Time(Timestamp),
}

/// The certificate that new handshakes get.
#[derive(Debug)]
pub struct LiveCertificate {
    authority: CertificateDer<'static>,
    /// Judges a certificate the way an agent will.
    agents_view: Arc<WebPkiServerVerifier>,
    current: ArcSwap<Published>,
}

#[derive(Debug)]
struct Published {
    /// For agents, who hold the authority's certificate.
    leaf: Arc<CertifiedKey>,
    /// For joining nodes, who know only its fingerprint.
    leaf_and_authority: Arc<CertifiedKey>,
    serial: Serial,
    not_after: Timestamp,
}

impl LiveCertificate {
    /// Starts with `first`, issued by `authority`.
    ///
    /// # Errors
    /// Fails if an agent would refuse `first` at `now`.
    pub fn new(
        authority: &CertificateDer<'static>,
        first: KeyAndCert,
        now: Timestamp,
    ) -> Result<Arc<Self>, PublishError> {
        let mut roots = RootCertStore::empty();
        roots
            .add(authority.clone())
            .map_err(PublishError::Authority)?;
        let agents_view = WebPkiServerVerifier::builder_with_provider(roots.into(), provider())
            .build()
            .map_err(|e| PublishError::Authority(rustls::Error::General(e.to_string())))?;
        let current = ArcSwap::from(validate(authority, &agents_view, first, now)?);
        Ok(Arc::new(Self {
            authority: authority.clone(),
            agents_view,
            current,
        }))
    }

    /// Handshakes from here on get `next`; connections that stand are not touched.
    ///
    /// # Errors
    /// Fails, and changes nothing, if an agent would refuse `next` at `now`.
    pub fn swap(&self, next: KeyAndCert, now: Timestamp) -> Result<(), PublishError> {
        self.current
            .store(validate(&self.authority, &self.agents_view, next, now)?);
        Ok(())
    }

    /// The serial number of the present certificate.
    #[must_use]
    pub fn serial(&self) -> Serial {
        self.current.load().serial
    }

    /// When the present certificate ends.
    #[must_use]
    pub fn not_after(&self) -> Timestamp {
        self.current.load().not_after
    }
}

fn validate(
    authority: &CertificateDer<'static>,
    agents_view: &WebPkiServerVerifier,
    pair: KeyAndCert,
    now: Timestamp,
) -> Result<Arc<Published>, PublishError> {
    let KeyAndCert { leaf, key } = pair;
    let chain = vec![leaf.der.clone()];
    let alone = CertifiedKey::from_der(chain, key, &provider()).map_err(PublishError::Key)?;
    let seconds = u64::try_from(now.as_second()).map_err(|_| PublishError::Time(now))?;
    let at = UnixTime::since_unix_epoch(std::time::Duration::from_secs(seconds));
    agents_view
        .verify_server_cert(&leaf.der, &[], &server_name(), &[], at)
        .map_err(PublishError::Refused)?;
    let with_authority =
        CertifiedKey::new(vec![leaf.der, authority.clone()], Arc::clone(&alone.key));
    Ok(Arc::new(Published {
        leaf: Arc::new(alone),
        leaf_and_authority: Arc::new(with_authority),
        serial: leaf.serial,
        not_after: leaf.not_after,
    }))
}

/// Presents the leaf alone: the agents' face.
#[derive(Debug)]
pub(super) struct Leaf(pub(super) Arc<LiveCertificate>);

impl ResolvesServerCert for Leaf {
    fn resolve(&self, _: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        Some(Arc::clone(&self.0.current.load().leaf))
    }
}

/// Presents the leaf and the authority that issued it: the enrolment face.
#[derive(Debug)]
pub(super) struct LeafAndAuthority(pub(super) Arc<LiveCertificate>);

impl ResolvesServerCert for LeafAndAuthority {
    fn resolve(&self, _: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        Some(Arc::clone(&self.0.current.load().leaf_and_authority))
    }
}
