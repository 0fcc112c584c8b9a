//! The parts of the measurement, as `make bench ONLY=…` names them.

use clap::ValueEnum;

/// One part. Those up to [`Part::Upgrade`] but for the sizes need the Docker Engine.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, ValueEnum)]
pub(crate) enum Part {
    /// How large the programs are.
    Sizes,
    /// Memory and processor of agents and controller over a quiet minute.
    Idle,
    /// `extend status` as a whole process.
    Status,
    /// A restart of four servers beside the same by hand.
    Restart,
    /// A hung service: restart begun, new process running.
    Hang,
    /// An agent that is killed, and one that falls silent.
    Silence,
    /// How long an upgraded server does not answer.
    Upgrade,
    /// One operation to many simulated agents.
    FanOut,
    /// The controller's memory for each connected agent.
    Memory,
    /// A killed controller until everybody is back.
    Revival,
}

impl Part {
    /// Whether it needs four servers in the Docker Engine.
    pub(crate) fn is_real(self) -> bool {
        use Part::{Hang, Idle, Restart, Silence, Status, Upgrade};
        matches!(self, Idle | Status | Restart | Hang | Silence | Upgrade)
    }

    /// Whether it needs simulated agents.
    pub(crate) fn is_simulated(self) -> bool {
        matches!(self, Self::FanOut | Self::Memory | Self::Revival)
    }
}
