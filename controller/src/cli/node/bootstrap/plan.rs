//! What has to be done to a node, from what it is. Pure: facts and wishes become a plan, a refusal,
//! or nothing to do.

use std::fmt;

use extend_common::exit::Exit;
use extend_common::ids::NodeAddr;
use extend_common::status::NodeState;
use extend_common::tls::Fingerprint;

use super::facts::{Docker, Facts, Joined};
use crate::cli::failure::Failure;

/// Where the clocks are further apart, certificates are refused: a leaf begins an hour back.
const MOST_APART: i64 = 50 * 60;
/// More than a network's delay.
const NOTICED_APART: i64 = 5;
/// What the guide asks for every role; the media server's is twice as much.
const DISK: u64 = 64_000_000_000;
/// Below this an image or two do not fit.
const DISK_FREE: u64 = 8_000_000_000;
/// The release that the guide asks for.
const RELEASE: (&str, &str) = ("ubuntu", "24.04");

/// What an operator wants of a node.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Wanted {
    /// Which node.
    pub(super) node: NodeAddr,
    /// The authority that it is to trust.
    pub(super) authority: Fingerprint,
    /// The agent's version.
    pub(super) version: String,
    /// What its package is built for.
    pub(super) architecture: String,
    /// The hash of the registry's credentials, if any are to be put there.
    pub(super) credentials: Option<[u8; 32]>,
    /// Whether a node may leave another controller, or come back from a revocation.
    pub(super) rejoin: bool,
    /// How the controller sees it; none for a node it has never enrolled.
    pub(super) known: Option<NodeState>,
}

/// One thing to do.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Step {
    /// Install a Docker Engine.
    InstallDocker,
    /// Install the agent's package, over what is there.
    InstallAgent {
        /// What is there.
        before: Option<String>,
        /// What will be.
        version: String,
    },
    /// Put the registry's credentials there.
    PutCredentials,
    /// Join with a new token.
    Join {
        /// It has an identity already.
        again: bool,
    },
    /// Start the agent, or start it anew.
    StartAgent,
    /// Wait for the controller to see it.
    AwaitOnline,
}

/// What to do, in order; nothing, when it is as it should be.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(super) struct Plan {
    /// The steps.
    pub(super) steps: Vec<Step>,
    /// What the guide asks for and the node is not.
    pub(super) warnings: Vec<String>,
}

impl Plan {
    /// Whether everything is as it should be.
    pub(super) fn is_already_so(&self) -> bool {
        self.steps.is_empty()
    }

    /// The steps that change something, in words; waiting alone is told too.
    pub(super) fn changes(&self) -> Vec<String> {
        let only = self.steps.len() == 1;
        let told = |step: &&Step| only || **step != Step::AwaitOnline;
        self.steps
            .iter()
            .filter(told)
            .map(Step::to_string)
            .collect()
    }
}

impl fmt::Display for Step {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::InstallDocker => f.write_str("install a Docker Engine (docker.io)"),
            Self::InstallAgent {
                before: None,
                version,
            } => write!(f, "install extend-agent {version}"),
            Self::InstallAgent {
                before: Some(before),
                version,
            } if before == version => write!(f, "finish installing extend-agent {version}"),
            Self::InstallAgent {
                before: Some(before),
                version,
            } => write!(f, "replace extend-agent {before} by {version}"),
            Self::PutCredentials => f.write_str("put the registry credentials in place"),
            Self::Join { again: false } => f.write_str("join"),
            Self::Join { again: true } => f.write_str("join anew"),
            Self::StartAgent => f.write_str("start the agent"),
            Self::AwaitOnline => f.write_str("wait until it is online"),
        }
    }
}

impl Step {
    /// What is going on while it is done.
    pub(super) fn progress(&self) -> String {
        match self {
            Self::InstallDocker => "installing a Docker Engine (docker.io)".to_owned(),
            Self::InstallAgent {
                before: Some(before),
                version,
            } if before != version => format!("replacing extend-agent {before} by {version}"),
            Self::InstallAgent { version, .. } => format!("installing extend-agent {version}"),
            Self::PutCredentials => "putting the registry credentials in place".to_owned(),
            Self::Join { .. } => "joining".to_owned(),
            Self::StartAgent => "starting the agent".to_owned(),
            Self::AwaitOnline => "waiting until it is online".to_owned(),
        }
    }
}

/// Decides what to do to a node.
pub(super) fn plan(facts: &Facts, wanted: &Wanted) -> Result<Plan, Box<Failure>> {
    can_be_a_node(facts, wanted)?;
    let joins = joins(facts, wanted)?;
    let mut steps = Vec::new();
    if facts.docker == Docker::Absent {
        steps.push(Step::InstallDocker);
    }
    let before = facts.agent.as_ref();
    let installs = before.is_none_or(|agent| !agent.whole || agent.version != wanted.version);
    if installs {
        steps.push(Step::InstallAgent {
            before: before.map(|agent| agent.version.clone()),
            version: wanted.version.clone(),
        });
    }
    let credentials = needs_credentials(facts, wanted);
    if credentials {
        steps.push(Step::PutCredentials);
    }
    if let Some(again) = joins {
        steps.push(Step::Join { again });
    } else if credentials || (!installs && !is_well(facts, wanted)) {
        // An agent reads the credentials when it starts; joining and installing start it too.
        steps.push(Step::StartAgent);
    }
    if !steps.is_empty() || wanted.known != Some(NodeState::Online) {
        steps.push(Step::AwaitOnline);
    }
    Ok(Plan {
        steps,
        warnings: warnings(facts),
    })
}

/// The agent runs, and nothing says that it hangs.
fn is_well(facts: &Facts, wanted: &Wanted) -> bool {
    facts.unit == "active" && wanted.known != Some(NodeState::Offline)
}

fn needs_credentials(facts: &Facts, wanted: &Wanted) -> bool {
    wanted.credentials.is_some_and(|hash| {
        facts.registry.as_ref().is_none_or(|there| {
            there.sha256 != hash || there.owner != "extend-agent" || there.mode != "600"
        })
    })
}

fn refusal(wanted: &Wanted, why: &str) -> Failure {
    let sentence = format!("cannot set up node {}: {why}", wanted.node);
    Failure::new(Exit::Refused, sentence)
}

/// What cannot work is refused before anything is changed.
fn can_be_a_node(facts: &Facts, wanted: &Wanted) -> Result<(), Box<Failure>> {
    let Wanted {
        node, architecture, ..
    } = wanted;
    if !facts.addresses.contains(&node.ip()) {
        let has: Vec<String> = facts.addresses.iter().map(ToString::to_string).collect();
        return Err(refusal(
            wanted,
            "the host that answers there does not have this address",
        )
        .cause(format!("its addresses are {}", has.join(", ")))
        .cause("an agent speaks from its node's private address, and under no other")
        .hint("name the private IP of the instance: extend node bootstrap -a PRIVATE_IP")
        .into());
    }
    let Some(found) = &facts.architecture else {
        let os = facts.os.as_ref().map_or("unknown", |os| os.name.as_str());
        return Err(refusal(wanted, "it has no dpkg and apt-get")
            .cause(format!("it runs {os}; the agent comes as a Debian package"))
            .hint("use an image of Ubuntu 24.04 LTS, as the guide asks")
            .into());
    };
    if found != architecture {
        let machine = &facts.machine;
        return Err(refusal(
            wanted,
            &format!("it is {found}, and the package is for {architecture}"),
        )
        .cause(format!("its kernel says {machine}"))
        .hint("use an instance type of that architecture, or --package FILE with one for it")
        .into());
    }
    if !facts.systemd {
        return Err(refusal(wanted, "systemd does not run it")
            .cause("the agent is a systemd unit")
            .hint("use an image of Ubuntu 24.04 LTS, as the guide asks")
            .into());
    }
    let apart = facts.clock_ahead.map_or(0, |ahead| ahead.as_secs());
    if apart.abs() > MOST_APART {
        return Err(
            refusal(wanted, &format!("its clock is {}", apart_in_words(apart)))
                .cause("certificates would be refused before they are good, or after")
                .hint(format!(
                    "on {node}: sudo timedatectl set-ntp true, then: timedatectl"
                ))
                .into(),
        );
    }
    Ok(())
}

/// Whether it has to join, and whether it had before.
fn joins(facts: &Facts, wanted: &Wanted) -> Result<Option<bool>, Box<Failure>> {
    let Wanted { node, rejoin, .. } = wanted;
    let again = format!("extend node bootstrap -a {node} --rejoin");
    match wanted.known {
        Some(NodeState::Ahead) => {
            return Err(refusal(wanted, "it is ahead of this controller's store")
                .cause("it follows records that this controller does not have")
                .hint("extend controller recover")
                .into());
        }
        Some(NodeState::Revoked) if !rejoin => {
            return Err(refusal(wanted, "it is revoked")
                .cause("somebody has shut it out; --rejoin lets it in again")
                .hint(again)
                .into());
        }
        _ => {}
    }
    let Some(Joined {
        authority,
        node: as_node,
    }) = &facts.joined
    else {
        return Ok(Some(false));
    };
    if let Some(other) = as_node.filter(|other| *other != node.ip()) {
        return Err(refusal(wanted, &format!("it has joined as {other}"))
            .cause("it is a copy of that node, or its address has changed")
            .hint(format!(
                "if that identity is not needed: on {node}: sudo systemctl stop extend-agent && \
                 sudo rm -r /var/lib/extend-agent, then the same command again"
            ))
            .into());
    }
    if *authority != wanted.authority {
        if *rejoin {
            return Ok(Some(true));
        }
        return Err(refusal(wanted, "it has joined another controller")
            .cause(format!("it trusts the authority {authority}"))
            .cause(format!(
                "the authority of this controller is {}",
                wanted.authority
            ))
            .hint(again)
            .into());
    }
    let enrolled = matches!(
        wanted.known,
        Some(NodeState::Online | NodeState::Suspect | NodeState::Offline)
    );
    Ok((!enrolled).then_some(true))
}

fn apart_in_words(seconds: i64) -> String {
    let side = if seconds < 0 { "behind" } else { "ahead of" };
    let span =
        crate::cli::output::text::span(std::time::Duration::from_secs(seconds.unsigned_abs()));
    format!("{span} {side} ours")
}

/// What the guide asks for and does not stand in the way.
fn warnings(facts: &Facts) -> Vec<String> {
    let mut warnings = Vec::new();
    if let Some(os) = &facts.os
        && (os.id.as_str(), os.version.as_str()) != RELEASE
    {
        warnings.push(format!(
            "it runs {}; the guide asks for Ubuntu 24.04 LTS",
            os.name
        ));
    }
    if let Some(disk) = facts.disk {
        let gigabytes = |bytes: u64| bytes / 1_000_000_000;
        if disk.total < DISK {
            warnings.push(format!(
                "the disk of /var has {} GB; the guide asks for 64 GB, and 128 GB for media",
                gigabytes(disk.total)
            ));
        }
        if disk.free < DISK_FREE {
            let free = gigabytes(disk.free);
            warnings.push(format!(
                "the disk of /var has {free} GB left: images may not fit"
            ));
        }
    }
    if !facts.postgres.is_empty() {
        warnings.push(format!(
            "a PostgreSQL is installed ({}); the guide asks for none",
            facts.postgres.join(", ")
        ));
    }
    let apart = facts.clock_ahead.map_or(0, |ahead| ahead.as_secs());
    if apart.abs() > NOTICED_APART {
        warnings.push(format!("its clock is {}", apart_in_words(apart)));
    } else if facts.synchronized == Some(false) {
        warnings.push("nothing keeps its clock synchronized; the guide asks for it".to_owned());
    }
    if let Docker::Silent(why) = &facts.docker {
        warnings.push(format!(
            "its Docker Engine does not answer, and is left as it is: {why}"
        ));
    }
    for container in &facts.official {
        warnings.push(format!(
            "{container} is there, from the official script, and is left as it is"
        ));
    }
    warnings
}

#[cfg(test)]
#[path = "plan_tests.rs"]
mod tests;
