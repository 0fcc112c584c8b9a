//! Public keys as they come from outside: ECDSA on P-256, and nothing else.
//!
//! Owns the rule which keys are ours and the check of a signature. Called for CSRs, for
//! certificates of peers and for the proof that an expired node renews with its enrolled key. All
//! input is hostile until it has passed here.

use ring::signature::{ECDSA_P256_SHA256_ASN1, UnparsedPublicKey};
use x509_parser::oid_registry::{OID_EC_P256, OID_KEY_TYPE_EC_PUBLIC_KEY};
use x509_parser::prelude::FromDer;
use x509_parser::x509::SubjectPublicKeyInfo;

/// Why a public key or what it signed is refused.
#[derive(Debug, thiserror::Error, Clone, Copy, PartialEq, Eq)]
pub enum PublicKeyError {
    /// The bytes are no public key at all.
    #[error("malformed public key")]
    Malformed,
    /// It is one of another kind.
    #[error("public key is not ECDSA on P-256")]
    NotP256,
    /// The signature was not made with this key over this message.
    #[error("signature does not match the public key")]
    BadSignature,
}

/// Checks an ECDSA signature (P-256, SHA-256, ASN.1) over `message`.
///
/// # Errors
/// Fails if `spki_der` is not a P-256 key or did not make this signature.
pub fn verify_signature(
    spki_der: &[u8],
    message: &[u8],
    signature: &[u8],
) -> Result<(), PublicKeyError> {
    let (rest, spki) =
        SubjectPublicKeyInfo::from_der(spki_der).map_err(|_| PublicKeyError::Malformed)?;
    if !rest.is_empty() {
        return Err(PublicKeyError::Malformed);
    }
    // ring refuses a point that is not on the curve.
    UnparsedPublicKey::new(&ECDSA_P256_SHA256_ASN1, p256_point(&spki)?)
        .verify(message, signature)
        .map_err(|_| PublicKeyError::BadSignature)
}

/// The uncompressed point of a P-256 key.
pub(super) fn p256_point<'a>(
    spki: &'a SubjectPublicKeyInfo<'_>,
) -> Result<&'a [u8], PublicKeyError> {
    const UNCOMPRESSED: u8 = 4;
    const POINT_LEN: usize = 65;

    let curve = spki
        .algorithm
        .parameters
        .as_ref()
        .and_then(|any| any.as_oid().ok());
    if spki.algorithm.algorithm != OID_KEY_TYPE_EC_PUBLIC_KEY || curve != Some(OID_EC_P256) {
        return Err(PublicKeyError::NotP256);
    }
    let point = spki.subject_public_key.data.as_ref();
    if point.len() != POINT_LEN || point.first() != Some(&UNCOMPRESSED) {
        return Err(PublicKeyError::Malformed);
    }
    Ok(point)
}
