//! `extend node token`: the token alone on stdout, so that it can be piped; all else on stderr.

use std::time::Duration;

use extend_common::duration;
use extend_common::exit::Exit;
use extend_common::ids::NodeAddr;
use extend_proto::v1;
use jiff::Timestamp;
use serde::Serialize;

use super::named;
use crate::cli::args::{FormatArgs, NodeArg, parse_whole_seconds, seconds};
use crate::cli::client::ask;
use crate::cli::context::Context;
use crate::cli::failure::Failure;
use crate::cli::output::document;
use crate::cli::output::text::{age, moment};
use crate::cli::view;

/// A token is for the minutes in which somebody sets up a node, not for keeping.
const MAX_TTL: Duration = Duration::from_hours(24);

/// The options of `node token`.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    #[command(flatten)]
    node: NodeArg,

    /// How long the token can be used, 24h at most [default: 10m]
    #[arg(long, value_name = "DURATION", value_parser = parse_ttl)]
    ttl: Option<Duration>,

    #[command(flatten)]
    output: FormatArgs,
}

/// The document of `extend node token`.
#[derive(Debug, Serialize)]
struct Token {
    /// The node that may use it.
    address: NodeAddr,
    /// The line for `extend-agent join`. A secret.
    token: String,
    /// When it ends.
    expires_at: Option<Timestamp>,
}

pub(super) async fn run(context: &Context, args: Args) -> Result<Exit, Failure> {
    let node = named(args.node.node())?;
    let mut client = context.client().await?;
    let request = v1::MintTokenRequest {
        node: node.to_string(),
        ttl_seconds: seconds(args.ttl),
    };
    let what = format!("make a join token for {node}");
    let answer = ask(&what, client.rpc().mint_token(request)).await?;
    let expires_at = view::moment("expires_ms", answer.expires_ms)?;
    let token = Token {
        address: node,
        token: answer.token,
        expires_at,
    };
    let text = document::render(args.output.format, &token)?;
    context
        .output
        .data(&text.unwrap_or_else(|| token.token.clone()))?;
    let ends = expires_at.map_or_else(
        || "once".to_owned(),
        |at| {
            format!(
                "once, until {} (for {})",
                moment(at, context.clock.now()),
                age(context.clock.now(), at)
            )
        },
    );
    context.output.say(&format!(
        "The token can be used {ends}, on the node {node} only. Run this there and paste the \
         token when it asks:\n\n    sudo extend-agent join\n"
    ));
    Ok(Exit::Done)
}

fn parse_ttl(text: &str) -> Result<Duration, String> {
    let ttl = parse_whole_seconds(text)?;
    if ttl > MAX_TTL {
        return Err(format!(
            "a token lives for {} at most",
            duration::show(MAX_TTL)
        ));
    }
    Ok(ttl)
}
