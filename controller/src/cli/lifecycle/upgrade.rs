//! `extend upgrade`: replaces containers by ones of a newly resolved image.

use extend_common::exit::Exit;
use extend_common::operation::Verb;

use super::{Request, carry_out_asking};
use crate::cli::args::{RolloutArgs, SelectorArgs, SessionsArgs, SubmitArgs, parse_image};
use crate::cli::context::Context;
use crate::cli::failure::Failure;

/// The options of `upgrade`.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    #[command(flatten)]
    selector: SelectorArgs,

    /// The image from now on; without it the recorded tag is looked up anew
    #[arg(short = 'i', long, value_name = "IMAGE", value_parser = parse_image)]
    image: Option<String>,

    /// Go back to the image before the one that serves, which the nodes have kept
    #[arg(long, conflicts_with = "image")]
    to_previous: bool,

    /// Also when the image is of an older version than the one that serves, or of a newer one than
    /// the PBX, and when the type has other servers that should run and none of them is healthy
    #[arg(long)]
    force: bool,

    /// Do not ask, also when the PBX's version is not known
    #[arg(long)]
    yes: bool,

    #[command(flatten)]
    rollout: RolloutArgs,

    #[command(flatten)]
    sessions: SessionsArgs,

    #[command(flatten)]
    submit: SubmitArgs,
}

/// `extend upgrade`
pub(crate) async fn run(context: &Context, args: Args) -> Result<Exit, Failure> {
    let request = Request {
        image: args.image.unwrap_or_default(),
        to_previous: args.to_previous,
        force: args.force,
        strategy: args.rollout.strategy(),
        sessions: args.sessions.into(),
        confirmed: args.yes,
        ..Request::new(
            Verb::Upgrade,
            args.selector.to_wire(),
            args.selector.describe(),
        )
    };
    carry_out_asking(context, request, &args.submit).await
}
