//! `extend alert`: what is wrong, who knows of it, and whether those who are told can be reached.

mod list;
mod quiet;
mod test;

use clap::Subcommand;
use extend_common::exit::Exit;
use extend_proto::v1;

use super::client::ask;
use super::context::Context;
use super::failure::Failure;

/// `extend alert …`
#[derive(Debug, Subcommand)]
pub(super) enum Command {
    /// List what fires, whom that is told, and who asked for quiet
    List(list::Args),
    /// Say that you know of an alert: nobody is told again while it lasts
    Ack(AckArgs),
    /// Send a message on trial to the receivers, and tell what came of each (exit code 3 when one
    /// did not take it)
    Test(test::Args),
    /// Have nobody told of some servers for a while
    Silence(quiet::SilenceArgs),
    /// End a silence before its time
    Unsilence(quiet::UnsilenceArgs),
}

/// The options of `alert ack`.
#[derive(Debug, clap::Args)]
pub(super) struct AckArgs {
    /// The number of the alert, or all
    #[arg(value_name = "ID|all", value_parser = parse_which)]
    which: Which,

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

/// One, or all.
#[derive(Debug, Clone, Copy)]
enum Which {
    All,
    One(u64),
}

fn parse_which(text: &str) -> Result<Which, String> {
    match text {
        "all" => Ok(Which::All),
        _ => parse_number(text).map(Which::One),
    }
}

fn parse_number(text: &str) -> Result<u64, String> {
    let number = text.parse().ok().filter(|number| *number > 0);
    number.ok_or_else(|| "write a number as extend alert list shows it".to_owned())
}

/// Runs a subcommand.
pub(super) async fn run(context: &Context, command: Command) -> Result<Exit, Failure> {
    match command {
        Command::List(args) => list::run(context, args).await,
        Command::Ack(args) => acknowledge(context, args).await,
        Command::Test(args) => test::run(context, args).await,
        Command::Silence(args) => quiet::silence(context, args).await,
        Command::Unsilence(args) => quiet::unsilence(context, args).await,
    }
}

async fn acknowledge(context: &Context, args: AckArgs) -> Result<Exit, Failure> {
    let (id, doing) = match args.which {
        Which::All => (0, "acknowledge all alerts".to_owned()),
        Which::One(id) => (id, format!("acknowledge alert {id}")),
    };
    let note = args.message;
    let mut client = context.client().await?;
    let request = v1::AckAlertsRequest { id, note };
    let answer = ask(&doing, client.rpc().ack_alerts(request)).await?;
    let said = match answer.acknowledged {
        0 => "nothing was left to acknowledge".to_owned(),
        1 => "1 alert acknowledged".to_owned(),
        several => format!("{several} alerts acknowledged"),
    };
    context.output.say(&said);
    Ok(Exit::Done)
}
