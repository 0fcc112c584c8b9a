//! Trust in an authority of which only the fingerprint is known.
//!
//! Owns the verifier of a joining node: the chain must hold the pinned authority, and the leaf must
//! be its work. Used by [`super::client`]. There is no trust on first use: with another authority
//! the handshake fails, so that the token's secret is never sent.

use std::fmt;
use std::sync::Arc;

use rustls::client::WebPkiServerVerifier;
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::crypto::{WebPkiSupportedAlgorithms, verify_tls13_signature};
use rustls::{
    CertificateError, DigitallySignedStruct, OtherError, PeerIncompatible, RootCertStore,
    SignatureScheme,
};
use rustls_pki_types::{CertificateDer, ServerName, UnixTime};
use x509_parser::prelude::{FromDer, X509Certificate};

use super::fingerprint::Fingerprint;
use super::provider;

/// The server's chain does not hold the authority that was pinned.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PinMismatch {
    /// The fingerprint that was pinned.
    pub expected: Fingerprint,
    /// The fingerprints of what the server presented beside its own certificate.
    pub presented: Vec<Fingerprint>,
}

impl fmt::Display for PinMismatch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "expected the authority {}, the server presented ",
            self.expected
        )?;
        match self.presented.as_slice() {
            [] => f.write_str("none"),
            [first, rest @ ..] => {
                write!(f, "{first}")?;
                rest.iter().try_for_each(|next| write!(f, ", {next}"))
            }
        }
    }
}

impl std::error::Error for PinMismatch {}

/// Verifies a server by the fingerprint of its authority.
#[derive(Debug)]
pub(super) struct PinnedAuthority {
    expected: Fingerprint,
    algorithms: WebPkiSupportedAlgorithms,
}

impl PinnedAuthority {
    pub(super) fn new(expected: Fingerprint) -> Self {
        Self {
            expected,
            algorithms: provider().signature_verification_algorithms,
        }
    }

    /// The pinned certificate among those presented. The fingerprint fixes every byte of it, so
    /// that a stranger can at most leave it out.
    fn find<'a>(
        &self,
        presented: &'a [CertificateDer<'a>],
    ) -> Result<&'a CertificateDer<'a>, rustls::Error> {
        presented
            .iter()
            .find(|certificate| Fingerprint::of(certificate) == self.expected)
            .filter(|certificate| is_authority(certificate))
            .ok_or_else(|| {
                let presented = presented.iter().map(|der| Fingerprint::of(der)).collect();
                let mismatch = PinMismatch {
                    expected: self.expected,
                    presented,
                };
                CertificateError::Other(OtherError(Arc::new(mismatch))).into()
            })
    }
}

impl ServerCertVerifier for PinnedAuthority {
    fn verify_server_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        server_name: &ServerName<'_>,
        ocsp_response: &[u8],
        now: UnixTime,
    ) -> Result<ServerCertVerified, rustls::Error> {
        let mut roots = RootCertStore::empty();
        roots.add(self.find(intermediates)?.clone().into_owned())?;
        WebPkiServerVerifier::builder_with_provider(roots.into(), provider())
            .build()
            .map_err(|e| rustls::Error::General(e.to_string()))?
            .verify_server_cert(end_entity, &[], server_name, ocsp_response, now)
    }

    fn verify_tls12_signature(
        &self,
        _: &[u8],
        _: &CertificateDer<'_>,
        _: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        Err(PeerIncompatible::ServerTlsVersionIsDisabledByOurConfig.into())
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

fn is_authority(certificate: &CertificateDer<'_>) -> bool {
    X509Certificate::from_der(certificate).is_ok_and(|(_, parsed)| parsed.is_ca())
}
