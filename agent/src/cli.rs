//! The command line of `extend-agent`: `run` is what the unit calls, `join` is typed once.

use std::error::Error as _;
use std::io::{BufRead as _, IsTerminal as _, Write as _};
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::Context as _;
use clap::{CommandFactory as _, Parser, Subcommand};
use extend_common::exit::{self, Exit};
use extend_common::man;
use extend_common::owner::{Became, OwnerError, become_owner, become_owner_in_group_of};
use extend_common::telemetry;
use extend_common::tls::{JoinToken, system_time};

use crate::config::Config;
use crate::docker::credentials;
use crate::failure::Failure;
use crate::host::helper::server;
use crate::identity::Enrolment;
use crate::identity::clocks::ClocksApart;
use crate::{daemon, identity};

/// There while systemd is what runs the machine.
const SYSTEMD: &str = "/run/systemd/system";
/// Where the package puts the unit, or an administrator.
const UNITS: [&str; 3] = [
    "/etc/systemd/system/extend-agent.service",
    "/usr/lib/systemd/system/extend-agent.service",
    "/lib/systemd/system/extend-agent.service",
];
/// A token is one line of about a hundred characters.
const MAX_TOKEN: u64 = 1024;

/// Manages the Docker services of one node, as its controller says.
#[derive(Debug, Parser)]
#[command(name = "extend-agent", version, after_help = exit::HELP)]
struct Arguments {
    /// The configuration file [default: /etc/extend/agent.toml]
    #[arg(long, global = true, value_name = "FILE")]
    config: Option<PathBuf>,
    #[command(subcommand)]
    command: Option<Command>,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Run the agent (the default; what the systemd unit does)
    Run,
    /// Join a controller: reads the line that `extend node token -a IP` printed
    Join {
        /// Read the token from this file rather than from standard input
        #[arg(long, value_name = "FILE")]
        token_file: Option<PathBuf>,
    },
    /// Do one thing that needs root, for the agent (what extend-agent-host@.service does)
    #[command(hide = true)]
    Host,
    /// Check the configuration and the role definitions, and say what is wrong with them
    CheckConfig,
    /// Write the manual pages into a directory, for the package
    #[command(hide = true)]
    Man {
        /// The directory
        directory: PathBuf,
    },
}

/// What the manual page tells beside the commands.
const MAN: man::Extra = man::Extra {
    files: &[
        (
            "/etc/extend/agent.toml",
            "The configuration; every key stands in it.",
        ),
        (
            "/etc/extend/roles.d/",
            "Role definitions of this node's own.",
        ),
        (
            "/etc/extend/registry.json",
            "Registry credentials, mode 0600.",
        ),
        ("/var/lib/extend-agent/", "Key, certificate and ledger."),
        (
            "/var/lib/portsip/",
            "What the services keep, one directory for each role.",
        ),
    ],
    see_also: "extend(1), docker(1), systemctl(1), journalctl(1)",
};

/// Parses the arguments and does what they say.
pub fn main() -> ExitCode {
    let arguments = Arguments::parse();
    match act(arguments) {
        Ok(()) => Exit::Done.into(),
        Err(error) => {
            let failure = Failure::of(&error);
            complain(&failure);
            failure.exit.into()
        }
    }
}

fn act(arguments: Arguments) -> anyhow::Result<()> {
    if let Some(Command::Man { directory }) = &arguments.command {
        return man::write(Arguments::command(), MAN, directory)
            .with_context(|| format!("writing the manual pages into {}", directory.display()));
    }
    let command = arguments.command.unwrap_or(Command::Run);
    if let Command::Host = command {
        telemetry::start();
        return server::serve_stdin(arguments.config.as_deref());
    }
    let config = Config::load(arguments.config.as_deref())?;
    match command {
        Command::Run => {
            telemetry::start();
            let socket = Some(config.docker_socket.as_path());
            let became = become_owner_in_group_of(&config.state_dir, socket);
            let became = became.map_err(|error| not_ours(&error, "extend-agent run"))?;
            if let Became::Owner { uid, .. } = became {
                tracing::info!(user = uid, "running as the owner of the state directory");
            }
            runtime()?.block_on(daemon::run(&config))
        }
        Command::Join { token_file } => {
            let token = read_token(token_file)?;
            // The token was root's to read; what is written is the agent's.
            become_owner(&config.state_dir)
                .map_err(|error| not_ours(&error, "extend-agent join"))?;
            let joining = identity::join::join(&token, &config.state_dir, system_time());
            let joined = runtime()?.block_on(joining).with_context(|| {
                format!(
                    "cannot join the controller at {} as node {}",
                    token.controller, token.node
                )
            })?;
            if let Some(clocks) = joined.clocks {
                say(&format!("warning: {clocks}\nhint: {}", ClocksApart::HINT));
            }
            let Enrolment { node, agents, .. } = joined.enrolment;
            let next = what_next(joined.agent_runs);
            say(&format!(
                "node {node} has joined the controller at {agents}\n{next}"
            ));
            Ok(())
        }
        Command::CheckConfig => {
            extend_common::roles::RoleSet::load(&config.roles_dir)?;
            // As the agent will read them.
            become_owner(&config.state_dir)
                .map_err(|error| not_ours(&error, "extend-agent check-config"))?;
            credentials::read(&config.registry_credentials)?;
            say("the configuration and the role definitions are good");
            Ok(())
        }
        // Seen to above: they need no configuration.
        Command::Host | Command::Man { .. } => Ok(()),
    }
}

/// The state is another user's.
fn not_ours(error: &OwnerError, command: &str) -> Failure {
    let hint = error.hint(command).unwrap_or_default();
    let mut failure = Failure::new(Exit::Failed, error.to_string(), hint);
    let causes = error.source().into_iter();
    failure.causes.extend(causes.map(ToString::to_string));
    failure
}

fn runtime() -> anyhow::Result<tokio::runtime::Runtime> {
    tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .context("starting the runtime")
}

/// What a person who has joined a node does next, which may be nothing.
fn what_next(agent_runs: bool) -> &'static str {
    let has_unit = || UNITS.iter().any(|path| Path::new(path).exists());
    if agent_runs {
        "the agent that runs here goes on with it by itself"
    } else if Path::new(SYSTEMD).is_dir() && has_unit() {
        "hint: systemctl enable --now extend-agent"
    } else {
        "hint: extend-agent run    (no agent runs here, and there is no service for it)"
    }
}

/// The token comes by standard input or by file: an argument could be read by every user of the
/// node.
fn read_token(file: Option<PathBuf>) -> anyhow::Result<JoinToken> {
    let mut line = String::new();
    match file {
        Some(path) => {
            let found = std::fs::File::open(&path)
                .with_context(|| format!("opening the token file {}", path.display()))?;
            read_line(found, &mut line)?;
        }
        None => {
            let input = std::io::stdin();
            if input.is_terminal() {
                say("paste the line that `extend node token` printed on the primary:");
            }
            read_line(input.lock(), &mut line)?;
        }
    }
    line.trim().parse().context("reading the token")
}

fn read_line(from: impl std::io::Read, line: &mut String) -> anyhow::Result<()> {
    std::io::BufReader::new(from.take(MAX_TOKEN))
        .read_line(line)
        .context("reading the token")?;
    Ok(())
}

fn say(words: &str) {
    drop(writeln!(std::io::stderr(), "{words}"));
}

fn complain(failure: &Failure) {
    let mut words = format!("error: {}", failure.sentence);
    for cause in &failure.causes {
        words.push_str(&format!("\n  cause: {cause}"));
    }
    if !failure.hint.is_empty() {
        words.push_str(&format!("\nhint: {}", failure.hint));
    }
    say(&words);
}
