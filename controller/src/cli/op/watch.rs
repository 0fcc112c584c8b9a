//! `extend op watch`

use clap_complete::engine::ArgValueCompleter;
use extend_common::exit::Exit;

use super::parse_id;
use crate::cli::args::{FormatArgs, WatchArgs};
use crate::cli::completion::live;
use crate::cli::context::Context;
use crate::cli::failure::Failure;
use crate::cli::interrupt::Interrupts;
use crate::cli::watch::{Watching, watch};

/// The options of `op watch`.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// The operation's id, or its ending as lists show it
    #[arg(value_name = "ID", value_parser = parse_id,
        add = ArgValueCompleter::new(live::operations))]
    id: String,

    #[command(flatten)]
    watch: WatchArgs,

    #[command(flatten)]
    output: FormatArgs,
}

pub(super) async fn run(context: &Context, args: Args) -> Result<Exit, Failure> {
    let client = context.client().await?;
    let mut interrupts = Interrupts::catch()?;
    let watching = Watching {
        id: args.id,
        seen: None,
        args: args.watch,
        format: args.output.format,
    };
    watch(context, client, watching, &mut interrupts).await
}
