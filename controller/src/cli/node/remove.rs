//! `extend node remove`

use extend_common::exit::Exit;
use extend_proto::v1;

use super::{confirm, named, tell};
use crate::cli::args::{FormatArgs, NodeArg};
use crate::cli::client::ask;
use crate::cli::context::Context;
use crate::cli::failure::Failure;

/// The options of `node remove`.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    #[command(flatten)]
    node: NodeArg,

    /// Also when it still has a server or an open operation: both are given up
    #[arg(long)]
    force: bool,

    /// Do not ask
    #[arg(long)]
    yes: bool,

    #[command(flatten)]
    output: FormatArgs,
}

pub(super) async fn run(context: &Context, args: Args) -> Result<Exit, Failure> {
    let node = named(args.node.node())?;
    let what = format!("remove node {node}");
    let mut question = format!("Remove node {node}? The controller forgets it.");
    if args.force {
        question.push_str(
            " If it has a server, the controller gives it up: a node that is alive keeps \
             running it.",
        );
    }
    confirm(context, args.yes, &what, question).await?;
    let mut client = context.client().await?;
    let request = v1::RemoveNodeRequest {
        node: node.to_string(),
        force: args.force,
    };
    let answer = ask(&what, client.rpc().remove_node(request)).await?;
    tell(
        context,
        args.output.format,
        &format!("node {node} is removed"),
        answer,
    )
}
