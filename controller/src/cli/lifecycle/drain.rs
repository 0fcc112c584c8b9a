//! `extend drain` and `extend undrain`: servers that take no new sessions, and take them again.

use std::time::Duration;

use extend_common::exit::Exit;
use extend_common::operation::Verb;

use super::{Request, carry_out};
use crate::cli::args::{SelectorArgs, Sessions, SubmitArgs, parse_whole_seconds};
use crate::cli::context::Context;
use crate::cli::failure::Failure;

/// The options of `drain`.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    #[command(flatten)]
    selector: SelectorArgs,

    /// How long to wait for the sessions there are [default: as long as the type says]
    #[arg(
        long,
        visible_alias = "drain",
        value_name = "DURATION",
        value_parser = parse_whole_seconds,
        help_heading = "Sessions"
    )]
    limit: Option<Duration>,

    #[command(flatten)]
    submit: SubmitArgs,
}

/// The options of `undrain`.
#[derive(Debug, clap::Args)]
pub(crate) struct UndrainArgs {
    #[command(flatten)]
    selector: SelectorArgs,

    #[command(flatten)]
    submit: SubmitArgs,
}

/// `extend drain`
pub(crate) async fn run(context: &Context, args: Args) -> Result<Exit, Failure> {
    let servers = args.selector.describe();
    let request = Request {
        sessions: args.limit.map_or(Sessions::Unsaid, Sessions::For),
        ..Request::new(Verb::Drain, args.selector.to_wire(), servers)
    };
    let client = context.client().await?;
    carry_out(context, client, &request.errand(&args.submit), &args.submit).await
}

/// `extend undrain`
pub(crate) async fn undo(context: &Context, args: UndrainArgs) -> Result<Exit, Failure> {
    let servers = args.selector.describe();
    let request = Request::new(Verb::Undrain, args.selector.to_wire(), servers);
    let client = context.client().await?;
    carry_out(context, client, &request.errand(&args.submit), &args.submit).await
}
