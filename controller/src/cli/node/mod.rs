//! `extend node`: the EC2 instances that servers run on.

mod bootstrap;
mod list;
mod remove;
mod revoke;
mod scripts;
mod show;
mod token;
mod user_data;

use clap::Subcommand;
use extend_common::exit::Exit;
use extend_common::ids::NodeAddr;
use extend_common::wire::shown_text;
use extend_proto::v1;

use super::args::Format;
use super::confirm::{self, Confirm};
use super::context::Context;
use super::failure::Failure;
use super::output::document;
use super::output::text::local_times;
use super::view::node::Node;

/// `extend node …`
#[derive(Debug, Subcommand)]
pub(super) enum Command {
    /// List the nodes
    List(list::Args),
    /// Show one node
    Show(show::Args),
    /// Set nodes up over SSH: from a bare instance to online; again, to repair or upgrade them
    Bootstrap(bootstrap::Args),
    /// Make the token that a node joins with, once
    Token(token::Args),
    /// Accept a node's certificate no longer; its server goes on
    Revoke(revoke::Args),
    /// Forget a node
    Remove(remove::Args),
}

/// Runs a subcommand.
pub(super) async fn run(context: &Context, command: Command) -> Result<Exit, Failure> {
    match command {
        Command::List(args) => list::run(context, args).await,
        Command::Show(args) => show::run(context, args).await,
        Command::Bootstrap(args) => Box::pin(bootstrap::run(context, args)).await,
        Command::Token(args) => token::run(context, args).await,
        Command::Revoke(args) => revoke::run(context, args).await,
        Command::Remove(args) => remove::run(context, args).await,
    }
}

/// Asks a person whether he means it, unless he said so with `--yes`.
async fn confirm(
    context: &Context,
    yes: bool,
    what: &str,
    question: String,
) -> Result<(), Failure> {
    if yes {
        return Ok(());
    }
    confirm::terminal_or_refuse(context, what)?;
    let how = "Type yes to confirm: ";
    confirm::confirm(
        context,
        Confirm {
            question,
            expected: "yes".to_owned(),
            how,
        },
    )
    .await
}

/// What was done to a node: sentences for people, the node as a document.
fn tell(
    context: &Context,
    format: Format,
    done: &str,
    answer: v1::NodeResponse,
) -> Result<Exit, Failure> {
    context.output.say(done);
    for note in answer.notes {
        context.output.say(&format!(
            "  {}",
            local_times(&shown_text(note), context.clock.now())
        ));
    }
    if let Some(node) = answer.node.map(Node::try_from).transpose()?
        && let Some(text) = document::render(format, &node)?
    {
        context.output.data(&text)?;
    }
    Ok(Exit::Done)
}

/// Clap has seen to it that a node is named; this only keeps the types honest.
fn named(node: Option<NodeAddr>) -> Result<NodeAddr, Failure> {
    node.ok_or_else(|| Failure::usage("no node is named").hint("extend node list"))
}
