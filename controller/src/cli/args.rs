//! The options that several commands share, and how their values are read.
//!
//! Everything that can be judged without the controller is judged here; what a role is called is
//! the controller's to judge.

mod rollout;

use std::ffi::OsString;
use std::path::PathBuf;
use std::time::Duration;

use clap::builder::TypedValueParser;
use clap::{Args, ValueEnum};
use clap_complete::engine::ArgValueCompleter;
use extend_common::duration;
use extend_common::ids::{NodeAddr, ServerName};
use extend_proto::v1;

use super::completion::live;
pub(crate) use rollout::{OrderArgs, RolloutArgs, Sessions, SessionsArgs};

/// Where the controller listens unless it was told otherwise.
pub(crate) const DEFAULT_SOCKET: &str = "/run/extend/controller.sock";
/// The longest word after `-s` that is sent on.
const MAX_TYPE: usize = 64;
/// The longest `-m` text: a line in a list, not a document.
const MAX_MESSAGE: usize = 500;
/// The longest image reference that Docker could know.
const MAX_IMAGE: usize = 512;

/// How the controller is reached.
#[derive(Debug, Clone, Args)]
pub(crate) struct ConnectionArgs {
    /// The controller's socket
    #[arg(
        long,
        global = true,
        value_name = "PATH",
        env = "EXTEND_SOCKET",
        hide_env_values = true,
        default_value = DEFAULT_SOCKET,
        value_parser = clap::builder::OsStringValueParser::new().try_map(parse_socket),
        help_heading = "Connection"
    )]
    pub(crate) socket: PathBuf,

    /// How long to go on trying when the connection is lost in the middle
    #[arg(
        long,
        global = true,
        value_name = "DURATION",
        env = "EXTEND_PATIENCE",
        hide_env_values = true,
        default_value = "30s",
        value_parser = duration::parse,
        help_heading = "Connection"
    )]
    pub(crate) patience: Duration,
}

/// Which servers are meant. Each option narrows; together they must agree.
#[derive(Debug, Clone, Default, Args)]
pub(crate) struct SelectorArgs {
    /// Only servers of this type, for example media-server-only
    #[arg(short = 's', long = "type", value_name = "TYPE", value_parser = parse_type,
        add = ArgValueCompleter::new(live::types))]
    pub(crate) role: Option<String>,

    /// Only the servers on these nodes, by private IP
    #[arg(
        short = 'a',
        long = "address",
        value_name = "IP[,IP…]",
        value_delimiter = ',',
        value_parser = parse_node,
        add = ArgValueCompleter::new(live::servers_addresses)
    )]
    pub(crate) nodes: Vec<NodeAddr>,

    /// Only the server with this name, as entered in the PBX Web Portal
    #[arg(short = 'n', long = "name", value_name = "NAME", value_parser = parse_name,
        add = ArgValueCompleter::new(live::names))]
    pub(crate) name: Option<ServerName>,
}

impl SelectorArgs {
    /// Whether exactly one server is meant and named: a node has one server, and names are unique.
    pub(crate) fn names_one_server(&self) -> bool {
        self.name.is_some() || self.nodes.len() == 1
    }

    /// The selector as it travels.
    pub(crate) fn to_wire(&self) -> v1::Selector {
        let mut nodes = self.nodes.clone();
        nodes.sort_unstable();
        nodes.dedup();
        v1::Selector {
            role: self.role.clone().unwrap_or_default(),
            nodes: nodes.iter().map(ToString::to_string).collect(),
            name: self
                .name
                .as_ref()
                .map(ToString::to_string)
                .unwrap_or_default(),
        }
    }

    /// The servers in words, for sentences: the options as they were given.
    pub(crate) fn describe(&self) -> String {
        let mut words = Vec::new();
        words.extend(self.role.iter().map(|role| format!("-s {role}")));
        if !self.nodes.is_empty() {
            let nodes: Vec<String> = self.nodes.iter().map(ToString::to_string).collect();
            words.push(format!("-a {}", nodes.join(",")));
        }
        words.extend(self.name.iter().map(|name| format!("-n {name}")));
        if words.is_empty() {
            "all servers".to_owned()
        } else {
            words.join(" ")
        }
    }
}

/// In which form data is printed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, ValueEnum)]
pub(crate) enum Format {
    // No doc comments: the help would spend a paragraph on each.
    #[default]
    Table,
    Wide,
    Json,
    Yaml,
}

/// The `-o` option.
#[derive(Debug, Clone, Copy, Default, Args)]
pub(crate) struct FormatArgs {
    /// How to print data; wide is a table with more columns
    #[arg(
        short = 'o',
        long = "output",
        value_name = "FORMAT",
        value_enum,
        default_value = "table"
    )]
    pub(crate) format: Format,
}

/// What can be said with every command that changes servers.
#[derive(Debug, Clone, Default, Args)]
pub(crate) struct SubmitArgs {
    /// Print what would happen and change nothing (exit code 10 when there is something to do)
    #[arg(long, conflicts_with = "detach")]
    pub(crate) plan: bool,

    /// Do not watch: print the operation's id once it is stored
    #[arg(long)]
    pub(crate) detach: bool,

    /// End the operation, and put back what is not done, after this time [default: 30m, and
    /// more where it goes in many waves]
    #[arg(long, value_name = "DURATION", value_parser = parse_whole_seconds)]
    pub(crate) timeout: Option<Duration>,

    #[command(flatten)]
    pub(crate) watch: WatchArgs,

    /// Wait for operations that hold a server, in place of being refused
    #[arg(long)]
    pub(crate) queue: bool,

    /// Why, for the record: a ticket number, for example
    #[arg(short = 'm', long, value_name = "TEXT", value_parser = parse_message)]
    pub(crate) message: Option<String>,

    #[command(flatten)]
    pub(crate) output: FormatArgs,
}

/// How long an operation is watched.
#[derive(Debug, Clone, Copy, Default, Args)]
pub(crate) struct WatchArgs {
    /// Stop watching after this time; the operation goes on
    #[arg(long, value_name = "DURATION", value_parser = duration::parse)]
    pub(crate) watch_timeout: Option<Duration>,
}

/// One server, by its name or by its node.
#[derive(Debug, Clone, Args)]
pub(crate) struct ServerArg {
    /// The server's name, as entered in the PBX Web Portal
    #[arg(
        value_name = "NAME",
        value_parser = parse_name,
        required_unless_present_any = ["name", "address"],
        add = ArgValueCompleter::new(live::names)
    )]
    position: Option<ServerName>,

    /// The same as an option
    #[arg(
        short = 'n',
        long,
        value_name = "NAME",
        value_parser = parse_name,
        conflicts_with = "position",
        add = ArgValueCompleter::new(live::names)
    )]
    name: Option<ServerName>,

    /// The server on this node, by private IP
    #[arg(short = 'a', long, value_name = "IP", value_parser = parse_node,
        add = ArgValueCompleter::new(live::servers_addresses))]
    address: Option<NodeAddr>,
}

impl ServerArg {
    fn name(&self) -> Option<&ServerName> {
        self.position.as_ref().or(self.name.as_ref())
    }

    /// As the controller is asked for it.
    pub(crate) fn selector(&self) -> v1::Selector {
        v1::Selector {
            role: String::new(),
            nodes: self.address.iter().map(ToString::to_string).collect(),
            name: self.name().map(ToString::to_string).unwrap_or_default(),
        }
    }

    /// In words.
    pub(crate) fn words(&self) -> String {
        match (self.name(), self.address) {
            (Some(name), _) => name.to_string(),
            (None, Some(address)) => format!("the server at {address}"),
            (None, None) => "the server".to_owned(),
        }
    }
}

/// One node, by position or with `-a`.
#[derive(Debug, Clone, Args)]
pub(crate) struct NodeArg {
    /// The node's private IP
    #[arg(value_name = "IP", value_parser = parse_node, required_unless_present = "address",
        add = ArgValueCompleter::new(live::nodes))]
    position: Option<NodeAddr>,

    /// The same as an option
    #[arg(
        short = 'a',
        long,
        value_name = "IP",
        value_parser = parse_node,
        conflicts_with = "position",
        add = ArgValueCompleter::new(live::nodes)
    )]
    address: Option<NodeAddr>,
}

impl NodeArg {
    /// The node that was named. Clap has seen to it that there is one.
    pub(crate) fn node(&self) -> Option<NodeAddr> {
        self.position.or(self.address)
    }
}

/// A path; an empty one, as an unset shell variable leaves it, is refused.
fn parse_socket(path: OsString) -> Result<PathBuf, &'static str> {
    if path.is_empty() {
        return Err("it is empty: leave it out, or unset EXTEND_SOCKET");
    }
    Ok(path.into())
}

/// A private IPv4 address; an empty text, as an unset shell variable leaves it, is refused.
pub(crate) fn parse_node(text: &str) -> Result<NodeAddr, String> {
    if text.is_empty() {
        return Err("it is empty: write an IPv4 address, like 172.31.16.139".to_owned());
    }
    text.parse::<NodeAddr>().map_err(|error| error.to_string())
}

/// A portal name.
pub(crate) fn parse_name(text: &str) -> Result<ServerName, String> {
    text.parse::<ServerName>()
        .map_err(|error| error.to_string())
}

/// The word after `-s`. Empty would not narrow on the wire, so it must never be sent.
pub(crate) fn parse_type(text: &str) -> Result<String, String> {
    let clean = |c: char| c.is_ascii_alphanumeric() || c == '-' || c == '_';
    if text.is_empty() {
        return Err("it is empty: write a server type, like media-server-only".to_owned());
    }
    if text.len() > MAX_TYPE || !text.chars().all(clean) {
        return Err("a server type is a word, like media-server-only".to_owned());
    }
    Ok(text.to_owned())
}

/// An image reference: what Docker makes of it is the node's to judge.
pub(crate) fn parse_image(text: &str) -> Result<String, String> {
    let clean = |c: char| c.is_ascii_alphanumeric() || "._-/:@+".contains(c);
    if text.is_empty() || text.len() > MAX_IMAGE || !text.chars().all(clean) {
        return Err("write an image reference, like portsip/pbx:22".to_owned());
    }
    Ok(text.to_owned())
}

fn parse_message(text: &str) -> Result<String, String> {
    if text.chars().count() > MAX_MESSAGE {
        return Err(format!("it is longer than {MAX_MESSAGE} characters"));
    }
    if text.chars().any(char::is_control) {
        return Err("write one line of plain text".to_owned());
    }
    Ok(text.to_owned())
}

/// A duration that is sent in seconds, where 0 would mean the controller's default.
pub(crate) fn parse_whole_seconds(text: &str) -> Result<Duration, String> {
    let duration = duration::parse(text)?;
    if duration < Duration::from_secs(1) || u32::try_from(duration.as_secs()).is_err() {
        return Err("write a time of one second or more".to_owned());
    }
    Ok(duration)
}

/// A duration in whole seconds as it travels; none is 0, the controller's default.
pub(crate) fn seconds(duration: Option<Duration>) -> u32 {
    duration.map_or(0, |d| u32::try_from(d.as_secs()).unwrap_or(u32::MAX))
}
