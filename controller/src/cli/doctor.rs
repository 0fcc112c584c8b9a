//! `extend doctor`: whether nodes are as the guide wants them.

use clap_complete::engine::ArgValueCompleter;
use extend_common::exit::Exit;
use extend_common::ids::NodeAddr;
use extend_proto::v1;

use super::args::{Format, FormatArgs, parse_node, parse_type};
use super::client::ask;
use super::completion::live;
use super::context::Context;
use super::failure::Failure;
use super::output::document;
use super::view::checkup::{Checkups, checkups_table, summary};

/// The options of `doctor`.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// Only these nodes, by private IP
    #[arg(short = 'a', long = "address", value_name = "IP[,IP…]", value_delimiter = ',',
        value_parser = parse_node, add = ArgValueCompleter::new(live::nodes))]
    nodes: Vec<NodeAddr>,

    /// As for a server of this type, where a node has none yet; without -a, the nodes that have one
    #[arg(short = 's', long = "type", value_name = "TYPE", value_parser = parse_type,
        add = ArgValueCompleter::new(live::types))]
    role: Option<String>,

    #[command(flatten)]
    output: FormatArgs,
}

/// `extend doctor`
pub(crate) async fn run(context: &Context, args: Args) -> Result<Exit, Failure> {
    let nodes: Vec<_> = args.nodes.iter().map(NodeAddr::to_string).collect();
    let whom = match nodes.as_slice() {
        [] => "all nodes".to_owned(),
        named => named.join(", "),
    };
    let request = v1::CheckupRequest {
        nodes,
        role: args.role.unwrap_or_default(),
    };
    let mut client = context.client().await?;
    let answer = ask(&format!("check {whom}"), client.rpc().checkup(request)).await?;
    let checkups = Checkups::try_from(answer)?;
    let format = args.output.format;
    match document::render(format, &checkups)? {
        Some(text) => context.output.data(&text)?,
        None if checkups.nodes.is_empty() => {
            context.output.say("there is no such node");
            context.output.hint("extend node list");
        }
        None => {
            let table = checkups_table(&checkups, format == Format::Wide);
            let text = table.render(context.output.stdout());
            context.output.data(&text)?;
            context.output.say(&summary(&checkups));
        }
    }
    Ok(match checkups.fails() {
        true => Exit::SomeFailed,
        false => Exit::Done,
    })
}
