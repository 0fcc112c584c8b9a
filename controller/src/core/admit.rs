//! Admission: what a submission means for the fleet as it is. Three answers: accept, already so,
//! refuse. Pure: nothing is changed here.
//!
//! `select` says which servers are meant, `obstacles` what stands in the way at one of them, `run`
//! is the verb that makes servers, `adopt` the one that takes them over, `plan` says in words what
//! would happen.

mod adopt;
mod checkup;
mod obstacles;
mod outside;
mod plan;
mod run;
mod select;
mod sessions;
mod strategy;

use std::time::Duration;

use extend_common::ids::NodeAddr;
use extend_common::operation::{PlannedTarget, Selector, Verb};

use super::fleet::Fleet;
use super::refusal::{Asked, Misuse, Refusal};
use super::request::Submission;
use crate::portal::Limits;

pub(super) use adopt::candidate;
pub(super) use checkup::would_check;
pub(super) use obstacles::{busy, revoked};
pub(super) use run::{enrolled, with_told_address, would_deploy};
pub(super) use select::{resolve, select, select_for_status};
pub(super) use sessions::ends_process;

/// One operation takes at most so many servers: more do not fit into one transaction.
pub const MAX_TARGETS: usize = 10_000;

/// `--timeout` is within these.
const TIMEOUTS: (Duration, Duration) = (Duration::from_secs(1), Duration::from_secs(24 * 3600));

/// The longest image reference: what Docker takes, with a registry's name before it.
const MAX_REFERENCE: usize = 512;

/// The answer to a submission.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Admission {
    /// Every server was observed to be so already.
    AlreadySo(Plan),
    /// It will be done.
    Accept(Plan),
    /// It will not.
    Refuse(Refusal),
}

/// What an accepted submission does.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Plan {
    /// Which servers were meant, with the role under its own name.
    pub selector: Selector,
    /// What happens to each, in the order in which they have their turn.
    pub targets: Vec<PlannedTarget>,
    /// How long sessions are waited for; none when they are not.
    pub drain: Option<Duration>,
    /// Servers are disabled in the portal before their processes end.
    pub disables: bool,
    /// After how long it ends.
    pub timeout: Duration,
}

/// Says what a submission means.
pub fn admit(fleet: &Fleet, submission: &Submission) -> Admission {
    match plan(fleet, submission) {
        Err(refusal) => Admission::Refuse(refusal),
        Ok(plan) if plan.targets.iter().all(|target| target.already_so) => {
            Admission::AlreadySo(plan)
        }
        Ok(plan) => Admission::Accept(plan),
    }
}

fn plan(fleet: &Fleet, submission: &Submission) -> Result<Plan, Refusal> {
    let asked = Asked::submission(submission);
    check_options(submission, &asked)?;
    let selector = resolve(fleet, &submission.selector, &asked)?;
    let mut targets = match submission.verb {
        Verb::Run => run::plan(fleet, submission, &asked, &selector)?,
        Verb::Adopt => adopt::plan(fleet, &asked, &selector)?,
        Verb::Start
        | Verb::Stop
        | Verb::Restart
        | Verb::Upgrade
        | Verb::Rm
        | Verb::Drain
        | Verb::Undrain => {
            let nodes = select::select(fleet, submission.verb, &asked, &selector)?;
            obstacles::check(fleet, submission, &asked, &nodes)?;
            plan::plan(fleet, submission, &nodes)
        }
    };
    let roles = targets.iter().filter(|target| !target.already_so);
    let roles = roles.map(|target| &target.role);
    let sessions::Sessions { drain, disables } = sessions::limit(fleet, submission, &asked, roles)?;
    if drain.is_some() {
        sessions::can_wait(fleet, &asked, &targets)?;
    }
    for target in targets.iter_mut().filter(|target| !target.already_so) {
        target.summary = sessions::in_words(fleet, submission.verb, (drain, disables), target);
        if drain.is_some() && !disables {
            add(&mut target.warning, &sessions::warning(fleet, &target.role));
        }
        for words in outside::warnings(fleet, submission, target) {
            add(&mut target.warning, &words);
        }
        if let Some(words) = obstacles::waits_for(fleet, target.node) {
            add(&mut target.warning, &words);
        }
    }
    outside::check(fleet, submission, &asked, &targets)?;
    let timeout = strategy::timeout(&fleet.settings, submission, &targets, drain);
    Ok(Plan {
        selector,
        targets,
        drain,
        disables,
        timeout,
    })
}

fn add(warning: &mut String, words: &str) {
    if !warning.is_empty() {
        warning.push_str("; ");
    }
    warning.push_str(words);
}

/// What is wrong with the options whatever the fleet is like.
fn check_options(submission: &Submission, asked: &Asked) -> Result<(), Refusal> {
    let verb = submission.verb;
    let does_not_apply = |option| {
        Err(Misuse::OptionDoesNotApply {
            asked: asked.clone(),
            option,
        }
        .into())
    };
    if submission.image.is_some() && !matches!(verb, Verb::Run | Verb::Upgrade) {
        return does_not_apply("-i");
    }
    if submission.limits != Limits::default() && verb != Verb::Run {
        return does_not_apply("--max-sessions, --max-rooms and --max-participants");
    }
    if !submission.accepted.is_empty() && verb != Verb::Run {
        return does_not_apply("--accept");
    }
    if submission.public_address.is_some() && verb != Verb::Run {
        return does_not_apply("-A");
    }
    if let Some(image) = submission
        .image
        .as_ref()
        .filter(|image| !is_reference(image))
    {
        return Err(Misuse::BadImage {
            asked: asked.clone(),
            image: image.clone(),
        }
        .into());
    }
    sessions::check(submission, asked)?;
    strategy::check(submission, asked)?;
    let (least, most) = TIMEOUTS;
    match submission.timeout {
        Some(given) if given < least || given > most => Err(Misuse::BadTimeout {
            asked: asked.clone(),
            given,
            bounds: TIMEOUTS,
        }
        .into()),
        _ => Ok(()),
    }
}

/// Whether a text can be an image reference. Whether there is such an image is for the registry
/// to say; this keeps out what would be taken for something else on the way there.
fn is_reference(text: &str) -> bool {
    let allowed = |c: char| c.is_ascii_alphanumeric() || "._-/:@".contains(c);
    text.len() <= MAX_REFERENCE
        && text.chars().all(allowed)
        && text.starts_with(|c: char| c.is_ascii_alphanumeric())
}

/// The addresses of a selector, in order and each once.
fn addresses(selector: &Selector) -> Vec<NodeAddr> {
    let mut nodes = selector.nodes.clone();
    nodes.sort_unstable();
    nodes.dedup();
    nodes
}
