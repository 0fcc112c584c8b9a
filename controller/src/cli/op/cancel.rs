//! `extend op cancel`

use clap_complete::engine::ArgValueCompleter;
use extend_common::exit::Exit;
use extend_common::operation::{Operation, Target, TargetState};
use extend_proto::v1;

use super::{parse_id, show};
use crate::cli::args::{Format, FormatArgs};
use crate::cli::client::ask;
use crate::cli::completion::live;
use crate::cli::context::Context;
use crate::cli::failure::Failure;
use crate::cli::view::operation::read;
use crate::cli::view::progress::touches;

/// So many servers are told by name, and more by their number.
const MOST_NAMED: usize = 4;

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
    let id = operation.id.short();
    let name = format!("{} {id}", operation.verb);
    let became = became(&operation);
    if operation.ended.is_some() {
        context.output.say(&format!("{name} has ended: {became}"));
    } else {
        context
            .output
            .say(&format!("{name} is being cancelled: {became}"));
        context.output.hint(&format!("extend op watch {id}"));
    }
    if matches!(args.output.format, Format::Json | Format::Yaml) {
        show::print(context, &operation, args.output.format)?;
    }
    Ok(Exit::Done)
}

/// What was done already, what is put back, and what was not begun: `1 done (media-server-1), 2
/// being put back (…), 5 not begun`.
fn became(operation: &Operation) -> String {
    let is_open = |target: &&Target| !target.state.has_ended();
    let (open, ended): (Vec<&Target>, Vec<&Target>) = operation.targets.iter().partition(is_open);
    let state = |state: TargetState| {
        let of_state = ended.iter().filter(move |target| target.state == state);
        of_state.copied().collect::<Vec<_>>()
    };
    let cancelled = state(TargetState::Cancelled);
    let (back, untouched): (Vec<&Target>, Vec<&Target>) = cancelled
        .into_iter()
        .chain(state(TargetState::Skipped))
        .partition(|target| target.phases.iter().any(|entry| touches(entry.phase)));
    let parts = [
        ("done", state(TargetState::Succeeded)),
        ("failed", state(TargetState::Failed)),
        ("rolled-back", state(TargetState::RolledBack)),
        ("timed-out", state(TargetState::TimedOut)),
        ("being put back", open),
        ("put back", back),
        ("not begun", untouched),
    ];
    let told = parts.iter().filter(|(_, targets)| !targets.is_empty());
    let told = told.map(|(what, targets)| match targets.len() {
        few @ 1..=MOST_NAMED => format!("{few} {what} ({})", names(targets)),
        many => format!("{many} {what}"),
    });
    told.collect::<Vec<_>>().join(", ")
}

fn names(targets: &[&Target]) -> String {
    let names = targets.iter().map(|target| target.name.as_str());
    names.collect::<Vec<_>>().join(", ")
}
