//! The controller's certificate authority: one key and its self-signed certificate.
//!
//! Owns making the two, keeping them in a directory and reading them back. The controller opens it
//! once, at its start; what is issued with it is in [`super::issue`]. The private key leaves this
//! type only into `ca.key`. A lost key is never replaced in silence: every node would be locked out.

use std::fmt;
use std::path::Path;
use std::time::Duration;

use jiff::Timestamp;
use rcgen::{
    BasicConstraints, DistinguishedName, DnType, IsCa, Issuer, KeyUsagePurpose, PublicKeyData as _,
};
use rustls_pki_types::CertificateDer;
use x509_parser::prelude::{FromDer, X509Certificate};

use super::fingerprint::Fingerprint;
use super::issue::{self, IssueError, Validity};
use super::pem;
use super::secret_key::SecretKey;
use crate::files::{self, FileError};

/// The name of the file with the private key, PKCS#8 PEM, mode 0600.
pub const KEY_FILE: &str = "ca.key";
/// The name of the file with the certificate, PEM, mode 0644.
pub const CERTIFICATE_FILE: &str = "ca.crt";

/// How long an authority lasts.
const LIFETIME: Duration = Duration::from_secs(3652 * 24 * 60 * 60);

/// Why there is no authority to work with.
#[derive(Debug, thiserror::Error)]
pub enum AuthorityError {
    /// It could not be made.
    #[error("cannot create the certificate authority")]
    Create(#[from] IssueError),
    /// Its files could not be read or written.
    #[error(transparent)]
    File(#[from] FileError),
    /// A file holds something else.
    #[error("{file} of the certificate authority is not {what}")]
    Unreadable {
        /// Which file.
        file: &'static str,
        /// What it should have been.
        what: &'static str,
    },
    /// Key and certificate are of two different authorities.
    #[error("{KEY_FILE} and {CERTIFICATE_FILE} do not belong together")]
    Mismatch,
    /// The certificate is there and its key is not.
    #[error("{KEY_FILE} is missing beside {CERTIFICATE_FILE}")]
    KeyLost,
}

impl AuthorityError {
    /// What the operator can do about it.
    #[must_use]
    pub fn hint(&self) -> Option<String> {
        match self {
            Self::File(error) => error.hint(),
            Self::Mismatch | Self::KeyLost | Self::Unreadable { .. } => {
                Some("put both files back from one backup (extend controller restore)".to_owned())
            }
            Self::Create(_) => None,
        }
    }
}

/// The authority that says who is a node and who is the controller.
pub struct Authority {
    pub(super) certificate: CertificateDer<'static>,
    pub(super) not_after: Timestamp,
    pub(super) issuer: Issuer<'static, SecretKey>,
}

impl Authority {
    /// A new authority. Nothing is written: see [`Authority::save`].
    ///
    /// # Errors
    /// Fails if the system has no randomness to give.
    pub fn create(now: Timestamp) -> Result<Self, AuthorityError> {
        let key = SecretKey::generate().map_err(|source| IssueError::Crypto {
            operation: "generate a key",
            source,
        })?;
        Self::certify(key, now)
    }

    /// Reads the authority in `directory`, making a new one if there is none.
    ///
    /// A key without its certificate is a creation that was cut short (the key is written first):
    /// it gets a new certificate, and what the key has signed stays good, since the name follows
    /// from the key. Only fingerprints in tokens not yet used would have changed.
    ///
    /// # Errors
    /// Fails as [`Authority::load`] and [`Authority::save`] do, and if only the certificate is there.
    pub fn open(directory: &Path, now: Timestamp) -> Result<Self, AuthorityError> {
        let there = |name| {
            let path = directory.join(name);
            path.try_exists().map_err(|source| FileError::Io {
                operation: "look for",
                path,
                source,
            })
        };
        match (there(KEY_FILE)?, there(CERTIFICATE_FILE)?) {
            (true, true) => Self::load(directory),
            (false, true) => Err(AuthorityError::KeyLost),
            (false, false) => {
                let authority = Self::create(now)?;
                authority.save(directory)?;
                Ok(authority)
            }
            (true, false) => {
                let authority = Self::certify(load_key(directory)?, now)?;
                authority.save_certificate(directory)?;
                Ok(authority)
            }
        }
    }

    /// Reads the authority in `directory`.
    ///
    /// # Errors
    /// Fails if a file is missing, is not what it should be, or the two do not belong together; if
    /// the directory or the key is open to other users.
    pub fn load(directory: &Path) -> Result<Self, AuthorityError> {
        let key = load_key(directory)?;
        let path = directory.join(CERTIFICATE_FILE);
        let text = std::fs::read(&path).map_err(|source| FileError::Io {
            operation: "read",
            path,
            source,
        })?;
        let unreadable = AuthorityError::Unreadable {
            file: CERTIFICATE_FILE,
            what: "the certificate of an authority in PEM form",
        };
        let Ok(certificate) = pem::decode(&text) else {
            return Err(unreadable);
        };
        Self::assemble(key, certificate).unwrap_or(Err(unreadable))
    }

    /// Writes the authority into `directory`, which is created if need be. The key goes first: from
    /// then on this is the authority, and [`Authority::open`] can make the rest good.
    ///
    /// # Errors
    /// Fails if there is a key already, whatever key it is, or if the directory is open to others.
    pub fn save(&self, directory: &Path) -> Result<(), AuthorityError> {
        files::private_directory(directory)?;
        let key = self.issuer.key().to_pem();
        files::write_new(&directory.join(KEY_FILE), key.as_bytes(), files::SECRET)?;
        self.save_certificate(directory)
    }

    /// The certificate: what agents trust, and nothing else.
    #[must_use]
    pub fn certificate(&self) -> &CertificateDer<'static> {
        &self.certificate
    }

    /// The fingerprint of the certificate: what a join token pins.
    #[must_use]
    pub fn fingerprint(&self) -> Fingerprint {
        Fingerprint::of(&self.certificate)
    }

    /// When it ends. Nothing is issued beyond.
    #[must_use]
    pub fn not_after(&self) -> Timestamp {
        self.not_after
    }

    fn save_certificate(&self, directory: &Path) -> Result<(), AuthorityError> {
        let text = pem::encode(&self.certificate);
        files::write_atomic(
            &directory.join(CERTIFICATE_FILE),
            text.as_bytes(),
            files::PUBLIC,
        )?;
        Ok(())
    }

    /// Signs a certificate for `key` with `key`.
    fn certify(key: SecretKey, now: Timestamp) -> Result<Self, AuthorityError> {
        let validity = Validity::starting(now, LIFETIME)?;
        let mut params = issue::params(&validity)?;
        params.distinguished_name = name_of(&key);
        params.is_ca = IsCa::Ca(BasicConstraints::Constrained(0));
        params.key_usages = vec![KeyUsagePurpose::KeyCertSign];
        let certificate = params
            .self_signed(&key)
            .map_err(|source| IssueError::Crypto {
                operation: "sign a certificate",
                source,
            })?;
        Ok(Self {
            certificate: certificate.der().clone(),
            not_after: validity.not_after,
            issuer: Issuer::new(params, key),
        })
    }

    /// Puts the two halves together; `None` if the certificate is not one of an authority.
    fn assemble(
        key: SecretKey,
        certificate: CertificateDer<'static>,
    ) -> Option<Result<Self, AuthorityError>> {
        let (_, parsed) = X509Certificate::from_der(&certificate).ok()?;
        if !parsed.is_ca() {
            return None;
        }
        if parsed.public_key().raw != key.subject_public_key_info() {
            return Some(Err(AuthorityError::Mismatch));
        }
        let not_after = Timestamp::from_second(parsed.validity().not_after.timestamp()).ok()?;
        let issuer = Issuer::from_ca_cert_der(&certificate, key).ok()?;
        Some(Ok(Self {
            certificate,
            not_after,
            issuer,
        }))
    }
}

impl fmt::Debug for Authority {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Authority({})", self.fingerprint())
    }
}

/// Each authority has a name of its own, so that a foreign one is told by its name and not by a
/// failed signature; and it follows from the key, so that a certificate made anew fits the leaves.
fn name_of(key: &SecretKey) -> DistinguishedName {
    let Fingerprint([a, b, c, d, ..]) = Fingerprint::of(&key.subject_public_key_info());
    let mut name = DistinguishedName::new();
    name.push(
        DnType::CommonName,
        format!("extend authority {a:02x}{b:02x}{c:02x}{d:02x}"),
    );
    name
}

fn load_key(directory: &Path) -> Result<SecretKey, AuthorityError> {
    files::require_private_directory(directory)?;
    let contents = files::read_secret(&directory.join(KEY_FILE))?;
    SecretKey::from_pem(&contents).ok_or(AuthorityError::Unreadable {
        file: KEY_FILE,
        what: "an ECDSA P-256 key in PKCS#8 PEM form",
    })
}
