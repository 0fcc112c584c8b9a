//! `extend alert silence` and `extend alert unsilence`

use std::time::Duration;

use extend_common::exit::Exit;
use extend_proto::v1;

use super::parse_number;
use crate::cli::args::{SelectorArgs, parse_whole_seconds, seconds};
use crate::cli::client::ask;
use crate::cli::context::Context;
use crate::cli::failure::Failure;
use crate::cli::output::text::moment as words;
use crate::cli::view::moment;

/// The options of `alert silence`.
#[derive(Debug, clap::Args)]
pub(crate) struct SilenceArgs {
    #[command(flatten)]
    selector: SelectorArgs,

    /// For how long
    #[arg(long = "for", value_name = "DURATION", value_parser = parse_whole_seconds)]
    lasts: Duration,

    /// Why, for those who look at the list
    #[arg(
        short = 'm',
        long = "message",
        value_name = "TEXT",
        default_value = "",
        hide_default_value = true
    )]
    message: String,
}

/// The options of `alert unsilence`.
#[derive(Debug, clap::Args)]
pub(crate) struct UnsilenceArgs {
    /// The number of the silence
    #[arg(value_name = "ID", value_parser = parse_number)]
    id: u64,
}

pub(super) async fn silence(context: &Context, args: SilenceArgs) -> Result<Exit, Failure> {
    let mut client = context.client().await?;
    let request = v1::SilenceAlertsRequest {
        selector: Some(args.selector.to_wire()),
        seconds: seconds(Some(args.lasts)),
        note: args.message,
    };
    let made = ask("silence alerts", client.rpc().silence_alerts(request)).await?;
    let now = context.clock.now();
    let until = moment("until", made.until_ms)?.map_or_else(String::new, |at| words(at, now));
    let said = format!(
        "silence {}: nobody is told of {} until {until}",
        made.id, made.selector
    );
    context.output.say(&said);
    Ok(Exit::Done)
}

pub(super) async fn unsilence(context: &Context, args: UnsilenceArgs) -> Result<Exit, Failure> {
    let id = args.id;
    let mut client = context.client().await?;
    let request = v1::UnsilenceAlertsRequest { id };
    ask(
        &format!("end silence {id}"),
        client.rpc().unsilence_alerts(request),
    )
    .await?;
    context.output.say(&format!("silence {id} has ended"));
    Ok(Exit::Done)
}
