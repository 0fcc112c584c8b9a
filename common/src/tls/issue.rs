//! Issuing certificates: every field is dictated here, whatever was asked for.
//!
//! Owns what a node's and a controller's certificate look like. Called by the controller when a
//! node enrols or renews, and for its own certificate. It must not decide *whether* a node may have
//! one: admission (token, enrolment, revocation) lies before it.

use std::fmt;
use std::net::{IpAddr, Ipv4Addr};
use std::time::Duration;

use jiff::Timestamp;
use rcgen::{
    CertificateParams, DistinguishedName, DnType, ExtendedKeyUsagePurpose, IsCa, KeyUsagePurpose,
    PublicKeyData, SanType, SerialNumber,
};
use ring::rand::{SecureRandom, SystemRandom};
use rustls_pki_types::{CertificateDer, PrivateKeyDer};

use super::CONTROLLER_NAME;
use super::authority::Authority;
use super::request::{self, RequestError};
use super::secret_key::SecretKey;
use super::serial::Serial;

/// How long a certificate of a node or of the controller lives if nothing else is asked for.
pub const LEAF_LIFETIME: Duration = Duration::from_secs(24 * 60 * 60);

/// How far before `now` a certificate starts to be valid: clocks of nodes may be behind.
pub const BACKDATED: Duration = Duration::from_secs(60 * 60);

/// Why no certificate was issued.
#[derive(Debug, thiserror::Error)]
pub enum IssueError {
    /// The request is not one we accept.
    #[error("cannot issue a certificate to this request")]
    Request(#[from] RequestError),
    /// The cryptography failed, in practice for want of randomness.
    #[error("cannot {operation}")]
    Crypto {
        /// What was tried.
        operation: &'static str,
        /// What the library said.
        source: rcgen::Error,
    },
    /// The system has no randomness to give.
    #[error("cannot choose a serial number: the system gave no randomness")]
    NoRandomness,
    /// The authority has ended.
    #[error("the certificate authority ended at {ended}")]
    AuthorityEnded {
        /// Its last moment.
        ended: Timestamp,
    },
    /// The clock or the lifetime is absurd.
    #[error("no certificate can be valid from {now} for {lifetime:?}")]
    Validity {
        /// The time of issue.
        now: Timestamp,
        /// The lifetime asked for.
        lifetime: Duration,
    },
}

/// A certificate for a key that somebody else holds.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct IssuedLeaf {
    /// The certificate.
    pub der: CertificateDer<'static>,
    /// Its serial number, for the audit log.
    pub serial: Serial,
    /// When it starts to be valid.
    pub not_before: Timestamp,
    /// When it ends.
    pub not_after: Timestamp,
}

/// A certificate together with its private key.
pub struct KeyAndCert {
    /// The certificate and its dates.
    pub leaf: IssuedLeaf,
    /// The private key, PKCS#8.
    pub key: PrivateKeyDer<'static>,
}

impl fmt::Debug for KeyAndCert {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("KeyAndCert")
            .field("leaf", &self.leaf)
            .finish_non_exhaustive()
    }
}

impl Authority {
    /// A certificate that says: the holder of this key is `node`. Of the request only the key is
    /// taken, after its sender has proved to hold it.
    ///
    /// # Errors
    /// Fails if the request is refused, or if the authority has ended.
    pub fn issue_node(
        &self,
        node: Ipv4Addr,
        csr_der: &[u8],
        now: Timestamp,
        lifetime: Duration,
    ) -> Result<IssuedLeaf, IssueError> {
        let key = request::proven_key(csr_der)?;
        self.issue(&Subject::node(node), &key, now, lifetime)
    }

    /// A certificate for the controller itself, with a new key.
    ///
    /// # Errors
    /// Fails if the authority has ended or the system has no randomness to give.
    pub fn issue_controller(
        &self,
        now: Timestamp,
        lifetime: Duration,
    ) -> Result<KeyAndCert, IssueError> {
        let key = SecretKey::generate().map_err(|source| IssueError::Crypto {
            operation: "generate a key",
            source,
        })?;
        let leaf = self.issue(&Subject::controller()?, &key, now, lifetime)?;
        Ok(KeyAndCert {
            leaf,
            key: key.to_rustls(),
        })
    }

    fn issue(
        &self,
        subject: &Subject,
        key: &impl PublicKeyData,
        now: Timestamp,
        lifetime: Duration,
    ) -> Result<IssuedLeaf, IssueError> {
        if now >= self.not_after {
            return Err(IssueError::AuthorityEnded {
                ended: self.not_after,
            });
        }
        let mut validity = Validity::starting(now, lifetime)?;
        validity.not_after = validity.not_after.min(self.not_after);
        let serial = random_serial()?;

        let mut params = params(&validity)?;
        params.serial_number = Some(SerialNumber::from_slice(&serial.0));
        params
            .distinguished_name
            .push(DnType::CommonName, subject.name.as_str());
        params.subject_alt_names = vec![subject.address.clone()];
        params.is_ca = IsCa::ExplicitNoCa;
        params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
        params.extended_key_usages = vec![subject.purpose.clone()];
        params.use_authority_key_identifier_extension = true;
        let certificate =
            params
                .signed_by(key, &self.issuer)
                .map_err(|source| IssueError::Crypto {
                    operation: "sign a certificate",
                    source,
                })?;
        Ok(IssuedLeaf {
            der: certificate.der().clone(),
            serial,
            not_before: validity.not_before,
            not_after: validity.not_after,
        })
    }
}

/// Who a certificate is about. There are these two, and each may do only its own thing: a node
/// cannot pose as the controller, nor the controller as a node.
struct Subject {
    name: String,
    address: SanType,
    purpose: ExtendedKeyUsagePurpose,
}

impl Subject {
    fn node(node: Ipv4Addr) -> Self {
        Self {
            name: format!("node {node}"),
            address: SanType::IpAddress(IpAddr::V4(node)),
            purpose: ExtendedKeyUsagePurpose::ClientAuth,
        }
    }

    fn controller() -> Result<Self, IssueError> {
        let name = CONTROLLER_NAME
            .try_into()
            .map_err(|source| IssueError::Crypto {
                operation: "encode the controller's name",
                source,
            })?;
        Ok(Self {
            name: CONTROLLER_NAME.to_owned(),
            address: SanType::DnsName(name),
            purpose: ExtendedKeyUsagePurpose::ServerAuth,
        })
    }
}

/// From when to when, in whole seconds, which is all that a certificate can say.
pub(super) struct Validity {
    pub(super) not_before: Timestamp,
    pub(super) not_after: Timestamp,
}

impl Validity {
    pub(super) fn starting(now: Timestamp, lifetime: Duration) -> Result<Self, IssueError> {
        let dates = || {
            let whole = Timestamp::from_second(now.as_second()).ok()?;
            Some(Self {
                not_before: whole.checked_sub(BACKDATED).ok()?,
                not_after: whole
                    .checked_add(Duration::from_secs(lifetime.as_secs()))
                    .ok()?,
            })
        };
        dates().ok_or(IssueError::Validity { now, lifetime })
    }
}

/// What every certificate of ours begins with: the dates, and no name.
pub(super) fn params(validity: &Validity) -> Result<CertificateParams, IssueError> {
    let mut params = CertificateParams::default();
    params.distinguished_name = DistinguishedName::new();
    // rcgen speaks the types of the `time` crate; these two lines are all we need of it.
    let epoch = rcgen::date_time_ymd(1970, 1, 1);
    for (field, moment) in [
        (&mut params.not_before, validity.not_before),
        (&mut params.not_after, validity.not_after),
    ] {
        let seconds = u64::try_from(moment.as_second()).map_err(|_| IssueError::Validity {
            now: validity.not_before,
            lifetime: Duration::ZERO,
        })?;
        *field = epoch + Duration::from_secs(seconds);
    }
    Ok(params)
}

fn random_serial() -> Result<Serial, IssueError> {
    let mut serial = [0; 16];
    SystemRandom::new()
        .fill(&mut serial)
        .map_err(|_| IssueError::NoRandomness)?;
    Ok(Serial(serial))
}
