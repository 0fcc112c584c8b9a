//! The verbs: what changes servers. Each becomes one submission, carried out here.
//!
//! `run`, `upgrade`, `rm` and `adopt` have words of their own; `start`, `stop` and `restart` are the same
//! but for the verb.

pub(super) mod adopt;
pub(super) mod rm;
pub(super) mod run;
mod submit;
pub(super) mod upgrade;

use extend_common::exit::Exit;
use extend_common::ids::RequestId;
use extend_common::operation::{PlannedTarget, Verb};
use extend_proto::v1;
use ulid::Ulid;

use super::args::{Format, SelectorArgs, SubmitArgs, seconds};
use super::client::Client;
use super::context::Context;
use super::failure::Failure;
use super::interrupt::Interrupts;
use super::output::{document, plan};
use super::view;
use super::watch::{Watching, watch};
use submit::{Submitted, submit};

/// The options of `start`, `stop` and `restart`.
#[derive(Debug, clap::Args)]
pub(super) struct Args {
    #[command(flatten)]
    selector: SelectorArgs,

    #[command(flatten)]
    submit: SubmitArgs,
}

/// `extend start`, `extend stop` and `extend restart`.
pub(super) async fn plain(context: &Context, verb: Verb, args: Args) -> Result<Exit, Failure> {
    let request = Request::new(verb, args.selector.to_wire(), args.selector.describe());
    let client = context.client().await?;
    carry_out(context, client, &request, &args.submit).await
}

/// What is asked for, apart from how it is carried out.
#[derive(Debug, Clone)]
struct Request {
    verb: Verb,
    selector: v1::Selector,
    /// The servers in words.
    servers: String,
    image: String,
    public_address: String,
    force: bool,
}

impl Request {
    fn new(verb: Verb, selector: v1::Selector, servers: String) -> Self {
        let (image, public_address) = (String::new(), String::new());
        Self {
            verb,
            selector,
            servers,
            image,
            public_address,
            force: false,
        }
    }

    /// The submission. Its id is made here, once: sending it again returns the same operation.
    fn to_wire(&self, args: &SubmitArgs, plan_only: bool) -> v1::SubmitRequest {
        v1::SubmitRequest {
            request_id: RequestId(Ulid::generate()).to_string(),
            verb: self.verb.to_wire(),
            selector: Some(self.selector.clone()),
            image: self.image.clone(),
            public_address: self.public_address.clone(),
            plan_only,
            timeout_seconds: seconds(args.timeout),
            message: args.message.clone().unwrap_or_default(),
            force: self.force,
            strategy: None,
            drain_seconds: 0,
            drain: false,
            now: false,
            queue: false,
            to_previous: false,
        }
    }

    /// Operation and object, for sentences.
    fn describe(&self) -> String {
        format!("{} {}", self.verb, self.servers)
    }
}

/// Submits a request, and does with the answer what the options say.
async fn carry_out(
    context: &Context,
    client: Client,
    request: &Request,
    args: &SubmitArgs,
) -> Result<Exit, Failure> {
    let mut interrupts = Interrupts::catch()?;
    let (wire, what) = (request.to_wire(args, args.plan), request.describe());
    let (submitted, client) = tokio::select! {
        submitted = submit(context, client, &wire, &what) => submitted?,
        () = interrupts.next() => return Err(interrupted(request)),
    };
    if args.plan {
        return show_plan(context, request.verb, &submitted, args);
    }
    let Some(operation) = submitted.operation else {
        return nothing_to_do(context, request.verb, &submitted.plan, args);
    };
    for sentence in plan::already_so(&submitted.plan) {
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
    verb: Verb,
    submitted: &Submitted,
    args: &SubmitArgs,
) -> Result<Exit, Failure> {
    let planned = &submitted.plan;
    let document = view::plan::Document::new(verb, planned);
    let text = document::render(args.output.format, &document)?;
    let (now, wide) = (context.clock.now(), args.output.format == Format::Wide);
    context.output.data(
        &text.unwrap_or_else(|| plan::shown(verb, planned, wide, now, context.output.stdout())),
    )?;
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
fn nothing_to_do(
    context: &Context,
    verb: Verb,
    planned: &[PlannedTarget],
    args: &SubmitArgs,
) -> Result<Exit, Failure> {
    for sentence in plan::already_so(planned) {
        context.output.say(&sentence);
    }
    let document = view::plan::Document::new(verb, planned);
    if let Some(text) = document::render(args.output.format, &document)? {
        context.output.data(&text)?;
    }
    Ok(Exit::Done)
}

/// Ctrl-C before the controller had acknowledged.
fn interrupted(request: &Request) -> Failure {
    Failure::new(
        Exit::Unreachable,
        format!(
            "stopped before the controller had acknowledged: {}",
            request.describe()
        ),
    )
    .cause("it may have stored the operation all the same")
    .hint("extend op list --open")
}
