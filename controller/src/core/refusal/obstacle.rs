//! What stands in the way at a server or at its node.

use jiff::Timestamp;

use extend_common::ids::{NodeAddr, RoleName};
use extend_common::operation::Verb;

use super::{Action, Asked, Held, Known, MOST_NAMED, Text, moment};

/// What is in the way.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Obstacle {
    /// Open operations hold servers that were meant.
    Busy {
        /// What was to be done.
        action: Action,
        /// Which, and by whom; at least one.
        held: Vec<Held>,
    },
    /// The node follows records that this store does not have.
    NodeAhead {
        /// What was to be done.
        action: Action,
        /// Which.
        node: NodeAddr,
        /// How that is known.
        why: String,
    },
    /// The node has not joined.
    NotEnrolled {
        /// The command.
        asked: Asked,
        /// Which.
        node: NodeAddr,
        /// Until when its unspent token is good.
        token: Option<Timestamp>,
    },
    /// The node's certificate is no longer accepted.
    Revoked {
        /// The command.
        asked: Asked,
        /// Which.
        node: NodeAddr,
        /// Since when.
        since: Timestamp,
    },
    /// The server is on its way out.
    BeingRemoved {
        /// The command.
        asked: Asked,
        /// Which.
        found: Known,
        /// It is taken back because its first deployment failed or was cancelled.
        withdrawn: bool,
    },
    /// The node would render another container than the controller expects.
    DefinitionDiffers {
        /// The command.
        asked: Asked,
        /// Which.
        node: NodeAddr,
        /// The role.
        role: RoleName,
        /// How the two sides differ.
        gap: DefinitionGap,
    },
    /// The configuration does not say where the PBX is.
    NoPbxAddress {
        /// The command.
        asked: Asked,
    },
    /// The node has a server already, and it is another one.
    NodeOccupied {
        /// The command.
        asked: Asked,
        /// What is there.
        found: Known,
    },
    /// Another node's server has the name.
    NameTaken {
        /// The command.
        asked: Asked,
        /// Which.
        found: Known,
    },
    /// The node cannot be asked: its agent is not connected.
    NodeAway {
        /// The command.
        asked: Asked,
        /// The server that was meant.
        found: Known,
        /// Since when.
        why: String,
    },
    /// A container that is not ours bears the official name.
    ContainerInTheWay {
        /// The command.
        asked: Asked,
        /// Where.
        node: NodeAddr,
        /// Its name.
        container: String,
        /// Docker's id.
        id: String,
        /// Why it cannot be taken over, if it cannot.
        unfit: Option<String>,
    },
    /// A container under an official name that cannot be taken over.
    CannotAdopt {
        /// The command.
        asked: Asked,
        /// Where.
        node: NodeAddr,
        /// Its name.
        container: String,
        /// Docker's id.
        id: String,
        /// Why.
        why: String,
    },
    /// There is no container to take over.
    NothingToAdopt {
        /// The command.
        asked: Asked,
        /// On which node; on none at all when none was named.
        node: Option<NodeAddr>,
        /// Of so many nodes nobody knows.
        away: usize,
    },
    /// What is on the node cannot be seen just now.
    NodeUnseen {
        /// The command.
        asked: Asked,
        /// Which.
        node: NodeAddr,
        /// Why.
        why: String,
    },
    /// `node remove` of a node that still has a server.
    NodeHasServer {
        /// Which.
        found: Known,
        /// The server was removed, and the node has not confirmed it.
        unconfirmed: bool,
    },
}

/// How a node's role definitions differ from the controller's.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum DefinitionGap {
    /// Both know the role, and mean different containers.
    Content,
    /// The node does not know the role.
    NotThere,
    /// The controller does not know the role any more.
    NotHere,
}

impl Obstacle {
    pub(super) fn text(&self) -> Text {
        match self {
            Self::Busy { action, held } => busy(action, held),
            Self::NodeAhead { action, node, why } => Text::new(
                "ahead",
                format!("cannot {action}: node {node} is ahead of this controller's store"),
                "extend controller recover".to_owned(),
            )
            .because(why.clone()),
            Self::NotEnrolled { asked, node, token } => not_enrolled(asked, *node, *token),
            Self::Revoked { asked, node, since } => Text::new(
                "revoked",
                format!("cannot {}: node {node} is revoked", asked.action()),
                format!("extend node token {node}"),
            )
            .because(format!(
                "since {}; a new token lets it join again",
                moment(*since)
            )),
            Self::BeingRemoved {
                asked,
                found,
                withdrawn: true,
            } => Text::new(
                "being-withdrawn",
                format!(
                    "cannot {}: {found} is being taken back just now",
                    asked.action()
                ),
                asked.again_after_withdrawal(found),
            )
            .because("its deployment did not come about, and its node has yet to confirm that")
            .because("try again in a moment"),
            Self::BeingRemoved {
                asked,
                found,
                withdrawn: false,
            } => Text::new(
                "being-removed",
                format!("cannot {} {found}: it is being removed", asked.action()),
                format!("extend rm -s {} -a {}", found.role, found.node),
            )
            .because("its node has yet to confirm; rm tries again, run deploys it anew"),
            Self::DefinitionDiffers {
                asked,
                node,
                role,
                gap,
            } => definition_differs(asked, *node, role, *gap),
            Self::NoPbxAddress { asked } => Text::new(
                "no-pbx-address",
                format!(
                    "cannot {} a server: the address of the PBX is not set",
                    asked.action()
                ),
                "sudo systemctl restart extend-controller".to_owned(),
            )
            .because("set `address` under [pbx] in /etc/extend/controller.toml first"),
            Self::NodeOccupied { asked, found } => node_occupied(asked, found),
            Self::NameTaken { asked, found } => name_taken(asked, found),
            Self::NodeAway { asked, found, why } => Text::new(
                "node-away",
                format!(
                    "cannot {}: its node cannot be asked",
                    asked.action().upon(&found.to_string())
                ),
                format!("extend node show {}", found.node),
            )
            .because(why.clone()),
            Self::ContainerInTheWay { .. }
            | Self::CannotAdopt { .. }
            | Self::NothingToAdopt { .. }
            | Self::NodeUnseen { .. } => self.of_unclaimed(),
            Self::NodeHasServer { found, unconfirmed } => node_has_server(found, *unconfirmed),
        }
    }
}

fn busy(action: &Action, held: &[Held]) -> Text {
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
        text = text.because(format!(
            "operation {} ({} by {}) holds {} at {} since {}",
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
    if let Action::RemoveNode(_) = action {
        text = text.because(format!(
            "if the node is gone for good: {} --force",
            action.line()
        ));
    }
    text
}

fn not_enrolled(asked: &Asked, node: NodeAddr, token: Option<Timestamp>) -> Text {
    let text = Text::new(
        "not-enrolled",
        format!(
            "cannot {}: the node has not joined",
            asked.action().upon(&format!("a server on {node}"))
        ),
        format!(
            "extend node bootstrap -a {node}, or without SSH: extend node token -a {node} --cloud-init"
        ),
    );
    match token {
        Some(until) => text.because(format!(
            "a token for it was made, is good until {}, and has not been used: it has yet to be \
             given to `extend-agent join` there",
            moment(until)
        )),
        None => text
            .because("bootstrap sets the node up over SSH; --cloud-init prints user data that does so at its first boot")
            .because(format!(
                "by hand, with the package extend-agent on it: extend node token -a {node}"
            )),
    }
}

fn definition_differs(asked: &Asked, node: NodeAddr, role: &RoleName, gap: DefinitionGap) -> Text {
    let (differs, hint) = match gap {
        DefinitionGap::Content => (
            format!("its definition of {role} is not the controller's"),
            format!("extend node show {node}"),
        ),
        DefinitionGap::NotThere => (
            format!("it has no definition of {role}"),
            format!(
                "on {node}: put the file back into /etc/extend/roles.d, then: systemctl restart \
                 extend-agent"
            ),
        ),
        DefinitionGap::NotHere => (
            format!("the controller has no definition of {role}"),
            "put the file back into /etc/extend/roles.d, then: sudo systemctl restart \
             extend-controller"
                .to_owned(),
        ),
    };
    Text::new(
        "definition-differs",
        format!("cannot {} on {node}: {differs}", asked.action()),
        hint,
    )
    .because(
        "definitions are built in, and added to by /etc/extend/roles.d: the two sides have other \
         files there, or other versions",
    )
}

fn node_occupied(asked: &Asked, found: &Known) -> Text {
    let name = asked
        .name
        .as_ref()
        .map_or("a server".to_owned(), ToString::to_string);
    // The right command is only clear when the role agrees: then the name was a slip.
    let hint = if asked.is(Verb::Run) && asked.role.as_deref() == Some(found.role.as_str()) {
        asked.with_name(&found.name).line()
    } else {
        format!("extend status -a {}", found.node)
    };
    Text::new(
        "node-occupied",
        format!(
            "cannot {} {name} on {}: the server there is {} ({})",
            asked.action(),
            found.node,
            found.name,
            found.role
        ),
        hint,
    )
    .because("a node carries one server")
}

fn name_taken(asked: &Asked, found: &Known) -> Text {
    let node = asked
        .nodes
        .first()
        .map(NodeAddr::to_string)
        .unwrap_or_default();
    Text::new(
        "name-taken",
        format!(
            "cannot {} {} on {node}: the name is taken by the server at {}",
            asked.action(),
            found.name,
            found.node
        ),
        format!("extend status -a {}", found.node),
    )
    .because(format!(
        "a name means one server in the PBX Web Portal; this one is {found}"
    ))
}

fn node_has_server(found: &Known, unconfirmed: bool) -> Text {
    let there = if unconfirmed {
        format!("it has not confirmed that {} is gone", found.name)
    } else {
        format!("it carries {} ({})", found.name, found.role)
    };
    Text::new(
        "node-has-server",
        format!("cannot remove the node {}: {there}", found.node),
        format!("extend rm -s {} -a {}", found.role, found.node),
    )
    .because(format!(
        "if the node is gone for good: {} --force",
        Action::RemoveNode(found.node).line()
    ))
}
