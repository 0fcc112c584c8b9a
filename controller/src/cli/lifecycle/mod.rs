//! The verbs: what changes servers. Each becomes one submission, carried out here.

pub(super) mod adopt;
pub(super) mod drain;
mod request;
pub(super) mod restart;
pub(super) mod rm;
pub(super) mod run;
pub(super) mod start;
pub(super) mod stop;
mod submit;
mod unasked;
pub(super) mod upgrade;

use extend_common::exit::Exit;
use extend_common::operation::PlannedTarget;

use super::args::{Format, SubmitArgs};
use super::client::Client;
use super::context::Context;
use super::failure::Failure;
use super::interrupt::Interrupts;
use super::output::{document, plan};
use super::view;
use super::watch::{Watching, watch};
use request::Request;
pub(super) use request::{Call, Errand, fresh_id};
pub(super) use submit::submit;
use unasked::carry_out_asking;

/// Submits a request, and does with the answer what the options say.
pub(super) async fn carry_out(
    context: &Context,
    client: Client,
    errand: &Errand,
    args: &SubmitArgs,
) -> Result<Exit, Failure> {
    let mut interrupts = Interrupts::catch()?;
    let (submitted, client) = tokio::select! {
        submitted = submit(context, client, errand) => submitted?,
        () = interrupts.next() => return Err(interrupted(errand)),
    };
    if args.plan {
        return show_plan(context, errand, &submitted.plan, args);
    }
    let Some(operation) = submitted.operation else {
        return nothing_to_do(context, errand, &submitted.plan, args);
    };
    for sentence in plan::already_so(&submitted.plan) {
        context.output.say(&sentence);
    }
    for sentence in view::checkup::sentences(&submitted.plan) {
        context.output.say(&sentence);
    }
    for sentence in plan::odd_differences(&submitted.plan) {
        context.output.say(&sentence);
    }
    if args.detach {
        let document = view::operation::Document::from(&operation);
        let text = document::render(args.output.format, &document)?;
        context
            .output
            .data(&text.unwrap_or_else(|| operation.id.to_string()))?;
        context
            .output
            .hint(&format!("extend op watch {}", operation.id.short()));
        return Ok(Exit::Done);
    }
    let watching = Watching {
        id: operation.id.to_string(),
        seen: Some(operation),
        args: args.watch,
        format: args.output.format,
    };
    watch(context, client, watching, &mut interrupts).await
}

fn show_plan(
    context: &Context,
    errand: &Errand,
    planned: &[PlannedTarget],
    args: &SubmitArgs,
) -> Result<Exit, Failure> {
    let verb = errand.verb;
    let document = view::plan::Document::new(verb, &errand.strategy, planned);
    let text = document::render(args.output.format, &document)?;
    let text = text.unwrap_or_else(|| {
        plan::shown(plan::Shown {
            verb,
            strategy: &errand.strategy,
            plan: planned,
            wide: args.output.format == Format::Wide,
            now: context.clock.now(),
            stream: context.output.stdout(),
        })
    });
    context.output.data(&text)?;
    context
        .output
        .say(&format!("{}: {}", verb, plan::verdict(verb, planned)));
    Ok(if document.changes {
        Exit::Changes
    } else {
        Exit::Done
    })
}

/// Every server was found as it should be.
pub(super) fn nothing_to_do(
    context: &Context,
    errand: &Errand,
    planned: &[PlannedTarget],
    args: &SubmitArgs,
) -> Result<Exit, Failure> {
    for sentence in plan::already_so(planned) {
        context.output.say(&sentence);
    }
    let document = view::plan::Document::new(errand.verb, &errand.strategy, planned);
    if let Some(text) = document::render(args.output.format, &document)? {
        context.output.data(&text)?;
    }
    Ok(Exit::Done)
}

/// Ctrl-C before the controller had acknowledged.
fn interrupted(errand: &Errand) -> Failure {
    Failure::new(
        Exit::Unreachable,
        format!(
            "stopped before the controller had acknowledged: {}",
            errand.what
        ),
    )
    .cause("it may have stored the operation all the same")
    .hint("extend op list --open")
}
