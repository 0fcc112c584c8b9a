//! `extend node list`

use extend_common::exit::Exit;
use extend_proto::v1;

use crate::cli::args::{Format, FormatArgs};
use crate::cli::client::ask;
use crate::cli::context::Context;
use crate::cli::failure::Failure;
use crate::cli::output::document;
use crate::cli::view::node::{Node, Nodes, nodes_table};

/// The options of `node list`.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    #[command(flatten)]
    output: FormatArgs,
}

pub(super) async fn run(context: &Context, args: Args) -> Result<Exit, Failure> {
    let mut client = context.client().await?;
    let request = v1::ListNodesRequest {
        node: String::new(),
    };
    let answer = ask("list nodes", client.rpc().list_nodes(request)).await?;
    let nodes: Result<Vec<Node>, Failure> = answer.nodes.into_iter().map(Node::try_from).collect();
    let nodes = Nodes { nodes: nodes? };
    let format = args.output.format;
    if let Some(text) = document::render(format, &nodes)? {
        context.output.data(&text)?;
    } else if nodes.nodes.is_empty() {
        context.output.say("there are no nodes yet");
        context.output.hint("extend node token -a PRIVATE_IP");
    } else {
        let table = nodes_table(&nodes.nodes, format == Format::Wide, context.clock.now());
        context
            .output
            .data(&table.render(context.output.stdout()))?;
    }
    Ok(Exit::Done)
}
