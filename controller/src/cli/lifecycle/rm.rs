//! `extend rm`: removes servers; their data stays.
//!
//! One server is removed without a question. Of several it shows what would be removed and asks
//! for their number, and then removes exactly the servers that were shown, whatever has changed
//! since.

use extend_common::exit::Exit;
use extend_common::ids::NodeAddr;
use extend_common::operation::{PlannedTarget, Verb};

use super::{Errand, Request, carry_out, nothing_to_do, submit};
use crate::cli::args::{SelectorArgs, SessionsArgs, SubmitArgs};
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
    sessions: SessionsArgs,

    #[command(flatten)]
    submit: SubmitArgs,
}

/// `extend rm`
pub(crate) async fn run(context: &Context, args: Args) -> Result<Exit, Failure> {
    let servers = args.selector.describe();
    let mut request = Request {
        sessions: args.sessions.into(),
        ..Request::new(Verb::Rm, args.selector.to_wire(), servers)
    };
    let asks = !args.yes && !args.submit.plan && !args.selector.names_one_server();
    let client = context.client().await?;
    if !asks {
        return carry_out(context, client, &request.errand(&args.submit), &args.submit).await;
    }
    let inquiry = request.inquiry(&args.submit);
    let (submitted, _) = submit(context, client, &inquiry).await?;
    let Some(removed) = confirm_removal(context, &inquiry, &submitted.plan).await? else {
        return nothing_to_do(context, &inquiry, &submitted.plan, &args.submit);
    };
    request.selector.nodes = removed.iter().map(ToString::to_string).collect();
    // The question may have stood there for an hour: a new connection.
    let client = context.client().await?;
    carry_out(context, client, &request.errand(&args.submit), &args.submit).await
}

/// Has the number of servers typed where several would be removed. The nodes of those that are to
/// be; none where nothing is.
pub(crate) async fn confirm_removal(
    context: &Context,
    inquiry: &Errand,
    plan: &[PlannedTarget],
) -> Result<Option<Vec<NodeAddr>>, Failure> {
    let removed: Vec<PlannedTarget> = plan
        .iter()
        .filter(|target| !target.already_so)
        .cloned()
        .collect();
    if removed.len() > 1 {
        confirm::terminal_or_refuse(context, &inquiry.what)?;
        ask(context, inquiry, &removed).await?;
    }
    let nodes: Vec<NodeAddr> = removed.iter().map(|target| target.node).collect();
    Ok(Some(nodes).filter(|nodes| !nodes.is_empty()))
}

/// Shows what would be removed and has the number of servers typed.
async fn ask(
    context: &Context,
    inquiry: &Errand,
    removed: &[PlannedTarget],
) -> Result<(), Failure> {
    context.output.say(&plan::brief(plan::Shown {
        verb: inquiry.verb,
        strategy: &inquiry.strategy,
        plan: removed,
        wide: false,
        now: context.clock.now(),
        stream: context.output.stderr(),
    }));
    let servers = count(removed.len(), "server");
    let question = Confirm {
        question: format!("Remove {servers}? The data directories stay on their nodes."),
        expected: removed.len().to_string(),
        how: "Type the number of servers to confirm: ",
    };
    confirm::confirm(context, question).await
}
