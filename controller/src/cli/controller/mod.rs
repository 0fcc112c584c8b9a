//! `extend controller`: the daemon itself, and what is done to it as a whole.

mod backup;
mod check_config;
mod recover;
mod restore;
mod serve;

use std::path::PathBuf;

use clap::Subcommand;
use extend_common::exit::Exit;

use super::context::Context;
use super::failure::Failure;
use crate::config::DEFAULT_PATH;

/// The options of `controller`.
#[derive(Debug, clap::Args)]
#[command(
    args_conflicts_with_subcommands = false,
    subcommand_negates_reqs = true
)]
pub(super) struct Args {
    /// The configuration file
    #[arg(long, value_name = "PATH", default_value = DEFAULT_PATH, global = true)]
    config: PathBuf,

    /// Only say whether the configuration file can be used
    #[arg(long)]
    check_config: bool,

    #[command(subcommand)]
    command: Option<Command>,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Write store and CA into one archive, while the controller runs (as root)
    Backup(backup::Args),
    /// Put an archive back, while no controller runs (as root)
    Restore(restore::Args),
    /// Take records back from nodes that are ahead of the store (as root)
    Recover(recover::Args),
}

impl Args {
    /// Whether this is the daemon, which needs a runtime of its own.
    pub(super) fn is_daemon(&self) -> bool {
        self.command.is_none() && !self.check_config
    }
}

/// Runs the daemon until it is told to stop.
pub(super) fn serve(args: &Args) -> Result<Exit, Failure> {
    serve::run(&args.config)
}

/// Runs everything else.
pub(super) async fn run(context: &Context, args: Args) -> Result<Exit, Failure> {
    match args.command {
        Some(_) if args.check_config => {
            Err(Failure::usage("--check-config goes with no other command")
                .hint("extend controller --check-config"))
        }
        None => check_config::run(context, &args.config),
        Some(Command::Backup(backup)) => backup::run(context, backup).await,
        Some(Command::Restore(restore)) => restore::run(context, &args.config, &restore),
        Some(Command::Recover(recover)) => recover::run(context, recover).await,
    }
}
