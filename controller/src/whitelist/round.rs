//! What one look of an enforcer came to.

use std::collections::BTreeSet;
use std::net::Ipv4Addr;

use jiff::Timestamp;

use super::{EnforcerKind, Entry, OverLimit, Standing};

/// What one look of an enforcer came to; it replaces what the enforcer told before.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Round {
    /// Who looked.
    pub enforcer: EnforcerKind,
    /// When.
    pub at: Timestamp,
    /// What was seen, or why nothing could be.
    pub result: Result<Seen, Problem>,
}

/// What was there at the last look of a round.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Seen {
    /// How every address stands that this enforcer lets in, or has to let go.
    pub standings: Vec<Standing>,
    /// Entries of ours that belong to no row.
    pub orphans: Vec<Entry>,
    /// Entries of others that let wanted addresses in.
    pub foreign_accepts: Vec<Entry>,
    /// Entries that keep wanted addresses out.
    pub denies: Vec<Entry>,
    /// Withdrawn addresses of which nothing of ours is left here.
    pub gone: BTreeSet<Ipv4Addr>,
    /// What a person had changed and was put right in this round, a sentence each.
    pub drift: Vec<String>,
    /// More would have to be added than there may be.
    pub over_limit: Option<OverLimit>,
    /// What could not be done although it could be seen that it has to be.
    pub trouble: Option<Problem>,
}

/// Why an enforcer could not look, or not do what follows.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Problem {
    /// Operation, object and cause.
    pub sentence: String,
    /// What a person can do about it.
    pub hint: String,
    /// Since when it has been so.
    pub since: Timestamp,
}
