//! `extend controller recover`: takes the records of nodes that are ahead of the store back from
//! their own ledgers.

use clap_complete::engine::ArgValueCompleter;
use extend_common::exit::Exit;
use extend_common::ids::NodeAddr;
use extend_common::wire::shown_text;
use extend_proto::v1;

use crate::cli::args::{FormatArgs, parse_node};
use crate::cli::client::ask;
use crate::cli::completion::live;
use crate::cli::context::Context;
use crate::cli::failure::Failure;
use crate::cli::output::document;
use crate::cli::output::text::count;
use crate::cli::view::node::{Node, Nodes};

/// The options of `controller recover`.
#[derive(Debug, clap::Args)]
pub(super) struct Args {
    /// Only these nodes; without it every node that is ahead
    #[arg(
        short = 'a',
        long = "address",
        value_name = "IP[,IP…]",
        add = ArgValueCompleter::new(live::nodes),
        value_delimiter = ',',
        value_parser = parse_node
    )]
    nodes: Vec<NodeAddr>,

    /// No more nodes will come: accept no longer the certificates that an older store gave out
    #[arg(long)]
    finish: bool,

    #[command(flatten)]
    output: FormatArgs,
}

pub(super) async fn run(context: &Context, args: Args) -> Result<Exit, Failure> {
    let mut client = context.client().await?;
    let request = v1::RecoverRequest {
        nodes: args.nodes.iter().map(ToString::to_string).collect(),
        finish: args.finish,
    };
    let answer = ask("recover records", client.rpc().recover(request)).await?;
    let mut nodes = Vec::new();
    for recovered in answer.recovered {
        if let Some(node) = recovered.node.map(Node::try_from).transpose()? {
            let server = node
                .server
                .as_ref()
                .map_or_else(|| "no server".to_owned(), |name| format!("server {name}"));
            context
                .output
                .say(&format!("recovered {}: {server}", node.address));
            nodes.push(node);
        }
        say_notes(context, "  ", recovered.notes);
    }
    let failed = answer.notes.len();
    say_notes(context, "not recovered: ", answer.notes);
    context
        .output
        .say(&format!("{} recovered", count(nodes.len(), "node")));
    if args.finish {
        context
            .output
            .say("certificates of nodes that are not in the store are refused from now on");
    }
    let exit = match (nodes.is_empty(), failed) {
        (_, 0) => Exit::Done,
        (true, _) => Exit::Failed,
        (false, _) => Exit::SomeFailed,
    };
    if let Some(text) = document::render(args.output.format, &Nodes { nodes })? {
        context.output.data(&text)?;
    }
    Ok(exit)
}

fn say_notes(context: &Context, before: &str, notes: Vec<String>) {
    for note in notes {
        context.output.say(&format!("{before}{}", shown_text(note)));
    }
}
