//! `extend status`: what every server is, as far as its node has told.

use std::time::Duration;

use extend_common::exit::Exit;
use extend_proto::v1;

use super::args::{Format, FormatArgs, SelectorArgs};
use super::client::{Client, ask};
use super::context::Context;
use super::failure::Failure;
use super::interrupt::Interrupts;
use super::output::document;
use super::output::screen::Screen;
use super::view::server::{Fleet, servers_table};
use super::view::unclaimed::unclaimed_table;

/// How often `--watch` asks.
const EVERY: Duration = Duration::from_secs(1);

/// The options of `status`.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    #[command(flatten)]
    selector: SelectorArgs,

    /// Show it again every second, on a terminal
    #[arg(short = 'w', long)]
    watch: bool,

    #[command(flatten)]
    output: FormatArgs,
}

/// `extend status`
pub(crate) async fn run(context: &Context, args: Args) -> Result<Exit, Failure> {
    if args.watch {
        return watch(context, &args).await;
    }
    let mut client = context.client().await?;
    let fleet = ask_for(&mut client, &args).await?;
    match document::render(args.output.format, &fleet)? {
        Some(text) => context.output.data(&text)?,
        None if fleet.servers.is_empty() && fleet.unclaimed.is_empty() => {
            context.output.say("there are no servers yet");
            context
                .output
                .hint("extend run -s TYPE -n NAME -a PRIVATE_IP");
        }
        None => context
            .output
            .data(&tables(context, &fleet, args.output.format))?,
    }
    Ok(Exit::Done)
}

async fn ask_for(client: &mut Client, args: &Args) -> Result<Fleet, Failure> {
    let selector = &args.selector;
    let request = v1::ListServersRequest {
        selector: Some(selector.to_wire()),
        recent: args.output.format != Format::Table,
    };
    let what = format!("show the status of {}", selector.describe());
    Fleet::try_from(ask(&what, client.rpc().list_servers(request)).await?)
}

fn tables(context: &Context, fleet: &Fleet, format: Format) -> String {
    let stream = context.output.stdout();
    let mut parts = Vec::new();
    let wide = format == Format::Wide;
    if !fleet.servers.is_empty() {
        parts.push(servers_table(&fleet.servers, wide, context.clock.now()).render(stream));
    }
    if !fleet.unclaimed.is_empty() {
        parts.push(unclaimed_table(&fleet.unclaimed, wide).render(stream));
    }
    parts.join("\n\n")
}

/// Shows the fleet again and again, until somebody presses Ctrl-C. A controller that is away for
/// a while is shown to be so.
async fn watch(context: &Context, args: &Args) -> Result<Exit, Failure> {
    if matches!(args.output.format, Format::Json | Format::Yaml) {
        return Err(
            Failure::usage("cannot watch the status as a document").hint("extend status -o json")
        );
    }
    if !context.output.stdout().terminal {
        return Err(
            Failure::usage("cannot watch the status: standard output is no terminal")
                .hint("extend status"),
        );
    }
    let client = context.client().await?;
    let mut interrupts = Interrupts::catch()?;
    tokio::select! {
        failed = show_for_ever(context, args, client) => failed,
        () = interrupts.next() => Ok(Exit::Done),
    }
}

/// Comes back only with a failure that would not pass.
async fn show_for_ever(context: &Context, args: &Args, client: Client) -> Result<Exit, Failure> {
    let mut client = Some(client);
    let mut screen = Screen::new(context.output.stdout());
    loop {
        let fleet = match &mut client {
            Some(client) => ask_for(client, args).await,
            None => match context.client().await {
                Ok(new) => ask_for(client.insert(new), args).await,
                Err(failure) => Err(failure),
            },
        };
        match fleet {
            Ok(fleet) => screen.show(
                &context.output,
                &tables(context, &fleet, args.output.format),
            )?,
            Err(failure) if failure.exit == Exit::Unreachable => {
                client = None;
                screen.overlay(&context.output, &failure.sentence)?;
            }
            Err(failure) => return Err(failure),
        }
        tokio::time::sleep(EVERY).await;
    }
}
