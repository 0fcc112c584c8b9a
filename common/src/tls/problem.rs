//! What was wrong with a certificate, in words.
//!
//! Owns the translation of rustls's verdicts, both those we reach about the other side and those the
//! other side reaches about us. Used in the errors of [`super::dial`] and in the acceptor's log.

use std::error::Error;
use std::io;

use jiff::Timestamp;
use rustls::{AlertDescription, CertificateError};
use rustls_pki_types::UnixTime;

use super::pin::PinMismatch;

/// Why we refused the other side's certificate.
#[derive(Debug, thiserror::Error)]
pub enum CertificateProblem {
    /// Its time is over, or the clock here is ahead.
    #[error("certificate expired at {not_after}, and it is {now} here")]
    Expired {
        /// When the certificate ended.
        not_after: Timestamp,
        /// What the clock here says.
        now: Timestamp,
    },
    /// Its time has not come, or the clock here is behind.
    #[error("certificate is valid from {not_before} on, and it is {now} here")]
    NotYetValid {
        /// When the certificate begins.
        not_before: Timestamp,
        /// What the clock here says.
        now: Timestamp,
    },
    /// Nobody we trust has issued it.
    #[error("certificate is not from the authority that is trusted here")]
    UnknownAuthority,
    /// It is somebody else's.
    #[error("certificate is not for {expected} but for {presented}")]
    WrongName {
        /// The name it should have.
        expected: String,
        /// The names it has.
        presented: String,
    },
    /// It is for the other role: a node's used by a server, or the controller's by a client.
    #[error("certificate is not for this role")]
    WrongRole,
    /// The server is not the one whose authority was pinned.
    #[error("wrong authority: {0}")]
    Pin(PinMismatch),
    /// There was none.
    #[error("no certificate was presented")]
    Missing,
    /// Anything else.
    #[error("certificate is not usable: {0}")]
    Unusable(String),
}

impl CertificateProblem {
    /// Whether it is one of time: then a clock may be wrong, and not the certificate.
    #[must_use]
    pub fn is_of_time(&self) -> bool {
        matches!(self, Self::Expired { .. } | Self::NotYetValid { .. })
    }

    /// The problem behind an error of a connection, if it was one with the other's certificate.
    pub(super) fn find(error: &(dyn Error + 'static)) -> Option<Self> {
        match find_rustls(error)? {
            rustls::Error::InvalidCertificate(verdict) => Some(Self::from_verdict(verdict)),
            rustls::Error::NoCertificatesPresented => Some(Self::Missing),
            _ => None,
        }
    }

    fn from_verdict(verdict: &CertificateError) -> Self {
        match verdict {
            CertificateError::ExpiredContext { time, not_after } => Self::Expired {
                not_after: timestamp(*not_after),
                now: timestamp(*time),
            },
            CertificateError::NotValidYetContext { time, not_before } => Self::NotYetValid {
                not_before: timestamp(*not_before),
                now: timestamp(*time),
            },
            // The name of our authority on another's signature is another authority.
            CertificateError::UnknownIssuer | CertificateError::BadSignature => {
                Self::UnknownAuthority
            }
            CertificateError::NotValidForNameContext {
                expected,
                presented,
            } => Self::WrongName {
                expected: expected.to_str().into_owned(),
                presented: plain_names(presented),
            },
            CertificateError::InvalidPurpose | CertificateError::InvalidPurposeContext { .. } => {
                Self::WrongRole
            }
            CertificateError::Other(other) => match other.0.downcast_ref::<PinMismatch>() {
                Some(mismatch) => Self::Pin(mismatch.clone()),
                None => Self::Unusable(other.to_string()),
            },
            _ => Self::Unusable(verdict.to_string()),
        }
    }
}

/// Why the other side refused *our* certificate. It says so in one byte, once our side of the
/// handshake is done.
#[derive(Debug, thiserror::Error, Clone, Copy, PartialEq, Eq)]
pub enum PeerRefusal {
    /// Its time is over, or has not come: one of the two clocks may be wrong.
    #[error("our certificate was refused: it is not valid at this time")]
    NotValidNow,
    /// The other side trusts another authority.
    #[error("our certificate was refused: it is from another authority")]
    UnknownAuthority,
    /// We should have shown one.
    #[error("our certificate was refused: there was none")]
    Missing,
    /// It is for the other role.
    #[error("our certificate was refused: it is for another role")]
    WrongRole,
    /// Anything else about it.
    #[error("our certificate was refused")]
    Other,
}

impl PeerRefusal {
    /// The refusal behind an error of a connection, if it was one.
    pub(super) fn find(error: &(dyn Error + 'static)) -> Option<Self> {
        let rustls::Error::AlertReceived(alert) = find_rustls(error)? else {
            return None;
        };
        match alert {
            AlertDescription::CertificateExpired => Some(Self::NotValidNow),
            AlertDescription::UnknownCA | AlertDescription::DecryptError => {
                Some(Self::UnknownAuthority)
            }
            AlertDescription::CertificateRequired => Some(Self::Missing),
            AlertDescription::UnsupportedCertificate => Some(Self::WrongRole),
            AlertDescription::BadCertificate
            | AlertDescription::CertificateRevoked
            | AlertDescription::CertificateUnknown
            | AlertDescription::AccessDenied => Some(Self::Other),
            _ => None,
        }
    }
}

/// The TLS error at the bottom of an error chain.
pub(super) fn find_rustls<'a>(error: &'a (dyn Error + 'static)) -> Option<&'a rustls::Error> {
    let mut next = Some(error);
    while let Some(error) = next {
        if let Some(found) = error.downcast_ref() {
            return Some(found);
        }
        // The source of an io::Error is not the error inside it, but that one's source.
        next = match error
            .downcast_ref::<io::Error>()
            .and_then(io::Error::get_ref)
        {
            Some(inner) => Some(inner),
            None => error.source(),
        };
    }
    None
}

fn timestamp(time: UnixTime) -> Timestamp {
    i64::try_from(time.as_secs())
        .ok()
        .and_then(|seconds| Timestamp::from_second(seconds).ok())
        .unwrap_or(Timestamp::MAX)
}

/// rustls gives the names in its own notation: `DnsName("a")`, `IpAddress(10.0.0.7)`.
fn plain_names(presented: &[String]) -> String {
    let plain = |name: &String| {
        let inner = name
            .split_once('(')
            .map_or(name.as_str(), |(_, inner)| inner);
        inner.trim_end_matches(')').trim_matches('"').to_owned()
    };
    match presented {
        [] => "nobody".to_owned(),
        names => names.iter().map(plain).collect::<Vec<_>>().join(", "),
    }
}
