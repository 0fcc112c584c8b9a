//! What is done about sessions: whether they are waited for, and for how long.

use std::time::Duration;

use extend_common::ability;
use extend_common::duration;
use extend_common::ids::RoleName;
use extend_common::operation::{PlannedTarget, Verb};

use super::super::fleet::Fleet;
use super::super::refusal::{Asked, Misuse, Obstacle, Refusal};
use super::super::request::{DrainWish, Submission};

/// `--drain` is within these.
const LIMITS: (Duration, Duration) = (Duration::from_secs(1), Duration::from_secs(24 * 3600));

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

/// How long the sessions of servers of these roles are waited for; none when they are not.
///
/// Nothing is waited for unasked: nobody here can stop new sessions from coming, so that a busy
/// server would never be free of them.
pub(super) fn limit<'a>(
    fleet: &Fleet,
    submission: &Submission,
    asked: &Asked,
    roles: impl Iterator<Item = &'a RoleName>,
) -> Result<Option<Duration>, Refusal> {
    let wish = match (submission.verb, submission.drain) {
        (Verb::Drain, DrainWish::Unsaid) => DrainWish::ByRole,
        (_, wish) => wish,
    };
    if matches!(wish, DrainWish::Unsaid | DrainWish::Not) {
        return Ok(None);
    }
    let mut longest = Duration::ZERO;
    for role in roles {
        let definition = fleet.settings.roles.get(role);
        let sessions = definition.and_then(|definition| definition.sessions.as_ref());
        let Some(sessions) = sessions else {
            return Err(Obstacle::SessionsUncounted {
                asked: asked.clone(),
                role: role.clone(),
                title: definition.map_or_else(|| role.to_string(), |d| d.title.clone()),
            }
            .into());
        };
        longest = longest.max(sessions.drain);
    }
    Ok(Some(match wish {
        DrainWish::For(limit) => limit,
        _ => longest,
    }))
}

/// Whether the agents know how to wait: an older one would end the process at once.
pub(super) fn can_wait(
    fleet: &Fleet,
    asked: &Asked,
    targets: &[PlannedTarget],
) -> Result<(), Refusal> {
    let lacks = |target: &&PlannedTarget| {
        let node = fleet.nodes.get(&target.node);
        !target.already_so && node.is_some_and(|node| node.lacks(ability::DRAIN))
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

/// What happens to a server, with the wait for its sessions before it.
pub(super) fn in_words(verb: Verb, limit: Duration, summary: &str) -> String {
    let limit = duration::show(limit);
    match verb {
        Verb::Drain => format!("wait up to {limit} until it has no sessions; it goes on running"),
        _ => format!("wait up to {limit} until it has no sessions, then: {summary}"),
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
