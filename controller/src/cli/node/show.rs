//! `extend node show`

use extend_common::exit::Exit;
use extend_proto::v1;

use super::named;
use crate::cli::args::{FormatArgs, NodeArg};
use crate::cli::client::ask;
use crate::cli::context::Context;
use crate::cli::failure::Failure;
use crate::cli::output::document;
use crate::cli::view::node::Node;

/// The options of `node show`.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    #[command(flatten)]
    node: NodeArg,

    #[command(flatten)]
    output: FormatArgs,
}

pub(super) async fn run(context: &Context, args: Args) -> Result<Exit, Failure> {
    let node = named(args.node.node())?;
    let mut client = context.client().await?;
    let request = v1::ListNodesRequest {
        node: node.to_string(),
    };
    let answer = ask(
        &format!("show node {node}"),
        client.rpc().list_nodes(request),
    )
    .await?;
    let Some(view) = answer.nodes.into_iter().next() else {
        return Err(
            Failure::new(Exit::Refused, format!("there is no node {node}"))
                .hint("extend node list"),
        );
    };
    let view = Node::try_from(view)?;
    let text = document::render(args.output.format, &view)?;
    context
        .output
        .data(&text.unwrap_or_else(|| view.lines(context.clock.now())))?;
    Ok(Exit::Done)
}
