//! `extend node revoke`

use extend_common::exit::Exit;
use extend_proto::v1;

use super::{confirm, named, tell};
use crate::cli::args::{FormatArgs, NodeArg};
use crate::cli::client::ask;
use crate::cli::context::Context;
use crate::cli::failure::Failure;

/// The options of `node revoke`.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    #[command(flatten)]
    node: NodeArg,

    /// Do not ask
    #[arg(long)]
    yes: bool,

    #[command(flatten)]
    output: FormatArgs,
}

pub(super) async fn run(context: &Context, args: Args) -> Result<Exit, Failure> {
    let node = named(args.node.node())?;
    let what = format!("revoke node {node}");
    let question = format!(
        "Revoke node {node}? Its server goes on running, but nothing can be done to it until the \
         node joins again with a new token."
    );
    confirm(context, args.yes, &what, question).await?;
    let mut client = context.client().await?;
    let request = v1::NodeRequest {
        node: node.to_string(),
    };
    let answer = ask(&what, client.rpc().revoke_node(request)).await?;
    // A node that had only a token is none any more.
    let done = match &answer.node {
        Some(_) => format!("node {node} is revoked"),
        None => format!("node {node} can no longer join"),
    };
    tell(context, args.output.format, &done, answer)
}
