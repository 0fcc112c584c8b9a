//! Keeps the certificate good: renewed at half its life over the live connection, and with a
//! proof of the key when it has expired while nobody could renew it.

use std::net::SocketAddrV4;
use std::time::Duration;

use anyhow::Context as _;
use extend_common::backoff::Backoff;
use extend_common::clock::{after, since};
use extend_common::tls::Time;
use extend_common::tls::issue::BACKDATED;
use extend_common::tls::key::{RENEWAL_CONTEXT, RENEWAL_NONCE_LEN};
use extend_proto::v1;
use extend_proto::v1::agent_client::AgentClient;
use jiff::Timestamp;
use rustls_pki_types::CertificateDer;
use tonic::transport::Channel;

use super::join::enrolment_client;
use super::{Identity, Validity};
use crate::failure::Failure;

/// Between tries of a renewal that failed; half a life leaves room for many.
const AGAIN: Backoff = Backoff {
    first: Duration::from_secs(1),
    most: Duration::from_secs(300),
};
/// The renewal call.
const LIMIT: Duration = Duration::from_secs(10);

/// However wrong the clock is, so much of its life a new certificate is kept: it would be renewed
/// again and again without a pause if the clock here were half a life ahead.
const KEPT: u32 = 10;

/// When the certificate is to be renewed: at half its life, and after `failures` tries in vain
/// with back-off from then on. `tried` is the last try, whatever came of it. Pure.
pub fn due(valid: Validity, failures: u32, tried: Option<Timestamp>, random: f64) -> Timestamp {
    // A leaf is dated back against clocks that differ; that hour is not a part of its life.
    let issued = after(valid.not_before, BACKDATED).min(valid.not_after);
    let life = since(issued, valid.not_after);
    let half = after(issued, life / 2);
    match tried {
        Some(tried) if failures > 0 => half.max(after(tried, AGAIN.wait(failures - 1, random))),
        Some(tried) => half.max(after(tried, life / KEPT)),
        None => half,
    }
}

/// Whether the certificate can no longer be shown.
pub fn has_expired(valid: Validity, now: Timestamp) -> bool {
    now >= valid.not_after
}

/// Renews over the live connection, which has proved the key.
///
/// # Errors
/// When the controller refuses, or the answer is not for this node.
pub async fn renew_live(identity: &mut Identity, channel: Channel) -> anyhow::Result<()> {
    let mut request = tonic::Request::new(v1::RenewLeafRequest {
        csr_der: identity.key.csr()?,
    });
    request.set_timeout(LIMIT);
    let response = AgentClient::new(channel)
        .renew_leaf(request)
        .await
        .map_err(|status| Failure::refused(&status))?;
    let leaf = CertificateDer::from(response.into_inner().leaf_der);
    identity
        .renew(leaf)
        .context("taking the renewed certificate")
}

/// Renews an expired certificate by signing the controller's nonce with the enrolled key,
/// at this enrolment listener.
///
/// # Errors
/// When the controller cannot be reached, refuses, or answers for another node.
pub async fn renew_expired(
    identity: &mut Identity,
    enrolment: SocketAddrV4,
    time: Time,
) -> anyhow::Result<()> {
    let node = identity.enrolment.node;
    let mut client = enrolment_client(node, enrolment, identity.pin(), time).await?;
    let challenge = v1::ChallengeRequest {
        node: node.to_string(),
    };
    let nonce = client
        .challenge(challenge)
        .await
        .map_err(|status| Failure::refused(&status))?
        .into_inner()
        .nonce;
    if nonce.len() != RENEWAL_NONCE_LEN {
        anyhow::bail!("the controller sent a nonce of {} bytes", nonce.len());
    }
    let csr_der = identity.key.csr()?;
    let signature = identity.key.sign(RENEWAL_CONTEXT, &[&nonce, &csr_der])?;
    let request = v1::RenewExpiredRequest {
        node: node.to_string(),
        csr_der,
        nonce,
        signature,
    };
    let response = client
        .renew_expired(request)
        .await
        .map_err(|status| Failure::refused(&status))?
        .into_inner();
    let leaf = CertificateDer::from(response.leaf_der);
    identity
        .renew(leaf)
        .context("taking the renewed certificate")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(seconds: i64) -> Timestamp {
        Timestamp::from_second(1_800_000_000 + seconds).unwrap()
    }

    #[test]
    fn a_certificate_is_renewed_at_half_its_life_and_tried_again_with_patience() {
        let valid = Validity {
            not_before: at(-3600),
            not_after: at(1000),
        };
        assert_eq!(due(valid, 0, None, 1.0), at(500));
        assert_eq!(due(valid, 1, Some(at(500)), 1.0), at(501));
        assert_eq!(due(valid, 4, Some(at(510)), 1.0), at(518));
        assert_eq!(due(valid, 30, Some(at(600)), 1.0), at(900));
        assert_eq!(due(valid, 0, Some(at(0)), 1.0), at(500));
        assert!(!has_expired(valid, at(999)) && has_expired(valid, at(1000)));
    }

    #[test]
    fn a_clock_far_ahead_does_not_renew_without_a_pause() {
        let valid = Validity {
            not_before: at(-3600),
            not_after: at(1000),
        };
        assert_eq!(due(valid, 0, Some(at(700)), 1.0), at(800));
        assert_eq!(due(valid, 0, Some(at(5000)), 1.0), at(5100));
    }
}
