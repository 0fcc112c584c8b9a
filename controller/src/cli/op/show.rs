//! `extend op show`

use clap_complete::engine::ArgValueCompleter;
use extend_common::exit::Exit;
use extend_common::operation::Operation;
use extend_proto::v1;

use super::parse_id;
use crate::cli::args::{Format, FormatArgs};
use crate::cli::client::ask;
use crate::cli::completion::live;
use crate::cli::context::Context;
use crate::cli::failure::Failure;
use crate::cli::output::document;
use crate::cli::view::operation::{Document, read};
use crate::cli::view::operations::{heading, in_order, story, targets_table};

/// The options of `op show`.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// The operation's id, or its ending as lists show it
    #[arg(value_name = "ID", value_parser = parse_id,
        add = ArgValueCompleter::new(live::operations))]
    id: String,

    #[command(flatten)]
    output: FormatArgs,
}

pub(super) async fn run(context: &Context, args: Args) -> Result<Exit, Failure> {
    let mut client = context.client().await?;
    let what = format!("show operation {}", args.id);
    let request = v1::OperationRequest { id: args.id };
    let operation = read(ask(&what, client.rpc().get_operation(request)).await?)?;
    print(context, &operation, args.output.format)?;
    Ok(Exit::Done)
}

/// Prints one operation as data.
pub(super) fn print(
    context: &Context,
    operation: &Operation,
    format: Format,
) -> Result<(), Failure> {
    if let Some(text) = document::render(format, &Document::from(operation))? {
        return context.output.data(&text);
    }
    let now = context.clock.now();
    let table = targets_table(operation, format == Format::Wide, now);
    let mut parts = vec![
        heading(operation, now).trim_end().to_owned(),
        table.render(context.output.stdout()),
    ];
    for target in in_order(operation) {
        let lines = story(target, now);
        if !lines.is_empty() {
            let head = format!("{} ({}):", target.name, target.node);
            parts.push(format!("{head}\n{}", lines.join("\n")));
        }
    }
    context.output.data(&parts.join("\n\n"))
}
