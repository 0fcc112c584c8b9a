//! `extend whitelist check`

use extend_common::exit::Exit;

use super::{list, show, verdict};
use crate::cli::args::FormatArgs;
use crate::cli::context::Context;
use crate::cli::failure::Failure;

/// The options of `whitelist check`.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    #[command(flatten)]
    output: FormatArgs,
}

pub(super) async fn run(context: &Context, args: Args) -> Result<Exit, Failure> {
    const DOING: &str = "check the whitelist";
    let whitelist = list::read(context, DOING).await?;
    let exit = verdict(DOING, &whitelist)?;
    show(context, args.output.format, &whitelist)?;
    Ok(exit)
}
