//! A private key in memory: the node's, the authority's, the controller's own.
//!
//! Owns that nothing of it stays behind in memory when it is dropped, as far as the libraries let
//! it. The PKCS#8 form is wiped here, the text of the file by `files::read_secret` and by us, and
//! what rustls is given rustls wipes. Out of reach are the scalar that ring keeps inside its own key
//! pair (ring wipes nothing), and the buffers in which rcgen decodes and encodes PEM.

use std::ops::Deref;

use rcgen::{KeyPair, PKCS_ECDSA_P256_SHA256, PublicKeyData, SignatureAlgorithm, SigningKey};
use rustls_pki_types::{PrivateKeyDer, PrivatePkcs8KeyDer};
use zeroize::Zeroizing;

/// An ECDSA P-256 key pair that is wiped when it is dropped.
pub(super) struct SecretKey(Zeroizing<KeyPair>);

impl SecretKey {
    /// A new one.
    pub(super) fn generate() -> Result<Self, rcgen::Error> {
        let pair = KeyPair::generate_for(&PKCS_ECDSA_P256_SHA256)?;
        Ok(Self(Zeroizing::new(pair)))
    }

    /// The one in a PKCS#8 PEM file; `None` if it is something else.
    pub(super) fn from_pem(contents: &[u8]) -> Option<Self> {
        let text = std::str::from_utf8(contents).ok()?;
        let pair = KeyPair::from_pkcs8_pem_and_sign_algo(text, &PKCS_ECDSA_P256_SHA256).ok()?;
        Some(Self(Zeroizing::new(pair)))
    }

    /// The content of its file.
    pub(super) fn to_pem(&self) -> Zeroizing<String> {
        Zeroizing::new(self.0.serialize_pem())
    }

    /// In the form rustls takes, and wipes once it has read it.
    pub(super) fn to_rustls(&self) -> PrivateKeyDer<'static> {
        PrivatePkcs8KeyDer::from(self.0.serialize_der()).into()
    }
}

impl Deref for SecretKey {
    type Target = KeyPair;

    fn deref(&self) -> &KeyPair {
        &self.0
    }
}

impl PublicKeyData for SecretKey {
    fn der_bytes(&self) -> &[u8] {
        self.0.der_bytes()
    }

    fn algorithm(&self) -> &'static SignatureAlgorithm {
        PublicKeyData::algorithm(&*self.0)
    }
}

impl SigningKey for SecretKey {
    fn sign(&self, message: &[u8]) -> Result<Vec<u8>, rcgen::Error> {
        self.0.sign(message)
    }
}
