//! `extend health`: how servers are and how they were: a timeline with reasons, spark lines, and
//! what the probes say at this moment.

use extend_common::exit::Exit;
use extend_common::ids::ServerName;
use extend_proto::v1;

use super::args::{Format, FormatArgs, SelectorArgs, parse_name};
use super::client::ask;
use super::completion::live;
use super::context::Context;
use super::failure::Failure;
use super::output::document;
use super::output::spark::Marks;
use super::view::health::{Health, Healths};
use super::when::SinceArgs;
use clap_complete::engine::ArgValueCompleter;

/// The options of `health`.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// The server's name, as entered in the PBX Web Portal
    #[arg(
        value_name = "NAME",
        value_parser = parse_name,
        conflicts_with = "name",
        required_unless_present_any = ["role", "nodes", "name"],
        add = ArgValueCompleter::new(live::names)
    )]
    position: Option<ServerName>,

    #[command(flatten)]
    selector: SelectorArgs,

    #[command(flatten)]
    since: SinceArgs,

    #[command(flatten)]
    output: FormatArgs,
}

/// `extend health`
pub(crate) async fn run(context: &Context, args: Args) -> Result<Exit, Failure> {
    let mut selector = args.selector;
    selector.name = args.position.or(selector.name);
    let what = format!("show the health of {}", selector.describe());
    let request = v1::HealthRequest {
        selector: Some(selector.to_wire()),
    };
    let mut client = context.client().await?;
    let answer = ask(&what, client.rpc().show_health(request)).await?;
    let now = context.clock.now();
    let since = args.since.at(now);
    let servers = answer.servers.into_iter();
    let servers = servers.map(|view| Health::read(view, since, now));
    let healths = Healths {
        servers: servers.collect::<Result<_, _>>()?,
    };
    let format = args.output.format;
    if let Some(text) = document::render(format, &healths)? {
        context.output.data(&text)?;
        return Ok(Exit::Done);
    }
    let (marks, stream) = (Marks::detect(), context.output.stdout());
    let wide = format == Format::Wide;
    let lines = |health: &Health| health.lines(marks, stream, wide, now);
    let parts: Vec<_> = healths.servers.iter().map(lines).collect();
    context.output.data(&parts.join("\n\n\n"))?;
    Ok(Exit::Done)
}
