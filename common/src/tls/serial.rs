//! The serial number of a certificate: 128 random bits.
//!
//! Owns its form. Given out by [`super::issue`], read back by [`super::peer`], shown in the audit
//! log, so that one can tell which certificate a connection was made with.

use std::fmt;

use data_encoding::HEXLOWER;

/// A certificate's serial number. Written as 32 hexadecimal digits.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Serial(pub [u8; 16]);

impl Serial {
    /// From the contents of a DER INTEGER; `None` if it is longer than ours are, or negative.
    pub(super) fn from_der_integer(contents: &[u8]) -> Option<Self> {
        let digits = match contents {
            [] | [0x80..=0xff, ..] => return None,
            [0, rest @ ..] => rest,
            all => all,
        };
        let mut serial = [0; 16];
        let start = serial.len().checked_sub(digits.len())?;
        serial.get_mut(start..)?.copy_from_slice(digits);
        Some(Self(serial))
    }
}

impl fmt::Display for Serial {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&HEXLOWER.encode(&self.0))
    }
}

impl fmt::Debug for Serial {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_der_integer_is_read_whatever_its_length() {
        let read = |bytes: &[u8]| Serial::from_der_integer(bytes).map(|serial| serial.0);
        assert_eq!(read(&[0x7f; 16]), Some([0x7f; 16]));
        let mut padded = vec![0];
        padded.extend([0xff; 16]);
        assert_eq!(read(&padded), Some([0xff; 16]));
        assert_eq!(
            read(&[1, 2]),
            Some([0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1, 2])
        );
        assert_eq!(read(&[0]), Some([0; 16]));
    }

    #[test]
    fn a_foreign_serial_is_none() {
        for foreign in [&[][..], &[0x80], &[1; 17]] {
            assert_eq!(Serial::from_der_integer(foreign), None);
        }
    }
}
