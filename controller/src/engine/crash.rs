//! Where a controller can die: every point between an input and its effects, by name.
//!
//! Tests stop the engine there, in memory ([`CrashHook`]) or as a process (feature `failpoints`
//! and `EXTEND_CRASH_AT`). In a package there is neither.

use std::fmt;
use std::future::Future;
use std::pin::Pin;

macro_rules! kinds {
    ($($(#[$doc:meta])* $name:ident => $word:literal),* $(,)?) => {
        /// The kinds of input to the engine.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
        pub enum InputKind { $($(#[$doc])* $name),* }

        impl InputKind {
            /// Every kind.
            pub const ALL: &'static [Self] = &[$(Self::$name),*];

            fn word(self) -> &'static str {
                match self { $(Self::$name => $word),* }
            }
        }
    };
}

kinds! {
    /// A verb.
    Submit => "submit",
    /// `extend op retry`
    Retry => "retry",
    /// `extend op cancel`
    Cancel => "cancel",
    /// Something that changes nothing.
    Question => "question",
    /// `extend node token`
    MintToken => "mint-token",
    /// `extend shim repair`
    NoteShim => "note-shim",
    /// A node joins.
    SpendToken => "spend-token",
    /// A node got a new certificate.
    Renewed => "renewed",
    /// `extend node revoke`
    Revoke => "revoke",
    /// `extend node remove`
    Remove => "remove",
    /// A hello.
    SessionOpened => "session-opened",
    /// A status.
    Report => "report",
    /// A sign of life.
    Heartbeat => "heartbeat",
    /// A piece of an agent's journal.
    Events => "events",
    /// A connection is gone.
    SessionClosed => "session-closed",
    /// `extend controller recover`
    Recover => "recover",
    /// Rows of the archive are too old.
    Prune => "prune",
    /// A look at the portal.
    PortalSeen => "portal-seen",
    /// What came of sending a notice.
    Delivered => "delivered",
    /// Alerts are acknowledged, or silenced.
    Alerts => "alerts",
    /// What an enforcer has come to.
    Enforced => "enforced",
    /// Time has passed.
    Tick => "tick",
}

/// Where in the life of an input.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Moment {
    /// It is in memory only.
    BeforeCommit,
    /// It is on the disk, and nobody has been told.
    AfterCommit,
    /// Agents have been told, and whoever asked has not been answered.
    BeforeReplies,
    /// Everybody has been told.
    AfterReplies,
}

impl Moment {
    /// Every moment.
    pub const ALL: &'static [Self] = &[
        Self::BeforeCommit,
        Self::AfterCommit,
        Self::BeforeReplies,
        Self::AfterReplies,
    ];

    fn word(self) -> &'static str {
        match self {
            Self::BeforeCommit => "before-commit",
            Self::AfterCommit => "after-commit",
            Self::BeforeReplies => "before-replies",
            Self::AfterReplies => "after-replies",
        }
    }
}

/// A point where a controller can die.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum CrashPoint {
    /// At its start, with the epoch raised and nothing loaded.
    EpochRaised,
    /// At its start, with everything loaded.
    Loaded,
    /// In a recovery, with the epoch raised above the agents' and no record taken back.
    RecoverRaised,
    /// On the way of an input to its effects.
    Input(Moment, InputKind),
}

impl CrashPoint {
    const FIXED: [Self; 3] = [Self::EpochRaised, Self::Loaded, Self::RecoverRaised];

    /// Every point.
    pub const ALL: [Self; Self::FIXED.len() + Moment::ALL.len() * InputKind::ALL.len()] = {
        let mut all =
            [Self::EpochRaised; Self::FIXED.len() + Moment::ALL.len() * InputKind::ALL.len()];
        let mut at = 0;
        while at < Self::FIXED.len() {
            all[at] = Self::FIXED[at];
            at += 1;
        }
        while at < all.len() {
            let input = at - Self::FIXED.len();
            all[at] = Self::Input(
                Moment::ALL[input % Moment::ALL.len()],
                InputKind::ALL[input / Moment::ALL.len()],
            );
            at += 1;
        }
        all
    };
}

impl fmt::Display for CrashPoint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::EpochRaised => f.write_str("epoch-raised"),
            Self::Loaded => f.write_str("loaded"),
            Self::RecoverRaised => f.write_str("recover-raised"),
            Self::Input(moment, input) => write!(f, "{}:{}", moment.word(), input.word()),
        }
    }
}

/// Told of every point that is reached. A future that never resolves is a death there: the
/// engine does nothing more, and its store is what a successor finds.
pub trait CrashHook: Send + Sync + 'static {
    /// The engine is at `point`.
    fn at(&self, point: CrashPoint) -> Pin<Box<dyn Future<Output = ()> + Send + '_>>;
}

/// Lives.
#[derive(Debug, Clone, Copy, Default)]
pub struct NoCrash;

impl CrashHook for NoCrash {
    fn at(&self, _: CrashPoint) -> Pin<Box<dyn Future<Output = ()> + Send + '_>> {
        Box::pin(std::future::ready(()))
    }
}

/// Dies as a process dies, at the point that `EXTEND_CRASH_AT` names: `before-commit:submit`, or
/// `before-commit:submit:3` for the third time it is reached.
#[cfg(feature = "failpoints")]
#[derive(Debug)]
pub struct AbortAt {
    point: String,
    left: std::sync::atomic::AtomicU64,
}

#[cfg(feature = "failpoints")]
impl AbortAt {
    /// What the environment asks for, if it asks for anything.
    pub fn from_environment() -> Option<Self> {
        Self::parse(&std::env::var("EXTEND_CRASH_AT").ok()?)
    }

    fn parse(text: &str) -> Option<Self> {
        let (point, count) = match text.rsplit_once(':') {
            Some((point, count)) if count.parse::<u64>().is_ok() => (point, count.parse().ok()?),
            _ => (text, 1),
        };
        CrashPoint::ALL
            .iter()
            .find(|known| known.to_string() == point)?;
        Some(Self {
            point: point.to_owned(),
            left: std::sync::atomic::AtomicU64::new(count),
        })
    }
}

#[cfg(feature = "failpoints")]
impl CrashHook for AbortAt {
    fn at(&self, point: CrashPoint) -> Pin<Box<dyn Future<Output = ()> + Send + '_>> {
        use std::sync::atomic::Ordering;
        if point.to_string() == self.point && self.left.fetch_sub(1, Ordering::SeqCst) == 1 {
            std::process::abort();
        }
        Box::pin(std::future::ready(()))
    }
}

#[cfg(all(test, feature = "failpoints"))]
mod tests {
    use super::*;

    #[test]
    fn the_environment_names_a_point_and_which_time() {
        let read = |text| AbortAt::parse(text).map(|at| (at.point, at.left.into_inner()));
        let submit = "before-commit:submit".to_owned();
        assert_eq!(read("before-commit:submit"), Some((submit.clone(), 1)));
        assert_eq!(read("before-commit:submit:3"), Some((submit, 3)));
        assert_eq!(read("loaded:2"), Some(("loaded".to_owned(), 2)));
        assert_eq!(read("somewhere"), None);
    }
}
