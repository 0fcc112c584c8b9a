//! `extend pbx`: the PBX that the controller keeps its servers known to.

mod trust;

use clap::Subcommand;
use extend_common::exit::Exit;

use super::context::Context;
use super::failure::Failure;

/// `extend pbx …`
#[derive(Debug, Subcommand)]
pub(super) enum Command {
    /// Show the certificate of the PBX and pin it, once it is the right one (as root)
    Trust(trust::Args),
}

pub(super) async fn run(context: &Context, command: Command) -> Result<Exit, Failure> {
    match command {
        Command::Trust(args) => trust::run(context, args).await,
    }
}
