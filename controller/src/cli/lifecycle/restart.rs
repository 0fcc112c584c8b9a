//! `extend restart`: ends the processes of servers and starts new ones, from server to server.

use extend_common::exit::Exit;
use extend_common::operation::Verb;

use super::{Request, carry_out};
use crate::cli::args::{RolloutArgs, SelectorArgs, SessionsArgs, SubmitArgs};
use crate::cli::context::Context;
use crate::cli::failure::Failure;

/// The options of `restart`.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    #[command(flatten)]
    selector: SelectorArgs,

    /// Also when the type has other servers that should run and none of them is healthy
    #[arg(long)]
    force: bool,

    #[command(flatten)]
    rollout: RolloutArgs,

    #[command(flatten)]
    sessions: SessionsArgs,

    #[command(flatten)]
    submit: SubmitArgs,
}

/// `extend restart`
pub(crate) async fn run(context: &Context, args: Args) -> Result<Exit, Failure> {
    let servers = args.selector.describe();
    let request = Request {
        force: args.force,
        strategy: args.rollout.strategy(),
        sessions: args.sessions.into(),
        ..Request::new(Verb::Restart, args.selector.to_wire(), servers)
    };
    let client = context.client().await?;
    carry_out(context, client, &request.errand(&args.submit), &args.submit).await
}
