//! The operator's command line. The tree of commands is the tree of files: `extend op list` is
//! `op/list.rs`.
//!
//! A command reads its arguments, asks the controller over its Unix socket, and shows the answer.
//! It decides nothing about servers, and it holds nothing that would be lost with the terminal.

mod alert;
mod args;
mod client;
mod completion;
mod confirm;
mod context;
mod controller;
mod diagnose;
mod doctor;
mod events;
mod failure;
mod health;
mod interrupt;
mod lifecycle;
mod logs;
mod man;
mod node;
mod op;
mod output;
mod part;
mod patience;
mod pbx;
mod reconnect;
mod shim;
mod status;
mod usage;
mod view;
mod watch;
mod when;
mod whitelist;

use std::ffi::OsString;
use std::process::ExitCode;

use clap::{FromArgMatches, Parser, Subcommand};
use extend_common::clock::Clock;
use extend_common::exit::Exit;

use args::ConnectionArgs;
use context::Context;
use failure::Failure;
use output::Output;

/// Manages the application servers of a PortSIP PBX HA cluster
#[derive(Debug, Parser)]
#[command(
    name = "extend",
    version,
    max_term_width = 100,
    disable_help_subcommand = true,
    subcommand_required = true,
    arg_required_else_help = true
)]
struct Cli {
    #[command(flatten)]
    connection: ConnectionArgs,

    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Deploy a server on a node
    Run(lifecycle::run::Args),
    /// Start servers
    Start(lifecycle::start::Args),
    /// Stop servers
    Stop(lifecycle::stop::Args),
    /// Restart servers, one of a type at a time
    Restart(lifecycle::restart::Args),
    /// Replace servers by ones of a newer image, one of a type at a time
    Upgrade(lifecycle::upgrade::Args),
    /// Remove servers; their data stays on the nodes
    Rm(lifecycle::rm::Args),
    /// Let servers take no new sessions, and wait until those they have have ended
    Drain(lifecycle::drain::Args),
    /// Let drained servers take sessions again
    Undrain(lifecycle::drain::UndrainArgs),
    /// Take over servers that PortSIP's own script has made, as they are
    Adopt(lifecycle::adopt::Args),
    /// Show how the servers are
    ///
    /// With -o wide, also how each was in the last two hours: a mark for five minutes, the higher
    /// the longer it was healthy, and a mark of its own where nobody knows, because its node or the
    /// controller was away. `extend health NAME` shows more of it.
    Status(status::Args),
    /// Show how servers are and how they were: reasons, probes, spark lines of two hours and a day
    ///
    /// The marks are the higher the longer a server was healthy, or the more there was of something;
    /// time of which nobody knows has a mark of its own. With -o wide, two weeks are shown, too.
    Health(health::Args),
    /// Check whether nodes are as PortSIP's guide wants them (exit code 3 when a check fails)
    ///
    /// Each node is looked at now, by its agent; nothing is changed. What fails is against a rule of
    /// the guide, and keeps `extend run` from deploying there unless it is accepted by name
    /// (--accept NAME=REASON). What warns is advice, and what nobody can tell is unknown.
    ///
    /// Exit code 0: nothing fails. 3: something does, on some node.
    Doctor(doctor::Args),
    /// Show what happened, and with -f what happens
    Events(events::Args),
    /// Show what a server writes: its container's output, or its log files
    Logs(logs::Args),
    /// Write all that is known of a server into one archive, without secrets (exit code 3 when parts
    /// are missing)
    ///
    /// What the controller knows (health, history, events, operations, node), and from the node: how
    /// its container is, its output, its log files, and with --dumps its crash dumps. README.txt in
    /// it lists everything, and what is not there and why.
    ///
    /// A node that is away gives an archive of what the controller knows, and exit code 3.
    Diagnose(diagnose::Args),
    /// List, show, watch, cancel and retry operations
    #[command(subcommand)]
    Op(op::Command),
    /// List, add and remove nodes
    #[command(subcommand)]
    Node(node::Command),
    /// List alerts, acknowledge them, and try who is told of them
    #[command(subcommand)]
    Alert(alert::Command),
    /// Show and check which addresses must be let in, and have it made so at once
    #[command(subcommand)]
    Whitelist(whitelist::Command),
    /// Run the controller, or back up, restore and recover it
    Controller(controller::Args),
    /// Pin the certificate of the PBX
    #[command(subcommand)]
    Pbx(pbx::Command),
    /// Put our extend.sh where PortSIP's guide looks for it, or take it away (as root)
    #[command(subcommand)]
    Shim(shim::Command),
    /// Print a script that lets a shell complete commands, names and addresses
    Completion(completion::Args),
    /// Write the manual pages into a directory, for the package
    #[command(hide = true)]
    Man(man::Args),
}

/// Runs the command line that this process was started with.
pub fn main() -> ExitCode {
    run(std::env::args_os().collect()).into()
}

fn run(argv: Vec<OsString>) -> Exit {
    if let Some(done) = completion::complete(&argv) {
        return done;
    }
    let output = Output::detect();
    let parsed = usage::tree()
        .try_get_matches_from(&argv)
        .and_then(|matches| Cli::from_arg_matches(&matches));
    let cli = match parsed {
        Ok(cli) => cli,
        Err(error) => return output.parser(&error, &usage::hint(&argv)),
    };
    let arguments = argv
        .iter()
        .skip(1)
        .map(|word| word.to_string_lossy().into_owned())
        .collect();
    let context = Context {
        output,
        connection: cli.connection,
        clock: Clock::system(),
        arguments,
    };
    let done = match cli.command {
        Command::Controller(args) if args.is_daemon() => controller::serve(&args),
        Command::Completion(args) => completion::run(&context, &args),
        Command::Man(args) => man::run(&args),
        command => on_runtime(&context, command),
    };
    done.unwrap_or_else(|failure| {
        output.failure(&failure);
        failure.exit
    })
}

/// A command line waits more than it works: one thread is enough, and starts faster.
fn on_runtime(context: &Context, command: Command) -> Result<Exit, Failure> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .map_err(|error| Failure::local("cannot start", &error))?;
    runtime.block_on(Box::pin(dispatch(context, command)))
}

async fn dispatch(context: &Context, command: Command) -> Result<Exit, Failure> {
    match command {
        Command::Run(args) => lifecycle::run::run(context, args).await,
        Command::Start(args) => lifecycle::start::run(context, args).await,
        Command::Stop(args) => lifecycle::stop::run(context, args).await,
        Command::Restart(args) => lifecycle::restart::run(context, args).await,
        Command::Upgrade(args) => lifecycle::upgrade::run(context, args).await,
        Command::Rm(args) => lifecycle::rm::run(context, args).await,
        Command::Drain(args) => lifecycle::drain::run(context, args).await,
        Command::Undrain(args) => lifecycle::drain::undo(context, args).await,
        Command::Adopt(args) => lifecycle::adopt::run(context, args).await,
        Command::Status(args) => status::run(context, args).await,
        Command::Health(args) => health::run(context, args).await,
        Command::Doctor(args) => doctor::run(context, args).await,
        Command::Events(args) => events::run(context, args).await,
        Command::Logs(args) => logs::run(context, args).await,
        Command::Diagnose(args) => diagnose::run(context, args).await,
        Command::Op(command) => op::run(context, command).await,
        Command::Node(command) => node::run(context, command).await,
        Command::Alert(command) => alert::run(context, command).await,
        Command::Whitelist(command) => whitelist::run(context, command).await,
        Command::Controller(args) => controller::run(context, args).await,
        Command::Pbx(command) => pbx::run(context, command).await,
        Command::Shim(command) => shim::run(context, command).await,
        Command::Completion(args) => completion::run(context, &args),
        Command::Man(args) => man::run(&args),
    }
}
