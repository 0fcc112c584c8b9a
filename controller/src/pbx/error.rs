//! What can go wrong with the PBX, in words.
//!
//! Each error says what was tried and why it failed; [`PbxError::hint`] says what to do. Texts of
//! the PBX are made fit to be shown before they come here; nothing secret ever does.

use std::path::PathBuf;
use std::time::Duration;

use super::password::PasswordError;

/// The permission that the account needs.
const PERMISSION: &str = "System Settings: Full Access";

/// What the PBX said when it refused.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Refusal {
    /// The HTTP status.
    pub status: u16,
    /// Its own code for it; `UNKNOWN` when it gave none.
    pub code: String,
    /// Its words; empty when it gave none.
    pub message: String,
}

impl std::fmt::Display for Refusal {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        if !self.message.is_empty() {
            write!(f, "{}, ", self.message)?;
        }
        write!(f, "{} (HTTP {})", self.code, self.status)
    }
}

/// Why a call came to nothing, or to nothing that is known.
#[derive(Debug, thiserror::Error)]
pub enum PbxError {
    /// There is no connection.
    #[error("cannot {doing}: the PBX at {base} cannot be reached: {cause}")]
    Unreachable {
        /// What was to be done.
        doing: String,
        /// Where the API is.
        base: String,
        /// What the network said.
        cause: String,
    },
    /// The connection broke, or no answer came, after the question was sent.
    #[error("cannot tell whether the PBX did it: {doing}: {cause}")]
    Lost {
        /// What was to be done.
        doing: String,
        /// What happened.
        cause: String,
        /// Whether it was a change; one that was only asked can be asked again.
        change: bool,
    },
    /// The certificate is not the pinned one, or from nobody who is trusted.
    #[error("cannot {doing}: the certificate of the PBX at {base} is not trusted: {cause}")]
    Certificate {
        /// What was to be done.
        doing: String,
        /// Where the API is.
        base: String,
        /// Why not.
        cause: String,
    },
    /// The file with the pinned certificate cannot be used.
    #[error("cannot use the pinned certificate {}: {cause}", path.display())]
    Pin {
        /// The file.
        path: PathBuf,
        /// Why not.
        cause: String,
    },
    /// There is no password.
    #[error("cannot sign in at the PBX: {0}")]
    Password(#[from] PasswordError),
    /// The PBX does not take the account.
    #[error("cannot sign in at the PBX as {username}: {refusal}")]
    Unauthorised {
        /// The account.
        username: String,
        /// What the PBX said.
        refusal: Refusal,
    },
    /// The account wants a second factor.
    #[error(
        "cannot sign in at the PBX as {username}: the account has two-factor authentication, which a program cannot pass"
    )]
    TwoFactor {
        /// The account.
        username: String,
    },
    /// The account may not do this.
    #[error(
        "cannot {doing}: the PBX does not allow it to {username} ({refusal}): the permission \"{PERMISSION}\" is needed"
    )]
    Forbidden {
        /// What was to be done.
        doing: String,
        /// The account.
        username: String,
        /// What the PBX said.
        refusal: Refusal,
    },
    /// The PBX wants fewer questions.
    #[error("cannot {doing}: the PBX asks to be left alone for now ({refusal})")]
    Throttled {
        /// What was to be done.
        doing: String,
        /// How long, if it said so.
        wait: Option<Duration>,
        /// What the PBX said.
        refusal: Refusal,
    },
    /// The PBX refused.
    #[error("cannot {doing}: the PBX refused: {refusal}")]
    Refused {
        /// What was to be done.
        doing: String,
        /// What the PBX said.
        refusal: Refusal,
        /// Whether it was a change.
        change: bool,
    },
    /// The answer is none that the API has.
    #[error("cannot {doing}: the answer of the PBX cannot be understood: {cause}")]
    Malformed {
        /// What was to be done.
        doing: String,
        /// Why not.
        cause: String,
        /// Whether it was a change.
        change: bool,
    },
}

impl PbxError {
    /// Whether a change may have been made: look before asking again.
    #[must_use]
    pub fn outcome_unknown(&self) -> bool {
        match self {
            Self::Lost { change, .. } | Self::Malformed { change, .. } => *change,
            // It broke while it worked on it.
            Self::Refused {
                refusal, change, ..
            } => *change && refusal.status >= 500,
            _ => false,
        }
    }

    /// Whether asking again a little later, with nothing changed, may be all that it takes.
    #[must_use]
    pub fn passes(&self) -> bool {
        match self {
            Self::Unreachable { .. } | Self::Lost { .. } | Self::Throttled { .. } => true,
            Self::Refused { refusal, .. } => refusal.status >= 500,
            _ => false,
        }
    }

    /// How long the PBX wants to be left alone, if it said so.
    #[must_use]
    pub fn wait(&self) -> Option<Duration> {
        match self {
            Self::Throttled { wait, .. } => *wait,
            _ => None,
        }
    }

    /// What the PBX said, if it was the PBX that refused.
    #[must_use]
    pub fn refusal(&self) -> Option<&Refusal> {
        match self {
            Self::Unauthorised { refusal, .. }
            | Self::Forbidden { refusal, .. }
            | Self::Throttled { refusal, .. }
            | Self::Refused { refusal, .. } => Some(refusal),
            _ => None,
        }
    }

    /// What to do.
    #[must_use]
    pub fn hint(&self) -> String {
        match self {
            Self::Unreachable { base, .. } => {
                format!("curl -k {base}/api/info    (and see pbx.api in the configuration)")
            }
            Self::Lost { .. } => {
                "it is looked again before anything is repeated; nothing to do".to_owned()
            }
            Self::Certificate { .. } => {
                "compare the fingerprint with the certificate on the PBX, then: sudo extend pbx trust"
                    .to_owned()
            }
            Self::Pin { .. } => "sudo extend pbx trust".to_owned(),
            Self::Password(error) => error.hint(),
            Self::Unauthorised { .. } => {
                "see pbx.username and pbx.password_file in the configuration".to_owned()
            }
            Self::TwoFactor { .. } => {
                "make an account of its own for Extend in the portal, without two-factor \
                 authentication"
                    .to_owned()
            }
            Self::Forbidden { username, .. } => {
                format!("in the portal, give {username} a role with \"{PERMISSION}\"")
            }
            Self::Throttled { .. } => "it is tried again by itself".to_owned(),
            Self::Refused { refusal, .. } if refusal.status >= 500 => {
                "look at the PBX; it is tried again by itself".to_owned()
            }
            Self::Refused { .. } => "look at the entry in the portal".to_owned(),
            Self::Malformed { .. } => {
                "is pbx.api the address of the PBX, and its version 22 or newer?".to_owned()
            }
        }
    }
}
