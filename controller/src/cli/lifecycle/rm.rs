//! `extend rm`: removes servers; their data stays.
//!
//! One server is removed without a question. Of several it shows what would be removed and asks
//! for their number, and then removes exactly the servers that were shown, whatever has changed
//! since.

use extend_common::exit::Exit;
use extend_common::operation::{PlannedTarget, Verb};

use super::submit::submit;
use super::{Request, carry_out, nothing_to_do};
use crate::cli::args::{SelectorArgs, SubmitArgs};
use crate::cli::confirm::{self, Confirm};
use crate::cli::context::Context;
use crate::cli::failure::Failure;
use crate::cli::output::plan;
use crate::cli::output::text::count;

/// The options of `rm`.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    #[command(flatten)]
    selector: SelectorArgs,

    /// Do not ask, also when several servers are removed
    #[arg(long)]
    yes: bool,

    #[command(flatten)]
    submit: SubmitArgs,
}

/// `extend rm`
pub(crate) async fn run(context: &Context, args: Args) -> Result<Exit, Failure> {
    let mut request = Request::new(Verb::Rm, args.selector.to_wire(), args.selector.describe());
    let asks = !args.yes && !args.submit.plan && !args.selector.names_one_server();
    let client = context.client().await?;
    if !asks {
        return carry_out(context, client, &request, &args.submit).await;
    }
    let wire = request.to_wire(&args.submit, true);
    let (submitted, _) = submit(context, client, &wire, &request.describe()).await?;
    let removed: Vec<PlannedTarget> = submitted
        .plan
        .iter()
        .filter(|target| !target.already_so)
        .cloned()
        .collect();
    if removed.is_empty() {
        return nothing_to_do(context, Verb::Rm, &submitted.plan, &args.submit);
    }
    if removed.len() > 1 {
        confirm::terminal_or_refuse(context, &request.describe())?;
        confirm_removal(context, &removed).await?;
    }
    request.selector.nodes = removed
        .iter()
        .map(|target| target.node.to_string())
        .collect();
    // The question may have stood there for an hour: a new connection.
    let client = context.client().await?;
    carry_out(context, client, &request, &args.submit).await
}

/// Shows what would be removed and has the number of servers typed.
async fn confirm_removal(context: &Context, removed: &[PlannedTarget]) -> Result<(), Failure> {
    let (now, stderr) = (context.clock.now(), context.output.stderr());
    context.output.say(&plan::table(removed, true, now, stderr));
    let servers = count(removed.len(), "server");
    let question = Confirm {
        question: format!("Remove {servers}? The data directories stay on their nodes."),
        expected: removed.len().to_string(),
        how: "Type the number of servers to confirm: ",
    };
    confirm::confirm(context, question).await
}
