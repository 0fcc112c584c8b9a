//! `extend node bootstrap`: from a bare instance to a node that is online, over SSH.
//!
//! ```text
//! check.sh → facts → plan (pure) → perform, step by step → online
//! ```
//!
//! Every node goes its own way; some at a time. Nothing is remembered here: running it again looks
//! again, and does what is left to do.

mod controller;
mod facts;
mod perform;
mod plan;
mod remote;
mod report;

use std::io::{IsTerminal, Read};
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use extend_common::exit::Exit;
use extend_common::hash::sha256;
use extend_common::ids::NodeAddr;
use extend_common::tls::Fingerprint;
use extend_common::{duration, files};
use extend_proto::v1;
use futures_util::StreamExt;
use tokio::time::Instant;
use zeroize::Zeroizing;

use self::controller::Controller;
use self::facts::Facts;
use self::perform::{Credentials, Goods, Ways};
use self::plan::{Plan, Step, Wanted};
use self::remote::{Payload, Ssh};
use self::report::{Outcome, Report};
use crate::cli::args::{FormatArgs, parse_node};
use crate::cli::client::ask;
use crate::cli::completion::live;
use crate::cli::context::Context;
use crate::cli::failure::Failure;
use crate::cli::interrupt::Interrupts;
use crate::cli::node::scripts;
use crate::cli::output::document;
use crate::cli::output::text::{moment, span};
use crate::package::AgentPackage;

/// Nodes that are worked on at the same time: more would only wait for the same mirror.
const AT_ONCE: usize = 8;
/// No user's name and no option is longer.
const MAX_WORD: usize = 256;

/// The options of `node bootstrap`.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// The nodes, by private IP
    #[arg(short = 'a', long = "address", value_name = "IP[,IP…]", value_delimiter = ',',
        required = true, value_parser = parse_node,
        add = clap_complete::engine::ArgValueCompleter::new(live::nodes))]
    nodes: Vec<NodeAddr>,

    /// The user to log in as; unless it is root, it needs sudo without a password
    #[arg(long, value_name = "NAME", default_value = "ubuntu", value_parser = parse_user)]
    user: String,

    /// The private key to log in with, if ssh does not find it by itself
    #[arg(long, value_name = "FILE")]
    key: Option<PathBuf>,

    /// A further option for ssh, as in ssh_config; may be given several times
    #[arg(long = "ssh-option", value_name = "KEY=VALUE", value_parser = parse_option)]
    options: Vec<String>,

    /// The agent's package, in place of the one that came with this controller
    #[arg(long, value_name = "FILE")]
    package: Option<PathBuf>,

    /// Credentials of the image registry to put on the nodes, in Docker's format (config.json)
    #[arg(long, value_name = "FILE")]
    registry_credentials: Option<PathBuf>,

    /// Also take nodes over that joined another controller, and let revoked ones in again
    #[arg(long)]
    rejoin: bool,

    /// Print what would be done and change nothing (exit code 10 when there is something to do)
    #[arg(long)]
    plan: bool,

    /// Give a node up after this time [default: 15m]
    #[arg(long, value_name = "DURATION", value_parser = duration::parse)]
    timeout: Option<Duration>,

    #[command(flatten)]
    output: FormatArgs,
}

/// A node needs a minute; one whose mirror is slow, or whose locks are held, some more.
const TIMEOUT: Duration = Duration::from_secs(15 * 60);
/// Why it is not online is worth so much more.
const LAST_LOOK: Duration = Duration::from_secs(20);

pub(super) async fn run(context: &Context, args: Args) -> Result<Exit, Failure> {
    let began = Instant::now();
    let credentials = args
        .registry_credentials
        .as_deref()
        .map(credentials)
        .transpose()?;
    let mut client = context.client().await?;
    let request = v1::DescribeEnrolmentRequest {};
    let view = ask(
        "ask how nodes join",
        client.rpc().describe_enrolment(request),
    )
    .await?;
    let authority = Fingerprint::of(&view.ca_der);
    let goods = goods(args.package.clone(), view, credentials)?;

    let mut nodes = args.nodes.clone();
    nodes.sort_unstable();
    nodes.dedup();
    let asks =
        nodes.len() == 1 && context.output.stderr().terminal && std::io::stdin().is_terminal();
    let job = Job {
        context,
        ssh: Ssh {
            user: args.user.clone(),
            key: args.key.clone(),
            options: args.options.clone(),
            asks,
        },
        authority,
        goods,
        rejoin: args.rejoin,
        plan_only: args.plan,
        timeout: args.timeout.unwrap_or(TIMEOUT),
    };
    let mut interrupts = Interrupts::catch()?;
    let work = futures_util::stream::iter(nodes.iter().map(|node| job.node(*node)))
        .buffered(AT_ONCE)
        .collect::<Vec<Report>>();
    let reports = tokio::select! {
        reports = work => reports,
        () = interrupts.next() => return Err(interrupted(context)),
    };
    tell(context, &args, &reports, began.elapsed())
}

fn interrupted(context: &Context) -> Failure {
    Failure::new(Exit::Failed, "bootstrap was interrupted")
        .cause("what a node was being given may come to its end there, or not")
        .hint(format!(
            "{}    (looks again, and does what is left)",
            context.again()
        ))
}

fn tell(
    context: &Context,
    args: &Args,
    reports: &[Report],
    took: Duration,
) -> Result<Exit, Failure> {
    let output = &context.output;
    if let Some(text) = document::render(args.output.format, &report::document(reports))? {
        output.data(&text)?;
    } else if args.plan {
        output.data(&report::table(reports).render(output.stdout()))?;
    }
    for failure in reports.iter().filter_map(Report::failure) {
        output.failure(failure);
    }
    output.say(&report::summary(reports, args.plan, took));
    Ok(report::exit(reports))
}

/// What is the same for every node.
struct Job<'a> {
    context: &'a Context,
    ssh: Ssh,
    authority: Fingerprint,
    goods: Goods,
    rejoin: bool,
    plan_only: bool,
    timeout: Duration,
}

impl Job<'_> {
    async fn node(&self, node: NodeAddr) -> Report {
        let began = Instant::now();
        let deadline = began + self.timeout;
        let last = deadline + LAST_LOOK;
        let outcome = match tokio::time::timeout_at(last, self.bring(node, deadline)).await {
            Ok(Ok(outcome)) => outcome,
            Ok(Err(failure)) => Outcome::Failed(failure),
            Err(_) => Outcome::Failed(self.too_late(node)),
        };
        let took = began.elapsed();
        match &outcome {
            Outcome::Done(_) => self.say(node, &format!("online, after {}", span(took))),
            Outcome::Looked(plan) if !self.plan_only && plan.is_already_so() => {
                let version = &self.goods.package.version;
                self.say(
                    node,
                    &format!("online with extend-agent {version}, nothing to do"),
                );
            }
            Outcome::Failed(failure) => {
                let why = failure.sentence.split_once(": ").map_or("", |(_, why)| why);
                self.say(node, &format!("given up: {why}"));
            }
            Outcome::Looked(_) => {}
        }
        Report {
            node,
            outcome,
            took,
        }
    }

    async fn bring(&self, node: NodeAddr, deadline: Instant) -> Result<Outcome, Failure> {
        let ways = Ways {
            node,
            ssh: &self.ssh,
            controller: Controller(&self.context.connection),
            goods: &self.goods,
            deadline,
        };
        let plan = self.look(&ways).await?;
        for warning in &plan.warnings {
            self.say(node, &format!("warning: {warning}"));
        }
        if self.plan_only || plan.is_already_so() {
            return Ok(Outcome::Looked(plan));
        }
        for step in &plan.steps {
            self.say(node, &step.progress());
            tokio::time::timeout_at(self.limit_of(step, deadline), ways.perform(step))
                .await
                .map_err(|_| self.too_late(node))??;
        }
        Ok(Outcome::Done(plan))
    }

    /// Looks at a node, from both sides, and decides.
    async fn look(&self, ways: &Ways<'_>) -> Result<Plan, Failure> {
        let node = ways.node;
        self.say(node, "checking the host");
        let sent = self.context.clock.now();
        let told = ways.told(&scripts::check(), &Payload::None).await?;
        let heard = self.context.clock.now();
        if told.new_host_key {
            self.say(
                node,
                "ssh had not met this host before; its key is trusted from now on",
            );
        }
        let facts = Facts::read(&told.facts, (sent, heard))
            .map_err(|error| Failure::local(format!("cannot set up node {node}"), &error))?;
        let package = &self.goods.package;
        let wanted = Wanted {
            node,
            authority: self.authority,
            version: package.version.clone(),
            architecture: package.architecture.clone(),
            credentials: self.goods.credentials.as_ref().map(|file| file.sha256),
            rejoin: self.rejoin,
            known: ways.controller.seen(node).await?.map(|node| node.state),
        };
        plan::plan(&facts, &wanted).map_err(|refusal| *refusal)
    }

    /// Waiting ends by itself, and then asks the node why it was in vain.
    fn limit_of(&self, step: &Step, deadline: Instant) -> Instant {
        match step {
            Step::AwaitOnline => deadline + LAST_LOOK,
            _ => deadline,
        }
    }

    fn too_late(&self, node: NodeAddr) -> Failure {
        let limit = duration::show(self.timeout);
        Failure::new(
            Exit::Failed,
            format!("cannot set up node {node}: it was given up after {limit}"),
        )
        .cause("the last line above about it says what it was at")
        .hint("the same command again, with a longer --timeout: it goes on from what it finds")
    }

    fn say(&self, node: NodeAddr, what: &str) {
        let now = self.context.clock.now();
        self.context
            .output
            .say(&format!("{} {node}: {what}", moment(now, now)));
    }
}

/// The package, and the credentials.
fn goods(
    named: Option<PathBuf>,
    view: v1::EnrolmentView,
    credentials: Option<Credentials>,
) -> Result<Goods, Failure> {
    const WHAT: &str = "cannot take the agent's package";
    let path = match (named, view.package) {
        (Some(named), _) => named,
        (None, Some(package)) => PathBuf::from(package.path),
        (None, None) => {
            return Err(
                Failure::new(Exit::Failed, format!("{WHAT}: {}", view.problem))
                    .cause("the controller looks for it where agent_package_dir says")
                    .hint(format!("{}, or name one with --package FILE", view.hint)),
            );
        }
    };
    let failed = |error: &(dyn std::error::Error + 'static)| Failure::local(WHAT, error);
    let (file, package) =
        AgentPackage::open(&path).map_err(|error| failed(&error).hint(error.hint()))?;
    let mut contents = Vec::new();
    file.take(package.size)
        .read_to_end(&mut contents)
        .map_err(|error| failed(&error))?;
    if sha256(&contents) != package.sha256.0 {
        return Err(Failure::new(
            Exit::Failed,
            format!("{WHAT}: {} changed while it was read", path.display()),
        ));
    }
    Ok(Goods {
        package,
        contents: contents.into(),
        credentials,
    })
}

/// Reads a file with credentials. What it says to a registry is the node's to judge.
fn credentials(path: &std::path::Path) -> Result<Credentials, Failure> {
    let what = "cannot take the registry credentials";
    let contents = files::read_secret(path).map_err(|error| {
        let hint = error.hint().unwrap_or_default();
        let mut failure = Failure::local(what, &error).hint(hint);
        failure.exit = Exit::Usage;
        failure
    })?;
    let auths = serde_json::from_slice::<serde_json::Value>(&contents)
        .ok()
        .and_then(|value| value.get("auths").map(serde_json::Value::is_object));
    if auths != Some(true) {
        return Err(Failure::usage(format!(
            "{what}: {} is not in Docker's format: it has no \"auths\"",
            path.display()
        ))
        .hint("docker login REGISTRY writes such a file: ~/.docker/config.json"));
    }
    Ok(Credentials {
        sha256: sha256(&contents),
        contents: Arc::new(Zeroizing::new(contents.to_vec())),
    })
}

/// A user's name: it becomes an argument of ssh.
fn parse_user(text: &str) -> Result<String, String> {
    let clean = |c: char| c.is_ascii_alphanumeric() || "_-.".contains(c);
    let first = text.starts_with(|c: char| c.is_ascii_alphanumeric() || c == '_');
    if !first || text.len() > MAX_WORD || !text.chars().all(clean) {
        return Err("write a user's name, like ubuntu".to_owned());
    }
    Ok(text.to_owned())
}

/// An option of ssh.
fn parse_option(text: &str) -> Result<String, String> {
    let named = text.split_once('=').map(|(key, _)| key);
    let clean = |key: &str| !key.is_empty() && key.chars().all(|c| c.is_ascii_alphanumeric());
    let plain = !text.chars().any(char::is_control) && text.len() <= MAX_WORD;
    if !named.is_some_and(clean) || !plain {
        return Err("write it as KEY=VALUE, like Port=2222".to_owned());
    }
    Ok(text.to_owned())
}
