//! The authority at work: leaves for nodes, and the controller's own certificate, kept fresh.
//!
//! Owns when the controller's certificate is exchanged. Opened once by the daemon; the faces for
//! agents and enrolment hold a [`LeafIssuer`]. It must not decide whether a node may have a leaf:
//! the engine does, before one leaves this process.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use extend_common::clock::{self, Clock};
use extend_common::duration;
use extend_common::ids::NodeAddr;
use extend_common::tls::authority::AuthorityError;
use extend_common::tls::issue::IssueError;
use extend_common::tls::live::PublishError;
use extend_common::tls::peer::PeerError;
use extend_common::tls::{Authority, Fingerprint, LiveCertificate, PeerNode, Serial};
use jiff::Timestamp;
use rustls_pki_types::CertificateDer;
use tokio_util::sync::CancellationToken;

use crate::core::request::{KeyHash, PeerFacts};

/// The shortest wait between two tries to renew: near the end of the authority half of what is left
/// goes towards nothing.
const SOONEST: Duration = Duration::from_secs(1);
/// The longest wait after a failed try. A day's leaf has half a day left when the tries begin.
const RETRY: Duration = Duration::from_secs(60);

/// Why there is no certificate.
#[derive(Debug, thiserror::Error)]
pub enum CaError {
    /// The authority's files are not usable.
    #[error(transparent)]
    Authority(#[from] AuthorityError),
    /// The request was refused, or the authority has ended.
    #[error(transparent)]
    Issue(#[from] IssueError),
    /// What was issued is not what a node may have. It never left this process.
    #[error("cannot use the certificate that was just issued")]
    Unusable(#[from] PeerError),
    /// Agents would refuse the controller's new certificate.
    #[error(transparent)]
    Publish(#[from] PublishError),
}

impl CaError {
    /// What the operator can do about it.
    #[must_use]
    pub fn hint(&self) -> Option<String> {
        match self {
            Self::Authority(error) => error.hint(),
            Self::Issue(_) | Self::Unusable(_) | Self::Publish(_) => None,
        }
    }
}

/// A leaf for a node, and what the engine has to know of it.
#[derive(Debug, Clone)]
pub struct NodeLeaf {
    /// The certificate.
    pub der: Vec<u8>,
    /// The node's public key, a DER `SubjectPublicKeyInfo`, which the sender has proved to hold.
    pub spki: Vec<u8>,
    /// What is enrolled of it.
    pub spki_hash: KeyHash,
    /// When it ends.
    pub not_after: Timestamp,
    /// Its serial number, for the log.
    pub serial: Serial,
}

impl NodeLeaf {
    /// What the engine records of it.
    #[must_use]
    pub fn facts(&self) -> PeerFacts {
        PeerFacts {
            key: self.spki_hash,
            leaf_not_after: self.not_after,
        }
    }
}

/// Issues leaves to nodes. Cheap to clone.
#[derive(Debug, Clone)]
pub struct LeafIssuer {
    authority: Arc<Authority>,
    clock: Clock,
    lifetime: Duration,
}

impl LeafIssuer {
    /// Issues with `authority`, for `lifetime` each.
    #[must_use]
    pub fn new(authority: Arc<Authority>, clock: Clock, lifetime: Duration) -> Self {
        Self {
            authority,
            clock,
            lifetime,
        }
    }

    /// A leaf for the key in a signing request. It is for the caller to hand out, once the engine
    /// has agreed; until then it is only memory.
    ///
    /// # Errors
    /// Fails if the request is refused, or if the authority has ended.
    pub fn issue(&self, node: NodeAddr, csr_der: &[u8]) -> Result<NodeLeaf, CaError> {
        let leaf =
            self.authority
                .issue_node(node.ip(), csr_der, self.clock.now(), self.lifetime)?;
        let peer = PeerNode::from_certificate(&leaf.der)?;
        Ok(NodeLeaf {
            der: leaf.der.to_vec(),
            spki_hash: KeyHash::of(&peer.spki),
            spki: peer.spki,
            not_after: leaf.not_after,
            serial: leaf.serial,
        })
    }

    /// The authority's certificate: what a node trusts from its joining on.
    #[must_use]
    pub fn authority(&self) -> &CertificateDer<'static> {
        self.authority.certificate()
    }

    /// When the authority ends.
    #[must_use]
    pub fn authority_ends(&self) -> Timestamp {
        self.authority.not_after()
    }

    /// What a join token pins.
    #[must_use]
    pub fn fingerprint(&self) -> Fingerprint {
        self.authority.fingerprint()
    }
}

/// The controller's own certificate.
#[derive(Debug)]
pub struct OwnCertificate {
    authority: Arc<Authority>,
    live: Arc<LiveCertificate>,
    clock: Clock,
    lifetime: Duration,
}

impl OwnCertificate {
    /// A first certificate, issued by `authority`.
    ///
    /// # Errors
    /// Fails if the authority has ended, or if agents would refuse the certificate.
    pub fn issue(
        authority: Arc<Authority>,
        clock: Clock,
        lifetime: Duration,
    ) -> Result<Self, CaError> {
        let now = clock.now();
        let first = authority.issue_controller(now, lifetime)?;
        let live = LiveCertificate::new(authority.certificate(), first, now)?;
        Ok(Self {
            authority,
            live,
            clock,
            lifetime,
        })
    }

    /// What both TLS faces show.
    #[must_use]
    pub fn live(&self) -> Arc<LiveCertificate> {
        Arc::clone(&self.live)
    }

    /// Keeps the certificate fresh until `shutdown`: a new one at half the life of the present one.
    pub async fn keep_fresh(self, shutdown: CancellationToken) {
        let mut wait = until_renewal(self.clock.now(), self.live.not_after());
        loop {
            tokio::select! {
                () = shutdown.cancelled() => return,
                () = tokio::time::sleep(wait) => {}
            }
            wait = match self.renew() {
                Ok(()) => {
                    tracing::info!(serial = %self.live.serial(), "own certificate renewed");
                    until_renewal(self.clock.now(), self.live.not_after())
                }
                Err(error) => {
                    let left = clock::since(self.clock.now(), self.live.not_after());
                    let left = duration::show(left);
                    tracing::error!(%error, left, "cannot renew the controller's certificate");
                    RETRY.min(self.lifetime / 10).max(SOONEST)
                }
            };
        }
    }

    fn renew(&self) -> Result<(), CaError> {
        let now = self.clock.now();
        let next = self.authority.issue_controller(now, self.lifetime)?;
        Ok(self.live.swap(next, now)?)
    }
}

/// Reads the authority in `state_dir`, making one at the first start.
///
/// # Errors
/// Fails if a file is missing beside the other, open to others, or not what it should be.
pub fn open_authority(state_dir: &Path, now: Timestamp) -> Result<Arc<Authority>, CaError> {
    Ok(Arc::new(Authority::open(state_dir, now)?))
}

/// How long to wait with the renewal of a certificate issued at `now`: half its life.
fn until_renewal(now: Timestamp, not_after: Timestamp) -> Duration {
    (clock::since(now, not_after) / 2).max(SOONEST)
}

#[cfg(test)]
mod tests;
