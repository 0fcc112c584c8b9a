//! `extend diagnose`: one archive with all that is known of a server, for whoever has to find out
//! what is the matter with it.
//!
//! Made on the operator's machine, for its owner alone, as a stream. Texts lose their secrets on
//! the way; crash dumps, which cannot, go only where they are asked for.

mod archive;
mod clean;
mod node;

use std::path::PathBuf;

use extend_common::exit::Exit;
use extend_common::ids::{NodeAddr, ServerName};
use extend_common::size;
use extend_proto::v1;
use jiff::Timestamp;
use serde::Serialize;

use super::args::ServerArg;
use super::client::{Client, ask, bounded};
use super::context::Context;
use super::failure::Failure;
use super::interrupt::Interrupts;
use super::part::refuse_existing;
use super::view::event::{Event, Events, read as read_event};
use super::view::health::Health;
use super::view::node::Node;
use super::view::operation::{Document, read};
use archive::Archive;

/// The newest events of the server.
const EVENTS: u32 = 2_000;
/// So many of the newest operations are looked through for those of the server.
const OPERATIONS: u32 = 200;
/// Of all dumps together.
const DUMP_LIMIT: u64 = 2_000_000_000;

/// The options of `diagnose`.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    #[command(flatten)]
    server: ServerArg,

    /// The archive to write; it must not exist yet [default: NAME-TIME.tar.gz]
    #[arg(long, value_name = "FILE")]
    to: Option<PathBuf>,

    /// Take crash dumps, too: they are memory of the process, with all secrets in it
    #[arg(long)]
    dumps: bool,

    /// No more of all dumps together; the newest go first [default: 2GB]
    #[arg(long, value_name = "SIZE", value_parser = size::parse, requires = "dumps")]
    dump_limit: Option<u64>,
}

/// What is wanted.
struct Wanted {
    selector: v1::Selector,
    name: ServerName,
    dumps: bool,
    dump_limit: u64,
}

/// How much could be had of the node.
#[derive(Default)]
struct Gathering {
    /// Why it could not be asked any more.
    away: Option<String>,
    /// So many parts could not be had.
    missing: usize,
}

/// `extend diagnose`
pub(crate) async fn run(context: &Context, args: Args) -> Result<Exit, Failure> {
    let mut interrupts = Interrupts::catch()?;
    tokio::select! {
        done = make(context, &args) => done,
        () = interrupts.next() => Err(Failure::new(Exit::Failed, "stopped: no archive was made")),
    }
}

async fn make(context: &Context, args: &Args) -> Result<Exit, Failure> {
    if let Some(file) = &args.to {
        refuse_existing(file)?;
    }
    let now = context.clock.now();
    let selector = args.server.selector();
    let mut client = context.client().await?;
    let health = find(&mut client, &selector, now).await?;
    let (name, address) = (health.server.name.clone(), health.server.address);
    let root = directory(&name, now);
    let file = args.to.clone();
    let file = file.unwrap_or_else(|| PathBuf::from(format!("{root}.tar.gz")));
    refuse_existing(&file)?;
    let mut archive = Archive::begin(&file, &root, now)?;
    archive.add_text("controller/health.json", &clean::document(&health)?)?;
    let known = of_controller(&mut client, &name, address, &mut archive).await?;
    let wanted = Wanted {
        selector,
        name: name.clone(),
        dumps: args.dumps,
        dump_limit: args.dump_limit.unwrap_or(DUMP_LIMIT),
    };
    let gathering = node::gather(&mut client, &wanted, known, &mut archive).await?;
    let bytes = archive.complete(&about(&health, now))?;
    let output = &context.output;
    output.data(&file.display().to_string())?;
    let size = size::show(bytes);
    output.say(&format!("wrote the diagnosis of {name} ({size})"));
    if let Some(why) = &gathering.away {
        output.say(&format!("it has only what the controller knows: {why}"));
        return Ok(Exit::SomeFailed);
    }
    if gathering.missing > 0 {
        let missing = gathering.missing;
        output.say(&format!(
            "{missing} of its parts could not be had; README.txt in it says which, and why"
        ));
        return Ok(Exit::SomeFailed);
    }
    Ok(Exit::Done)
}

/// The one server that is meant, with its health and history.
async fn find(
    client: &mut Client,
    selector: &v1::Selector,
    now: Timestamp,
) -> Result<Health, Failure> {
    let request = v1::HealthRequest {
        selector: Some(selector.clone()),
    };
    let answer = ask("make a diagnosis", client.rpc().show_health(request)).await?;
    let view = answer.servers.into_iter().next();
    let view = view.ok_or_else(|| {
        Failure::new(
            Exit::Refused,
            "cannot make a diagnosis: there is no such server",
        )
        .hint("extend status")
    })?;
    Health::read(view, None, now)
}

/// What the controller knows beside that; what it does not tell is missing.
async fn of_controller(
    client: &mut Client,
    name: &ServerName,
    address: NodeAddr,
    archive: &mut Archive,
) -> Result<Gathering, Failure> {
    let mut gathering = Gathering::default();
    let node = node_of(client, address).await;
    add(archive, "controller/node.json", node, &mut gathering)?;
    let events = events_of(client, name).await;
    add(archive, "controller/events.json", events, &mut gathering)?;
    let operations = operations_of(client, name).await;
    let name = "controller/operations.json";
    add(archive, name, operations, &mut gathering)?;
    Ok(gathering)
}

fn add(
    archive: &mut Archive,
    name: &str,
    document: Result<impl Serialize, Failure>,
    gathering: &mut Gathering,
) -> Result<(), Failure> {
    match document {
        Ok(document) => archive.add_text(name, &clean::document(&document)?),
        Err(failure) => {
            archive.leave_out(name, &failure.sentence);
            gathering.missing += 1;
            Ok(())
        }
    }
}

async fn node_of(client: &mut Client, address: NodeAddr) -> Result<Option<Node>, Failure> {
    let request = v1::ListNodesRequest {
        node: address.to_string(),
    };
    let answer = ask("show its node", client.rpc().list_nodes(request)).await?;
    answer
        .nodes
        .into_iter()
        .next()
        .map(Node::try_from)
        .transpose()
}

async fn events_of(client: &mut Client, name: &ServerName) -> Result<Events, Failure> {
    let request = v1::WatchEventsRequest {
        selector: Some(v1::Selector {
            name: name.to_string(),
            ..v1::Selector::default()
        }),
        tail: EVENTS,
        ..v1::WatchEventsRequest::default()
    };
    let failed = |status: &tonic::Status| Failure::from_status("show its events", status);
    let stream = bounded(client.rpc().watch_events(request)).await;
    let mut stream = stream.map_err(|status| failed(&status))?;
    let mut events: Vec<Event> = Vec::new();
    loop {
        let next = tokio::time::timeout(node::SILENCE, stream.message()).await;
        let silent = |_| tonic::Status::deadline_exceeded("the controller sends no more");
        let next = next.map_err(silent).and_then(|message| message);
        let Some(message) = next.map_err(|status| failed(&status))? else {
            return Ok(Events { events });
        };
        if message.event.is_some() {
            events.push(read_event(message)?);
        }
    }
}

async fn operations_of(client: &mut Client, name: &ServerName) -> Result<Vec<Document>, Failure> {
    let request = v1::ListOperationsRequest {
        limit: OPERATIONS,
        ..v1::ListOperationsRequest::default()
    };
    let answer = ask("list its operations", client.rpc().list_operations(request)).await?;
    let mut documents = Vec::new();
    for operation in answer.operations {
        let operation = read(operation)?;
        if operation.targets.iter().any(|target| target.name == *name) {
            documents.push(Document::from(&operation));
        }
    }
    Ok(documents)
}

/// The directory in the archive: what file systems and shells take, whatever the name is.
fn directory(name: &ServerName, now: Timestamp) -> String {
    let plain = |c: char| match c.is_ascii_alphanumeric() || c == '-' || c == '_' {
        true => c,
        false => '_',
    };
    let name: String = name.as_str().chars().map(plain).collect();
    format!("{name}-{}", now.strftime("%Y%m%dT%H%M%SZ"))
}

fn about(health: &Health, now: Timestamp) -> String {
    let server = &health.server;
    let explained = server.explanation();
    let because = match explained.is_empty() {
        true => String::new(),
        false => format!(" ({explained})"),
    };
    format!(
        "Diagnosis of {} ({}) at {}, made {now} by extend {}.\n\
         Its health: {}{because}.\n\n\
         Passwords, tokens, keys and values of the environment are replaced by {} in every text,\n\
         as far as they can be told by their names and forms: read it before you give it away.\n\
         Times are UTC. What is in it, and what is not:",
        server.name,
        server.r#type,
        server.address,
        env!("CARGO_PKG_VERSION"),
        server.health,
        extend_common::redact::REDACTED,
    )
}
