//! `extend start`: lets servers run.

use extend_common::exit::Exit;
use extend_common::operation::Verb;

use super::{Request, carry_out};
use crate::cli::args::{OrderArgs, SelectorArgs, SubmitArgs};
use crate::cli::context::Context;
use crate::cli::failure::Failure;

/// The options of `start`.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    #[command(flatten)]
    selector: SelectorArgs,

    #[command(flatten)]
    order: OrderArgs,

    #[command(flatten)]
    submit: SubmitArgs,
}

/// `extend start`
pub(crate) async fn run(context: &Context, args: Args) -> Result<Exit, Failure> {
    let servers = args.selector.describe();
    let request = Request {
        strategy: args.order.strategy(),
        ..Request::new(Verb::Start, args.selector.to_wire(), servers)
    };
    let client = context.client().await?;
    carry_out(context, client, &request.errand(&args.submit), &args.submit).await
}
