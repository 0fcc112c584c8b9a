//! `extend alert list`

use extend_common::exit::Exit;
use extend_proto::v1;

use crate::cli::args::{Format, FormatArgs};
use crate::cli::client::ask;
use crate::cli::context::Context;
use crate::cli::failure::Failure;
use crate::cli::output::document;
use crate::cli::view::alert::Alerts;

/// The options of `alert list`.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// Also what is found and has not lasted long enough
    #[arg(long)]
    all: bool,

    #[command(flatten)]
    output: FormatArgs,
}

pub(super) async fn run(context: &Context, args: Args) -> Result<Exit, Failure> {
    let mut client = context.client().await?;
    let answer = ask(
        "list alerts",
        client.rpc().list_alerts(v1::ListAlertsRequest {}),
    )
    .await?;
    let mut alerts = Alerts::try_from(answer)?;
    if !args.all {
        alerts.pending.clear();
    }
    let format = args.output.format;
    if let Some(text) = document::render(format, &alerts)? {
        context.output.data(&text)?;
        return Ok(Exit::Done);
    }
    let stdout = context.output.stdout();
    let tables = alerts.tables(format == Format::Wide, context.clock.now());
    let tables: Vec<String> = tables.iter().map(|table| table.render(stdout)).collect();
    if !tables.is_empty() {
        context.output.data(&tables.join("\n\n"))?;
    }
    for said in alerts.said() {
        context.output.say(&said);
    }
    if alerts.receivers.is_empty() {
        context
            .output
            .hint("name who is told in [[alerts.receivers]] of /etc/extend/controller.toml");
    }
    Ok(Exit::Done)
}
