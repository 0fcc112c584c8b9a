//! The fingerprint by which a joining node recognises the controller's authority.
//!
//! Owns its computation and its two spellings. Used in the join token, by the pinning verifier and
//! wherever a certificate is shown. It says nothing about whether a certificate is valid.

use std::fmt;
use std::str::FromStr;

use data_encoding::HEXLOWER_PERMISSIVE;

use crate::hash::sha256;

const PREFIX: &str = "sha256:";

/// SHA-256 of a certificate's DER. Written as `sha256:` and 64 hexadecimal digits.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Fingerprint(pub [u8; 32]);

impl Fingerprint {
    /// The fingerprint of this certificate.
    #[must_use]
    pub fn of(certificate_der: &[u8]) -> Self {
        Self(sha256(certificate_der))
    }
}

impl fmt::Display for Fingerprint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{PREFIX}{}", HEXLOWER_PERMISSIVE.encode(&self.0))
    }
}

impl fmt::Debug for Fingerprint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// The text is no fingerprint.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
#[error("not a fingerprint: expected sha256: and 64 hexadecimal digits")]
pub struct ParseFingerprintError;

impl FromStr for Fingerprint {
    type Err = ParseFingerprintError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let digits = text.strip_prefix(PREFIX).ok_or(ParseFingerprintError)?;
        let bytes = HEXLOWER_PERMISSIVE
            .decode(digits.as_bytes())
            .map_err(|_| ParseFingerprintError)?;
        bytes
            .try_into()
            .map(Self)
            .map_err(|_| ParseFingerprintError)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_is_the_sha256_of_the_bytes_and_reads_back() {
        let fingerprint = Fingerprint::of(b"abc");
        let text = "sha256:ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad";
        assert_eq!(fingerprint.to_string(), text);
        assert_eq!(text.parse(), Ok(fingerprint));
        assert_eq!(text.replace("ba78", "BA78").parse(), Ok(fingerprint));
    }

    #[test]
    fn other_texts_are_refused() {
        let text = Fingerprint::of(b"abc").to_string();
        for wrong in [
            "",
            "sha256:",
            &text[7..],
            &text[..70],
            &format!("{text}00"),
            "sha1:00",
        ] {
            assert_eq!(
                wrong.parse::<Fingerprint>(),
                Err(ParseFingerprintError),
                "{wrong}"
            );
        }
    }
}
