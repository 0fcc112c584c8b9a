//! `extend op cancel`

use clap_complete::engine::ArgValueCompleter;
use extend_common::exit::Exit;
use extend_proto::v1;

use super::{parse_id, show};
use crate::cli::args::{Format, FormatArgs};
use crate::cli::client::ask;
use crate::cli::completion::live;
use crate::cli::context::Context;
use crate::cli::failure::Failure;
use crate::cli::view::operation::read;

/// The options of `op cancel`.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// The operation's id, or its ending as lists show it
    #[arg(value_name = "ID", value_parser = parse_id,
        add = ArgValueCompleter::new(live::open_operations))]
    id: String,

    #[command(flatten)]
    output: FormatArgs,
}

pub(super) async fn run(context: &Context, args: Args) -> Result<Exit, Failure> {
    let mut client = context.client().await?;
    let what = format!("cancel operation {}", args.id);
    let request = v1::OperationRequest { id: args.id };
    let operation = read(ask(&what, client.rpc().cancel_operation(request)).await?)?;
    let name = format!("{} {}", operation.verb, operation.id.short());
    if operation.ended.is_some() {
        context
            .output
            .say(&format!("{name} has ended: {}", operation.summary()));
    } else {
        context.output.say(&format!(
            "{name} is being cancelled: what is not done is put back"
        ));
        context
            .output
            .hint(&format!("extend op watch {}", operation.id.short()));
    }
    if matches!(args.output.format, Format::Json | Format::Yaml) {
        show::print(context, &operation, args.output.format)?;
    }
    Ok(Exit::Done)
}
