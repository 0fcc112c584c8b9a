//! `extend op list`

use extend_common::exit::Exit;
use extend_common::operation::Operation;
use extend_proto::v1;

use crate::cli::args::{Format, FormatArgs};
use crate::cli::client::ask;
use crate::cli::context::Context;
use crate::cli::failure::Failure;
use crate::cli::output::document;
use crate::cli::view::operation::{Document, Operations, read};
use crate::cli::view::operations::operations_table;

/// The options of `op list`.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// Only operations that have not ended
    #[arg(long)]
    open: bool,

    /// How many at most
    #[arg(
        long,
        value_name = "N",
        default_value_t = 20,
        value_parser = clap::value_parser!(u32).range(1..=1000)
    )]
    limit: u32,

    #[command(flatten)]
    output: FormatArgs,
}

pub(super) async fn run(context: &Context, args: Args) -> Result<Exit, Failure> {
    let mut client = context.client().await?;
    let request = v1::ListOperationsRequest {
        limit: args.limit,
        open_only: args.open,
    };
    let answer = ask("list operations", client.rpc().list_operations(request)).await?;
    let operations: Result<Vec<Operation>, Failure> =
        answer.operations.into_iter().map(read).collect();
    let operations = operations?;
    let format = args.output.format;
    let document = Operations {
        operations: operations.iter().map(Document::from).collect(),
    };
    if let Some(text) = document::render(format, &document)? {
        context.output.data(&text)?;
    } else if operations.is_empty() {
        let which = if args.open {
            "open operations"
        } else {
            "operations yet"
        };
        context.output.say(&format!("there are no {which}"));
    } else {
        let table = operations_table(&operations, format == Format::Wide, context.clock.now());
        context
            .output
            .data(&table.render(context.output.stdout()))?;
    }
    Ok(Exit::Done)
}
