//! The join token: one line that an operator carries from the controller to a node.
//!
//! ```text
//! extend1.<base64url of: controller address 4, port 2 · node 4 · fingerprint 32 · secret 16 · check 4>
//! ```
//!
//! Owns its spelling, and comparing its secret. Made by the controller (`extend node token`), read
//! by the agent (`extend-agent join`). Whether a token is still good is the controller's to say; of
//! the secret it keeps [`JoinToken::secret_hash`] only. The check is there for fingers, not for
//! attackers: it tells a bad paste from a wrong token before anything is dialled.

use std::fmt;
use std::net::{Ipv4Addr, SocketAddrV4};
use std::str::FromStr;

use data_encoding::BASE64URL_NOPAD;
use ring::rand::{SecureRandom, SystemRandom};
use subtle::ConstantTimeEq;

use super::fingerprint::Fingerprint;
use crate::hash::sha256;

/// The length of the secret: 128 bits.
pub const SECRET_LEN: usize = 16;

const PREFIX: &str = "extend1.";
const BODY_LEN: usize = 4 + 2 + 4 + 32 + SECRET_LEN;
const CHECK_LEN: usize = 4;
/// The number of characters in a token.
const TEXT_LEN: usize = PREFIX.len() + ((BODY_LEN + CHECK_LEN) * 8).div_ceil(6);

/// What a node needs to join, once.
#[derive(Clone)]
pub struct JoinToken {
    /// Where to enrol.
    pub controller: SocketAddrV4,
    /// Which node the token is for.
    pub node: Ipv4Addr,
    /// The authority to trust there.
    pub ca: Fingerprint,
    /// What proves that the token was given to the one who shows it.
    pub secret: [u8; SECRET_LEN],
}

/// Why a text is no token.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
pub enum ParseTokenError {
    /// It does not begin like one.
    #[error("not a join token: it should begin with {PREFIX}")]
    NotAToken,
    /// It ends too early.
    #[error("join token is cut off: {found} characters of {TEXT_LEN}")]
    CutOff {
        /// How many there are.
        found: usize,
    },
    /// It goes on too long.
    #[error("join token is too long: {found} characters in place of {TEXT_LEN}")]
    TooLong {
        /// How many there are.
        found: usize,
    },
    /// All of it is there, but it is not what was made.
    #[error("join token is garbled: its check does not match")]
    Garbled,
}

/// The system has no randomness to give.
#[derive(Debug, thiserror::Error)]
#[error("cannot make a secret: the system gave no randomness")]
pub struct NoRandomness;

impl JoinToken {
    /// A token with a new secret.
    ///
    /// # Errors
    /// Fails if the system has no randomness to give.
    pub fn generate(
        controller: SocketAddrV4,
        node: Ipv4Addr,
        ca: Fingerprint,
    ) -> Result<Self, NoRandomness> {
        let mut secret = [0; SECRET_LEN];
        SystemRandom::new()
            .fill(&mut secret)
            .map_err(|_| NoRandomness)?;
        Ok(Self {
            controller,
            node,
            ca,
            secret,
        })
    }

    /// What the controller keeps of the secret.
    #[must_use]
    pub fn secret_hash(&self) -> [u8; 32] {
        sha256(&self.secret)
    }

    fn body(&self) -> [u8; BODY_LEN] {
        let mut body = [0; BODY_LEN];
        let (controller, rest) = body.split_at_mut(4);
        let (port, rest) = rest.split_at_mut(2);
        let (node, rest) = rest.split_at_mut(4);
        let (ca, secret) = rest.split_at_mut(32);
        controller.copy_from_slice(&self.controller.ip().octets());
        port.copy_from_slice(&self.controller.port().to_be_bytes());
        node.copy_from_slice(&self.node.octets());
        ca.copy_from_slice(&self.ca.0);
        secret.copy_from_slice(&self.secret);
        body
    }
}

/// Whether a presented secret is the one of which `stored_hash` was kept. It takes the same time for
/// every secret of a length.
#[must_use]
pub fn secret_matches(stored_hash: &[u8; 32], presented: &[u8]) -> bool {
    sha256(presented).ct_eq(stored_hash).into()
}

/// The text includes the secret: this is for the operator's terminal, never for a log.
impl fmt::Display for JoinToken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let body = self.body();
        let mut bytes = Vec::with_capacity(BODY_LEN + CHECK_LEN);
        bytes.extend_from_slice(&body);
        bytes.extend_from_slice(&check(&body));
        write!(f, "{PREFIX}{}", BASE64URL_NOPAD.encode(&bytes))
    }
}

impl fmt::Debug for JoinToken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("JoinToken")
            .field("controller", &self.controller)
            .field("node", &self.node)
            .field("ca", &self.ca)
            .finish_non_exhaustive()
    }
}

impl FromStr for JoinToken {
    type Err = ParseTokenError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let text = text.trim();
        if !text.starts_with(PREFIX) {
            // A paste may end within the prefix, too.
            let cut = !text.is_empty() && PREFIX.starts_with(text);
            let found = text.len();
            return Err(if cut {
                ParseTokenError::CutOff { found }
            } else {
                ParseTokenError::NotAToken
            });
        }
        match text.chars().count() {
            found if found < TEXT_LEN => return Err(ParseTokenError::CutOff { found }),
            found if found > TEXT_LEN => return Err(ParseTokenError::TooLong { found }),
            _ => {}
        }
        parse_body(&text[PREFIX.len()..]).ok_or(ParseTokenError::Garbled)
    }
}

fn parse_body(text: &str) -> Option<JoinToken> {
    let bytes = BASE64URL_NOPAD.decode(text.as_bytes()).ok()?;
    let (body, found_check) = bytes.split_at_checked(BODY_LEN)?;
    if check(body) != found_check {
        return None;
    }
    let (controller, rest) = body.split_first_chunk::<4>()?;
    let (port, rest) = rest.split_first_chunk::<2>()?;
    let (node, rest) = rest.split_first_chunk::<4>()?;
    let (ca, secret) = rest.split_first_chunk::<32>()?;
    Some(JoinToken {
        controller: SocketAddrV4::new(Ipv4Addr::from(*controller), u16::from_be_bytes(*port)),
        node: Ipv4Addr::from(*node),
        ca: Fingerprint(*ca),
        secret: secret.try_into().ok()?,
    })
}

/// The prefix is part of it, so that another version of the token is another token.
fn check(body: &[u8]) -> [u8; CHECK_LEN] {
    let [a, b, c, d, ..] = sha256(&[PREFIX.as_bytes(), body].concat());
    [a, b, c, d]
}
