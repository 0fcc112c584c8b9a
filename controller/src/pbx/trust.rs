//! Trust in the PBX's certificate.
//!
//! Owns the pins (certificates that an administrator has compared and written down), the verifier
//! that goes by them, and showing the certificate of a PBX that is not trusted yet. A PBX comes with
//! a certificate that it has signed itself: it is trusted by being the very one that was pinned,
//! with no regard to its names and its dates, which nobody but itself has written. That whoever
//! shows it has its key is always verified. Without pins the system's authorities decide.

use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::SystemTime;

use extend_common::tls::Fingerprint;
use jiff::Timestamp;
use rustls::client::WebPkiServerVerifier;
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::crypto::{
    CryptoProvider, WebPkiSupportedAlgorithms, verify_tls12_signature, verify_tls13_signature,
};
use rustls::{
    CertificateError, ClientConfig, DigitallySignedStruct, OtherError, RootCertStore,
    SignatureScheme,
};
use rustls_pki_types::pem::PemObject;
use rustls_pki_types::{CertificateDer, ServerName, UnixTime};
use x509_parser::prelude::{FromDer, GeneralName, X509Certificate};

use super::base::BaseUrl;
use super::connect::{ConnectError, Connector};

/// One for each PBX node and as many for the time of a change.
const MAX_PINS: usize = 8;
/// Longer than eight certificates.
const MAX_PIN_FILE: u64 = 256 * 1024;
/// Where systems keep the authorities they trust; the first that is there counts.
const AUTHORITIES: [&str; 3] = [
    "/etc/ssl/certs/ca-certificates.crt",
    "/etc/pki/tls/certs/ca-bundle.crt",
    "/etc/ssl/cert.pem",
];

/// What the trust in a PBX rests on.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Anchor {
    /// Exactly these certificates.
    Pinned(Vec<CertificateDer<'static>>),
    /// The system's authorities.
    System,
}

/// A file that should hold pinned certificates and does not.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{cause}")]
pub struct PinError {
    /// Why not.
    pub cause: String,
}

impl Anchor {
    /// What is in the file; the system's authorities when there is no such file. A file that is
    /// there and cannot be used is an error: it must not become trust in everybody else.
    ///
    /// # Errors
    /// Says what is wrong with the file.
    pub fn load(path: &Path) -> Result<Self, PinError> {
        let broken = |cause: String| PinError { cause };
        let length = match std::fs::metadata(path) {
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(Self::System),
            Err(error) => return Err(broken(error.to_string())),
            Ok(metadata) if !metadata.is_file() => return Err(broken("not a file".to_owned())),
            Ok(metadata) => metadata.len(),
        };
        if length > MAX_PIN_FILE {
            return Err(broken(format!("longer than {MAX_PIN_FILE} bytes")));
        }
        let text = std::fs::read(path).map_err(|error| broken(error.to_string()))?;
        let pins = CertificateDer::pem_slice_iter(&text)
            .collect::<Result<Vec<_>, _>>()
            .map_err(|error| broken(error.to_string()))?;
        if pins.is_empty() {
            return Err(broken("no certificate in PEM form is in it".to_owned()));
        }
        if pins.len() > MAX_PINS {
            return Err(broken(format!(
                "more than {MAX_PINS} certificates are in it"
            )));
        }
        Ok(Self::Pinned(pins))
    }

    /// The fingerprints of what is pinned.
    #[must_use]
    pub fn fingerprints(&self) -> Vec<Fingerprint> {
        match self {
            Self::Pinned(pins) => pins.iter().map(|pin| Fingerprint::of(pin)).collect(),
            Self::System => Vec::new(),
        }
    }

    /// The client's side of TLS that goes by it.
    pub(super) fn client_config(&self) -> Result<ClientConfig, PinError> {
        let verifier: Arc<dyn ServerCertVerifier> = match self {
            Self::Pinned(pins) => Arc::new(Pinned {
                pins: pins.clone(),
                algorithms: algorithms(),
            }),
            Self::System => WebPkiServerVerifier::builder_with_provider(
                Arc::new(system_authorities()?),
                provider(),
            )
            .build()
            .map_err(|error| PinError {
                cause: format!("the system's authorities cannot be used: {error}"),
            })?,
        };
        client_config(verifier)
    }
}

/// Which state of a file was read last: another one is read again.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct FileState(Option<(SystemTime, u64, u64)>);

impl FileState {
    /// A file that is not there has a state too. Blocks for one look at the directory.
    pub(super) fn of(path: &Path) -> Self {
        use std::os::unix::fs::MetadataExt;
        Self(
            std::fs::metadata(path)
                .and_then(|data| Ok((data.modified()?, data.len(), data.ino())))
                .ok(),
        )
    }
}

/// The client's side of TLS that trusts authorities by name and date: those of a file alone, or the
/// system's. Blocks on the disk.
pub(crate) fn by_authorities(file: Option<&Path>) -> Result<ClientConfig, PinError> {
    let roots = match file {
        None => system_authorities()?,
        Some(path) => match Anchor::load(path)? {
            Anchor::System => {
                return Err(PinError {
                    cause: format!("{} is not there", path.display()),
                });
            }
            Anchor::Pinned(authorities) => {
                let mut roots = RootCertStore::empty();
                for authority in authorities {
                    roots.add(authority).map_err(|error| PinError {
                        cause: format!("{}: {error}", path.display()),
                    })?;
                }
                roots
            }
        },
    };
    let verifier = WebPkiServerVerifier::builder_with_provider(Arc::new(roots), provider())
        .build()
        .map_err(|error| PinError {
            cause: format!("the authorities cannot be used: {error}"),
        })?;
    client_config(verifier)
}

/// The authorities of a file, or the system's, each as it is written. Blocks on the disk.
pub(crate) fn authorities(file: Option<&Path>) -> Result<Vec<CertificateDer<'static>>, PinError> {
    match file {
        Some(path) => match Anchor::load(path)? {
            Anchor::Pinned(authorities) => Ok(authorities),
            Anchor::System => Err(PinError {
                cause: format!("{} is not there", path.display()),
            }),
        },
        None => system_file().map(|text| {
            let all = CertificateDer::pem_slice_iter(&text);
            all.filter_map(Result::ok).collect()
        }),
    }
}

fn system_authorities() -> Result<RootCertStore, PinError> {
    let text = system_file()?;
    let mut roots = RootCertStore::empty();
    // One that is odd takes no other with it.
    roots.add_parsable_certificates(CertificateDer::pem_slice_iter(&text).filter_map(Result::ok));
    Ok(roots)
}

fn system_file() -> Result<Vec<u8>, PinError> {
    let named = std::env::var_os("SSL_CERT_FILE").map(PathBuf::from);
    let mut places = named
        .into_iter()
        .chain(AUTHORITIES.into_iter().map(PathBuf::from));
    let Some(path) = places.find(|path| path.is_file()) else {
        return Err(PinError {
            cause: "it is not there, and neither are the system's authorities (package \
                    ca-certificates)"
                .to_owned(),
        });
    };
    std::fs::read(&path).map_err(|error| PinError {
        cause: format!("cannot read {}: {error}", path.display()),
    })
}

fn provider() -> Arc<CryptoProvider> {
    Arc::new(rustls::crypto::ring::default_provider())
}

fn algorithms() -> WebPkiSupportedAlgorithms {
    rustls::crypto::ring::default_provider().signature_verification_algorithms
}

/// TLS 1.2 too: which version a PBX speaks is the PBX's business.
fn client_config(verifier: Arc<dyn ServerCertVerifier>) -> Result<ClientConfig, PinError> {
    let mut config = ClientConfig::builder_with_provider(provider())
        .with_protocol_versions(&[&rustls::version::TLS13, &rustls::version::TLS12])
        .map_err(|error| PinError {
            cause: error.to_string(),
        })?
        .dangerous()
        .with_custom_certificate_verifier(verifier)
        .with_no_client_auth();
    config.alpn_protocols = vec![b"http/1.1".to_vec()];
    // Resumed, nobody would look at the certificate again.
    config.resumption = rustls::client::Resumption::disabled();
    Ok(config)
}

/// The certificate is none of those that are pinned.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("it has the fingerprint {presented}, and pinned is {}", words(pinned))]
pub struct NotPinned {
    /// What the PBX showed.
    pub presented: Fingerprint,
    /// What is pinned.
    pub pinned: Vec<Fingerprint>,
}

fn words(pinned: &[Fingerprint]) -> String {
    let pinned: Vec<String> = pinned.iter().map(ToString::to_string).collect();
    pinned.join(" or ")
}

/// Goes by the pins.
#[derive(Debug)]
struct Pinned {
    pins: Vec<CertificateDer<'static>>,
    algorithms: WebPkiSupportedAlgorithms,
}

impl ServerCertVerifier for Pinned {
    fn verify_server_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        _: &[CertificateDer<'_>],
        _: &ServerName<'_>,
        _: &[u8],
        _: UnixTime,
    ) -> Result<ServerCertVerified, rustls::Error> {
        if self.pins.iter().any(|pin| pin == end_entity) {
            return Ok(ServerCertVerified::assertion());
        }
        let mismatch = NotPinned {
            presented: Fingerprint::of(end_entity),
            pinned: self.pins.iter().map(|pin| Fingerprint::of(pin)).collect(),
        };
        Err(CertificateError::Other(OtherError(Arc::new(mismatch))).into())
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        verify_tls12_signature(message, cert, dss, &self.algorithms)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        verify_tls13_signature(message, cert, dss, &self.algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.algorithms.supported_schemes()
    }
}

/// Trusts nobody, and keeps what it was shown: the handshake ends there, and nothing is sent.
#[derive(Debug, Default)]
struct Glance {
    seen: Mutex<Option<CertificateDer<'static>>>,
}

impl ServerCertVerifier for Glance {
    fn verify_server_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        _: &[CertificateDer<'_>],
        _: &ServerName<'_>,
        _: &[u8],
        _: UnixTime,
    ) -> Result<ServerCertVerified, rustls::Error> {
        let mut seen = self.seen.lock().unwrap_or_else(PoisonError::into_inner);
        *seen = Some(end_entity.clone().into_owned());
        Err(CertificateError::ApplicationVerificationFailure.into())
    }

    fn verify_tls12_signature(
        &self,
        _: &[u8],
        _: &CertificateDer<'_>,
        _: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        Err(CertificateError::ApplicationVerificationFailure.into())
    }

    fn verify_tls13_signature(
        &self,
        _: &[u8],
        _: &CertificateDer<'_>,
        _: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        Err(CertificateError::ApplicationVerificationFailure.into())
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        algorithms().supported_schemes()
    }
}

/// Why there is nothing to show.
#[derive(Debug, thiserror::Error)]
pub enum PresentedError {
    /// There is no way to the PBX, or it speaks no TLS.
    #[error("{0}")]
    Connect(#[source] ConnectError),
    /// It shows a certificate with which no handshake can be finished.
    #[error("it shows a certificate whose key it does not use, or that cannot be used: {0}")]
    Unproven(#[source] ConnectError),
    /// It is no certificate that can be read.
    #[error("what it shows is no certificate that can be read: {0}")]
    Unreadable(String),
}

/// The certificate that a PBX shows, for somebody to compare. Nothing is sent to it.
///
/// # Errors
/// Says where it ended. A certificate whose key the other side does not have is not returned.
pub async fn presented(base: &BaseUrl) -> Result<Presented, PresentedError> {
    let glance = Arc::new(Glance::default());
    let config = client_config(Arc::clone(&glance) as Arc<dyn ServerCertVerifier>)
        .map_err(|error| PresentedError::Unreadable(error.cause))?;
    let outcome = Connector::new(base.clone(), Arc::new(config)).dial().await;
    let seen = {
        let mut seen = glance.seen.lock().unwrap_or_else(PoisonError::into_inner);
        seen.take()
    };
    let Some(der) = seen else {
        return Err(match outcome {
            Err(error) => PresentedError::Connect(error),
            Ok(_) => PresentedError::Unreadable("there was none".to_owned()),
        });
    };
    let shown = Presented::read(der)?;
    let config = Anchor::Pinned(vec![shown.der.clone()])
        .client_config()
        .map_err(|error| PresentedError::Unreadable(error.cause))?;
    let again = Connector::new(base.clone(), Arc::new(config)).dial().await;
    again.map_err(PresentedError::Unproven)?;
    Ok(shown)
}

/// A certificate, as somebody compares it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Presented {
    /// The certificate.
    pub der: CertificateDer<'static>,
    /// SHA-256 of it.
    pub fingerprint: Fingerprint,
    /// Whose it says that it is.
    pub subject: String,
    /// Who has signed it.
    pub issuer: String,
    /// The names and addresses it is for.
    pub names: Vec<String>,
    /// From when it is valid.
    pub not_before: Timestamp,
    /// Until when.
    pub not_after: Timestamp,
}

impl Presented {
    /// Reads a certificate.
    ///
    /// # Errors
    /// Fails when it is none.
    pub fn read(der: CertificateDer<'static>) -> Result<Self, PresentedError> {
        use extend_common::wire::shown_text;
        let unreadable = |cause: String| PresentedError::Unreadable(shown_text(cause));
        let (_, parsed) =
            X509Certificate::from_der(&der).map_err(|error| unreadable(error.to_string()))?;
        let at = |time: x509_parser::time::ASN1Time| {
            Timestamp::from_second(time.timestamp()).map_err(|error| unreadable(error.to_string()))
        };
        let names = match parsed.subject_alternative_name() {
            Ok(Some(extension)) => extension.value.general_names.iter().map(name).collect(),
            _ => Vec::new(),
        };
        Ok(Self {
            fingerprint: Fingerprint::of(&der),
            subject: shown_text(parsed.subject().to_string()),
            issuer: shown_text(parsed.issuer().to_string()),
            names,
            not_before: at(parsed.validity().not_before)?,
            not_after: at(parsed.validity().not_after)?,
            der,
        })
    }
}

fn name(name: &GeneralName<'_>) -> String {
    let text = match name {
        GeneralName::DNSName(name) => (*name).to_owned(),
        GeneralName::IPAddress(bytes) => match <[u8; 4]>::try_from(*bytes) {
            Ok(four) => std::net::Ipv4Addr::from(four).to_string(),
            Err(_) => match <[u8; 16]>::try_from(*bytes) {
                Ok(sixteen) => std::net::Ipv6Addr::from(sixteen).to_string(),
                Err(_) => "an address of odd length".to_owned(),
            },
        },
        other => other.to_string(),
    };
    extend_common::wire::shown_text(text)
}
