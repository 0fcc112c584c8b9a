//! What is in the way of taking over a container that nobody claims, and of running a server beside
//! one. The variants are the parent's; their words stand here.

use extend_common::hint::split_hint;
use extend_common::ids::NodeAddr;

use super::{Asked, Obstacle, Text};

impl Obstacle {
    /// The words of an obstacle that is about unclaimed containers.
    pub(super) fn of_unclaimed(&self) -> Text {
        match self {
            Self::ContainerInTheWay {
                asked,
                node,
                container,
                id,
                unfit,
            } => container_in_the_way(asked, *node, (container, id), unfit.as_deref()),
            Self::CannotAdopt {
                asked,
                node,
                container,
                id,
                why,
            } => cannot_adopt(asked, *node, (container, id), why),
            Self::NothingToAdopt { asked, node, away } => nothing_to_adopt(asked, *node, *away),
            Self::NodeUnseen { asked, node, why } => Text::new(
                "node-unseen",
                format!(
                    "cannot {}: what is there cannot be seen just now",
                    asked.action().upon(&format!("the server on {node}"))
                ),
                format!("extend node show {node}"),
            )
            .because(why.clone()),
            other => other.text(),
        }
    }
}

/// A container by its name and Docker's id.
type Called<'a> = (&'a str, &'a str);

fn container_in_the_way(
    asked: &Asked,
    node: NodeAddr,
    (container, id): Called<'_>,
    unfit: Option<&str>,
) -> Text {
    let short: String = id.chars().take(12).collect();
    let sentence = format!(
        "cannot {} a server on {node}: a container that is not ours bears the name {container}",
        asked.action()
    );
    let aside = format!(
        "on {node}: docker stop -t 300 {container} && docker rename {container} \
         {container}.before-extend"
    );
    let is_left = format!("it is container {short}; it is left as it is");
    match unfit {
        None => Text::new(
            "container-in-the-way",
            sentence,
            format!("extend adopt -a {node}"),
        )
        .because(is_left)
        .because("adopt takes it over as it is, without a restart; upgrade then makes it anew"),
        Some(why) => Text::new("container-in-the-way", sentence, aside)
            .because(is_left)
            .because(format!("it cannot be taken over: {}", split_hint(why).0))
            .because("stopped and renamed it can be brought back, and its data stays where it is"),
    }
}

fn cannot_adopt(asked: &Asked, node: NodeAddr, (container, id): Called<'_>, why: &str) -> Text {
    let short: String = id.chars().take(12).collect();
    let (why, hint) = split_hint(why);
    let hint = hint.map_or_else(|| format!("extend status -a {node}"), str::to_owned);
    Text::new(
        "cannot-adopt",
        format!("cannot {} {container} on {node}: {why}", asked.action()),
        hint,
    )
    .because(format!("it is container {short}; it is left as it is"))
}

fn nothing_to_adopt(asked: &Asked, node: Option<NodeAddr>, away: usize) -> Text {
    let action = asked.action();
    let Some(node) = node else {
        let text = Text::new(
            "nothing-to-adopt",
            format!("cannot {action} anything: no node has a container of the official script"),
            "extend node list".to_owned(),
        );
        return match away {
            0 => text,
            1 => text.because("of one node it is not known: it cannot be seen just now"),
            n => text.because(format!(
                "of {n} nodes it is not known: they cannot be seen just now"
            )),
        };
    };
    Text::new(
        "nothing-to-adopt",
        format!(
            "cannot {}: the node has no container of the official script",
            action.upon(&format!("a server on {node}"))
        ),
        format!("extend run -s TYPE -n NAME -a {node}"),
    )
    .because("a container counts by its official name, for example portsip.mediaserver")
}
