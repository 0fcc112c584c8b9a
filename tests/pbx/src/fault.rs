//! What the stand-in is made to suffer from.

use std::time::Duration;

use serde::Deserialize;

/// A fault, and which calls it befalls.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Fault {
    /// Only calls of this method; of any when it is none.
    #[serde(default)]
    pub method: Option<String>,
    /// Only calls whose path (after `/api`) begins so.
    #[serde(default)]
    pub path: String,
    /// Only calls whose path ends so.
    #[serde(default)]
    pub ending: String,
    /// How many calls it befalls; all when it is none.
    #[serde(default)]
    pub times: Option<u32>,
    /// What happens.
    pub what: What,
}

/// What happens to a call.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum What {
    /// It is answered with a status, and nothing is done.
    Refuse {
        /// The status.
        status: u16,
        /// `Retry-After`, in seconds.
        #[serde(default)]
        wait: Option<u64>,
    },
    /// It is answered so much later.
    Delay {
        /// Milliseconds.
        ms: u64,
    },
    /// The connection breaks, and nothing is done.
    Break,
    /// It is done, and the answer is lost.
    Apply(After),
    /// It is done so much later, and never answered.
    Late {
        /// Milliseconds.
        ms: u64,
    },
}

/// What becomes of the answer to what was done.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum After {
    /// The connection breaks.
    Break,
    /// There is none.
    Silence,
    /// It is a status.
    Status(u16),
    /// It is something else than JSON.
    Garbage,
}

impl Fault {
    /// A fault of the next so many calls to a path.
    #[must_use]
    pub fn of(method: &str, path: &str, times: u32, what: What) -> Self {
        Self {
            method: Some(method.to_owned()),
            path: path.to_owned(),
            ending: String::new(),
            times: Some(times),
            what,
        }
    }

    pub(crate) fn befalls(&self, method: &str, path: &str) -> bool {
        self.times != Some(0)
            && self.method.as_deref().is_none_or(|wanted| wanted == method)
            && path.starts_with(&self.path)
            && path.ends_with(&self.ending)
    }
}

impl What {
    pub(crate) fn delay(&self) -> Duration {
        match self {
            Self::Delay { ms } | Self::Late { ms } => Duration::from_millis(*ms),
            _ => Duration::ZERO,
        }
    }
}
