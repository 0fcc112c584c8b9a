//! What is done about sessions: whether they are waited for, and for how long.

use std::time::Duration;

use extend_common::ability;
use extend_common::duration;
use extend_common::ids::RoleName;
use extend_common::operation::{PlannedTarget, Verb};
use extend_common::roles::Resource;

use super::super::begin::agent_counts;
use super::super::fleet::Fleet;
use super::super::refusal::{Asked, Misuse, Obstacle, Refusal};
use super::super::request::{DrainWish, Submission};

/// `--drain` is within these.
const LIMITS: (Duration, Duration) = (Duration::from_secs(1), Duration::from_secs(24 * 3600));

/// How long the sessions are waited for that the PBX alone counts, when nothing else is said.
const PORTAL_DRAIN: Duration = Duration::from_secs(30 * 60);

/// Whether a verb ends a server's process, so that sessions could be waited for first.
pub(in crate::core) fn ends_process(verb: Verb) -> bool {
    match verb {
        Verb::Run | Verb::Stop | Verb::Restart | Verb::Upgrade | Verb::Rm => true,
        Verb::Start | Verb::Adopt | Verb::Drain | Verb::Undrain => false,
    }
}

/// What is wrong with the options, whatever the fleet is like.
pub(super) fn check(submission: &Submission, asked: &Asked) -> Result<(), Refusal> {
    let verb = submission.verb;
    let option = match submission.drain {
        DrainWish::Unsaid => return Ok(()),
        DrainWish::ByRole | DrainWish::For(_) => "--drain",
        DrainWish::Not => "--now",
    };
    let applies = ends_process(verb) || (verb == Verb::Drain && option == "--drain");
    if !applies {
        let asked = asked.clone();
        return Err(Misuse::OptionDoesNotApply { asked, option }.into());
    }
    let (least, most) = LIMITS;
    match submission.drain {
        DrainWish::For(given) if given < least || given > most => Err(Misuse::BadDuration {
            asked: asked.clone(),
            option,
            given,
            bounds: LIMITS,
        }
        .into()),
        _ => Ok(()),
    }
}

/// What is done about sessions.
pub(super) struct Sessions {
    /// How long they are waited for; none when they are not.
    pub(super) drain: Option<Duration>,
    /// New ones are kept away in the portal.
    pub(super) disables: bool,
}

/// What is done about the sessions of servers of these roles.
///
/// Nothing is waited for unasked where nobody can stop new sessions from coming: a busy server
/// would never be free of them.
pub(super) fn limit<'a>(
    fleet: &Fleet,
    submission: &Submission,
    asked: &Asked,
    roles: impl Iterator<Item = &'a RoleName>,
) -> Result<Sessions, Refusal> {
    let verb = submission.verb;
    let portal = fleet.settings.outside.portal;
    let wish = match (verb, submission.drain) {
        (Verb::Drain, DrainWish::Unsaid) => DrainWish::ByRole,
        (_, wish) => wish,
    };
    let unasked = wish == DrainWish::Unsaid && portal && ends_process(verb);
    if wish == DrainWish::Not || wish == DrainWish::Unsaid && !unasked {
        return Ok(Sessions {
            drain: None,
            disables: false,
        });
    }
    // What was not asked for the first time is not asked for now.
    let again = submission.retry_of.is_some();
    let mut longest = None;
    for role in roles {
        let resource = fleet.resource(role).filter(|_| portal);
        let counts = resource.is_some_and(Resource::counts_sessions);
        let definition = fleet.settings.roles.get(role);
        match definition.and_then(|definition| definition.sessions.as_ref()) {
            Some(sessions) => longest = longest.max(Some(sessions.drain)),
            None if counts => longest = longest.max(Some(PORTAL_DRAIN)),
            // Nobody counts them: new ones are kept away, and the grace is theirs.
            None if resource.is_some() && (unasked || again || verb == Verb::Drain) => {}
            None => {
                return Err(Obstacle::SessionsUncounted {
                    asked: asked.clone(),
                    role: role.clone(),
                    title: definition.map_or_else(|| role.to_string(), |d| d.title.clone()),
                }
                .into());
            }
        }
    }
    let drain = match wish {
        DrainWish::For(limit) => longest.map(|_| limit),
        _ => longest,
    };
    Ok(Sessions {
        drain,
        disables: portal,
    })
}

/// Whether the agents know how to wait: an older one would end the process at once.
pub(super) fn can_wait(
    fleet: &Fleet,
    asked: &Asked,
    targets: &[PlannedTarget],
) -> Result<(), Refusal> {
    let lacks = |target: &&PlannedTarget| {
        let node = fleet.nodes.get(&target.node);
        let counts = agent_counts(&fleet.settings, &target.role);
        !target.already_so && counts && node.is_some_and(|node| node.lacks(ability::DRAIN))
    };
    match targets.iter().find(lacks) {
        Some(target) => Err(Obstacle::AgentCannotWait {
            asked: asked.clone(),
            node: target.node,
        }
        .into()),
        None => Ok(()),
    }
}

/// What happens to a server, with what is done about its sessions before it.
pub(super) fn in_words(
    fleet: &Fleet,
    verb: Verb,
    (drain, disables): (Option<Duration>, bool),
    target: &PlannedTarget,
) -> String {
    let is_there = fleet
        .nodes
        .get(&target.node)
        .is_some_and(|n| n.intended().is_some());
    let resource = fleet
        .resource(&target.role)
        .filter(|_| disables && is_there);
    let counts = agent_counts(&fleet.settings, &target.role)
        || resource.is_some_and(Resource::counts_sessions);
    let limit = drain.filter(|_| counts && is_there).map(duration::show);
    let first = match (resource, limit) {
        (Some(_), Some(limit)) => {
            format!("disable it in the portal, wait up to {limit} until it has no sessions")
        }
        (Some(_), None) => "disable it in the portal".to_owned(),
        (None, Some(limit)) => format!("wait up to {limit} until it has no sessions"),
        (None, None) => return target.summary.clone(),
    };
    match verb {
        Verb::Drain => format!("{first}; it goes on running"),
        _ => format!("{first}, then: {}", target.summary),
    }
}

/// What to say of a server whose new sessions go on coming.
pub(super) fn warning(fleet: &Fleet, role: &RoleName) -> String {
    let portal = fleet.settings.roles.get(role).map(|d| d.portal.as_str());
    format!(
        "nothing here stops new sessions: disable it in the PBX Web Portal first ({})",
        portal.unwrap_or("the page of its type")
    )
}
