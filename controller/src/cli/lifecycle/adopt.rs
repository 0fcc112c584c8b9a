//! `extend adopt`: takes over servers that PortSIP's own script has made, without touching them.

use clap::ArgGroup;
use clap_complete::engine::ArgValueCompleter;
use extend_common::exit::Exit;
use extend_common::ids::NodeAddr;
use extend_common::operation::Verb;

use super::{Request, carry_out};
use crate::cli::args::{SelectorArgs, SubmitArgs, parse_node};
use crate::cli::completion::live;
use crate::cli::context::Context;
use crate::cli::failure::Failure;

/// The options of `adopt`.
#[derive(Debug, clap::Args)]
#[command(group(ArgGroup::new("which").required(true).args(["nodes", "all"])))]
pub(crate) struct Args {
    /// Only the servers on these nodes, by private IP
    #[arg(
        short = 'a',
        long = "address",
        value_name = "IP[,IP…]",
        value_delimiter = ',',
        value_parser = parse_node,
        add = ArgValueCompleter::new(live::unclaimed_addresses)
    )]
    nodes: Vec<NodeAddr>,

    /// Every server that the nodes report and that nobody claims
    #[arg(long)]
    all: bool,

    #[command(flatten)]
    submit: SubmitArgs,
}

/// `extend adopt`
pub(crate) async fn run(context: &Context, args: Args) -> Result<Exit, Failure> {
    let selector = SelectorArgs {
        nodes: args.nodes,
        ..SelectorArgs::default()
    };
    let servers = match args.all {
        true => "all servers that nobody claims".to_owned(),
        false => selector.describe(),
    };
    let request = Request::new(Verb::Adopt, selector.to_wire(), servers);
    let client = context.client().await?;
    carry_out(context, client, &request.errand(&args.submit), &args.submit).await
}
