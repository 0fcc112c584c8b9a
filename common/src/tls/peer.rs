//! Which node a client certificate speaks for.
//!
//! Owns reading the identity out of a certificate that TLS has verified already. Called by the
//! acceptor for every connection of an agent. The input is a stranger's until the last line: an
//! identity that is not exactly in the form the authority dictates is no identity.

use std::net::Ipv4Addr;

use jiff::Timestamp;
use x509_parser::extensions::{ExtendedKeyUsage, GeneralName};
use x509_parser::prelude::{FromDer, X509Certificate};

use super::public_key::{PublicKeyError, p256_point};
use super::serial::Serial;

/// The node at the other end of a connection, as its verified certificate names it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PeerNode {
    /// The node: the only address in the certificate.
    pub node: Ipv4Addr,
    /// Its public key, as a DER `SubjectPublicKeyInfo`.
    pub spki: Vec<u8>,
    /// When the certificate ends.
    pub not_after: Timestamp,
    /// The serial number of the certificate.
    pub serial: Serial,
}

/// Why a certificate names no node.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
pub enum PeerError {
    /// No certificate was presented.
    #[error("no client certificate")]
    NoCertificate,
    /// Not a certificate in DER, or something follows it.
    #[error("client certificate is malformed")]
    Malformed,
    /// No list of purposes, or another one than ours.
    #[error("client certificate is not for client authentication alone")]
    Purpose,
    /// The names are not exactly one IPv4 address.
    #[error("client certificate does not name exactly one IPv4 address")]
    Address,
    /// The serial number is none that the authority gives.
    #[error("client certificate has a serial number of a foreign form")]
    Serial,
    /// The key is none that the authority certifies.
    #[error("client certificate has a foreign key")]
    Key(#[from] PublicKeyError),
}

impl PeerNode {
    /// Reads the identity from a leaf certificate. Signature, dates and issuer are TLS's to verify.
    ///
    /// # Errors
    /// Fails if anything is not as the authority issues it.
    pub fn from_certificate(der: &[u8]) -> Result<Self, PeerError> {
        let (rest, certificate) =
            X509Certificate::from_der(der).map_err(|_| PeerError::Malformed)?;
        if !rest.is_empty() {
            return Err(PeerError::Malformed);
        }
        // Both of these fail on an extension that is there twice.
        let purpose = certificate
            .extended_key_usage()
            .map_err(|_| PeerError::Malformed)?;
        if !purpose.is_some_and(|extension| is_client_only(extension.value)) {
            return Err(PeerError::Purpose);
        }
        let names = certificate
            .subject_alternative_name()
            .map_err(|_| PeerError::Malformed)?;
        let names = names.map_or(&[][..], |extension| &extension.value.general_names);
        let [GeneralName::IPAddress(address)] = names else {
            return Err(PeerError::Address);
        };
        let address: [u8; 4] = (*address).try_into().map_err(|_| PeerError::Address)?;
        p256_point(certificate.public_key())?;
        Ok(Self {
            node: Ipv4Addr::from(address),
            spki: certificate.public_key().raw.to_vec(),
            not_after: Timestamp::from_second(certificate.validity().not_after.timestamp())
                .map_err(|_| PeerError::Malformed)?,
            serial: Serial::from_der_integer(certificate.raw_serial()).ok_or(PeerError::Serial)?,
        })
    }
}

fn is_client_only(purposes: &ExtendedKeyUsage<'_>) -> bool {
    // Taken apart in full, so that a purpose the parser learns of does not slip through.
    let ExtendedKeyUsage {
        any,
        server_auth,
        client_auth,
        code_signing,
        email_protection,
        time_stamping,
        ocsp_signing,
        other,
    } = purposes;
    let others = [
        any,
        server_auth,
        code_signing,
        email_protection,
        time_stamping,
        ocsp_signing,
    ];
    *client_auth && !others.into_iter().any(|purpose| *purpose) && other.is_empty()
}
