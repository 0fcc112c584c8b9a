//! `extend whitelist list`

use extend_common::exit::Exit;
use extend_proto::v1;

use super::show;
use crate::cli::args::FormatArgs;
use crate::cli::client::ask;
use crate::cli::context::Context;
use crate::cli::failure::Failure;
use crate::cli::view::whitelist::Whitelist;

/// The options of `whitelist list`.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    #[command(flatten)]
    pub(super) output: FormatArgs,
}

pub(super) async fn run(context: &Context, args: Args) -> Result<Exit, Failure> {
    let whitelist = read(context, "list the whitelist").await?;
    show(context, args.output.format, &whitelist)?;
    Ok(Exit::Done)
}

/// Asks the controller.
pub(super) async fn read(context: &Context, doing: &str) -> Result<Whitelist, Failure> {
    let mut client = context.client().await?;
    let request = v1::ListWhitelistRequest {};
    let answer = ask(doing, client.rpc().list_whitelist(request)).await?;
    Whitelist::try_from(answer)
}
