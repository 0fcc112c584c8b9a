//! `extend op`: operations, which live in the controller and not in a terminal.

mod cancel;
mod list;
mod retry;
mod show;
mod watch;

use clap::Subcommand;
use extend_common::exit::Exit;

use super::context::Context;
use super::failure::Failure;

/// The longest id: a ULID has 26 characters.
const MAX_ID: usize = 26;

/// `extend op …`
#[derive(Debug, Subcommand)]
pub(super) enum Command {
    /// List operations, newest first
    List(list::Args),
    /// Show one operation: what became of each server, with the evidence of failures
    Show(show::Args),
    /// Watch an operation until it ends; the exit code is that of the operation
    Watch(watch::Args),
    /// End an operation and put back what is not done
    Cancel(cancel::Args),
    /// Submit an ended operation again, with its options
    Retry(retry::Args),
}

/// Runs a subcommand.
pub(super) async fn run(context: &Context, command: Command) -> Result<Exit, Failure> {
    match command {
        Command::List(args) => list::run(context, args).await,
        Command::Show(args) => show::run(context, args).await,
        Command::Watch(args) => watch::run(context, args).await,
        Command::Cancel(args) => cancel::run(context, args).await,
        Command::Retry(args) => retry::run(context, args).await,
    }
}

/// An operation's id, or an ending of it. The controller finds it in either case.
fn parse_id(text: &str) -> Result<String, String> {
    let fits = (1..=MAX_ID).contains(&text.len());
    if !fits || !text.chars().all(|c| c.is_ascii_alphanumeric()) {
        return Err("write the id of an operation, or its ending as lists show it".to_owned());
    }
    Ok(text.to_owned())
}
