//! The key of a node: made on the node, kept in a 0600 file, never sent anywhere.
//!
//! Owns the key and everything that needs its private half: the signing request, the proof for a
//! renewal, the TLS client identity. Used by the agent. It must not show the key: it has no
//! `Display`, and its `Debug` names the public half only.

use std::fmt;
use std::path::Path;

use rcgen::{CertificateParams, DistinguishedName, DnType, PublicKeyData as _, SigningKey as _};
use rustls_pki_types::PrivateKeyDer;

use super::fingerprint::Fingerprint;
use super::secret_key::SecretKey;
use crate::files::{self, FileError};

/// What a node signs to renew an expired certificate. The version is part of it: a signature made
/// for one purpose or form can never pass for another.
pub const RENEWAL_CONTEXT: &str = "extend renew v1";

/// The length of the nonce the controller hands out for a renewal. Fixed, so that nonce and request
/// need no separator between them.
pub const RENEWAL_NONCE_LEN: usize = 32;

/// Why a key could not be made, kept or used.
#[derive(Debug, thiserror::Error)]
pub enum KeyError {
    /// The cryptography failed, in practice for want of randomness.
    #[error("cannot {operation}")]
    Crypto {
        /// What was tried.
        operation: &'static str,
        /// What the library said.
        source: rcgen::Error,
    },
    /// The file is not a P-256 key in PKCS#8 PEM.
    #[error("{path} does not hold an ECDSA P-256 key in PKCS#8 PEM form")]
    NotAKey {
        /// The file.
        path: String,
    },
    /// The file could not be read or written.
    #[error(transparent)]
    File(#[from] FileError),
}

/// An ECDSA P-256 key pair.
pub struct NodeKey {
    pair: SecretKey,
}

impl NodeKey {
    /// A new key.
    ///
    /// # Errors
    /// Fails if the system has no randomness to give.
    pub fn generate() -> Result<Self, KeyError> {
        let pair = SecretKey::generate().map_err(|source| KeyError::Crypto {
            operation: "generate a key",
            source,
        })?;
        Ok(Self { pair })
    }

    /// Reads the key from `path`.
    ///
    /// # Errors
    /// Fails if the file cannot be read, is open to other users, or holds something else.
    pub fn load(path: &Path) -> Result<Self, KeyError> {
        let contents = files::read_secret(path)?;
        let pair = SecretKey::from_pem(&contents).ok_or_else(|| KeyError::NotAKey {
            path: path.display().to_string(),
        })?;
        Ok(Self { pair })
    }

    /// Writes the key to `path`, readable by its owner alone.
    ///
    /// # Errors
    /// Fails if the file cannot be written.
    pub fn save(&self, path: &Path) -> Result<(), KeyError> {
        Ok(files::write_atomic(
            path,
            self.pair.to_pem().as_bytes(),
            files::SECRET,
        )?)
    }

    /// A signing request for this key. Its only content is the key: the controller decides the rest.
    ///
    /// # Errors
    /// Fails if the request cannot be signed.
    pub fn csr(&self) -> Result<Vec<u8>, KeyError> {
        let mut params = CertificateParams::default();
        params.distinguished_name = DistinguishedName::new();
        params
            .distinguished_name
            .push(DnType::CommonName, "extend node");
        let request = params
            .serialize_request(&*self.pair)
            .map_err(|source| KeyError::Crypto {
                operation: "sign a request",
                source,
            })?;
        Ok(request.der().to_vec())
    }

    /// Signs `parts`, one after the other, for one purpose: `context` names it and goes first.
    ///
    /// # Errors
    /// Fails if the system has no randomness to give.
    pub fn sign(&self, context: &str, parts: &[&[u8]]) -> Result<Vec<u8>, KeyError> {
        self.pair
            .sign(&signed_message(context, parts))
            .map_err(|source| KeyError::Crypto {
                operation: "sign a message",
                source,
            })
    }

    /// The public half, as a DER `SubjectPublicKeyInfo`: what the controller enrols.
    #[must_use]
    pub fn spki(&self) -> Vec<u8> {
        self.pair.subject_public_key_info()
    }

    /// The private half in the form rustls takes.
    pub(super) fn to_rustls(&self) -> PrivateKeyDer<'static> {
        self.pair.to_rustls()
    }
}

impl fmt::Debug for NodeKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "NodeKey({})", Fingerprint::of(&self.spki()))
    }
}

/// What [`NodeKey::sign`] signs for a context and parts: the context, a zero byte, the parts. The
/// parts are not separated: all but the last must be of a fixed length.
#[must_use]
pub fn signed_message(context: &str, parts: &[&[u8]]) -> Vec<u8> {
    let mut message = Vec::from(context);
    message.push(0);
    parts
        .iter()
        .for_each(|part| message.extend_from_slice(part));
    message
}

/// What a node signs, with its enrolled key, to renew a certificate that has expired: the server's
/// nonce makes it fresh, the request says for which key.
#[must_use]
pub fn renewal_message(nonce: &[u8; RENEWAL_NONCE_LEN], csr_der: &[u8]) -> Vec<u8> {
    signed_message(RENEWAL_CONTEXT, &[nonce, csr_der])
}
