//! Certificates as PEM text, the form they have on disk.
//!
//! Owns nothing but the two conversions. Used by the authority for `ca.crt` and by the agent for
//! the certificates it keeps. Private keys have their own place: [`super::key`].

use rustls_pki_types::CertificateDer;
use rustls_pki_types::pem::PemObject;

const BEGIN: &str = "-----BEGIN CERTIFICATE-----\n";
const END: &str = "-----END CERTIFICATE-----\n";
/// The line length RFC 7468 asks for.
const LINE: usize = 64;

/// The text does not begin with a certificate.
#[derive(Debug, thiserror::Error)]
#[error("not a certificate in PEM form")]
pub struct NotPem(#[source] rustls_pki_types::pem::Error);

/// One certificate as text.
#[must_use]
pub fn encode(certificate: &CertificateDer<'_>) -> String {
    let base64 = data_encoding::BASE64.encode(certificate);
    let mut text = String::from(BEGIN);
    let mut rest = base64.as_str();
    while !rest.is_empty() {
        let (line, after) = rest.split_at(rest.len().min(LINE));
        text.push_str(line);
        text.push('\n');
        rest = after;
    }
    text + END
}

/// The first certificate in the text.
///
/// # Errors
/// Fails if there is none.
pub fn decode(text: &[u8]) -> Result<CertificateDer<'static>, NotPem> {
    CertificateDer::from_pem_slice(text).map_err(NotPem)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_reads_back_and_keeps_to_the_line_length() {
        for length in [1, 47, 48, 49, 500] {
            let certificate = CertificateDer::from(vec![7; length]);
            let text = encode(&certificate);
            assert!(text.lines().all(|line| line.len() <= LINE), "{text}");
            assert_eq!(decode(text.as_bytes()).unwrap(), certificate);
        }
    }

    #[test]
    fn anything_else_is_refused() {
        assert!(decode(b"").is_err());
        assert!(decode(b"-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----\n").is_err());
    }
}
