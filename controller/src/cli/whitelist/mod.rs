//! `extend whitelist`: which addresses must be let in, and how it stands with that.

mod check;
mod list;
mod sync;

use clap::Subcommand;
use extend_common::exit::Exit;

use super::args::Format;
use super::context::Context;
use super::failure::Failure;
use super::output::document;
use super::view::whitelist::Whitelist;

/// `extend whitelist …`
#[derive(Debug, Subcommand)]
pub(super) enum Command {
    /// List the addresses with where they are let in, and until when
    List(list::Args),
    /// List them, and tell by the exit code whether all are in force: 0 they are, 3 they are not,
    /// 4 nobody is configured who could see to it
    Check(check::Args),
    /// Have all of it made so at once, wait for that, and list; exit codes as of check
    Sync(sync::Args),
}

/// Runs a subcommand.
pub(super) async fn run(context: &Context, command: Command) -> Result<Exit, Failure> {
    match command {
        Command::List(args) => list::run(context, args).await,
        Command::Check(args) => check::run(context, args).await,
        Command::Sync(args) => sync::run(context, args).await,
    }
}

/// Prints all of it.
fn show(context: &Context, format: Format, whitelist: &Whitelist) -> Result<(), Failure> {
    if let Some(text) = document::render(format, whitelist)? {
        return context.output.data(&text);
    }
    let wide = format == Format::Wide;
    let stdout = context.output.stdout();
    let tables: Vec<String> = whitelist
        .tables(wide, context.clock.now())
        .iter()
        .map(|table| table.render(stdout))
        .collect();
    context.output.data(&tables.join("\n\n"))?;
    for drift in whitelist.drift(context.clock.now()) {
        context.output.say(&drift);
    }
    if whitelist.enforcers.is_empty() {
        context
            .output
            .say("nobody is configured who lets these addresses in");
        context.output.hint(NOBODY);
    }
    Ok(())
}

/// What to do where there is no enforcer.
const NOBODY: &str =
    "set api and nodes in [pbx], or security_group in [aws], in /etc/extend/controller.toml";

/// The exit code of a list that is to be in force; nobody to see to it is refused.
fn verdict(doing: &str, whitelist: &Whitelist) -> Result<Exit, Failure> {
    if whitelist.enforcers.is_empty() {
        let sentence = format!("cannot {doing}: nobody is configured who lets addresses in");
        return Err(Failure::new(Exit::Refused, sentence).hint(NOBODY));
    }
    Ok(if whitelist.is_in_force() {
        Exit::Done
    } else {
        Exit::SomeFailed
    })
}
