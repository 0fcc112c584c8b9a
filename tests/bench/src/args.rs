//! The arguments.

use std::path::PathBuf;

use clap::{Args, Parser, Subcommand};

use crate::part::Part;

/// Measures Extend, and simulates fleets.
#[derive(Debug, Parser)]
#[command(name = "extend-bench")]
pub(crate) struct Arguments {
    #[command(subcommand)]
    pub(crate) command: Command,
}

/// What to do.
#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Measure, print a table and write the results
    Measure(Measure),
    /// Join simulated agents to a controller that runs, and hold their sessions until a signal
    Simulate(Simulate),
}

/// `extend-bench measure`
#[derive(Debug, Clone, Args)]
pub(crate) struct Measure {
    /// The directory with `extend` and `extend-agent`
    #[arg(long)]
    pub(crate) bin: PathBuf,
    /// The agent as a static build
    #[arg(long)]
    pub(crate) static_agent: Option<PathBuf>,
    /// The repository of the stand-in's images
    #[arg(long, default_value = "extend.bench/pbx")]
    pub(crate) repository: String,
    /// A directory for everything that is started; its path is short
    #[arg(long)]
    pub(crate) dir: PathBuf,
    /// Where the results are written
    #[arg(long)]
    pub(crate) out: PathBuf,
    /// Only these parts
    #[arg(long, value_delimiter = ',')]
    pub(crate) only: Vec<Part>,
    /// Few repeats and short waits: to try it out, not to quote
    #[arg(long)]
    pub(crate) brief: bool,
    /// How the programs were built, for the results
    #[arg(long, default_value = "release")]
    pub(crate) profile: String,
}

/// `extend-bench simulate`
#[derive(Debug, Clone, Args)]
pub(crate) struct Simulate {
    /// The controller's operators' socket
    #[arg(long, env = "EXTEND_SOCKET")]
    pub(crate) socket: PathBuf,
    /// How many agents
    #[arg(long, default_value_t = 100)]
    pub(crate) agents: u32,
    /// Deploy a (simulated) server on each
    #[arg(long)]
    pub(crate) deploy: bool,
}
