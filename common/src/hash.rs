//! Hashes of 32 bytes, in text as lower-case hexadecimal digits: one type for each thing that is
//! hashed, so that none is taken for another's.

use data_encoding::HEXLOWER;

/// The digits of a hash.
#[must_use]
pub fn encode(bytes: &[u8]) -> String {
    HEXLOWER.encode(bytes)
}

/// The hash that these digits are.
///
/// # Errors
/// A sentence, when they are none. `what` is the thing: `a digest`.
pub fn decode(what: &str, text: &str) -> Result<[u8; 32], String> {
    let bytes = HEXLOWER
        .decode(text.as_bytes())
        .map_err(|error| error.to_string())?;
    bytes.try_into().map_err(|_| format!("{what} has 32 bytes"))
}

/// SHA-256.
#[must_use]
pub fn sha256(bytes: &[u8]) -> [u8; 32] {
    let mut hash = [0; 32];
    hash.copy_from_slice(ring::digest::digest(&ring::digest::SHA256, bytes).as_ref());
    hash
}

/// Makes a type of hash: `hash_type!(/** What is hashed. */ Digest, "a digest");`
#[macro_export]
macro_rules! hash_type {
    ($(#[$about:meta])* $name:ident, $what:literal) => {
        $(#[$about])*
        #[derive(Clone, Copy, PartialEq, Eq, Hash, ::serde::Serialize, ::serde::Deserialize)]
        #[serde(try_from = "String", into = "String")]
        pub struct $name(pub [u8; 32]);

        impl ::std::fmt::Display for $name {
            fn fmt(&self, f: &mut ::std::fmt::Formatter<'_>) -> ::std::fmt::Result {
                f.write_str(&$crate::hash::encode(&self.0))
            }
        }

        impl ::std::fmt::Debug for $name {
            fn fmt(&self, f: &mut ::std::fmt::Formatter<'_>) -> ::std::fmt::Result {
                f.write_str(&$crate::hash::encode(self.0.get(..4).unwrap_or_default()))
            }
        }

        impl From<$name> for String {
            fn from(hash: $name) -> Self {
                hash.to_string()
            }
        }

        impl TryFrom<String> for $name {
            type Error = String;

            fn try_from(text: String) -> Result<Self, String> {
                $crate::hash::decode($what, &text).map(Self)
            }
        }
    };
}

#[cfg(test)]
mod tests {
    hash_type!(
        /// Something.
        Something,
        "a something"
    );

    #[test]
    fn a_hash_is_written_as_it_is_read_and_nothing_else_is() {
        let hash = Something([0xab; 32]);
        assert_eq!(hash.to_string(), "ab".repeat(32));
        assert_eq!(format!("{hash:?}"), "abababab");
        assert_eq!(Something::try_from(hash.to_string()), Ok(hash));
        let short = Something::try_from("ab".repeat(31)).unwrap_err();
        assert_eq!(short, "a something has 32 bytes");
        for wrong in ["", "AB", "xy", "abc"] {
            assert!(Something::try_from(wrong.to_owned()).is_err(), "{wrong}");
        }
    }
}
