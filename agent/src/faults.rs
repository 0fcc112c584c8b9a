//! Where the agent can be killed by a test: before and after the effect of every step, and around
//! every write of the ledger. Listed from the code, so that a new step cannot be missed.

use async_trait::async_trait;

use crate::core::step::StepKind;

/// A moment in the agent's work.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum FaultPoint {
    /// The intent is on disk, nothing has been done.
    Before(StepKind),
    /// The effect has happened, nothing has been noted.
    After(StepKind),
    /// The end of the step is on disk.
    Noted(StepKind),
    /// A record has come and is not on disk.
    Accepting,
    /// The record is on disk, and nobody has been told.
    Accepted,
}

impl FaultPoint {
    /// Every point.
    pub fn all() -> Vec<Self> {
        let steps = StepKind::ALL
            .into_iter()
            .flat_map(|kind| [Self::Before(kind), Self::After(kind), Self::Noted(kind)]);
        steps.chain([Self::Accepting, Self::Accepted]).collect()
    }
}

impl std::fmt::Display for FaultPoint {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{self:?}")
    }
}

/// Is told of every point as it is reached; a test does not return from the one it kills at.
#[async_trait]
pub trait Faults: Send + Sync + 'static {
    /// The agent is at this point.
    async fn at(&self, point: FaultPoint);
}

/// No faults.
#[derive(Debug, Clone, Copy, Default)]
pub struct NoFaults;

#[async_trait]
impl Faults for NoFaults {
    async fn at(&self, _: FaultPoint) {}
}

/// Kills the process at the point that `EXTEND_CRASH_AT` names, as `kill -9` would. Only in
/// builds for tests.
#[cfg(feature = "failpoints")]
#[derive(Debug, Clone)]
pub struct CrashFromEnvironment(Option<String>);

#[cfg(feature = "failpoints")]
impl CrashFromEnvironment {
    /// Reads the variable.
    pub fn new() -> Self {
        Self(std::env::var("EXTEND_CRASH_AT").ok())
    }
}

#[cfg(feature = "failpoints")]
impl Default for CrashFromEnvironment {
    fn default() -> Self {
        Self::new()
    }
}

#[cfg(feature = "failpoints")]
#[async_trait]
impl Faults for CrashFromEnvironment {
    async fn at(&self, point: FaultPoint) {
        if self.0.as_deref() == Some(point.to_string().as_str()) {
            let own = nix::unistd::Pid::this();
            let killed = nix::sys::signal::kill(own, nix::sys::signal::Signal::SIGKILL);
            tracing::error!(?killed, "the process should be gone");
            std::future::pending::<()>().await;
        }
    }
}
