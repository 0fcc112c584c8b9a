//! `extend run`: deploys a server, or deploys it anew with other parameters.

use clap_complete::engine::ArgValueCompleter;
use extend_common::checkup::{Accepted, NotAccepted};
use extend_common::exit::Exit;
use extend_common::ids::{NodeAddr, ServerName};
use extend_common::operation::Verb;
use extend_proto::v1;

use super::{Request, carry_out_asking};
use crate::cli::args::{SessionsArgs, SubmitArgs, parse_image, parse_name, parse_node, parse_type};
use crate::cli::completion::live;
use crate::cli::context::Context;
use crate::cli::failure::Failure;
use crate::portal::Limits;

/// The options of `run`.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// The server's type, for example media-server-only
    #[arg(short = 's', long = "type", value_name = "TYPE", value_parser = parse_type,
        add = ArgValueCompleter::new(live::types))]
    role: String,

    /// The server's name, exactly as entered in the PBX Web Portal
    #[arg(short = 'n', long = "name", value_name = "NAME", value_parser = parse_name)]
    name: ServerName,

    /// The private IP of the node it shall run on
    #[arg(short = 'a', long = "address", value_name = "PRIVATE_IP", value_parser = parse_node,
        add = ArgValueCompleter::new(live::nodes))]
    node: NodeAddr,

    /// The node's Elastic IP, if it has one
    #[arg(short = 'A', long, value_name = "ELASTIC_IP", value_parser = parse_node)]
    elastic: Option<NodeAddr>,

    /// The image, in place of the configured one
    #[arg(short = 'i', long, value_name = "IMAGE", value_parser = parse_image)]
    image: Option<String>,

    /// So many sessions a media server takes at most, as it is registered in the portal
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..=5000))]
    max_sessions: Option<u32>,

    /// So many rooms a meeting server takes at most
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..=100_000))]
    max_rooms: Option<u32>,

    /// So many participants a meeting server takes at most
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..=1_000_000))]
    max_participants: Option<u32>,

    /// Also when the image is of an older version than the one that serves, or of a newer one than
    /// the PBX
    #[arg(long)]
    force: bool,

    /// Do not ask, also when the PBX's version is not known
    #[arg(long)]
    yes: bool,

    /// Also when this check of the host fails (`extend doctor` names them), for this reason: it is
    /// kept with the operation. Once for each check
    #[arg(long, value_name = "NAME=REASON", value_parser = parse_accepted)]
    accept: Vec<Accepted>,

    #[command(flatten)]
    sessions: SessionsArgs,

    #[command(flatten)]
    submit: SubmitArgs,
}

fn parse_accepted(text: &str) -> Result<Accepted, String> {
    text.parse().map_err(|error: NotAccepted| error.to_string())
}

/// `extend run`
pub(crate) async fn run(context: &Context, args: Args) -> Result<Exit, Failure> {
    let mut names = args.accept.iter().map(|accepted| accepted.name);
    if let Some(twice) = names.find(|name| {
        args.accept
            .iter()
            .filter(|accepted| accepted.name == *name)
            .count()
            > 1
    }) {
        let words = format!("--accept {twice} is there twice");
        return Err(Failure::usage(words));
    }
    let selector = v1::Selector {
        role: args.role.clone(),
        nodes: vec![args.node.to_string()],
        name: args.name.to_string(),
    };
    let servers = format!("{} ({}) on {}", args.name, args.role, args.node);
    let request = Request {
        image: args.image.unwrap_or_default(),
        public_address: args
            .elastic
            .map(|address| address.to_string())
            .unwrap_or_default(),
        force: args.force,
        sessions: args.sessions.into(),
        confirmed: args.yes,
        limits: Limits {
            max_sessions: args.max_sessions,
            max_rooms: args.max_rooms,
            max_participants: args.max_participants,
        },
        accepted: args.accept,
        ..Request::new(Verb::Run, selector, servers)
    };
    carry_out_asking(context, request, &args.submit).await
}
