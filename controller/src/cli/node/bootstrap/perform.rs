//! Does what a plan says, one step after the other, on one node.
//!
//! Decides nothing: a `match` over the steps, and the words for what goes wrong. Whoever is killed
//! here leaves something that the next look and the next plan mend.

use std::sync::Arc;
use std::time::Duration;

use extend_common::exit::Exit;
use extend_common::hash;
use extend_common::ids::NodeAddr;
use extend_common::status::NodeState;
use tokio::time::Instant;
use zeroize::Zeroizing;

use super::controller::Controller;
use super::plan::Step;
use super::remote::{Payload, Ssh, Told, Trouble};
use crate::cli::failure::Failure;
use crate::cli::node::scripts;
use crate::cli::output::text::span;
use crate::package::AgentPackage;

/// An agent that was started is seen within a second or two.
const ONLINE_WITHIN: Duration = Duration::from_secs(60);
/// How often the controller is asked.
const LOOK_EVERY: Duration = Duration::from_millis(300);

/// What is put on nodes, the same on each.
#[derive(Debug, Clone)]
pub(super) struct Goods {
    /// The agent's package.
    pub(super) package: AgentPackage,
    /// The bytes of its file.
    pub(super) contents: Arc<[u8]>,
    /// The registry's credentials.
    pub(super) credentials: Option<Credentials>,
}

/// A file with credentials.
#[derive(Debug, Clone)]
pub(super) struct Credentials {
    /// What is in it.
    pub(super) contents: Arc<Zeroizing<Vec<u8>>>,
    /// Its hash.
    pub(super) sha256: [u8; 32],
}

/// The ways to one node: over SSH, and to what the controller knows of it.
pub(super) struct Ways<'a> {
    /// Which node.
    pub(super) node: NodeAddr,
    /// To the node.
    pub(super) ssh: &'a Ssh,
    /// To the controller.
    pub(super) controller: Controller<'a>,
    /// What is put there.
    pub(super) goods: &'a Goods,
    /// When to wait no longer.
    pub(super) deadline: Instant,
}

impl Ways<'_> {
    /// Does one step.
    pub(super) async fn perform(&self, step: &Step) -> Result<(), Failure> {
        let goods = self.goods;
        match step {
            Step::InstallDocker => self.remote(&scripts::docker(), &Payload::None).await,
            Step::InstallAgent { .. } => {
                let AgentPackage {
                    version,
                    architecture,
                    size,
                    sha256,
                    ..
                } = &goods.package;
                let script = scripts::package(version, architecture, *size, &sha256.to_string());
                let contents = Payload::Shared(Arc::clone(&goods.contents));
                self.remote(&script, &contents).await
            }
            Step::PutCredentials => {
                let Some(Credentials { contents, sha256 }) = &goods.credentials else {
                    return Ok(());
                };
                let script = scripts::registry(contents.len(), &hash::encode(sha256));
                let secret = Payload::Secret(Zeroizing::new(contents.to_vec()));
                self.remote(&script, &secret).await
            }
            Step::Join { .. } => {
                let token = self.controller.token(self.node).await?;
                let script = scripts::join(token.len());
                self.remote(&script, &Payload::Secret(token)).await
            }
            Step::StartAgent => self.remote(&scripts::start(), &Payload::None).await,
            Step::AwaitOnline => self.online().await,
        }
    }

    /// Runs a script and words what goes wrong.
    pub(super) async fn told(&self, script: &str, payload: &Payload) -> Result<Told, Failure> {
        self.ssh
            .run(self.node, script, payload)
            .await
            .map_err(|trouble| self.failed(trouble))
    }

    async fn remote(&self, script: &str, payload: &Payload) -> Result<(), Failure> {
        self.told(script, payload).await.map(drop)
    }

    async fn online(&self) -> Result<(), Failure> {
        let began = Instant::now();
        let until = self.deadline.min(began + ONLINE_WITHIN);
        let mut state = None;
        while Instant::now() < until {
            tokio::time::sleep(LOOK_EVERY).await;
            let seen = self.controller.seen(self.node).await?;
            state = seen.as_ref().map(|node| node.state);
            match state {
                Some(NodeState::Online) => return Ok(()),
                Some(NodeState::Ahead | NodeState::Revoked) => break,
                _ => {}
            }
        }
        Err(self.not_online(state, began.elapsed()).await)
    }

    async fn not_online(&self, state: Option<NodeState>, waited: Duration) -> Failure {
        let node = self.node;
        let state = state.map_or_else(|| "unknown to the controller".to_owned(), |s| s.to_string());
        let mut failure = self.failure(format!(
            "it is set up, and it is {state} after {}",
            span(waited)
        ));
        match self.told(&scripts::journal(), &Payload::None).await {
            Ok(told) => {
                let unit = told.facts.iter().find(|(key, _)| key == "unit");
                let unit = unit.map_or("unknown", |(_, state)| state);
                failure = failure.cause(format!(
                    "its unit extend-agent is {unit}; the agent said last:"
                ));
                failure
                    .causes
                    .extend(told.log.into_iter().map(|line| format!("  {line}")));
            }
            Err(other) => failure.causes.push(other.sentence),
        }
        failure.hint(format!("on {node}: journalctl -u extend-agent -e"))
    }

    fn failure(&self, why: impl std::fmt::Display) -> Failure {
        let node = self.node;
        Failure::new(Exit::Failed, format!("cannot set up node {node}: {why}"))
    }

    fn failed(&self, trouble: Trouble) -> Failure {
        let (node, user) = (self.node, &self.ssh.user);
        let with = |mut failure: Failure, causes: Vec<String>| {
            failure.causes.extend(causes);
            failure
        };
        match trouble {
            Trouble::NoSsh(why) => self
                .failure("the program ssh does not start here")
                .cause(why)
                .hint("sudo apt-get install openssh-client"),
            Trouble::NoConnection(words) => {
                let hint = connection_hint(node, user, &words);
                with(self.failure("ssh does not reach it"), words).hint(hint)
            }
            Trouble::Lost(words) => with(self.failure("the connection to it was lost"), words)
                .hint("the same command again: it goes on from what it finds"),
            Trouble::NoRoot(words) => {
                let mut refused = with(
                    self.failure(format!(
                        "{user} may not become root there without a password"
                    )),
                    words,
                );
                refused.exit = Exit::Refused;
                refused.hint(format!(
                    "on {node}: echo '{user} ALL=(ALL) NOPASSWD:ALL' | sudo tee \
                     /etc/sudoers.d/90-{user}, or name another user with --user"
                ))
            }
            Trouble::Failed { why, log } => with(self.failure(why), log).hint(
                "mend it, then the same command again: what is done already is not done twice",
            ),
            Trouble::Silent(words) => with(
                self.failure("what was begun there ended without a word"),
                words,
            )
            .hint("the same command again: it goes on from what it finds"),
        }
    }
}

/// What helps against a connection that does not come about.
fn connection_hint(node: NodeAddr, user: &str, words: &[String]) -> String {
    let says = |what: &str| words.iter().any(|line| line.contains(what));
    if says("Host key verification failed") || says("IDENTIFICATION HAS CHANGED") {
        return format!("only if that instance was made anew: ssh-keygen -R {node}");
    }
    if says("Permission denied") || says("Too many authentication failures") {
        return format!(
            "which user and key does it take? extend node bootstrap -a {node} --user {user} --key FILE"
        );
    }
    if says("timed out") || says("refused") || says("No route") || says("unreachable") {
        return format!(
            "is it running, and does its security group let this host in on port 22? ssh {user}@{node}"
        );
    }
    format!("ssh {user}@{node}")
}
