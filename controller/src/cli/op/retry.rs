//! `extend op retry`: submits an operation again, with its options.
//!
//! Carried out as a verb is. A removal asks as `extend rm` does: what was removed the first time
//! may have been deployed anew since.

use clap_complete::engine::ArgValueCompleter;
use extend_common::exit::Exit;
use extend_common::operation::{Operation, Verb};
use extend_proto::v1;

use super::parse_id;
use crate::cli::args::{SubmitArgs, seconds};
use crate::cli::client::ask;
use crate::cli::completion::live;
use crate::cli::context::Context;
use crate::cli::failure::Failure;
use crate::cli::lifecycle::rm::confirm_removal;
use crate::cli::lifecycle::{Call, Errand, carry_out, fresh_id, nothing_to_do, submit};
use crate::cli::view::operation::read;

/// The options of `op retry`.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// The operation's id, or its ending as lists show it
    #[arg(value_name = "ID", value_parser = parse_id,
        add = ArgValueCompleter::new(live::ended_operations))]
    id: String,

    /// Only the servers with which it did not come to the end
    #[arg(long)]
    failed_only: bool,

    /// Do not ask, also when several servers are removed
    #[arg(long)]
    yes: bool,

    #[command(flatten)]
    submit: SubmitArgs,
}

pub(super) async fn run(context: &Context, args: Args) -> Result<Exit, Failure> {
    let mut client = context.client().await?;
    let what = format!("retry operation {}", args.id);
    let request = v1::OperationRequest {
        id: args.id.clone(),
    };
    let first = read(ask(&what, client.rpc().get_operation(request)).await?)?;
    if first.verb == Verb::Rm && !args.yes && !args.submit.plan {
        let inquiry = errand(&first, &args, true);
        let (submitted, _) = submit(context, client, &inquiry).await?;
        let removed = confirm_removal(context, &inquiry, &submitted.plan).await?;
        if removed.is_none() {
            return nothing_to_do(context, &inquiry, &submitted.plan, &args.submit);
        }
        // The question may have stood there for an hour: a new connection.
        client = context.client().await?;
    }
    let errand = errand(&first, &args, args.submit.plan);
    carry_out(context, client, &errand, &args.submit).await
}

fn errand(first: &Operation, args: &Args, plan_only: bool) -> Errand {
    Errand {
        verb: first.verb,
        strategy: first.strategy,
        what: format!("retry {} {}", first.verb, first.id.short()),
        call: Call::Retry(v1::RetryRequest {
            request_id: fresh_id(),
            // An ending may come to fit another operation too.
            id: first.id.to_string(),
            failed_only: args.failed_only,
            plan_only,
            timeout_seconds: seconds(args.submit.timeout),
            message: args.submit.message.clone().unwrap_or_default(),
            queue: args.submit.queue,
        }),
    }
}
