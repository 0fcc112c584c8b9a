//! Words for servers that cannot have their turn: another operation holds them, nobody could take
//! over, or what the verb needs to know of them is not known.

use extend_common::ids::{NodeAddr, RoleName};
use extend_common::operation::Verb;

use super::{Action, Asked, Held, Known, MOST_NAMED, Text, moment};

pub(super) fn busy(action: &Action, held: &[Held]) -> Text {
    let Some(first) = held.first() else {
        return Text::new(
            "busy",
            format!("cannot {action}: an operation is open"),
            String::new(),
        );
    };
    let object = match held {
        // It names its object itself.
        _ if matches!(action, Action::RemoveNode(_)) => String::new(),
        [only] => format!(" {}", only.server),
        several => format!(" {} of the servers", several.len()),
    };
    let one = held.iter().all(|other| other.operation == first.operation);
    let holder = if one {
        let what = if held.len() > 1 { "them" } else { "the server" };
        format!("operation {} holds {what}", first.operation.short())
    } else {
        "open operations hold them".to_owned()
    };
    let id = first.operation.short();
    let hint = format!("extend op watch {id}, or to end it: extend op cancel {id}");
    let mut text = Text::new("busy", format!("cannot {action}{object}: {holder}"), hint);
    for held in held.iter().take(MOST_NAMED) {
        let why = match held.message.is_empty() {
            true => String::new(),
            false => format!(": {}", held.message),
        };
        text = text.because(format!(
            "operation {} ({} by {}) holds {} at {} since {}{why}",
            held.operation.short(),
            held.verb,
            held.by,
            held.server.name,
            held.server.node,
            moment(held.since)
        ));
    }
    if held.len() > MOST_NAMED {
        text = text.because(format!("and {} more are held", held.len() - MOST_NAMED));
    }
    match action {
        Action::Verb(_) => {
            text.because("with --queue it waits for that, in place of being refused")
        }
        Action::RemoveNode(_) => text.because(format!(
            "if the node is gone for good: {} --force",
            action.line()
        )),
        _ => text,
    }
}

pub(super) fn queue_full(action: &Action, found: &Known, most: usize) -> Text {
    Text::new(
        "queue-full",
        format!("cannot {action} {found}: {most} operations wait for it already"),
        "extend op list --open".to_owned(),
    )
}

pub(super) fn last_healthy(asked: &Asked, found: &Known, title: &str, others: &[String]) -> Text {
    let mut text = Text::new(
        "last-healthy",
        format!(
            "cannot {} {found}: no other {title} is healthy",
            asked.action()
        ),
        format!("extend status -s {}", found.role),
    );
    for other in others.iter().take(MOST_NAMED) {
        text = text.because(other);
    }
    if others.len() > MOST_NAMED {
        text = text.because(format!("and {} more are not", others.len() - MOST_NAMED));
    }
    text.because(format!(
        "to do it all the same: {}",
        Asked {
            force: true,
            ..asked.clone()
        }
        .line()
    ))
}

pub(super) fn sessions_uncounted(asked: &Asked, role: &RoleName, title: &str) -> Text {
    let (hint, cause) = match asked.is(Verb::Drain) {
        true => (
            format!("extend status -s {role}"),
            "how many there are can only be seen in the PBX Web Portal",
        ),
        false => (
            asked.line(),
            "without --drain it gets the time that its role allows to end",
        ),
    };
    Text::new(
        "sessions-uncounted",
        format!(
            "cannot {} and wait for sessions: nobody knows how {title}s can be asked for theirs",
            asked.action()
        ),
        hint,
    )
    .because(cause)
}

pub(super) fn no_previous_image(asked: &Asked, found: &Known, unheard: bool) -> Text {
    let text = Text::new(
        "no-previous-image",
        format!(
            "cannot {} {found} to the image before: none is known",
            asked.action()
        ),
        format!("extend status -a {} -o wide", found.node),
    );
    if unheard {
        return text.because(format!(
            "node {} has not been heard since the controller's start, and only it knows",
            found.node
        ));
    }
    text.because("a node keeps the image before from one upgrade to the next")
        .because("an image can also be named: extend upgrade -i IMAGE --force")
}

pub(super) fn pbx_version_unknown(asked: &Asked) -> Text {
    Text::new(
        "unconfirmed",
        format!(
            "cannot {} unasked: the image cannot be held against the version of the PBX",
            asked.action()
        ),
        "say --yes if the PBX is at least as new as the image, or set pbx.api".to_owned(),
    )
    .because("pbx.api is not set in the controller's configuration")
}

pub(super) fn agent_cannot_wait(asked: &Asked, node: NodeAddr) -> Text {
    Text::new(
        "agent-cannot-wait",
        format!(
            "cannot {} and wait for sessions: the agent on {node} does not know how",
            asked.action()
        ),
        format!("extend node bootstrap -a {node}"),
    )
    .because("it is older than the controller, and would end the process at once")
}
