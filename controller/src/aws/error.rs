//! Why a call came to nothing, and what that means.

use std::fmt;

/// Why a call came to nothing.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Ec2Error {
    /// What it means.
    pub means: Means,
    /// EC2's word for it; empty where it did not come so far.
    pub code: String,
    /// What EC2, or who was on the way, said.
    pub message: String,
}

impl fmt::Display for Ec2Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let message = self.message.trim_end_matches('.');
        if self.code.is_empty() {
            f.write_str(message)
        } else {
            write!(f, "{} ({message})", self.code)
        }
    }
}

impl std::error::Error for Ec2Error {}

/// What an error means.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Means {
    /// It is there already.
    Duplicate,
    /// It is not there.
    NotFound,
    /// Too many requests: nothing has happened.
    Throttled,
    /// The group has as many rules as it may have.
    Full,
    /// These credentials may not do it, or are none.
    Forbidden,
    /// There is no such group.
    NoGroup,
    /// Refused for another reason: nothing has happened.
    Refused,
    /// Whether it has happened is not known.
    Unclear,
}

impl Means {
    /// What EC2 means by a status and a code.
    pub(super) fn of(status: u16, code: &str) -> Self {
        match code {
            "InvalidPermission.Duplicate" => Self::Duplicate,
            "InvalidPermission.NotFound" | "InvalidSecurityGroupRuleId.NotFound" => Self::NotFound,
            "RequestLimitExceeded" | "Throttling" | "ThrottlingException" | "RequestThrottled" => {
                Self::Throttled
            }
            "RulesPerSecurityGroupLimitExceeded" => Self::Full,
            "UnauthorizedOperation"
            | "AuthFailure"
            | "Blocked"
            | "ExpiredToken"
            | "InvalidClientTokenId"
            | "MissingAuthenticationToken"
            | "OptInRequired"
            | "PendingVerification"
            | "RequestExpired"
            | "SignatureDoesNotMatch" => Self::Forbidden,
            "InvalidGroup.NotFound"
            | "InvalidGroupId.Malformed"
            | "InvalidGroupId.NotFound"
            | "InvalidSecurityGroupID.NotFound" => Self::NoGroup,
            _ if status == 429 => Self::Throttled,
            _ if matches!(status, 401 | 403) => Self::Forbidden,
            _ if (400..500).contains(&status) => Self::Refused,
            _ => Self::Unclear,
        }
    }
}
