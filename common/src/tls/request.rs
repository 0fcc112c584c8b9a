//! What is taken from a certificate signing request: the public key, once the sender has proved to
//! hold the private one, and not one field more.
//!
//! Called by [`super::issue`] only. It must not look at subject, names or extensions: the authority
//! dictates those, so a forged wish has nobody to hear it.

use rcgen::SubjectPublicKeyInfo;
use x509_parser::certification_request::X509CertificationRequest;
use x509_parser::oid_registry::OID_SIG_ECDSA_WITH_SHA256;
use x509_parser::prelude::FromDer;

use super::public_key::{PublicKeyError, p256_point, verify_signature};

/// A request of ours has some 250 bytes; this bounds what a stranger makes us parse.
pub const MAX_REQUEST_LEN: usize = 4 * 1024;

/// Why a signing request is refused.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
pub enum RequestError {
    /// Longer than any honest one.
    #[error("certificate request is longer than {MAX_REQUEST_LEN} bytes")]
    TooLong,
    /// Not a PKCS#10 request in DER, or something follows it.
    #[error("certificate request is malformed")]
    Malformed,
    /// Signed in a way we do not use.
    #[error("certificate request is not signed with ECDSA and SHA-256")]
    SignatureAlgorithm,
    /// The key is not one of ours, or the sender does not hold it.
    #[error("certificate request is refused")]
    Key(#[from] PublicKeyError),
}

/// The public key of a request whose sender has proved to hold the private one.
pub(super) fn proven_key(request_der: &[u8]) -> Result<SubjectPublicKeyInfo, RequestError> {
    if request_der.len() > MAX_REQUEST_LEN {
        return Err(RequestError::TooLong);
    }
    let (rest, request) =
        X509CertificationRequest::from_der(request_der).map_err(|_| RequestError::Malformed)?;
    if !rest.is_empty() {
        return Err(RequestError::Malformed);
    }
    let signed = &request.certification_request_info;
    p256_point(&signed.subject_pki)?;
    if request.signature_algorithm.algorithm != OID_SIG_ECDSA_WITH_SHA256 {
        return Err(RequestError::SignatureAlgorithm);
    }
    verify_signature(
        signed.subject_pki.raw,
        signed.raw,
        &request.signature_value.data,
    )?;
    SubjectPublicKeyInfo::from_der(signed.subject_pki.raw).map_err(|_| RequestError::Malformed)
}
