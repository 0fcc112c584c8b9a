//! `extend op list`

use extend_common::exit::Exit;
use extend_common::operation::Operation;
use extend_common::wire::optional_time;
use extend_proto::v1;

use crate::cli::args::{Format, FormatArgs};
use crate::cli::client::ask;
use crate::cli::context::Context;
use crate::cli::failure::Failure;
use crate::cli::output::document;
use crate::cli::output::text::moment;
use crate::cli::view::not_understood;
use crate::cli::view::operation::{Document, Operations, read};
use crate::cli::view::operations::operations_table;
use crate::cli::when::PeriodArgs;

/// The options of `op list`.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// Only operations that have not ended
    #[arg(long)]
    open: bool,

    #[command(flatten)]
    period: PeriodArgs,

    /// Only those of this operator
    #[arg(long, value_name = "NAME")]
    by: Option<String>,

    /// How many at most, the newest ones
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
    let narrowed = !args.period.is_open() || args.by.is_some();
    let (since_ms, until_ms) = args.period.to_wire(context.clock.now());
    let request = v1::ListOperationsRequest {
        limit: args.limit,
        open_only: args.open,
        since_ms,
        until_ms,
        by: args.by.unwrap_or_default(),
    };
    let answer = ask("list operations", client.rpc().list_operations(request)).await?;
    let cut = optional_time("cut_ms", answer.cut_ms).map_err(|error| not_understood(&error))?;
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
        let which = match (args.open, narrowed) {
            (true, false) => "open operations",
            (true, true) => "such open operations",
            (false, true) => "such operations",
            (false, false) => "operations yet",
        };
        context.output.say(&format!("there are no {which}"));
    } else {
        let table = operations_table(&operations, format == Format::Wide, context.clock.now());
        context
            .output
            .data(&table.render(context.output.stdout()))?;
    }
    if let Some(cut) = cut {
        let now = context.clock.now();
        context.output.say(&format!(
            "operations begun before {} were not looked at",
            moment(cut, now)
        ));
        context.output.hint("extend op list --until TIME");
    }
    Ok(Exit::Done)
}
