//! Why the controller refuses: a closed set of sentences, one variant for each that an operator
//! can read.
//!
//! Made by the core; `api/` carries it to the operator as it is. A refusal changes nothing: who
//! sees one may correct the command and run it again. Variants hold facts; their words stand
//! beside them, all four parts of one refusal in one place. The words are read at night: the
//! sentence names what was to be done, to what, and what is in the way; a cause adds what the
//! operator may not know; the hint is a command to run, with everything filled in that is known.

mod asked;
mod host;
mod misuse;
mod obstacle;
mod selection;
mod stranger;
mod turn;
mod unclaimed;
mod unfound;

use std::fmt;

use jiff::{Timestamp, Unit};

use extend_common::ids::{NodeAddr, OperationId, RoleName, ServerName};
use extend_common::operation::Verb;
use extend_common::wire::RefusalText;

pub use asked::{Action, Asked};
pub use misuse::Misuse;
pub use obstacle::{DefinitionGap, Obstacle};
pub use selection::Mismatch;
pub use stranger::{PeerFault, Stranger, TokenFault};
pub use unfound::Unfound;

/// Why the controller refuses.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Refusal {
    /// The command is wrong by itself.
    Misuse(Box<Misuse>),
    /// The selector and the fleet do not agree.
    Mismatch(Box<Mismatch>),
    /// Something is in the way at a server or its node.
    Obstacle(Box<Obstacle>),
    /// What was named is not there, or not there any more.
    Unfound(Box<Unfound>),
    /// A node that may not do what it asks for.
    Stranger(Stranger),
}

/// How a refusal is to be told.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RefusalKind {
    /// The command is wrong by itself.
    Usage,
    /// A rule of the controller forbids it.
    Rule,
    /// What it names is not there.
    NotFound,
    /// The caller may not.
    Denied,
}

impl Refusal {
    /// How it is to be told.
    pub fn kind(&self) -> RefusalKind {
        match self {
            Self::Misuse(_) => RefusalKind::Usage,
            Self::Mismatch(_) | Self::Obstacle(_) => RefusalKind::Rule,
            Self::Unfound(unfound) => unfound.kind(),
            Self::Stranger(_) => RefusalKind::Denied,
        }
    }

    /// Whether the command is wrong by itself (exit code 2) rather than refused by a rule (4).
    pub fn is_usage(&self) -> bool {
        self.kind() == RefusalKind::Usage
    }

    /// A stable word for programs.
    pub fn code(&self) -> &'static str {
        self.text().code
    }

    /// Operation, object and what is wrong, in one sentence.
    pub fn sentence(&self) -> String {
        self.text().sentence
    }

    /// What led to it; may be empty.
    pub fn causes(&self) -> Vec<String> {
        self.text().causes
    }

    /// The command to run next.
    pub fn hint(&self) -> String {
        self.text().hint
    }

    fn text(&self) -> Text {
        match self {
            Self::Misuse(misuse) => misuse.text(),
            Self::Mismatch(mismatch) => mismatch.text(),
            Self::Obstacle(obstacle) => obstacle.text(),
            Self::Unfound(unfound) => unfound.text(),
            Self::Stranger(stranger) => stranger.text(),
        }
    }
}

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.sentence())
    }
}

impl std::error::Error for Refusal {}

impl From<&Refusal> for RefusalText {
    fn from(refusal: &Refusal) -> Self {
        let Text {
            code,
            sentence,
            causes,
            hint,
        } = refusal.text();
        Self {
            code: code.to_owned(),
            sentence,
            causes,
            hint,
        }
    }
}

macro_rules! into_refusal {
    ($($name:ident $($boxed:ident)?),* $(,)?) => {$(
        impl From<$name> for Refusal {
            fn from(fault: $name) -> Self {
                Self::$name($($boxed::new)?(fault))
            }
        }
    )*};
}
// The large ones are boxed: a refusal is the rare answer, and results are passed about by value.
into_refusal!(Misuse Box, Mismatch Box, Obstacle Box, Unfound Box, Stranger);

/// The words of one refusal.
struct Text {
    code: &'static str,
    sentence: String,
    causes: Vec<String>,
    hint: String,
}

impl Text {
    fn new(code: &'static str, sentence: String, hint: String) -> Self {
        Self {
            code,
            sentence,
            causes: Vec::new(),
            hint,
        }
    }

    fn because(mut self, cause: impl Into<String>) -> Self {
        self.causes.push(cause.into());
        self
    }

    /// Names as many as fit and counts the rest: a fleet has thousands.
    fn listing(self, what: &str, servers: &[Known]) -> Self {
        if servers.is_empty() {
            return self;
        }
        let named: Vec<_> = servers
            .iter()
            .take(MOST_NAMED)
            .map(Known::to_string)
            .collect();
        let more = servers.len().saturating_sub(MOST_NAMED);
        let more = if more > 0 {
            format!(", and {more} more")
        } else {
            String::new()
        };
        self.because(format!("{what} {}{more}", named.join(", ")))
    }
}

/// A list in a cause names so many and counts the rest.
const MOST_NAMED: usize = 6;

/// A server, as sentences name it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Known {
    /// Its portal name.
    pub name: ServerName,
    /// Its role.
    pub role: RoleName,
    /// Where it is.
    pub node: NodeAddr,
}

impl fmt::Display for Known {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} ({}) at {}", self.name, self.role, self.node)
    }
}

/// A server that an open operation holds.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Held {
    /// The server.
    pub server: Known,
    /// The operation.
    pub operation: OperationId,
    /// What it does.
    pub verb: Verb,
    /// Who began it.
    pub by: String,
    /// Why, in that operator's words; may be empty.
    pub message: String,
    /// When.
    pub since: Timestamp,
}

/// A moment, to the second.
pub(crate) fn moment(at: Timestamp) -> String {
    at.round(Unit::Second).unwrap_or(at).to_string()
}
