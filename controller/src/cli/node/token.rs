//! `extend node token`: the token alone on stdout, or the user data that holds it, so that it can be
//! piped; all else on stderr.

use std::net::SocketAddrV4;
use std::time::Duration;

use extend_common::exit::Exit;
use extend_common::ids::NodeAddr;
use extend_common::wire::shown_text;
use extend_common::{duration, hash};
use extend_proto::v1;
use jiff::Timestamp;
use rustls_pki_types::CertificateDer;
use serde::Serialize;

use super::named;
use super::user_data::{self, FirstBoot};
use crate::cli::args::{FormatArgs, NodeArg, parse_whole_seconds, seconds};
use crate::cli::client::{Client, ask};
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

    /// Print EC2 user data that sets the node up at its first boot, in place of the token
    #[arg(long)]
    cloud_init: bool,
}

/// The document of `extend node token`.
#[derive(Debug, Serialize)]
struct Token {
    /// The node that may use it.
    address: NodeAddr,
    /// The line for `extend-agent join`. A secret.
    #[serde(skip_serializing_if = "Option::is_none")]
    token: Option<String>,
    /// The script that holds it.
    #[serde(skip_serializing_if = "Option::is_none")]
    user_data: Option<String>,
    /// When it ends.
    expires_at: Option<Timestamp>,
}

pub(super) async fn run(context: &Context, args: Args) -> Result<Exit, Failure> {
    let node = named(args.node.node())?;
    let mut client = context.client().await?;
    // Before there is a token: it would be one for nothing.
    let enrolment = if args.cloud_init {
        Some(Enrolment::ask(&mut client).await?)
    } else {
        None
    };
    let request = v1::MintTokenRequest {
        node: node.to_string(),
        ttl_seconds: seconds(args.ttl),
    };
    let what = format!("make a join token for {node}");
    let answer = ask(&what, client.rpc().mint_token(request)).await?;
    let expires_at = view::moment("expires_ms", answer.expires_ms)?;
    let user_data = enrolment
        .map(|enrolment| enrolment.user_data(node, &answer.token))
        .transpose()?;
    let is_user_data = user_data.is_some();
    let token = Token {
        address: node,
        token: Some(answer.token).filter(|_| !is_user_data),
        user_data,
        expires_at,
    };
    let text = document::render(args.output.format, &token)?;
    let alone = || token.user_data.or(token.token).unwrap_or_default();
    context.output.data(&text.unwrap_or_else(alone))?;
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
    if is_user_data {
        context.output.say(&format!(
            "User data for the instance with the private IP {node}. It works {ends}.\n\
             It holds the token: whoever can read the instance's user data can use it there until \
             the node has joined.\nThe node is online about a minute after its first boot; what \
             it does stands in its /var/log/cloud-init-output.log."
        ));
        context.output.hint(&format!("extend node show {node}"));
        return Ok(Exit::Done);
    }
    context.output.say(&format!(
        "The token can be used {ends}, on the node {node} only. Run this there and paste the \
         token when it asks:\n\n    sudo extend-agent join\n"
    ));
    Ok(Exit::Done)
}

/// What user data holds beside the token.
struct Enrolment {
    controller: SocketAddrV4,
    authority: CertificateDer<'static>,
    package: v1::AgentPackage,
}

impl Enrolment {
    async fn ask(client: &mut Client) -> Result<Self, Failure> {
        let request = v1::DescribeEnrolmentRequest {};
        let view = ask(
            "ask how nodes join",
            client.rpc().describe_enrolment(request),
        )
        .await?;
        let Some(package) = view.package else {
            let sentence = format!("cannot make user data: {}", shown_text(view.problem));
            return Err(Failure::new(Exit::Failed, sentence)
                .cause("a node fetches the agent's package from the controller")
                .hint(shown_text(view.hint)));
        };
        Ok(Self {
            controller: view.address.parse().map_err(|error| {
                Failure::local("cannot understand the address in the answer", &error)
            })?,
            authority: CertificateDer::from(view.ca_der),
            package,
        })
    }

    fn user_data(&self, node: NodeAddr, token: &str) -> Result<String, Failure> {
        let data = user_data::render(&FirstBoot {
            node,
            controller: self.controller,
            authority: &self.authority,
            version: &self.package.version,
            architecture: &self.package.architecture,
            sha256: &hash::encode(&self.package.sha256),
            token,
        });
        if data.len() > user_data::MOST {
            let sentence = format!("cannot make user data: it has {} bytes", data.len());
            return Err(Failure::new(Exit::Failed, sentence)
                .cause(format!("EC2 takes no more than {}", user_data::MOST)));
        }
        Ok(data)
    }
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
